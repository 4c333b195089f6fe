"""Close periods: days, weeks and months some days after their end in the last zone, once, whoever is killed whenever.

A closing is written through the door under the organisation's lock, which is also held while its figures are reckoned. What
changes afterwards is told beside them, as an adjustment with its causes; the figures stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, and_, bindparam, delete, or_, select

from server.customers.model import Customer
from server.db import is_busy, reading, writing
from server.exchange.apply import lock_head
from server.exchange.door import Change, client_of, write_within
from server.exchange.work import Actor
from server.followups.model import FollowUp
from server.indicators.case import score_document
from server.indicators.closing_model import Closing, Late
from server.indicators.compare import Contender, honours
from server.indicators.facts_model import Owned
from server.indicators.honours import announced
from server.indicators.model import DayOff, IndicatorTarget, IndicatorValue
from server.indicators.periods import CLOSES_AFTER_DAYS, ONE_DAY, Period, before, closes_at, period_of
from server.indicators.reckon import Book, Held, Rated, open_book, people_of, score_by
from server.indicators.score import LOWEST, NO_EVIDENCE, Indicator, Reading, Scheme, Score
from server.people.model import Grant, Person
from server.reminders import schedule
from server.reminders.rules import Owed
from server.visits.model import Visit
from server.visits.rules import zone_of
from sync.mutation import instant_text

log = logging.getLogger("rounds")

KINDS = ("day", "week", "month")
"""Kinds of period that close."""

AFTER = "close_after_days"
"""The setting that says how many days after its end a period closes; at least one, so that its day is over everywhere."""

HONOURS = "honours"
"""The setting that, when it is false, leaves honours out."""

LOOK_BACK = timedelta(days=62)
"""A period that was to be closed longer ago than this is not closed any more: nobody waits for it."""

LONGEST_AFTER = 366

AT_ONCE = 25
"""So many closings are reckoned and written under one lock."""

MOST_ADJUSTMENTS = 20
MOST_CAUSES = 50


def close_due(org_id: str, now: datetime) -> int:
    """Close what is due in an organisation, close anew what was reopened, and adjust what changed; returns how many."""
    with reading() as connection:
        due = _due(connection, org_id, now)
        late = list(connection.execute(_LATE, {"org": org_id}).scalars())
    done = 0
    for period, people in due:
        for start in range(0, len(people), AT_ONCE):

            def close(connection: Connection, some: Sequence[str], of: Period = period) -> int:
                return close_within(connection, org_id, of, some, now)

            def then(connection: Connection, of: Period = period) -> None:
                honour(connection, org_id, of, now)

            last = period.kind == "month" and start + AT_ONCE >= len(people)
            done += _carefully(org_id, people[start : start + AT_ONCE], close, then if last else None)
    for start in range(0, len(late), AT_ONCE):

        def adjust(connection: Connection, some: Sequence[str]) -> int:
            return adjust_within(connection, org_id, some, now)

        done += _carefully(org_id, late[start : start + AT_ONCE], adjust)
    return done


def _carefully(
    org_id: str,
    some: Sequence[str],
    work: Callable[[Connection, Sequence[str]], int],
    then: Callable[[Connection], None] | None = None,
) -> int:
    """Do something for all of these, and `then`, in one transaction under the lock; where that fails, for fewer, so that one
    of which nothing can be made holds no other up."""
    try:
        with writing() as connection:
            lock_head(connection, org_id)
            done = work(connection, some) if some else 0
            if then is not None:
                then(connection)
            return done
    except Exception as error:
        if is_busy(error):
            raise
        if not some or (len(some) == 1 and then is None):
            log.error("a closing of organisation %s failed: %s", org_id, *some or ["honours"], exc_info=error)
            return 0
    half = len(some) // 2 or 1
    rest = some[half:]
    return _carefully(org_id, some[:half], work) + _carefully(org_id, rest, work, then)


_LATE = (
    select(Late.closing_id)
    .join(Closing, (Closing.org_id == Late.org_id) & (Closing.id == Late.closing_id))
    .where(Late.org_id == bindparam("org"))
    .order_by(Closing.closed_at, Late.closing_id)
)
"""Those that were closed at one instant follow each other: they are looked at from it, by one book."""


def closing_id(org_id: str, person: str, period: Period) -> str:
    """The id of somebody's closing of a period: the same one every time."""
    return str(uuid5(NAMESPACE_OID, f"closing {org_id} {person} {period.kind} {period.starts_on}"))


