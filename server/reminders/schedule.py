"""Keep the schedule true: what a transaction changes decides, within it, what is owed to whom and when.

All of it follows from the journal and from what people wish (`reminder_wish`), so `rounds check` can draw it up again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, delete, select

from server.db import upsert
from server.followups.model import Comment, FollowUp
from server.followups.rules import due_at
from server.people.model import Grant, Person
from server.people.rules import above
from server.reminders import rules
from server.reminders.model import Reminder, Wish
from server.reminders.rules import Owed, Wishes
from server.visits.model import Visit
from server.visits.rules import zone_of
from sync.mutation import instant_text

if TYPE_CHECKING:
    from server.exchange.work import Row, Work

LIMIT = "visit_open_h"
"""The setting of an organisation that says after how many hours a running visit is asked after: a number, or one for each
kind of visit by its code, with `*` for the others."""

AT_ONCE = ("follow_up_assigned", "comment", "series_ends")
"""Kinds that are owed for something that happened, and stay owed whatever becomes of the thing until they are told."""

BEATS = {
    "morning": ("morning_at", "rep"),
    "day_end": ("day_end_at", "rep"),
    "team_day_end": ("day_end_at", "manager"),
}
"""Daily digest -> the wish that says when, and the role that has it."""

BY_THE_CLOCK = ("follow_up_due", "follow_up_overdue", "escalation", "plan_not_started", "repeat")
"""Kinds whose moment is on somebody's wall, and which therefore move with their wishes and their zone."""

LONG_AGO = timedelta(days=30)
"""What fell due so long before it was written down is nobody's news. Told reminders are forgotten after as long."""

MOST_EARLIER = 50
MOST_ASKED = 1000
"""So many ids are asked for in one statement: databases take no list of any length."""


def keep(work: Work) -> None:
    """Write anew what is owed about everything that this transaction changed."""
    changed = [row for (kind, _), row in work.rows.items() if row.changed and kind in ABOUT]
    if changed:
        known = [row.id for row in changed if row.was is not None]
        if known:
            forget(work.connection, work.org_id, known)
        wishes = _wishes(work, changed)
        rows = [
            row_of(work.org_id, each, row.kind.name, row.id)
            for row in changed
            for each in ABOUT[row.kind.name](work, row, wishes)
        ]
        add(work.connection, rows, work.now)
    for (kind, person), row in list(work.rows.items()):
        if kind == "person" and row.changed and row.was is not None:
            if row.was.values.get("time_zone") != row.values().get("time_zone"):
                renew(work.connection, work.org_id, person, work.now)


def forget(
    connection: Connection, org_id: str, about: list[str], only: Collection[str] | None = None
) -> None:
    """Take back what is still owed about these things, but for what is owed because something happened."""
    connection.execute(
        delete(Reminder).where(
            Reminder.org_id == org_id,
            Reminder.about_id.in_(about),
            Reminder.state == "waiting",
            Reminder.rule.not_in(AT_ONCE) if only is None else Reminder.rule.in_(only),
        )
    )


def add(connection: Connection, rows: list[dict[str, Any]], now: datetime) -> None:
    """Put reminders into the schedule, but for those that were told already: the same one is not owed twice."""
    wanted = {row["id"]: row for row in rows if row["rule"] == "repeat" or row["due_at"] > now - LONG_AGO}
    if not wanted:
        return
    org_id, ids, told = rows[0]["org_id"], list(wanted), set[str]()
    for start in range(0, len(ids), MOST_ASKED):
        some = ids[start : start + MOST_ASKED]
        found = select(Reminder.id).where(Reminder.org_id == org_id, Reminder.id.in_(some))
        told.update(connection.execute(found).scalars())
    upsert(Reminder, connection, [row for identity, row in wanted.items() if identity not in told])


