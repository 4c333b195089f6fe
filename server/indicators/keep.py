"""Keep the facts true: at the end of each writing transaction, the days it touched are counted anew.

Counting anew instead of counting up keeps late, changed, amended and moved work right. What can change no fact (a check-in,
an edit of words while a visit runs) costs no statement. What was judged stays judged: a visit counts as its conclusions
stand, and those are drawn again only where the visit itself is touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, null, or_, select, union_all, update

from server.customers.model import Customer
from server.db import upsert
from server.followups.model import FollowUp
from server.indicators.closing_model import Closing, Late
from server.indicators.facts import (
    SUMS,
    answered_at,
    sum_follow_ups,
    sum_plans,
    sum_visits,
)
from server.indicators.facts_model import FactDay, FactMonth, Owned
from server.indicators.model import IndicatorTarget
from server.indicators.periods import ONE_DAY, period_of
from server.visits.model import Visit
from server.visits.rules import day_of, zone_of

if TYPE_CHECKING:
    from server.exchange.work import Row, Work
    from sync.reconcile import Entity

Pairs = set[tuple[str, str]]
"""(person, day)"""

Span = tuple[str, str, str]
"""(person, first day, last day)"""

OF_A_DAY = (*SUMS, "customers")

LAST = "-31"
"""No day of a month is behind this one, as text."""

LAST_DAY = "9999-12-31"

_PLANS = select(Visit.planned_date, Visit.day, Visit.status, Visit.valid).where(
    Visit.org_id == bindparam("org"),
    Visit.rep_id == bindparam("person"),
    Visit.planned_date.in_(bindparam("days", expanding=True)),
)
_PROMISE = (
    FollowUp.id,
    FollowUp.owner_id,
    FollowUp.customer_id,
    FollowUp.kind,
    FollowUp.status,
    FollowUp.archived,
    FollowUp.requested_at,
    FollowUp.due_date,
    FollowUp.due_at,
    FollowUp.done_at,
    FollowUp.done_day,
    FollowUp.request_day,
    FollowUp.answered_at,
)
_PROMISES = select(*_PROMISE).where(
    FollowUp.org_id == bindparam("org"),
    FollowUp.owner_id == bindparam("person"),
    or_(
        FollowUp.due_date.in_(bindparam("days", expanding=True)),
        FollowUp.done_day.in_(bindparam("days", expanding=True)),
        FollowUp.request_day.in_(bindparam("days", expanding=True)),
    ),
)
_ASKED = select(*_PROMISE).where(
    FollowUp.org_id == bindparam("org"), FollowUp.id.in_(bindparam("ids", expanding=True))
)
_REQUESTS = select(*_PROMISE).where(
    FollowUp.org_id == bindparam("org"),
    FollowUp.customer_id.in_(bindparam("customers", expanding=True)),
    FollowUp.owner_id.in_(bindparam("owners", expanding=True)),
    FollowUp.request_day.is_not(None),
)
_REQUESTS_OF_ONE = select(*_PROMISE).where(
    FollowUp.org_id == bindparam("org"),
    FollowUp.customer_id == bindparam("customer"),
    FollowUp.owner_id == bindparam("owner"),
    FollowUp.request_day.is_not(None),
)
_VISITED = select(Visit.rep_id, Visit.customer_id, Visit.at).where(
    Visit.org_id == bindparam("org"),
    Visit.customer_id.in_(bindparam("customers", expanding=True)),
    Visit.rep_id.in_(bindparam("owners", expanding=True)),
    Visit.at >= bindparam("since", type_=Visit.at.type),
    Visit.valid,
)
_ANSWER = (
    update(FollowUp)
    .where(FollowUp.org_id == bindparam("org"), FollowUp.id == bindparam("identity"))
    .values(answered_at=bindparam("answer", type_=FollowUp.answered_at.type))
    .execution_options(synchronize_session=False)
)
_WON = (
    select(Customer.won_by, Customer.customer_since, func.count().label("n"))
    .where(
        Customer.org_id == bindparam("org"),
        Customer.won_by.in_(bindparam("people", expanding=True)),
        Customer.customer_since.in_(bindparam("days", expanding=True)),
        Customer.merged_into.is_(None),
    )
    .group_by(Customer.won_by, Customer.customer_since)
)
_DAY = (FactDay.person_id, FactDay.day, *(getattr(FactDay, name) for name in OF_A_DAY))
_DAYS_OF = select(*_DAY).where(
    FactDay.org_id == bindparam("org"),
    FactDay.person_id.in_(bindparam("people", expanding=True)),
    FactDay.day >= bindparam("first"),
    FactDay.day <= bindparam("last"),
)
_MONTHS = select(FactMonth.person_id, FactMonth.month).where(
    FactMonth.org_id == bindparam("org"),
    FactMonth.person_id.in_(bindparam("people", expanding=True)),
    FactMonth.month >= bindparam("first"),
)
_MONTH: Any = union_all(
    select(*_DAY).where(
        FactDay.org_id == bindparam("org"),
        FactDay.person_id == bindparam("person"),
        FactDay.day >= bindparam("first"),
        FactDay.day <= bindparam("last"),
    ),
    select(Owned.customer_id, *(null() for _ in _DAY[1:])).where(
        Owned.org_id == bindparam("org"),
        Owned.person_id == bindparam("person"),
        Owned.since <= bindparam("last"),
        or_(Owned.until.is_(None), Owned.until > bindparam("last")),
    ),
)
"""A month's days of somebody and, without a day, the customers that are theirs at its end: one way to the database."""

