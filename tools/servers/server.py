"""One real server: its ports, its processes, its log, and the signals a test sends it."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

# Debian keeps daemons outside a plain user's PATH. RabbitMQ's own folder comes first: what lies in /usr/sbin
# under the same names is a wrapper that changes the user and insists on the system's folders.
_BEFORE_PATH = "/usr/lib/rabbitmq/bin"
_AFTER_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
_POSTGRES = Path(
    "/usr/lib/postgresql"
)  # holds a folder a version; its wrappers of `psql` want clusters of Debian's

# The kernel's "tell me when my parent dies" means the thread that forked, not its process: a server that a
# passing thread started (asyncio.to_thread) would die with that thread. This one lives as long as we do.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servers")


class ServerMissing(Exception):
    """A server's command is not on this machine. The text names it and says what to do."""


class ServerFailed(Exception):
    """A server did not start, or refused what was asked of it. The text holds its last words."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files that a server needs in order to speak TLS."""

    cert: Path
    key: Path
    ca: Path
    wants_client_certificate: bool = False


def find_command(name: str) -> str:
    """Return where a server's command is, also when a plain user's PATH does not tell.

    Raises:
        ServerMissing: It is not on this machine.
    """
    newest = [str(path) for path in sorted(_POSTGRES.glob("*/bin"), reverse=True)]
    path = ":".join([_BEFORE_PATH, *newest, os.environ.get("PATH", os.defpath), _AFTER_PATH])
    found = shutil.which(name, path=path)
    if found is None:
        raise ServerMissing(f"{name} is not on this machine: run tools/install-servers, or put it on PATH")
    return found


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    death_signal: str = "KILL",
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which receives the signal when we die, however we die.

    Without `output` it writes where we write.
    """
    guard = ["setpriv", f"--pdeathsig={death_signal}", "--"] if shutil.which("setpriv") else []

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*guard, *command],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    return _forker.submit(start).result()


class Server(ABC):
    """A real server on free loopback ports, with all that it writes in one folder.

    Its ports are chosen at the first start and held until `close`: a stopped server's port refuses, belongs
    to nobody else, and is the same after a restart. All methods block, and may be called from any thread, one
    at a time, and in any state: what is already so stays so. As a context manager it is started and closed.
    """

    title: ClassVar[str]
    patience: ClassVar[float] = 60.0  # seconds that a start may take on a busy machine
    grace: ClassVar[float] = 5.0  # seconds between asking a process to end and killing it
    end_signal: ClassVar[signal.Signals] = signal.SIGTERM  # asks it to end

    host = "127.0.0.1"
    port = 0  # until the first start

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: list[socket.socket] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether every process of it lives. A paused one does."""
        return bool(self._processes) and all(process.poll() is None for process in self._processes)

    @property
    def pid(self) -> int | None:
        """The process to signal by hand, which also leads its process group; None unless running."""
        return self._processes[-1].pid if self.is_running else None

    @property
    def log(self) -> Path:
        """Where everything that its processes print goes."""
        return self.folder / f"{self.title}.log"

    def start(self) -> Self:
        """Start, on the ports and data of last time if there was one; return when the server answers.

        Raises:
            ServerMissing: Its command is not on this machine.
            ServerFailed: It ended, or did not answer within `patience`.
        """
        if self.is_running:
            return self
        self.kill()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._held:
            self._choose_ports()
        try:
            self._launch()
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it as it likes to be ended, its data whole; kill what has not ended after `grace`."""
        for process in reversed(self._processes):
            _signal_group(process, self.end_signal)
            _signal_group(process, signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.grace)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash of its machine would."""
        for process in self._processes:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        self._processes = []

    def pause(self) -> None:
        """Let it hang: the kernel goes on accepting connections for it, and nobody answers them."""
        for process in self._processes:
            _signal_group(process, signal.SIGSTOP)
        for process in self._processes:
            _wait_until_stopped(process)

    def resume(self) -> None:
        """Let it go on after `pause`, with all that has come in meanwhile."""
        for process in self._processes:
            _signal_group(process, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it if it runs, and start it again on the same ports and data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End it and give its ports back. Its folder stays."""
        self.stop()
        for held in self._held:
            held.close()
        self._held = []

    @abstractmethod
    def _choose_ports(self) -> None:
        """Set every port that the server needs, each by `_hold_port`."""

    @abstractmethod
    def _launch(self) -> None:
        """Write the configuration and spawn each process by `_spawn`, the one that serves last."""

    @abstractmethod
    def _answers(self) -> bool:
        """Ask the server the cheapest question that proves it ready. May raise OSError for no."""

    def _hold_port(self) -> int:
        """Return a free port that nobody else is given while this server exists.

        Bound but not listening: connections are refused, neither the kernel's automatic choice nor another
        test's takes it, and a server, which binds with SO_REUSEADDR too, can listen on it (ip(7), socket(7)).
        """
        holder = socket.socket()
        self._held.append(holder)
        holder.bind((self.host, 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return int(holder.getsockname()[1])

    def _spawn(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, death_signal: str = "KILL"
    ) -> None:
        """Start a process in a group of its own, which receives the signal when we die, however we die."""
        with self.log.open("ab") as log:
            process = spawn(command, cwd=self.folder, env=env, output=log, death_signal=death_signal)
        self._processes.append(process)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            if not self.is_running:
                raise ServerFailed(
                    f"{self.title} ended before it answered; its last words: {self._last_words()}"
                )
            with suppress(OSError, http.client.HTTPException):
                if self._answers():
                    return
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.title} did not answer in {self.patience:g}s: {self._last_words()}")
            time.sleep(0.02)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-8:] if line.strip())


def ask_http(
    host: str,
    port: int,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Return status and body of one request on a connection of its own."""
    with closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()


def _wait_until_stopped(process: subprocess.Popen[bytes]) -> None:
    """Return when every thread has stopped, or the process ended: a busy machine takes 0.1 s for it."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
