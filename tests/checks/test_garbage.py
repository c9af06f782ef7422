"""What runs leave to the garbage collector, whose every collection holds probes up: nothing."""

import gc

import pytest

from sidecar.core.check import Reason
from tests.checks.contract import Keys, mounted
from tests.network import Address, FakeDns, refused


async def reason_and_garbage(keys: Keys) -> tuple[Reason | None, int]:
    """Return why the last of a few runs failed, and how many objects only the collector could free."""
    async with mounted(keys, deadline="100ms") as runner:
        await runner.run()
        gc.collect()
        gc.freeze()  # what c-ares' thread still holds of an earlier test is not ours
        gc.disable()
        try:
            result = [await runner.run() for _ in range(3)][-1]
            return result.reason, gc.collect()
        finally:
            gc.enable()
            gc.unfreeze()


@pytest.mark.parametrize("kind", ["tcp", "http"])
async def test_a_refused_run_leaves_nothing(kind: str) -> None:
    async with refused() as address:
        assert await reason_and_garbage(asking(kind, address)) == (Reason.REFUSED, 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("hung.test", Reason.TIMEOUT), ("absent.test", Reason.NOT_FOUND), ("half.test", None)],
)
async def test_a_look_up_leaves_nothing(name: str, reason: Reason | None) -> None:
    async with FakeDns({"half.test": ["192.0.2.1"]}, silent=["hung.test"]) as dns:
        server, port = dns.address.host, dns.address.port
        keys = {"type": "dns", "hostname": name, "server": server, "port": port}

        assert await reason_and_garbage(keys) == (reason, 0)


def asking(kind: str, address: Address) -> Keys:
    """Return the keys of a check of an address."""
    if kind == "http":
        return {"type": "http", "url": f"http://{address}/"}
    return {"type": "tcp", "host": address.host, "port": address.port}
