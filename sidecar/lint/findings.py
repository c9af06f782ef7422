"""What a rule is, and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sidecar.config.problems import Place
from sidecar.lint.case import Case


class Level(StrEnum):
    """How bad a finding is: errors break the promise, warnings cost something, information never fails."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Remark:
    """What one rule says of one place."""

    place: Place
    sentence: str
    """What stands there, and what follows from it."""
    write: str = ""
    """The line to write; empty where there is nothing to change."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A question to a case; its `name` is the heading of its section in docs/lint.md."""

    name: str
    level: Level
    judge: Callable[[Case], Iterator[Remark]]
    why: str
    """Why it matters, whatever the case."""

    def findings(self, case: Case) -> Iterator["Finding"]:
        """Yield what the rule finds."""
        for remark in self.judge(case):
            yield Finding(rule=self, subject=str(case.workload), remark=remark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A remark of a rule on a workload."""

    rule: Rule
    subject: str
    remark: Remark

    @property
    def counts(self) -> bool:
        """Whether something should be changed."""
        return self.rule.level is not Level.INFORMATION
