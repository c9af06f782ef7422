r"""Logs in, asks `SELECT 1`, and proves what the application relies on: writable, migrated, unique, in step.

Every rule that is violated is told in one run, not the first only:

- `writable: true`: the server is neither a replica nor read-only.
- `max_lag`: a replica has replayed what its primary did until so long ago; a primary always has.
- `migrations`: the highest value of a column is at least this one. Whole numbers with dots between, such as
  `42` or `1.10.2`, are compared as numbers, NULLs left out; anything else as text, byte by byte.
- `unique`: one index of the table covers exactly these columns, in any order, and makes them unique: it is
  valid, not deferrable, and over all rows, or over those that `where` selects. Such an index is what makes a
  message that is delivered twice harmless, and what ON CONFLICT needs. One that falls short is explained in
  the message: partial, over an expression, over more or fewer columns, deferrable, left invalid by a failed
  CREATE INDEX CONCURRENTLY, or with a column that may be NULL, where any number of NULLs are let in.

`table` is written as in SQL: `orders`, `billing.orders`, `billing."Orders"`; without a schema it is looked
for along the role's search path. Columns are written as they are, without quotes. `where` is compared with
the text that PostgreSQL keeps of the index's predicate but for spaces, case and outer brackets; the message
shows that text.

Down means that PostgreSQL does not answer or that a rule is violated. The reason is `auth` for a refused
login, by password or by pg_hba.conf, `not_found` for a database, table or column that does not exist,
`forbidden` for a missing permission, `contract` for a violated `migrations` or `unique`, `protocol` for an
answer that is none, `timeout` also for a table that is locked, and `unavailable` for too many connections, a
server that starts, ends or recovers, and a violated `writable` or `max_lag`. Of several it is the first
rule's.

Each run has a connection of its own, which is idle at no time: 5,000 pods that kept one would be 5,000
backends. With `keep: true` one is kept, and its loss causes a run. The application name is `sidecar`. Each
question is a transaction of its own, with a statement_timeout as long as `timeout`: it passes through
PgBouncer in session and transaction mode, prepares nothing there, and a run that was given up leaves no
backend behind.

TLS is spoken as libpq does. Without a `tls:` block and an `sslmode` in the URL's query it is `prefer`:
encrypted if the server can, and verified by nobody. `sslmode` may be `disable`, `allow` (the same as
`prefer` here), `prefer`, `require` (encrypted or not at all) or `verify-full` (also verified, against the
system's authorities). A `tls:` block means `verify-full` with its settings, or `require` with `insecure:
true`. What else the URL's query holds is meant for drivers and not read, nor are the environment's PG
variables, `~/.pgpass` and `~/.postgresql`.

A replica that was cut off from its primary counts as in step until it notices, after its
wal_receiver_timeout.

Permissions: a role with LOGIN, and CONNECT on the database; for `unique` USAGE on the table's schema; for
`migrations` also SELECT on its column.
Reasons that waiting does not cure: auth, forbidden, tls.

```yaml
- name: orders
  type: postgres
  url: postgres://postgres.example.com:5432/orders?sslmode=verify-full
  username: sidecar
  password: ${POSTGRES_PASSWORD}
  writable: true
  migrations: {table: schema_migrations, column: version, at_least: "20260301120000"}
  unique:
    - {table: orders, columns: [tenant, message_id], where: deleted_at IS NULL}
  gates: startup
```
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import parse_qs, unquote

from sidecar.checks import _postgres_rules as rules
from sidecar.checks._connect import client_tls
from sidecar.checks._postgres import Link, Login, TlsMode, asyncpg, reason_of
from sidecar.checks._postgres_rules import Ask, MigrationsConfig, UniqueConfig
from sidecar.config.check import CheckType, TlsConfig, UrlCheckConfig, option
from sidecar.config.fields import Span
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake, unknown
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.finding import Finding, Standing

if TYPE_CHECKING:
    import ssl

_SSLMODES: Final = {
    "": TlsMode.PREFER,
    "disable": TlsMode.DISABLE,
    "allow": TlsMode.PREFER,
    "prefer": TlsMode.PREFER,
    "require": TlsMode.REQUIRE,
    "verify-full": TlsMode.VERIFY_FULL,
}


@dataclass(frozen=True, kw_only=True, repr=False)
class PostgresConfig(UrlCheckConfig):
    """Which database, and what must be true of it."""

    url: Annotated[Url, UrlKind((("postgres", 5432), ("postgresql", 5432), ("unix", None)))] = option(
        "URL: postgres://HOST:PORT/DATABASE, or unix:///run/postgresql/.s.PGSQL.5432?db=DATABASE."
    )
    interval: Span = option("Time from one run to the next while up.", default=30.0)
    keep: bool = option("Keep one connection instead of opening one each run.", default=False)
    writable: bool = option("The server must be neither a replica nor read-only.", default=False)
    max_lag: Span | None = option("How far a replica may be behind.", default=None)
    migrations: MigrationsConfig | None = option("How far the schema must have been migrated.", default=None)
    unique: tuple[UniqueConfig, ...] = option(
        "Columns that must be unique: a list of `table`, `columns` and, for a partial index, `where`.",
        default=(),
    )

    @property
    def keeps_connection(self) -> bool:
        """Whether a connection is kept."""
        return self.keep

    @property
    def login(self) -> Login:
        """Who we are, and which database we want; the user's own name is PostgreSQL's default."""
        username, password = self.credentials
        return Login(username=username or "", password=password, database=self._database or username or "")

    @property
    def tls_mode(self) -> TlsMode:
        """How a connection comes to TLS."""
        if self.tls is not None:
            return TlsMode.REQUIRE if self.tls.insecure else TlsMode.VERIFY_FULL
        return TlsMode.DISABLE if self.url.scheme == "unix" else _SSLMODES[self._query("sslmode")]

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        is_unix, sslmode = self.url.scheme == "unix", self._query("sslmode")
        if not self.credentials[0]:
            yield Mistake("names no user; write username: beside it, or postgres://USER@HOST", key="url")
        if is_unix and (self.url.host or not self.url.path):
            yield Mistake(
                "names no socket; write its whole path, such as unix:///run/s.PGSQL.5432", key="url"
            )
        if sslmode == "verify-ca":
            yield Mistake(
                "has sslmode=verify-ca; write verify-full, and tls.server_name for another name", key="url"
            )
        elif sslmode not in _SSLMODES:
            yield Mistake(unknown("sslmode", sslmode, [mode for mode in _SSLMODES if mode]), key="url")
        if self.tls is not None and (is_unix or sslmode == "disable"):
            yield Mistake("has no use without TLS, which the URL excludes", key="tls")
        if self.writable and self.max_lag is not None:
            yield Mistake("is about a replica, and writable excludes one; remove one of both", key="max_lag")

    @property
    def _database(self) -> str:
        return self._query("db") if self.url.scheme == "unix" else unquote(self.url.path[1:])

    def _query(self, key: str) -> str:
        return parse_qs(self.url.query).get(key, [""])[-1]


class PostgresCheck:
    """Opens a connection each run, or keeps one and drops it on any doubt."""

    def __init__(self, config: PostgresConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._context: ssl.SSLContext | None = None
        self._link: Link | None = None

    async def run(self) -> None:
        """Ask PostgreSQL to prove itself."""
        faults = [each for each in await self.findings() if each.standing is not Standing.HELD]
        if faults:
            told = "; ".join(each.sentence for each in faults)
            raise CheckFailed(faults[0].reason, f"{self._config.target}: {told}")

    async def findings(self) -> list[Finding]:
        """Return how each rule stands.

        Raises:
            CheckFailed: there is no connection to ask on.
        """
        with ExitStack() as doubt:
            doubt.callback(self._hang_up)
            link = await self._linked()
            findings = await link.attend(self._ask(link))
            if self._config.keep and link.is_open:
                doubt.pop_all()
        return findings

    async def lost(self) -> None:
        """Return when the kept connection is gone; wait while there is none."""
        if self._link is None:
            await asyncio.Event().wait()
            return
        await self._link.ended()
        self._hang_up()

    async def aclose(self) -> None:
        """Hang up."""
        self._hang_up()

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.hang_up()

    async def _linked(self) -> Link:
        """Return the kept connection if it is there, else a new one."""
        if self._link is not None and not self._link.is_open:
            self._hang_up()
        if self._link is None:
            asyncpg.load()  # before a connection is there to be left behind
            context = await self._tls_context()
            self._link = Link(self._config.url, self._config.login)
            await self._dial(self._link, context)
            self.connections_opened += 1
            await self._link.log_in()
        return self._link

    async def _dial(self, link: Link, context: "ssl.SSLContext | None") -> None:
        tls = self._config.tls
        await link.dial(
            context,
            server_name=(tls and tls.server_name) or self._config.url.host,
            needs_tls=self._config.tls_mode is not TlsMode.PREFER,
        )

    async def _tls_context(self) -> "ssl.SSLContext | None":
        mode = self._config.tls_mode
        if self._context is None and mode is not TlsMode.DISABLE:
            block = self._config.tls or TlsConfig()
            self._context = await client_tls(replace(block, insecure=mode is not TlsMode.VERIFY_FULL))
        return self._context

    async def _ask(self, link: Link) -> list[Finding]:
        """Return how each rule stands; raise what leaves no connection to ask on."""
        findings = []
        for key, subject, rule in self._rules(partial(link.ask, seconds=self._config.timeout)):
            try:
                findings.append(Finding(key, Standing.HELD, await rule))
            except CheckFailed as violation:
                findings.append(Finding(key, Standing.VIOLATED, violation.message, violation.reason))
            except asyncpg.PostgresError as error:
                if not link.is_open:
                    raise
                findings.append(_refused(key, f"{subject}: {error.message}", reason_of(error)))
        return findings

    def _rules(self, ask: Ask) -> Iterator[tuple[str, str, Awaitable[str]]]:
        """Yield each rule that is wanted, after its key and what it is about; whoever takes one awaits it."""
        config = self._config
        yield "answer", "SELECT 1", rules.answers(ask)
        if config.writable:
            yield "writable", "writable", rules.is_writable(ask)
        if config.max_lag is not None:
            yield "max_lag", "max_lag", rules.is_in_step(ask, config.max_lag)
        if config.migrations is not None:
            yield "migrations", config.migrations.table, rules.is_migrated(ask, config.migrations)
        for wanted in config.unique:
            yield "unique", wanted.table, rules.is_unique(ask, wanted)


def _refused(key: str, sentence: str, reason: Reason) -> Finding:
    """Return the finding on a rule whose question the server refused for what is there, or for who asks."""
    is_violated = reason in (Reason.NOT_FOUND, Reason.CONTRACT)
    return Finding(key, Standing.VIOLATED if is_violated else Standing.UNVERIFIABLE, sentence, reason)


check_type = CheckType(
    config=PostgresConfig,
    build=PostgresCheck,
    drivers=(asyncpg,),
    holds_connection=True,
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.TLS}),
)
