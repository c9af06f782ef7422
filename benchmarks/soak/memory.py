"""The memory of a process at rest, and by how much it grows.

What is wanted is what runs leave behind, and not what allocator and interpreter keep for the next ones:
rubbish is collected first, caches of attributes are emptied, and pages that hold nothing go back to the
kernel.
"""

import ctypes
import gc
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

CONFIDENCE: Final = 1.96
"""Standard deviations that 95 of 100 values of a normal distribution are within."""
COUNTS: Final = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
"""The fields of glibc's `struct mallinfo2` (mallinfo(3))."""
ROLLUP: Final = Path("/proc/self/smaps_rollup")
"""Exact, where `statm` may be some pages behind (kernel.org/doc/Documentation/filesystems/proc.rst)."""


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in COUNTS.split())


LIBC: Final = ctypes.CDLL(None)
LIBC.mallinfo2.restype = _Mallinfo


class Look(NamedTuple):
    """What there was after so many runs."""

    runs: int
    resident: int
    """KiB."""
    allocated: int
    """KiB."""


@dataclass(frozen=True, slots=True)
class Slope:
    """By how much something grows for each of something else: the likeliest, and bounds that hold 95 %."""

    value: float
    low: float
    high: float


def resident() -> int:
    """Return the KiB of memory that the process cannot do without."""
    gc.collect()
    # It keeps up to 4,096 names that C code has made for a look-up.
    sys._clear_type_cache()  # noqa: SLF001 - what the manual names for this
    LIBC.malloc_trim(0)
    fields = (line.split() for line in ROLLUP.read_text().splitlines())
    return next(int(values[0]) for name, *values in fields if name == "Rss:")


def allocated() -> int:
    """Return the KiB that malloc has given out: to C code, and with `PYTHONMALLOC=malloc` to Python too."""
    counts = LIBC.mallinfo2()
    return int(counts.uordblks + counts.hblkhd) // 1024


def resident_slope(looks: Iterable[Look]) -> Slope:
    """Return the KiB by which the resident memory grows in 1,000 runs."""
    return slope([(look.runs, look.resident) for look in looks])


def allocated_slope(looks: Iterable[Look]) -> Slope:
    """Return by how many KiB more are allocated in 1,000 runs."""
    return slope([(look.runs, look.allocated) for look in looks])


def slope(points: Sequence[tuple[int, int]]) -> Slope:
    """Return the median slope between any two points, in units of y for 1,000 of x (Theil and Sen).

    A straight line through all of them would follow the few that were taken amid a burst. The bounds are
    slopes too, as many places from the middle as Kendall's test allows (Sen 1968, equation 6.1).
    """
    pairs = ((a, b) for index, a in enumerate(points) for b in points[index + 1 :] if b[0] > a[0])
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) * 1000 for a, b in pairs) or [0.0]
    count = len(points)
    spread = CONFIDENCE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((len(slopes) - spread) / 2) - 1, math.ceil((len(slopes) + spread) / 2)
    return Slope(median(slopes), slopes[max(low, 0)], slopes[min(high, len(slopes) - 1)])
