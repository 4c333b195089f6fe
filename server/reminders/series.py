"""Follow-ups and planned visits that repeat: the next is made when one is settled or its time comes.

Whoever makes it, and however often, it has the same id, UUIDv5(series, n) (PROTOCOL, Kinds and fields), and it comes in by
the door like anything anybody writes, so the journal tells of it. A phone makes none itself.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Connection, select

from server.exchange.door import Change, client_of, write_within
from server.exchange.work import Actor
from server.followups.model import FollowUp
from server.followups.rules import next_day
from server.people.model import Person
from server.visits.model import Visit
from server.visits.rules import zone_of

log = logging.getLogger("rounds")

MODELS: Mapping[str, Any] = {"follow_up": FollowUp, "visit": Visit}
DAY = {"follow_up": "due_date", "visit": "planned_date"}
TIME = {"follow_up": "due_time", "visit": "planned_time"}
WHOSE = {"follow_up": "owner_id", "visit": "rep_id"}
WAITS = {"follow_up": "open", "visit": "planned"}
COPIED = {
    "follow_up": (
        *("customer_id", "visit_id", "owner_id", "kind", "subject", "due_time", "due_zone"),
        *("remind_before_min", "repeat", "note"),
    ),
    "visit": ("customer_id", "rep_id", "mode", "kind", "planned_time", "repeat"),
}
"""Kind -> what the next has from the one before it."""

LOOK_AHEAD = 20
AT_ONCE = 200


def member(series: str, n: int) -> str:
    """The id of the `n`-th of a series; the first (1) gave the series its own."""
    return series if n == 1 else str(uuid5(UUID(series), str(n)))


def place_of(kind: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where in its series something stands: what it carries, or the first place of one of its own; None without a day."""
    day = values[DAY[kind]]
    return values["series"] or ({"id": values["id"], "n": 1, "start": day, "on": day} if day else None)


def following(kind: str, values: Mapping[str, Any], zone: tzinfo, now: datetime) -> Change | None:
    """The creation of the one after this; None where the rule has come to its end. `zone`: of whose it is."""
    place = place_of(kind, values)
    if values["archived"] or not values["repeat"] or place is None:
        return None
    named = zone_of(values["due_zone"]) if kind == "follow_up" and values["due_zone"] else None
    start, on = date.fromisoformat(place["start"]), date.fromisoformat(place["on"])
    day = next_day(values["repeat"], start, on, values[TIME[kind]], named or zone, now)
    if day is None:
        return None
    number = place["n"] + 1
    new = {name: values[name] for name in COPIED[kind] if values[name] is not None}
    new |= {DAY[kind]: day.isoformat(), "status": WAITS[kind]}
    new["series"] = place | {"n": number, "on": day.isoformat()}
    return Change(kind, member(place["id"], number), "create", new)


def go_on(connection: Connection, org_id: str, due: Collection[Mapping[str, Any]], now: datetime) -> set[str]:
    """Make what these reminders (`rules.SERVERS_OWN`) say is to be made, and take back what of ended series there is.

    Returns those that wait: nothing is made for who has left, so that nobody who takes their work over finds a heap of it.
    """
    things = {kind: _things(connection, org_id, kind, due) for kind in MODELS}
    zones = _zones(connection, org_id, things)
    changes: dict[str, Change] = {}
    wait: set[str] = set()
    for row in due:
        kind = row["about_kind"]
        values = things[kind].get(row["about_id"])
        if values is None:
            continue
        if row["rule"] == "repeat":
            zone = zones.get(values[WHOSE[kind]])
            if zone is None:
                wait.add(row["id"])
            elif (made := following(kind, values, zone, now)) is not None:
                changes[made.entity] = made
        else:
            changes |= {each.entity: each for each in _taken_back(connection, org_id, kind, values)}
    there = _there(connection, org_id, changes)
    wanted = [each for each in changes.values() if each.verb != "create" or each.entity not in there]
    actor = Actor(org_id, None, "administrator", None, via="ticker")
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        receipts = write_within(connection, actor, client_of(org_id, "ticker"), part, now)
        for change, receipt in zip(part, receipts, strict=True):
            if (
                receipt["status"] == "parked"
            ):  # kept where administrators see it; the others of the batch stand
                log.error("the next of a series was not taken: %s %s", change.entity, receipt["code"])
    return wait


def _things(
    connection: Connection, org_id: str, kind: str, due: Collection[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return _read(connection, org_id, kind, {row["about_id"] for row in due if row["about_kind"] == kind})


def _read(connection: Connection, org_id: str, kind: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    model = MODELS[kind]
    found = select(model.__table__).where(model.org_id == org_id, model.id.in_(ids))
    return {row["id"]: dict(row) for row in connection.execute(found).mappings()}


def _there(connection: Connection, org_id: str, changes: Mapping[str, Change]) -> set[str]:
    found: set[str] = set()
    for kind, model in MODELS.items():
        ids = [each.entity for each in changes.values() if each.kind == kind and each.verb == "create"]
        if ids:
            rows = select(model.id).where(model.org_id == org_id, model.id.in_(ids))
            found |= set(connection.execute(rows).scalars())
    return found


def _zones(
    connection: Connection, org_id: str, things: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, tzinfo]:
    """Of those of these people who are here."""
    people = {values[WHOSE[kind]] for kind, some in things.items() for values in some.values()}
    if not people:
        return {}
    rows = select(Person.id, Person.time_zone).where(
        Person.org_id == org_id, Person.id.in_(people), Person.active
    )
    return {person: zone_of(name) or UTC for person, name in connection.execute(rows)}


def _taken_back(
    connection: Connection, org_id: str, kind: str, values: Mapping[str, Any]
) -> Iterator[Change]:
    """What stands behind this one in its series: what waits is cancelled, and none of it repeats any more."""
    place = place_of(kind, values)
    if values["repeat"] or place is None:
        return  # it repeats again
    first = place["n"] + 1
    while True:
        ids = [member(place["id"], n) for n in range(first, first + LOOK_AHEAD)]
        found = _read(connection, org_id, kind, ids)
        for each in (found[identity] for identity in ids if identity in found):
            new: dict[str, Any] = {"repeat": None} if each["repeat"] else {}
            if each["status"] == WAITS[kind]:
                new["status"] = "cancelled"
            if new:
                old = {name: each[name] for name in new}
                yield Change(kind, each["id"], "update", new, old, base=each["version"])
        if len(found) < LOOK_AHEAD:
            return
        first += LOOK_AHEAD
