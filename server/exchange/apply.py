"""The one door for writes: a batch of mutations becomes rows, journal, positions and receipts in one transaction.

The organisation's head is locked before any row is read and held to the commit, so versions become visible in order.
What can be told without rows (shape, size, digest) was told before, in `documents`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from server.db import add, is_busy, writing
from server.exchange import goals
from server.exchange.decide import carry_out, weigh
from server.exchange.documents import Device, Item
from server.exchange.follow import FOLLOWS, ask_habits_anew
from server.exchange.kinds import WRITABLE
from server.exchange.merge import suggest_merges
from server.exchange.model import Batch, Client, Journal
from server.exchange.moving import tell_new_leads
from server.exchange.settle import WEIGHED, Settled, park, references, settle
from server.exchange.work import Actor, Work
from server.indicators import keep
from server.people import grant
from server.people.model import Head, Person
from server.visits.rollup import refresh_days
from sync import receipt as codes
from sync.mutation import Author, Moment

log = logging.getLogger("rounds")

# A decision settles what was parked: it needs what settles, which therefore cannot know it.
WEIGHED["decision"] = weigh
WEIGHED |= {"target": goals.weigh_target, "scheme": goals.weigh_scheme}
FOLLOWS["decision"] = carry_out

NOTHING: Mapping[int, str | None] = MappingProxyType({})

CLIENT_FORKED = "CLIENT_FORKED"
SEQ_GAP = "SEQ_GAP"


# Built once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_HEAD = select(Head.__table__).where(Head.org_id == bindparam("org")).with_for_update()
_MOVE_HEAD = (
    update(Head)
    .where(Head.org_id == bindparam("org"))
    .values(version=bindparam("new_version"), entries=bindparam("entries"), chain=bindparam("chain"))
)
_PERSON = select(Person.role, Person.team_id, Person.active).where(
    Person.org_id == bindparam("org"), Person.id == bindparam("person")
)
_CLIENTS = select(Client.__table__).where(
    Client.org_id == bindparam("org"), Client.id.in_(bindparam("ids", expanding=True))
)
_KNOWN = select(Journal.__table__).where(
    Journal.org_id == bindparam("org"), Journal.mutation_id.in_(bindparam("ids", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch as it stands before the door. Items without a `seq` (server-side clients) are numbered inside."""

    actor: Actor
    client: str
    predecessor: str | None
    sent: Moment
    received_at: datetime
    items: Sequence[Item]
    device: Device | None = None


@dataclass(slots=True)
class Answer:
    """What became of a batch. `refused` is CLIENT_FORKED or SEQ_GAP, `at` its `from` or `expected`."""

    last_seq: int
    receipts: list[dict[str, Any]]
    refused: str | None = None
    at: int | None = None


@dataclass(slots=True)
class Sorted:
    """A batch by its numbers: the `kept` prefix, of it what is `fresh`, and the `stored` entries of what is not."""

    kept: list[tuple[int, Item]]
    fresh: list[tuple[int, Item]]
    stored: dict[int, dict[str, Any]]
    refused: str | None = None
    at: int | None = None


def apply(submission: Submission) -> Answer:
    """Take a batch in; what is acknowledged is durably stored.

    An unexpected failure is tried once more; then each mutation goes alone, and the one that fails a third time is
    parked as INTERNAL. A busy database raises to the caller (503), with nothing acknowledged.
    """
    for last_try in (False, True):
        try:
            with writing() as connection:
                return apply_within(connection, submission)
        except Exception as error:
            if is_busy(error):
                raise
            log.error("a batch failed%s", " again" if last_try else "", exc_info=error)
    answer = Answer(0, [])
    for item in submission.items:
        single = replace(submission, items=[item])
        try:
            with writing() as connection:
                part = apply_within(connection, single)
        except Exception as error:
            if is_busy(error):
                raise
            log.error("mutation %s failed alone and is parked", item.id, exc_info=error)
            with writing() as connection:
                part = apply_within(connection, single, internal=True)
        answer = Answer(part.last_seq, answer.receipts + part.receipts, part.refused, part.at)
        if part.refused:
            break
    return answer


