"""A network of our own that misbehaves: real bytes on real loopback sockets, on ports that nobody else has.

`async with silent() as address:` is a server that accepts and never speaks; `Proxy` stands in front of a real
one and can break it; `FakeDns` answers look-ups; `tls` has certificates, good and bad. Each counts its
connections, and nothing of it outlives its `async with`.
"""

from tests.network.address import Address
from tests.network.dns import FakeDns
from tests.network.fakes import (
    Connection,
    Fake,
    black_hole,
    dripping,
    endless,
    garbage,
    half_closing,
    refused,
    resetting,
    silent,
    talking,
)
from tests.network.proxy import Fault, Proxy

__all__ = [
    "Address",
    "Connection",
    "Fake",
    "FakeDns",
    "Fault",
    "Proxy",
    "black_hole",
    "dripping",
    "endless",
    "garbage",
    "half_closing",
    "refused",
    "resetting",
    "silent",
    "talking",
]
