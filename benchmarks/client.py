"""A client on a raw socket, so that little but the server is measured."""

import socket
import time
from typing import Final

REQUEST: Final = b"GET /readyz HTTP/1.1\r\nHost: pod\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_answered(port: int, *, within: float = 30.0) -> float:
    """Wait for a 200; return how many seconds that took."""
    began = time.perf_counter()
    while time.perf_counter() - began < within:
        try:
            if b" 200 " in ask(port):
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.005)
    raise TimeoutError(f"no 200 from port {port} within {within:.0f}s")


def ask(port: int) -> bytes:
    """Ask once on a new connection, as the kubelet does; return the whole response."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(REQUEST + b"Connection: close\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def latencies(port: int, count: int) -> list[float]:
    """Return the seconds that each of `count` probes on new connections took."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        ask(port)
        taken.append(time.perf_counter() - began)
    return taken


def throughput(port: int, count: int) -> float:
    """Return the requests a second on one kept connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for _ in range(count):
            connection.sendall(REQUEST + b"\r\n")
            received = connection.recv(65536)
            while not received.endswith(b"ok"):
                received += connection.recv(65536)
        return count / (time.perf_counter() - began)
