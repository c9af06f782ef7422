"""What every service owes, as tests that its test class inherits.

    class TestRollbar(ServiceContract):
        outcomes = {(STARTED, SUCCEEDED): ["succeeded"], ...}

        @pytest.fixture
        async def stand_in(self) -> AsyncIterator[StandIn]:
            async with RollbarStandIn() as stand_in:
                yield stand_in

        def keys(self, stand_in: StandIn) -> Keys:
            return {"type": "rollbar", "token": TOKEN, "base_url": stand_in.url}

        def told(self, stand_in: StandIn) -> list[str]:
            return [deploy["status"] for deploy in stand_in.accepted]

Every service is loaded from YAML, as a user's is, and speaks to a stand-in that refuses what the real one
would refuse. The requests go through the real sender.
"""

import asyncio
import contextlib
import json
import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any, ClassVar, Final

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.source import Source
from sidecar.core.announcement import Origin
from sidecar.core.deploy import DeployEvent, FailedCheck
from sidecar.deploys import InstalledServices, _send
from sidecar.deploys._service import DeliveryError, Finds, Service
from sidecar.support.text import Redactor
from tests.checks.contract import assert_held, assert_no_secret, held
from tests.deploys.announcements import Keys, announcement, loaded, service_with, tell_all
from tests.deploys.stand_ins import Misbehaviour, StandIn
from tests.deploys.stand_ins.base import RETRY_AFTER

STARTED, SUCCEEDED, FAILED, TIMED_OUT = DeployEvent
Order = tuple[DeployEvent, ...]
ORDERS: Final[Sequence[Order]] = (
    (STARTED,),
    (SUCCEEDED,),
    (FAILED,),
    (TIMED_OUT,),
    (STARTED, SUCCEEDED),
    (STARTED, FAILED, SUCCEEDED),
    (STARTED, TIMED_OUT, SUCCEEDED),
    (FAILED, SUCCEEDED),
    (TIMED_OUT, SUCCEEDED),
)
"""What a service may be told of one deploy: all of it, or what its `events` leave."""
FINAL: Final = frozenset({Misbehaviour.FORBID, Misbehaviour.REDIRECT})
NASTY: Final = '<!channel> & "quotes" \\ ` * ü \u2028 {revision} %s \udcff'
SECRET_FILE: Final = b"whsec_YSBrZXkgb2YgdGhpcnR5LXR3byByYW5kb20gYnl0ZXM="
"""What the examples' secrets are: a token, and the key of a webhook."""
SECTION: Final = """
ungated: true
checks: [{name: app, type: tcp, host: localhost, port: 80}]
deploy:
  service: shop
  environment: production
  revision: v1
  announce:
"""
PATIENCE: Final = 0.5
"""Seconds that a service gets to answer where it never does."""


def ids(order: Order) -> str:
    """Return a parameter's name in the report."""
    return "-".join(order)


