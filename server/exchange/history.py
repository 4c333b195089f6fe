"""What happened to one entity, read from the journal and its revisions: who asked for what, and what that changed.

What was wrong is put right by an ordinary update: nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, or_, select, union

from server.auth import Principal
from server.exchange.documents import shown
from server.exchange.kinds import WRITABLE
from server.exchange.model import Batch, Journal, Revision
from server.exchange.redirect import survivor
from server.exchange.rights import relations_to
from server.exchange.work import SERVERS_LIFE, Actor, Work
from server.paging import after, page, whole
from server.people.grant import parents_of
from server.people.model import Person
from server.people.rules import led_by
from sync.mutation import Author, Moment, instant_text

KINDS = frozenset(WRITABLE) - {"decision"}
"""Kinds that have a history; of a decision there is none but the decision itself."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Rights do not depend on the time: whoever reads has no need of one."""


def _may_see(connection: Connection, principal: Principal, kind: str, entity: str) -> bool:
    """Whether somebody may see an entity, or what it was merged into, by the rights of the door itself."""
    actor = Actor(principal.org_id, principal.person_id, principal.role, principal.team_id, principal.active)
    author = Author(principal.person_id, principal.role, "")
    work = Work(connection, actor, author, 0, EPOCH, Moment(EPOCH, 0.0, "history", 0.0, "UTC"))
    rows = [work.row(kind, entity)]
    if kind == "customer":
        rows.append(survivor(work, entity))
    return any(row.entity is not None and relations_to(work, row) for row in rows)


def history(
    connection: Connection, principal: Principal, kind: str, entity: str, cursor_text: str | None, limit: int
) -> dict[str, Any] | None:
    """A page of what was asked of an entity and what else changed it, oldest first; None where one may not see it.

    What was parked is shown to its author and to who leads the author's team: others may have named this id from outside.
    """
    org_id = principal.org_id
    if kind not in KINDS or not _may_see(connection, principal, kind, entity):
        return None
    asked = select(Journal.n).where(Journal.org_id == org_id, Journal.kind == kind, Journal.entity == entity)
    came = select(Revision.n).where(
        Revision.org_id == org_id, Revision.kind == kind, Revision.entity == entity
    )
    numbers = union(asked, came).subquery()
    statement = (
        select(
            Journal.n,
            Journal.version,
            Journal.client_id,
            Journal.kind,
            Journal.entity,
            Journal.verb,
            Journal.status,
            Journal.code,
            Journal.payload,
            Batch.received_at,
            Batch.person_id,
            Person.name,
            Revision.changes,
            Revision.cause,
        )
        .join(numbers, Journal.n == numbers.c.n)
        .join(Batch, (Batch.org_id == Journal.org_id) & (Batch.version == Journal.version))
        .outerjoin(Person, (Person.org_id == Batch.org_id) & (Person.id == Batch.person_id))
        .outerjoin(
            Revision,
            (Revision.org_id == Journal.org_id)
            & (Revision.kind == kind)
            & (Revision.entity == entity)
            & (Revision.n == Journal.n),
        )
        .where(Journal.org_id == org_id)
        .order_by(Journal.n)
        .limit(limit + 1)
    )
    if principal.role != "administrator":
        led = led_by(principal.role, principal.team_id, parents_of(connection, org_id))
        own = or_(Batch.person_id == principal.person_id, Person.team_id.in_(led))
        statement = statement.where(or_(Journal.status != "parked", own))
    cursor = after(cursor_text, whole)
    if cursor:
        statement = statement.where(Journal.n > cursor[0])
    rows = connection.execute(statement).mappings().all()
    return page(rows, limit, lambda row: _change(row, kind, entity), lambda row: (str(row["n"]),))


def _change(row: Mapping[str, Any], kind: str, entity: str) -> dict[str, Any]:
    """One entry. `ops` is what was asked of this entity, under whatever id; none where it changed along with another."""
    mutation = shown(row["payload"] or b"{}") or {}
    at = mutation.get("at") if isinstance(mutation, dict) else None
    at = at if isinstance(at, dict) else {}
    received = instant_text(row["received_at"])
    itself = row["kind"] == kind and (row["entity"] == entity or row["cause"] is None)
    return {
        "n": row["n"],
        "version": row["version"],
        "at": received if at.get("life") == SERVERS_LIFE else at.get("wall"),
        "received_at": received,
        "person": {"id": row["person_id"], "name": row["name"]},
        "client": row["client_id"],
        "verb": row["verb"] if itself else "update",
        "status": row["status"],
        "code": row["code"],
        "ops": mutation.get("ops", []) if itself else [],
        "changes": {
            name: {"before": before, "after": after}
            for name, (before, after) in (row["changes"] or {}).items()
        },
        "cause": row["cause"],
    }
