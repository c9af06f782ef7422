"""Verdicts as bytes, for readers that are trusted and readers that are not."""

import json

from sidecar.core.verdict import Line, Mark, Verdict
from sidecar.web.render import Format, Style, render

SECRETIVE = Verdict(
    lines=(
        Line(
            name="db",
            mark=Mark.FAILED,
            text="failed",
            reason="auth",
            message="db:5432 refused app's password",
        ),
        Line(name="cert", mark=Mark.NOTED, text="warning", message="ends in 6 days"),
        Line(name="draining", mark=Mark.FAILED),
    ),
    expires_at=0.0,
)


def test_messages_are_for_the_trusted_only_in_text() -> None:
    told = [render("readyz", SECRETIVE, Style(is_trusted=trusted)).body.decode() for trusted in (False, True)]

    assert told == [
        "[-]db failed: auth\n[!]cert warning\n[-]draining\nreadyz check failed\n",
        (
            "[-]db failed: auth: db:5432 refused app's password\n[!]cert warning: ends in 6 days\n"
            "[-]draining\nreadyz check failed\n"
        ),
    ]


def test_messages_are_for_the_trusted_only_in_json() -> None:
    styles = [Style(format=Format.JSON, is_trusted=trusted) for trusted in (False, True)]

    told = [json.loads(render("readyz", SECRETIVE, style).body)["checks"] for style in styles]

    assert told == [
        {
            "db": [{"status": "fail", "output": "failed: auth"}],
            "cert": [{"status": "warn", "output": "warning"}],
            "draining": [{"status": "fail"}],
        },
        {
            "db": [{"status": "fail", "output": "failed: auth: db:5432 refused app's password"}],
            "cert": [{"status": "warn", "output": "warning: ends in 6 days"}],
            "draining": [{"status": "fail"}],
        },
    ]


def test_a_noted_line_alone_is_no_failure() -> None:
    noted = Verdict(
        lines=(Line(name="a", mark=Mark.NOTED, text="down, not gating", reason="dns"),), expires_at=0.0
    )

    assert [render("livez", noted, Style(is_verbose=verbose)).body for verbose in (False, True)] == [
        b"ok",
        b"[!]a down, not gating: dns\nlivez check passed\n",
    ]
