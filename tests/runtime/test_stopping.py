"""Real processes, real signals: whatever refuses to stop, the end comes within the limit and with code 0."""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass

import pytest

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.runtime.program import BEHAVIOURS

SLACK = 2.0
"""Seconds that a busy machine may add."""


@dataclass(frozen=True)
class End:
    """How a process ended: its exit code, the seconds that it took, and what it said last."""

    code: int
    seconds: float
    said: str


async def end_of(behaviour: str, *signals: signal.Signals) -> End:
    """Start the program, wait until it misbehaves, send the signals, and return how it ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.runtime.program", behaviour),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
            began = time.monotonic()
            for number in signals:
                process.send_signal(number)
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return End(process.returncode or 0, time.monotonic() - began, said.decode())


ENDS = {
    # behaviour: the seconds that its end takes
    "waits": 0.0,
    "ignores its cancellation": 1.2,
    "imports its driver": 0.0,
    "is told to stop while it starts": 0.0,
    "blocks the event loop": STOP_LIMIT,
}


async def test_one_stop_signal_ends_every_process_in_time() -> None:
    stops_itself = "is told to stop while it starts"
    ends = dict(
        zip(
            ENDS,
            await asyncio.gather(
                *(end_of(each, *([] if each == stops_itself else [signal.SIGTERM])) for each in ENDS)
            ),
            strict=True,
        )
    )

    expected = {behaviour: (0, True, behaviour == "blocks the event loop") for behaviour in BEHAVIOURS}
    assert {
        behaviour: (
            end.code,
            ENDS[behaviour] <= end.seconds < ENDS[behaviour] + SLACK,
            "did not stop in time" in end.said,
        )
        for behaviour, end in ends.items()
    } == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_blocked_process_at_once(number: signal.Signals) -> None:
    # two of the same may be merged into one by the kernel
    other = signal.SIGINT if number is signal.SIGTERM else signal.SIGTERM

    end = await end_of("blocks the event loop", number, other)

    assert (end.code, end.seconds < STOP_LIMIT, end.said) == (0, True, "told to stop again, leaving\n")
