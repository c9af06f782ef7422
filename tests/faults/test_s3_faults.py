"""S3's own faults: moto where it has them, and where it has not a store that judges requests as S3 does."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from sidecar.core.check import Reason
from tests.checks.contract import Keys
from tests.faults.drill import down, drill
from tests.faults.s3_store import Store
from tests.faults.strikes import doing
from tests.faults.troubles import Strike, Trouble, cells_of
from tools.servers import S3Server

BUCKET: Final = "build-artifacts"
TOKEN: Final = "token-of-this-hour"


@pytest.fixture(scope="module")
def _moto_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server
        server.kill()


@pytest.fixture
def moto(_moto_of_the_module: S3Server) -> S3Server:
    """Return a moto that tests may empty, and whose users are theirs."""
    _moto_of_the_module.trust_everybody()
    _moto_of_the_module.empty()
    _moto_of_the_module.create_bucket(BUCKET)
    return _moto_of_the_module


def keys(url: str, **credentials: str) -> Keys:
    return {
        "type": "s3",
        "bucket": BUCKET,
        "region": "eu-west-1",
        "endpoint_url": url,
        "access_key_id": "AKIAUNKNOWN",
        "secret_access_key": "no-secret",
        **credentials,
    }


def checking_credentials(moto: S3Server) -> AbstractAsyncContextManager[None]:
    return doing(moto.check_credentials, moto.trust_everybody)


def without_bucket(moto: S3Server) -> AbstractAsyncContextManager[None]:
    return doing(moto.empty, partial(moto.create_bucket, BUCKET))


OF_MOTO: Final[Mapping[str, Trouble[S3Server]]] = {
    "bad key": Trouble(
        strike=checking_credentials,
        expected=down(Reason.AUTH),
        told="403 InvalidAccessKeyId: it does not know the access key",
    ),
    "no bucket": Trouble(
        strike=without_bucket,
        expected=down(Reason.NOT_FOUND),
        told="404 NoSuchBucket: there is no such bucket",
    ),
}
NO_PERMISSION: Final = Trouble(
    strike=checking_credentials,
    expected=down(Reason.FORBIDDEN),
    told="403 AccessDenied: needs s3:PutObject on the key",
)


def changing(**wrong: object) -> Strike[Store]:
    """Return the trouble that a store is in while these attributes are so."""

    @asynccontextmanager
    async def strike(store: Store) -> AsyncIterator[None]:
        usual = {name: getattr(store, name) for name in wrong}
        vars(store).update(wrong)
        try:
            yield
        finally:
            vars(store).update(usual)

    return strike


OF_A_STORE: Final[Mapping[str, Trouble[Store]]] = {
    "expired token": Trouble(
        strike=changing(expired={TOKEN}),
        expected=down(Reason.AUTH),
        told="400 ExpiredToken: the session token has expired",
    ),
    "skewed clock": Trouble(
        strike=changing(ahead=timedelta(hours=2, seconds=30)),
        expected=down(Reason.AUTH),
        told="403 RequestTimeTooSkewed: our clock is 2h 0m behind its own",
    ),
    "other region": Trouble(
        strike=changing(region="us-west-2"),
        expected=down(Reason.CONTRACT),
        told="the bucket is in the region us-west-2, not in eu-west-1",
    ),
    "503 SlowDown": Trouble(
        strike=changing(is_overloaded=True),
        expected=down(Reason.UNAVAILABLE),
        told="503 SlowDown: it gets too many requests",
    ),
    "endless 100-continue": Trouble(
        strike=changing(is_undecided=True),
        expected=down(Reason.TIMEOUT),
        told="gave no answer",
    ),
}


@pytest.mark.parametrize("trouble", cells_of("s3", OF_MOTO))
async def test_a_moto_in_trouble(trouble: Trouble[S3Server], moto: S3Server) -> None:
    async with drill(keys(moto.url)) as it:
        await trouble.meet(moto, it)


@pytest.mark.parametrize("trouble", cells_of("s3", OF_MOTO, pytest.mark.faults))
async def test_a_moto_that_is_in_trouble_already(trouble: Trouble[S3Server], moto: S3Server) -> None:
    await trouble.greet(moto, keys(moto.url))


@pytest.mark.cell("s3", "no permission")
async def test_a_user_whom_nothing_is_allowed(moto: S3Server) -> None:
    key, secret = moto.add_user("builds")
    async with drill(keys(moto.url, access_key_id=key, secret_access_key=secret)) as it:
        await NO_PERMISSION.meet(moto, it)


@pytest.mark.parametrize("trouble", cells_of("s3", OF_A_STORE))
async def test_a_store_in_trouble(trouble: Trouble[Store]) -> None:
    store = Store()
    async with store.serve() as address, drill(keys(f"http://{address}", session_token=TOKEN)) as it:
        await trouble.meet(store, it)


@pytest.mark.parametrize("trouble", cells_of("s3", OF_A_STORE, pytest.mark.faults))
async def test_a_store_that_is_in_trouble_already(trouble: Trouble[Store]) -> None:
    store = Store()
    async with store.serve() as address:
        await trouble.greet(store, keys(f"http://{address}", session_token=TOKEN))