# -- what is due -----------------------------------------------------------------------------------------------------------


def closes_after(settings: Mapping[str, Any]) -> int:
    """How many days after its end a period closes."""
    said = settings.get(AFTER)
    return min(max(1, said), LONGEST_AFTER) if type(said) is int else CLOSES_AFTER_DAYS


def _due(connection: Connection, org_id: str, now: datetime) -> list[tuple[Period, list[str]]]:
    """Periods that should be closed and whose closing is missing or was reopened, with whose."""
    book = open_book(connection, org_id, now)
    if not book.schemes:
        return []
    zones = _zones(connection, org_id) | {book.zone}
    first = min(one.valid_from for one in book.schemes)
    after = closes_after(book.settings)
    since = max(first, (now - LOOK_BACK - timedelta(days=after)).date())
    there: dict[str, list[tuple[date, date]]] | None = None
    people: list[Rated] = []
    found = []
    for kind in KINDS:
        for period in _ended(kind, since, now, zones, after, book.week_start):
            if there is None:
                people = people_of(connection, org_id, active=False)
                there = _there(connection, org_id)
            known = {
                row.person_id: row
                for row in connection.execute(
                    select(Closing.person_id, Closing.status, Closing.reopened_at).where(
                        Closing.org_id == org_id,
                        Closing.period == kind,
                        Closing.starts_on == period.starts_on.isoformat(),
                    )
                )
            }
            wanted = []
            for person in people:
                row = known.get(person.id)
                again = row is not None and row.status == "reopened" and _rested(row, now, book)
                if again or (row is None and _belongs(book, person, period, there)):
                    wanted.append(person.id)
            if wanted:
                found.append((period, wanted))
    return found


def _zones(connection: Connection, org_id: str) -> set[tzinfo]:
    names = connection.execute(select(Person.time_zone).where(Person.org_id == org_id).distinct()).scalars()
    return {zone for name in names if (zone := zone_of(name)) is not None}


def _ended(
    kind: str, since: date, now: datetime, zones: Iterable[tzinfo], after_days: int, week_start: int
) -> list[Period]:
    """Periods of a kind that have closed by now and end after `since`, the oldest first."""
    period = period_of(kind, now.date() + ONE_DAY, week_start)
    found = []
    while period.ends_on > since:
        if closes_at(period, zones, after_days) <= now:
            found.append(period)
        period = before(period, week_start)
    return found[::-1]


def _rested(row: Any, now: datetime, book: Book) -> bool:
    """Whether a reopened closing was open long enough."""
    return row.reopened_at is None or row.reopened_at + timedelta(days=closes_after(book.settings)) <= now


def _there(connection: Connection, org_id: str) -> dict[str, list[tuple[date, date]]]:
    """Person -> from when to when they belonged to the organisation, as their own audience tells."""
    rows = connection.execute(
        select(Grant.person_id, Grant.since, Grant.until).where(
            Grant.org_id == org_id, Grant.scope.like("person:%")
        )
    )
    found: dict[str, list[tuple[date, date]]] = {}
    for person, since, until in rows:
        found.setdefault(person, []).append((since.date(), until.date() if until else date.max))
    return found


def _belongs(book: Book, person: Rated, period: Period, there: Mapping[str, list[tuple[date, date]]]) -> bool:
    """Whether a period of somebody's is closed: they were there in it, and a scheme held. What they say themselves of when
    they joined or left goes before what accounts tell."""
    if book.scheme_in(person.role, person.team_id, period) is None:
        return False
    last = period.ends_on - ONE_DAY
    if person.joined is not None and person.joined > last:
        return False
    if person.left is not None and person.left <= period.starts_on:
        return False
    spans = there.get(person.id, [])
    if person.joined is not None:
        spans = [(min(person.joined, since), until) for since, until in spans]
    return any(since <= last and until >= period.starts_on for since, until in spans)


# -- closing ---------------------------------------------------------------------------------------------------------------


