"""Keep the grants true: who belongs to which audience, as intervals, after each change of a person or of the tree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from server.db import Model, upsert
from server.people import rules
from server.people.model import Grant, Person, Team

_HELD = select(Grant.scope).where(
    Grant.org_id == bindparam("org"), Grant.person_id == bindparam("person"), Grant.until.is_(None)
)


def parents_of(connection: Connection, org_id: str) -> dict[str, str | None]:
    """The organisation's team tree: team id -> parent id."""
    rows = connection.execute(select(Team.id, Team.parent_id).where(Team.org_id == org_id))
    return {row.id: row.parent_id for row in rows}


def held(connection: Connection, org_id: str, person_id: str) -> frozenset[str]:
    """The scopes a person belongs to now."""
    rows = connection.execute(_HELD, {"org": org_id, "person": person_id})
    return frozenset(scope for (scope,) in rows)


def refresh(connection: Connection, org_id: str, now: datetime) -> None:
    """End the grants that nobody is due any more and begin those that somebody now is."""
    parents = parents_of(connection, org_id)
    open_grants: dict[str, set[str]] = {}
    for person, scope in connection.execute(
        select(Grant.person_id, Grant.scope).where(Grant.org_id == org_id, Grant.until.is_(None))
    ):
        open_grants.setdefault(person, set()).add(scope)
    begun: list[dict[str, Any]] = []
    people = connection.execute(
        select(Person.id, Person.role, Person.team_id, Person.active).where(Person.org_id == org_id)
    )
    for person, role, team, active in people:
        grant, end = rules.changes(
            open_grants.get(person, ()), rules.scopes_of(person, role, team, active, parents)
        )
        begun += [
            {"org_id": org_id, "person_id": person, "scope": scope, "since": now, "until": None}
            for scope in grant
        ]
        if end:
            connection.execute(
                update(Grant)
                .where(
                    Grant.org_id == org_id,
                    Grant.person_id == person,
                    Grant.scope.in_(end),
                    Grant.until.is_(None),
                )
                .values(until=now)
            )
    grants: type[Model] = Grant
    upsert(grants, connection, begun)
