"""The program: `sidecar VERB`, or `python -m sidecar VERB`."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the verb on the command line and exit with its code.

    `probe` is run every few seconds by exec probes, and `drain` by a preStop in a hurry: they import nothing
    but the standard library. `serve` has nothing to drain before it serves, and a process with the number 1
    would not hear a stop signal without a handler. What a start makes is there to stay: to look for garbage
    in it takes up to a tenth of the time.
    """
    if sys.argv[1:2] == ["probe"]:
        from sidecar.cli import probe  # noqa: PLC0415

        sys.exit(probe.main(sys.argv[2:]))
    if sys.argv[1:2] == ["drain"]:
        from sidecar.cli import drain  # noqa: PLC0415

        sys.exit(drain.main(sys.argv[2:]))
    if sys.argv[1:2] == ["serve"]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: os._exit(0))
        gc.disable()
    from sidecar.cli import verbs  # noqa: PLC0415

    verbs.sidecar(prog_name="sidecar")


if __name__ == "__main__":
    main()