def lock_head(connection: Connection, org_id: str) -> dict[str, Any]:
    """The organisation's head, locked to the end of the transaction."""
    return dict(connection.execute(_HEAD, {"org": org_id}).mappings().one())


def _as_they_are(connection: Connection, actor: Actor) -> Actor:
    """Who acts, with the role and team they have under the lock."""
    found = connection.execute(_PERSON, {"org": actor.org_id, "person": actor.id}).one_or_none()
    if found is None or tuple(found) == (actor.role, actor.team_id, actor.active):
        return actor
    return replace(actor, role=found.role, team_id=found.team_id, active=found.active and actor.active)


def apply_within(connection: Connection, submission: Submission, *, internal: bool = False) -> Answer:
    """Take a batch in within a transaction of the caller's; `internal` parks all that is new in it as INTERNAL."""
    actor = submission.actor
    # Who only asks what is new orders nothing, and need not queue behind those who write.
    head = lock_head(connection, actor.org_id) if submission.items else {}
    if submission.items and actor.id is not None:
        # Who asked was looked up before the lock: somebody may have moved or closed them since.
        submission = replace(submission, actor=_as_they_are(connection, actor))
    client = _client(connection, submission)
    if client is None:
        first = next((item.seq for item in submission.items if item.seq), 1)
        return Answer(0, [], CLIENT_FORKED, first)
    sorted_ = _sort(connection, submission, client)
    entries, last_seq = dict(sorted_.stored), client["last_seq"]
    if sorted_.fresh:
        journal = write(connection, submission, sorted_.fresh, client, head, internal=internal)
        newest = journal[-1]
        last_seq = newest["seq"]
        moved = {
            "org": actor.org_id,
            "new_version": newest["version"],
            "entries": newest["n"],
            "chain": newest["chain"],
        }
        connection.execute(_MOVE_HEAD, moved)
        entries |= {entry["seq"]: entry for entry in journal}
    _remember(connection, submission, client, last_seq)
    receipts = [_receipt(item, entries[seq]) for seq, item in sorted_.kept]
    return Answer(last_seq, receipts, sorted_.refused, sorted_.at)


def write(
    connection: Connection,
    submission: Submission,
    fresh: list[tuple[int, Item]],
    client: dict[str, Any],
    head: dict[str, Any],
    *,
    internal: bool = False,
    unknown: Mapping[int, str | None] = NOTHING,
) -> list[dict[str, Any]]:
    """All that one transaction writes for new mutations, at the version after `head`; returns their journal entries.

    Everything but the head itself and what the phone said of itself. `check` replays the journal through this; `unknown`
    tells it which numbers the release of then did not understand, and for which field.
    """
    actor = submission.actor
    author = Author(actor.id or "", actor.role, client["root"])
    work = Work(connection, actor, author, head["version"] + 1, submission.received_at, submission.sent)
    journal = _settle_all(work, fresh, client["id"], head, internal=internal, unknown=unknown)
    if work.placed:
        suggest_merges(work)
    ask_habits_anew(work)
    work.flush()
    if work.team_moves:
        tell_new_leads(work)
    if work.people_changed:
        grant.refresh(connection, actor.org_id, submission.received_at)
    keep.keep(work, refresh_days(connection, actor.org_id, work.rep_days))
    add(Batch, connection, [_batch(submission, work.version, client["root"])])
    add(Journal, connection, journal)
    return journal


def _client(connection: Connection, submission: Submission) -> dict[str, Any] | None:
    """The client's row, made if it is new; None for a client id of somebody else."""
    org_id = submission.actor.org_id
    wanted = [submission.client] + ([submission.predecessor] if submission.predecessor else [])
    rows = connection.execute(_CLIENTS, {"org": org_id, "ids": wanted}).mappings()
    known = {row["id"]: dict(row) for row in rows}
    client = known.get(submission.client)
    if client is not None:
        return client if client["person_id"] == submission.actor.id else None
    before = known.get(submission.predecessor or "")
    if before is not None and before["person_id"] != submission.actor.id:
        before = None
    made = {
        "org_id": org_id,
        "id": submission.client,
        "person_id": submission.actor.id,
        "root": before["root"] if before else submission.client,
        "superseded": False,
        "last_seq": 0,
    }
    connection.execute(insert(Client), [made])
    if before:
        connection.execute(
            update(Client).where(Client.org_id == org_id, Client.id == before["id"]).values(superseded=True)
        )
    return made