_OWN_OF_MANY = select(Owned.person_id, Owned.customer_id).where(
    Owned.org_id == bindparam("org"),
    Owned.person_id.in_(bindparam("people", expanding=True)),
    Owned.since <= bindparam("last"),
    or_(Owned.until.is_(None), Owned.until > bindparam("last")),
)
_CLOSED = select(Closing.id, Closing.person_id, Closing.reads_from, Closing.ends_on).where(
    Closing.org_id == bindparam("org"),
    Closing.reads_from <= bindparam("last"),
    Closing.ends_on > bindparam("first"),
    Closing.person_id.in_(bindparam("people", expanding=True)),
)
_TYPED = (
    select(IndicatorTarget.person_id, IndicatorTarget.period, IndicatorTarget.starts_on)
    .where(
        IndicatorTarget.org_id == bindparam("org"),
        IndicatorTarget.status == "held",
        IndicatorTarget.person_id.is_not(None),
        IndicatorTarget.archived.is_(False),
        IndicatorTarget.starts_on > bindparam("since"),
        IndicatorTarget.starts_on <= bindparam("day"),
    )
    .distinct()
)
_OWNED = select(Owned.__table__).where(
    Owned.org_id == bindparam("org"),
    Owned.customer_id.in_(bindparam("ids", expanding=True)),
)


def keep(work: Work, visits: Mapping[str, Mapping[str, list[Mapping[Any, Any]]]]) -> None:
    """Make the facts of everything that this transaction changed true again; `visits` of each touched (rep, day)."""
    changed: dict[str, list[Row]] = {
        "visit": [],
        "follow_up": [],
        "customer": [],
        "value": [],
        "target": [],
        "day_off": [],
        "person": [],
    }
    for (kind, _), row in work.rows.items():
        if row.changed and kind in changed:
            changed[kind].append(row)
    spans = _spans(changed["value"], changed["target"]) | _working_days(
        work, changed["day_off"], changed["person"]
    )
    if spans:
        _late(work, spans)
    telling = [row for row in changed["visit"] if _tells(row)]
    if not (telling or changed["follow_up"] or changed["customer"]):
        return
    parts: dict[tuple[str, str], dict[str, Any]] = {}
    if telling:
        for rep, days in visits.items():
            for day, rows in days.items():
                parts.setdefault((rep, day), {}).update(sum_visits(rows))
        _add(parts, _plans(work, telling))
    promised = set(work.promise_days)
    for row in changed["follow_up"]:
        promised |= days_of(row.values(), row.columns)
    promised |= _answer(work, telling, changed["follow_up"])
    _add(parts, _promises(work, promised))
    _add(parts, _won(work, changed["customer"]))
    months, own, news = _write_days(work, parts)
    handed = _hand_over(work, changed["customer"])
    _write_months(work, months, own, handed)
    _mark_late(work, news, handed)


def days_of(values: Mapping[str, Any], columns: Mapping[str, Any]) -> Pairs:
    """The (owner, day) that a follow-up stands on."""
    days = (values.get("due_date"), columns.get("done_day"), columns.get("request_day"))
    return {(values["owner_id"], day) for day in days if day}


def _tells(row: Row) -> bool:
    """Whether a visit is, or was, of those that facts are made of."""
    now, was = row.values(), row.was.values if row.was else {}
    return any(one.get("status") == "done" or one.get("planned_date") for one in (now, was))


