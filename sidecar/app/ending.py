"""How the process ends, whatever still hangs in it."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any, NoReturn

from sidecar.support.process import kill_commands

log = logging.getLogger("sidecar")


def run_to_end(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, int]) -> int:
    """Run `main` and return its exit code; leave the process at once if a task or thread outlives it."""
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(main)
    stubborn = asyncio.all_tasks(loop)
    if stubborn:
        log.warning("leaving runs behind that ignore their cancellation", extra={"runs": len(stubborn)})
    if stubborn or is_busy_in_threads():
        leave(code)
    loop.close()
    return code


def is_busy_in_threads() -> bool:
    """Whether a thread of ours still works: the interpreter's own end would crash around C code in it."""
    known = {"stop-signals", threading.main_thread().name}
    return any(thread.name not in known for thread in threading.enumerate())


def end(code: int) -> NoReturn:
    """Exit with a code, whatever still works in a thread."""
    if is_busy_in_threads():
        leave(code)
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """End the process now, its logs flushed, whatever still hangs in it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    leave_unsaid(code)


def leave_unsaid(code: int) -> NoReturn:
    """End the process and its commands now, from any thread: what hangs may hold the log's lock."""
    kill_commands()
    os._exit(code)
