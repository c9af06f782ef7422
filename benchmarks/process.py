"""What the kernel tells of a process: processor time and memory (proc(5))."""

import time
from pathlib import Path
from typing import Final, NamedTuple

CPU_CLOCK_OF_PROCESS: Final = 2
"""What clock_getcpuclockid(3) puts into the low bits of a clock that counts all threads of a process."""
KIB: Final = 1024


class Memory(NamedTuple):
    """Bytes in memory: all, our share of what is shared, and what would be free without the process."""

    rss: int
    pss: int
    private: int


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used, its ended threads included, its children not."""
    return time.clock_gettime(~pid << 3 | CPU_CLOCK_OF_PROCESS)


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines}
    return Memory(sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])
