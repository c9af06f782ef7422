"""What our checks ask RabbitMQ's management API, in bare calls: a connection a visit, in order."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from tools.servers import RabbitServer

EXCHANGE: Final = "builds"
QUEUE: Final = "run-build"
KEY: Final = "build.requested"

Visit = Sequence[str]
"""The paths below `/api` that are asked for over one connection."""

_ONE_PAGE: Final = "page=1&page_size=1&use_regex=true"
_EXCHANGE: Final = "columns=name,type,durable,auto_delete,internal,arguments,policy"
_QUEUE: Final = (
    "columns=name,durable,auto_delete,exclusive,type,arguments,effective_policy_definition,messages,"
    "messages_ready,messages_unacknowledged,messages_persistent,message_stats.deliver_no_ack"
)
_CHANNELS: Final = "columns=name,vhost,messages_unacknowledged,consumer_count"

DELIVERY: Final[Sequence[Visit]] = (
    (
        "health/checks/alarms",
        f"exchanges/%2F?{_EXCHANGE}&{_ONE_PAGE}&name=%5E%24",
        f"exchanges/%2F?{_EXCHANGE}&{_ONE_PAGE}&name=%5E{EXCHANGE}%24",
        f"queues/%2F/{QUEUE}?{_QUEUE}",
        f"bindings/%2F/e/{EXCHANGE}/q/{QUEUE}?columns=destination,destination_type,routing_key,arguments",
    ),
)
INFLIGHT: Final[Sequence[Visit]] = 2 * (
    (
        "whoami?columns=name,tags",
        f"exchanges/%2F?columns=name&{_ONE_PAGE}&name=%5E%24",
        f"channels?{_CHANNELS}&page=1&page_size=500&use_regex=true&name=%5E%28127%5C.0%5C.0%5C.1%29%3A",
    ),
)


def declare(server: RabbitServer) -> None:
    """Declare what the delivery contract is about."""
    server.api("PUT", f"/exchanges/%2F/{EXCHANGE}", {"type": "topic", "durable": True})
    server.api("PUT", f"/queues/%2F/{QUEUE}", {"durable": True})
    server.api("POST", f"/bindings/%2F/e/{EXCHANGE}/q/{QUEUE}", {"routing_key": KEY})


async def ask_all(port: int, login: str, visits: Sequence[Visit]) -> None:
    """Ask all questions of these visits, one behind the other."""
    import aiohttp  # noqa: PLC0415 - the drivers that a run needs, and no others
    import yarl  # noqa: PLC0415

    headers = {
        "Authorization": f"Basic {b64encode(login.removesuffix('@').encode()).decode()}",
        "Accept-Encoding": "identity",
    }
    for visit in visits:
        async with aiohttp.ClientSession(headers=headers) as session:
            for path in visit:
                url = yarl.URL(f"http://127.0.0.1:{port}/api/{path}", encoded=True)
                async with session.get(url, raise_for_status=True) as response:
                    await response.json()
