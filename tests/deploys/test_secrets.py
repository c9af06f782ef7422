"""No announcement holds a secret of any configuration: those of the corpus, and all that we show."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config import source as sources
from sidecar.config.load import load
from sidecar.config.problems import ConfigError
from sidecar.config.reader import Reader
from sidecar.config.source import Source
from sidecar.core.announcement import announcement_of
from sidecar.core.check import Reason
from sidecar.core.deploy import DeployEvent, Plan, Process, Record, Witness, step
from sidecar.core.verdict import Gate
from sidecar.deploys import InstalledServices
from sidecar.deploys._service import Answer, Request
from sidecar.deploys.tracking import Watch
from sidecar.runtime.board import Board
from sidecar.support.text import SHORTEST_SECRET, Redactor
from tests.boards import StoppedClock, failure
from tests.config.test_corpus import CORPUS, ENVIRON, NAMES
from tests.deploys.announcements import ORIGIN, service_with
from tests.deploys.records import DEPLOY
from tests.docs.examples import EXAMPLES
from tests.runtime.fakes import EPOCH, config

SERVICES: list[dict[str, Any]] = [
    {"type": "slack", "webhook_url": "https://hooks.slack.test/services/a/b/c"},
    {"type": "slack", "token": "xoxb-of-the-service", "channel": "C0123456789"},
    {"type": "rollbar", "token": "rollbar-of-the-service"},
    {"type": "sentry", "organization": "acme", "projects": ["shop"], "token": "sentry-of-the-service"},
    {"type": "webhook", "url": "https://hook.test/a"},
]


@pytest.fixture
def read_secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Collect the secrets of what is read, also of a configuration that is refused, by its name."""
    found: dict[str, set[str]] = {}

    def noting(source: str, *arguments: Any) -> Reader:
        reader = Reader(source, *arguments)
        found[source] = reader.secrets
        return reader

    monkeypatch.setattr(sources, "Reader", noting)
    return found


def contents() -> Iterator[tuple[str, bytes]]:
    for name in NAMES:
        yield name, (CORPUS / f"{name}.yaml").read_bytes()
    for example in EXAMPLES:
        yield example.name, example.content.encode()


def secrets_of(name: str, content: bytes, found: dict[str, set[str]]) -> set[str]:
    """Return the secrets that a configuration holds, valid or not."""
    environ = {**ENVIRON, "REDIS_PASSWORD": "of-the-redis", "RABBITMQ_PASSWORD": "of-the-rabbit"}
    with suppress(ConfigError):
        load(
            Source(name, content),
            InstalledTypes(),
            environ,
            lambda _: b"of-a-file",
            services=InstalledServices(),
        )
    return {each for each in found.get(name, ()) if len(each) >= SHORTEST_SECRET}


def failed(message: str, secrets: set[str]) -> Record:
    """Return the record of a deploy that failed for a check that says this."""
    clock = StoppedClock()
    checks = [config("db", gates=frozenset(Gate), failure_threshold=1)]
    board = Board(checks, started_at=clock.now, startup_deadline=300.0)
    watch = Watch(
        board,
        permanent=lambda _: {Reason.AUTH},
        fail_fast=1.0,
        redact=Redactor(secrets),
        clock=clock.clock,
    )
    board.record("db", failure(clock, Reason.AUTH, message))
    watch.look(clock.now)
    plan = Plan(deploy=DEPLOY, stable_for=30.0, deadline=600.0)
    seen = Witness(
        process=Process("a", "p"), sighting=watch.sighting, now=clock.now + 60, time=EPOCH, began_at=EPOCH
    )
    return step(step(None, plan, seen), plan, seen)


async def test_no_announcement_holds_a_secret_of_any_configuration(
    read_secrets: dict[str, set[str]],
) -> None:
    sent: list[str] = []

    async def send(request: Request) -> Answer:
        headers = {name: str(value) for name, value in request.headers.items()}
        sent.append(f"{request.url} {headers} {(request.body or b'').decode()}")
        return request.answered

    with_secrets = 0
    for name, content in contents():
        secrets = secrets_of(name, content, read_secrets)
        with_secrets += bool(secrets)
        words = [f"the server said {each} of redis://user:{each}@db" for each in sorted(secrets)]
        told = announcement_of(failed("; ".join(words), secrets), DeployEvent.FAILED, ORIGIN)
        sent.clear()
        for keys in SERVICES:
            for event in (DeployEvent.FAILED, DeployEvent.TIMED_OUT):
                await service_with(keys).tell(replace(told, event=event), {}, send)
        assert [each for each in secrets if any(each in text for text in sent)] == [], name
        assert ("the server said" in "".join(sent)) is bool(secrets), name
    assert with_secrets >= 20