def close_within(
    connection: Connection, org_id: str, period: Period, people: Sequence[str], now: datetime
) -> int:
    """Close a period for these people, in a transaction of the caller's that holds the organisation's lock; who has a
    closing already keeps it. Returns how many were closed."""
    stored = connection.execute(
        select(Closing.__table__).where(
            Closing.org_id == org_id,
            Closing.period == period.kind,
            Closing.starts_on == period.starts_on.isoformat(),
            Closing.person_id.in_(people),
        )
    ).mappings()
    known = {row["person_id"]: row for row in stored}
    book = open_book(connection, org_id, now)
    changes = []
    for person in people_of(connection, org_id, ids=people):
        row = known.get(person.id)
        if row is not None and row["status"] != "reopened":
            continue
        held = book.scheme_in(person.role, person.team_id, period)
        if held is None:
            continue
        figures = _figures(book, person, period, held)
        identity = closing_id(org_id, person.id, period)
        if row is None:
            fields = {
                "person_id": person.id,
                "period": period.kind,
                "starts_on": period.starts_on.isoformat(),
                "ends_on": period.ends_on.isoformat(),
                "scheme": {"id": held.scheme.id, "version": held.scheme.version, "name": held.name},
                "adjustments": [],
                "status": "closed",
                "closed_at": instant_text(now),
            }
            changes.append(Change("closing", identity, "create", fields | figures))
        else:
            changes.append(_change(row, figures | {"status": "closed", "closed_at": instant_text(now)}))
    _write(connection, org_id, changes, now)
    if period.kind == "month":
        _flag(connection, org_id, before(period, book.week_start), changes, now)
    return len(changes)


def _flag(
    connection: Connection, org_id: str, earlier: Period, changes: Sequence[Change], now: datetime
) -> None:
    """Have the managers told of whoever has the lowest grade for the second month running; nothing else follows from it."""
    low = [change for change in changes if change.verb == "create" and change.new["grade"] == LOWEST]
    if not low:
        return
    again = set(
        connection.execute(
            select(Closing.person_id).where(
                Closing.org_id == org_id,
                Closing.period == earlier.kind,
                Closing.starts_on == earlier.starts_on.isoformat(),
                Closing.grade == LOWEST,
                Closing.person_id.in_([change.new["person_id"] for change in low]),
            )
        ).scalars()
    )
    told = [change for change in low if change.new["person_id"] in again]
    rows = [
        schedule.row_of(org_id, Owed("low_twice", one.new["person_id"], now), "closing", one.entity)
        for one in told
    ]
    schedule.add(connection, rows, now)


def honour(connection: Connection, org_id: str, period: Period, now: datetime) -> None:
    """Have everybody told who earned the honours of a closed month, unless the organisation has none (`honours` false).

    In the transaction that closes the last of it, so that it happens once: what closes anew later changes nothing that
    was announced. The rules stand in `compare`.
    """
    book = open_book(connection, org_id, now)
    if book.settings.get(HONOURS) is False or announced(book, period):
        return
    last = before(period, book.week_start)
    rows = connection.execute(
        select(Closing.__table__).where(
            Closing.org_id == org_id,
            Closing.period == period.kind,
            Closing.starts_on.in_([period.starts_on.isoformat(), last.starts_on.isoformat()]),
        )
    ).mappings()
    of_month: dict[str, dict[str, Mapping[Any, Any]]] = {}
    for row in rows:
        of_month.setdefault(row["starts_on"], {})[row["person_id"]] = row
    earlier = of_month.get(last.starts_on.isoformat(), {})
    mine = of_month.get(period.starts_on.isoformat(), {})
    joined = {person.id: person.joined for person in people_of(connection, org_id, ids=list(mine))}
    contenders = [
        Contender(
            person,
            _score(row, period),
            Decimal(earlier[person]["total"]) if person in earlier and earlier[person]["total"] else None,
            joined.get(person),
        )
        for person, row in mine.items()
    ]
    readers = people_of(connection, org_id, roles=("rep", "manager"))
    owed = [
        schedule.row_of(org_id, Owed(each.honour, reader.id, now), "closing", mine[person]["id"])
        for each in honours(period, contenders)
        for person in each.people
        for reader in readers
    ]
    schedule.add(connection, owed, now)


