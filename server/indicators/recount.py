"""Every fact counted anew from what is stored, without looking at the facts: what counting as it comes must equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, or_, select

from server.customers.model import Customer
from server.followups.model import FollowUp
from server.indicators.facts import SUMS, answered_at, sum_follow_ups, sum_plans, sum_visits
from server.indicators.facts_model import FactDay, FactMonth, Owned
from server.indicators.keep import LAST, sum_month
from server.visits.model import Visit

PAGE = 2000
NOTHING: Mapping[str, Any] = dict.fromkeys(SUMS, 0) | {"customers": []}

Found = tuple[str, str, str, Any, Any]
"""Table, key of the row, column, what is stored, what is expected."""

Days = dict[tuple[str, str], dict[str, Any]]
"""(person, day) -> its sums and customers."""


def differences(connection: Connection, org_id: str) -> Iterator[Found]:
    """Where the stored facts of an organisation are not what its visits, follow-ups and customers come to."""
    days = _visits(connection, org_id)
    _plans(connection, org_id, days)
    yield from _follow_ups(connection, org_id, days)
    won = (
        select(Customer.won_by, Customer.customer_since, func.count())
        .where(Customer.org_id == org_id, Customer.won_by.is_not(None), Customer.merged_into.is_(None))
        .group_by(Customer.won_by, Customer.customer_since)
    )
    for person, day, number in connection.execute(won):
        if person and day:
            days.setdefault((person, day), {})["new_customers"] = number
    counted = {key: {**NOTHING, **sums} for key, sums in days.items()}
    rows = connection.execute(select(FactDay.__table__).where(FactDay.org_id == org_id)).mappings()
    stored = {(row["person_id"], row["day"]): row for row in rows}
    for key in sorted(counted.keys() | stored.keys()):
        expected = counted.get(key, NOTHING)
        yield from _unlike("fact_day", " ".join(key), stored.get(key, NOTHING), expected)
    yield from _months(connection, org_id, counted)


def _visits(connection: Connection, org_id: str) -> Days:
    columns = (Visit.rep_id, Visit.day, Visit.status, Visit.valid, Visit.server, Visit.customer_id)
    found = (
        select(*columns)
        .where(Visit.org_id == org_id, Visit.day.is_not(None))
        .order_by(Visit.rep_id, Visit.day)
        .execution_options(yield_per=PAGE)
    )
    rows = connection.execute(found).mappings()
    return {key: sum_visits(some) for key, some in groupby(rows, lambda row: (row["rep_id"], row["day"]))}


def _plans(connection: Connection, org_id: str, days: Days) -> None:
    found = (
        select(Visit.rep_id, Visit.planned_date, Visit.day, Visit.status, Visit.valid)
        .where(Visit.org_id == org_id, Visit.planned_date.is_not(None))
        .order_by(Visit.rep_id, Visit.planned_date)
        .execution_options(yield_per=PAGE)
    )
    rows = connection.execute(found).mappings()
    for key, some in groupby(rows, lambda row: (row["rep_id"], row["planned_date"])):
        days.setdefault(key, {}).update(sum_plans(some))


def _follow_ups(connection: Connection, org_id: str, days: Days) -> Iterator[Found]:
    rows = connection.execute(select(FollowUp.__table__).where(FollowUp.org_id == org_id)).mappings()
    of_day: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in map(dict, rows):
        asked = row["requested_at"] if row["kind"] == "request" else None
        seen = (
            select(Visit.at).where(
                Visit.org_id == org_id,
                Visit.rep_id == row["owner_id"],
                Visit.customer_id == row["customer_id"],
                Visit.at >= datetime.fromisoformat(asked),
                Visit.valid,
            )
            if asked
            else None
        )
        at = answered_at(row, connection.execute(seen).scalars()) if seen is not None else None
        if at != row["answered_at"]:
            yield "follow_up", row["id"], "answered_at", row["answered_at"], at
        row["answered_at"] = at
        for day in {row["due_date"], row["done_day"], row["request_day"]} - {None}:
            of_day.setdefault((row["owner_id"], day), []).append(row)
    for key, some in of_day.items():
        days.setdefault(key, {}).update(sum_follow_ups(key[1], some))


def _months(connection: Connection, org_id: str, days: Days) -> Iterator[Found]:
    inside: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (person, day), sums in days.items():
        inside.setdefault((person, day[:7]), []).append(sums)
    rows = connection.execute(select(FactMonth.__table__).where(FactMonth.org_id == org_id)).mappings()
    stored = {(row["person_id"], row["month"]): row for row in rows}
    for person, month in sorted(inside.keys() | stored.keys()):
        own = select(Owned.customer_id).where(
            Owned.org_id == org_id,
            Owned.person_id == person,
            Owned.since <= month + LAST,
            or_(Owned.until.is_(None), Owned.until > month + LAST),
        )
        expected = sum_month(inside.get((person, month), []), set(connection.execute(own).scalars()))
        if (person, month) in stored or any(expected[name] for name in SUMS):
            row = stored.get((person, month))
            yield from _unlike("fact_month", f"{person} {month}", row or {}, expected)


def _unlike(table: str, key: str, stored: Mapping[Any, Any], expected: Mapping[str, Any]) -> Iterator[Found]:
    for name, value in expected.items():
        if stored.get(name) != value:
            yield table, key, name, stored.get(name), value
