"""What passes by itself is no fault of what was being written, and what does not pass is not tried for ever."""

import errno
import sqlite3
from typing import Any

import pytest
from psycopg import errors
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from server.db import is_busy


def of_sqlite(words: str) -> OperationalError:
    return OperationalError("insert", {}, sqlite3.OperationalError(words))


PASSING: list[Exception] = [
    of_sqlite("database is locked"),
    of_sqlite("database or disk is full"),
    of_sqlite("disk I/O error"),
    of_sqlite("attempt to write a readonly database"),
    of_sqlite("unable to open database file"),
    OperationalError("select", {}, errors.LockNotAvailable()),
    OperationalError("select", {}, errors.DeadlockDetected()),
    OperationalError("select", {}, errors.AdminShutdown()),
    OperationalError("select", {}, errors.DiskFull()),
    OperationalError("select", {}, errors.IoError()),
    OperationalError("select", {}, errors.SerializationFailure()),
    ProgrammingError("insert", {}, errors.ReadOnlySqlTransaction()),
    PoolExhausted("QueuePool limit"),
    MemoryError(),
    OSError(errno.ENOSPC, "No space left on device"),
]
LASTING: list[Exception] = [
    of_sqlite("no such table: visit"),
    IntegrityError("insert", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
    IntegrityError("insert", {}, errors.UniqueViolation()),
    DataError("insert", {}, errors.NumericValueOutOfRange()),
    ProgrammingError("insert", {}, errors.UndefinedTable()),
    ValueError("a naive datetime is no instant"),
    KeyError("name"),
    IsADirectoryError(errno.EISDIR, "a time zone that is a folder"),
    RecursionError(),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_passes_by_itself_is_answered_with_come_again(error: Any) -> None:
    assert is_busy(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_lasts_is_not(error: Any) -> None:
    assert not is_busy(error)
