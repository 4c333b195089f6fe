"""Does the journal tell what the tables say? Its chain is verified, then it is replayed from nothing and compared.

The replay runs the very function that wrote each batch, on an empty SQLite database that nobody else sees, with the
author, the times and the version of then; afterwards every table that follows from the journal is compared row by row.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, String, Table, collate, create_engine, insert, select, update
from sqlalchemy.pool import StaticPool

from server.db import JSON_OPTIONS, Model
from server.exchange.apply import Submission, link, write
from server.exchange.documents import item_of
from server.exchange.door import client_of
from server.exchange.kinds import READABLE
from server.exchange.model import Batch, Client, Journal, Position, Revision
from server.exchange.work import Actor
from server.indicators import recount
from server.indicators.facts_model import FactDay, FactMonth, Owned
from server.people.model import Grant, Head, Organisation
from server.reminders.model import Reminder, Wish
from server.reminders.schedule import ABOUT, LONG_AGO
from server.visits.model import RepDay, VisitPhoto
from sync import receipt as codes
from sync.mutation import moment_of

MOST_DIFFERENCES = 1000
PAGE = 2000
PURGED = b'"none":"purged"'

_TABLES: tuple[type[Model], ...] = (
    *(kind.model for kind in READABLE.values()),
    VisitPhoto,
    RepDay,
    FactDay,
    FactMonth,
    Owned,
    Revision,
    Position,
    Grant,
)
_REPLAYED = (
    "mutation_id",
    "kind",
    "entity",
    "verb",
    "digest",
    "status",
    "code",
    "as_of",
    "detail",
    "conflicts",
)
"""What the replay must say of a journal entry as the entry itself does."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the journal tells it: where, which one, and both sayings.

    `key` names the row within its table, `field` the column, or `row` where all of it is missing or too much.
    """

    table: str
    key: str
    field: str
    stored: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.table} {self.key} {self.field}: {_short(self.stored)} is stored, {_short(self.expected)} expected"


def check(connection: Connection, org_id: str, most: int = MOST_DIFFERENCES) -> list[Difference]:
    """The first `most` differences between an organisation's journal and its tables; empty where all is well.

    `connection` is only read, and should see one snapshot (`server.db.reading`).
    """
    return list(islice(_differences(connection, org_id), most))


def _differences(connection: Connection, org_id: str) -> Iterator[Difference]:
    head = dict(connection.execute(select(Head.__table__).where(Head.org_id == org_id)).mappings().one())
    with _nothing() as scratch:
        organisation = connection.execute(
            select(Organisation.__table__).where(Organisation.id == org_id)
        ).mappings()
        scratch.execute(insert(Organisation), [dict(organisation.one())])
        _wish(connection, scratch, org_id)
        last: dict[str, Any] = {"n": 0, "version": 0, "chain": ""}
        for batch, entries in _batches(connection, org_id):
            for entry in entries:
                yield from _broken(last, entry)
                last = entry
            yield from _replay(scratch, batch, entries)
        for name, told in (("entries", last["n"]), ("chain", last["chain"])):
            if head[name] != told:
                yield Difference("head", org_id, name, head[name], told)
        if head["version"] < last["version"]:
            yield Difference("head", org_id, "version", head["version"], last["version"])
        yield from _idle_batches(connection, org_id)
        yield from _clients(connection, scratch, org_id)
        for model in _TABLES:
            yield from _compare(connection, scratch, org_id, model, head["floor"])
        yield from _schedule(connection, scratch, org_id)
        # The replay counts as the door did; whether that is right, only counting everything anew tells.
        yield from (Difference(*found) for found in recount.differences(scratch, org_id))


@contextmanager
def _nothing() -> Iterator[Connection]:
    """An empty database with all tables, in memory as long as it is small, on no path; gone afterwards."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect("", check_same_thread=False),
        poolclass=StaticPool,
        **JSON_OPTIONS,
    )
    try:
        Model.metadata.create_all(engine)
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def _batches(
    connection: Connection, org_id: str
) -> Iterator[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Each batch with its journal entries, in their order; None for a batch that is not there."""
    for version, entries in groupby(_journal(connection, org_id), key=lambda entry: entry["version"]):
        found = connection.execute(
            select(Batch.__table__).where(Batch.org_id == org_id, Batch.version == version)
        ).mappings()
        batch = found.one_or_none()
        yield (dict(batch) if batch else None), list(entries)


def _journal(connection: Connection, org_id: str) -> Iterator[dict[str, Any]]:
    last = 0
    while True:
        rows = (
            connection.execute(
                select(Journal.__table__)
                .where(Journal.org_id == org_id, Journal.n > last)
                .order_by(Journal.n)
                .limit(PAGE)
            )
            .mappings()
            .all()
        )
        if not rows:
            return
        yield from map(dict, rows)
        last = rows[-1]["n"]


def _broken(last: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[Difference]:
    """What is wrong with an entry itself, behind the one before it."""
    key = str(entry["n"])
    if entry["n"] != last["n"] + 1:
        yield Difference("journal", str(last["n"] + 1), "row", None, "an entry")
    elif entry["chain"] != link(last["chain"], dict(entry)):
        yield Difference("journal", key, "chain", entry["chain"], link(last["chain"], dict(entry)))
    payload = entry["payload"]
    if payload is None:
        yield Difference("journal", key, "payload", None, "a mutation")
    elif entry["salt"] is None:
        if PURGED not in payload:
            yield Difference("journal", key, "salt", None, "a salt, as nothing was purged")
    else:
        seal = hashlib.sha256(entry["salt"] + payload).hexdigest()
        if entry["seal"] != seal:
            yield Difference("journal", key, "payload", seal, entry["seal"])


def _replay(
    scratch: Connection, batch: dict[str, Any] | None, entries: list[dict[str, Any]]
) -> Iterator[Difference]:
    """Write a batch once more, where nothing but the batches before it was written."""
    first = entries[0]
    if batch is None:
        yield Difference("batch", str(first["version"]), "row", None, "a batch")
        return
    try:
        fresh = []
        for entry in entries:
            raw = json.loads((entry["payload"] or b"null").decode("utf-8", "surrogatepass"))
            raw = raw | {"seq": entry["seq"]} if isinstance(raw, dict) else raw
            fresh.append((entry["seq"], item_of(raw, entry["client_id"], suspect=True)))
        ticker = batch["client_id"] == client_of(batch["org_id"], "ticker")
        actor = Actor(
            batch["org_id"],
            batch["person_id"],
            batch["role"],
            batch["team_id"],
            batch["active"],
            # What only the ticker may write, such as a closing, is not taken from the command line the second time either.
            via="ticker" if ticker else "replay",
        )
        submission = Submission(
            actor, batch["client_id"], None, moment_of(batch["sent"]), batch["received_at"], []
        )
        client = {"id": batch["client_id"], "root": batch["root"]}
        head = {"version": batch["version"] - 1, "entries": first["n"] - 1, "chain": ""}
        again = first["as_of"] < first["version"]  # a receipt of an earlier time, sent under another number
        internal = not again and first["status"] == "parked" and first["code"] == codes.INTERNAL
        unknown = {
            entry["seq"]: (entry["detail"] or {}).get("field")
            for entry in entries
            if entry["code"] == codes.UNKNOWN_OP
        }
        with scratch.begin_nested():
            _know(scratch, batch, entries[-1]["seq"])
            told = write(scratch, submission, fresh, client, head, internal=internal, unknown=unknown)
    except Exception as error:  # what was tampered with may fail anywhere; the rest still has to be looked at
        yield Difference(
            "batch", str(batch["version"]), "replay", f"{type(error).__name__}: {error}", "settles as it did"
        )
        return
    for entry, again in zip(entries, told, strict=True):
        for name in _REPLAYED:
            if entry[name] != again[name] and not (name == "digest" and entry["salt"] is None):
                yield Difference("journal", str(entry["n"]), name, entry[name], again[name])


def _know(scratch: Connection, batch: dict[str, Any], seq: int) -> None:
    """The client of a batch, whose it is and how far it came."""
    of_client = (Client.org_id == batch["org_id"], Client.id == batch["client_id"])
    if not scratch.execute(update(Client).where(*of_client).values(last_seq=seq)).rowcount:
        row = {"org_id": batch["org_id"], "id": batch["client_id"], "last_seq": seq}
        scratch.execute(insert(Client), [row | {"person_id": batch["person_id"], "root": batch["root"]}])


def _clients(connection: Connection, scratch: Connection, org_id: str) -> Iterator[Difference]:
    """Those that wrote something; of the others the journal knows nothing."""
    columns = (Client.id, Client.person_id, Client.root, Client.last_seq)
    rows = connection.execute(select(*columns).where(Client.org_id == org_id)).mappings()
    stored = {row["id"]: dict(row) for row in rows}
    for row in scratch.execute(select(*columns)).mappings():
        yield from _unlike("client", row["id"], stored.get(row["id"]), dict(row))


def _idle_batches(connection: Connection, org_id: str) -> Iterator[Difference]:
    """Batches of which no journal entry is left."""
    in_use = select(Journal.version).where(Journal.org_id == org_id)
    found = connection.execute(
        select(Batch.version).where(Batch.org_id == org_id, Batch.version.not_in(in_use))
    )
    for (version,) in found:
        yield Difference("batch", str(version), "row", "a batch without entries", None)


def _compare(
    connection: Connection, scratch: Connection, org_id: str, model: type[Model], floor: int
) -> Iterator[Difference]:
    """Two tables side by side, both in the order of their keys."""
    table: Any = model.__table__
    keys = [column.name for column in table.primary_key if column.name != "org_id"]
    stored, expected = _rows(connection, table, org_id, keys), _rows(scratch, table, org_id, keys)
    here, there = next(stored, None), next(expected, None)
    while here or there:
        order = _order(here, there, keys)
        key = " ".join(str((here if order <= 0 else there)[name]) for name in keys)  # type: ignore[index]
        if order < 0:
            yield from _unlike(table.name, key, here, None)
        elif order == 0:
            yield from _unlike(table.name, key, here, there)
        elif there and not (model is Position and there["removed_at"] and there["version"] <= floor):
            yield from _unlike(table.name, key, None, there)  # but for tombstones that were collected
        here = next(stored, None) if order <= 0 else here
        there = next(expected, None) if order >= 0 else there


def _wish(connection: Connection, scratch: Connection, org_id: str) -> None:
    """How people want to be reminded is no part of the journal: the schedule is drawn up as they wish now."""
    found = connection.execute(select(Wish.__table__).where(Wish.org_id == org_id)).mappings()
    rows = [dict(row) for row in found]
    if rows:
        scratch.execute(insert(Wish), rows)


def _schedule(connection: Connection, scratch: Connection, org_id: str) -> Iterator[Difference]:
    """What is owed to people, beside what follows from the things.

    What was told says only that it was; of long ago it may be forgotten; what fell into quiet hours is looked at later.
    What follows from the day is left out: digests, and what the closing of a period has to tell.
    """
    stored, expected = (_reminders(each, org_id) for each in (connection, scratch))
    forgotten = datetime.now(UTC) - LONG_AGO
    here, there = next(stored, None), next(expected, None)
    while here or there:
        order = _order(here, there, ("id",))
        if order < 0:
            assert here is not None
            if here["state"] == "waiting":
                yield from _unlike("reminder", here["id"], here, None)
        elif order > 0:
            assert there is not None
            if there["owed_at"] > forgotten:
                yield from _unlike("reminder", there["id"], None, there)
        elif here and there and here["state"] == "waiting":
            told = {name: there[name] for name in ("person_id", "rule", "about_kind", "about_id", "owed_at")}
            yield from _unlike("reminder", here["id"], here, told)
            if here["due_at"] < here["owed_at"]:
                yield Difference("reminder", here["id"], "due_at", here["due_at"], here["owed_at"])
        here = next(stored, None) if order <= 0 else here
        there = next(expected, None) if order >= 0 else there


def _reminders(connection: Connection, org_id: str) -> Iterator[dict[str, Any]]:
    table: Any = Reminder.__table__
    statement = select(table).where(table.c.org_id == org_id, table.c.about_kind.in_(ABOUT))
    ordered = statement.order_by(_bytewise(connection, table.c.id)).execution_options(yield_per=PAGE)
    yield from map(dict, connection.execute(ordered).mappings())


def _rows(connection: Connection, table: Table, org_id: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    order = [_bytewise(connection, table.c[name]) for name in keys]
    statement = (
        select(table).where(table.c.org_id == org_id).order_by(*order).execution_options(yield_per=PAGE)
    )
    yield from map(dict, connection.execute(statement).mappings())


def _bytewise(connection: Connection, column: Any) -> Any:
    """A key in the order in which Python sorts it, whatever language the database speaks."""
    if connection.dialect.name != "postgresql":
        return column
    return (
        collate(column, "C") if isinstance(column.type.dialect_impl(connection.dialect), String) else column
    )


def _order(here: Mapping[str, Any] | None, there: Mapping[str, Any] | None, keys: Sequence[str]) -> int:
    if here is None or there is None:
        return 1 if here is None else -1
    left, right = [here[name] for name in keys], [there[name] for name in keys]
    return (left > right) - (left < right)


def _unlike(
    table: str, key: str, stored: Mapping[str, Any] | None, expected: Mapping[str, Any] | None
) -> Iterator[Difference]:
    if stored is None or expected is None:
        yield Difference(table, key, "row", stored, expected)
        return
    for name, value in expected.items():
        if stored[name] != value:
            yield Difference(table, key, name, stored[name], value)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