def renew(connection: Connection, org_id: str, person: str, now: datetime) -> None:
    """Write anew what is owed at times on a person's wall: they wish other ones now, or are in another zone.

    What they were told of already they are not told again.
    """
    found = connection.execute(
        select(Person.role, Person.time_zone, Wish.document)
        .outerjoin(Wish, (Wish.org_id == Person.org_id) & (Wish.person_id == Person.id))
        .where(Person.org_id == org_id, Person.id == person)
    ).one()
    zone, wishes = zone_of(found.time_zone) or UTC, rules.wishes_of(found.document)
    follow_ups = select(FollowUp.__table__).where(
        FollowUp.org_id == org_id,
        FollowUp.owner_id == person,
        FollowUp.status == "open",
        FollowUp.archived.is_(False),
    )
    plans = select(Visit.__table__).where(
        Visit.org_id == org_id, Visit.rep_id == person, Visit.status == "planned"
    )
    rows = []
    for values in map(dict, connection.execute(follow_ups).mappings()):
        owed = [*_of_promise(values, zone, wishes), *_of_series("follow_up", values, zone, now)]
        rows += [row_of(org_id, each, "follow_up", values["id"]) for each in owed]
    for values in map(dict, connection.execute(plans).mappings()):
        owed = [*rules.of_visit(values, None, zone, rules.OPEN_LIMIT, wishes)]
        owed += _of_series("visit", values, zone, now)
        rows += [row_of(org_id, each, "visit", values["id"]) for each in owed]
    about = list({row["about_id"] for row in rows})
    forget(connection, org_id, about, BY_THE_CLOCK)
    stood = set(
        connection.execute(
            select(Reminder.rule).where(
                Reminder.org_id == org_id,
                Reminder.about_id == person,
                Reminder.state == "waiting",
                Reminder.rule.in_(BEATS),
            )
        ).scalars()
    )
    forget(connection, org_id, [person], BEATS)
    digests = beats_of(org_id, person, found.role, wishes, zone, now)
    rows += [row for row in digests if row["rule"] in stood]
    add(connection, rows, now)


def beats_of(
    org_id: str, person: str, role: str, wishes: Wishes, zone: tzinfo, now: datetime
) -> list[dict[str, Any]]:
    """Somebody's next daily digests, as rows."""
    found = []
    for rule, (wish, whose) in BEATS.items():
        if role == whose:
            beat = rules.next_beat(now, getattr(wishes, wish), zone)
            found.append(row_of(org_id, Owed(rule, person, beat, beat.isoformat()), "person", person))
    return found


def due_of(kind: str, values: Mapping[str, Any], zone: tzinfo) -> datetime | None:
    """Until when a follow-up is owed, or a plan begins, `zone` being that of whose it is; None without a day."""
    if kind == "visit":
        return due_at(values.get("planned_date"), values.get("planned_time"), zone)
    named = values.get("due_zone")
    place = (zone_of(named) if named else None) or zone
    return due_at(values.get("due_date"), values.get("due_time"), place)


def _of_promise(values: Mapping[str, Any], owners: tzinfo, wishes: Wishes) -> Iterator[Owed]:
    named = values.get("due_zone")
    zone = (zone_of(named) if named else None) or owners
    return rules.of_follow_up(values, due_of("follow_up", values, owners), zone, wishes)


def _of_series(kind: str, values: Mapping[str, Any], zone: tzinfo, now: datetime) -> Iterator[Owed]:
    """When the next is to be made: when this one's time comes, or at once where it is settled before."""
    repeat, due = values.get("repeat"), due_of(kind, values, zone)
    if repeat and due is not None:
        person = values["rep_id" if kind == "visit" else "owner_id"]
        waits = values["status"] == ("planned" if kind == "visit" else "open")
        yield Owed("repeat", person, due if waits else min(due, now), repeat)


def _ended(work: Work, row: Row) -> Iterator[Owed]:
    """Whoever takes the rule away ends the series, with what may have been made of it meanwhile."""
    values = row.values()
    if row.was is not None and row.was.values.get("repeat") and not values.get("repeat"):
        person = values["rep_id" if row.kind.name == "visit" else "owner_id"]
        yield Owed("series_ends", person, work.now, instant_text(work.now))


