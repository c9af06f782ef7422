"""Where we listen, and what is said when we cannot."""

import errno
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sidecar.config.model import ServerConfig
from sidecar.web import listeners
from sidecar.web.listeners import (
    EVERY_ADDRESS,
    KERNEL_BUFFER,
    LOOPBACK,
    ListenError,
    bind,
    bind_unix,
    serving,
)


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def test_all_families_share_one_port() -> None:
    bound = bind(EVERY_ADDRESS, 0)

    names = [each.getsockname()[:2] for each in bound]
    close(bound)

    assert names == [("::", names[0][1]), ("0.0.0.0", names[0][1])]


def test_a_taken_port_is_one_clear_line() -> None:
    taken = bind(LOOPBACK, 0)
    port = taken[0].getsockname()[1]

    with pytest.raises(ListenError) as refused:
        bind(LOOPBACK, port)
    close(taken)

    assert str(refused.value) == f"cannot listen on 127.0.0.1:{port}: the port is taken by another process"


def test_a_port_taken_on_the_second_address_only_leaves_no_socket_open() -> None:
    taken = bind(["::1"], 0)
    port = taken[0].getsockname()[1]

    with pytest.raises(ListenError, match=rf"cannot listen on \[::1\]:{port}: the port is taken"):
        bind(LOOPBACK, port)
    close(taken)
    close(bind(LOOPBACK, port))


def test_an_address_of_another_machine_is_refused_by_name() -> None:
    with pytest.raises(ListenError) as refused:
        bind(["192.0.2.1"], 0)

    assert str(refused.value) == "cannot listen on port 0: this machine has none of 192.0.2.1"


def test_a_host_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("sidecar.web.listeners.Listener.bind", look_up)
    with pytest.raises(ListenError) as refused:
        bind(["nosuch.invalid"], 8080)

    assert str(refused.value) == "cannot listen on nosuch.invalid:8080: the name does not exist"


@pytest.mark.parametrize("missing", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_pod_without_ipv6_listens_on_what_it_has(monkeypatch: pytest.MonkeyPatch, missing: int) -> None:
    bind_one = listeners._bind_one  # noqa: SLF001 - stands in for a kernel without IPv6

    def without_ipv6(host: str, port: int) -> socket.socket:
        if ":" in host:
            raise OSError(missing, "no IPv6 here")
        return bind_one(host, port)

    monkeypatch.setattr(listeners, "_bind_one", without_ipv6)
    bound = bind(EVERY_ADDRESS, 0)
    families = [each.family for each in bound]
    close(bound)

    assert families == [socket.AF_INET]


def test_the_kernel_keeps_little_for_a_client_that_does_not_read() -> None:
    bound = bind(["127.0.0.1"], 0)
    client = socket.create_connection(bound[0].getsockname())
    accepted, _ = bound[0].accept()

    kept = [accepted.getsockopt(socket.SOL_SOCKET, each) for each in (socket.SO_SNDBUF, socket.SO_RCVBUF)]
    close([*bound, client, accepted])

    assert kept == [2 * KERNEL_BUFFER, 2 * KERNEL_BUFFER]


async def test_a_request_is_answered_inside_the_block_and_refused_after_it() -> None:
    async def handle(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="here")

    bound = bind(LOOPBACK, 0)
    port = bound[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        async with serving(handle, bound, bounds=ServerConfig(), stop_within=0.1):
            told = [
                await (await session.get(f"http://{host}:{port}/", headers={"Connection": "close"})).text()
                for host in ("127.0.0.1", "[::1]")
            ]
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/")

    assert told == ["here", "here"]


def test_a_unix_socket_is_our_own_users_only_and_replaces_that_of_another_life(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    close(bind_unix(path))
    (bound,) = bind_unix(path)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    mode = stat.S_IMODE(path.stat().st_mode)
    close([bound])

    assert mode == 0o600


def test_a_unix_socket_on_which_another_process_listens_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    theirs = bind_unix(path)

    with pytest.raises(ListenError) as refused:
        bind_unix(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    close(theirs)

    assert str(refused.value) == f"cannot listen on {path}: the socket is another process's"


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("a file of somebody's")

    with pytest.raises(ListenError) as refused:
        bind_unix(path)

    assert (str(refused.value), path.read_text()) == (
        f"cannot listen on {path}: address already in use",
        "a file of somebody's",
    )


def test_a_unix_socket_without_a_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"admin\.sock: no such file or directory"):
        bind_unix(tmp_path / "gone" / "admin.sock")
