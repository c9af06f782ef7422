"""`sidecar explain delivery` beside the worked example: its sentences, and production undisturbed."""

import asyncio
import json
import re

import pytest

from examples.delivery.contract import DEAD_LETTERS, EXCHANGE, QUEUE, Flaw
from tests.docs.examples import ROOT
from tests.examples.test_delivery import (
    BEHAVIOUR,
    EXAMPLE,
    TOPOLOGY,
    Stage,
    broker,
    redeliveries,
    stage,
    until_none_is_left,
)
from tests.process.harness import free_port
from tests.process.program import Ended, run_sidecar

__all__ = ["broker", "stage"]  # fixtures
WAY = f"from exchange {EXCHANGE} to queue {QUEUE}"
HELD = {
    "delivery": [
        "the broker takes messages",
        "exchange builds is durable",
        "exchange builds is not auto-delete",
        "exchange builds is of type topic",
        "exchange builds-dead is durable",
        "exchange builds-dead is not auto-delete",
        "exchange builds-dead is of type fanout",
        "queue run-build is durable",
        "queue run-build is not auto-delete",
        "queue run-build is not exclusive",
        "queue run-build is bound to exchange builds for build.requested",
        "dead letters of queue run-build reach builds-dead through exchange builds-dead",
        "queue run-build has 1 consumer of this pod",
        "consumers of this pod of queue run-build acknowledge by hand",
        "consumers of this pod of queue run-build have a prefetch of 10",
        "messages in queue run-build are persistent",
        "queue run-build has 0 ready",
        "every message in virtual host / found a queue since the broker began to count",
    ],
    "records": ["the server answers SELECT 1", "handled has a unique index on (message_id)"],
}


async def explain(stage: Stage, *flags: str) -> Ended:
    return await run_sidecar("explain", "delivery", "--config", str(EXAMPLE), *flags, env=stage.env)


async def explained(stage: Stage, *flags: str) -> dict[str, dict[str, str]]:
    """Return how each sentence of each check stands."""
    ended = await explain(stage, "--output", "json", *flags)
    assert ended.err == ""
    told = {
        each["name"]: {finding["sentence"]: finding["standing"] for finding in each["findings"]}
        for each in json.loads(ended.out)
    }
    is_held = all(standing == "held" for each in told.values() for standing in each.values())
    assert ended.code == (0 if is_held else 1)
    return told


async def until_explained(stage: Stage, standing: str, what: str, *flags: str) -> dict[str, dict[str, str]]:
    """Explain until a sentence stands so: the broker's counts are a second old."""
    told: dict[str, dict[str, str]] = {}
    async with asyncio.timeout(30):
        while not any(is_told(each, standing, what) for each in told.values()):
            told = await explained(stage, *flags)
    return told


def is_told(findings: dict[str, str], standing: str, what: str) -> bool:
    return any(how == standing and what in sentence for sentence, how in findings.items())


async def test_the_good_example_holds_every_sentence(stage: Stage) -> None:
    async with stage.consumer("--work", "30"):
        await stage.publish(5)
        await until_explained(stage, "held", "messages in queue")
        told, text = await explained(stage), await explain(stage)

    assert {name: list(each) for name, each in told.items()} == HELD
    assert (text.code, text.err) == (0, "")
    lines = text.out.splitlines()
    assert lines[0] == f"delivery (rabbitmq-delivery, {stage.broker.host}:{stage.broker.management_port})"
    assert lines[1] == "  held          the broker takes messages"
    assert lines[-5:] == [
        f"records (postgres, {stage.database.host}:{stage.database.port})",
        "  held          the server answers SELECT 1",
        "  held          handled has a unique index on (message_id)",
        "",
        f"{sum(map(len, HELD.values()))} held, 0 violated, 0 unverifiable",
    ]
    assert "secret" not in text.out


def without_numbers(text: str) -> str:
    """Return a text without ports, and without how many messages happened to wait."""
    return re.sub(r"\b[\w.]+:\d+\)|\d+ ready", "#", text)


async def test_the_page_shows_what_its_commands_do(stage: Stage) -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    _, _, shown = re.findall(r"```console\n(.*?)```", page, re.DOTALL)[0].partition("$ python")
    commands = [
        line.removeprefix("$ ").split() for line in f"$ python{shown}".splitlines() if line.startswith("$ ")
    ]
    output = shown.partition("--sample 20\n")[2]
    (consumer, publisher, explaining) = commands
    assert (consumer[2], publisher[2]) == ("examples.delivery.consumer", "examples.delivery.publisher")
    assert explaining[:5] == ["sidecar", "explain", "delivery", "--config", str(EXAMPLE.relative_to(ROOT))]

    async with stage.consumer(*consumer[3:-1]), stage.program("publisher", *publisher[3:-1]):
        told = await explain(stage, *explaining[5:])
        async with asyncio.timeout(40):
            while without_numbers(told.out) != without_numbers(output):
                told = await explain(stage, *explaining[5:])

    assert (told.code, told.err) == (0, "")