def _of_follow_up(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    values = row.values()
    if row.entity is None or row.entity.archived:
        return
    owner = values["owner_id"]
    zone = _zone(work, owner)
    yield from _of_promise(values, zone, wishes.get(owner) or Wishes())
    yield from _of_series("follow_up", values, zone, work.now)
    yield from _ended(work, row)
    handed_over = row.was is None or row.was.values.get("owner_id") != owner
    if handed_over and values["status"] == "open" and work.actor.id not in (None, owner):
        yield Owed("follow_up_assigned", owner, work.now, instant_text(work.now))


def _of_visit(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    values = row.values()
    rep, repeats = values["rep_id"], values.get("repeat")
    if repeats or (values["status"] == "planned" and values.get("planned_time")):
        zone = _zone(work, rep)
    else:
        zone = UTC  # a running visit is asked after by its length
    if repeats:
        yield from _of_series("visit", values, zone, work.now)
    yield from _ended(work, row)
    if values["status"] not in ("planned", "open"):
        return
    began = (row.columns.get("clock") or {}).get("check_in")
    hours = work.settings.get(LIMIT)
    if isinstance(hours, dict):
        hours = hours.get(values.get("kind") or "*", hours.get("*"))
    limit = (
        timedelta(hours=hours) if isinstance(hours, int | float) and 0 < hours < 1000 else rules.OPEN_LIMIT
    )
    best = datetime.fromisoformat(began["best"]) if began else None
    yield from rules.of_visit(values, best, zone, limit, wishes.get(rep))


def _of_comment(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    """Whose thing it is, who spoke of it before and still sees it, and who leads them while it is in review."""
    values, entity = row.values(), row.entity
    if row.was is not None or entity is None:
        return
    about = work.row(values["on_kind"], values["on_id"])
    if about.entity is None:
        return
    of_visit, author = values["on_kind"] == "visit", entity.created_by
    whose = about.values().get("rep_id" if of_visit else "owner_id")
    heard = dict.fromkeys([whose] if whose else [])
    heard |= dict.fromkeys(_earlier(work, values["on_id"], author, work.audience(about)))
    if of_visit and about.columns.get("trust") == "review":
        heard |= dict.fromkeys(_leads(work, work.team_of(whose)))
    for person in heard:
        if person != author:
            yield Owed("comment", person, work.now)


def _earlier(work: Work, about: str, author: str, audience: Collection[str]) -> list[str]:
    """Who said something about a thing before and still belongs to its audience."""
    said = (
        select(Comment.created_by)
        .where(Comment.org_id == work.org_id, Comment.on_id == about, Comment.created_by.not_in(["", author]))
        .distinct()
        .order_by(Comment.created_by)
        .limit(MOST_EARLIER)
    )
    people = list(work.connection.execute(said).scalars())
    if not people:
        return []
    see = select(Grant.person_id).where(
        Grant.org_id == work.org_id,
        Grant.person_id.in_(people),
        Grant.scope.in_(sorted(audience)),
        Grant.until.is_(None),
    )
    still = set(work.connection.execute(see).scalars())
    return [person for person in people if person in still]


def _leads(work: Work, team: str | None) -> list[str]:
    """Who manages a team, or the nearest one above it that has anybody."""
    if team is None:
        return []
    line = [team, *above(work.team_parents(), team)]
    rows = work.connection.execute(
        select(Person.team_id, Person.id)
        .where(
            Person.org_id == work.org_id,
            Person.role == "manager",
            Person.active,
            Person.team_id.in_(line),
        )
        .order_by(Person.id)
    )
    of: dict[str | None, list[str]] = {}
    for where, person in rows:
        of.setdefault(where, []).append(person)
    return next((of[each] for each in line if each in of), [])


def _of_notice(work: Work, row: Row, wishes: dict[str, Wishes]) -> Iterator[Owed]:
    until = row.values().get("snoozed_until")
    if until:
        yield Owed("snoozed", row.values()["person_id"], datetime.fromisoformat(until), until)


ABOUT = {"follow_up": _of_follow_up, "visit": _of_visit, "comment": _of_comment, "notice": _of_notice}
"""Kind of entity -> what is owed about one."""


def _zone(work: Work, person: str) -> tzinfo:
    found = work.row("person", person).entity
    return (zone_of(found.values.get("time_zone")) if found else None) or UTC


def _wishes(work: Work, changed: list[Row]) -> dict[str, Wishes]:
    """Those of whose follow-ups and timed plans these are; nobody's for visits that run or are over."""
    owners = {row.values()["owner_id"] for row in changed if row.kind.name == "follow_up"}
    owners |= {
        row.values()["rep_id"]
        for row in changed
        if row.kind.name == "visit"
        and row.values()["status"] == "planned"
        and row.values().get("planned_time")
    }
    if not owners:
        return {}
    rows = work.connection.execute(
        select(Wish.person_id, Wish.document).where(Wish.org_id == work.org_id, Wish.person_id.in_(owners))
    )
    return {person: rules.wishes_of(document) for person, document in rows}


def row_of(org_id: str, owed: Owed, kind: str, about: str) -> dict[str, Any]:
    """A reminder as a row. Its id follows from what it is told for, so the same one is never owed twice."""
    told = f"reminder {org_id} {owed.rule} {owed.person} {kind} {about} {owed.key}"
    return {
        "org_id": org_id,
        "id": str(uuid5(NAMESPACE_OID, told)),
        "person_id": owed.person,
        "rule": owed.rule,
        "about_kind": kind,
        "about_id": about,
        "owed_at": owed.at,
        "due_at": owed.at,
        "state": "waiting",
        "notice_id": None,
    }
