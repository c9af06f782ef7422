"""Configurations that are nearly good, of installed types: accepted, or refused soon and discreetly.

That any bytes are refused, and any text is interpolated, is in `tests/config/test_properties.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from tests.fuzz.bench import told_of, within
from tests.fuzz.profile import tries

SECRET: Final = "s3cret-of-nobody-else"
ENVIRON: Final = {"SECRET": SECRET, "EMPTY": "", "URL": f"redis://u:{SECRET}@h:1/0"}
TYPES: Final = InstalledTypes()


def keys_of(kind: str) -> Sequence[str]:
    found = TYPES.find(kind)
    assert found is not None
    return [each.name for each in fields(found.config)]


SCALARS = st.sampled_from(
    [
        *(
            "redis://h:1/0",
            "amqp://h/v",
            "postgres://h/db",
            "http://h/",
            "https://h/",
            "unix:///s",
            "h",
            "::1",
        ),
        *("10s", "500ms", "0s", "99999h", "10", "-1", "true", "no", "", "~", "readiness", "none", "startup"),
        *(
            "${SECRET}",
            "${URL}",
            "x${SECRET}y",
            "redis://u:${SECRET}@h",
            "${EMPTY:-10s}",
            "${NONE}",
            "$${",
            "${",
        ),
        *("${file:/nowhere}", "/nowhere", "a" * 300, "\u202e", "(", "(a+)+$", "200-299", "A", "%zz", "8080"),
    ]
)
KEYS = st.sampled_from(
    ["name", "status", "body", "min", "max", "table", "columns", "ca", "insecure", "x-y", ""]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def checks(draw: st.DrawFn) -> Mapping[str, Any]:
    """Draw a check with some of the keys of its type, and values that may be meant for others."""
    kind = draw(st.sampled_from(sorted(TYPES.names())))
    chosen = draw(st.lists(st.sampled_from(keys_of(kind)), max_size=5, unique=True))
    return {"name": "c", "type": kind, **{key: draw(VALUES) for key in chosen if key != "type"}}


SECTIONS = st.dictionaries(
    st.sampled_from(["server", "startup", "drain", "log", "defaults", "kubernetes", "ungated", "extra"]),
    VALUES,
    max_size=2,
)


@tries(100)
@given(listed=st.lists(checks(), min_size=1, max_size=3), sections=SECTIONS)
def test_what_is_nearly_good_is_accepted_or_refused(
    listed: list[Mapping[str, Any]], sections: Mapping[str, Any]
) -> None:
    document = json.dumps({"ungated": "true", **sections, "checks": listed}).encode()

    with within():
        try:
            config = load(Source("c.yaml", document), TYPES, ENVIRON)
        except ConfigError as error:
            shown = [str(problem) for problem in error.problems]
            assert shown
        else:
            shown = [repr(config), *(f"{each!r} {each.target} {each.hosts}" for each in config.checks)]

    assert not [line for line in shown if told_of(SECRET, line)]
    assert all(line.isprintable() for line in shown)