def _score(row: Mapping[Any, Any], period: Period) -> Score:
    """A frozen score, as far as honours look at it."""
    readings = tuple(
        Reading(
            Indicator(one["indicator"], one["kind"]),
            period,
            *(None, None, None, None),
            None if one["attainment"] is None else Decimal(one["attainment"]),
            Decimal(one["share"]),
            Decimal(one["points"]),
            (),
            NO_EVIDENCE,
        )
        for one in row["readings"]
    )
    total = None if row["total"] is None else Decimal(row["total"])
    return Score(
        period, Scheme(row["scheme"]["id"], row["scheme"]["version"], ()), readings, total, row["grade"], ()
    )


def _figures(book: Book, person: Rated, period: Period, held: Held) -> dict[str, Any]:
    document = score_document(score_by(book, person, period, held))
    return {name: document[name] for name in ("readings", "reasons", "total", "grade")}


def _change(row: Mapping[Any, Any], new: Mapping[str, Any]) -> Change:
    """An update of a stored closing."""
    return Change(
        "closing", row["id"], "update", dict(new), old={name: row[name] for name in new}, base=row["version"]
    )


def _write(connection: Connection, org_id: str, changes: Sequence[Change], now: datetime) -> None:
    if not changes:
        return
    actor = Actor(org_id, None, "administrator", None, via="ticker")
    receipts = write_within(connection, actor, client_of(org_id, "ticker"), changes, now)
    wrong = [receipt for receipt in receipts if receipt["status"] not in {"applied", "noop"}]
    if wrong:
        raise RuntimeError(f"a closing was not taken: {wrong[0]}")


# -- adjusting -------------------------------------------------------------------------------------------------------------


def adjust_within(connection: Connection, org_id: str, identities: Sequence[str], now: datetime) -> int:
    """Tell of these closings what they would be by now, in a transaction of the caller's that holds the organisation's lock.

    An adjustment: {at, total, grade, changes: [{indicator, actual, target, points: each [frozen, now], added: [id],
    removed: [id]}], causes: [{kind, id, code}]}. Causes are what stands behind the changes and came, or changed, later:
    `LATE` is new since the closing, `CHANGED` was there. Nothing is told where the figures are as they were told last.
    """
    rows = connection.execute(
        select(Closing.__table__).where(Closing.org_id == org_id, Closing.id.in_(identities))
    ).mappings()
    changes = []
    books: dict[str, Book] = {}
    for row in map(dict, rows):
        if row["status"] == "closed":
            # Looked at from the same instant, so that nothing differs but what was changed.
            at = row["closed_at"]
            books[at] = book = books.get(at) or open_book(connection, org_id, datetime.fromisoformat(at))
            adjustment = _adjustment(book, row, now)
            if adjustment is not None:
                told = [*row["adjustments"], adjustment][-MOST_ADJUSTMENTS:]
                changes.append(_change(row, {"adjustments": told}))
    _write(connection, org_id, changes, now)
    connection.execute(delete(Late).where(Late.org_id == org_id, Late.closing_id.in_(identities)))
    return len(changes)


