"""From facts to numbers with evidence: every fact of the period either counts or says why it does not. Pure.

Facts are one person's, or of all people of a team together. Days are `YYYY-MM-DD`, of the visit's own zone as stored on
it; instants carry their zone. `as_of` is the instant from which is looked: what lies ahead of it is not due yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from server.indicators.catalogue import PROCESS
from server.indicators.periods import Period
from server.indicators.score import Actual, Evidence, Indicator

COUNTS_WHEN = "reviewed"
"""The state in which a value counts."""

WAITING = {"entered": "ENTERED", "confirmed": "CONFIRMED"}
"""States of a value that is shown apart -> the code that says so."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`day` of its check-in (a planned one: its planned day); `reasons` why it is not valid, most telling first."""

    id: str
    customer_id: str
    day: str
    status: str
    valid: bool
    reasons: tuple[str, ...] = ()
    duration_s: int = 0
    planned_day: str | None = None
    back_filled: bool = False


@dataclass(frozen=True, slots=True)
class FollowUp:
    """`due_day` and `due_at` until when it is owed, `done_day` and `done_at` when it was done; each None if there is none.

    For a request, `requested_at` with its local `requested_day`, and `answered_at`: the first visit, completed follow-up
    or contact that was logged for it.
    """

    id: str
    kind: str | None
    status: str
    due_day: str | None = None
    due_at: datetime | None = None
    done_day: str | None = None
    done_at: datetime | None = None
    requested_day: str | None = None
    requested_at: datetime | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer whose lifecycle first became `customer` on this day; `approved` False: a lead brought in that day."""

    id: str
    day: str
    approved: bool = True


@dataclass(frozen=True, slots=True)
class Value:
    """A number of another kind, with the state of its approval."""

    id: str
    indicator: str
    on: str
    amount: Decimal
    status: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that may be measured of somebody; `own` are the ids of the customers that are theirs."""

    visits: tuple[Visit, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    own: tuple[str, ...] = ()
    won: tuple[NewCustomer, ...] = ()
    values: tuple[Value, ...] = ()


def measure(indicator: Indicator, facts: Facts, period: Period, as_of: datetime, today: str) -> Actual:
    """The actual of one indicator in a period. `today`: the day that it is for them at `as_of`. KeyError: no such one."""
    if indicator.source == "values":
        return of_values(indicator, facts.values, period)
    return _MEASURES[indicator.code](facts, _Days(period), as_of, today)


class _Days:
    """A period that days as text can be asked of."""

    def __init__(self, period: Period) -> None:
        self.first, self.end = period.starts_on.isoformat(), period.ends_on.isoformat()

    def __contains__(self, day: str | None) -> bool:
        return day is not None and self.first <= day < self.end


Measure = Callable[[Facts, _Days, datetime, str], Actual]


def _evidence(kind: str, told: Iterable[tuple[str, str | None]]) -> Evidence:
    """Ids with the code why they do not count, or None; in the order of the ids, which no order of arrival can change."""
    inside = sorted(set(told), key=lambda one: (one[0], one[1] or ""))
    return Evidence(
        kind,
        tuple(identity for identity, code in inside if code is None),
        tuple((identity, code) for identity, code in inside if code is not None),
    )


def _why_not(visit: Visit) -> str | None:
    return None if visit.valid else visit.reasons[0] if visit.reasons else "NOT_DONE"


def _valid_visits(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    evidence = _evidence("visit", ((each.id, _why_not(each)) for each in facts.visits if each.day in days))
    return Actual(len(evidence.counted), 1, evidence)


def _customers_visited(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    first: dict[str, tuple[str, str]] = {}
    inside = [each for each in facts.visits if each.day in days]
    for each in inside:
        if each.valid:
            here = (each.day, each.id)
            first[each.customer_id] = min(first.get(each.customer_id, here), here)
    told = [
        (
            each.id,
            _why_not(each) or (None if first[each.customer_id] == (each.day, each.id) else "SAME_CUSTOMER"),
        )
        for each in inside
    ]
    return Actual(len(first), 1, _evidence("visit", told))


def _coverage(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    seen = {each.customer_id for each in facts.visits if each.valid and each.day in days}
    evidence = _evidence("customer", ((each, None if each in seen else "NOT_VISITED") for each in facts.own))
    return Actual(len(evidence.counted), len(set(facts.own)), evidence)


def _opportunities_done(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    told: list[tuple[str, str | None]] = []
    for each in facts.follow_ups:
        if each.kind != "opportunity":
            continue
        if each.status == "done":
            if each.done_day in days:
                told.append((each.id, None))
        elif each.due_day in days:
            told.append((each.id, "CANCELLED" if each.status == "cancelled" else "NOT_DONE"))
    evidence = _evidence("follow_up", told)
    return Actual(len(evidence.counted), 1, evidence)


def _on_time(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    told: list[tuple[str, str | None]] = []
    due = 0
    for each in facts.follow_ups:
        if each.due_day not in days or each.due_at is None:
            continue
        if each.status == "cancelled":
            told.append((each.id, "CANCELLED"))
        elif each.status == "done":
            late = each.done_at is None or each.done_at > each.due_at
            told.append((each.id, "LATE" if late else None))
            due += 1
        elif each.due_at > as_of:
            told.append((each.id, "NOT_DUE_YET"))
        else:
            told.append((each.id, "OVERDUE"))
            due += 1
    evidence = _evidence("follow_up", told)
    return Actual(len(evidence.counted), due, evidence)


_ZERO = timedelta(0)


def _response_time(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    """Mean hours. One that still waits counts as soon as it has waited longer than the mean of those answered: to leave it
    lying never looks better than to answer it, and one that just came in makes nothing look better either.
    """
    answered: list[timedelta] = []
    waiting: list[tuple[str, timedelta]] = []
    told: list[tuple[str, str | None]] = []
    for each in facts.follow_ups:
        if each.kind != "request" or each.requested_at is None or each.requested_day not in days:
            continue
        if each.answered_at is not None:
            answered.append(max(each.answered_at - each.requested_at, _ZERO))
            told.append((each.id, None))
        elif each.status == "cancelled":
            told.append((each.id, "CANCELLED"))
        else:
            waiting.append((each.id, max(as_of - each.requested_at, _ZERO)))
    so_far = sum(answered, _ZERO)
    counted = list(answered)
    for identity, waited in waiting:
        longer = waited * len(answered) > so_far if answered else True
        told.append((identity, None if longer else "UNANSWERED"))
        if longer:
            counted.append(waited)
    reasons = ("STILL_WAITING",) if len(counted) > len(answered) else ()
    micros = sum(counted, _ZERO) // timedelta(microseconds=1)
    return Actual(
        Decimal(micros).scaleb(-6).normalize() if micros else 0,
        3600 * len(counted),
        _evidence("follow_up", told),
        reasons,
    )


def _plans_kept(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    told: list[tuple[str, str | None]] = []
    due = 0
    for each in facts.visits:
        if each.planned_day not in days or each.planned_day is None:
            continue
        if each.status in {"planned", "open"} and each.planned_day >= today:
            told.append((each.id, "NOT_DUE_YET"))
            continue
        due += 1
        told.append((each.id, _why_not_kept(each)))
    evidence = _evidence("visit", told)
    return Actual(len(evidence.counted), due, evidence)


def _why_not_kept(visit: Visit) -> str | None:
    if visit.status == "cancelled":
        return "CANCELLED"
    if visit.status in {"planned", "missed"}:
        return "MISSED"
    return _why_not(visit) or (None if visit.day == visit.planned_day else "OTHER_DAY")


def _on_the_spot(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    told: list[tuple[str, str | None]] = []
    done = 0
    for each in facts.visits:
        if each.day not in days:
            continue
        if each.status != "done":
            told.append((each.id, "NOT_DONE"))
            continue
        done += 1
        told.append((each.id, "BACK_FILLED" if each.back_filled else None))
    evidence = _evidence("visit", told)
    return Actual(len(evidence.counted), done, evidence)


def _new_customers(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    told = ((each.id, None if each.approved else "NOT_APPROVED") for each in facts.won if each.day in days)
    evidence = _evidence("customer", told)
    return Actual(len(evidence.counted), 1, evidence)


def _time_with_customers(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    inside = [each for each in facts.visits if each.day in days]
    seconds = sum(each.duration_s for each in inside if each.valid)
    return Actual(seconds, 3600, _evidence("visit", ((each.id, _why_not(each)) for each in inside)))


def _conversion(facts: Facts, days: _Days, as_of: datetime, today: str) -> Actual:
    new = _new_customers(facts, days, as_of, today)
    visits = sum(each.valid and each.day in days for each in facts.visits)
    if not visits:
        return Actual(0, 1, new.evidence, ("NO_VISITS",))
    return Actual(new.part, visits, new.evidence)


_MEASURES: Mapping[str, Measure] = {
    "valid_visits": _valid_visits,
    "customers_visited": _customers_visited,
    "coverage": _coverage,
    "opportunities_done": _opportunities_done,
    "follow_ups_on_time": _on_time,
    "response_time": _response_time,
    "plans_kept": _plans_kept,
    "logged_on_spot": _on_the_spot,
    "new_customers": _new_customers,
    "time_with_customers": _time_with_customers,
    "conversion": _conversion,
}
assert _MEASURES.keys() == PROCESS.keys()


def of_values(indicator: Indicator, values: Iterable[Value], period: Period) -> Actual:
    """Sum, mean or last of the reviewed values of a period. A sum without any is 0 and says so; the others have no case.

    `unapproved` is what the waiting ones would add to a sum, or their own mean or last.
    """
    days = _Days(period)
    inside = [each for each in values if each.indicator == indicator.code and each.on in days]
    good = [each for each in inside if each.status == COUNTS_WHEN]
    waiting = [each for each in inside if each.status in WAITING]
    combine = indicator.combine or "sum"
    last = max(good, key=lambda one: (one.on, one.id), default=None)
    told: list[tuple[str, str | None]] = []
    for each in inside:
        code = WAITING.get(each.status, "DECLINED") if each.status != COUNTS_WHEN else None
        if code is None and combine == "last" and each is not last:
            code = "SUPERSEDED"
        told.append((each.id, code))
    reasons = ("UNAPPROVED_LEFT_OUT",) if waiting else ()
    part, whole = _combined(combine, good)
    if combine == "sum" and not good:
        reasons = ("NO_VALUES", *reasons)
    apart = None
    if waiting:
        over, under = _combined(combine, waiting)
        apart = Decimal(over) / Decimal(under)
    return Actual(part, whole, _evidence("value", told), reasons, apart)


def _combined(combine: str, values: list[Value]) -> tuple[Decimal | int, int]:
    """Numerator and denominator; the latter is 0 where there is nothing to be said."""
    if combine == "last":
        return (max(values, key=lambda one: (one.on, one.id)).amount, 1) if values else (0, 0)
    total = sum((each.amount for each in values), Decimal(0))
    return (total, 1) if combine == "sum" else (total, len(values))
