"""Keep a copy of everything while the server runs, and put one back: nothing that was acknowledged is used twice.

SQLite is copied page by page through its own online backup, as one snapshot, without holding up a writer. Of
PostgreSQL its own tools take care; what follows a restore there (`put_back`) is the same. The journal is chained by
hashes, so a copy is known to be whole. After a restore the head jumps, because phones may hold versions that the copy
does not know of: they notice, begin again, and send what was lost.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from server.config import Config
from server.db import JSON_OPTIONS, migrate, writing
from server.exchange.apply import link, lock_head
from server.exchange.model import Journal
from server.exchange.pull import RESTORED_JUMP
from server.people.admin import Refused
from server.people.model import Head, Organisation

PHOTOS = "blobs"
"""Folder of the state directory that holds photos, each in a file named by its content; such a file never changes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was made or put back.

    `entries` {slug: journal entries}; `photos` how many files came along; `beside` where what was replaced now lies.
    """

    path: Path
    entries: Mapping[str, int]
    photos: int
    beside: Path | None = None


def database_file(config: Config) -> Path:
    """The file of an SQLite database; raises `Refused` for another one."""
    path = config.database_url.removeprefix("sqlite:///")
    if path == config.database_url:
        raise Refused(
            "This database is PostgreSQL's: its own pg_dump and pg_restore copy it while it runs. After putting one "
            "back, run `rounds restore --in-place`. See docs/running.md."
        )
    return Path(path)


def backup(config: Config, target: Path) -> Copy:
    """Copy the database of `config` to `target` while it is used, verified; photos into `target`.photos beside it.

    The file appears when it is whole. Raises `Refused` where the database itself is not sound.
    """
    source = database_file(config)
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(source, timeout=config.lock_timeout_ms / 1000)) as live:
            os.close(
                os.open(part, os.O_CREAT | os.O_WRONLY, 0o600)
            )  # it holds what people wrote, and their passwords
            with closing(sqlite3.connect(part)) as copy:
                live.backup(copy)  # all pages in one step are one snapshot; writers go on beside it
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        entries = _verified(part)
        _as_one_file(part)
        photos = _gather(config.state_dir / PHOTOS, _photos_of(target))
        _to_disk(part)
        part.replace(target)
    finally:
        _remove(part)
    return Copy(target, entries, photos)


def restore(config: Config, source: Path, now: datetime) -> Copy:
    """Put the copy `source` in the place of the database of `config`, whose server must not run.

    What was there stays beside it, named by the time. Raises `Refused` for a copy that is not whole or is newer than
    this release, and while somebody uses the database; then nothing was changed.
    """
    target = database_file(config)
    wal = source.with_name(f"{source.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise Refused(f"{source} is a database in use ({wal.name} lies beside it), not a copy of one.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    beside = target.with_name(f"{target.name}.replaced-{now:%Y%m%dT%H%M%SZ}") if target.exists() else None
    try:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        shutil.copyfile(source, part)
        entries = _verified(part)
        migrate(_at(config, part))
        with _open(part) as connection:
            _jump(connection)
        _as_one_file(part)
        _to_disk(part)
        if beside is not None:
            _as_one_file(target)
            target.replace(beside)
        part.replace(target)
        _to_disk(target.parent)
    finally:
        _remove(part)
    photos = _gather(_photos_of(source), config.state_dir / PHOTOS)
    return Copy(target, entries, photos, beside)


def put_back() -> Mapping[str, int]:
    """After a database was put back by other means: verify its journals and let each head jump.

    For PostgreSQL's own tools, a snapshot of a machine, a standby that took over. Raises `Refused` for a broken chain.
    """
    with writing() as connection:
        for org_id in connection.scalars(select(Organisation.id)).all():
            lock_head(connection, org_id)
        entries = _chained(connection)
        _jump(connection)
    return entries


# -- whole -------------------------------------------------------------------------------------------------------------


def _verified(path: Path) -> dict[str, int]:
    """Journal entries by organisation of a database file that is whole; raises `Refused` for one that is not."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            if found != ["ok"]:
                raise Refused(f"{path.name} is damaged: {'; '.join(found)}.")
            lost = connection.execute("PRAGMA foreign_key_check").fetchone()
            if lost:
                raise Refused(
                    f"{path.name} is damaged: a row of {lost[0]} refers to one of {lost[2]} that is gone."
                )
            known = connection.execute("select version_num from alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise Refused(f"{path.name} is no database of Rounds ({error}).") from error
    if known is None or known[0] not in _releases():
        raise Refused(f"{path.name} was written by a newer release of Rounds; install that one first.")
    try:
        with _open(path) as connection:
            return _chained(connection)
    except DatabaseError as error:
        raise Refused(f"{path.name} is no database of Rounds ({error.orig}).") from error


def _chained(connection: Connection) -> dict[str, int]:
    """Journal entries by organisation, each journal's chain followed from its first entry to the head."""
    entries = {}
    for org_id, slug in connection.execute(select(Organisation.id, Organisation.slug)).all():
        head = connection.execute(select(Head.entries, Head.chain).where(Head.org_id == org_id)).one()
        number, chain = 0, ""
        statement = (
            select(Journal.__table__)
            .where(Journal.org_id == org_id)
            .order_by(Journal.n)
            .execution_options(yield_per=1000)
        )
        for row in connection.execute(statement).mappings():
            number, chain = number + 1, link(chain, dict(row))
            if (row["n"], row["chain"]) != (number, chain) or not _sealed(row):
                raise Refused(f"The journal of {slug} is broken at entry {row['n']}; this is no sound copy.")
        if (number, chain) != (head.entries, head.chain):
            raise Refused(f"The journal of {slug} ends at entry {number}, {head.entries} were written.")
        entries[slug] = number
    return entries


def _sealed(row: Mapping[Any, Any]) -> bool:
    """Whether an entry says what was sealed; one that was purged for privacy cannot tell."""
    return row["salt"] is None or row["seal"] == hashlib.sha256(row["salt"] + row["payload"]).hexdigest()


def _jump(connection: Connection) -> None:
    connection.execute(update(Head).values(version=Head.version + RESTORED_JUMP))


def _releases() -> frozenset[str]:
    """The schema revisions that this release knows."""
    from alembic.config import Config as AlembicConfig  # noqa: PLC0415 - slow to load
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    alembic = AlembicConfig()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return frozenset(script.revision for script in ScriptDirectory.from_config(alembic).walk_revisions())


# -- files -------------------------------------------------------------------------------------------------------------


def _at(config: Config, path: Path) -> Config:
    return Config(database_url=f"sqlite:///{path}", secret=config.secret, state_dir=config.state_dir)


@contextmanager
def _open(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, **JSON_OPTIONS)
    with engine.connect() as connection, connection.begin():
        yield connection


def _as_one_file(path: Path) -> None:
    """Bring everything of a database into its file; raises `Refused` while another process has it open."""
    try:
        with closing(sqlite3.connect(path, timeout=0.2)) as connection:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        raise Refused(f"{path} is in use. Stop the server first.") from error
    if mode != ("delete",):
        raise Refused(f"{path} is in use. Stop the server first.")


def _photos_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.photos")


def _gather(source: Path, target: Path) -> int:
    """Copy the files of a folder that are not in another one yet; returns how many there are. Each appears whole."""
    number = 0
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if not path.is_file() or path.suffix == ".part":
            continue
        number += 1
        there = target / path.relative_to(source)
        if there.exists():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        part = there.with_name(f"{there.name}.part")
        shutil.copyfile(path, part)
        _to_disk(part)
        part.replace(there)
    return number


def _to_disk(path: Path) -> None:
    """Let a file, or a folder's list of files, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
