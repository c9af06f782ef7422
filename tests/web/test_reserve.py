"""A listener that accepts when no descriptor is left for anybody else."""

import errno
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from sidecar.web.listeners import bind
from sidecar.web.reserve import RESERVE, keep_reserve
from tests.descriptors import none_left

Limit = tuple[int, int]


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_listener_accepts_when_no_descriptor_is_left() -> None:
    (listener,) = bind(["127.0.0.1"], 0)
    with listener, socket.create_connection(listener.getsockname()), none_left():
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        accepted, _ = listener.accept()
        accepted.close()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/dev/null", os.O_RDONLY)


def test_any_other_error_is_the_callers() -> None:
    (listener,) = bind(["127.0.0.1"], 0)
    listener.setblocking(False)
    with listener, pytest.raises(BlockingIOError) as nobody:
        listener.accept()

    assert nobody.value.errno == errno.EAGAIN


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4096, 4096), (4096 - RESERVE, 4096)),
        ((4090, 4096), (4096 - RESERVE, 4096)),
        ((1024, 4096), (1024, 4096)),
        ((32, 32), (32, 32)),
        ((-1, -1), (-1, -1)),
        ((-1, 4096), (4096 - RESERVE, 4096)),
        ((4096 - RESERVE, 4096), (4096 - RESERVE, 4096)),
    ],
)
def test_the_reserve_lies_above_the_soft_limit(
    before: Limit, after: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [before]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    keep_reserve()

    monkeypatch.undo()
    assert limits[-1] == after