def _sort(connection: Connection, submission: Submission, client: dict[str, Any]) -> Sorted:
    """Part a batch into what is new and what is stored already, up to the first fork, gap or disorder."""
    last = client["last_seq"]
    repeated = [item.seq for item in submission.items if item.seq is not None and item.seq <= last]
    stored: dict[int, dict[str, Any]] = {}
    if repeated:
        rows = connection.execute(
            select(Journal.__table__).where(
                Journal.org_id == submission.actor.org_id,
                Journal.client_id == client["id"],
                Journal.seq.in_(repeated),
            )
        ).mappings()
        stored = {row["seq"]: dict(row) for row in rows}
    found = Sorted([], [], stored)
    previous: int | None = None
    for item in submission.items:
        seq = last + 1 if item.seq is None and submission.actor.via != "phone" else item.seq
        if seq is None or seq > last + 1 or (previous is not None and seq != previous + 1):
            found.refused, found.at = SEQ_GAP, last + 1
            break
        if seq <= last:
            if seq not in stored or stored[seq]["digest"] != item.digest:
                found.refused, found.at = CLIENT_FORKED, seq
                break
        else:
            found.fresh.append((seq, item))
            last = seq
        found.kept.append((seq, item))
        previous = seq
    return found


def _settle_all(
    work: Work,
    fresh: list[tuple[int, Item]],
    client: str,
    head: dict[str, Any],
    *,
    internal: bool,
    unknown: Mapping[int, str | None],
) -> list[dict[str, Any]]:
    """Settle new mutations in their order and return their journal entries."""
    ids = [item.id for _, item in fresh]
    rows = work.connection.execute(_KNOWN, {"org": work.org_id, "ids": ids}).mappings()
    # The first of several, the one that was applied, is remembered. Asked to order them, SQLite reads the whole journal.
    known = {row["mutation_id"]: dict(row) for row in sorted(rows, key=lambda row: row["n"], reverse=True)}
    mine = _clients_of(work, {row["client_id"] for row in known.values()})
    work.load(_wanted(fresh))
    work.load(_behind(work))
    for kind, values in _uniques(fresh).items():
        work.look_up_holders(WRITABLE[kind], values)
    number, chain = head["entries"], head["chain"]
    journal: list[dict[str, Any]] = []
    for seq, item in fresh:
        number += 1
        work.entry = number
        before = known.get(item.id)
        if internal:
            settled = park(work, item, codes.INTERNAL)
        elif before is not None and (before["digest"] != item.digest or before["client_id"] not in mine):
            settled = park(work, item, codes.INVALID, "id")
        elif before is not None:
            settled = Settled(
                before["status"],
                before["code"],
                (before["detail"] or {}).get("field"),
                tuple(before["conflicts"]),
                before["as_of"],
            )
        elif seq in unknown:
            settled = park(work, item, codes.UNKNOWN_OP, unknown[seq])
        else:
            settled = settle(work, item, head["version"])
        salt = os.urandom(16)
        seal = hashlib.sha256(salt + item.payload).hexdigest()
        entry = {
            "org_id": work.org_id,
            "n": number,
            "version": work.version,
            "client_id": client,
            "seq": seq,
            "mutation_id": item.id,
            "kind": item.kind,
            "entity": item.entity,
            "verb": item.verb,
            "digest": item.digest,
            "status": settled.status,
            "code": settled.code,
            "as_of": settled.version,
            "detail": {"field": settled.field} if settled.field else None,
            "conflicts": list(settled.conflicts),
            "payload": item.payload,
            "salt": salt,
            "seal": seal,
        }
        entry["chain"] = chain = link(chain, entry)
        journal.append(entry)
        known.setdefault(item.id, entry)
        mine.add(client)
    return journal


