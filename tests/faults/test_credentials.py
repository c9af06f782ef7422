"""Logins that are refused, and rights that are taken away, in real servers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import pytest

from sidecar.core.check import Reason
from tests.checks.s3_fakes import answering, s3_error
from tests.checks.test_http import response
from tests.faults.accounts import ACCOUNTS, ROTATED, Account
from tests.faults.cells import cells
from tests.faults.drill import UP, drill
from tests.faults.strikes import aside, doing, leading
from tests.faults.subjects import S3, Http, Servers, Subject
from tests.network import Proxy

WRONG: Final[Mapping[str, str]] = {"wrong password": "postgres"}
CHANGED: Final[Mapping[str, str]] = {"password rotated": "redis", "permission removed": "rabbitmq"}
ANSWERED: Final[Mapping[str, str]] = {
    "wrong password": "http",
    "password rotated": "s3",
    "permission removed": "s3",
}
REFUSALS: Final[Mapping[tuple[str, Reason | None], bytes]] = {
    ("http", Reason.AUTH): response("401 Unauthorized"),
    ("http", Reason.FORBIDDEN): response("403 Forbidden"),
    ("s3", Reason.AUTH): s3_error(403, "SignatureDoesNotMatch"),
    ("s3", Reason.FORBIDDEN): s3_error(403, "AccessDenied"),
}


@pytest.mark.parametrize(("subject", "column"), cells(WRONG, subjects=ACCOUNTS))
async def test_a_password_that_was_never_right(subject: Account, column: str, servers: Servers) -> None:
    server = servers.get(subject.kind)
    subject.create(server, ROTATED)
    async with drill(subject.keys(subject.address(server)), deadline="1s") as it:
        await it.until(subject.expected(column))
        await aside(lambda: subject.create(server))
        await it.until(UP)


@pytest.mark.parametrize(("subject", "column"), cells(CHANGED, subjects=ACCOUNTS))
async def test_an_account_that_somebody_changes(subject: Account, column: str, servers: Servers) -> None:
    server = servers.get(subject.kind)
    subject.create(server)
    change = partial(subject.create, server, ROTATED) if column == "password rotated" else None
    async with (
        Proxy(subject.address(server)) as proxy,
        drill(subject.keys(proxy.address), deadline="1s") as it,
    ):
        changing = doing(
            change or partial(subject.remove_permission, server), partial(subject.create, server)
        )
        await it.survives(cutting(proxy, changing), subject.expected(column))


@pytest.mark.parametrize(("subject", "column"), cells(ANSWERED, subjects=(S3(), Http())))
async def test_a_server_that_refuses_who_asks(subject: Subject, column: str, servers: Servers) -> None:
    async with (
        subject.serve(servers) as up,
        answering(REFUSALS[subject.row, subject.expected(column).reason]) as refusing,
        Proxy(refusing.address if column == "wrong password" else up) as proxy,
        drill(subject.keys(proxy.address)) as it,
    ):
        if column == "wrong password":
            await it.until(subject.expected(column))
            proxy.lead_to(up)
            await it.until(UP)
        else:
            await it.survives(leading(proxy, refusing.address, back_to=up), subject.expected(column))


@asynccontextmanager
async def cutting(proxy: Proxy, changing: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Change something, and cut the connection that was made before."""
    async with changing:
        proxy.cut()
        yield
