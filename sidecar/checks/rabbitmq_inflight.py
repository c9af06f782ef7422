r"""Counts what this pod's consumers were sent and have not acknowledged: a drain waits until it is nothing.

Up means that this pod has nothing in flight: two readings of the management API, 6s apart, found nothing
unacknowledged on its channels. RabbitMQ counts every 5s, so that one reading may be from before the last
delivery.

Down means that something is in flight, which is normal while the app works: the check can gate nothing, and
is meant for `drain.until`. `drain.notify` tells the app to stop consuming; while it goes on, work goes on
coming, and the drain lasts until its deadline.

This pod's channels are those that come from the address under which the broker sees us or, where several pods
share one, those of the connections that the app has named `connection_name`.

The reason is `contract` while something is in flight, `not_found` for a virtual host that does not exist,
where nothing ever is, and `forbidden` while we may not see what is: a user with the tag `management` sees the
channels of its own name only. So ask as the app's own user, or as one with the tag `monitoring`. As the
former the check stays down until it has seen a channel of this pod once, and not one of a check of ours.

Nothing is declared, consumed or requeued, and AMQP is not spoken. A run makes 6 requests, until it has seen
such a channel 2 more, and with `connection_name` one more for each of these connections, twice.

Permissions: the tag `management`, and the virtual host.
Reasons that waiting does not cure: auth, tls.

```yaml
checks:
  - name: inflight
    type: rabbitmq-inflight
    url: amqp://rabbitmq/ci
    username: builds
    password: ${RABBITMQ_PASSWORD}
drain:
  until: [{check: inflight}]
  deadline: 60s
  notify: {post: "http://localhost:8080/stop"}
ungated: true   # not needed beside checks that gate something
```
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.checks._amqp import OUR_NAMES
from sidecar.checks._management import ManagedBrokerConfig, Management, Unanswered, Visit, yarl
from sidecar.config.check import CheckType, option
from sidecar.config.fields import Label, Span
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.verdict import Gate

APART: Final = 6.0
"""Seconds between the two readings: the broker's own counts are up to 5s old."""
PAGE: Final = 500
"""Channels of one pod that are counted, and connections that are looked at; a page has no more."""
COLUMNS: Final = ("name", "vhost", "messages_unacknowledged", "consumer_count")
"""RabbitMQ answers 500 where it is to compare names that are not among them."""
SEES_ALL: Final = frozenset({"administrator", "monitoring"})


