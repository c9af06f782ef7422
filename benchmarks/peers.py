"""What Debian packages of the same kind: the blackbox exporter, which asks once for each scrape of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.client import ask, free_port, until_open
from benchmarks.servers import Started, started
from tools.servers import find_command
from tools.servers.server import ask_http

MODULES: Final = {
    "http": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}},
    "tcp": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}},
}
"""By check type: how the exporter asks the same question."""


@contextmanager
def blackbox(folder: Path) -> Iterator[Started]:
    """Run the blackbox exporter inside the block.

    Raises:
        ServerMissing: it is not on this machine.
    """
    command, port = find_command("prometheus-blackbox-exporter"), free_port()
    config = folder / "blackbox.yaml"
    config.write_text(json.dumps({"modules": MODULES}))
    address = f"--web.listen-address=127.0.0.1:{port}"
    with started([command, f"--config.file={config}", address], port) as exporter:
        until_open(port)
        yield exporter


def milliseconds_of_a_probe(exporter: Started, kind: str, target: str, count: int) -> float:
    """Return the processor time of one of many questions, and of the scrape of the exporter that asks it.

    Raises:
        RuntimeError: a question failed, which would be measured for nothing.
    """
    path = f"/probe?module={kind}&target={target}"
    _, answer = ask_http("127.0.0.1", exporter.port, "GET", path)
    if b"probe_success 1" not in answer:
        raise RuntimeError(f"the blackbox exporter does not find {target} up")
    began = exporter.cpu_seconds()
    for _ in range(count):
        ask(exporter.port, path)
    return (exporter.cpu_seconds() - began) / count * 1000
