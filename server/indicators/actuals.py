"""What was measured of people and teams in a period: quickly, from facts, or with every thing behind it.

`quick` reads sums of days and months for as many people as one likes; `facts_of` reads the things themselves, for
`server.indicators.measure`, which says of each whether it counts and why not. Both come to the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select

from server.customers.model import Customer
from server.followups.model import FollowUp as StoredFollowUp
from server.indicators import measure
from server.indicators.facts import SUMS, actuals_of
from server.indicators.facts_model import FactDay, FactMonth, Owned
from server.indicators.periods import Period
from server.indicators.score import Actual
from server.visits.model import Visit as StoredVisit

MOST_NAMED = 200
"""Of more people than this, everybody is read, and who was not asked for is dropped."""


@dataclass(slots=True)
class Sums:
    """Sums of somebody's period, less what is not due yet at the instant from which is looked."""

    of: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    visited: int = 0
    own: int = 0
    own_visited: int = 0
    waited: list[timedelta] = field(default_factory=list)

    def actuals(self) -> dict[str, Actual]:
        """Code -> actual of every process indicator."""
        return actuals_of(
            self.of, visited=self.visited, own=self.own, own_visited=self.own_visited, waited=self.waited
        )


def quick(
    connection: Connection, org_id: str, todays: Mapping[str, str], period: Period, as_of: datetime
) -> dict[str, dict[str, Actual]]:
    """Person -> code -> actual, of each person in `todays` (person -> the day that it is for them at `as_of`)."""
    found = (_month if period.kind == "month" else _any)(connection, org_id, todays.keys(), period)
    _leave_out(connection, org_id, todays, period, as_of, found)
    return {person: sums.actuals() for person, sums in found.items()}


def quick_of_team(
    connection: Connection, org_id: str, people: Collection[str], period: Period, as_of: datetime, today: str
) -> dict[str, Actual]:
    """Code -> actual of all these people together: who was visited by two of them was visited once."""
    each = _any(connection, org_id, people, period, apart=False)
    _leave_out(connection, org_id, dict.fromkeys(people, today), period, as_of, each)
    total = Sums()
    for sums in each.values():
        for name in SUMS:
            total.of[name] += sums.of[name]
        total.waited += sums.waited
    visited = set().union(*_visited(connection, org_id, people, period).values())
    own = set().union(*_own(connection, org_id, people, period).values())
    total.visited, total.own, total.own_visited = len(visited), len(own), len(own & visited)
    return total.actuals()


def _named(statement: Any, column: Any, people: Collection[str]) -> Any:
    return statement.where(column.in_(people)) if len(people) <= MOST_NAMED else statement


def _month(connection: Connection, org_id: str, people: Collection[str], period: Period) -> dict[str, Sums]:
    month = period.starts_on.isoformat()[:7]
    columns = (*SUMS, "customers_visited", "own_customers", "own_visited")
    statement = select(FactMonth.person_id, *(getattr(FactMonth, name) for name in columns)).where(
        FactMonth.org_id == org_id, FactMonth.month == month
    )
    found = {person: Sums() for person in people}
    missing = set(people)
    for person, *numbers in connection.execute(_named(statement, FactMonth.person_id, people)).all():
        if person in missing:
            missing.discard(person)
            *sums, visited, own, own_visited = numbers
            found[person] = Sums(dict(zip(SUMS, sums, strict=True)), visited, own, own_visited)
    if missing:
        latest = (
            select(FactMonth.person_id, func.max(FactMonth.month).label("month"))
            .where(FactMonth.org_id == org_id, FactMonth.month < month)
            .group_by(FactMonth.person_id)
        )
        last = _named(latest, FactMonth.person_id, missing).subquery()
        rows = connection.execute(
            select(FactMonth.person_id, FactMonth.own_customers)
            .join(last, (last.c.person_id == FactMonth.person_id) & (last.c.month == FactMonth.month))
            .where(FactMonth.org_id == org_id)
        )
        for person, own in rows:
            if person in missing:
                found[person].own = own
    return found


def _any(
    connection: Connection, org_id: str, people: Collection[str], period: Period, *, apart: bool = True
) -> dict[str, Sums]:
    """Of any period; without what cannot be summed where it is not wanted `apart` for each person."""
    found = {person: Sums() for person in people}
    statement = (
        select(FactDay.person_id, *(func.sum(getattr(FactDay, name)) for name in SUMS))
        .where(FactDay.org_id == org_id, *_inside(FactDay.day, period))
        .group_by(FactDay.person_id)
    )
    for person, *numbers in connection.execute(_named(statement, FactDay.person_id, people)).all():
        if person in found:
            found[person].of = dict(zip(SUMS, map(int, numbers), strict=True))
    if not apart:
        return found
    visited = _visited(connection, org_id, people, period)
    own = _own(connection, org_id, people, period)
    for person, sums in found.items():
        mine, seen = own.get(person, set()), visited.get(person, set())
        sums.visited, sums.own, sums.own_visited = len(seen), len(mine), len(mine & seen)
    return found


def _inside(column: Any, period: Period, since: str = "") -> tuple[Any, ...]:
    # One bound below: of two, SQLite takes the first for its index, and walks through all days between them.
    return column >= max(period.starts_on.isoformat(), since), column < period.ends_on.isoformat()


def _visited(
    connection: Connection, org_id: str, people: Collection[str], period: Period
) -> dict[str, set[str]]:
    statement = select(FactDay.person_id, FactDay.customers).where(
        FactDay.org_id == org_id, *_inside(FactDay.day, period), FactDay.valid_visits > 0
    )
    found: dict[str, set[str]] = {}
    for person, customers in connection.execute(_named(statement, FactDay.person_id, people)):
        if person in people:
            found.setdefault(person, set()).update(customers)
    return found


