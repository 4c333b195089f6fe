"""What may be read of follow-ups: one's own, and those of the people one leads."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy import Connection, Select, func, select

from server.auth import Principal
from server.customers.model import Customer
from server.customers.query import survivor
from server.db import behind
from server.exchange.kinds import FOLLOW_UP
from server.followups.model import FollowUp
from server.followups.rules import due_at
from server.paging import after, identity, page, words
from server.people.grant import parents_of
from server.people.model import Person
from server.people.rules import led_by
from server.visits.rules import zone_of
from sync.mutation import instant_text

NEVER = "9999-99-99"
"""Where those without a day stand in a list by days: at its end."""


def follow_ups(connection: Connection, principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
    """A page of follow-ups, the first due first; `asked` is a loaded `FollowUpQuery`. Archived ones are left out."""
    statement = _seen_by(connection, principal).where(FollowUp.archived.is_(False))
    if asked["owner"]:
        statement = statement.where(FollowUp.owner_id == str(asked["owner"]))
    if asked["customer"]:
        customer = survivor(connection, principal.org_id, str(asked["customer"]))
        statement = statement.where(FollowUp.customer_id == customer)
    if asked["status"]:
        statement = statement.where(FollowUp.status == asked["status"])
    if asked["due_before"]:
        statement = statement.where(FollowUp.due_date < asked["due_before"].isoformat())
    due = func.coalesce(FollowUp.due_date, NEVER)
    place: Any = (due, FollowUp.id)
    cursor = after(asked["cursor"], words, identity)
    if cursor:
        statement = statement.where(behind(place, cursor))
    limit = asked["limit"]
    rows = connection.execute(statement.order_by(*place).limit(limit + 1)).mappings().all()
    return page(rows, limit, _document, lambda row: (row["due_date"] or NEVER, row["id"]))


def follow_up(connection: Connection, principal: Principal, follow_up_id: str) -> dict[str, Any] | None:
    """One follow-up, or None where there is none that one may see."""
    statement = _seen_by(connection, principal).where(FollowUp.id == follow_up_id)
    row = connection.execute(statement).mappings().first()
    return _document(row) if row else None


def _seen_by(connection: Connection, principal: Principal) -> Select[Any]:
    statement = (
        select(
            FollowUp.__table__,
            Customer.name.label("customer_name"),
            Person.name.label("owner_name"),
            Person.time_zone.label("owner_zone"),
        )
        .join(Customer, (Customer.org_id == FollowUp.org_id) & (Customer.id == FollowUp.customer_id))
        .join(Person, (Person.org_id == FollowUp.org_id) & (Person.id == FollowUp.owner_id))
        .where(FollowUp.org_id == principal.org_id)
    )
    if principal.role == "administrator":
        return statement
    teams = led_by(principal.role, principal.team_id, parents_of(connection, principal.org_id))
    return statement.where((FollowUp.owner_id == principal.person_id) | Person.team_id.in_(teams))


def _document(row: Any) -> dict[str, Any]:
    zone = zone_of(row["due_zone"] or row["owner_zone"]) or UTC
    due = due_at(row["due_date"], row["due_time"], zone)
    return FOLLOW_UP.document(row) | {
        "id": row["id"],
        "version": row["version"],
        "due_at": instant_text(due) if due else None,
        "customer": {"id": row["customer_id"], "name": row["customer_name"]},
        "owner": {"id": row["owner_id"], "name": row["owner_name"]},
    }