class ServiceContract:
    """Inherit, bring up what stands in for the service, and say what it has been told in the end."""

    takes: ClassVar[frozenset[DeployEvent]] = frozenset(DeployEvent)
    outcomes: ClassVar[Mapping[Order, Any]]
    """What `told` returns after each of the orders; one that has an event the service does not take is left
    out."""
    content: ClassVar[frozenset[Misbehaviour]] = frozenset()
    """Misbehaviours that are as good as an answer: a service that is not read cannot say no in a 200."""

    @pytest.fixture
    def stand_in(self) -> StandIn:
        """Return or yield the service."""
        raise NotImplementedError

    def keys(self, stand_in: Any) -> Keys:
        """Return the keys that configure it, with every secret there is."""
        raise NotImplementedError

    def told(self, stand_in: Any) -> Any:
        """Return what the service has been told, in short."""
        raise NotImplementedError

    def secret_places(self, stand_in: StandIn) -> str:
        """Return what of all requests must hold no secret: anything but the headers."""
        return " ".join(f"{asked.path} {asked.query} {asked.body!r}" for asked in stand_in.requests)

    @pytest.fixture
    def service(self, stand_in: Any) -> Service:
        """Return the service that is configured with the keys."""
        return service_with(self.keys(stand_in))

    @pytest.mark.parametrize("order", ORDERS, ids=ids)
    async def test_is_told_in_each_order(self, order: Order, service: Service, stand_in: StandIn) -> None:
        if not self.takes.issuperset(order):
            assert order not in self.outcomes
            return

        await tell_all(service, order)

        assert (stand_in.refusals, self.told(stand_in)) == ([], self.outcomes[order])

    @pytest.mark.parametrize("how", Misbehaviour)
    async def test_a_service_that_misbehaves_is_told_of_in_one_sentence(
        self,
        how: Misbehaviour,
        service: Service,
        stand_in: StandIn,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        self.shorten(how, monkeypatch)
        stand_in.misbehave(how)

        if how in self.content:
            await tell_all(service, (STARTED,))
            return
        with pytest.raises(DeliveryError) as raised:
            await tell_all(service, (STARTED,))

        error = raised.value
        expected = (how in FINAL, RETRY_AFTER if how is Misbehaviour.RATE_LIMIT else 0.0)
        assert (error.is_final, error.retry_after) == expected, error.sentence
        assert "\n" not in error.sentence
        assert len(stand_in.requests) == 1
        redact = Redactor(loaded(self.keys(stand_in)).secrets)
        trace = redact("".join(traceback.format_exception(error)))
        assert_no_secret(f"{error.sentence} {trace} {caplog.text}")

    @pytest.mark.parametrize("how", Misbehaviour)
    async def test_a_service_that_has_come_to_itself_is_told(
        self, how: Misbehaviour, service: Service, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.shorten(how, monkeypatch)
        if how in self.content:
            return
        stand_in.misbehave(how, times=1)
        with pytest.raises(DeliveryError):
            await tell_all(service, (STARTED,))
        monkeypatch.undo()

        await tell_all(service, (STARTED, SUCCEEDED))

        assert stand_in.refusals == []
        assert stand_in.accepted != []

    async def test_a_refusal_repeats_no_part_of_a_secret_wherever_it_is_cut(
        self, service: Service, stand_in: StandIn
    ) -> None:
        secrets = loaded(self.keys(stand_in)).secrets
        for secret in secrets:
            for length in range(0, 420, 10):
                said = "·" * length + secret
                in_json = json.dumps({"ok": False, "error": said}).replace("/", "\\/")
                for code, body in ((403, said), (403, in_json), (200, said), (200, in_json)):
                    stand_in.say(code, body)
                    told = await self.refusal(service)
                    parts = {secret[start : start + 7] for start in range(len(secret) - 6)}
                    assert not any(part in told for part in parts), told

    async def refusal(self, service: Service) -> str:
        """Return what is told where a service does not take a start; nothing if it does."""
        try:
            await tell_all(service, (STARTED,))
        except DeliveryError as error:
            return error.sentence
        return ""

    @pytest.mark.parametrize("how", Misbehaviour)
    async def test_leaves_nothing_behind(
        self, how: Misbehaviour, service: Service, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.shorten(how, monkeypatch)
        before = held()
        stand_in.misbehave(how)
        for _ in range(2):
            with contextlib.suppress(DeliveryError):
                await tell_all(service, (STARTED,))

        await asyncio.wait_for(stand_in.fake.emptied(), 5)
        await assert_held(before)

    async def test_may_be_cancelled_while_it_waits(self, service: Service, stand_in: StandIn) -> None:
        before = held()
        stand_in.misbehave(Misbehaviour.HANG)
        telling = asyncio.create_task(tell_all(service, (STARTED,)))
        await stand_in.until_asked(1)
        telling.cancel()
        await asyncio.wait({telling})

        await asyncio.wait_for(stand_in.fake.emptied(), 5)
        await assert_held(before)

    async def test_what_is_sent_holds_no_secret_but_in_its_headers(
        self, service: Service, stand_in: StandIn
    ) -> None:
        for order in self.outcomes:
            await tell_all(service, order)

        assert_no_secret(self.secret_places(stand_in))

    async def test_what_is_announced_holds_no_secret_whatever_text_has_one(
        self, service: Service, stand_in: StandIn
    ) -> None:
        for secret in loaded(self.keys(stand_in)).secrets:
            text = f"a {secret} b"
            origin = Origin(user=text, branch=text, commit_url=text, build_url=text, comment=text)
            failures = (FailedCheck("db", "auth", text),)
            for event in self.takes:
                told = announcement(event, origin=origin, failures=failures, pod=text)
                with contextlib.suppress(DeliveryError):
                    await service.tell(told, {}, _send.send)
                if isinstance(service, Finds):
                    with contextlib.suppress(DeliveryError):
                        await service.find(told, _send.send)

        assert_no_secret(self.secret_places(stand_in))

    def test_shows_no_secret(self, stand_in: StandIn) -> None:
        found = loaded(self.keys(stand_in))
        config = found.deploy.announce[0]

        assert_no_secret(f"{found!r} {config!r} {found.deploy.announce!r}")

    async def test_hard_words_and_long_ones_are_told(self, service: Service, stand_in: StandIn) -> None:
        origin = Origin(
            user=NASTY,
            branch=NASTY * 20,
            commit_url=f"https://x.test/{'&' * 3000}",
            build_url="javascript:alert(1)",
            comment=NASTY * 90,
        )
        failures = tuple(FailedCheck("a" * 63, "auth", "&" * 900) for _ in range(20))
        for event in self.takes:
            await service.tell(announcement(event, origin=origin, failures=failures), {}, _send.send)

        assert (stand_in.refusals, len(stand_in.accepted) >= 1) == ([], True)

    def test_its_page_says_what_an_operator_asks(self, stand_in: StandIn) -> None:
        kind = InstalledServices().find(str(self.keys(stand_in)["type"]))
        assert kind is not None

        assert "What happens twice:" in kind.documentation
        assert "Permissions:" in kind.documentation
        assert kind.takes == self.takes

    def test_the_example_of_its_page_is_one(self, stand_in: StandIn) -> None:
        name = str(self.keys(stand_in)["type"])
        kind = InstalledServices().find(name)
        assert kind is not None

        (example,) = re.findall(r"^```yaml\n(.*?)^```", kind.documentation, re.MULTILINE | re.DOTALL)
        found = load(
            Source("example", f"{SECTION}{indent(example, '    ')}".encode()),
            InstalledTypes(),
            {"HOOK_KEY": "key"},
            lambda _: SECRET_FILE,
            services=InstalledServices(),
        )

        assert found.sections.deploy is not None
        assert [each.type for each in found.sections.deploy.announce] == [name]

    def shorten(self, how: Misbehaviour, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have little patience where all of it is needed."""
        if how is Misbehaviour.HANG:
            monkeypatch.setattr(_send, "ANSWERS_WITHIN", PATIENCE)
