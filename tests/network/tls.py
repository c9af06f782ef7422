"""Certificates, good and bad, from authorities of our own."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from tools.servers import TlsFiles

LOCAL = ("localhost", "127.0.0.1", "::1")
UNTRUSTED = [
    ("expired", "certificate has expired"),
    ("not_yet_valid", "certificate is not yet valid"),
    ("unknown_ca", "unable to get local issuer certificate"),
    ("wrong_name", "ip address mismatch, certificate is not valid for '127.0.0.1'."),
]
"""The certificates that no client may trust, and what it says of each."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a test of TLS needs, as PEM files. Every server's `ca` is the one that signs clients."""

    ca: Path
    """What a client has to trust."""
    client_ca: Path
    good: TlsFiles
    soon_expiring: TlsFiles
    """Good for two more days."""
    expired: TlsFiles
    not_yet_valid: TlsFiles
    wrong_name: TlsFiles
    """For elsewhere.test only."""
    unknown_ca: TlsFiles
    """Signed by somebody whom nobody trusts."""
    client: TlsFiles
    """What a client shows; its `ca` is what it trusts."""
    stranger: TlsFiles
    """What a client shows whom no server trusts."""


def make_certificates(folder: Path) -> Certificates:
    """Write them all to a folder."""
    authority, clients, nobody = trustme.CA(), trustme.CA(), trustme.CA()
    ca, client_ca = folder / "ca.pem", folder / "client-ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    clients.cert_pem.write_to_path(str(client_ca))

    def server(name: str, leaf: trustme.LeafCert) -> TlsFiles:
        return _write(folder, name, leaf, ca=client_ca)

    def valid(start: timedelta, end: timedelta) -> trustme.LeafCert:
        now = datetime.now(UTC)
        return authority.issue_cert(*LOCAL, not_before=now + start, not_after=now + end)

    day = timedelta(days=1)
    return Certificates(
        ca=ca,
        client_ca=client_ca,
        good=server("good", authority.issue_cert(*LOCAL)),
        soon_expiring=server("soon-expiring", valid(-day, 2 * day)),
        expired=server("expired", valid(-2 * day, -day)),
        not_yet_valid=server("not-yet-valid", valid(day, 2 * day)),
        wrong_name=server("wrong-name", authority.issue_cert("elsewhere.test")),
        unknown_ca=server("unknown-ca", nobody.issue_cert(*LOCAL)),
        client=_write(folder, "client", clients.issue_cert("client.test"), ca=ca),
        stranger=_write(folder, "stranger", nobody.issue_cert("stranger.test"), ca=ca),
    )


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a server with these files speaks TLS with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.load_cert_chain(files.cert, files.key)
    context.verify_mode = ssl.CERT_REQUIRED if files.wants_client_certificate else ssl.CERT_NONE
    return context


def _write(folder: Path, name: str, leaf: trustme.LeafCert, *, ca: Path) -> TlsFiles:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    for path, blob in (
        (cert, b"".join(pem.bytes() for pem in leaf.cert_chain_pems)),
        (key, leaf.private_key_pem.bytes()),
    ):
        path.write_bytes(blob)
        path.chmod(0o600)
    return TlsFiles(cert=cert, key=key, ca=ca)
