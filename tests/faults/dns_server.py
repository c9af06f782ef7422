"""A DNS server in a process of its own, which can be killed and paused: `python dns_server.py PORT`.

Every name has the same address.
"""

import socket
import struct
import sys
from contextlib import closing
from typing import Final

from tools.servers import Server

HOST: Final = "127.0.0.1"
QUESTION: Final = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + b"\x02up\x04test\x00\x00\x01\x00\x01"


class DnsServer(Server):
    """The server, as those of `tools.servers`."""

    title = "dns-server"

    def _choose_ports(self) -> None:
        self.port = self._hold_port()

    def _launch(self) -> None:
        self._spawn([sys.executable, __file__, str(self.port)])

    def _answers(self) -> bool:
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as asking:
            asking.settimeout(0.5)
            asking.sendto(QUESTION, (self.host, self.port))
            return bool(asking.recv(512))


def reply(packet: bytes) -> bytes:
    """Return the answer: one record, without what EDNS added to the question (RFC 1035, 4.1)."""
    end = packet.index(b"\x00", 12) + 5
    head = packet[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton("192.0.2.1")
    return head + packet[12:end] + record


def main() -> None:
    """Answer for ever."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind((HOST, int(sys.argv[1])))
        while True:
            packet, client = udp.recvfrom(512)
            udp.sendto(reply(packet), client)


if __name__ == "__main__":
    main()