def _add(
    parts: dict[tuple[str, str], dict[str, Any]], some: Iterable[tuple[tuple[str, str], dict[str, Any]]]
) -> None:
    for pair, sums in some:
        parts.setdefault(pair, {}).update(sums)


def _by_person(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for person, some in groupby(sorted(pairs), key=lambda pair: pair[0]):
        yield person, [day for _, day in some]


def _plans(work: Work, visits: list[Row]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    pairs = {
        (values["rep_id"], values["planned_date"])
        for row in visits
        for values in (row.values(), row.was.values if row.was else {})
        if values.get("planned_date")
    }
    for rep, days in _by_person(pairs):
        about = {"org": work.org_id, "person": rep, "days": days}
        found = work.connection.execute(_PLANS, about).mappings().all()
        for day in days:
            yield (rep, day), sum_plans(row for row in found if row["planned_date"] == day)


def _promises(work: Work, pairs: Pairs) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for owner, days in _by_person(pairs):
        about = {"org": work.org_id, "person": owner, "days": days}
        found = work.connection.execute(_PROMISES, about).mappings().all()
        for day in days:
            yield (owner, day), sum_follow_ups(day, found)


def _answer(work: Work, visits: list[Row], promises: list[Row]) -> Pairs:
    """Say of each request that this transaction may have answered when that was; the days on which that is news."""
    ids = [row.id for row in promises if row.columns.get("request_day")]
    # A visit that never was done answers nothing, and did not before.
    said = [
        values
        for row in visits
        if row.values().get("status") == "done"
        for values in (row.values(), row.was.values if row.was else {})
        if values
    ]
    if not (ids or said):
        return set()
    found: dict[str, Mapping[Any, Any]] = {}
    if ids:
        rows = work.connection.execute(_ASKED, {"org": work.org_id, "ids": ids}).mappings()
        found = {row["id"]: row for row in rows}
    pairs = {(values["customer_id"], values["rep_id"]) for values in said}
    # A list that is to be bound takes SQLAlchemy longer than the database needs to answer.
    if len(pairs) == 1:
        ((customer, owner),) = pairs
        one = {"org": work.org_id, "customer": customer, "owner": owner}
        found |= {row["id"]: row for row in work.connection.execute(_REQUESTS_OF_ONE, one).mappings()}
    elif pairs:
        several = {
            "org": work.org_id,
            "customers": sorted({customer for customer, _ in pairs}),
            "owners": sorted({owner for _, owner in pairs}),
        }
        found |= {row["id"]: row for row in work.connection.execute(_REQUESTS, several).mappings()}
    requests = [found[identity] for identity in sorted(found)]
    if not requests:
        return set()
    asked = {row["id"]: datetime.fromisoformat(row["requested_at"]) for row in requests}
    seen: dict[tuple[str, str], list[datetime]] = {}
    since: dict[str, Any] = {
        "org": work.org_id,
        "customers": sorted({row["customer_id"] for row in requests}),
        "owners": sorted({row["owner_id"] for row in requests}),
        "since": min(asked.values()).astimezone(UTC),
    }
    for rep, customer, begun in work.connection.execute(_VISITED, since):
        seen.setdefault((rep, customer), []).append(begun)
    news: Pairs = set()
    answers = []
    for row in requests:
        at = answered_at(row, seen.get((row["owner_id"], row["customer_id"]), ()))
        if at != row["answered_at"]:
            answers.append({"org": work.org_id, "identity": row["id"], "answer": at})
            news.add((row["owner_id"], row["request_day"]))
    if answers:
        work.connection.execute(_ANSWER, answers)
    return news


def _won(work: Work, customers: list[Row]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """New customers of the days on which changed ones were won: they are counted anew where one was merged away."""
    pairs = {
        (row.columns["won_by"], row.columns["customer_since"])
        for row in customers
        if row.columns.get("won_by")
    }
    if not pairs:
        return
    about = {
        "org": work.org_id,
        "people": sorted({person for person, _ in pairs}),
        "days": sorted({day for _, day in pairs}),
    }
    found = {(row[0], row[1]): row[2] for row in work.connection.execute(_WON, about)}
    for pair in sorted(pairs):
        yield pair, {"new_customers": found.get(pair, 0)}


def _write_days(
    work: Work, parts: Mapping[tuple[str, str], dict[str, Any]]
) -> tuple[dict[tuple[str, str], Days], dict[tuple[str, str], set[str]], Pairs]:
    """Write the days that came out differently; returns all days of the (person, month) that hold them, whose own customers
    they were before this transaction, and which days did."""
    months: dict[tuple[str, str], Days] = {}
    own: dict[tuple[str, str], set[str]] = {}
    rows = []
    news: Pairs = set()
    read: dict[tuple[str, str], Days] = {}
    for (person, day), sums in sorted(parts.items()):
        key = (person, day[:7])
        if key not in own:
            read[key], own[key] = _month(work.connection, work.org_id, *key)
        known = read[key]
        before = known.get(day) or dict.fromkeys(SUMS, 0) | {"customers": []}
        after = before | sums
        if after != before:
            known[day] = after
            months[key] = known
            rows.append({"org_id": work.org_id, "person_id": person, "day": day} | after)
            news.add((person, day))
    upsert(FactDay, work.connection, rows)
    return months, own, news


Days = dict[str, dict[str, Any]]
"""Day -> its sums and customers."""


def _month(connection: Connection, org_id: str, person: str, month: str) -> tuple[Days, set[str]]:
    about = {"org": org_id, "person": person, "first": month, "last": month + LAST}
    days: Days = {}
    own = set()
    for whose, day, *sums in connection.execute(_MONTH, about).all():
        if day is None:
            own.add(whose)
        else:
            days[day] = dict(zip(OF_A_DAY, sums, strict=True))
    return days, own


def _write_months(
    work: Work,
    months: dict[tuple[str, str], Days],
    own: dict[tuple[str, str], set[str]],
    handed: Mapping[str, str],
) -> None:
    """Sum months up anew: those whose days changed, and for whoever got or lost customers (`handed`: since when) that
    month and what comes after. `own`: whose customers were theirs before that."""
    if handed:
        touched = {(person, since[:7]) for person, since in handed.items()}
        about = {"org": work.org_id, "people": sorted(handed), "first": min(handed.values())[:7]}
        for person, month in work.connection.execute(_MONTHS, about):
            if month >= handed[person][:7]:
                touched.add((person, month))
        months.update(_all_days(work, touched - months.keys()))
        own = _own(work, months.keys())
    rows = [
        {"org_id": work.org_id, "month": month, "person_id": person}
        | sum_month(days.values(), own.get((person, month), set()))
        for (person, month), days in sorted(months.items())
    ]
    upsert(FactMonth, work.connection, rows)


def _all_days(work: Work, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Days]:
    """All days of these (person, month), in one statement a month."""
    found: dict[tuple[str, str], Days] = {pair: {} for pair in wanted}
    for month, people in _by_month(found):
        about = {"org": work.org_id, "people": people, "first": month, "last": month + LAST}
        for person, day, *sums in work.connection.execute(_DAYS_OF, about).all():
            found[person, month][day] = dict(zip(OF_A_DAY, sums, strict=True))
    return found


def _own(work: Work, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """(person, month) -> the customers the person has at its end."""
    found: dict[tuple[str, str], set[str]] = {}
    for month, people in _by_month(wanted):
        about: dict[str, Any] = {"org": work.org_id, "last": month + LAST, "people": people}
        for person, customer in work.connection.execute(_OWN_OF_MANY, about).all():
            found.setdefault((person, month), set()).add(customer)
    return found


def _by_month(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for month, some in groupby(sorted((month, person) for person, month in pairs), key=lambda pair: pair[0]):
        yield month, [person for _, person in some]


def sum_month(days: Iterable[Mapping[str, Any]], own: set[str]) -> dict[str, int]:
    """A month's columns out of its days; `own`: the customers the person has at its end."""
    sums = dict.fromkeys(SUMS, 0)
    visited: set[str] = set()
    for day in days:
        for name in SUMS:
            sums[name] += day[name]
        visited.update(day["customers"])
    return sums | {
        "customers_visited": len(visited),
        "own_customers": len(own),
        "own_visited": len(own & visited),
    }


def _mark_late(work: Work, days: Pairs, handed: Mapping[str, str]) -> None:
    """Have closings looked at again that were made of these days, or of whose own customers were since those of `handed`. A
    day is not closed before it ends, anywhere."""
    today = work.now.date().isoformat()
    spans: set[Span] = {(person, day, day) for person, day in days if day < today}
    _late(work, spans | {(person, since, today) for person, since in handed.items() if since < today})


def _spans(values: Iterable[Row], targets: Iterable[Row]) -> set[Span]:
    """Whom these values and targets concern, and from which day to which."""
    found: set[Span] = set()
    for row in values:
        for one in (row.values(), row.was.values if row.was else row.values()):
            found.add((one["person_id"], one["on"], one["on"]))
    for row in targets:
        one = row.values()
        if one.get("person_id"):
            found.add(_span(one["person_id"], one["period"], one["starts_on"]))
    return found


def _span(person: str, period: str, starts_on: str) -> Span:
    first = date.fromisoformat(starts_on)
    last = period_of(period, first, first.weekday()).ends_on - ONE_DAY
    return person, starts_on, last.isoformat()


def _working_days(work: Work, days_off: Iterable[Row], people: Iterable[Row]) -> set[Span]:
    """Where targets are wanted of other days now: the typed periods that hold a day off, which are run down over all their
    days; and the years of whoever joined or left on another day."""
    found: set[Span] = set()
    for row in days_off:
        for one in (row.values(), row.was.values if row.was else row.values()):
            # No period that holds a day is longer than its year; a week may begin in the one before.
            about = {"org": work.org_id, "day": one["on"], "since": f"{int(one['on'][:4]) - 1:04}-12-25"}
            typed = [_span(str(person), *typed) for person, *typed in work.connection.execute(_TYPED, about)]
            found |= {
                span for span in typed if span[2] >= one["on"] and one.get("person_id") in (None, span[0])
            }
    for row in people:
        now, was = row.values(), row.was.values if row.was else {}
        told = {one.get(name) for one in (now, was) for name in ("joined_on", "left_on")} - {None}
        if was and told and any(now.get(name) != was.get(name) for name in ("joined_on", "left_on")):
            found.add((row.id, f"{min(map(str, told))[:4]}-01-01", LAST_DAY))
    return found


def _late(work: Work, spans: Collection[Span]) -> None:
    """Have closings looked at again that read any day of these."""
    if work.actor.via == "replay" or not spans:
        return
    of_person: dict[str, list[tuple[str, str]]] = {}
    for person, first, last in spans:
        of_person.setdefault(person, []).append((first, last))
    about: dict[str, Any] = {
        "org": work.org_id,
        "people": sorted(of_person),
        "first": min(first for _, first, _ in spans),
        "last": max(last for _, _, last in spans),
    }
    rows = [
        {"org_id": work.org_id, "closing_id": closing.id}
        for closing in work.connection.execute(_CLOSED, about)
        if any(
            closing.reads_from <= last and closing.ends_on > first
            for first, last in of_person[closing.person_id]
        )
    ]
    upsert(Late, work.connection, rows)


def own_of(customer: Entity) -> str | None:
    """Whose own customer it is."""
    values = customer.values
    return None if customer.archived or values.get("lifecycle") == "lost" else values.get("owner_id")


def _hand_over(work: Work, customers: list[Row]) -> dict[str, str]:
    """Note whose own the changed customers are, each since the day on which that was written, however late it came in;
    returns who got or lost some, and since when."""
    moved: dict[str, list[tuple[datetime, str | None]]] = {}
    for row in customers:
        assert row.entity is not None
        before, steps = own_of(row.was) if row.was else None, [*work.handed.get(row.id, ())]
        if (steps[-1][1] if steps else before) != own_of(row.entity):
            steps.append((work.now, own_of(row.entity)))
        if steps:
            moved[row.id] = steps
    if not moved:
        return {}
    zone = zone_of(work.organisation_zone()) or UTC
    stored: dict[str, dict[str, Any]] = {}
    if known := [row.id for row in customers if row.was and row.id in moved]:
        for one in work.connection.execute(_OWNED, {"org": work.org_id, "ids": known}).mappings():
            if one["since"] >= stored.get(one["customer_id"], one)["since"]:
                stored[one["customer_id"]] = dict(one)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    handed = dict[str, str]()
    for identity, steps in moved.items():
        last = stored.get(identity)
        for at, owner in steps:
            since = day_of(at, zone)
            if last:
                since = max(since, last["until"] or last["since"])
            if last and last["until"] is None:
                handed[last["person_id"]] = min(since, handed.get(last["person_id"], since))
                rows[identity, last["since"]] = last = last | {"until": since}
            if owner:
                handed[owner] = min(since, handed.get(owner, since))
                last = {"customer_id": identity, "since": since, "person_id": owner, "until": None}
                rows[identity, since] = last = {"org_id": work.org_id} | last
    upsert(Owned, work.connection, list(rows.values()))
    return handed
