"""TLS towards others: contexts that are shared, and none that is filled for nobody."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from sidecar.support.descriptors import expect_one_more

_contexts: Final[WeakValueDictionary[object, ssl.SSLContext]] = WeakValueDictionary()
_building: Final = threading.Lock()


def tls_context(
    *, ca: str | None = None, cert: str | None = None, key: str | None = None, insecure: bool = False
) -> ssl.SSLContext:
    """Return a client's TLS context; reads files, so call it in a thread.

    `ca` replaces the system's authorities (which `SSL_CERT_FILE` names); `cert` and `key` are our own;
    `insecure` verifies nothing. A context costs 10 ms and 1 MiB: all who ask for the same, from files that
    have not changed meanwhile, share one while any of them keeps it.

    Raises:
        OSError: a file cannot be read, or is no certificate (then an `ssl.SSLError`), or no descriptor is
            left.
    """
    system = None if ca else ssl.get_default_verify_paths().cafile
    wanted = (*(_fingerprint(path) for path in (ca, system, cert, key)), insecure)
    with _building:
        context = _contexts.get(wanted)
        if context is None:
            context = _contexts[wanted] = _new_context(ca, cert, key, insecure=insecure)
        return context


@contextmanager
def authorities_put_off() -> Iterator[None]:
    """Have contexts that are made inside the block read the system's authorities for their first connection.

    aiohttp makes two with all of them when it is imported, for requests that name none: a sixth of a start,
    and 2 MiB of each pod. Ours name one; what is left are an HTTPS proxy, and plug-ins. Contexts that are
    given authorities of their own have them at once. For imports at the start, while there is one thread:
    the block changes `ssl` for all.
    """

    def wait(context: ssl.SSLContext) -> None:
        context.__class__ = _WaitingContext

    ssl.SSLContext.set_default_verify_paths = wait  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths


class _WaitingContext(ssl.SSLContext):
    """A context that reads the system's authorities for its first connection."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Read them, be a context like any other from here on, and wrap."""
        expect_one_more()
        self.__class__ = ssl.SSLContext  # type: ignore[assignment]  # which differs in this method alone
        self.set_default_verify_paths()
        return self.wrap_bio(*args, **options)


def _fingerprint(path: str | None) -> tuple[str, int, int, int] | None:
    if path is None:
        return None
    found = Path(path).stat()
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _new_context(ca: str | None, cert: str | None, key: str | None, *, insecure: bool) -> ssl.SSLContext:
    expect_one_more()  # without one `ssl` would trust nobody, and say nothing
    context = ssl.create_default_context(cafile=ca)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(cert, key, password="")  # without one OpenSSL asks a terminal for it
    return context
