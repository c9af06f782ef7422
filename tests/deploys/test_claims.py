"""The stores of a claim: one contract for all of them, kept by a real Redis and by a cluster's API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.redis import RedisEndpoint
from sidecar.core.deploy import LEASE, Record
from sidecar.deploys.claims.claim import Claim, ClaimError
from sidecar.deploys.claims.kubernetes import RECORD, KubernetesClaim
from sidecar.deploys.claims.memory import MemoryClaim
from sidecar.deploys.claims.redis import KEPT_FOR, KEY_PREFIX, RedisClaim
from sidecar.deploys.claims.written import read_record, write_record
from sidecar.deploys.tracking import shared
from sidecar.deploys.tracking.shared import SharedRecord
from sidecar.kube.client import ApiServer
from sidecar.kube.here import Pod
from tests.deploys.records import DEPLOY, FULL
from tests.network.cluster import FakeCluster
from tests.network.fakes import Fake, black_hole, garbage, refused, resetting, silent
from tests.network.kube import service_account, serving
from tests.network.tls import Certificates
from tests.runtime.fakes import EPOCH
from tools.servers import RedisServer

pytestmark = pytest.mark.usefixtures("redis_server")  # one contract, one module: none of it without a Redis

BEGUN = Record(deploy=DEPLOY)
POD = Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1")


def endpoint(server: RedisServer, **keys: Any) -> RedisEndpoint:
    return RedisEndpoint(url=Url(scheme="redis", host=server.host, port=server.port), **keys)


@dataclass
class Store:
    """One store, and how another process comes to it."""

    new_claim: Callable[[], Claim]


@pytest.fixture
def memory() -> Store:
    claim = MemoryClaim(DEPLOY)
    return Store(lambda: claim)


@pytest.fixture
def redis(redis_server: RedisServer) -> Store:
    redis_server.command("DEL", f"{KEY_PREFIX}{DEPLOY.key}")
    return Store(lambda: RedisClaim(DEPLOY, endpoint(redis_server)))


@pytest.fixture
async def cluster(certificates: Certificates) -> AsyncIterator[FakeCluster]:
    async with serving(FakeCluster(), certificates) as found:
        yield found


@pytest.fixture
def kubernetes(cluster: FakeCluster, tmp_path: Path, certificates: Certificates) -> Store:
    return Store(lambda: kubernetes_claim(cluster, tmp_path, certificates))


def kubernetes_claim(
    cluster: FakeCluster, folder: Path, certificates: Certificates, *, has_id: bool = True
) -> KubernetesClaim:
    account = service_account(folder / "account", certificates)
    api = ApiServer(cluster.address, account)
    return KubernetesClaim(DEPLOY, api, POD, has_id=has_id, wall=lambda: EPOCH)


@pytest.fixture(params=["memory", "redis", "kubernetes"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


async def identified(store: Store) -> Claim:
    claim = store.new_claim()
    assert await claim.identify() == DEPLOY
    return claim


async def test_a_record_is_read_as_it_was_stored(store: Store) -> None:
    claim = await identified(store)
    assert await claim.read() is None

    assert await claim.create(FULL)

    held = await (await identified(store)).read()
    assert held is not None
    assert held.record == FULL


async def test_of_many_who_create_one_wins(store: Store) -> None:
    claims = [await identified(store) for _ in range(20)]

    won = await asyncio.gather(*(claim.create(BEGUN) for claim in claims))

    assert won.count(True) == 1


async def test_nobody_overwrites_what_he_has_not_read(store: Store) -> None:
    one, other = await identified(store), await identified(store)
    await one.create(BEGUN)
    held = await one.read()
    assert held is not None

    assert await other.replace(FULL, held)
    assert not await one.replace(replace(BEGUN, courier="late"), held)

    left = await one.read()
    assert left is not None
    assert left.record == FULL


async def test_of_many_who_replace_the_same_one_wins(store: Store) -> None:
    claims = [await identified(store) for _ in range(10)]
    await claims[0].create(BEGUN)
    held = await claims[0].read()
    assert held is not None

    changed = [replace(BEGUN, courier=str(number)) for number in range(len(claims))]
    won = await asyncio.gather(
        *(claim.replace(record, held) for claim, record in zip(claims, changed, strict=True))
    )

    assert won.count(True) == 1


async def test_all_changes_of_many_are_in_the_record_in_the_end(store: Store) -> None:
    claims = [SharedRecord(await identified(store)) for _ in range(10)]

    def join(number: int) -> Callable[[Record | None], Record]:
        return lambda record: replace(
            record or BEGUN, receipts={**(record or BEGUN).receipts, str(number): {"n": str(number)}}
        )

    await asyncio.gather(*(claim.change(join(number)) for number, claim in enumerate(claims)))

    held = await claims[0].change(lambda record: record or BEGUN)
    assert set(held.receipts) == {str(number) for number in range(10)}


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{}", '{"format": 2}', "[" * 100_000, '{"format":1}'),
        write_record(FULL).replace(str(FULL.courier_until), f"1{'0' * 400}"),
        write_record(FULL).replace(str(FULL.courier_until), "Infinity"),
        write_record(FULL).replace(str(FULL.facts[0].time), "NaN"),
    ],
)
def test_what_is_no_record_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ClaimError, match="holds something that is no record of ours"):
        read_record(text)


def test_a_record_survives_being_written() -> None:
    assert read_record(write_record(FULL)) == FULL


async def test_a_bug_of_a_store_is_a_store_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(MemoryClaim):
        async def read(self) -> None:
            raise OverflowError("a bug")

    with pytest.raises(ClaimError, match="unexpected OverflowError, a bug in the sidecar"):
        await SharedRecord(Buggy(DEPLOY)).change(lambda _: BEGUN)

    assert "the deploy's record crashed us" in caplog.text


class TestRedis:
    """What only a Redis does."""

    async def test_a_key_expires_unless_a_process_renews_it(self, redis_server: RedisServer) -> None:
        key = f"{KEY_PREFIX}{DEPLOY.key}"
        redis_server.command("DEL", key)
        claim = RedisClaim(DEPLOY, endpoint(redis_server))
        await claim.create(BEGUN)
        redis_server.command("EXPIRE", key, 60)

        await SharedRecord(claim).change(lambda record: record or BEGUN)

        assert KEPT_FOR - 60 < int(str(redis_server.command("TTL", key))) <= KEPT_FOR

    async def test_the_documented_permissions_suffice(self, start_redis: Callable[..., RedisServer]) -> None:
        rights = "~sidecar:deploy:* -@all +get +set +eval +expire +select"
        server = start_redis(config=[f"user sidecar on >pw {rights}"])
        claim = RedisClaim(DEPLOY, endpoint(server, username="sidecar", password=Secret("pw")))
        assert await claim.create(BEGUN)
        held = await claim.read()
        assert held is not None

        assert await claim.replace(FULL, held)
        await claim.renew()

    async def test_a_wrong_password_is_told_without_it(self, start_redis: Callable[..., RedisServer]) -> None:
        server = start_redis(password="right")
        claim = RedisClaim(DEPLOY, endpoint(server, password=Secret("hunter2")))

        with pytest.raises(ClaimError, match="WRONGPASS") as refused_:
            await claim.read()

        assert "hunter2" not in refused_.value.sentence

    async def test_a_right_that_is_missing_is_named_with_its_remedy(
        self, start_redis: Callable[..., RedisServer]
    ) -> None:
        server = start_redis(config=["user sidecar on >pw ~sidecar:deploy:* -@all +get +set"])
        claim = RedisClaim(DEPLOY, endpoint(server, username="sidecar", password=Secret("pw")))
        await claim.create(BEGUN)
        held = await claim.read()
        assert held is not None

        with pytest.raises(ClaimError, match=r"NOPERM.*'eval'.*; give the user ~sidecar:deploy:\*"):
            await claim.replace(FULL, held)

    async def test_something_else_under_the_key_is_left_alone(self, redis_server: RedisServer) -> None:
        deploy = replace(DEPLOY, id="foreign")
        redis_server.command("SET", f"{KEY_PREFIX}{deploy.key}", "foreign")

        with pytest.raises(ClaimError, match="no record of ours"):
            await SharedRecord(RedisClaim(deploy, endpoint(redis_server))).change(lambda _: BEGUN)

        assert redis_server.command("GET", f"{KEY_PREFIX}{deploy.key}") == "foreign"

    @pytest.mark.parametrize("server", [refused, black_hole, silent, resetting, garbage])
    async def test_a_store_that_is_none_is_silence_within_the_deadline(
        self, server: Callable[[], AbstractAsyncContextManager[Fake]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared, "ANSWERS_WITHIN", 0.3)
        async with server() as fake:
            url = Url(scheme="redis", host="127.0.0.1", port=fake.port)
            claim = SharedRecord(RedisClaim(DEPLOY, RedisEndpoint(url=url)))

            with pytest.raises(ClaimError):
                await claim.change(lambda _: BEGUN)


class TestKubernetes:
    """What only a cluster does."""

    async def test_a_deploy_is_the_rollout_of_its_replica_set(
        self, cluster: FakeCluster, tmp_path: Path, certificates: Certificates
    ) -> None:
        claim = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)

        assert await claim.identify() == replace(DEPLOY, id="7")

    async def test_after_a_rollback_the_same_replica_set_is_another_deploy(
        self, cluster: FakeCluster, tmp_path: Path, certificates: Certificates
    ) -> None:
        before = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)
        await before.identify()
        await before.create(BEGUN)
        cluster.rollout = "9"
        after = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)
        await after.identify()

        assert await after.read() is None

    async def test_the_lease_says_what_it_is_and_goes_with_the_replica_set(
        self, cluster: FakeCluster, tmp_path: Path, certificates: Certificates
    ) -> None:
        claim = kubernetes_claim(cluster, tmp_path, certificates)
        await claim.identify()

        await claim.create(FULL)

        assert cluster.leases == {
            f"sidecar-deploy-{DEPLOY.key}": {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": f"sidecar-deploy-{DEPLOY.key}",
                    "namespace": "ci",
                    "resourceVersion": "1",
                    "annotations": {
                        "sidecar/service": "builds",
                        "sidecar/environment": "production",
                        "sidecar/deploy": "42",
                        "sidecar/revision": "abc123",
                        RECORD: write_record(FULL),
                    },
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "builds-6d4", "uid": "5e7"}
                    ],
                },
                "spec": {
                    "holderIdentity": FULL.courier,
                    "leaseDurationSeconds": int(LEASE),
                    "renewTime": "2027-01-15T08:00:00.000000Z",
                },
            }
        }

    @pytest.mark.parametrize(
        "owner", [None, {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "b", "controller": True}]
    )
    async def test_a_pod_of_no_deployment_is_known_by_its_revision_and_that_is_said(
        self,
        cluster: FakeCluster,
        tmp_path: Path,
        certificates: Certificates,
        owner: dict[str, Any] | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cluster.owner = owner
        claim = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)

        assert await claim.identify() == replace(DEPLOY, id=DEPLOY.revision)
        assert "rollbacks are not announced" in caplog.text

    @pytest.mark.parametrize(
        "right", ["GET pods", "GET replicasets", "GET leases", "POST leases", "PUT leases"]
    )
    async def test_a_right_that_is_missing_is_named_with_its_remedy(
        self, cluster: FakeCluster, tmp_path: Path, certificates: Certificates, right: str
    ) -> None:
        cluster.forbidden = frozenset({right})
        claim = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)

        with pytest.raises(ClaimError, match=f"cannot {right}; give .* the rights of k8s/deploys"):
            await everything(claim)

    @pytest.mark.parametrize("answered", [[], {"metadata": []}, {"metadata": {"annotations": "x"}}])
    async def test_an_answer_that_is_no_object_of_the_cluster_is_refused(
        self, cluster: FakeCluster, tmp_path: Path, certificates: Certificates, answered: Any
    ) -> None:
        claim = kubernetes_claim(cluster, tmp_path, certificates, has_id=False)
        cluster.leases[f"sidecar-deploy-{DEPLOY.key}"] = answered

        with pytest.raises(ClaimError):
            await claim.read()


async def everything(claim: Claim) -> None:
    """Ask the store everything that a claim may ask."""
    await claim.identify()
    await claim.read()
    await claim.create(BEGUN)
    held = await claim.read()
    assert held is not None
    await claim.replace(FULL, held)
