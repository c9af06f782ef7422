"""Asking the sidecars of a deploy's pods: every address of a name, whoever answers there."""

import asyncio

import pytest

from sidecar.core.arrival import Arrival, Course
from sidecar.deploys import _pods
from sidecar.deploys._pods import Pods, look, until_arrived
from sidecar.support.loop import SidecarLoop
from tests.deploys.pods import NAME, NEW, OLD, Pod, serving
from tests.network import FakeDns
from tests.network.dns import Rcode
from tests.network.fakes import Connection, Script, send_garbage

FIRST, SECOND, THIRD, SIXTH = "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"


def asking(dns: FakeDns) -> None:
    """Have the loop's look-ups go to this server."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SidecarLoop)
    loop.resolver_options = {"servers": [str(dns.address)], "timeout": 0.2, "tries": 1}


def pods_at(port: int, at_least: int = 1, host: str = NAME) -> Pods:
    return Pods(host=host, port=port, revision=NEW, at_least=at_least)


async def test_every_address_of_both_families_is_asked_for_its_readiness_in_json() -> None:
    pods = [Pod(FIRST, is_ready=True), Pod(SIXTH, is_ready=True)]
    async with FakeDns({NAME: [FIRST, SIXTH]}) as dns, serving(pods) as port:
        asking(dns)

        assert await look(pods_at(port)) == Arrival(Course.LIVE, "2 of 2 ready with abc123")

    for pod in pods:
        (asked,) = pod.asked
        assert asked.startswith("GET /readyz HTTP/1.1\r\n")
        assert "Accept: application/json\r\n" in asked


async def test_an_address_needs_no_look_up() -> None:
    async with serving([Pod(FIRST, is_ready=True)]) as port:
        assert (await look(pods_at(port, host=FIRST))).course is Course.LIVE


async def test_a_revision_may_be_as_long_as_the_configuration_lets_it_be() -> None:
    revision = "v" * 200
    async with serving([Pod(FIRST, revision, is_ready=True)]) as port:
        pods = Pods(host=FIRST, port=port, revision=revision)

        assert (await look(pods)).course is Course.LIVE


async def test_a_body_alone_says_the_revision_too() -> None:
    script = page("200 OK\r\nServer: sidecar", '{"releaseId": "abc123"}')
    async with serving([Pod(FIRST, script=script)]) as port:
        assert (await look(pods_at(port, host=FIRST))).course is Course.LIVE


async def test_a_proxy_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving([Pod(FIRST, is_ready=True)]) as port:
        assert (await look(pods_at(port, host=FIRST))).course is Course.LIVE


async def test_pods_are_watched_as_they_come_up_one_after_another() -> None:
    first, second, old = (
        Pod(FIRST),
        Pod(SECOND, failures={"db": "failed: auth"}),
        Pod(THIRD, OLD, is_ready=True),
    )
    progress: list[str] = []
    addresses = [THIRD]

    def come_up(line: str) -> None:
        """Let the rollout go one step further whenever it was seen how far it is."""
        progress.append(line)
        steps.pop(0)()

    def begin() -> None:
        addresses[:] = [FIRST, SECOND, THIRD]

    def one_is_ready() -> None:
        first.is_ready = True

    def other_is_ready() -> None:
        second.is_ready, second.failures = True, {}

    def old_is_gone() -> None:
        addresses[:] = [FIRST, SECOND]

    def rest() -> None: ...

    steps = [begin, one_is_ready, other_is_ready, old_is_gone, rest]
    async with FakeDns({NAME: addresses}) as dns, serving([first, second, old]) as port:
        asking(dns)
        arrival = await until_arrived(pods_at(port, 2), interval=0.01, timeout=10.0, report=come_up)

    assert arrival == Arrival(Course.LIVE, "2 of 2 ready with abc123")
    assert progress == [
        "0 of 2 ready with abc123: 127.0.0.4 still runs def456; 1 more is awaited",
        (
            "0 of 3 ready with abc123: 127.0.0.2 is not ready; 127.0.0.3 is not ready: db failed: auth; "
            "127.0.0.4 still runs def456"
        ),
        ("1 of 3 ready with abc123: 127.0.0.3 is not ready: db failed: auth; 127.0.0.4 still runs def456"),
        "2 of 3 ready with abc123: 127.0.0.4 still runs def456",
        "2 of 2 ready with abc123",
    ]


async def test_a_line_is_said_once_as_long_as_nothing_changes() -> None:
    pod = Pod(FIRST)
    progress: list[str] = []

    async def get_ready() -> None:
        while len(pod.asked) < 4:  # noqa: ASYNC110 - the pod tells nobody
            await asyncio.sleep(0.01)
        pod.is_ready = True

    async with serving([pod]) as port, asyncio.TaskGroup() as group:
        group.create_task(get_ready())
        where = pods_at(port, host=FIRST)
        await until_arrived(where, interval=0.01, timeout=10.0, report=progress.append)

    assert progress == ["0 of 1 ready with abc123: 127.0.0.2 is not ready", "1 of 1 ready with abc123"]


@pytest.mark.parametrize(("phase", "said"), [("failed", "has failed"), ("timed_out", "has timed out")])
async def test_a_deploy_that_a_pod_gives_up_is_over_at_once(phase: str, said: str) -> None:
    failures = {"db": "failed: auth", "mq": "failed: refused"}
    pods = [Pod(FIRST, OLD, is_ready=True), Pod(SECOND, phase=phase, failures=failures)]
    async with FakeDns({NAME: [FIRST, SECOND]}) as dns, serving(pods) as port:
        asking(dns)
        arrival = await until_arrived(pods_at(port), interval=5.0, timeout=10.0, report=print)

    assert (arrival.course, arrival.failures) == (
        Course.FAILED,
        (f"127.0.0.3 {said}: db failed: auth", f"127.0.0.3 {said}: mq failed: refused"),
    )


async def test_the_failure_of_another_revision_is_none_of_ours() -> None:
    async with serving([Pod(FIRST, OLD, phase="failed")]) as port:
        assert (await look(pods_at(port, host=FIRST))).course is Course.UNDER_WAY


async def test_time_runs_out_however_long_an_answer_takes() -> None:
    async with serving([Pod(FIRST, script=hang)]) as port:
        arrival = await until_arrived(pods_at(port, host=FIRST), interval=1.0, timeout=0.1, report=print)

    assert arrival == Arrival(Course.UNDER_WAY, "0 of 1 ready with abc123: nobody has answered yet")


async def hang(connection: Connection) -> None:
    await connection.until_closed()


async def drip_without_end(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nServer: sidecar\r\nX-Revision: abc123\r\n\r\n")
    await connection.until_closed()


async def reset(connection: Connection) -> None:
    connection.reset()


def page(head: str, body: str = "{}") -> Script:
    async def answer(connection: Connection) -> None:
        await connection.read_until(b"\r\n\r\n")
        length = f"Content-Length: {len(body)}\r\n"
        await connection.send(f"HTTP/1.1 {head}\r\n{length}\r\n{body}".encode())

    return answer


@pytest.mark.parametrize(
    "stranger",
    [
        hang,
        drip_without_end,
        reset,
        send_garbage,
        page("200 OK\r\nServer: nginx\r\nX-Revision: abc123"),
        page("200 OK\r\nX-Revision: abc123"),
        page("302 Found\r\nServer: sidecar\r\nLocation: http://127.0.0.1/\r\nX-Revision: abc123"),
        page("404 Not Found\r\nServer: sidecar\r\nX-Revision: abc123"),
    ],
)
async def test_who_does_not_answer_as_a_sidecar_is_not_answering(
    stranger: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pods, "ANSWERS_WITHIN", 1.0)
    async with (
        serving([Pod(FIRST, script=stranger), Pod(SECOND, is_ready=True)]) as port,
        FakeDns({NAME: [FIRST, SECOND]}) as dns,
    ):
        asking(dns)
        arrival = await look(pods_at(port))

    assert arrival == Arrival(Course.UNDER_WAY, "1 of 2 ready with abc123: 127.0.0.2 is not answering")


async def test_nobody_is_followed_to_another_address() -> None:
    where: list[int] = []

    async def send_elsewhere(connection: Connection) -> None:
        location = f"http://{SECOND}:{where[0]}/readyz"
        await page(f"302 Found\r\nServer: sidecar\r\nLocation: {location}")(connection)

    other = Pod(SECOND, is_ready=True)
    async with serving([Pod(FIRST, script=send_elsewhere), other]) as port:
        where.append(port)
        arrival = await look(pods_at(port, host=FIRST))

    assert (arrival.course, other.asked) == (Course.UNDER_WAY, [])


async def test_a_refused_connection_is_not_answering() -> None:
    async with serving([Pod(FIRST)]) as port:
        arrival = await look(pods_at(port, host=SECOND))

    assert arrival.progress == "0 of 1 ready with abc123: 127.0.0.3 is not answering"


@pytest.mark.parametrize(
    "body",
    [
        "ok",
        "[]",
        '{"checks": []}',
        '{"checks": {"db": 1}}',
        '{"checks": {"db": [1]}}',
        '{"checks": {"db": [{"status": "fail", "output": 1}]}, "deploy": ["failed"]}',
        '{"deploy": "exploded"}',
        "[" * 200_000,
    ],
)
async def test_what_a_body_should_not_say_is_not_believed(body: str) -> None:
    script = page("503 So\r\nServer: sidecar\r\nX-Revision: abc123", body)
    async with serving([Pod(FIRST, script=script)]) as port:
        arrival = await look(pods_at(port, host=FIRST))

    assert arrival.progress.startswith("0 of 1 ready with abc123: 127.0.0.2 is not ready")


async def test_nothing_that_is_shown_can_command_a_terminal() -> None:
    pod = Pod(FIRST, failures={"db\x1b[2J": "failed:\x07 auth" + "x" * 500})
    async with serving([pod]) as port:
        arrival = await look(pods_at(port, host=FIRST))

    assert arrival.progress.isprintable()
    assert len(arrival.progress) < 200


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("absent.test", "absent.test has no address"),
        ("silent.test", "nobody says where silent.test is"),
        ("failing.test", "nobody says where failing.test is"),
        ("a" * 70 + ".test", f"{'a' * 70}.test"),
    ],
)
async def test_a_name_without_an_address_is_looked_up_again(host: str, said: str) -> None:
    async with FakeDns(silent=["silent.test"], failing={"failing.test": Rcode.SERVFAIL}) as dns:
        asking(dns)
        arrival = await look(pods_at(1, host=host))

    assert arrival.course is Course.UNDER_WAY
    assert arrival.progress.startswith(f"0 of 1 ready with abc123: {said}")


async def test_more_addresses_than_are_asked_at_once_are_all_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pods, "ASKED_AT_ONCE", 2)
    pods = [Pod(f"127.0.1.{number}", is_ready=True) for number in range(1, 8)]
    async with FakeDns({NAME: [pod.address for pod in pods]}) as dns, serving(pods) as port:
        asking(dns)

        assert (await look(pods_at(port))).progress == "7 of 7 ready with abc123"
