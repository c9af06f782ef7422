"""Namespaces of our own: a network whose answers can be dropped, and another resolver's configuration.

What is sent into the network while it drops is never heard of again. Not `ip link set down`: that the kernel
would tell a client of. Needs the rights of root, `ip` (iproute2), and `unshare` (util-linux).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HERE: Final = "10.213.0.1"
THERE: Final = "10.213.0.2"


class NoNamespaceError(Exception):
    """Namespaces cannot be had here; the message says why."""


class Namespace:
    """A namespace at the other end of a cable; a server in it is asked at `THERE`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def inside(self, command: list[str]) -> list[str]:
        """Return the command that runs another one inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def drop(self) -> None:
        """Drop every answer from now on, without a word to either side."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{HERE}/32")

    def restore(self) -> None:
        """Let answers through again."""
        _ip("-n", self.name, "route", "del", "blackhole", f"{HERE}/32")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Have a namespace inside the block.

    Raises:
        NoNamespaceError: we may not, or there is no `ip`.
    """
    if shutil.which("ip") is None or os.geteuid() != 0:
        raise NoNamespaceError("needs root and iproute2")
    name = f"bench-{os.getpid()}"
    cable, end = f"bh{os.getpid()}", f"bt{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", cable, "type", "veth", "peer", "name", end, "netns", name)
        _ip("address", "add", f"{HERE}/30", "dev", cable)
        _ip("link", "set", cable, "up")
        _ip("-n", name, "address", "add", f"{THERE}/30", "dev", end)
        for device in (end, "lo"):
            _ip("-n", name, "link", "set", device, "up")
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)  # noqa: S607


def seeing(resolv_conf: Path) -> Sequence[str]:
    """Return the launcher that shows a program this file as `/etc/resolv.conf`.

    Raises:
        NoNamespaceError: we may not, or there is no `unshare`.
    """
    if shutil.which("unshare") is None or os.geteuid() != 0:
        raise NoNamespaceError("needs root and util-linux")
    mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return "unshare", "--mount", "sh", "-c", mounted, str(resolv_conf)


def _ip(*words: str) -> None:
    ended = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)  # noqa: S607
    if ended.returncode:
        raise NoNamespaceError(f"ip {' '.join(words)}: {ended.stderr.strip()}")