def link(chain: str, entry: dict[str, Any]) -> str:
    """The chain digest of a journal entry behind the chain so far: what was sealed, by whom, and what became of it."""
    told = (
        chain,
        entry["n"],
        entry["version"],
        entry["client_id"],
        entry["seq"],
        entry["mutation_id"],
        entry["seal"],
        entry["status"],
        entry["code"],
    )
    return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()


def _clients_of(work: Work, ids: set[str]) -> set[str]:
    """Those of these clients that belong to the actor."""
    if not ids:
        return set()
    rows = work.connection.execute(
        select(Client.id).where(
            Client.org_id == work.org_id,
            Client.id.in_(ids),
            Client.person_id.is_not_distinct_from(work.actor.id),
        )
    )
    return {client for (client,) in rows}


def _behind(work: Work) -> list[tuple[str, str]]:
    """What the loaded visits stand on: their customers, by which they are judged, and whose team is told."""
    visits = [row.entity.values for (kind, _), row in work.rows.items() if kind == "visit" and row.entity]
    return [("customer", visit["customer_id"]) for visit in visits] + [
        ("person", visit["rep_id"]) for visit in visits if visit["rep_id"] != work.actor.id
    ]


def _wanted(fresh: list[tuple[int, Item]]) -> list[tuple[str, str]]:
    """Every entity that these mutations name or refer to."""
    wanted = []
    for _, item in fresh:
        if item.mutation is None or item.kind not in WRITABLE:
            continue
        wanted.append((item.kind, item.entity))
        wanted += [(kind, target) for _, kind, target in references(item.mutation)]
    return wanted


def _uniques(fresh: list[tuple[int, Item]]) -> dict[str, set[str]]:
    """The values that these mutations want for fields which no two may have alike, by kind."""
    wanted: dict[str, set[str]] = {}
    for _, item in fresh:
        unique = WRITABLE[item.kind].unique if item.kind in WRITABLE else None
        if unique and item.mutation is not None:
            values = {op.new for op in item.mutation.ops if op.field == unique and isinstance(op.new, str)}
            if values:
                wanted.setdefault(item.kind, set()).update(values)
    return wanted


def _batch(submission: Submission, version: int, root: str) -> dict[str, Any]:
    sent = submission.sent
    return {
        "org_id": submission.actor.org_id,
        "version": version,
        "client_id": submission.client,
        "root": root,
        "person_id": submission.actor.id,
        "role": submission.actor.role,
        "team_id": submission.actor.team_id,
        "active": submission.actor.active,
        "received_at": submission.received_at,
        "sent": {
            "wall": sent.wall.isoformat(),
            "mono_ms": sent.mono_ms,
            "life": sent.life,
            "offset_ms": sent.offset_ms,
            "zone": sent.zone,
        },
    }


def _remember(connection: Connection, submission: Submission, client: dict[str, Any], last_seq: int) -> None:
    """Note how far the client is and what its phone said of itself."""
    values: dict[str, Any] = {"last_seq": last_seq} if submission.items else {}
    if submission.actor.via == "phone":
        values |= {"contact_at": submission.received_at, "superseded": False}
        device = submission.device
        if device is not None:
            values |= {
                "unsent": device.unsent,
                "oldest_unsent": device.oldest,
                "app": device.app,
                "persisted": device.persisted,
                "push": device.push,
            }
    if not values:
        return
    key = {"org": submission.actor.org_id, "client": client["id"]}
    connection.execute(
        _remembering(tuple(values)), key | {f"new_{name}": value for name, value in values.items()}
    )


@cache
def _remembering(names: tuple[str, ...]) -> Any:
    columns: Any = Client.__table__.columns
    return (
        update(Client)
        .where(Client.org_id == bindparam("org"), Client.id == bindparam("client"))
        .values({name: bindparam(f"new_{name}", type_=columns[name].type) for name in names})
    )


def _receipt(item: Item, entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "seq": entry["seq"],
        "id": item.sent_id if item.sent_id is not None else item.id,
        "status": entry["status"],
        "code": entry["code"],
        "version": entry["as_of"],
        "conflicts": entry["conflicts"],
        "detail": entry["detail"],
    }
