"""The program: `sidecar VERB`, or `python -m sidecar VERB`."""

import sys


def main() -> None:
    """Run the verb on the command line and exit with its code.

    `probe` is run every few seconds by exec probes, so that it imports nothing but the standard library.
    """
    if sys.argv[1:2] == ["probe"]:
        from sidecar.cli import probe  # noqa: PLC0415

        sys.exit(probe.main(sys.argv[2:]))
    from sidecar.cli import verbs  # noqa: PLC0415

    verbs.sidecar(prog_name="sidecar")


if __name__ == "__main__":
    main()
