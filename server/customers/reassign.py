"""Customers change hands: one, many, or all of somebody's, with the visits planned there and the follow-ups still open.

A few at a time, each few in one transaction: a customer moves with all that belongs to it, and nobody who writes
meanwhile waits long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, func, or_, select

from server.customers.model import Customer
from server.db import Model, reading
from server.exchange.door import Change, write
from server.exchange.kinds import WRITABLE
from server.exchange.work import Actor
from server.people.admin import Refused
from server.people.model import Organisation, Person

AT_ONCE = 25
"""So many mutations are one transaction, unless a single customer has more to take along.

A transaction costs about as much as forty mutations in it: fewer at once make the whole longer, more hold others up.
"""

BREATH_S = 0.01
"""How long the organisation's lock is left to others between two transactions."""

_IDS: Any = bindparam("ids", expanding=True)


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who gives or gets customers."""

    id: str
    name: str
    team_id: str | None


@dataclass(slots=True)
class Moved:
    """What changed hands; `left` names customers that could not, by id and code; `more` that others were not tried yet."""

    customers: int = 0
    plans: int = 0
    follow_ups: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)
    more: bool = False


def party(connection: Connection, org_id: str, person_id: str, *, taking: bool) -> Party:
    """Somebody by their id; raises `Refused` for nobody, and for one who can take none."""
    row = connection.execute(
        select(Person.id, Person.name, Person.role, Person.team_id, Person.active).where(
            Person.org_id == org_id, Person.id == person_id, Person.archived.is_(False)
        )
    ).one_or_none()
    if row is None:
        raise Refused("There is no such person.")
    if taking and (not row.active or row.role not in {"rep", "manager"}):
        raise Refused(f"{row.name} can take no customers: not active, or neither rep nor manager.")
    return Party(row.id, row.name, row.team_id)


def owned(
    connection: Connection,
    org_id: str,
    owner: str,
    wanted: Sequence[str] | None = None,
    *,
    given_to: str | None = None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Customers of somebody that are not archived, by id: id, name, code, owner_id, team_id, version.

    All (the first `most` of them), or those `wanted` (ids or codes). A wanted one that was `given_to` somebody already
    is left out, so that a request may be repeated. Raises `Refused` for any other wanted one that is not theirs.
    """
    columns = (
        Customer.id,
        Customer.name,
        Customer.code,
        Customer.owner_id,
        Customer.team_id,
        Customer.version,
    )
    statement = (
        select(*columns)
        .where(
            Customer.org_id == org_id,
            Customer.owner_id.in_([owner, given_to] if given_to and wanted else [owner]),
            Customer.archived.is_(False),
        )
        .order_by(Customer.id)
    )
    limited = statement if wanted is not None else statement.limit(most)
    found = [dict(row) for row in connection.execute(limited).mappings()]
    if wanted is None:
        return found
    known = {row["id"]: row for row in found} | {row["code"]: row for row in found if row["code"]}
    unknown = [one for one in wanted if one not in known]
    if unknown:
        raise Refused(f"Not a customer of theirs: {', '.join(unknown[:5])}.")
    chosen = {known[one]["id"] for one in wanted}
    return [row for row in found if row["id"] in chosen and row["owner_id"] == owner]


def today_in(connection: Connection, org_id: str, now: datetime) -> str:
    """The organisation's date: plans of before it stay with whom they were."""
    zone = connection.execute(select(Organisation.time_zone).where(Organisation.id == org_id)).scalar_one()
    return now.astimezone(ZoneInfo(zone)).date().isoformat()


def along(
    connection: Connection, org_id: str, giver: str, customers: Sequence[str], taker: str, today: str
) -> dict[str, list[Change]]:
    """What goes along with customers: by customer, the changes of visits planned from today on and of open follow-ups."""
    found: dict[str, list[Change]] = {}
    for kind, whose, when in _ALONG:
        table: Any = _table(kind)
        still = (table.c[whose] == giver, *when(table, today), table.c.archived.is_(False))
        rows = connection.execute(
            select(table.c.id, table.c.customer_id, table.c.version).where(
                table.c.org_id == org_id, table.c.customer_id.in_(_IDS), *still
            ),
            {"ids": list(customers)},
        )
        for entity, customer, version in rows:
            change = Change(kind, entity, "update", {whose: taker}, {whose: giver}, base=version)
            found.setdefault(customer, []).append(change)
    return found


