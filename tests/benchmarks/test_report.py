"""Figures are judged by their targets, shown, kept, and written into the document."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import QUESTIONS, main
from benchmarks.plot import draw
from benchmarks.report import DOCUMENT, as_table, renewed
from benchmarks.rows import TIMES, Findings, Met, Plot, Row, Target, from_json, to_json

FINDINGS = Findings(
    rows=[
        Row("p99 of `/readyz`", 1.5, target=Target(at_most=1.25)),
        Row("requests a second", 0.95, target=Target(at_least=0.9)),
        Row("memory", 12345.6, "B"),
        Row("network drop", None, note="skipped: needs root"),
    ],
    conditions=["9 rounds."],
    plots=[Plot("one", "One & more", "checks", "ratio", {"up": [(1, 1.0), (1000, 1.5)]}, is_log_x=True)],
)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(at_most=1.25), 1.25, Met.YES),
        (Target(at_most=1.25), 1.26, Met.NO),
        (Target(at_least=0.9), 0.9, Met.YES),
        (Target(at_least=0.9), 0.89, Met.NO),
        (Target(), 7.0, Met.NO_TARGET),
        (Target(at_most=1), None, Met.NO_TARGET),
    ],
)
def test_a_value_is_judged_by_its_bounds(target: Target, value: float | None, met: Met) -> None:
    assert target.judge(value) is met


def test_a_table_has_a_line_a_figure_with_its_target_and_whether_it_is_met() -> None:
    lines = [re.sub(" +", " ", line).strip() for line in as_table("Fast?", FINDINGS).splitlines()]

    assert lines == [
        "Fast?",
        f"p99 of /readyz 1.50 {TIMES} ≤ 1.25 {TIMES} missed",
        f"requests a second 0.95 {TIMES} ≥ 0.9 {TIMES} met",
        "memory 12,346 B",
        "network drop skipped: needs root",
        "9 rounds.",
    ]


def test_findings_outlive_json() -> None:
    again = from_json(json.loads(json.dumps(to_json(FINDINGS))))

    assert json.dumps(to_json(again)) == json.dumps(to_json(FINDINGS))
    assert again.rows == FINDINGS.rows


def test_a_document_is_renewed_where_there_are_findings_and_nowhere_else() -> None:
    text = (
        "# A\n<!-- figures: probe -->\nold\n<!-- end -->\nkept\n<!-- figures: cost -->\nold\n<!-- end -->\n"
    )

    new = renewed(text, {"probe": FINDINGS})

    assert new.startswith("# A\n<!-- figures: probe -->\n`python -m benchmarks probe`\n")
    assert f"| p99 of `/readyz` | 1.50 {TIMES} | ≤ 1.25 {TIMES} | missed |\n" in new
    assert "![One & more](performance/one.svg)\n<!-- end -->\nkept\n<!-- figures: cost -->\nold\n" in new


def test_a_document_names_the_options_that_its_figures_were_found_with() -> None:
    text = "<!-- figures: weight -->\nold\n<!-- end -->\n"

    new = renewed(text, {"weight": replace(FINDINGS, options="--rest 600")})

    assert new.startswith("<!-- figures: weight -->\n`python -m benchmarks weight --rest 600`\n\n")


def test_a_plot_is_svg_that_names_its_series() -> None:
    drawn = draw(FINDINGS.plots[0])

    texts = re.findall(r"<text [^>]*>([^<]*)</text>", drawn)
    assert (texts[0], texts[-1], texts.count("1000")) == ("One &amp; more", "up", 1)
    assert drawn.startswith("<svg ")
    assert drawn.endswith("</svg>\n")


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_document_answers_every_question_with_values(question: str) -> None:
    [section] = re.findall(
        rf"<!-- figures: {question} -->\n(.*?)<!-- end -->", DOCUMENT.read_text(), re.DOTALL
    )

    values = [line.split("|")[2].strip() for line in section.splitlines() if line.startswith("| ")][1:]
    assert section.startswith(f"`python -m benchmarks {question}")
    assert [value for value in values if value[0].isdigit()]


def test_each_plot_that_the_document_shows_is_there() -> None:
    shown = re.findall(r"\]\((performance/[a-z]+\.svg)\)", DOCUMENT.read_text())

    assert shown
    assert [name for name in shown if not (DOCUMENT.parent / name).exists()] == []


def test_a_quick_run_answers_a_question_and_keeps_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--results", str(tmp_path), "fleet"])

    assert "What does a fleet do to a dependency?" in capsys.readouterr().out
    assert sorted(each.name for each in tmp_path.iterdir()) == ["fleet.json", "fleet.svg"]
