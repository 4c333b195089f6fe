"""The database behind one small door: column types, the two kinds of transaction, migration.

`writing()` takes the write lock at once (SQLite: BEGIN IMMEDIATE; PostgreSQL: READ COMMITTED, rows locked by the
caller), `reading()` sees one snapshot to its end. Statements are Core, 2.0 style; rows are mappings, never ORM objects.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    DateTime,
    String,
    Table,
    TypeDecorator,
    event,
    literal,
    tuple_,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import DeclarativeBase

from server.config import Config


class Model(DeclarativeBase):
    """Base of all tables."""


db = SQLAlchemy(model_class=Model)

Id = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""A UUID, in Python its canonical string; on SQLite stored as just that, which costs no conversion."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document; None is stored as SQL NULL."""


class Instant(TypeDecorator[datetime]):
    """An instant: aware UTC in Python on every database; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime is no instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON_OPTIONS: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    # SQLite keeps a document that is a bare number as a number.
    "json_deserializer": lambda stored: orjson.loads(stored) if isinstance(stored, str | bytes) else stored,
}
"""How an engine reads and writes documents."""


def engine_options(config: Config) -> dict[str, Any]:
    """What the engine is made with: orjson for documents, time limits, one connection a thread at rest."""
    options: dict[str, Any] = dict(JSON_OPTIONS)
    if config.database_url.startswith("sqlite"):
        options["connect_args"] = {"timeout": config.lock_timeout_ms / 1000}
    else:
        options["connect_args"] = {
            "options": f"-c lock_timeout={config.lock_timeout_ms} -c timezone=UTC -c jit=off"
        }
        options |= {"pool_size": 4, "max_overflow": 8, "pool_pre_ping": True}
    return options


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # we say BEGIN ourselves, below
    # SQLite's own knows the letters of English alone; what was searched for would not be found.
    connection.create_function(
        "lower", 1, lambda text: text.lower() if isinstance(text, str) else text, deterministic=True
    )
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-32000",
        "mmap_size=268435456",
    ):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "connect")
def _prepare_postgresql(connection: Any, _record: Any) -> None:
    if not hasattr(connection, "adapters"):
        return
    from psycopg.types.string import TextLoader  # noqa: PLC0415 - only where psycopg is the driver

    # An id is a text to us: to make an object of each and a text of that costs more than the rest of its row.
    connection.adapters.register_loader("uuid", TextLoader)


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if not connection.get_execution_options().get("write"):
        connection.exec_driver_sql("BEGIN")
        return
    if not _locked_soon(connection.connection.dbapi_connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # fails, and says so as everything else does


def _locked_soon(connection: Any) -> bool:
    """Take the write lock as soon as it is free, within the connection's time limit.

    SQLite itself looks again every 100 ms only, and would find it taken each time by whoever writes in many small
    transactions.
    """
    limit_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute("PRAGMA busy_timeout=0")
    try:
        until = time.monotonic() + limit_ms / 1000
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    return False
                if time.monotonic() > until:
                    return False
                time.sleep(0.002)
    finally:
        connection.execute(f"PRAGMA busy_timeout={limit_ms}")


@contextmanager
def writing() -> Iterator[Connection]:
    """One write transaction, committed at the end of the block, rolled back on any exception."""
    with db.engine.connect().execution_options(write=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading() -> Iterator[Connection]:
    """One read-only transaction over a single snapshot."""
    options: dict[str, Any] = {}
    if db.engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with db.engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def upsert(table: type[Model] | Table, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those of the same primary key, in one round trip; every row names the same columns.

    Of rows with the same key the last one counts.
    """
    _send(table, connection, rows, replacing=True)


