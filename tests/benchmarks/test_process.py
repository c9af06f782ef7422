"""What the kernel tells of a process."""

import subprocess
import sys

from benchmarks.process import cpu_seconds

PROGRAM = """
import threading, time
def work():
    while time.thread_time() < 0.2: pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("worked", flush=True)
input()
"""


def test_the_processor_time_of_a_thread_that_has_ended_counts() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = cpu_seconds(process.pid)
        process.communicate(b"\n")

    assert used >= 0.2
