"""The check type `tcp`."""

from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from sidecar.core.check import Reason
from tests.checks.contract import REASONS, CheckContract, Keys
from tests.network import Address, silent


class TestTcp(CheckContract):
    reasons = MappingProxyType(
        {**dict.fromkeys(REASONS), "refused": Reason.REFUSED, "black hole": Reason.TIMEOUT}
    )

    def keys(self, address: Address) -> Keys:
        return {"type": "tcp", "host": address.host, "port": address.port}

    @pytest.fixture
    async def up(self) -> AsyncIterator[Address]:
        async with silent() as address:
            yield address
