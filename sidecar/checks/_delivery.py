"""Finds out what a delivery contract asks, and judges it: the one for the network, the other pure.

Whoever wants more than a check's verdict, each rule with how it stands, calls both.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from sidecar.checks._behaviour import judge_behaviour
from sidecar.checks._broker import (
    DEFAULT_EXCHANGE,
    Binding,
    Consumer,
    DeadLetters,
    Exchange,
    Facts,
    Ours,
    Queue,
    Traffic,
    Unknown,
)
from sidecar.checks._contract import Contract
from sidecar.checks._management import Unanswered, Visit
from sidecar.checks._topology import judge_topology
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.finding import Finding

CONNECTION_LIMIT: Final = 20
"""Connections whose name is looked up; more of them are not told from each other."""
T = TypeVar("T")


def judge(contract: Contract, facts: Facts, before: Facts | None = None) -> list[Finding]:
    """Return how each rule of a contract stands, topology first.

    Counts that only grow are judged by what came after `before`, the facts of an earlier visit.
    """
    return [*judge_topology(contract, facts), *judge_behaviour(contract, facts, before)]


async def survey(visit: Visit, contract: Contract, vhost: str) -> Facts:
    """Return all that a contract asks of a virtual host; what the broker does not tell us is `Unknown`.

    Raises:
        CheckFailed: there is no such virtual host, or no management API that answers.
    """
    return await _Survey(visit, contract, vhost).facts()


class _Survey:
    """One survey, which asks for no object twice."""

    def __init__(self, visit: Visit, contract: Contract, vhost: str) -> None:
        self._visit = visit
        self._contract = contract
        self._vhost = vhost
        self._barred: Unknown | None = None
        self._exchanges: dict[str, Exchange | Unknown | None] = {}
        self._queues: dict[str, Queue | Unknown | None] = {}

    async def facts(self) -> Facts:
        """Return the facts, those first without which the others would mean nothing."""
        contract = self._contract
        alarm = await _told(self._visit.ailment("alarms"))
        await self._enter()
        for name in (
            *(each.name for each in contract.exchanges),
            *(each.exchange for each in contract.bindings),
        ):
            await self._exchange(name)
        for queue in contract.queues:
            await self._queue(queue.name)
        return Facts(
            vhost=self._vhost,
            alarm=alarm,
            bindings=await self._bindings(),
            dead_letters=await self._dead_letters() if contract.dead_letter else {},
            traffic=await _told(self._traffic()) if contract.unroutable else None,
            ours=await self._ours(),
            exchanges=self._exchanges,
            queues=self._queues,
        )

    async def _enter(self) -> None:
        """See whether the virtual host is there, by an exchange that each has, and whether we may look in."""
        found = await self._exchange(DEFAULT_EXCHANGE)
        if found is None:
            raise CheckFailed(Reason.NOT_FOUND, f"{self._visit.target} has no virtual host {self._vhost}")
        if isinstance(found, Unknown):
            self._barred = found

    async def _ask(self, *path: str, columns: tuple[str, ...]) -> Any:
        self._refuse_if_barred()
        return await self._visit.get(*path, columns=columns)

    async def _find_exchange(self, name: str) -> Any:
        self._refuse_if_barred()
        written = "" if name == DEFAULT_EXCHANGE else name
        return await self._visit.find("exchanges", self._vhost, name=written, columns=Exchange.COLUMNS)

    def _refuse_if_barred(self) -> None:
        if self._barred is not None:
            raise Unanswered(self._barred.reason, self._barred.why)

    async def _exchange(self, name: str) -> Exchange | Unknown | None:
        if name not in self._exchanges:
            self._exchanges[name] = _read(Exchange.read, await _told(self._find_exchange(name)))
        return self._exchanges[name]

    async def _queue(self, name: str) -> Queue | Unknown | None:
        if name not in self._queues:
            columns = (*Queue.COLUMNS, *(Consumer.COLUMNS if self._contract.consumers else ()))
            asked = self._ask("queues", self._vhost, name, columns=columns)
            self._queues[name] = _read(Queue.read, await _told(asked))
        return self._queues[name]

    async def _bindings(self) -> Mapping[tuple[str, str], tuple[Binding, ...] | Unknown]:
        """Return the bindings of each wanted way; where there is no exchange there are none."""
        found: dict[tuple[str, str], tuple[Binding, ...] | Unknown] = {}
        for exchange, queue in sorted({(each.exchange, each.queue) for each in self._contract.bindings}):
            path = ("bindings", self._vhost, "e", exchange, "q", queue)
            is_there = self._exchanges[exchange] is not None
            found[exchange, queue] = await _told(self._bindings_of(*path)) if is_there else ()
        return found

    async def _bindings_of(self, *path: str) -> tuple[Binding, ...]:
        answer = await self._ask(*path, columns=Binding.COLUMNS)
        return tuple(map(Binding.read, answer)) if isinstance(answer, list) else ()

    async def _dead_letters(self) -> Mapping[str, DeadLetters | Unknown]:
        found: dict[str, DeadLetters | Unknown] = {}
        for queue in [each for each in self._queues.values() if isinstance(each, Queue)]:
            exchange = queue.effective("x-dead-letter-exchange")
            if isinstance(exchange, str):
                found[queue.name] = await _told(self._follow(queue, exchange or DEFAULT_EXCHANGE))
        return found

    async def _follow(self, queue: Queue, exchange: str) -> DeadLetters:
        """Return where dead letters go that enter an exchange, as far as the first durable queue.

        Raises:
            Unanswered: no way was found, and not every way could be seen.
        """
        key = queue.effective("x-dead-letter-routing-key")
        keys = frozenset([key]) if isinstance(key, str) else self._contract.routing_keys(queue.name)
        reached: list[Queue] = []
        async with aclosing(self._ways(exchange, keys)) as ways:
            async for name in ways:
                end = _sure(await self._queue(name))
                if end is not None and end.name != queue.name:
                    reached.append(end)
                if reached and reached[-1].durable:
                    break
        return DeadLetters(
            exchange=exchange, found=_sure(await self._exchange(exchange)), queues=tuple(reached)
        )

    async def _ways(self, exchange: str, keys: frozenset[str] | None) -> AsyncGenerator[str, None]:
        """Yield the names of the queues that messages reach from an exchange, through others too."""
        waiting, seen = [exchange], set[str]()
        while waiting:
            name = waiting.pop(0)
            entered = _sure(await self._exchange(name))
            if name in seen or entered is None:
                continue
            seen.add(name)
            if name == DEFAULT_EXCHANGE:
                for queue in _of_default_exchange(keys):
                    yield queue
                continue
            path = ("exchanges", self._vhost, name, "bindings", "source")
            taken = [each for each in await self._bindings_of(*path) if each.takes(entered.type, keys)]
            for each in taken:
                if each.is_to_queue:
                    yield each.destination
            waiting += [each.destination for each in taken if not each.is_to_queue]
            if not taken:
                waiting += _alternates(entered)

    async def _traffic(self) -> Traffic | None:
        """Return the numbers of the virtual host, from the list of those that we may see.

        The virtual host's own page wants the tag administrator before 4.x.
        """
        answer = await self._ask("vhosts", columns=Traffic.COLUMNS)
        listed = answer if isinstance(answer, list) else ()
        ours = [each for each in listed if isinstance(each, dict) and each.get("name") == self._vhost]
        return Traffic.read(ours[0]) if ours else None

    async def _ours(self) -> Ours:
        own = self._contract.own
        connections = (
            await _told(self._named(own.connection_name)) if own and own.connection_name else frozenset()
        )
        return Ours(addresses=self._visit.addresses, connections=connections)

    async def _named(self, name: str) -> frozenset[str]:
        """Return which of the consumers' connections carry this name.

        Raises:
            Unanswered: they are not the user's own, and it has not the tag monitoring; there are too many; or
                one is not known.
        """
        connections = {
            consumer.connection
            for queue in self._queues.values()
            if isinstance(queue, Queue) and queue.statistics
            for consumer in queue.statistics.consumers or ()
        }
        if "" in connections:
            raise Unanswered(
                Reason.UNAVAILABLE, "the broker does not know yet which connection a consumer has"
            )
        if len(connections) > CONNECTION_LIMIT:
            raise Unanswered(Reason.UNAVAILABLE, f"consumers use more than {CONNECTION_LIMIT} connections")
        return frozenset([each for each in sorted(connections) if await self._carries(each, name)])

    async def _carries(self, connection: str, name: str) -> bool:
        answer = await self._ask("connections", connection, columns=("user_provided_name",))
        return isinstance(answer, dict) and answer.get("user_provided_name") == name


async def _told(asking: Awaitable[T]) -> T | Unknown:
    """Return the answer, or why there is none."""
    try:
        return await asking
    except Unanswered as unanswered:
        return Unknown(unanswered.reason, unanswered.sentence)


def _read(read: Callable[[Any], T], answer: Any) -> T | Unknown | None:
    return answer if answer is None or isinstance(answer, Unknown) else read(answer)


def _sure(found: T | Unknown) -> T:
    """Return what was found.

    Raises:
        Unanswered: it is not known.
    """
    if isinstance(found, Unknown):
        raise Unanswered(found.reason, found.why)
    return found


def _of_default_exchange(keys: frozenset[str] | None) -> frozenset[str]:
    """Return the queues that the default exchange leads to: those whose names are the routing keys."""
    if keys is None:
        raise Unanswered(
            Reason.UNAVAILABLE, "no bindings in the configuration say which routing keys they have"
        )
    return keys


def _alternates(exchange: Exchange) -> list[str]:
    """Return the exchange that gets what this one has no way for, if there is one.

    Raises:
        Unanswered: a policy may name one, and what a policy adds to an exchange is not told.
    """
    if exchange.alternate is None and exchange.has_policy:
        raise Unanswered(
            Reason.FORBIDDEN, f"a policy may give exchange {exchange.name} an alternate exchange"
        )
    return [exchange.alternate] if exchange.alternate else []
