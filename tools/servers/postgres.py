"""A real PostgreSQL."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from tools.servers.server import Server, ServerFailed, TlsFiles, find_command

_NOBODY: Final = 65534
_IN_HASTE: Final = (
    "fsync = off",
    "full_page_writes = off",
    "max_wal_senders = 4",
)


class PostgresServer(Server):
    """A PostgreSQL of our own, on a TCP port and on a unix socket, with the superuser `postgres`.

    Given `password`, it is asked for on TCP (SCRAM); `hba` goes before that line of pg_hba.conf, and `config`
    takes further lines of postgresql.conf. With `primary` it becomes that server's streaming replica. It runs
    as nobody when we are root, which PostgreSQL refuses to be.
    """

    title = "postgres"
    end_signal = signal.SIGINT  # SIGTERM waits for the clients to go (postgresql.org/docs, server-shutdown)

    def __init__(
        self,
        folder: Path,
        *,
        password: str | None = None,
        tls: TlsFiles | None = None,
        hba: Sequence[str] = (),
        config: Sequence[str] = (),
        primary: "PostgresServer | None" = None,
    ) -> None:
        super().__init__(folder)
        self.password = password
        self.tls = tls
        self._hba = tuple(hba)
        self._config = tuple(config)
        self._primary = primary

    @property
    def url(self) -> str:
        """The TCP port's URL for the superuser, with the password if there is one."""
        return self.url_for("postgres", self.password)

    def url_for(self, user: str, password: str | None = None, *, database: str = "postgres") -> str:
        """Return the TCP port's URL for a user."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgres://{quote(user, safe='')}{secret}@{self.host}:{self.port}/{quote(database, safe='')}"

    @property
    def unix_socket(self) -> Path:
        """The unix socket that it listens on, where everybody is trusted."""
        return self.folder / f".s.PGSQL.{self.port}"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def sql(self, *statements: str, database: str = "postgres") -> list[str]:
        """Return the rows, their columns between bars, of statements of the superuser.

        Raises:
            ServerFailed: one of them was refused, or nobody answered.
        """
        commands = [word for statement in statements for word in ("-c", statement)]
        where = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database]
        return self._client("psql", *where, "-XqAt", "-v", "ON_ERROR_STOP=1", *commands).splitlines()

    def kill(self) -> None:
        """End it at once: the backends lead sessions of their own, and are killed one by one."""
        family = self._backends()
        super().kill()
        for pid in family:
            _end(pid)

    def pause(self) -> None:
        """Let it and all its backends hang."""
        super().pause()
        for pid in self._backends():
            _signal(pid, signal.SIGSTOP)
            _wait_until_stopped(pid)

    def resume(self) -> None:
        """Let it and all its backends go on."""
        for pid in self._backends():
            _signal(pid, signal.SIGCONT)
        super().resume()

    def stop(self) -> None:
        """End it as it likes to be ended; its clients are disconnected."""
        self.resume()
        super().stop()

    def reload(self) -> Self:
        """Let it read its configuration files again."""
        self.sql("SELECT pg_reload_conf()")
        return self

    def demote(self) -> None:
        """Make it a standby from its next start on, until it is promoted."""
        (self.data / "standby.signal").touch()

    def promote(self) -> None:
        """Make a standby that runs a primary, which it becomes within a moment."""
        self._client("pg_ctl", "promote", "--no-wait", "-D", str(self.data))

    def _backends(self) -> list[int]:
        if self.pid is None:
            return []
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def _choose_ports(self) -> None:
        self.port = self._hold_port()

    def _launch(self) -> None:
        if not self.data.exists():
            self._create()
        self._spawn([*_not_as_root(), find_command("postgres"), "-D", str(self.data)])

    def _create(self) -> None:
        if self._primary is None:
            self._initialize()
        else:
            source = f"host={self._primary.folder} port={self._primary.port} user=postgres"
            self._client("pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "--no-sync", "-d", source)
        self._append("postgresql.conf", [*self._lines(), *self._tls_lines(), *self._config])

    def _initialize(self) -> None:
        secret = self.folder / "password"
        secret.write_text(f"{self.password or 'unused'}\n")
        secret.chmod(0o600)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._client("initdb", "-D", str(self.data), "-U", "postgres", *options, f"--pwfile={secret}")
        method = "trust" if self.password is None else "scram-sha-256"
        lines = [
            "local all all trust",
            "local replication all trust",
            *self._hba,
            f"host all all samenet {method}",
        ]
        (self.data / "pg_hba.conf").write_text("\n".join([*lines, ""]))

    def _lines(self) -> list[str]:
        return [
            f"listen_addresses = '{self.host}'",
            f"port = {self.port}",
            f"unix_socket_directories = '{self.folder}'",
            *_IN_HASTE,
        ]

    def _tls_lines(self) -> list[str]:
        if self.tls is None:
            return []
        files = {"server.crt": self.tls.cert, "server.key": self.tls.key, "ca.crt": self.tls.ca}
        for name, source in files.items():
            path = self.data / name
            shutil.copyfile(source, path)
            path.chmod(0o600)
            shutil.chown(path, self.data.stat().st_uid)
        return ["ssl = on", "ssl_ca_file = 'ca.crt'"]

    def _append(self, name: str, lines: Sequence[str]) -> None:
        with (self.data / name).open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    def _client(self, command: str, *words: str) -> str:
        """Return what one of PostgreSQL's own commands prints."""
        ended = subprocess.run(
            [*_not_as_root(), find_command(command), *words],
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LC_ALL": "C"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        if ended.returncode:
            raise ServerFailed(f"{command} answered: {ended.stderr.strip()}")
        return ended.stdout

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except ServerFailed:
            return False
        return True


def _not_as_root() -> list[str]:
    """Return what goes before a command, so that it does not run as root, and may use root's folders.

    The signal of our death is asked for again, since a change of the user clears it (prctl(2)).
    """
    if os.geteuid() != 0:
        return []
    rights = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--pdeathsig=KILL"]
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *rights, "--"]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_until_stopped(pid: int) -> None:
    """Return when a process that is not our child has stopped, or ended; nobody tells us of it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZX":
            time.sleep(0.001)


def _end(pid: int) -> None:
    """Kill a process that is not our child, and return when it has ended."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        with os.fdopen(descriptor):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 5)