def _table(kind: str) -> Any:
    model: type[Model] = WRITABLE[kind].model
    return model.__table__


def _planned(table: Any, today: str) -> tuple[Any, ...]:
    return table.c.status == "planned", or_(table.c.planned_date.is_(None), table.c.planned_date >= today)


def _open(table: Any, today: str) -> tuple[Any, ...]:
    return (table.c.status == "open",)


_ALONG: tuple[tuple[str, str, Callable[[Any, str], tuple[Any, ...]]], ...] = (
    ("visit", "rep_id", _planned),
    ("follow_up", "owner_id", _open),
)
"""Kind, the field that says whose it is, and which of them go along."""


def reassign(
    actor: Actor,
    client: str,
    giver: Party,
    taker: Party,
    customers: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    with_plans: bool = True,
    done: Callable[[int], Any] = lambda number: None,
    seconds: float | None = None,
) -> Moved:
    """Give customers (rows of `owned`) of one person to another, through the door, in the name of `actor`.

    A customer of the giver's team goes to the taker's. `done` is told how many customers moved each time. After
    `seconds` no further transaction is begun, and `more` tells that some are left. Stopped between two transactions, it
    has moved some wholly, and the same call moves the others.
    """
    moved, until = Moved(), None if seconds is None else time.monotonic() + seconds
    tried = 0
    with reading() as connection:
        today = today_in(connection, actor.org_id, now)
        if with_plans:
            customers = _by_day(connection, actor.org_id, giver.id, customers, today)
    for some, changes in _chunks(actor.org_id, giver, taker, customers, today, with_plans):
        receipts = write(actor, client, changes, now)
        for change, receipt in zip(changes, receipts, strict=True):
            if receipt["status"] == "parked":
                if change.kind == "customer":
                    moved.left.append((change.entity, receipt["code"]))
            elif change.kind == "customer":
                moved.customers += 1
            elif change.kind == "visit":
                moved.plans += 1
            else:
                moved.follow_ups += 1
        done(some)
        tried += some
        if until is not None and time.monotonic() > until:
            moved.more = tried < len(customers)
            break
        time.sleep(BREATH_S)  # whoever waits for the lock gets it now: neither database hands it on in turn
    return moved


def _by_day(
    connection: Connection, org_id: str, giver: str, customers: Sequence[Mapping[str, Any]], today: str
) -> list[Mapping[str, Any]]:
    """The customers in the order of the days they are planned on: a transaction counts each day it touches anew."""
    visit: Any = _table("visit").c
    statement = (
        select(visit.customer_id, func.min(visit.planned_date))
        .where(visit.org_id == org_id, visit.rep_id == giver, visit.planned_date >= today)
        .group_by(visit.customer_id)
    )
    first = {row[0]: row[1] for row in connection.execute(statement)}
    return sorted(customers, key=lambda row: (first.get(row["id"], ""), row["id"]))


def _chunks(
    org_id: str,
    giver: Party,
    taker: Party,
    customers: Sequence[Mapping[str, Any]],
    today: str,
    with_plans: bool,
) -> Iterator[tuple[int, list[Change]]]:
    """(number of customers, their changes): `AT_ONCE` changes or a little more, a customer's own never parted."""
    for start in range(0, len(customers), AT_ONCE):
        some = customers[start : start + AT_ONCE]
        beside: dict[str, list[Change]] = {}
        if with_plans:
            with reading() as connection:
                beside = along(connection, org_id, giver.id, [row["id"] for row in some], taker.id, today)
        number, changes = 0, []
        for row in some:
            # What hangs on the customer first: who leads it still does.
            changes += [*beside.get(row["id"], []), _handed_over(row, giver, taker)]
            number += 1
            if len(changes) >= AT_ONCE:
                yield number, changes
                number, changes = 0, []
        if changes:
            yield number, changes


def _handed_over(row: Mapping[str, Any], giver: Party, taker: Party) -> Change:
    new, old = {"owner_id": taker.id}, {"owner_id": giver.id}
    if (
        taker.team_id is not None
        and row["team_id"] in {giver.team_id, None}
        and row["team_id"] != taker.team_id
    ):
        new["team_id"], old["team_id"] = taker.team_id, row["team_id"]
    return Change("customer", row["id"], "update", new, old, base=row["version"])
