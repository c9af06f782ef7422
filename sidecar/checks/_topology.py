"""The rules on what stays where it is: exchanges, queues, bindings, dead letters, the broker itself. Pure."""

from collections.abc import Iterator, Mapping

from sidecar.checks._broker import Binding, DeadLetters, Exchange, Facts, Queue, Unknown
from sidecar.checks._contract import REQUIRED, BindingConfig, Contract, ExchangeConfig, QueueConfig
from sidecar.checks._findings import Rule, judged, unknown, unverifiable, violated
from sidecar.core.check import Reason
from sidecar.core.finding import Finding, Standing


def judge_topology(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield how each rule of topology stands."""
    yield _node(facts)
    for exchange in contract.exchanges:
        yield from _exchange(exchange, facts.exchanges[exchange.name])
    for queue in contract.queues:
        yield from _queue(queue, facts.queues[queue.name])
    for binding in contract.bindings:
        yield _binding(binding, facts)
    if contract.dead_letter is not None:
        for found in facts.known_queues(each.name for each in contract.queues):
            yield _dead_letter(contract.dead_letter, found, facts.dead_letters.get(found.name))


def _node(facts: Facts) -> Finding:
    match facts.alarm:
        case Unknown() as gap:
            return unknown(Rule.NODE, "whether the broker takes messages", gap)
        case None:
            return Finding(Rule.NODE, Standing.HELD, "the broker takes messages")
        case why:
            return Finding(
                Rule.NODE, Standing.VIOLATED, f"the broker takes no messages: {why}", Reason.UNAVAILABLE
            )


def _exchange(wanted: ExchangeConfig, found: Exchange | Unknown | None) -> Iterator[Finding]:
    subject = f"exchange {wanted.name}"
    if not isinstance(found, Exchange):
        yield _absent(Rule.EXCHANGE, subject, found)
        return
    yield _trait(Rule.EXCHANGE, subject, "durable", wanted.durable, found.durable)
    yield _trait(Rule.EXCHANGE, subject, "auto-delete", wanted.auto_delete, found.auto_delete)
    if wanted.internal is not None:
        yield _trait(Rule.EXCHANGE, subject, "internal", wanted.internal, found.internal)
    if wanted.type is not None:
        yield _type(Rule.EXCHANGE, subject, wanted.type, found.type)


def _queue(wanted: QueueConfig, found: Queue | Unknown | None) -> Iterator[Finding]:
    subject = f"queue {wanted.name}"
    if not isinstance(found, Queue):
        yield _absent(Rule.QUEUE, subject, found)
        return
    yield _trait(Rule.QUEUE, subject, "durable", wanted.durable, found.durable)
    yield _trait(Rule.QUEUE, subject, "auto-delete", wanted.auto_delete, found.auto_delete)
    yield _trait(Rule.QUEUE, subject, "exclusive", wanted.exclusive, found.exclusive)
    if wanted.type is not None:
        yield _type(Rule.QUEUE, subject, wanted.type, found.type)
    for name, value in (wanted.arguments or {}).items():
        yield _argument(found, name, value)


def _argument(queue: Queue, name: str, wanted: str) -> Finding:
    value = queue.effective(name)
    if not queue.is_settled(name):
        return unverifiable(Rule.QUEUE, f"queue {queue.name}: no policy is known that may set {name}")
    if value is None:
        return violated(Rule.QUEUE, f"queue {queue.name} has no {name}")
    return judged(
        Rule.QUEUE,
        _written(value) == wanted,
        held=f"queue {queue.name} has {name} {wanted}",
        violated=f"queue {queue.name} has {name} {_written(value)}, not {wanted}",
    )


def _binding(wanted: BindingConfig, facts: Facts) -> Finding:
    exchange, bindings = facts.exchanges[wanted.exchange], facts.bindings[wanted.exchange, wanted.queue]
    if not isinstance(exchange, Exchange):
        return _absent(Rule.BINDING, f"exchange {wanted.exchange}", exchange)
    key = f" for {wanted.routing_key}" if wanted.routing_key is not None else ""
    way = f"bound to exchange {wanted.exchange}{key}"
    if isinstance(bindings, Unknown):
        return unknown(Rule.BINDING, f"whether queue {wanted.queue} is {way}", bindings)
    return judged(
        Rule.BINDING,
        any(is_wanted(each, wanted, exchange) for each in bindings),
        held=f"queue {wanted.queue} is {way}",
        violated=f"queue {wanted.queue} is not {way}",
    )


def is_wanted(binding: Binding, wanted: BindingConfig, exchange: Exchange) -> bool:
    """Whether a binding of an exchange is as wanted."""
    keys = None if wanted.routing_key is None else (wanted.routing_key,)
    return binding.takes(exchange.type, keys) and _contains(binding.arguments, wanted.arguments)


def _dead_letter(wanted: str, queue: Queue, found: DeadLetters | Unknown | None) -> Finding:
    """Judge where the dead letters of a queue go; `found` is None where no exchange is named for them."""
    rule = Rule.DEAD_LETTER
    if found is None and queue.policy is None:
        return unverifiable(
            rule, f"queue {queue.name}: no policy is known that may name a dead-letter exchange"
        )
    if found is None:
        return violated(rule, f"queue {queue.name} has no dead-letter exchange")
    if isinstance(found, Unknown):
        return unknown(rule, f"where the dead letters of queue {queue.name} go", found)
    fault = _fault_of(wanted, queue.name, found)
    return judged(
        rule,
        fault is None,
        held=f"dead letters of queue {queue.name} reach {_durable(found)} through exchange {found.exchange}",
        violated=fault or "",
    )


def _fault_of(wanted: str, queue: str, found: DeadLetters) -> str | None:
    """Return what is wrong with the way of dead letters; the first thing, for the next follow from it."""
    if wanted not in (REQUIRED, found.exchange):
        return f"queue {queue} has the dead-letter exchange {found.exchange}, not {wanted}"
    if found.found is None:
        return f"the dead-letter exchange {found.exchange} of queue {queue} does not exist"
    if not found.found.durable:
        return f"the dead-letter exchange {found.exchange} of queue {queue} is not durable"
    if not found.queues:
        return f"dead letters of queue {queue} reach no other queue through exchange {found.exchange}"
    if not _durable(found):
        return f"dead letters of queue {queue} reach {found.queues[0].name}, which is not durable"
    return None


def _durable(found: DeadLetters) -> str:
    return ", ".join(queue.name for queue in found.queues if queue.durable)


def _trait(rule: Rule, subject: str, word: str, wanted: bool, found: bool) -> Finding:
    """Judge whether something is what a word says."""
    sentence = f"{subject} is {word}" if found else f"{subject} is not {word}"
    return judged(rule, found == wanted, held=sentence, violated=sentence)


def _type(rule: Rule, subject: str, wanted: str, found: str) -> Finding:
    sentence = f"{subject} is of type {found}"
    return judged(rule, found == wanted, held=sentence, violated=f"{sentence}, not {wanted}")


def _absent(rule: Rule, subject: str, found: Unknown | None) -> Finding:
    """Return the finding about something that does not exist, or cannot be seen."""
    if isinstance(found, Unknown):
        return unknown(rule, subject, found)
    return Finding(rule, Standing.VIOLATED, f"{subject} does not exist", Reason.NOT_FOUND)


def _written(value: object) -> str:
    """Return a value as the configuration would write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _contains(arguments: Mapping[str, object], wanted: Mapping[str, str] | None) -> bool:
    return all(_written(arguments.get(name)) == value for name, value in (wanted or {}).items())