def _adjustment(book: Book, row: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    (person,) = people_of(book.connection, book.org_id, ids=[row["person_id"]])
    period = period_of(row["period"], date.fromisoformat(row["starts_on"]), book.week_start)
    held = next((one for one in book.schemes if one.scheme.id == row["scheme"]["id"]), None)
    if held is None:
        return None
    figures = _figures(book, person, period, held)
    frozen = {reading["indicator"]: reading for reading in row["readings"]}
    changes = [
        change
        for reading in figures["readings"]
        if (change := _changed(frozen.get(reading["indicator"]), reading)) is not None
    ]
    last = row["adjustments"][-1] if row["adjustments"] else None
    said = (last["total"], last["grade"], last["changes"]) if last else (row["total"], row["grade"], [])
    if said == (figures["total"], figures["grade"], changes):
        return None
    return {
        "at": instant_text(now),
        "total": figures["total"],
        "grade": figures["grade"],
        "changes": changes,
        "causes": _causes(book.connection, book.org_id, row, changes),
    }


def _changed(before_: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, Any] | None:
    """What became of one reading, against the frozen one."""
    was = before_ or {"evidence": {"counted": []}}
    numbers = {name: [was.get(name), after[name]] for name in ("actual", "target", "points")}
    old, new = set(was["evidence"]["counted"]), set(after["evidence"]["counted"])
    if all(one == other for one, other in numbers.values()) and old == new:
        return None
    return {
        "indicator": after["indicator"],
        "evidence": after["evidence"]["kind"],
        **numbers,
        "added": sorted(new - old),
        "removed": sorted(old - new),
    }


def _causes(
    connection: Connection, org_id: str, row: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """What came or changed after the closing, of the kinds that stand behind the changes."""
    kinds = {change["evidence"] for change in changes}
    if any(change["target"][0] != change["target"][1] for change in changes):
        kinds.add("target")
    closed = (row["stamps"].get("closed_at") or row["stamps"]["*"])[0]
    first, end, whose = row["reads_from"], row["ends_on"], row["person_id"]
    found = []
    for kind in sorted(kinds & _BEHIND.keys()):
        model, person, days = _BEHIND[kind]
        within = [and_(day >= first, day < end) for day in days]
        rows = connection.execute(
            select(model.id, model.stamps)
            .where(model.org_id == org_id, person == whose, model.version > closed, or_(*within))
            .order_by(model.version, model.id)
            .limit(MOST_CAUSES)
        )
        for identity, stamps in rows:
            late = stamps["*"][0] > closed
            found.append({"kind": kind, "id": identity, "code": "LATE" if late else "CHANGED"})
    if "target" in kinds:
        found += _other_days(connection, org_id, row, closed)
    if "customer" in kinds:
        told = {cause["id"] for cause in found}
        own = connection.execute(_OWN_SINCE, {"org": org_id, "person": whose, "end": end, "closed": closed})
        for identity, stamps in own:
            if stamps["*"][0] > closed and identity not in told:
                found.append({"kind": "customer", "id": identity, "code": "LATE"})
    return found[:MOST_CAUSES]


def _other_days(
    connection: Connection, org_id: str, row: Mapping[str, Any], closed: int
) -> Iterator[dict[str, str]]:
    """Days off of these years that came or changed after the closing, and that its person joined or left on another day."""
    about = {
        "org": org_id,
        "person": row["person_id"],
        "first": f"{row['reads_from'][:4]}-01-01",
        "last": f"{row['ends_on'][:4]}-12-31",
        "closed": closed,
    }
    for identity, stamps in connection.execute(_DAYS_OFF, about):
        yield {"kind": "day_off", "id": identity, "code": "LATE" if stamps["*"][0] > closed else "CHANGED"}
    for identity, stamps in connection.execute(_PERSON, about):
        if any(name in stamps and stamps[name][0] > closed for name in ("joined_on", "left_on")):
            yield {"kind": "person", "id": identity, "code": "CHANGED"}


_DAYS_OFF = (
    select(DayOff.id, DayOff.stamps)
    .where(
        DayOff.org_id == bindparam("org"),
        or_(DayOff.person_id == bindparam("person"), DayOff.person_id.is_(None)),
        DayOff.on >= bindparam("first"),
        DayOff.on <= bindparam("last"),
        DayOff.version > bindparam("closed"),
    )
    .order_by(DayOff.version, DayOff.id)
    .limit(MOST_CAUSES)
)
_PERSON = select(Person.id, Person.stamps).where(
    Person.org_id == bindparam("org"), Person.id == bindparam("person"), Person.version > bindparam("closed")
)
_OWN_SINCE = (
    select(Customer.id, Customer.stamps)
    .join(Owned, (Owned.org_id == Customer.org_id) & (Owned.customer_id == Customer.id))
    .where(
        Owned.org_id == bindparam("org"),
        Owned.person_id == bindparam("person"),
        Owned.since < bindparam("end"),
        Customer.version > bindparam("closed"),
    )
    .order_by(Customer.version, Customer.id)
    .limit(MOST_CAUSES)
)
"""Customers of somebody's that came, or changed, after a closing and were theirs before its end."""


_BEHIND: Mapping[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "visit": (Visit, Visit.rep_id, (Visit.day, Visit.planned_date)),
    "follow_up": (
        FollowUp,
        FollowUp.owner_id,
        (FollowUp.due_date, FollowUp.done_day, FollowUp.request_day),
    ),
    "customer": (Customer, Customer.won_by, (Customer.customer_since,)),
    "value": (IndicatorValue, IndicatorValue.person_id, (IndicatorValue.on,)),
    "target": (IndicatorTarget, IndicatorTarget.person_id, (IndicatorTarget.starts_on,)),
}
"""Kind of evidence -> its table, whose it is, and the days by which it belongs to a period."""
