"""The keys of the start and the end, and the advice on starts that cannot succeed."""

import re
from pathlib import Path

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.kinds.url import Url
from sidecar.config.load import load
from sidecar.config.model import (
    Awaited,
    Config,
    DrainConfig,
    DrainReadyz,
    NotifyConfig,
    OnDeadline,
    StartupConfig,
    UntilConfig,
)
from sidecar.config.problems import ConfigError
from sidecar.config.shape import describe, keys_of, show
from sidecar.config.source import Source

CHECKS = "checks: [{name: db, type: tcp, host: db, port: 1, gates: startup}]\n"


def loaded(text: str) -> Config:
    return load(Source("config.yaml", text.encode()), InstalledTypes(), {})


def problems(section: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loaded(CHECKS + section)
    return [str(problem) for problem in refused.value.problems]


def advice(check: str) -> list[str]:
    return [each.sentence for each in loaded(f"[{check}]").advice]


def test_a_start_waits_by_default() -> None:
    assert loaded(CHECKS).sections.startup == StartupConfig(
        deadline=300.0, on_deadline=OnDeadline.WAIT, fail_fast=None, latch_file=None
    )


def test_every_key_of_the_start_is_read() -> None:
    section = "startup: {deadline: 2m, on_deadline: exit, fail_fast: 60s, latch_file: /var/lib/sidecar/latch}"

    assert loaded(CHECKS + section).sections.startup == StartupConfig(
        deadline=120.0, on_deadline=OnDeadline.EXIT, fail_fast=60.0, latch_file="/var/lib/sidecar/latch"
    )


def test_fail_fast_may_be_off_in_words() -> None:
    assert loaded(f"{CHECKS}startup: {{fail_fast: off}}").sections.startup.fail_fast is None


def test_the_latch_is_no_file_that_a_reload_watches() -> None:
    assert loaded(f"{CHECKS}startup: {{latch_file: /latch}}\ndrain: {{notify: {{file: /n}}}}").files == set()


def test_a_drain_lasts_five_seconds_by_default() -> None:
    assert loaded(CHECKS).sections.drain == DrainConfig(
        delay=5.0, until=(), deadline=25.0, readyz=DrainReadyz.FAIL, notify=None
    )


def test_every_key_of_the_drain_is_read() -> None:
    section = """\
drain:
  delay: 0s
  until: [{check: db}, {check: idle, status: down}]
  deadline: 40s
  readyz: keep
  notify: {post: "http://[::1]:8080/stop"}
"""

    checks = CHECKS.replace("]", ", {name: idle, type: tcp, host: app, port: 2, gates: none}]")

    assert loaded(checks + section).sections.drain == DrainConfig(
        delay=0.0,
        until=(UntilConfig(check="db", status=Awaited.UP), UntilConfig(check="idle", status=Awaited.DOWN)),
        deadline=40.0,
        readyz=DrainReadyz.KEEP,
        notify=NotifyConfig(post=Url(scheme="http", host="::1", port=8080, path="/stop")),
    )


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "startup: {fail_fast: 60}",
            "startup.fail_fast: '60' is not a duration; write a whole number and one unit",
        ),
        (
            "startup: {fail_fast: 0s}",
            "startup.fail_fast: '0s' is out of range; write a duration from 50ms to 24h",
        ),
        (
            "startup: {on_deadline: crash}",
            "startup.on_deadline: unknown choice 'crash'; choose from wait, exit",
        ),
        ("startup: {latch_file: latch}", "startup.latch_file: 'latch' is not an absolute path"),
        ("drain: {readyz: keeps}", "drain.readyz: unknown choice 'keeps'; did you mean 'keep'?"),
        ("drain: {until: [{status: up}]}", "drain.until[0]: the key check is missing"),
        (
            "drain: {until: [{check: db}, {check: bd}]}",
            "drain.until[1].check: unknown check 'bd'; choose from db",
        ),
        ("drain: {notify: {}}", "drain.notify: needs either the key file or the key post"),
        (
            "drain: {notify: {file: /n, post: 'http://localhost'}}",
            "drain.notify: needs either the key file or",
        ),
        (
            "drain: {notify: {post: 'http://app:8080'}}",
            "drain.notify.post: is outside the pod; write a URL on loopback",
        ),
        (
            "drain: {notify: {post: 'https://localhost'}}",
            "drain.notify.post: 'https://localhost' has another scheme",
        ),
    ],
)
def test_what_a_start_or_an_end_cannot_be_is_told(section: str, told: str) -> None:
    [problem] = problems(section)

    assert problem.partition(": ")[2].startswith(told)


def test_a_switch_is_shown_as_it_is_written() -> None:
    key = keys_of(StartupConfig)["fail_fast"]

    assert (key.show_default(), show(key.hint, None), show(key.hint, 60.0)) == ("", "off", "1m")


@pytest.mark.parametrize(
    ("value", "fits"), [("off", True), (False, True), ("60s", True), ("on", False), (60, False)]
)
def test_an_editor_takes_a_switch_for_a_word_or_for_what_yaml_makes_of_it(value: object, fits: bool) -> None:
    schema = describe(keys_of(StartupConfig)["fail_fast"].hint)

    assert (value in schema["anyOf"][0]["enum"] or _is_duration(value, schema["anyOf"][1]["pattern"])) is fits


def _is_duration(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


@pytest.mark.parametrize(
    "check",
    [
        "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: startup}",
        "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: [startup, readiness]}",
    ],
)
def test_a_start_that_waits_for_the_pod_itself_is_advised_against(check: str) -> None:
    [sentence] = advice(check)

    assert sentence == (
        "holds back a start until http://localhost:8080/healthz answers, which is inside the pod: a native "
        "sidecar or an init container waits before the app is started, so that neither ever would; write "
        "gates: readiness, or keep it where the sidecar is a plain container"
    )


def test_a_start_that_waits_for_a_file_is_advised_against_where_the_app_writes_it() -> None:
    [sentence] = advice("{name: worker, type: file, path: /run/beat, gates: [startup, liveness]}")

    assert sentence == (
        "holds back a start until /run/beat is as wanted: where the app writes it, a native sidecar or an "
        "init container waits before the app is started, so that neither ever would; "
        "write gates: [liveness, readiness], or keep it where the file is there before the app is"
    )


@pytest.mark.parametrize(
    "check",
    [
        "{name: worker, type: file, path: /run/beat, gates: [liveness, readiness]}",
        "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: readiness}",
        "{name: db, type: tcp, host: db, port: 1, gates: startup}",
        "{name: cache, type: redis, url: 'unix:///run/redis.sock', gates: startup}",
    ],
)
def test_a_start_that_may_succeed_is_not(check: str) -> None:
    assert advice(check) == []


def test_secret_files_can_be_read_by_somebody_else() -> None:
    text = "[{name: db, type: redis, url: 'redis://db', password: '${file:/nowhere}', gates: startup}]"

    def answer(path: Path) -> bytes:
        return str(path).encode()

    assert load(Source("c", text.encode()), InstalledTypes(), {}, answer).secrets == {"/nowhere"}