@dataclass(frozen=True, kw_only=True, repr=False)
class RabbitmqInflightConfig(ManagedBrokerConfig):
    """Whose deliveries are counted, and where."""

    gates: frozenset[Gate] = option("`none`: work in flight is no fault.", default=frozenset())
    interval: Span = option("Time from one run to the next while up; a drain asks at once.", default=60.0)
    timeout: Span = option("Deadline of one run, of which 6s are between two readings.", default=15.0)
    failure_threshold: int = option("How many failures in a row turn the check down.", default=1)
    connection_name: Label | None = option(
        "Name that this pod gives its connections, where others come from the same address.", default=None
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if self.gates:
            yield Mistake("would hold back a pod for working; write gates: none", key="gates")
        if self.timeout <= APART:
            yield Mistake(f"leaves no time beside the {APART:g}s between two readings", key="timeout")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is in flight at one moment, as far as the broker has counted."""

    channels: int = 0
    consumers: int = 0
    unacknowledged: int = 0

    @classmethod
    def of(cls, channels: Iterable[Mapping[str, Any]], vhost: str) -> "Reading":
        """Add up the channels of a virtual host; one that was not counted yet has nothing.

        Raises:
            CheckFailed: what is to be added up is no number.
        """
        ours = [each for each in channels if each.get("vhost") == vhost]
        return cls(
            len(ours),
            sum(_count(each, "consumer_count") for each in ours),
            sum(_count(each, "messages_unacknowledged") for each in ours),
        )

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.unacknowledged} messages are not acknowledged, by {self.consumers} consumers "
            f"on {self.channels} channels of this pod"
        )


class RabbitmqInflightCheck:
    """Holds no connection; remembers whether it has ever seen a channel of this pod."""

    def __init__(self, config: RabbitmqInflightConfig) -> None:
        self._config = config
        self._management = Management(config.access)
        self._can_see = False

    @property
    def connections_opened(self) -> int:
        """How many connections were opened."""
        return self._management.connections_opened

    async def run(self) -> None:
        """Read twice, unless the first reading finds something."""
        await self._expect_nothing()
        await asyncio.sleep(APART)
        await self._expect_nothing()

    async def aclose(self) -> None:
        """Do nothing: no connection is kept."""

    async def _expect_nothing(self) -> None:
        try:
            async with self._management.visit() as visit:
                reading = await self._read(visit)
        except Unanswered as unanswered:
            raise CheckFailed(unanswered.reason, f"{self._config.target}: {unanswered.sentence}") from None
        if reading.unacknowledged:
            raise CheckFailed(Reason.CONTRACT, f"{self._config.target}: {reading}")
        if not self._can_see:
            raise CheckFailed(
                Reason.FORBIDDEN,
                f"{self._config.target}: has shown no channel of this pod yet; ask as the app's own user, or "
                "with the tag monitoring",
            )

    async def _read(self, visit: Visit) -> Reading:
        """Return what is in flight now, and note whether we could see it.

        Raises:
            Unanswered: the broker does not let us see it.
            CheckFailed: it does not answer, or has no such virtual host.
        """
        tags = await visit.get("whoami", columns=("name", "tags"))
        await self._enter(visit)
        channels = await self._channels(visit)
        sees_all = bool(SEES_ALL & set(_tags(tags)))
        self._can_see = self._can_see or sees_all or await self._shows_the_app(visit, channels)
        return Reading.of(channels, self._config.vhost)

    async def _enter(self, visit: Visit) -> None:
        """See whether the virtual host is there, by the default exchange, which each has."""
        if await visit.find("exchanges", self._config.vhost, name="", columns=("name",)) is None:
            raise CheckFailed(
                Reason.NOT_FOUND, f"{self._config.target} has no virtual host {self._config.vhost}"
            )

    async def _channels(self, visit: Visit) -> Sequence[Mapping[str, Any]]:
        wanted = self._config.connection_name
        if wanted is None:
            return await self._of_this_pod(visit, "channels", COLUMNS)
        named = self._listed(await visit.get("connections", columns=("name", "user_provided_name")))
        ours = [each.get("name") for each in named if each.get("user_provided_name") == wanted]
        return [
            channel
            for name in ours
            for channel in self._listed(
                await visit.get("connections", str(name), "channels", columns=COLUMNS)
            )
        ]

    async def _shows_the_app(self, visit: Visit, channels: Iterable[Mapping[str, Any]]) -> bool:
        """Whether one of the channels is not of a check of ours, which comes from this address as well.

        Those that were found by a name that the app has given are its own.
        """
        shown = {_connection_of(channel) for channel in channels}
        if not shown or self._config.connection_name is not None:
            return bool(shown)
        named = await self._of_this_pod(visit, "connections", ("name", "user_provided_name"))
        return any(
            str(each.get("name")) in shown and not str(each.get("user_provided_name")).startswith(OUR_NAMES)
            for each in named
        )

    async def _of_this_pod(
        self, visit: Visit, kind: str, columns: tuple[str, ...]
    ) -> Sequence[Mapping[str, Any]]:
        """Return the channels or connections whose names begin with an address of ours, as all names do."""
        ours = "|".join(re.escape(address) for address in sorted(visit.addresses))
        page = await visit.get(
            kind, columns=columns, page="1", page_size=str(PAGE), use_regex="true", name=f"^({ours}):"
        )
        return self._listed(page.get("items") if isinstance(page, dict) else page)

    def _listed(self, answer: Any) -> Sequence[Mapping[str, Any]]:
        """Return the objects of a list; what is gone has none.

        Raises:
            CheckFailed: it is no list of objects.
        """
        if answer is None:
            return ()
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise CheckFailed(
                Reason.PROTOCOL, f"{self._config.target} answered, and not as a management API does"
            )
        return answer


def _connection_of(channel: Mapping[str, Any]) -> str:
    """Return the name of a channel's connection: its own is that, and its number in brackets."""
    return str(channel.get("name")).rpartition(" (")[0]


def _count(channel: Mapping[str, Any], key: str) -> int:
    number = channel.get(key) or 0
    if not isinstance(number, int):
        raise CheckFailed(Reason.PROTOCOL, f"the management API answered with a {key} that is no number")
    return number


def _tags(whoami: Any) -> Sequence[str]:
    """Return the tags of a user: a list since RabbitMQ 3.9, and words with commas before."""
    tags = whoami.get("tags") if isinstance(whoami, dict) else None
    if isinstance(tags, str):
        return tags.split(",")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else ()


check_type = CheckType(
    config=RabbitmqInflightConfig,
    build=RabbitmqInflightCheck,
    drivers=(yarl,),
    permanent=frozenset({Reason.AUTH, Reason.TLS}),
)
