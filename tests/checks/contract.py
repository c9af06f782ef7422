"""What every check of a server owes, as tests that its test class inherits.

    class TestRedis(CheckContract):
        reasons = {**REASONS, "garbage": Reason.PROTOCOL}

        def keys(self, address: Address) -> Keys:
            return {"type": "redis", "url": f"redis://:{quote(SECRET, safe='')}@{address}/0"}

        @pytest.fixture
        async def up(self) -> AsyncIterator[Address]:
            async with a_server_that_satisfies_the_check() as address:
                yield address

Every check is loaded from YAML, as a user's is, and driven by the real runner. The helpers after the class
serve a type's own tests too.
"""

import asyncio
import contextlib
import json
import logging
import os
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.check import Check, Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.runner import CANCEL_GRACE, Runner
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor
from tests.network import (
    Address,
    FakeDns,
    Proxy,
    black_hole,
    dripping,
    endless,
    garbage,
    half_closing,
    refused,
    resetting,
    silent,
)

Keys = Mapping[str, object]
"""The keys of one check, as they would stand in YAML."""
Fault = Callable[[], AbstractAsyncContextManager[Address]]

SECRET: Final = "s3cret/with:odd@chars %41"
"""Belongs wherever a check's configuration takes a secret."""
FAULTS: Final[Mapping[str, Fault]] = {
    "refused": refused,
    "black hole": black_hole,
    "silent": silent,
    "resetting": resetting,
    "garbage": garbage,
    "dripping": dripping,
    "half-closing": half_closing,
    "endless": endless,
}
REASONS: Final[Mapping[str, Reason | None]] = {
    "refused": Reason.REFUSED,
    "black hole": Reason.TIMEOUT,
    "silent": Reason.TIMEOUT,
    "resetting": Reason.UNAVAILABLE,
    "garbage": Reason.PROTOCOL,
    "dripping": Reason.TIMEOUT,
    "half-closing": Reason.UNAVAILABLE,
    "endless": Reason.PROTOCOL,
}
"""What a check that speaks a protocol makes of each fault; None where it succeeds all the same."""
SLACK: Final = 1.0
"""Seconds that a busy machine may add to any bound."""


