"""Keep the schedule true: what a transaction changes decides, within it, what is owed to whom and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, delete, select

from server.db import upsert
from server.followups.model import Comment, FollowUp
from server.followups.rules import due_at
from server.people.model import Person
from server.reminders import rules
from server.reminders.model import Reminder, Wish
from server.reminders.rules import Owed, Wishes
from server.visits.rules import zone_of
from sync.mutation import instant_text

if TYPE_CHECKING:
    from server.exchange.work import Row, Work

LIMIT = "visit_open_h"
"""The setting of an organisation that says after how many hours a running visit is asked after."""


def keep(work: Work) -> None:
    """Write anew what is owed about everything that this transaction changed."""
    changed = [row for (kind, _), row in work.rows.items() if row.changed and kind in ABOUT]
    if not changed or work.actor.via == "replay":
        return
    known = [row.id for row in changed if row.was is not None]
    if known:
        forget(work.connection, work.org_id, known)
    wishes = _wishes(work, changed)
    rows = [
        row_of(work.org_id, each.rule, each.person, row.kind.name, row.id, each.at)
        for row in changed
        for each in ABOUT[row.kind.name](work, row, wishes)
    ]
    add(work.connection, rows)


def forget(connection: Connection, org_id: str, about: list[str]) -> None:
    """Take back what is still owed about these things."""
    connection.execute(
        delete(Reminder).where(
            Reminder.org_id == org_id, Reminder.about_id.in_(about), Reminder.state == "waiting"
        )
    )


def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Put reminders into the schedule, but for those that were told already: the same one is not owed twice."""
    if not rows:
        return
    wanted = {row["id"]: row for row in rows}
    org_id = rows[0]["org_id"]
    found = select(Reminder.id).where(Reminder.org_id == org_id, Reminder.id.in_(wanted))
    told = set(connection.execute(found).scalars())
    upsert(Reminder, connection, [row for identity, row in wanted.items() if identity not in told])


def renew(connection: Connection, org_id: str, person: str) -> None:
    """Write anew what is owed about a person's open follow-ups and digests: they wish to be told at other times now."""
    found = connection.execute(
        select(Person.time_zone, Wish.document)
        .outerjoin(Wish, (Wish.org_id == Person.org_id) & (Wish.person_id == Person.id))
        .where(Person.org_id == org_id, Person.id == person)
    ).one()
    zone, wishes = zone_of(found.time_zone) or UTC, rules.wishes_of(found.document)
    open_ones = connection.execute(
        select(FollowUp.__table__).where(
            FollowUp.org_id == org_id,
            FollowUp.owner_id == person,
            FollowUp.status == "open",
            FollowUp.archived.is_(False),
        )
    ).mappings()
    follow_ups = [dict(row) for row in open_ones]
    forget(connection, org_id, [row["id"] for row in follow_ups] + [person])
    rows = []
    for values in follow_ups:
        for each in _of_values(values, zone, wishes):
            rows.append(row_of(org_id, each.rule, each.person, "follow_up", values["id"], each.at))
    add(connection, rows)


def _of_values(values: Any, owners: tzinfo, wishes: Wishes) -> Iterator[Owed]:
    named = values.get("due_zone")
    zone = (zone_of(named) if named else None) or owners
    due = due_at(values.get("due_date"), values.get("due_time"), zone)
    return rules.of_follow_up(values, due, zone, wishes)


def _of_follow_up(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    values = row.values()
    if row.entity is None or row.entity.archived:
        return
    owner = values["owner_id"]
    yield from _of_values(values, _zone(work, owner), wishes.get(owner) or Wishes())
    handed_over = row.was is None or row.was.values.get("owner_id") != owner
    if handed_over and values["status"] == "open" and work.actor.id not in (None, owner):
        yield Owed("follow_up_assigned", owner, work.received_at)


def _of_visit(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    values = row.values()
    if values["status"] == "planned" and values.get("planned_time"):
        zone = _zone(work, values["rep_id"])
    elif values["status"] == "open":
        zone = UTC  # a running visit is asked after by its length
    else:
        return
    began = (row.columns.get("clock") or {}).get("check_in")
    hours = work.settings.get(LIMIT)
    limit = (
        timedelta(hours=hours) if isinstance(hours, int | float) and 0 < hours < 1000 else rules.OPEN_LIMIT
    )
    yield from rules.of_visit(values, datetime.fromisoformat(began["best"]) if began else None, zone, limit)


def _of_comment(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    """Whose thing it is; where they said it themselves, whoever spoke of it before."""
    values = row.values()
    if row.was is not None:
        return
    about = work.row(values["on_kind"], values["on_id"])
    if about.entity is None:
        return
    whose = about.values().get("rep_id" if values["on_kind"] == "visit" else "owner_id")
    author = work.actor.id
    if whose == author:
        last = (
            select(Comment.created_by)
            .where(
                Comment.org_id == work.org_id,
                Comment.on_id == values["on_id"],
                Comment.created_by != (author or ""),
            )
            .order_by(Comment.version.desc())
            .limit(1)
        )
        whose = work.connection.execute(last).scalar_one_or_none()
    if whose and whose != author:
        yield Owed("comment", whose, work.received_at)


def _of_notice(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    until = row.values().get("snoozed_until")
    if until and (row.was is None or row.was.values.get("snoozed_until") != until):
        yield Owed("snoozed", row.values()["person_id"], datetime.fromisoformat(until))


ABOUT = {"follow_up": _of_follow_up, "visit": _of_visit, "comment": _of_comment, "notice": _of_notice}
"""Kind of entity -> what is owed about one."""


def _zone(work: Work, person: str) -> tzinfo:
    found = work.row("person", person).entity
    return (zone_of(found.values.get("time_zone")) if found else None) or UTC


def _wishes(work: Work, changed: list[Row]) -> dict[str, Wishes]:
    owners = {row.values()["owner_id"] for row in changed if row.kind.name == "follow_up"}
    if not owners:
        return {}
    rows = work.connection.execute(
        select(Wish.person_id, Wish.document).where(Wish.org_id == work.org_id, Wish.person_id.in_(owners))
    )
    return {person: rules.wishes_of(document) for person, document in rows}


def row_of(org_id: str, rule: str, person: str, kind: str, about: str, at: datetime) -> dict[str, Any]:
    """A reminder as a row. Its id follows from what it is and when, so the same one is never owed twice."""
    identity = uuid5(NAMESPACE_OID, f"reminder {org_id} {rule} {person} {kind} {about} {instant_text(at)}")
    return {
        "org_id": org_id,
        "id": str(identity),
        "person_id": person,
        "rule": rule,
        "about_kind": kind,
        "about_id": about,
        "due_at": at,
        "state": "waiting",
        "notice_id": None,
    }
