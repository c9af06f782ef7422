"""Faults of the network, which strike a check that is up."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.faults.cells import cells
from tests.faults.drill import UP, drill
from tests.faults.measures import MIB, within_room
from tests.faults.strikes import striking
from tests.faults.subjects import Servers, Subject
from tests.network import Fault, Proxy

FAULTS: Final[Mapping[str, Fault]] = {
    "refused": Fault.REFUSED,
    "black hole": Fault.BLACK_HOLE,
    "accepted and silent": Fault.SILENT,
    "reset in the handshake": Fault.RESETTING,
    "reset in mid-reply": Fault.CUT_SHORT,
    "garbage": Fault.GARBAGE,
    "one byte a second": Fault.DRIPPING,
    "half-close": Fault.HALF_CLOSING,
    "endless reply": Fault.ENDLESS,
}
ROOM: Final = 4 * MIB
"""Bytes by which the process may grow: less than an endless reply brings within a deadline."""
SAMPLES: Final[Mapping[str, str]] = {
    "refused": "redis",
    "black hole": "tcp",
    "accepted and silent": "rabbitmq",
    "reset in the handshake": "postgres",
    "reset in mid-reply": "s3",
    "garbage": "redis",
    "one byte a second": "http",
    "half-close": "rabbitmq-delivery",
    "endless reply": "postgres",
}


@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES))
async def test_a_fault_between_a_check_and_its_server(
    subject: Subject, column: str, servers: Servers
) -> None:
    async with (
        subject.serve(servers) as up,
        Proxy(up) as proxy,
        drill(subject.keys(proxy.address)) as it,
    ):
        await it.until(UP)
        with within_room(ROOM):
            await it.survives(striking(proxy, FAULTS[column]), subject.expected(column))
