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
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qs, unquote

from sidecar.checks._connect import client_tls
from sidecar.checks._postgres import Link, Login, TlsMode, asyncpg, reason_of
from sidecar.checks._unique import Index, Table, why_not_unique
from sidecar.config.check import CheckType, TlsConfig, UrlCheckConfig, option
from sidecar.config.fields import Label, Span, Url, UrlKind
from sidecar.config.problems import Mistake, unknown
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import show_duration

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
_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
"""A version whose parts are compared as numbers."""

ROLE_OF_SERVER: Final = (
    "SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') AS read_only"
)
LAG: Final = """
SELECT pg_is_in_recovery() AS is_replica,
       EXISTS (SELECT FROM pg_stat_wal_receiver)
           AND pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AS is_in_step,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS lag
"""
"""The age of what was replayed last says nothing while there is nothing to replay. A receiver begins where a
segment does, which is before what was replayed."""
TABLE: Final = """
SELECT c.oid::regclass::text AS name, c.relkind::text AS kind,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND NOT attnotnull) AS nullable
FROM pg_class c WHERE c.oid = to_regclass($1)
"""
INDEXES: Final = """
SELECT i.relname::text AS name,
       ARRAY(SELECT a.attname::text
             FROM unnest(x.indkey[0:x.indnkeyatts - 1]) AS k(attnum)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum) AS columns,
       coalesce(pg_get_expr(x.indexprs, x.indrelid), '') AS expressions,
       coalesce(pg_get_expr(x.indpred, x.indrelid), '') AS predicate,
       x.indisunique AS is_unique, x.indisexclusion AS is_exclusion,
       x.indisvalid AS is_valid, x.indisready AS is_ready, x.indimmediate AS is_immediate,
       NOT coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) AS has_nulls_distinct
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = to_regclass($1) ORDER BY i.relname
"""
"""NULLS NOT DISTINCT came with PostgreSQL 15, and its column with it."""
NUMBERS_REACH: Final = """
SELECT array_to_string(max(version), '.') AS highest,
       max(version) >= string_to_array($1, '.')::numeric[] AS is_reached
FROM (SELECT string_to_array(%I::text, '.')::numeric[] AS version FROM %s) AS recorded
"""
TEXTS_REACH: Final = """
SELECT max(version) AS highest, max(version) >= $1 COLLATE "C" AS is_reached
FROM (SELECT %I::text COLLATE "C" AS version FROM %s) AS recorded
"""
WRITTEN: Final = "SELECT format($1, $2::text, to_regclass($3)) AS question"
"""The server itself writes the names into a question, in the quotes that they need."""


@dataclass(frozen=True, kw_only=True)
class UniqueConfig:
    """Columns that a unique index must cover."""

    table: Label = option("The table, as in SQL: `billing.orders`.")
    columns: tuple[Label, ...] = option("The columns, in any order.")
    where: Label = option("The predicate that the index may have; none if left out.", default="")

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if not self.columns:
            yield Mistake("names no column", key="columns")
        if len(set(self.columns)) < len(self.columns):
            yield Mistake("names a column twice", key="columns")


@dataclass(frozen=True, kw_only=True)
class MigrationsConfig:
    """How far the schema must have been migrated."""

    table: Label = option("The table in which migrations are recorded, as in SQL.")
    column: Label = option("Its column with the version.")
    at_least: Label = option("The version that must be there, or a higher one: 42, 1.10.2, or a text.")

    @property
    def is_numeric(self) -> bool:
        """Whether versions are compared as numbers."""
        return _NUMBERS.fullmatch(self.at_least) is not None


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


Rule = tuple[str, Callable[[Link], Awaitable[None]]]
"""What a rule is about, and what raises `CheckFailed` where it is violated."""


