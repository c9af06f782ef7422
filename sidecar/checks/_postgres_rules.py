"""The rules of the check type `postgres`: what each asks the database, and when it is violated.

A rule returns the sentence that holds, and raises `CheckFailed`, without the address, if it is violated. What
the server refuses it leaves to the caller.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from sidecar.checks._unique import Index, Table, why_not_unique
from sidecar.config.check import option
from sidecar.config.fields import Label
from sidecar.config.kinds.text import PatternKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import show_duration

_WORD_OF_SQL: Final = r'"(?:[^"]|"")+"|[^\W\d][\w$]*'
"""A name, in quotes or without (postgresql.org/docs/current/sql-syntax-lexical.html)."""
TableName = Annotated[
    str,
    PatternKind(
        rf"(?:{_WORD_OF_SQL})(?:\.(?:{_WORD_OF_SQL})){{0,2}}",
        'a table\'s name as SQL has it; write one such as orders, billing.orders or billing."Orders"',
    ),
]

Ask = Callable[..., Awaitable[Sequence[Any]]]
"""Takes a question with its arguments, and returns the rows of the answer."""

_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
"""A version whose parts are compared as numbers."""
_TABLES: Final = ("r", "p")
"""The kinds of relations with rows of their own or of partitions (pg_class.relkind)."""


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
SELECT c.relkind::text AS kind,
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

    table: TableName = option("The table, as in SQL: `billing.orders`.")
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

    table: TableName = option("The table in which migrations are recorded, as in SQL.")
    column: Label = option("Its column with the version.")
    at_least: Label = option("The version that must be there, or a higher one: 42, 1.10.2, or a text.")

    @property
    def is_numeric(self) -> bool:
        """Whether versions are compared as numbers."""
        return _NUMBERS.fullmatch(self.at_least) is not None


async def answers(ask: Ask) -> str:
    """Hold if the server computes."""
    if [tuple(row) for row in await ask("SELECT 1")] != [(1,)]:
        raise CheckFailed(Reason.PROTOCOL, "a wrong answer to SELECT 1")
    return "the server answers SELECT 1"


async def is_writable(ask: Ask) -> str:
    """Hold if the server takes what is written."""
    (server,) = await ask(ROLE_OF_SERVER)
    if server["is_replica"]:
        raise CheckFailed(Reason.UNAVAILABLE, "not writable: it is a replica")
    if server["read_only"] != "off":
        raise CheckFailed(Reason.UNAVAILABLE, "not writable: it is read-only")
    return "the server is writable"


async def is_in_step(ask: Ask, limit: float) -> str:
    """Hold if the server is no replica, has replayed all that it got, or is at most `limit` seconds late."""
    (server,) = await ask(LAG)
    if not server["is_replica"]:
        return "the server is no replica"
    if server["is_in_step"]:
        return "replica: in step"
    lag = server["lag"]
    if lag is None or lag > limit:
        behind = "nothing was replayed yet" if lag is None else f"{lag:.1f}s behind"
        raise CheckFailed(Reason.UNAVAILABLE, f"replica: {behind}, and {show_duration(limit)} is allowed")
    return f"replica: {lag:.1f}s behind, and {show_duration(limit)} is allowed"


async def is_migrated(ask: Ask, wanted: MigrationsConfig) -> str:
    """Hold if the highest version is the wanted one or a higher one."""
    await _look_up(ask, wanted.table)
    form = NUMBERS_REACH if wanted.is_numeric else TEXTS_REACH
    ((question,),) = await ask(WRITTEN, form, wanted.column, wanted.table)
    ((highest, is_reached),) = await ask(question, wanted.at_least)
    state = "has no version" if highest is None else f"is at {highest}"
    sentence = f"{wanted.table} {state}, and {wanted.at_least} is wanted"
    if not is_reached:
        raise CheckFailed(Reason.CONTRACT, sentence)
    return sentence


async def is_unique(ask: Ask, wanted: UniqueConfig) -> str:
    """Hold if an index keeps the columns unique."""
    table = await _look_up(ask, wanted.table)
    if table["kind"] not in _TABLES:
        raise CheckFailed(Reason.CONTRACT, f"{wanted.table} is no table, and has no unique index")
    indexes = await ask(INDEXES, wanted.table)
    why = why_not_unique(_table_of(wanted.table, table, indexes), wanted.columns, wanted.where)
    if why:
        raise CheckFailed(Reason.CONTRACT, why)
    scope = f" where {wanted.where}" if wanted.where else ""
    return f"{wanted.table} has a unique index on ({', '.join(wanted.columns)}){scope}"


async def _look_up(ask: Ask, name: str) -> Any:
    rows = await ask(TABLE, name)
    if not rows:
        raise CheckFailed(Reason.NOT_FOUND, f"there is no table {name}")
    return rows[0]


def _table_of(name: str, table: Any, indexes: Sequence[Any]) -> Table:
    return Table(
        name=name,
        columns=frozenset(table["columns"]),
        nullable=frozenset(table["nullable"]),
        indexes=tuple(Index(**{**row, "columns": frozenset(row["columns"])}) for row in indexes),
    )
