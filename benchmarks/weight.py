"""How heavy is it?

Measured: resident, proportional and private memory, and processor time, of a sidecar with ten checks every
10s: of no type, of http and tcp, of each driver's, of all. Against: a process that imports the same libraries
bare and holds one connection of each driver. All are scraped once, and run side by side for so long as
`--rest` says. Besides, the memory of a check at rest, from a thousand of one type against a hundred.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from benchmarks.client import until_answered
from benchmarks.peers import blackbox
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from benchmarks.servers import CheckDocument, Started, program, sidecar
from benchmarks.subjects import SUBJECTS, Address, bare_argument
from tools.servers import ServerFailed, ServerMissing

QUESTION: Final = "How heavy is it?"
CHECKS: Final = 10
MIB: Final = 1024 * 1024
KIB: Final = 1024
SETS: Final[Mapping[str, Sequence[str]]] = {
    "none": (),
    "http and tcp": ("http", "tcp"),
    "redis": ("redis",),
    "rabbitmq": ("rabbitmq",),
    "postgres": ("postgres",),
    "postgres, kept": ("postgres, kept",),
    "s3": ("s3",),
    "all": ("http", "tcp", "redis", "rabbitmq", "postgres", "s3"),
}
AT_REST: Final[Mapping[str, float]] = {"tcp": 10.0, "http": 16.0}
"""Types of which there may be a thousand, and the KiB that each check may weigh."""
FEW, MANY = 100, 1000
ADDED: Final = 4.0
"""MiB that the sidecar may weigh more than the bare libraries."""
SHARE: Final = 0.3
"""Percent of a core."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The sidecar and the bare libraries of one set of types."""

    name: str
    ours: Started
    bare: Started


def measure(effort: Effort) -> Findings:
    """Start everything, rest, weigh."""
    with ExitStack() as stack:
        where, skipped = _dependencies(effort, stack)
        pairs = [
            _pair(effort, stack, name, {each: where[each] for each in types})
            for name, types in SETS.items()
            if where.keys() >= set(types)
        ]
        crowds = {
            (name, count): _crowd(effort, stack, name, where[name], count)
            for name in AT_REST
            for count in (FEW, MANY)
        }
        time.sleep(min(effort.rest / 5, 12))
        used = [pair.ours.cpu_seconds() for pair in pairs]
        time.sleep(effort.rest)
        cpu = [
            (pair.ours.cpu_seconds() - before) / effort.rest for pair, before in zip(pairs, used, strict=True)
        ]
        rows = [*_memory_rows(pairs), *_peer_rows(effort, pairs), *_cpu_rows(pairs, cpu), *_rest_rows(crowds)]
        plot = _plot(pairs)
    return Findings(
        [*rows, *skipped],
        [
            f"Weighed after {effort.rest:.0f}s (`--rest`) and one scrape, {CHECKS} checks every 10s.",
            "`s3` too, which by itself asks every 5m.",
            f"`all` are {', '.join(SETS['all'])}.",
            f"Of {MANY:,} checks at rest each still asks every 10s: a few are asking when they are weighed.",
        ],
        [plot],
        options=f"--rest {effort.rest:g}",
    )


def _dependencies(effort: Effort, stack: ExitStack) -> tuple[dict[str, Address], list[Row]]:
    where: dict[str, Address] = {}
    skipped: list[Row] = []
    for subject in SUBJECTS:
        if any(subject.name in names for names in SETS.values()):
            try:
                where[subject.name] = stack.enter_context(subject.dependency(effort.folder))
            except (ServerMissing, ServerFailed) as failure:
                skipped.append(Row(f"`{subject.name}`", None, note=f"skipped: {failure}"))
    return where, skipped


def _pair(effort: Effort, stack: ExitStack, name: str, where: Mapping[str, Address]) -> Pair:
    ours = stack.enter_context(sidecar(effort.folder, _checks(where, CHECKS)))
    urls = [bare_argument(each, at) for each, at in where.items() if each != "tcp"]
    bare = stack.enter_context(program("libraries", *urls))
    for each in (ours, bare):
        until_answered(each.port, "/metrics")  # what writes them is imported for the first scrape
    return Pair(name, ours, bare)


def _crowd(effort: Effort, stack: ExitStack, name: str, at: Address, count: int) -> Started:
    return stack.enter_context(sidecar(effort.folder, _checks({name: at}, count)))


def _checks(where: Mapping[str, Address], count: int) -> list[CheckDocument]:
    """Return so many checks, of these types by turns."""
    documents = [subject.check(where[subject.name]) for subject in SUBJECTS if subject.name in where]
    return [
        {"name": f"c-{n}", "gates": "none", "interval": "10s", **documents[n % len(documents)]}
        for n in range(count if documents else 0)
    ]


def _memory_rows(pairs: Sequence[Pair]) -> Iterator[Row]:
    for pair in pairs:
        ours, bare = pair.ours.memory(), pair.bare.memory()
        for what, mine, theirs, target in (
            ("RSS", ours.rss, bare.rss, Target(at_most=ADDED)),
            ("PSS", ours.pss, bare.pss, Target()),
            ("private", ours.private, bare.private, Target()),
        ):
            yield Row(f"{pair.name}: {what}", mine / MIB, "MiB")
            yield Row(f"{pair.name}: {what} above the bare libraries", (mine - theirs) / MIB, "MiB", target)


def _peer_rows(effort: Effort, pairs: Sequence[Pair]) -> Iterator[Row]:
    """Compare with a peer that can ask over HTTP and TCP, and rests."""
    what = "http and tcp: RSS, against the blackbox exporter at rest"
    ours = next(pair.ours.memory().rss for pair in pairs if pair.name == "http and tcp")
    try:
        with blackbox(effort.folder) as exporter:
            yield Row(what, ours / exporter.memory().rss)
    except ServerMissing as failure:
        yield Row(what, None, note=f"skipped: {failure}")


def _cpu_rows(pairs: Sequence[Pair], cpu: Sequence[float]) -> Iterator[Row]:
    for pair, share in zip(pairs, cpu, strict=True):
        yield Row(f"{pair.name}: processor seconds an hour", share * 3600, "s")
        yield Row(f"{pair.name}: share of a core", share * 100, "%", Target(at_most=SHARE))


def _rest_rows(crowds: Mapping[tuple[str, int], Started]) -> Iterator[Row]:
    for name, limit in AT_REST.items():
        few, many = (crowds[name, count].memory().rss for count in (FEW, MANY))
        yield Row(
            f"`{name}`: memory of a check at rest",
            (many - few) / (MANY - FEW) / KIB,
            "KiB",
            Target(at_most=limit),
        )


def _plot(pairs: Sequence[Pair]) -> Plot:
    return Plot(
        "weight",
        f"RSS: {', '.join(pair.name for pair in pairs)}",
        x="set of types, in this order",
        y="MiB",
        series={
            "the sidecar": [(n, pair.ours.memory().rss / MIB) for n, pair in enumerate(pairs)],
            "bare libraries": [(n, pair.bare.memory().rss / MIB) for n, pair in enumerate(pairs)],
        },
    )
