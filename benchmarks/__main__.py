"""`make bench`: answer all questions, or those named, and print the figures beside their targets."""

import argparse
import importlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import as_table, save, saved, write_document
from benchmarks.rows import Effort
from benchmarks.servers import compile_modules

QUESTIONS: Final = ("probe", "cost", "sweep", "latency", "weight", "start", "scale", "fleet")
RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and tell, or write the document from what was measured."""
    wish = _parser().parse_args(arguments)
    if wish.write_docs:
        write_document(saved(wish.results, QUESTIONS))
        return
    compile_modules()
    for name in wish.questions or QUESTIONS:
        _answer(name, wish)


def _answer(name: str, wish: argparse.Namespace) -> None:
    question, began = importlib.import_module(f"benchmarks.{name}"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        findings = question.measure(
            Effort(folder=Path(folder), is_quick=wish.quick, rest=2.0 if wish.quick else wish.rest)
        )
    save(wish.results, name, findings)
    title = f"\n{question.QUESTION}  ({name}, {time.monotonic() - began:.0f}s)"
    print(as_table(title, findings), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "questions", nargs="*", choices=[[], *QUESTIONS], metavar="QUESTION", help=", ".join(QUESTIONS)
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: hardly any repeats, no figures to quote"
    )
    parser.add_argument(
        "--rest", type=float, default=150.0, help="seconds of `weight` before processes are weighed"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for JSON and plots")
    parser.add_argument(
        "--write-docs", action="store_true", help="renew docs/performance.md from the results"
    )
    return parser


if __name__ == "__main__":
    main()
