"""The day board's query: roll-ups beside each rep's last contact, so that "no work" and "not synced" stay apart."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select, true

from server.exchange.model import Client, Parked
from server.people.model import Person
from server.visits.model import RepDay
from sync.mutation import instant_text

SHARE_DAYS = 30
"""Over how many days the share of visits without a position is taken."""


def read(
    connection: Connection, org_id: str, day: str, teams: Collection[str], *, everybody: bool = False
) -> list[dict[str, Any]]:
    """One entry a rep of these teams (and whoever else worked that day), by name; shape as in PROTOCOL.

    `last_contact_at`, `unsent` and `oldest_unsent` are of now, whatever the day. `no_position_share` is the part of the
    visits in person of the last 30 days that came without any position, null without visits.
    """
    contact = (
        select(
            Client.person_id,
            func.max(Client.contact_at).label("contact_at"),
            func.sum(case((Client.superseded, 0), else_=Client.unsent)).label("unsent"),
            func.min(
                case((or_(Client.superseded, Client.unsent == 0), None), else_=Client.oldest_unsent)
            ).label("oldest"),
        )
        .where(Client.org_id == org_id, Client.contact_at.is_not(None))
        .group_by(Client.person_id)
        .subquery()
    )
    parked = (
        select(Parked.author_id, func.count().label("parked"))
        .where(Parked.org_id == org_id, Parked.status == "open")
        .group_by(Parked.author_id)
        .subquery()
    )
    first = date.fromordinal(max(1, date.fromisoformat(day).toordinal() - SHARE_DAYS + 1)).isoformat()
    habit = (
        select(
            RepDay.rep_id,
            func.sum(RepDay.in_person).label("in_person"),
            func.sum(RepDay.no_position).label("no_position"),
        )
        .where(RepDay.org_id == org_id, RepDay.day >= first, RepDay.day <= day)
        .group_by(RepDay.rep_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            Person.id,
            Person.name,
            Person.team_id,
            RepDay.visits,
            RepDay.valid_visits,
            RepDay.valid_s,
            RepDay.review,
            RepDay.first_check_in,
            RepDay.last_check_out,
            RepDay.open_visit,
            RepDay.position,
            RepDay.line,
            contact.c.contact_at,
            contact.c.unsent,
            contact.c.oldest,
            parked.c.parked,
            habit.c.in_person,
            habit.c.no_position,
        )
        .outerjoin(RepDay, and_(RepDay.org_id == org_id, RepDay.rep_id == Person.id, RepDay.day == day))
        .outerjoin(contact, contact.c.person_id == Person.id)
        .outerjoin(parked, parked.c.author_id == Person.id)
        .outerjoin(habit, habit.c.rep_id == Person.id)
        .where(
            Person.org_id == org_id,
            true() if everybody else Person.team_id.in_(teams),
            or_(and_(Person.role == "rep", Person.active), RepDay.visits > 0),
        )
        .order_by(Person.name, Person.id)
    ).mappings()
    return [_rep(row) for row in rows]


def _rep(row: Any) -> dict[str, Any]:
    return {
        "person": {"id": row["id"], "name": row["name"], "team": row["team_id"]},
        "visits": row["visits"] or 0,
        "valid_visits": row["valid_visits"] or 0,
        "valid_minutes": (row["valid_s"] or 0) // 60,
        "review": row["review"] or 0,
        "parked": row["parked"] or 0,
        "first_check_in": _text(row["first_check_in"]),
        "last_check_out": _text(row["last_check_out"]),
        "open_visit": row["open_visit"],
        "last_contact_at": _text(row["contact_at"]),
        "unsent": int(row["unsent"] or 0),
        "oldest_unsent": _text(row["oldest"]),
        "position": row["position"],
        "no_position_share": round(row["no_position"] / row["in_person"], 3) if row["in_person"] else None,
        "line": row["line"] or [],
    }


def _text(instant: datetime | None) -> str | None:
    return instant_text(instant) if instant else None