class PostgresCheck:
    """Opens a connection each run, or keeps one and drops it on any doubt."""

    def __init__(self, config: PostgresConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._context: ssl.SSLContext | None = None
        self._link: Link | None = None

    async def run(self) -> None:
        """Ask PostgreSQL to prove itself."""
        with ExitStack() as doubt:
            doubt.callback(self._hang_up)
            link = await self._linked()
            violations = await link.attend(self._ask(link))
            if self._config.keep and link.is_open:
                doubt.pop_all()
        if violations:
            told = "; ".join(violation.message for violation in violations)
            raise CheckFailed(violations[0].reason, f"{self._config.target}: {told}")

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

    async def _ask(self, link: Link) -> list[CheckFailed]:
        """Return what is violated; raise what leaves no connection to ask on."""
        violations = []
        for subject, rule in self._rules():
            try:
                await rule(link)
            except CheckFailed as violation:
                violations.append(violation)
            except asyncpg.PostgresError as error:
                if not link.is_open:
                    raise
                violations.append(CheckFailed(reason_of(error), f"{subject}: {error.message}"))
        return violations

    def _rules(self) -> Iterator[Rule]:
        config = self._config
        yield "SELECT 1", self._answers
        if config.writable:
            yield "writable", self._is_writable
        if config.max_lag is not None:
            yield "max_lag", partial(self._keeps_up, limit=config.max_lag)
        if migrations := config.migrations:
            yield migrations.table, partial(self._is_migrated, wanted=migrations)
        for wanted in config.unique:
            yield wanted.table, partial(self._is_unique, wanted=wanted)

    async def _answers(self, link: Link) -> None:
        ((answer,),) = await self._rows(link, "SELECT 1")
        if answer != 1:
            raise CheckFailed(Reason.PROTOCOL, "a wrong answer to SELECT 1")

    async def _is_writable(self, link: Link) -> None:
        (server,) = await self._rows(link, ROLE_OF_SERVER)
        if server["is_replica"]:
            raise CheckFailed(Reason.UNAVAILABLE, "not writable: it is a replica")
        if server["read_only"] != "off":
            raise CheckFailed(Reason.UNAVAILABLE, "not writable: it is read-only")

    async def _keeps_up(self, link: Link, limit: float) -> None:
        (server,) = await self._rows(link, LAG)
        if not server["is_replica"] or server["is_in_step"]:
            return
        lag = server["lag"]
        if lag is None or lag > limit:
            behind = "nothing was replayed yet" if lag is None else f"{lag:.1f}s behind"
            raise CheckFailed(Reason.UNAVAILABLE, f"replica: {behind}, and {show_duration(limit)} is allowed")

    async def _is_migrated(self, link: Link, wanted: MigrationsConfig) -> None:
        await self._table(link, wanted.table)
        form = NUMBERS_REACH if wanted.is_numeric else TEXTS_REACH
        ((question,),) = await self._rows(link, WRITTEN, form, wanted.column, wanted.table)
        ((highest, is_reached),) = await self._rows(link, question, wanted.at_least)
        if not is_reached:
            state = "has no version" if highest is None else f"is at {highest}"
            raise CheckFailed(Reason.CONTRACT, f"{wanted.table} {state}, and {wanted.at_least} is wanted")

    async def _is_unique(self, link: Link, wanted: UniqueConfig) -> None:
        table = await self._table(link, wanted.table)
        if table["kind"] not in ("r", "p"):
            raise CheckFailed(Reason.CONTRACT, f"{wanted.table} is no table, and has no unique index")
        rows = await self._rows(link, INDEXES, wanted.table)
        why = why_not_unique(_table_of(wanted.table, table, rows), wanted.columns, wanted.where)
        if why:
            raise CheckFailed(Reason.CONTRACT, why)

    async def _table(self, link: Link, name: str) -> Any:
        rows = await self._rows(link, TABLE, name)
        if not rows:
            raise CheckFailed(Reason.NOT_FOUND, f"there is no table {name}")
        return rows[0]

    async def _rows(self, link: Link, question: str, *arguments: object) -> Sequence[Any]:
        return await link.ask(question, *arguments, seconds=self._config.timeout)


def _table_of(name: str, table: Any, indexes: Sequence[Any]) -> Table:
    return Table(
        name=name,
        columns=frozenset(table["columns"]),
        nullable=frozenset(table["nullable"]),
        indexes=tuple(Index(**{**row, "columns": frozenset(row["columns"])}) for row in indexes),
    )


check_type = CheckType(
    config=PostgresConfig,
    build=PostgresCheck,
    drivers=(asyncpg,),
    holds_connection=True,
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.TLS}),
)
