"""A client on a raw socket, so that little but the server is measured."""

import gc
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

REQUEST: Final = "GET {path} HTTP/1.1\r\nHost: pod\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n"
OWN_PORTS: Final = range(20_000, 32_000)
"""Below the ports that the kernel gives to connections, which might take one before it is listened on."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    while True:
        port = random.choice(OWN_PORTS)  # noqa: S311 - spreads them, hides nothing
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until_answered(port: int, path: str = "/readyz", *, within: float = 60.0) -> float:
    """Wait for a 200; return how many seconds that took."""
    began = time.perf_counter()
    while time.perf_counter() - began < within:
        with suppress(OSError):
            if is_ok(ask(port, path)):
                return time.perf_counter() - began
        time.sleep(0.002)
    raise TimeoutError(f"no 200 for {path} from port {port} within {within:.0f}s")


def until_open(port: int, *, host: str = "127.0.0.1", within: float = 30.0) -> None:
    """Wait until somebody listens on a port."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens on port {port} within {within:.0f}s")


def until_told(port: int, *, within: float = 30.0) -> None:
    """Wait until a DNS server answers on a port: the root has an address for it as good as any name."""
    question = b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\x00\x00\x01\x00\x01"
    with socket.socket(type=socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", port))
        asker.settimeout(0.2)
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            with suppress(OSError):
                asker.send(question)
                asker.recv(512)
                return
            time.sleep(0.01)
    raise TimeoutError(f"no DNS server answers on port {port} within {within:.0f}s")


def is_ok(response: bytes) -> bool:
    """Whether a response is a 200."""
    return response[9:12] == b"200"


def ask(port: int, path: str = "/readyz") -> bytes:
    """Ask once on a new connection, as the kubelet does; return the whole response."""
    request = REQUEST.format(path=path).encode() + b"Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def latencies(port: int, count: int, *, pause: float = 0.0) -> list[float]:
    """Return the seconds that each of `count` probes on new connections took, with a pause after each."""
    taken = []
    with undisturbed():
        for _ in range(count):
            began = time.perf_counter()
            ask(port)
            taken.append(time.perf_counter() - began)
            time.sleep(pause)
    return taken


def throughput(port: int, count: int, *, within: float = 10.0) -> float:
    """Return the requests a second on a kept connection, of `count` or those within so many seconds."""
    request = REQUEST.format(path="/readyz").encode() + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, undisturbed():
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began, answered, passed = time.perf_counter(), 0, 0.0
        while answered < count and passed < within:
            connection.sendall(request)
            _receive(connection)
            answered, passed = answered + 1, time.perf_counter() - began
        return answered / passed


def _receive(connection: socket.socket) -> None:
    """Receive one response, whose end its length tells."""
    received = connection.recv(65536)
    while (ends := received.find(b"\r\n\r\n")) < 0:
        received += connection.recv(65536)
    length = received.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    missing = ends + 4 + int(length) - len(received)
    while missing > 0:
        missing -= len(connection.recv(65536))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep our own garbage collector from being measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
