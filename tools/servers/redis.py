"""A real Redis."""

import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from tools.servers.server import Server, ServerFailed, TlsFiles, find_command


class RedisServer(Server):
    """A Redis of our own, on a TCP port, on a unix socket and, given `tls`, on a TLS port.

    `config` takes any further lines of redis.conf, and wins over what is set here:
    `user probe on >secret ~* -@all +ping +echo`, `replicaof 127.0.0.1 6379`, `maxmemory 1mb`.
    """

    title = "redis-server"

    tls_port = 0  # until the first start, and without `tls`

    def __init__(
        self,
        folder: Path,
        *,
        password: str | None = None,
        tls: TlsFiles | None = None,
        config: Sequence[str] = (),
    ) -> None:
        super().__init__(folder)
        self.password = password
        self.tls = tls
        self._config = tuple(config)

    @property
    def url(self) -> str:
        """The plain port's URL, with the default user's password if it has one."""
        return f"redis://{self._userinfo}{self.host}:{self.port}/0"

    @property
    def tls_url(self) -> str:
        """The TLS port's URL, with the default user's password if it has one."""
        return f"rediss://{self._userinfo}{self.host}:{self.tls_port}/0"

    @property
    def unix_socket(self) -> Path:
        """The unix socket that it listens on."""
        return self.folder / "redis.sock"

    @property
    def unix_url(self) -> str:
        """The unix socket's URL, with the default user's password if it has one."""
        return f"unix://{self._userinfo}{quote(str(self.unix_socket))}"

    def command(self, *words: str | int) -> object:
        """Return the reply to one command of the default user, over a connection of its own.

        Bulk and status replies are text, arrays are lists, a null is None.

        Raises:
            ServerFailed: The reply was an error.
            OSError: There was none within five seconds.
        """
        with (
            closing(socket.create_connection((self.host, self.port), timeout=5)) as connection,
            connection.makefile("rb") as replies,
        ):
            if self.password is not None:
                connection.sendall(_encode("AUTH", self.password))
                _read_reply(replies)
            connection.sendall(_encode(*words))
            return _read_reply(replies)

    @property
    def _userinfo(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def _choose_ports(self) -> None:
        self.port = self._hold_port()
        self.tls_port = self._hold_port() if self.tls else 0

    def _launch(self) -> None:
        path = self.folder / "redis.conf"
        path.write_text("\n".join([*self._basic_lines(), *self._tls_lines(), *self._config, ""]))
        path.chmod(0o600)
        self._spawn([find_command("redis-server"), str(path)])

    def _basic_lines(self) -> list[str]:
        lines = [f"bind {self.host}", f"port {self.port}", f"dir {_quoted(str(self.folder))}", "daemonize no"]
        lines += [f"unixsocket {_quoted(str(self.unix_socket))}"]
        if self.password is not None:
            lines += [f"{key} {_quoted(self.password)}" for key in ("requirepass", "masterauth")]
        return lines

    def _tls_lines(self) -> list[str]:
        if self.tls is None:
            return []
        return [
            f"tls-port {self.tls_port}",
            f"tls-cert-file {_quoted(str(self.tls.cert))}",
            f"tls-key-file {_quoted(str(self.tls.key))}",
            f"tls-ca-cert-file {_quoted(str(self.tls.ca))}",
            f"tls-auth-clients {'yes' if self.tls.wants_client_certificate else 'no'}",
        ]

    def _answers(self) -> bool:
        try:
            self.command("PING")
        except ServerFailed as refused:
            return "LOADING" not in str(refused)
        return True


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encode(*words: str | int) -> bytes:
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _read_reply(replies: BinaryIO) -> object:
    """Read one RESP2 reply (redis.io/docs/latest/develop/reference/protocol-spec)."""
    line = replies.readline()
    kind, rest = line[:1], line[1:].rstrip().decode(errors="replace")
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"-":
            raise ServerFailed(f"redis-server answered: {rest}")
        case b"$" if rest != "-1":
            return replies.read(int(rest) + 2)[:-2].decode(errors="replace")
        case b"*" if rest != "-1":
            return [_read_reply(replies) for _ in range(int(rest))]
        case b"$" | b"*":
            return None
        case _:
            raise ConnectionResetError("redis-server closed the connection")
