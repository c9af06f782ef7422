"""Stop signals: heard in a thread, told once, and obeyed within the limit whatever refuses to stop."""

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from sidecar.runtime.lifecycle import LAST_WORDS_WITHIN, STOP_LIMIT, Signals

FOR_EVER = 60.0
"""Seconds: no test waits so long, but one that fails."""


@dataclass
class Witness:
    """Notes what the signals led to, and wakes who waits for it."""

    stopped: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    said: list[str] = field(default_factory=list)

    def stop(self) -> None:
        self.said.append(f"stop in {threading.current_thread().name}")
        self.stopped.set()

    def leave(self, code: int) -> None:
        self.said.append(f"leave with {code}")
        self.left.set()


@pytest.fixture
def witness() -> Witness:
    return Witness()


def send(number: signal.Signals) -> None:
    """Send a signal to this process, as the kubelet or a person would."""
    os.kill(os.getpid(), number)


def listener() -> threading.Thread | None:
    """Return the thread that listens, if one does."""
    return next((thread for thread in threading.enumerate() if thread.name == "stop-signals"), None)


def ended(thread: threading.Thread | None) -> bool:
    """Wait for the end of a thread."""
    assert thread is not None
    thread.join(10)
    return not thread.is_alive()


@contextmanager
def handled(number: signal.Signals) -> Iterator[None]:
    """Give a signal that is none of ours a handler in Python, so that it wakes us too."""
    previous = signal.signal(number, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(number, previous)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_is_told_once_and_a_clean_stop_is_left_alone(
    witness: Witness, number: signal.Signals
) -> None:
    with Signals(witness.stop, leave=witness.leave, limit=FOR_EVER):
        listening = listener()
        send(number)
        witness.stopped.wait(10)

    assert (ended(listening), witness.said) == (True, ["stop in stop-signals"])


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_stop_signal_ends_the_process_at_once(witness: Witness, second: signal.Signals) -> None:
    with Signals(witness.stop, leave=witness.leave, limit=FOR_EVER):
        listening = listener()
        send(signal.SIGTERM)
        witness.stopped.wait(10)
        send(second)
        witness.left.wait(10)

    assert (ended(listening), witness.said) == (True, ["stop in stop-signals", "leave with 0"])


def test_what_does_not_stop_is_ended_at_the_limit_and_the_log_says_so(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    with Signals(witness.stop, leave=witness.leave, limit=0.05):
        listening = listener()
        began = time.monotonic()
        send(signal.SIGTERM)
        witness.left.wait(10)
        took = time.monotonic() - began

    assert (ended(listening), witness.said, took >= 0.05) == (
        True,
        ["stop in stop-signals", "leave with 0"],
        True,
    )
    assert [(r.levelname, r.message) for r in caplog.records] == [("ERROR", "did not stop in time, leaving")]


def test_a_hangup_reloads_as_often_as_it_comes_and_stops_nothing(witness: Witness) -> None:
    reloaded: queue.Queue[str] = queue.Queue()
    with Signals(witness.stop, leave=witness.leave, reload=lambda: reloaded.put("again"), limit=FOR_EVER):
        listening = listener()
        told = []
        for _ in range(2):
            send(signal.SIGHUP)
            told.append(reloaded.get(timeout=10))

    assert (told, ended(listening), witness.said) == (["again", "again"], True, [])


def test_the_limits_leave_room_in_the_sidecars_grace_of_five_seconds() -> None:
    assert (STOP_LIMIT, LAST_WORDS_WITHIN) == (3.0, 0.2)


def test_a_limit_of_nothing_ends_the_process_at_once(witness: Witness) -> None:
    with Signals(witness.stop, leave=witness.leave, limit=0.0):
        listening = listener()
        send(signal.SIGTERM)
        witness.left.wait(10)

    assert (ended(listening), witness.said) == (True, ["stop in stop-signals", "leave with 0"])


def test_a_stop_signal_is_heard_among_others_that_came_with_it(witness: Witness) -> None:
    sent = threading.Event()

    def stop() -> None:
        witness.stop()
        sent.wait(10)

    with handled(signal.SIGUSR1), Signals(stop, leave=witness.leave, limit=FOR_EVER):
        listening = listener()
        send(signal.SIGTERM)
        witness.stopped.wait(10)
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        sent.set()
        in_time = witness.left.wait(10)

    assert (ended(listening), in_time) == (True, True)


def test_the_limit_counts_from_the_longest_time_that_a_drain_takes(witness: Witness) -> None:
    with Signals(witness.stop, leave=witness.leave, longest_drain=lambda: 0.1, limit=0.05):
        listening = listener()
        began = time.monotonic()
        send(signal.SIGTERM)
        witness.left.wait(10)
        took = time.monotonic() - began

    assert (ended(listening), witness.said[-1], took >= 0.15) == (True, "leave with 0", True)


def test_the_limit_counts_from_the_end_of_a_drain_that_is_over_earlier(witness: Witness) -> None:
    with Signals(witness.stop, leave=witness.leave, longest_drain=lambda: FOR_EVER, limit=0.05) as signals:
        listening = listener()
        send(signal.SIGTERM)
        witness.stopped.wait(10)
        signals.hurry()
        in_time = witness.left.wait(10)

    assert (ended(listening), witness.said[-1], in_time) == (True, "leave with 0", True)


def test_other_signals_neither_stop_nor_call_off_the_limit(witness: Witness) -> None:
    with (
        handled(signal.SIGUSR1),
        Signals(witness.stop, leave=witness.leave, limit=0.1),
    ):
        listening = listener()
        send(signal.SIGUSR1)
        before = witness.stopped.wait(0.02)
        send(signal.SIGTERM)
        witness.stopped.wait(10)
        send(signal.SIGUSR1)
        witness.left.wait(10)

    assert (before, ended(listening), witness.said) == (
        False,
        True,
        ["stop in stop-signals", "leave with 0"],
    )


class StuckHandler(logging.Handler):
    """Waits for a reader that has stalled."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        del record
        self.released.wait(10)


def test_a_log_that_is_stuck_does_not_hold_up_the_end(witness: Witness) -> None:
    stuck, log = StuckHandler(), logging.getLogger("sidecar.runtime.lifecycle")
    log.addHandler(stuck)
    try:
        with Signals(witness.stop, leave=witness.leave, limit=0.01):
            listening = listener()
            send(signal.SIGTERM)
            in_time = witness.left.wait(5)
            holds_up_the_exit = [
                not each.daemon for each in threading.enumerate() if each.name == "last-words"
            ]
    finally:
        stuck.released.set()
        log.removeHandler(stuck)

    assert (ended(listening), in_time, witness.said[-1], holds_up_the_exit) == (
        True,
        True,
        "leave with 0",
        [False],
    )


def test_leaving_the_block_without_a_signal_ends_the_listening(witness: Witness) -> None:
    with Signals(witness.stop, leave=witness.leave) as signals:
        listening = listener()

    assert (type(signals), ended(listening), witness.said) == (Signals, True, [])


def test_listening_does_not_hold_up_the_exit_of_the_interpreter(witness: Witness) -> None:
    with Signals(witness.stop, leave=witness.leave):
        listening = listener()
        assert listening is not None

    assert (listening.daemon, ended(listening)) == (True, True)


def in_place() -> tuple[object, ...]:
    """Return what is in place to handle signals: two handlers and the wake-up descriptor."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    return *(signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)), descriptor


def test_leaving_the_block_restores_what_was_there_before(witness: Witness) -> None:
    before = in_place()
    with Signals(witness.stop, leave=witness.leave):
        inside = in_place()
        listening = listener()

    assert (ended(listening), in_place() == before, set(inside) & set(before)) == (True, True, set())
