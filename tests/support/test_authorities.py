"""Contexts that read the system's authorities for their first connection, and trust the same then."""

import asyncio
import ssl
import sys
from pathlib import Path

import pytest

from sidecar.support.tls import authorities_put_off
from tests.descriptors import none_left
from tests.network.tls import Certificates


@pytest.fixture(autouse=True)
def system(certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have the system trust one authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def connect(context: ssl.SSLContext) -> None:
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_a_context_reads_the_authorities_for_its_first_connection() -> None:
    with authorities_put_off():
        context = ssl.create_default_context()

    before = len(context.get_ca_certs())
    connect(context)
    connect(context)
    assert (before, len(context.get_ca_certs()), type(context)) == (0, 1, ssl.SSLContext)


def test_a_context_that_could_not_read_them_does_for_the_next_connection() -> None:
    with authorities_put_off():
        context = ssl.create_default_context()

    with none_left(), pytest.raises(OSError, match="Too many open files"):
        connect(context)
    connect(context)
    assert len(context.get_ca_certs()) == 1


def test_a_context_with_authorities_of_its_own_has_them_at_once(certificates: Certificates) -> None:
    with authorities_put_off():
        context = ssl.create_default_context(cafile=str(certificates.client_ca))

    own = context.get_ca_certs()
    connect(context)
    assert (len(own), context.get_ca_certs()) == (1, own)


def test_behind_the_block_nothing_waits_even_if_it_failed() -> None:
    with pytest.raises(ImportError), authorities_put_off():
        raise ImportError

    assert len(ssl.create_default_context().get_ca_certs()) == 1


async def test_whoever_names_no_context_trusts_whom_the_system_trusts(certificates: Certificates) -> None:
    with authorities_put_off():
        trusting = ssl.create_default_context()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificates.good.cert, certificates.good.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_side)

    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
        said = await reader.read()
        writer.close()

    assert said == b""


async def test_a_verb_is_imported_without_any_authority() -> None:
    script = (
        "import gc, ssl\n"
        "from sidecar.cli.verbs import sidecar\n"
        "sidecar.get_command(None, 'serve')\n"
        "made = [each for each in gc.get_objects() if isinstance(each, ssl.SSLContext)]\n"
        "print(len(made) > 0, [len(each.get_ca_certs()) for each in made if each.get_ca_certs()])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.decode() == "True []\n"
