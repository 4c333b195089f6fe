"""Take visits out as CSV: what the rep said, what the server concluded from it, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from server.customers.exporting import Lines, joined
from server.customers.model import Customer
from server.people.model import Login, Person, Team
from server.visits.model import Visit

COLUMNS = (
    "visit_id",
    "day",
    "zone",
    "rep",
    "rep_email",
    "team",
    "customer",
    "customer_code",
    "mode",
    "kind",
    "status",
    "outcome",
    "planned_date",
    "planned_time",
    "check_in_at",
    "check_out_at",
    "duration_min",
    "valid",
    "reasons",
    "trust",
    "trust_reasons",
    "distance_m",
    "accuracy_m",
    "fix_age_s",
    "doubt_s",
    "back_filled",
    "written_at",
    "received_at",
    "minutes",
    "next_step",
    "late_reason",
    "tags",
)
"""Instants are UTC (RFC 3339, best times); `day` is the day in `zone`; lists are joined by semicolons."""


def visits(
    connection: Connection,
    org_id: str,
    since: date | None = None,
    until: date | None = None,
    teams: Collection[str] | None = None,
) -> Iterator[str]:
    """Lines of CSV, the header first, oldest first; streamed. Both days belong to it; `teams` None is all."""
    lines = Lines()
    yield lines.line(COLUMNS)
    statement = (
        select(
            Visit.__table__,
            Person.name.label("rep"),
            Login.email.label("rep_email"),
            Team.name.label("team"),
            Customer.name.label("customer"),
            Customer.code.label("customer_code"),
        )
        .join(Person, (Person.org_id == Visit.org_id) & (Person.id == Visit.rep_id))
        .join(Customer, (Customer.org_id == Visit.org_id) & (Customer.id == Visit.customer_id))
        .outerjoin(Login, (Login.org_id == Visit.org_id) & (Login.person_id == Visit.rep_id))
        .outerjoin(Team, (Team.org_id == Person.org_id) & (Team.id == Person.team_id))
        .where(Visit.org_id == org_id)
        .order_by(Visit.at, Visit.id)
    )
    if since is not None:
        statement = statement.where(Visit.day >= since.isoformat())
    if until is not None:
        statement = statement.where(Visit.day <= until.isoformat())
    if teams is not None:
        statement = statement.where(Person.team_id.in_(teams))
    for row in connection.execution_options(yield_per=500).execute(statement).mappings():
        yield lines.line([_cell(name, row, row["server"] or {}) for name in COLUMNS])


def _cell(name: str, row: Any, server: dict[str, Any]) -> Any:
    if name == "visit_id":
        return row["id"]
    if name == "duration_min":
        return None if server.get("duration_s") is None else round(server["duration_s"] / 60, 1)
    if name == "doubt_s":
        return None if server.get("doubt_ms") is None else round(server["doubt_ms"] / 1000, 1)
    if name == "tags":
        return joined(row["tags"] or [])
    value = row[name] if name in row else server.get(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ";".join(value) if isinstance(value, list) else value
