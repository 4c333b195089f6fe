"""What may be read of visits, and how: every statement starts from the organisation and the teams one may see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, or_, select

from server.auth import Principal
from server.customers.model import Customer
from server.customers.query import survivor
from server.db import behind
from server.exchange.documents import shown
from server.exchange.kinds import VISIT
from server.exchange.model import Batch, Journal
from server.paging import after, identity, instant, page, whole
from server.people.grant import parents_of
from server.people.model import Person
from server.people.rules import below, led_by
from server.visits.model import Visit
from sync.mutation import instant_text


def visits(connection: Connection, principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
    """A page of visits, newest first; `asked` is a loaded `VisitQuery`."""
    statement = seen_by(connection, principal, str(asked["team"]) if asked["team"] else None)
    if asked["rep"]:
        statement = statement.where(Visit.rep_id == str(asked["rep"]))
    if asked["customer"]:
        customer = survivor(connection, principal.org_id, str(asked["customer"]))
        statement = statement.where(Visit.customer_id == customer)
    if asked["status"]:
        statement = statement.where(Visit.status == asked["status"])
    for day, compare in (
        (asked["date"], Visit.day.__eq__),
        (asked["since"], Visit.day.__ge__),
        (asked["until"], Visit.day.__le__),
    ):
        if day:
            statement = statement.where(compare(day.isoformat()))
    place: Any = (Visit.at, Visit.id)
    cursor = after(asked["cursor"], instant, identity)
    if cursor:
        statement = statement.where(behind(place, cursor, descending=True))
    limit = asked["limit"]
    rows = (
        connection.execute(statement.order_by(Visit.at.desc(), Visit.id.desc()).limit(limit + 1))
        .mappings()
        .all()
    )
    return page(rows, limit, _document, lambda row: (row["at"].isoformat(), row["id"]))


def visit(connection: Connection, principal: Principal, visit_id: str) -> dict[str, Any] | None:
    """One visit, or None where there is none that one may see."""
    row = (
        connection.execute(seen_by(connection, principal, None).where(Visit.id == visit_id))
        .mappings()
        .first()
    )
    return _document(row) if row else None


def history(
    connection: Connection, principal: Principal, visit_id: str, cursor_text: str | None, limit: int
) -> dict[str, Any]:
    """The journal of one visit, oldest first: what was asked for, by whom, and what became of it.

    What was parked is shown to its author and to who leads the author's team: others may have named this id from outside.
    """
    statement = (
        select(
            Journal.n,
            Journal.version,
            Journal.client_id,
            Journal.verb,
            Journal.status,
            Journal.code,
            Journal.payload,
            Batch.received_at,
            Batch.person_id,
            Person.name,
        )
        .join(Batch, (Batch.org_id == Journal.org_id) & (Batch.version == Journal.version))
        .outerjoin(Person, (Person.org_id == Batch.org_id) & (Person.id == Batch.person_id))
        .where(Journal.org_id == principal.org_id, Journal.entity == visit_id, Journal.kind == "visit")
        .order_by(Journal.n)
        .limit(limit + 1)
    )
    if principal.role != "administrator":
        led = led_by(principal.role, principal.team_id, parents_of(connection, principal.org_id))
        own = or_(Batch.person_id == principal.person_id, Person.team_id.in_(led))
        statement = statement.where(or_(Journal.status != "parked", own))
    cursor = after(cursor_text, whole)
    if cursor:
        statement = statement.where(Journal.n > cursor[0])
    rows = connection.execute(statement).mappings().all()
    return page(rows, limit, _change, lambda row: (str(row["n"]),))


def seen_by(connection: Connection, principal: Principal, team: str | None) -> Select[Any]:
    """The visits that one may see, of one team and below where it is named; to be narrowed further."""
    statement = (
        select(
            Visit.__table__,
            Customer.name.label("customer_name"),
            Customer.lat.label("customer_lat"),
            Customer.lon.label("customer_lon"),
            Customer.radius_m.label("customer_radius_m"),
            Person.name.label("rep_name"),
        )
        .join(Customer, (Customer.org_id == Visit.org_id) & (Customer.id == Visit.customer_id))
        .join(Person, (Person.org_id == Visit.org_id) & (Person.id == Visit.rep_id))
        .where(Visit.org_id == principal.org_id)
    )
    if principal.role == "rep":
        statement = statement.where(Visit.rep_id == principal.person_id)
        return statement.where(Person.team_id == team) if team else statement
    if principal.role == "administrator" and team is None:
        return statement
    parents = parents_of(connection, principal.org_id)
    teams = led_by(principal.role, principal.team_id, parents)
    if team is not None:
        teams &= below(parents, team)
    return statement.where(Person.team_id.in_(teams))


def _document(row: Any) -> dict[str, Any]:
    return VISIT.document(row) | {
        "id": row["id"],
        "version": row["version"],
        "customer": {
            "id": row["customer_id"],
            "name": row["customer_name"],
            "lat": row["customer_lat"],
            "lon": row["customer_lon"],
            "radius_m": row["customer_radius_m"],
        },
        "rep": {"id": row["rep_id"], "name": row["rep_name"]},
    }


def _change(row: Any) -> dict[str, Any]:
    mutation = shown(row["payload"] or b"{}") or {}
    at = mutation.get("at") or {}
    return {
        "version": row["version"],
        "at": at.get("wall") if isinstance(at, dict) else None,
        "received_at": instant_text(row["received_at"]),
        "person": {"id": row["person_id"], "name": row["name"]},
        "client": row["client_id"],
        "verb": row["verb"],
        "status": row["status"],
        "code": row["code"],
        "ops": mutation.get("ops", []),
    }