def _own(connection: Connection, org_id: str, people: Collection[str], period: Period) -> dict[str, set[str]]:
    """Person -> the customers that were theirs at the end of the last day of the period, as far as is known."""
    end = period.ends_on.isoformat()
    statement = select(Owned.person_id, Owned.customer_id).where(
        Owned.org_id == org_id, Owned.since < end, or_(Owned.until.is_(None), Owned.until >= end)
    )
    found: dict[str, set[str]] = {}
    for person, customer in connection.execute(_named(statement, Owned.person_id, people)):
        if person in people:
            found.setdefault(person, set()).add(customer)
    return found


def _leave_out(
    connection: Connection,
    org_id: str,
    todays: Mapping[str, str],
    period: Period,
    as_of: datetime,
    found: dict[str, Sums],
) -> None:
    """Take out what lies ahead at `as_of`, and add how long requests have waited."""
    first = min(todays.values(), default="")
    if first < period.ends_on.isoformat():
        for today in set(todays.values()):
            ahead = (
                select(FactDay.person_id, func.sum(FactDay.plans_ahead))
                .where(
                    FactDay.org_id == org_id,
                    *_inside(FactDay.day, period, today),
                    FactDay.plans_ahead > 0,
                )
                .group_by(FactDay.person_id)
            )
            for person, plans in connection.execute(_named(ahead, FactDay.person_id, todays.keys())).all():
                if todays.get(person) == today:
                    found[person].of["planned"] -= int(plans)
    if as_of.date() <= period.ends_on + timedelta(days=1):
        due = (
            select(StoredFollowUp.owner_id, func.count())
            .where(
                StoredFollowUp.org_id == org_id,
                *_inside(StoredFollowUp.due_date, period, (as_of.date() - timedelta(days=1)).isoformat()),
                StoredFollowUp.due_at > as_of,
                StoredFollowUp.status == "open",
                StoredFollowUp.archived.is_(False),
            )
            .group_by(StoredFollowUp.owner_id)
        )
        for person, number in connection.execute(_named(due, StoredFollowUp.owner_id, todays.keys())).all():
            if person in found:
                found[person].of["due"] -= number
    waiting = select(StoredFollowUp.owner_id, StoredFollowUp.requested_at).where(
        StoredFollowUp.org_id == org_id,
        *_inside(StoredFollowUp.request_day, period),
        StoredFollowUp.request_day.is_not(None),
        StoredFollowUp.answered_at.is_(None),
        StoredFollowUp.status == "open",
        StoredFollowUp.archived.is_(False),
    )
    for person, asked in connection.execute(_named(waiting, StoredFollowUp.owner_id, todays.keys())).all():
        if person in found:
            waited = as_of - datetime.fromisoformat(asked)
            found[person].waited.append(max(waited, timedelta(0)))


# -- the things themselves ----------------------------------------------------------------------------------------------


def facts_of(connection: Connection, org_id: str, people: Iterable[str], period: Period) -> measure.Facts:
    """All that may be measured of these people in a period, but for values."""
    people = sorted(people)
    visits = connection.execute(
        select(StoredVisit.__table__).where(
            StoredVisit.org_id == org_id,
            StoredVisit.rep_id.in_(people),
            or_(
                StoredVisit.day.between(*_ends(period)),
                StoredVisit.planned_date.between(*_ends(period)),
            ),
        )
    ).mappings()
    promised = connection.execute(
        select(StoredFollowUp.__table__).where(
            StoredFollowUp.org_id == org_id,
            StoredFollowUp.owner_id.in_(people),
            StoredFollowUp.archived.is_(False),
            or_(
                StoredFollowUp.due_date.between(*_ends(period)),
                StoredFollowUp.done_day.between(*_ends(period)),
                StoredFollowUp.request_day.between(*_ends(period)),
            ),
        )
    ).mappings()
    won = connection.execute(
        select(Customer.id, Customer.customer_since).where(
            Customer.org_id == org_id,
            Customer.won_by.in_(people),
            Customer.customer_since.between(*_ends(period)),
            Customer.merged_into.is_(None),
        )
    )
    own = _own(connection, org_id, people, period)
    return measure.Facts(
        visits=tuple(visit_of(row) for row in visits),
        follow_ups=tuple(follow_up_of(row) for row in promised),
        own=tuple(sorted(set().union(*own.values()))),
        won=tuple(measure.NewCustomer(identity, since) for identity, since in won if since),
    )


def _ends(period: Period) -> tuple[str, str]:
    return period.starts_on.isoformat(), (period.ends_on - timedelta(days=1)).isoformat()


def visit_of(row: Mapping[Any, Any]) -> measure.Visit:
    """A stored visit as it is measured. A plan, and what came to nothing, is no visit of any day."""
    server = row["server"] or {}
    return measure.Visit(
        id=row["id"],
        customer_id=row["customer_id"],
        day=row["day"] if row["status"] in {"open", "done"} else "",
        status=row["status"],
        valid=row["valid"],
        reasons=tuple(server.get("reasons", ())),
        duration_s=server.get("duration_s") or 0,
        planned_day=row["planned_date"],
        back_filled=bool(server.get("back_filled")),
    )


def follow_up_of(row: Mapping[Any, Any]) -> measure.FollowUp:
    """A stored follow-up as it is measured."""
    return measure.FollowUp(
        id=row["id"],
        kind=row["kind"],
        status=row["status"],
        due_day=row["due_date"],
        due_at=row["due_at"],
        done_day=row["done_day"],
        done_at=row["done_at"],
        requested_day=row["request_day"],
        requested_at=datetime.fromisoformat(row["requested_at"]) if row["request_day"] else None,
        answered_at=row["answered_at"],
    )
