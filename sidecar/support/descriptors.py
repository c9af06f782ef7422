"""Descriptors of this process, for those to whom a library does not say that none is left."""

import os


def expect_one_more() -> None:
    """See whether the process can open anything.

    Raises:
        OSError: it cannot.
    """
    os.close(os.open(os.devnull, os.O_RDONLY))
