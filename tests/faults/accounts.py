"""What a check logs in as, in a real server: an account whose password and rights others change."""

from abc import abstractmethod
from typing import Final

from tests.checks.contract import Keys
from tests.faults.subjects import (
    Delivery,
    Inflight,
    KeptChannel,
    KeptSession,
    Postgres,
    Rabbit,
    Redis,
    Subject,
)
from tests.network import Address
from tools.servers import Permissions, PostgresServer, RabbitServer, RedisServer, Server

USER: Final = "faults"
PASSWORD: Final = "right"
ROTATED: Final = "rotated"
NOTHING: Final = Permissions("^$", "^$", "^$")


class Account(Subject):
    """A check that logs in, as a user of its own."""

    @abstractmethod
    def create(self, server: Server, password: str = PASSWORD) -> None:
        """Have the user, with this password and all the rights that the check needs."""

    @abstractmethod
    def remove_permission(self, server: Server) -> None:
        """Take from the user what the check needs."""


class RedisAccount(Redis, Account):
    def keys(self, address: Address, **_: object) -> Keys:
        return {"type": "redis", "url": f"redis://{USER}:{PASSWORD}@{address}/0"}

    def create(self, server: Server, password: str = PASSWORD) -> None:
        assert isinstance(server, RedisServer)
        server.command("ACL", "SETUSER", USER, "on", "resetpass", f">{password}", "+echo", "+ping")

    def remove_permission(self, server: Server) -> None:
        assert isinstance(server, RedisServer)
        server.command("ACL", "SETUSER", USER, "-echo")


class RabbitAccount(Rabbit, Account):
    def keys(self, address: Address, **_: object) -> Keys:
        return {"type": "rabbitmq", "url": f"amqp://{USER}:{PASSWORD}@{address}/", "round_trip": True}

    def create(self, server: Server, password: str = PASSWORD) -> None:
        assert isinstance(server, RabbitServer)
        server.add_user(USER, password, tags="monitoring", vhosts={"/": Permissions()})

    def remove_permission(self, server: Server) -> None:
        assert isinstance(server, RabbitServer)
        server.set_permissions(USER, NOTHING)


class KeptChannelAccount(KeptChannel, RabbitAccount):
    def keys(self, address: Address, **_: object) -> Keys:
        return {"type": "rabbitmq", "url": f"amqp://{USER}:{PASSWORD}@{address}/"}


class DeliveryAccount(Delivery, RabbitAccount):
    def keys(self, address: Address, **_: object) -> Keys:
        url = f"http://{USER}:{PASSWORD}@{address}"
        return {**Delivery.keys(self, address), "management_url": url}

    def remove_permission(self, server: Server) -> None:
        assert isinstance(server, RabbitServer)
        server.add_user(USER, PASSWORD)


class InflightAccount(Inflight, DeliveryAccount):
    def keys(self, address: Address, **_: object) -> Keys:
        url = f"http://{USER}:{PASSWORD}@{address}"
        return {**Inflight.keys(self, address), "management_url": url}


class PostgresAccount(Postgres, Account):
    def keys(self, address: Address, **_: object) -> Keys:
        url = f"postgres://{USER}:{PASSWORD}@{address}/{USER}?sslmode=disable"
        return {"type": "postgres", "url": url}

    def create(self, server: Server, password: str = PASSWORD) -> None:
        assert isinstance(server, PostgresServer)
        if USER not in server.sql("SELECT rolname FROM pg_roles"):
            server.sql(f"CREATE ROLE {USER} LOGIN")
            server.sql(f"CREATE DATABASE {USER}")
            server.sql(f"REVOKE CONNECT ON DATABASE {USER} FROM PUBLIC")
        server.sql(f"ALTER ROLE {USER} PASSWORD '{password}'", f"GRANT CONNECT ON DATABASE {USER} TO {USER}")

    def remove_permission(self, server: Server) -> None:
        assert isinstance(server, PostgresServer)
        server.sql(f"REVOKE CONNECT ON DATABASE {USER} FROM {USER}")


class KeptSessionAccount(KeptSession, PostgresAccount):
    def keys(self, address: Address, **_: object) -> Keys:
        return {**PostgresAccount.keys(self, address), "keep": True}


ACCOUNTS: Final = (
    RedisAccount(),
    RabbitAccount(),
    KeptChannelAccount(),
    DeliveryAccount(),
    InflightAccount(),
    PostgresAccount(),
    KeptSessionAccount(),
)