class CheckContract:
    """Inherit, say where the check points, bring up what satisfies it, and correct the reasons."""

    reasons: ClassVar[Mapping[str, Reason | None]] = REASONS
    reasons_amid: ClassVar[Mapping[str, Reason | None]] = {}
    """What differs from `reasons` where a fault strikes a connection that is already open."""
    seconds: ClassVar[float] = 1.0
    """Deadline of a run against a fault."""
    seconds_hanging: ClassVar[float] = 0.15
    """The same against one that ends in a timeout, which is waited for."""
    patience: ClassVar[str] = "5s"
    """The same against what is up: a busy machine is not a fault."""

    def keys(self, address: Address) -> Keys:
        """Return the type's own keys for a check of `address`, with SECRET wherever one may stand."""
        raise NotImplementedError

    def target(self, address: Address) -> str:
        """Return what every failure's message names."""
        return str(address)

    def mounted(self, address: Address, fault: str) -> AbstractAsyncContextManager[Runner]:
        """Return the runner of a check that is about to meet a fault."""
        return mounted(self.keys(address), deadline=f"{self.seconds_for(fault) * 1000:.0f}ms")

    def seconds_for(self, fault: str) -> float:
        """Return the deadline of a run that meets a fault: what hangs is not waited for as long."""
        is_hanging = self.reasons[fault] is Reason.TIMEOUT
        return self.seconds_hanging if is_hanging else self.seconds

    @pytest.fixture
    def up(self) -> Address:
        """Return or yield the address of what satisfies the check."""
        raise NotImplementedError

    async def test_succeeds_against_what_is_up(self, up: Address) -> None:
        async with mounted(self.keys(up), deadline=self.patience) as runner:
            endings = [ending(await runner.run()) for _ in range(3)]

        assert endings == [SUCCESS] * 3

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_names_a_fault_within_the_deadline(self, fault: str) -> None:
        async with FAULTS[fault]() as address, self.mounted(address, fault) as runner:
            result = await runner.run()

        assert result.reason == self.reasons[fault], result.message
        assert result.is_success or self.target(address) in result.message
        assert result.duration < runner.timeout + CANCEL_GRACE + SLACK

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_recovers_after_a_fault(self, fault: str, up: Address) -> None:
        async with Proxy(up) as proxy, mounted(self.keys(proxy.address), deadline=self.patience) as runner:
            patience = runner.timeout
            before = ending(await runner.run())
            with proxy.fault(fault):
                runner.timeout = self.seconds_for(fault)
                during = await runner.run()
            runner.timeout = patience
            after = ending(await runner.run())

        expected = self.reasons_amid.get(fault, self.reasons[fault])
        assert (before, during.reason, after) == (SUCCESS, expected, SUCCESS), during.message

    @pytest.mark.parametrize("fault", ["black hole", "silent", "dripping"])
    @pytest.mark.parametrize("after", [0.0, 0.05])
    async def test_ends_promptly_when_cancelled(self, fault: str, after: float) -> None:
        async with FAULTS[fault]() as address, checked(self.keys(address)) as check:
            run = asyncio.create_task(check.run())
            await asyncio.wait({run}, timeout=after)
            run.cancel()
            await asyncio.wait({run}, timeout=CANCEL_GRACE)

            assert run.done()

    async def test_may_be_cancelled_at_any_moment(self, up: Address) -> None:
        before = held()
        async with mounted(self.keys(up), deadline=self.patience) as runner:
            for turns in range(40):
                run = asyncio.create_task(runner.check.run())
                await turn_the_loop(turns)
                run.cancel()
                await asyncio.wait({run}, timeout=CANCEL_GRACE + SLACK)
                assert run.done()
            assert ending(await runner.run()) == SUCCESS

        await assert_held(before)

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_leaves_nothing_behind_after_a_fault(self, fault: str) -> None:
        before = held()
        async with FAULTS[fault]() as address, mounted(self.keys(address), deadline="60ms") as runner:
            for _ in range(5):
                await runner.run()

        await assert_held(before)

    async def test_leaves_nothing_behind_after_success(self, up: Address) -> None:
        before = held()
        async with mounted(self.keys(up), deadline=self.patience) as runner:
            await runner.run()
            after_one = held()
            for _ in range(5):
                await runner.run()
            await assert_held(after_one)

        await assert_held(before)

    async def test_closes_at_any_time_and_twice(self, up: Address) -> None:
        before = held()
        async with checked(self.keys(up)) as never_run:
            await never_run.aclose()
        async with silent() as address, checked(self.keys(address)) as running:
            run = asyncio.create_task(running.run())
            await asyncio.wait({run}, timeout=0.05)
            await running.aclose()
            run.cancel()
            await asyncio.wait({run})
            await running.aclose()

        await assert_held(before)

    def test_hides_the_secrets_of_its_configuration(self) -> None:
        config = load_one(self.keys(Address("192.0.2.1", 1)))

        assert_no_secret(f"{config!r} {config.checks!r} {config.checks[0]} {config.checks[0].target}")

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_tells_no_secret(self, fault: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with FAULTS[fault]() as address, self.mounted(address, fault) as runner:
            result = await runner.run()
            trace = await traceback_of(runner.check, within=runner.timeout)

        redact = Redactor(load_one(self.keys(address)).secrets)
        assert_no_secret(f"{result!r} {caplog.text} {redact(trace)}")


SUCCESS: Final = (Outcome.SUCCESS, None, "")


def ending(result: Result) -> tuple[Outcome, Reason | None, str]:
    """Return what of a result does not depend on the clock."""
    return result.outcome, result.reason, result.message


def load_one(keys: Keys) -> Config:
    """Return the configuration whose only check has these keys, read as a user's file is."""
    document = {"ungated": True, "checks": [{"name": "it", "gates": "none", **keys}]}
    return load(Source("test.yaml", json.dumps(document).encode()), InstalledTypes(), os.environ)


def build(config: CheckConfig) -> Check:
    """Return the check of a configuration, its drivers imported as the scheduler does before a first run."""
    check_type = InstalledTypes().find(config.type)
    assert check_type is not None
    for driver in check_type.drivers:
        driver.load()
    return check_type.build(config)


@asynccontextmanager
async def checked(keys: Keys) -> AsyncIterator[Check]:
    """Yield a check of its own, and close it."""
    check = build(load_one(keys).checks[0])
    try:
        yield check
    finally:
        await check.aclose()


@asynccontextmanager
async def mounted(keys: Keys, *, deadline: str = "5s") -> AsyncIterator[Runner]:
    """Yield the runner of a check, and close it. It redacts nothing: a message is to be clean by itself."""
    config = load_one({"timeout": deadline, **keys}).checks[0]
    runner = Runner(build(config), name=config.name, target=config.target, timeout=config.timeout)
    try:
        yield runner
    finally:
        await runner.aclose()


async def run_once(keys: Keys, *, deadline: str = "5s") -> Result:
    """Return the result of one run of a check of its own."""
    async with mounted(keys, deadline=deadline) as runner:
        return await runner.run()


def names_from(dns: FakeDns, **options: object) -> None:
    """Let the running loop ask this server; call it before the first name is looked up."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SidecarLoop)
    loop.resolver_options = {"servers": [str(dns.address)], "domains": [], **options}


async def turn_the_loop(turns: int) -> None:
    """Let everything that is ready run, so many times."""
    for _ in range(turns):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds at a moment."""

    descriptors: int
    tasks: int
    threads: int

    def is_within(self, other: "Held") -> bool:
        """Whether nothing of it is more."""
        return all(getattr(self, each) <= getattr(other, each) for each in self.__slots__)


def held() -> Held:
    """Count descriptors, tasks and threads, those of C libraries included."""
    return Held(
        descriptors=_count("/proc/self/fd"),
        tasks=len(asyncio.all_tasks()),
        threads=_count("/proc/self/task"),
    )


def _count(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


async def assert_held(before: Held) -> None:
    """Assert that the process comes to hold no more than before: closing takes some turns of the loop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            while not held().is_within(before):  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.005)
    now = held()
    assert now.is_within(before), f"{now} is more than {before}"


async def traceback_of(check: Check, *, within: float) -> str:
    """Return the whole traceback that a run ends with."""
    try:
        await asyncio.wait_for(check.run(), within)
    except Exception as error:  # noqa: BLE001 - it is the very thing that is asked for
        return "".join(traceback.format_exception(error))
    return ""


def assert_no_secret(shown: str) -> None:
    """Assert that a text tells nothing of SECRET, in whatever encoding."""
    for piece in (SECRET, quote(SECRET, safe=""), "s3cret"):
        assert piece not in shown