async def test_one_check_alone_may_be_asked(stage: Stage) -> None:
    async with stage.consumer():
        told = await explained(stage, "--only", "records")

    assert {name: list(each) for name, each in told.items()} == {"records": HELD["records"]}


async def test_what_nobody_shows_yet_is_unverifiable_and_no_pass(stage: Stage) -> None:
    await stage.publish(0)

    told = await until_explained(stage, "unverifiable", "queue run-build is empty")

    assert [sentence for sentence, how in told["delivery"].items() if how == "unverifiable"] == [
        "how consumers of queue run-build acknowledge cannot be verified",
        "queue run-build is empty: persistence of messages cannot be verified",
    ]
    assert told["records"] == {
        "the server answers SELECT 1": "held",
        "there is no table handled": "violated",
    }


async def test_what_may_not_be_seen_is_unverifiable_throughout(stage: Stage) -> None:
    stage.broker.add_user("blind", "pw", tags="management")
    blind = {"AMQP_URL": stage.broker.url_for("blind", "pw")}
    async with stage.consumer():
        ended = await run_sidecar(
            "explain", "delivery", "--config", str(EXAMPLE), "--only", "delivery", env={**stage.env, **blind}
        )

    told = ended.out.splitlines()[1:-2]
    assert (ended.code, told[0]) == (1, "  held          the broker takes messages")
    assert len(told) > 5
    assert [line for line in told[1:] if not line.startswith("  unverifiable  ")] == []


async def test_what_does_not_answer_is_unverifiable_and_the_other_is_told(stage: Stage) -> None:
    port = free_port()
    gone = {"MANAGEMENT_URL": f"http://127.0.0.1:{port}"}
    async with stage.consumer():
        ended = await run_sidecar("explain", "delivery", "--config", str(EXAMPLE), env={**stage.env, **gone})

    told = f"127.0.0.1:{port} refused the connection"
    assert (ended.code, ended.err) == (1, "")
    assert f"  unverifiable  nothing more can be verified: {told}\n" in ended.out
    assert ended.out.endswith("\n2 held, 0 violated, 1 unverifiable\n")


async def test_a_look_at_messages_disturbs_nobody_and_leaves_nothing(stage: Stage) -> None:
    async with stage.consumer("--work", "0.01"):
        publishing = asyncio.create_task(stage.publish(600, rate=150))
        await until_explained(stage, "held", "is bound to")
        looked = [await explained(stage, "--sample", "50", "--sample-for", "5s") for _ in range(2)]
        await publishing
        await until_none_is_left(stage)
        handled = await stage.fetch("SELECT count(*) FROM handled")
        again = await redeliveries(stage)
        queues = {each["name"] for each in stage.broker.api("GET", "/queues")}
        bound = stage.broker.api("GET", f"/exchanges/%2F/{EXCHANGE}/bindings/source")

    for told in looked:
        assert [sentence for sentence in told["delivery"] if WAY in sentence] == [
            f"each of 50 messages {WAY} is persistent",
            f"each of 50 messages {WAY} has a message_id",
            f"no two of 50 messages {WAY} have the same message_id",
        ]
        assert {how for sentence, how in told["delivery"].items() if WAY in sentence} == {"held"}
    assert (handled, again, queues, len(bound)) == (600, 0, {QUEUE, DEAD_LETTERS}, 1)


@pytest.mark.parametrize(
    ("flaw", "flags", "said"),
    [
        (Flaw.TRANSIENT_MESSAGES, [], f"20 of 20 messages {WAY} would not survive a restart of the broker"),
        (Flaw.NO_IDENTIFIER, [], f"messages {WAY} repeated the message_id of another"),
        (Flaw.NO_PREFETCH, ["--identifier", "header:x-id"], f"20 of 20 messages {WAY} had no header x-id"),
        (
            Flaw.NO_PREFETCH,
            ["--identifier", "json:/build"],
            f"messages {WAY} repeated the value at /build of another",
        ),
    ],
)
async def test_a_look_names_what_messages_lack(stage: Stage, flaw: Flaw, flags: list[str], said: str) -> None:
    async with (
        stage.consumer(),
        stage.program("publisher", "--rate", "60", "--count", "5000", "--break", flaw),
    ):
        told = await until_explained(stage, "violated", said, "--sample", "20", *flags)

    assert "b0" not in json.dumps(told)


@pytest.mark.parametrize("flaw", [*TOPOLOGY, *BEHAVIOUR, Flaw.NO_CONSTRAINT])
async def test_each_broken_rule_is_a_violated_sentence(stage: Stage, flaw: Flaw) -> None:
    said = {**TOPOLOGY, **BEHAVIOUR, Flaw.NO_CONSTRAINT: "handled has no unique index"}
    async with stage.consumer("--work", "0.2", "--break", flaw):
        await stage.publish(200, "--break", flaw)

        await until_explained(stage, "violated", said[flaw])
