"""What goes into a service and what comes out of it is blotted, and cut only then."""

import asyncio
from dataclasses import replace

import pytest

from sidecar.config.deploy import DeployConfig
from sidecar.config.kinds.secret import Secret
from sidecar.core.announcement import Origin
from sidecar.core.deploy import DeployEvent
from sidecar.deploys._discreet import SENTENCE_LIMIT, discreet
from sidecar.deploys._service import TEXT_LIMIT, Answer, Cluster, DeliveryError, Finds, Request
from sidecar.deploys.tracking.tracking import services_of
from sidecar.support.text import Redactor
from tests.deploys.announcements import announcement
from tests.deploys.services import TYPES, Finder, Listener, ListenerConfig

SECRET = "hunter2\nhunter3"
REDACT = Redactor([SECRET])
CONFIG = ListenerConfig(type="listener", token=Secret(SECRET))
TOLD = announcement(DeployEvent.STARTED)


@pytest.mark.parametrize("length", [0, SENTENCE_LIMIT - 5, SENTENCE_LIMIT + 5])
def test_a_sentence_is_blotted_before_it_is_cut_and_put_on_one_line(length: int) -> None:
    async def refuse(_: Request) -> Answer:
        raise DeliveryError(f"{'x' * length}{SECRET} is unknown", retry_after=7.0, is_final=True)

    with pytest.raises(DeliveryError) as raised:
        asyncio.run(discreet(Listener(CONFIG), REDACT).tell(TOLD, {}, refuse))

    error = raised.value
    assert "hunt" not in error.sentence
    assert (len(error.sentence) <= SENTENCE_LIMIT, error.retry_after, error.is_final) == (True, 7.0, True)


def test_one_that_can_be_asked_still_can() -> None:
    assert isinstance(discreet(Finder(CONFIG), REDACT), Finds)
    assert not isinstance(discreet(Listener(CONFIG), REDACT), Finds)


def test_what_a_pod_tells_is_told_discreetly() -> None:
    config = DeployConfig(service="shop", environment="test", revision="abc123", announce=(CONFIG,))
    sent: list[bytes] = []

    async def send(request: Request) -> Answer:
        sent.append(request.body or b"")
        return request.answered

    told = replace(TOLD, origin=Origin(comment=f"from {SECRET}"))
    [service] = services_of(config, TYPES, Cluster(), REDACT).values()
    asyncio.run(service.tell(told, {}, send))

    assert [b'"comment": "from ***"' in body for body in sent] == [True]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"not you", "not you"),
        (b'{"why":"a\\/b \\u00fc"}', '{"why": "a/b ü"}'),
        (b"[" * 5000, "[" * 5000),
        (b"\xff", "\ufffd"),
        (b"x" * TEXT_LIMIT, "x" * TEXT_LIMIT),
        (b"x" * (TEXT_LIMIT + 1), "16,385 bytes"),
    ],
)
def test_what_is_answered_is_told_whole_or_not_at_all(body: bytes, text: str) -> None:
    assert Answer(403, body).text == text
