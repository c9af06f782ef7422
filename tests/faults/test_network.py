"""Faults of the network, against every type."""

import pytest

from sidecar.core.check import Reason
from tests.faults.drill import down, drill
from tests.faults.strikes import striking
from tests.network import Address, Proxy
from tools.servers import RedisServer


@pytest.mark.cell("redis", "refused")
async def test_redis(redis_server: RedisServer) -> None:
    async with (
        Proxy(Address(redis_server.host, redis_server.port)) as proxy,
        drill({"type": "redis", "url": f"redis://{proxy.address}/0"}) as it,
    ):
        await it.survives(striking(proxy, "refused"), down(Reason.REFUSED))
