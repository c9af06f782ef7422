"""Credentials and certificates that rotate under a running process, against a real Redis."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trustme

from tests.network.tls import Certificates
from tests.process.harness import running
from tests.process.mount import Mount
from tools.servers import RedisServer

StartRedis = Callable[..., RedisServer]

UP: Final = "[+]cache ok\nreadyz check passed\n"


def redis_check(url: str, *keys: str) -> str:
    return f"  - {{{', '.join(('name: cache, type: redis', f'url: {url}', *keys))}}}\n"


def end_connections(redis: RedisServer) -> None:
    redis.command("CLIENT", "KILL", "TYPE", "normal")


def rotate_password(redis: RedisServer, password: str) -> None:
    """Have Redis want another password, of those who are connected as well."""
    redis.command("CONFIG", "SET", "requirepass", password)
    redis.password = password
    end_connections(redis)


async def test_a_password_that_rotates_is_read_again(start_redis: StartRedis, tmp_path: Path) -> None:
    redis = start_redis(password="first")
    address = f"redis://127.0.0.1:{redis.port}"
    secret = Mount(tmp_path / "secret", "password")
    secret.write("first\n")
    check = redis_check(address, f"password: '${{file:{secret.path}}}'")
    async with running(tmp_path, check) as sidecar:
        await sidecar.until("/readyz", 200)

        rotate_password(redis, "second")
        await sidecar.until_logged("check is down", check="cache", reason="auth")
        secret.write("second\n")
        await sidecar.until_logged("configuration reloaded", edited="cache")
        await sidecar.until_logged_times("check is up", 2)
        _, body = await sidecar.get("/readyz?verbose")

    assert body == UP


async def test_refused_credentials_have_a_file_read_that_looks_as_before(
    start_redis: StartRedis, tmp_path: Path
) -> None:
    redis = start_redis(password="first")
    secret = tmp_path / "password"
    secret.write_text("first\n")
    check = redis_check(f"redis://127.0.0.1:{redis.port}", f"password: '${{file:{secret}}}'")
    async with running(tmp_path, check) as sidecar:
        await sidecar.until("/readyz", 200)
        written = secret.stat()
        secret.write_text("other\n")
        os.utime(secret, ns=(written.st_atime_ns, written.st_mtime_ns))

        rotate_password(redis, "other")
        await sidecar.until_logged("check is down", check="cache", reason="auth")
        reloaded = await sidecar.until_logged("configuration reloaded")
        await sidecar.until_logged_times("check is up", 2)

    assert reloaded["edited"] == "cache"


async def test_an_authority_that_rotates_is_read_again(
    start_redis: StartRedis, certificates: Certificates, tmp_path: Path
) -> None:
    redis = start_redis(tls=certificates.good)
    authority = Mount(tmp_path / "trust", "ca.pem")
    authority.write(certificates.ca.read_text())
    check = redis_check(f"rediss://127.0.0.1:{redis.tls_port}", f"tls: {{ca: {authority.path}}}")
    async with running(tmp_path, check) as sidecar:
        await sidecar.until("/readyz", 200)

        fresh = trustme.CA()
        serve_certificate(redis, fresh.issue_cert("127.0.0.1"), tmp_path)
        await sidecar.until_logged("check is down", check="cache", reason="tls")
        authority.write(fresh.cert_pem.bytes().decode())
        await sidecar.until_logged("configuration reloaded", edited="cache")
        await sidecar.until_logged_times("check is up", 2)
        _, body = await sidecar.get("/readyz?verbose")

    assert body == UP


def serve_certificate(redis: RedisServer, leaf: trustme.LeafCert, folder: Path) -> None:
    """Have Redis show another certificate, to those who are connected as well."""
    cert, key = folder / "server.pem", folder / "server.key"
    cert.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    redis.command("CONFIG", "SET", "tls-cert-file", str(cert), "tls-key-file", str(key))
    end_connections(redis)
