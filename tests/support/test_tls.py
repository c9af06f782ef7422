"""TLS contexts: whom they trust, and who shares them."""

import gc
import ssl
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from weakref import ref

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sidecar.support.tls import tls_context
from tests.descriptors import none_left
from tests.network.tls import Certificates


def test_a_context_verifies_unless_it_is_insecure() -> None:
    secure, insecure = tls_context(), tls_context(insecure=True)

    assert (secure.check_hostname, secure.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (insecure.check_hostname, insecure.verify_mode) == (False, ssl.CERT_NONE)


def test_authorities_replace_those_of_the_system(certificates: Certificates) -> None:
    assert len(tls_context(ca=str(certificates.ca)).get_ca_certs()) == 1


def test_those_who_want_the_same_share_a_context(certificates: Certificates) -> None:
    ca, client = str(certificates.ca), certificates.client
    first = tls_context(ca=ca)
    own = tls_context(ca=ca, cert=str(client.cert), key=str(client.key))

    assert tls_context(ca=ca) is first
    assert len({first, own, tls_context(ca=ca, insecure=True), tls_context()}) == 4


def test_a_file_that_has_changed_makes_a_new_context(certificates: Certificates, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificates.ca.read_bytes())
    first = tls_context(ca=str(ca))
    ca.write_bytes(certificates.client_ca.read_bytes())

    assert tls_context(ca=str(ca)).get_ca_certs() != first.get_ca_certs()


def test_authorities_of_the_system_that_have_changed_make_a_new_context(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tls_context()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))

    assert tls_context() is not first


def test_a_context_that_nobody_keeps_is_forgotten(certificates: Certificates) -> None:
    context = ref(tls_context(ca=str(certificates.ca), insecure=True))
    gc.collect()

    assert context() is None


def test_no_descriptor_is_left_to_read_the_systems_authorities(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))

    with none_left(), pytest.raises(OSError, match="Too many open files"):
        tls_context()
    assert len(tls_context().get_ca_certs()) == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_what_cannot_be_used_is_an_os_error(tmp_path: Path, content: bytes | None) -> None:
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_bytes(content)

    with pytest.raises(OSError, match=r"."):
        tls_context(ca=str(ca))


LOAD = """
import sys
from sidecar.support.tls import tls_context

try:
    tls_context(cert=sys.argv[1], key=sys.argv[2])
except OSError:
    print("refused")
"""


def test_nobody_is_asked_for_the_password_of_a_key(certificates: Certificates, tmp_path: Path) -> None:
    cert, key = certificates.client.cert, tmp_path / "encrypted.key"
    plain = load_pem_private_key(certificates.client.key.read_bytes(), None)
    key.write_bytes(
        plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    )
    command = [sys.executable, "-c", LOAD, str(cert), str(key)]

    with Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True) as process:  # without a terminal
        assert process.stdout is not None
        try:
            process.wait(timeout=20)
        finally:
            process.kill()

        assert process.stdout.read() == b"refused\n"
