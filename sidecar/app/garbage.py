"""When garbage is collected: rarely, and among what has come since the start, so that no probe waits."""

import gc


def spare_what_lives() -> None:
    """Keep what lives as long as we do out of the garbage collector's sight.

    With a thousand hanging checks its full collections were what made the slowest probes slow. What was kept
    out before, and a reload has replaced, is collected now.
    """
    gc.unfreeze()
    gc.collect()
    collect_rarely()


def collect_rarely() -> None:
    """Begin to collect garbage, which a start does without, among what will be made from here on."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
