"""The rules on what consumers and publishers do, as the broker's statistics tell of it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sidecar.checks._broker import Consumer, Facts, Ours, Queue, Statistics, Traffic, Unknown
from sidecar.checks._contract import ConsumersConfig, Contract, OwnConfig, PrefetchConfig, QueueType
from sidecar.checks._findings import Rule, judged, unknown, unverifiable, violated
from sidecar.core.finding import Finding, Standing

ON_DISK: Final = frozenset({QueueType.QUORUM, QueueType.STREAM})
"""Types of queues that keep every message on disk, however it was published."""


def judge_behaviour(contract: Contract, facts: Facts, before: Facts | None) -> Iterator[Finding]:
    """Yield how each rule of behaviour stands, by what was counted after `before` where counts only grow."""
    for queue in facts.known_queues(each.name for each in contract.queues):
        if contract.consumers is not None:
            earlier = before.queues.get(queue.name) if before else None
            yield from _consumers(contract.consumers, contract.own, facts.ours, queue, earlier)
        if contract.messages is not None:
            yield _messages(queue)
        if contract.backlog is not None:
            limits = {"ready": contract.backlog.max_ready, "unacked": contract.backlog.max_unacked}
            yield from _backlog(limits, queue)
    if contract.unroutable is not None:
        yield _unroutable(facts, before)


def _consumers(
    wanted: ConsumersConfig, own: OwnConfig | None, ours: Ours, queue: Queue, earlier: object
) -> Iterator[Finding]:
    statistics = queue.statistics
    if statistics is None or statistics.consumers is None:
        yield _uncounted(Rule.CONSUMERS, queue)
        return
    told = consumers_of_this_pod(own, ours, statistics.consumers)
    consumers = statistics.consumers if told is None else told
    before = earlier.statistics if isinstance(earlier, Queue) and told is None else None
    lost = _lost_since(before, statistics)
    whose = "" if told is None else " of this pod"
    yield _number(queue.name, len(consumers), whose, wanted.min)
    if not consumers and not lost and (wanted.manual_ack or wanted.prefetch):
        yield unverifiable(
            Rule.CONSUMERS, f"how consumers{whose} of queue {queue.name} acknowledge cannot be verified"
        )
        return
    if wanted.manual_ack:
        yield _acknowledgement(queue.name, consumers, whose, lost)
    careful = [each for each in consumers if each.acks]
    if wanted.prefetch is not None and careful:
        yield _prefetch(wanted.prefetch, queue.name, careful, whose)


def consumers_of_this_pod(
    own: OwnConfig | None, ours: Ours, consumers: Sequence[Consumer]
) -> tuple[Consumer, ...] | None:
    """Return the consumers that are this pod's own; None where they cannot be told from others.

    An address can be hidden behind another: that no consumer has ours says nothing.
    """
    if own is None:
        return tuple(each for each in consumers if each.peer in ours.addresses) or None
    if own.consumer_tag_prefix is not None:
        consumers = [each for each in consumers if each.tag.startswith(own.consumer_tag_prefix)]
    if own.connection_name is not None:
        if isinstance(ours.connections, Unknown):
            return None
        consumers = [each for each in consumers if each.connection in ours.connections]
    return tuple(consumers)


def _lost_since(before: Statistics | None, now: Statistics) -> int:
    """Return how many messages were delivered meanwhile to whoever does not acknowledge."""
    return max(0, now.without_ack - before.without_ack) if before else 0


def _number(queue: str, number: int, whose: str, least: int) -> Finding:
    sentence = f"queue {queue} has {_counted(number, 'consumer')}{whose}"
    fewer = f", fewer than {least}" if least > 1 else ""
    return judged(Rule.CONSUMERS, number >= least, held=sentence, violated=f"{sentence}{fewer}")


def _acknowledgement(queue: str, consumers: Sequence[Consumer], whose: str, lost: int) -> Finding:
    careless = sum(not each.acks for each in consumers)
    if careless:
        return violated(
            Rule.CONSUMERS,
            f"{careless} of {_counted(len(consumers), 'consumer')}{whose} of queue {queue} acknowledge "
            "automatically",
        )
    if lost:
        return violated(
            Rule.CONSUMERS,
            f"{_counted(lost, 'message')} of queue {queue} went to consumers that acknowledge automatically "
            "since the last run",
        )
    return Finding(Rule.CONSUMERS, Standing.HELD, f"consumers{whose} of queue {queue} acknowledge by hand")


def _prefetch(wanted: PrefetchConfig, queue: str, consumers: Sequence[Consumer], whose: str) -> Finding:
    """Judge the prefetch counts of consumers; nought is no limit."""
    counts = sorted({each.prefetch for each in consumers})
    wrong = [each for each in counts if not _is_within(wanted, each)]
    most = "any number" if wanted.max is None else wanted.max
    subject = f"consumers{whose} of queue {queue}"
    return judged(
        Rule.CONSUMERS,
        not wrong,
        held=f"{subject} have a prefetch of {_listed(counts)}",
        violated=f"{subject} have a prefetch of {_listed(wrong)}, not {wanted.min} to {most}",
    )


def _is_within(wanted: PrefetchConfig, prefetch: int) -> bool:
    if prefetch == 0:
        return wanted.max is None
    return wanted.min <= prefetch and (wanted.max is None or prefetch <= wanted.max)


def _messages(queue: Queue) -> Finding:
    if queue.type in ON_DISK:
        return Finding(Rule.MESSAGES, Standing.HELD, f"queue {queue.name} keeps every message on disk")
    if queue.statistics is None or queue.statistics.persistent is None:
        return _uncounted(Rule.MESSAGES, queue)
    total, persistent = queue.statistics.messages, queue.statistics.persistent
    if total == 0:
        return unverifiable(
            Rule.MESSAGES, f"queue {queue.name} is empty: persistence of messages cannot be verified"
        )
    return judged(
        Rule.MESSAGES,
        persistent >= total,
        held=f"messages in queue {queue.name} are persistent",
        violated=f"{total - persistent} of {_counted(total, 'message')} in queue {queue.name} "
        "would not survive a restart of the broker",
    )


def _backlog(limits: Mapping[str, int | None], queue: Queue) -> Iterator[Finding]:
    for sort, limit in limits.items():
        if limit is None:
            continue
        if queue.statistics is None:
            yield _uncounted(Rule.BACKLOG, queue)
            continue
        number: int = getattr(queue.statistics, sort)
        yield judged(
            Rule.BACKLOG,
            number <= limit,
            held=f"queue {queue.name} has {number} {sort}",
            violated=f"queue {queue.name} has {number} {sort}, more than {limit}",
        )


def _unroutable(facts: Facts, before: Facts | None) -> Finding:
    where = f"in virtual host {facts.vhost}"
    if isinstance(facts.traffic, Unknown):
        return unknown(Rule.UNROUTABLE, f"whether messages are unroutable {where}", facts.traffic)
    earlier = before.traffic if before and isinstance(before.traffic, Traffic) else None
    traffic = facts.traffic.since(earlier) if facts.traffic else Traffic(published=0, unroutable=0)
    span = "since the last run" if earlier else "since the broker began to count"
    if traffic.unroutable:
        return violated(
            Rule.UNROUTABLE, f"{_counted(traffic.unroutable, 'message')} {where} found no queue {span}"
        )
    if not traffic.published:
        return unverifiable(
            Rule.UNROUTABLE, f"no message was counted {where} {span}: unroutable cannot be verified"
        )
    return Finding(Rule.UNROUTABLE, Standing.HELD, f"every message {where} found a queue {span}")


def _uncounted(rule: Rule, queue: Queue) -> Finding:
    return unverifiable(rule, f"queue {queue.name} has no statistics, or none yet: {rule} cannot be verified")


def _counted(number: int, noun: str) -> str:
    if number == 0:
        return f"no {noun}"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
