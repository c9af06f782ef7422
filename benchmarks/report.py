"""Shows findings: a table on the terminal, JSON and plots in a folder, and the tables of a document."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.plot import draw
from benchmarks.rows import Findings, Row, Target, from_json, to_json

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"
PLOTS: Final = DOCUMENT.parent / "performance"

_MARKED: Final = re.compile(r"(<!-- figures: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def as_table(title: str, findings: Findings) -> str:
    """Return findings as lines for a terminal."""
    lines = [
        f"  {_plain(row.what):<72} {_value(row):>12}  {_target(row):<13} {row.target.judge(row.value)}"
        for row in findings.rows
    ]
    return "\n".join(
        [title, *(line.rstrip() for line in lines), *(f"  {each}" for each in findings.conditions)]
    )


def save(folder: Path, name: str, findings: Findings) -> None:
    """Write findings and their plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(to_json(findings), indent=1) + "\n")
    for plot in findings.plots:
        (folder / f"{plot.name}.svg").write_text(draw(plot))


def saved(folder: Path, names: Iterable[str]) -> dict[str, Findings]:
    """Return what a folder has of these questions."""
    files = {name: folder / f"{name}.json" for name in names}
    return {name: from_json(json.loads(file.read_text())) for name, file in files.items() if file.exists()}


def write_document(found: Mapping[str, Findings], document: Path = DOCUMENT, plots: Path = PLOTS) -> None:
    """Renew in a document what stands between `<!-- figures: NAME -->` and `<!-- end -->`, and its plots."""
    document.write_text(renewed(document.read_text(), found))
    plots.mkdir(exist_ok=True)
    for findings in found.values():
        for plot in findings.plots:
            (plots / f"{plot.name}.svg").write_text(draw(plot))


def renewed(text: str, found: Mapping[str, Findings]) -> str:
    """Return a document with these findings; tables of questions that are not among them stay."""

    def renew(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{match[1]}{_section(name, found[name])}{match[3]}" if name in found else match[0]

    return _MARKED.sub(renew, text)


def _section(name: str, findings: Findings) -> str:
    rows = [
        f"| {row.what} | {_value(row)} | {_target(row)} | {row.target.judge(row.value)} |"
        for row in findings.rows
    ]
    notes = [f"- {each}" for each in findings.conditions]
    images = [f"![{plot.title}](performance/{plot.name}.svg)\n" for plot in findings.plots]
    return "\n".join(
        [
            f"`{f'python -m benchmarks {name} {findings.options}'.rstrip()}`\n",
            "| measured | value | target | |",
            "|---|---|---|---|",
            *rows,
            "",
            *notes,
            *([""] if notes else []),
            *images,
        ]
    )


def _value(row: Row) -> str:
    if row.value is None:
        return row.note
    decimals = 0 if abs(row.value) >= 100 or row.value == int(row.value) else 2
    return f"{row.value:,.{decimals}f} {row.unit}".rstrip()


def _target(row: Row) -> str:
    if row.target == Target():
        return ""
    at_most, at_least = row.target
    bounds = {"≤": at_most, "≥": at_least}
    told = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)
    return f"{told} {row.unit}".rstrip()


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
