"""How each rule of some checks stands, asked once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sidecar.core.check import Check, Reason
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Sample
from sidecar.runtime.explanation import SENTENCE_LIMIT, explain
from tests.runtime.fakes import (
    Act,
    FakeCheck,
    FakeTypes,
    cleaning_up_for,
    config,
    for_ever,
    nothing,
    now,
    raising,
    refused,
)

pytestmark = pytest.mark.looptime

HELD, VIOLATED, UNVERIFIABLE = Standing.HELD, Standing.VIOLATED, Standing.UNVERIFIABLE
SAMPLE = Sample(count=2, seconds=5.0)


def finding(sentence: str, standing: Standing = HELD) -> Finding:
    return Finding("rule", standing, sentence)


@dataclass(eq=False)
class Explaining(FakeCheck):
    """Finds what it is told to, after an act."""

    act: Act = nothing
    found: Sequence[Any] = (finding("it is so"),)

    async def findings(self) -> Sequence[Finding]:
        await self.act()
        return self.found


@dataclass(eq=False)
class Sampling(Explaining):
    """Also looks at messages, after another act."""

    look: Act = nothing
    asked: list[Sample] = field(default_factory=list)

    async def sample(self, wanted: Sample) -> Sequence[Finding]:
        assert not self.closed
        self.asked.append(wanted)
        await self.look()
        return (finding("they are so"),)


async def explained(checks: Mapping[str, Check], **options: Any) -> dict[str, list[tuple[Standing, str]]]:
    configs = [config(name) for name in checks]
    told = await explain(configs, find=FakeTypes(checks), **{"redact": str, **options})
    return {each.check.name: [(found.standing, found.sentence) for found in each.findings] for each in told}


async def test_checks_are_asked_side_by_side_and_told_in_order_and_closed() -> None:
    checks = {
        "slow": Explaining(lambda: asyncio.sleep(1.0)),
        "bad": Explaining(found=(finding("a"), finding("b", VIOLATED), finding("c", UNVERIFIABLE))),
        "none": Explaining(found=()),
    }

    told = await explained(checks)

    assert list(told.items()) == [
        ("slow", [(HELD, "it is so")]),
        ("bad", [(HELD, "a"), (VIOLATED, "b"), (UNVERIFIABLE, "c")]),
        ("none", []),
    ]
    assert (now(), [each.closed for each in checks.values()]) == (1.0, [1, 1, 1])


async def test_a_check_that_cannot_tell_is_unverifiable_and_says_why() -> None:
    odd: Any = ("no finding",)
    checks = {
        "bad": Explaining(refused),
        "hung": Explaining(for_ever),
        "crash": Explaining(raising(KeyError("x"))),
        "odd": Explaining(found=odd),
        "good": Explaining(),
    }

    told = await explained(checks)

    assert told == {
        "bad": [(UNVERIFIABLE, "nothing more can be verified: db:5432 refused the connection")],
        "hung": [(UNVERIFIABLE, "nothing more can be verified: hung: gave no answer within 2s")],
        "crash": [(UNVERIFIABLE, "nothing more can be verified: unexpected KeyError")],
        "odd": [(UNVERIFIABLE, "nothing more can be verified: unexpected TypeError")],
        "good": [(HELD, "it is so")],
    }
    assert [each.closed for each in checks.values()] == [1] * 5


async def test_the_reason_of_a_failure_is_kept() -> None:
    (told,) = await explain([config()], find=FakeTypes({"db": Explaining(refused)}), redact=str)

    assert [each.reason for each in told.findings] == [Reason.REFUSED]


async def test_sentences_have_no_secret_no_control_character_and_an_end() -> None:
    check = Explaining(found=(finding("is s3cret\n\x1b[31m"), finding("a" * 2000)))

    told = await explained({"db": check}, redact=lambda text: text.replace("s3cret", "***"))

    assert told["db"][0] == (HELD, "is *** [31m")
    assert len(told["db"][1][1]) == SENTENCE_LIMIT


async def test_messages_are_looked_at_only_if_asked_for_and_by_whoever_can() -> None:
    checks = {"db": Explaining(), "mq": Sampling()}

    without = await explained({"mq": Sampling()})
    told = await explained(checks, sample=SAMPLE)

    assert without == {"mq": [(HELD, "it is so")]}
    assert told == {"db": [(HELD, "it is so")], "mq": [(HELD, "it is so"), (HELD, "they are so")]}
    assert checks["mq"].asked == [SAMPLE]  # type: ignore[attr-defined]


async def test_a_look_has_its_own_time_beside_the_checks_timeout_and_keeps_what_was_found_before() -> None:
    told = await explained(
        {"good": Sampling(look=lambda: asyncio.sleep(6.9)), "hung": Sampling(look=for_ever)}, sample=SAMPLE
    )

    assert told == {
        "good": [(HELD, "it is so"), (HELD, "they are so")],
        "hung": [
            (HELD, "it is so"),
            (UNVERIFIABLE, "nothing more can be verified: hung: gave no answer within 7s"),
        ],
    }


async def test_who_does_not_answer_is_not_asked_for_messages() -> None:
    check = Sampling(refused)

    told = await explained({"mq": check}, sample=SAMPLE)

    assert (len(told["mq"]), check.asked) == (1, [])


async def test_who_is_interrupted_cleans_up_and_closes() -> None:
    check = Sampling(look=cleaning_up_for(0.05))
    asking = asyncio.create_task(explained({"mq": check}, sample=SAMPLE))
    await asyncio.sleep(1.0)

    asking.cancel()
    await asyncio.wait({asking})

    assert (asking.cancelled(), check.closed, now()) == (True, 1, 1.05)


async def test_a_check_that_does_not_explain_is_refused_by_its_type() -> None:
    with pytest.raises(ExceptionGroup) as refusal:
        await explain([config()], find=FakeTypes({"db": FakeCheck(nothing)}), redact=str)

    assert [str(each) for each in refusal.value.exceptions] == ["a check of type fake does not explain"]
