r"""Reads in RabbitMQ's management API whether exchanges, queues and their users let no message be lost.

The delivery contract of a service that may be stopped at any moment, verified against the running broker. One
run reports every rule that is violated. Nothing is declared, consumed, published or changed: the check opens
no AMQP connection at all, and sends nothing but GET to the management API.

Rules of topology may gate: a violated one fails the run.

- `exchanges`, `queues`: each is there and as it is to be, by default durable, not auto-delete, not exclusive.
  `arguments` are compared with what is in effect, by argument or by policy.
- `bindings`: what is published with a routing key reaches the queue directly: by an equal key on a direct
  exchange, by a pattern on a topic exchange. A way through a second exchange begins there.
- `dead_letter`: dead letters of each listed queue have somewhere to go. By argument or policy it names a
  durable exchange, which leads to a durable queue other than the queue itself, through further exchanges too.
- Always: no node of the broker has a memory or disk alarm, for then it takes no messages.

Rules of behaviour are reported only, as a warning, whatever `gates` and `strict` say: what they see is the
consumers and publishers of the revision that runs now, and they would hold back the release that mends them.

- `consumers`: there are `min` of them for each listed queue, each acknowledges by hand, and prefetches within
  bounds. If nobody does wrong now, `deliver_no_ack` tells whether somebody did since the last run.
- `messages`: those in each listed queue are persistent (`messages_persistent` against `messages`). Quorum
  queues and streams keep every message on disk.
- `unroutable`: nobody in the virtual host published what no queue gets (`return_unroutable`,
  `drop_unroutable`) since the last run, or in the first one since the broker began to count.
- `backlog`: not too many messages are ready or unacknowledged in each listed queue.

Consumers are those of this pod where they can be told from others: by `own`, else by the address that our
requests come from. If no consumer has that address, or `own.connection_name` may not be seen, all are judged.

Down means that a rule of topology is violated, or that the management API did not answer. The reason is
`contract` for what is not as it is to be, `not_found` for an object or virtual host that does not exist,
`unavailable` for an alarm, `auth` for a refused login, `protocol` for what is no management API.

What cannot be verified is a warning, never a pass. With `strict: true` it is a failure where it may gate; its
reason is `forbidden` where a right is missing, else `unavailable`. Unverifiable is

- everything, where the user has not the tag `management` or nothing may be seen of the virtual host;
- all behaviour, and whatever a policy may add, where statistics are switched off
  (`management_agent.disable_metrics_collector`), or a queue is younger than `collect_statistics_interval`;
- `manual_ack` and `prefetch` while there is no consumer, `messages` while the queue is empty, `unroutable`
  while nobody publishes, or with `management.rates_mode = none`;
- `dead_letter` where a letter keeps its routing key, no `bindings` say which that is, and its way is the
  default exchange; and where an exchange has no way for it but a policy, which may name an alternate one;
- anything beyond the 200th request of a run, and an answer of more than 1 MiB.

Requests of a run, one behind the other over one connection: two; one for each queue and each exchange that
the keys name; one for each pair of them in `bindings`; for `dead_letter` usually three a queue; one for
`unroutable`; with `own.connection_name` one for each connection of a consumer, at most 20. A check lists at
most 50 objects and never asks for all queues. While up, a thousand pods make three runs a second; while it is
down each asks again every 5s.

`management_url` is the host of `url` at port 15672, or at 15671 by TLS where that is amqps, and may have a
login of its own; else it is the one of `url`, or guest's. The virtual host is the path of `url`. Mind network
policies: it is another port than the application's.

For RabbitMQ 3.10, with which it is tested, to 4.x, whose API has all that is asked here. Since 4.0 classic
queues are not mirrored, so that only a queue of type quorum or stream outlives its node; since 4.3 new
transient queues must be exclusive. A prefetch count of a whole channel (`global`, deprecated) is not seen.
`aliveness-test`, which declares a queue and does nothing in 4.x, is not used.

`sidecar explain delivery` says of every rule how it stands, also of those that hold. With `--sample`, and
only then, it speaks AMQP and looks at copies of messages beside the listed bindings, through private queues.

Permissions: the tag `management`, and any permissions in the virtual host, such as `^$` three times. To see
names of connections that are not its own the user needs the tag `monitoring`. For `--sample` on private
queues: configure `^amq\.gen-.*$`, write `^amq\.gen-.*$`, read `^amq\.gen-.*$`, and read on the exchanges.
Reasons that waiting does not cure: auth, forbidden, tls.

```yaml
- name: delivery
  type: rabbitmq-delivery
  url: amqps://rabbitmq.example.com/ci
  username: sidecar
  password: ${RABBITMQ_PASSWORD}
  exchanges:
    - name: builds
      type: topic
  queues:
    - name: run-build
      type: quorum
  bindings:
    - exchange: builds
      queue: run-build
      routing_key: build.requested
  dead_letter: required
  consumers:
    prefetch:
      max: 100
  messages: {}
  unroutable: forbid
  backlog:
    max_ready: 10000
  gates: startup
```
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.checks._aiohttp import aiohttp
from sidecar.checks._amqp import Link, aiormq
from sidecar.checks._contract import Contract
from sidecar.checks._delivery import judge, survey
from sidecar.checks._dial import Dialer
from sidecar.checks._findings import conclude
from sidecar.checks._management import ManagedBrokerConfig, Management
from sidecar.checks._sample import Tally, Way, judge_sample, ways
from sidecar.checks._sampler import look
from sidecar.config.check import CheckType, option
from sidecar.config.fields import Span
from sidecar.config.problems import Mistake
from sidecar.core.check import Reason
from sidecar.core.finding import Finding
from sidecar.core.sample import Sample

if TYPE_CHECKING:
    from sidecar.checks._broker import Facts


@dataclass(frozen=True, kw_only=True, repr=False)
class DeliveryConfig(Contract, ManagedBrokerConfig):
    """Which broker, and the contract that is to hold there."""

    interval: Span = option("Time from one run to the next while up.", default=300.0)
    timeout: Span = option("Deadline of one run, connecting included.", default=15.0)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        yield from self.mistakes()


class DeliveryCheck:
    """Keeps the facts of the last run, with which counts are compared; no connection."""

    def __init__(self, config: DeliveryConfig) -> None:
        self._config = config
        self._management = Management(config.access)
        self._before: Facts | None = None

    @property
    def connections_opened(self) -> int:
        """Connections opened since the check was built."""
        return self._management.connections_opened

    async def run(self) -> str | None:
        """Read what the broker holds, and judge it. Return a warning, if only that is called for."""
        return conclude(await self.findings(), strict=self._config.strict)

    async def findings(self) -> list[Finding]:
        """Return how each rule stands.

        Raises:
            CheckFailed: the management API did not answer, or the virtual host does not exist.
        """
        async with self._management.visit() as visit:
            facts = await survey(visit, self._config, self._config.vhost)
        before, self._before = self._before, facts
        return judge(self._config, facts, before)

    async def sample(self, wanted: Sample) -> list[Finding]:
        """Look at copies of messages, beside the bindings that are found to be there first.

        Raises:
            CheckFailed: the management API or the broker itself did not answer, or the latter said no.
        """
        async with self._management.visit() as visit:
            facts = await survey(visit, self._config, self._config.vhost)
        found = list(ways(self._config, facts))
        open_ways = [each for each in found if isinstance(each, Way)]
        findings = [each for each in found if isinstance(each, Finding)]
        if open_ways:
            tallies = await self._look(open_ways, wanted)
            for way, tally in zip(open_ways, tallies, strict=True):
                findings += judge_sample(way, tally, wanted)
        return findings

    async def aclose(self) -> None:
        """Hold nothing."""

    async def _look(self, open_ways: Sequence[Way], wanted: Sample) -> Sequence[Tally]:
        """Look at copies of messages on a connection of its own, which is gone afterwards."""
        aiormq.load()  # before a connection is there to be left behind
        link = Link(
            await Dialer(self._config.url, self._config.tls).dial(),
            address=self._config.url.address,
            login=self._config.credentials,
            vhost=self._config.vhost,
            name=self._config.name,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(link.close)
            await link.open()
            async with link.attended():
                return await look(link, open_ways, wanted)


check_type = CheckType(
    config=DeliveryConfig,
    build=DeliveryCheck,
    drivers=(aiohttp,),
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.TLS}),
)
