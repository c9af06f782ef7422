"""Looks names up through c-ares, on sockets that the event loop watches.

Without c-ares' own event thread there is no thread to wait for at the exit, and no inotify instance a pod: a
node has 128 of them for each user id, and most sidecars have the same.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import pycares
from pycares import ARES_SOCKET_BAD, AresError, errno

from sidecar.support.descriptors import expect_one_more

ABSENT: Final = frozenset({errno.ARES_ENOTFOUND, errno.ARES_ENODATA, errno.ARES_ENONAME, errno.ARES_EBADNAME})
"""Codes of an `AresError` that say: there is no such name, or it has no such record."""
UNANSWERED: Final = frozenset({errno.ARES_ETIMEOUT, errno.ARES_ECANCELLED})
"""Codes of an `AresError` that say: no server has answered."""

_SERVER_FAILED: Final = frozenset({errno.ARES_ESERVFAIL, errno.ARES_EREFUSED})
_SHORTEST_WAIT: Final = 0.001


class Resolver:
    """One c-ares channel and its cache, in which an answer stays for as long as its TTL says.

    Reads `/etc/hosts`, and once `resolv.conf` with its search domains. Options such as `servers` go to
    `pycares.Channel`; never `resolvconf_path` or `lookups`, whose memory it frees too early. Its maker closes
    it.

    Raises:
        OSError: no descriptor is left, so that c-ares would go on for ever without `resolv.conf`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        expect_one_more()
        self._loop = loop
        self._asked: set[asyncio.Future[Any]] = set()
        self._watched: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._channel: Any = pycares.Channel(sock_state_cb=self._watch, **options)

    async def addresses(self, host: str, port: int | None = None, **hints: int) -> list[pycares.AddrInfoNode]:
        """Return the addresses of a host, those first that we can probably reach (RFC 6724).

        `hints` are `family`, `type` and `proto`, as `getaddrinfo` has them.

        Raises:
            AresError: there is none, or no answer.
            OSError: nobody can be asked, for no descriptor is left.
            UnicodeError: no name of a host has this form.
        """
        look_up = partial(self._channel.getaddrinfo, port=port, **hints)
        try:
            found: pycares.AddrInfoResult = await self._ask(partial(look_up, host))
        except AresError as error:
            if error.args[0] not in _SERVER_FAILED or "." not in host:
                raise
            # As in glibc, and not in c-ares, a search domain whose servers fail is not the last word.
            found = await self._ask(partial(look_up, f"{host.rstrip('.')}."))
        return found.nodes

    async def records(self, name: str, kind: int) -> list[pycares.DNSRecord]:
        """Return the records of a name that are of a kind, one of `pycares.QUERY_TYPE_*`.

        Raises:
            AresError: there is none, or no answer.
            OSError: nobody can be asked, for no descriptor is left.
            UnicodeError: no name has this form.
        """
        found: pycares.DNSResult = await self._ask(partial(self._channel.search, name, kind))
        return [record for record in found.answer if record.type == kind]

    def close(self) -> None:
        """Give up every look-up and every socket; safe twice."""
        if self._is_closed:
            return
        with suppress(RuntimeError):  # the channel is gone where both were garbage together
            self._channel.cancel()
        for descriptor in tuple(self._watched):
            self._watch(descriptor, readable=False, writable=False)
        # From now on c-ares calls from a thread of pycares, which destroys the channel.
        self._is_closed = True
        self._set_timer()
        self._channel.close()
        del self._channel  # it holds us: two in a circle would wait for the garbage collector

    async def _ask(self, start: Callable[..., None]) -> Any:
        """Return what c-ares calls back with; it goes on asking for one who no longer waits."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._asked.add(answer)
        try:
            start(callback=partial(self._settle, answer))
        except AresError as error:
            self._settle(answer, None, error.args[0])
        except Exception:
            self._asked.discard(answer)
            raise
        self._set_timer()
        try:
            return await answer
        finally:
            del answer  # an error's traceback holds this frame: a circle again

    def _settle(self, answer: asyncio.Future[Any], result: object, code: int | None) -> None:
        self._asked.discard(answer)
        if answer.done():
            return
        if code is None:
            answer.set_result(result)
        else:
            answer.set_exception(_error(code))

    def _watch(self, descriptor: int, readable: bool, writable: bool) -> None:
        """Watch a socket for what c-ares waits for on it: for nothing, when it is about to be closed."""
        if self._is_closed:
            return
        if readable:
            self._loop.add_reader(descriptor, self._process, descriptor, ARES_SOCKET_BAD)
        else:
            self._loop.remove_reader(descriptor)
        if writable:
            self._loop.add_writer(descriptor, self._process, ARES_SOCKET_BAD, descriptor)
        else:
            self._loop.remove_writer(descriptor)
        (self._watched.add if readable or writable else self._watched.discard)(descriptor)

    def _process(self, readable: int = ARES_SOCKET_BAD, writable: int = ARES_SOCKET_BAD) -> None:
        self._channel.process_fd(readable, writable)
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake up when c-ares next wants to ask again or to give up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asked and not self._is_closed:
            seconds = max(self._channel.timeout(), _SHORTEST_WAIT)
            self._timer = self._loop.call_later(seconds, self._process)


def _error(code: int) -> AresError | OSError:
    """Return what a code means: where no descriptor is left, c-ares says that no server listens."""
    if code == errno.ARES_ECONNREFUSED:
        try:
            expect_one_more()
        except OSError as error:
            return error
    return AresError(code, errno.strerror(code))