def add(table: type[Model] | Table, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows in one round trip; every row names the same columns. Raises IntegrityError where one is there."""
    _send(table, connection, rows, replacing=False)


def _send(
    table: type[Model] | Table, connection: Connection, rows: Sequence[dict[str, Any]], *, replacing: bool
) -> None:
    """PostgreSQL takes all rows as one document, SQLite as one prepared statement: either is several times as fast as
    binding each value of each row through SQLAlchemy."""
    if not rows:
        return
    target: Any = table if isinstance(table, Table) else table.__table__
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        if replacing and len(rows) > 1:
            keys = tuple(column.name for column in target.primary_key)
            rows = list({tuple(row[key] for key in keys): row for row in rows}.values())
        text = orjson.dumps(rows, default=_bytea).decode()
        connection.exec_driver_sql(_of_document(target, names, replacing), (text,))
        return
    statement, ways = _of_values(target, names, replacing)
    connection.exec_driver_sql(
        statement,
        [tuple(row[name] if way is None else way(row[name]) for name, way in ways) for row in rows],
    )


def _bytea(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    raise TypeError(f"{type(value).__name__} is no value of a column")


@cache
def _of_document(target: Table, names: tuple[str, ...], replacing: bool) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        f'INSERT INTO "{target.name}" ({columns}) SELECT {columns} '
        f'FROM json_populate_recordset(NULL::"{target.name}", %s::json){_replacing(target, names, replacing)}'
    )


@cache
def _of_values(
    target: Table, names: tuple[str, ...], replacing: bool
) -> tuple[str, tuple[tuple[str, Callable[[Any], Any] | None], ...]]:
    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    statement = (
        f'INSERT INTO "{target.name}" ({columns}) VALUES ({marks}){_replacing(target, names, replacing)}'
    )
    return statement, tuple((name, _way(target.c[name].type)) for name in names)


def _replacing(target: Table, names: tuple[str, ...], replacing: bool) -> str:
    if not replacing:
        return ""
    keys = [column.name for column in target.primary_key]
    rest = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    quoted = ", ".join(f'"{key}"' for key in keys)
    return f" ON CONFLICT ({quoted}) DO " + (f"UPDATE SET {rest}" if rest else "NOTHING")


def _way(kind: Any) -> Callable[[Any], Any] | None:
    """How SQLite keeps a value of this column type; None as it is."""
    if isinstance(kind, Instant):
        return _instant_text
    return _json_text if isinstance(kind, JSON) else None


def _instant_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a naive datetime is no instant")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def behind(
    columns: Sequence[ColumnElement[Any]], key: Sequence[Any], *, descending: bool = False
) -> ColumnElement[bool]:
    """The condition of a keyset: rows behind `key` in the order of `columns`, each value bound as its column's type."""
    place = tuple_(*columns)
    bound = tuple_(*(literal(value, column.type) for column, value in zip(columns, key, strict=True)))
    return place < bound if descending else place > bound


def is_busy(error: Exception) -> bool:
    """Whether the database, or this machine, was merely busy, full or down, so that the same request may succeed later.

    What is written then is not to be taken for poison: no fault of its own kept it out.
    """
    if not isinstance(error, DBAPIError):
        full = isinstance(error, OSError) and error.errno in _FULL
        return full or isinstance(error, MemoryError | PoolExhausted)
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return state[:2] in _PASSING
    if isinstance(error, OperationalError):
        text = str(error.orig).lower()
        return any(word in text for word in _PASSING_WORDS)
    return False


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO})

_PASSING = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""Classes of SQLSTATE that pass: connection, read-only while another takes over, rolled back for another, resources,
locks, operator, the system's own files."""

_PASSING_WORDS = (
    "locked",
    "busy",
    "connection",
    "is full",
    "unable to open",
    "i/o error",
    "readonly",
    "out of memory",
    "interrupted",
)
"""Words of SQLite, which has no SQLSTATE, for the same."""


def migrate(config: Config) -> None:
    """Bring the database of `config` to the newest schema; creates it where it is missing."""
    from alembic import command  # noqa: PLC0415 - only needed here, and slow to load
    from alembic.config import Config as AlembicConfig  # noqa: PLC0415

    if config.database_url.startswith("sqlite:///"):
        Path(config.database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    alembic = AlembicConfig()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.attributes["url"] = config.database_url
    command.upgrade(alembic, "head")
