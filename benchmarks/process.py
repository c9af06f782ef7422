"""What the kernel tells of a process: processor time and memory (proc(5))."""

import os
from pathlib import Path
from typing import Final, NamedTuple

TICKS: Final = os.sysconf("SC_CLK_TCK")
KIB: Final = 1024


class Memory(NamedTuple):
    """Bytes in memory: all, our share of what is shared, and what would be free without the process."""

    rss: int
    pss: int
    private: int


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used, its threads included, its children not."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(_task_seconds(task) for task in tasks.iterdir())


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines}
    return Memory(sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def _task_seconds(task: Path) -> float:
    """Return the nanoseconds of the scheduler, in seconds; where it keeps none the ticks of 10 ms."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
