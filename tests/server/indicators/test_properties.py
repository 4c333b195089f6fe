"""What holds of every score, whatever its scheme, targets and facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.indicators.catalogue import PROCESS
from server.indicators.measure import Facts, FollowUp, NewCustomer, Value, Visit, measure
from server.indicators.periods import Calendar, Period, own_period, parts, period_of
from server.indicators.score import (
    LEFT_OUT,
    Actual,
    Indicator,
    Scheme,
    Target,
    exact,
    rounded,
    score,
)
from server.indicators.targets import Wanted, daily, need, spread, target_of

MARCH = Period("month", date(2026, 3, 1), date(2026, 4, 1))
AS_OF = datetime(2026, 3, 20, 12, tzinfo=UTC)
TODAY = "2026-03-20"
few = settings(max_examples=30, deadline=None)

amounts = st.decimals(0, 10**6, places=3)
days = st.dates(date(2026, 2, 25), date(2026, 4, 5)).map(date.isoformat)
instants = st.integers(0, 19 * 24 * 3600).map(
    lambda s: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=s)
)
ids = st.uuids().map(str)


@st.composite
def schemes(draw: st.DrawFn) -> tuple[Scheme, dict[str, Target], dict[str, Actual]]:
    """A scheme of up to six indicators, some without a target or a case."""
    count = draw(st.integers(1, 6))
    rows, targets, actuals = [], {}, {}
    for n in range(count):
        code = f"i{n}"
        rows.append(
            Indicator(
                code,
                "result",
                draw(st.sampled_from(["higher", "lower"])),
                draw(st.decimals(1, 100, places=1)),
                draw(st.none() | st.decimals("0.5", 3, places=1)),
                source="values",
            )
        )
        if draw(st.integers(0, 4)):
            targets[code] = Target(draw(amounts))
        if draw(st.integers(0, 4)):
            actuals[code] = Actual(draw(st.decimals(-10, 10**6, places=2)), draw(st.integers(0, 7)))
    return Scheme("s", 1, tuple(rows)), targets, actuals


def exact_total(
    found: Any, scheme: Scheme, targets: dict[str, Target], actuals: dict[str, Actual]
) -> Fraction:
    """PRODUCT's formula, once more and plainly: the sum of weight x attainment over the sum of weights, x 100."""
    points = weights = Fraction()
    for row in scheme.indicators:
        target, actual = targets.get(row.code), actuals.get(row.code)
        if target is None or actual is None or not actual.whole:
            continue
        wanted, done = Fraction(target.part), Fraction(actual.part) / Fraction(actual.whole)
        cap = Fraction(row.cap or scheme.cap)
        if row.direction == "lower":
            attainment = cap if done <= 0 else wanted / done
        elif wanted > 0:
            attainment = done / wanted
        else:
            continue
        points += Fraction(row.weight) * max(min(attainment, cap), Fraction())
        weights += Fraction(row.weight)
    return points / weights * 100


@few
@given(schemes())
def test_the_sum_of_points_is_the_total_and_the_formula_of_the_product(drawn: Any) -> None:
    scheme, targets, actuals = drawn
    found = score(scheme, MARCH, {}, targets, actuals)
    counted = [reading for reading in found.readings if reading.attainment is not None]
    assert (found.total is None) == (not counted)
    if found.total is None:
        return
    total = exact_total(found, scheme, targets, actuals)
    assert found.total == rounded(total.numerator, total.denominator, 2)
    assert abs(
        sum(reading.points for reading in counted) - Decimal(total.numerator) / total.denominator
    ) < Decimal("1e-5")
    assert abs(sum(reading.share for reading in counted) - 100) < Decimal("1e-5")
    assert all(0 <= reading.attainment <= (reading.indicator.cap or scheme.cap) for reading in counted)


@few
@given(schemes(), st.decimals("0.1", 50, places=1), st.randoms(use_true_random=False))
def test_neither_the_scale_of_weights_nor_the_order_of_indicators_changes_anything(
    drawn: Any, by: Decimal, chance: Any
) -> None:
    scheme, targets, actuals = drawn
    found = score(scheme, MARCH, {}, targets, actuals)
    scaled = tuple(replace(row, weight=row.weight * by) for row in scheme.indicators)
    mixed = list(scheme.indicators)
    chance.shuffle(mixed)
    for rows in (scaled, tuple(mixed)):
        again = score(replace(scheme, indicators=rows), MARCH, {}, targets, actuals)
        assert (again.total, again.grade) == (found.total, found.grade)
        told = {one.indicator.code: (one.share, one.points, one.attainment) for one in again.readings}
        assert told == {one.indicator.code: (one.share, one.points, one.attainment) for one in found.readings}


@few
@given(schemes())
def test_what_is_left_out_says_why_and_nothing_else_is(drawn: Any) -> None:
    scheme, targets, actuals = drawn
    for reading in score(scheme, MARCH, {}, targets, actuals).readings:
        assert (reading.attainment is None) == bool(LEFT_OUT & set(reading.reasons))
        if reading.attainment is None:
            assert (reading.share, reading.points) == (0, 0)


# -- facts -------------------------------------------------------------------------------------------------------------

customers = st.sampled_from(["a", "b", "c", "d"])
visits = st.builds(
    Visit,
    ids,
    customers,
    days,
    st.sampled_from(["planned", "open", "done", "missed", "cancelled"]),
    st.booleans(),
    st.sampled_from([(), ("TOO_SHORT",), ("NO_MINUTES", "TOO_SHORT")]),
    st.integers(0, 20_000),
    st.none() | days,
    st.booleans(),
).map(lambda one: replace(one, valid=one.valid and one.status == "done"))
follow_ups = st.builds(
    FollowUp,
    ids,
    st.sampled_from([None, "opportunity", "request"]),
    st.sampled_from(["open", "done", "cancelled"]),
    days,
    instants,
    days,
    instants,
    days,
    instants,
    st.none() | instants,
)
facts = st.builds(
    Facts,
    st.lists(visits, max_size=8).map(tuple),
    st.lists(follow_ups, max_size=8).map(tuple),
    st.lists(customers, max_size=4, unique=True).map(tuple),
    st.lists(st.builds(NewCustomer, ids, days, st.booleans()), max_size=4, unique_by=lambda one: one.id).map(
        tuple
    ),
)


def of(code: str) -> Indicator:
    return Indicator(code, direction=PROCESS[code].direction)


def valued(actual: Actual) -> Fraction | None:
    return Fraction(*exact(actual.part, actual.whole)) if actual.whole else None


@few
@given(facts, st.builds(lambda day, customer, s: (day, customer, s), days, customers, st.integers(0, 9000)))
def test_adding_a_valid_visit_never_lowers_a_count(held: Facts, more: tuple[str, str, int]) -> None:
    day, customer, seconds = more
    added = Visit("new", customer, day, "done", True, (), seconds)
    after = replace(held, visits=(*held.visits, added))
    for code in (
        "valid_visits",
        "customers_visited",
        "coverage",
        "opportunities_done",
        "new_customers",
        "time_with_customers",
    ):
        before = valued(measure(of(code), held, MARCH, AS_OF, TODAY))
        now = valued(measure(of(code), after, MARCH, AS_OF, TODAY))
        assert before is None or (now is not None and now >= before), code


COUNTED: dict[str, Callable[[Actual], Any]] = {
    **dict.fromkeys(
        ("valid_visits", "customers_visited", "opportunities_done", "new_customers", "coverage"),
        lambda actual: actual.part,
    ),
    **dict.fromkeys(("follow_ups_on_time", "plans_kept", "logged_on_spot"), lambda actual: actual.part),
    "response_time": lambda actual: Fraction(actual.whole) / 3600,
}
"""Indicator -> how many pieces of evidence its number says it stands on."""


def concerned(code: str, held: Facts) -> set[str]:
    """Ids of all facts of the period that an indicator is about, however they count."""
    inside = lambda day: day is not None and "2026-03-01" <= day < "2026-04-01"  # noqa: E731 - a word, not a function
    if code in {"valid_visits", "customers_visited", "logged_on_spot", "time_with_customers"}:
        return {one.id for one in held.visits if inside(one.day)}
    if code == "plans_kept":
        return {one.id for one in held.visits if inside(one.planned_day)}
    if code == "coverage":
        return set(held.own)
    if code in {"new_customers", "conversion"}:
        return {one.id for one in held.won if inside(one.day)}
    if code == "follow_ups_on_time":
        return {one.id for one in held.follow_ups if inside(one.due_day)}
    if code == "response_time":
        return {one.id for one in held.follow_ups if one.kind == "request" and inside(one.requested_day)}
    return {
        one.id
        for one in held.follow_ups
        if one.kind == "opportunity" and inside(one.done_day if one.status == "done" else one.due_day)
    }


@few
@given(facts)
def test_there_is_no_explanation_without_evidence_and_no_evidence_uncounted(held: Facts) -> None:
    for code in PROCESS:
        actual = measure(of(code), held, MARCH, AS_OF, TODAY)
        counted = set(actual.evidence.counted)
        not_counted = {identity for identity, _ in actual.evidence.not_counted}
        assert counted.isdisjoint(not_counted), code
        assert counted | not_counted == concerned(code, held), code
        assert all(word for _, word in actual.evidence.not_counted), code
        if code in COUNTED:
            assert len(counted) == COUNTED[code](actual), code
        if code == "time_with_customers":
            assert actual.part == sum(one.duration_s for one in held.visits if one.id in counted)


@few
@given(facts, st.randoms(use_true_random=False))
def test_the_order_of_facts_changes_nothing(held: Facts, chance: Any) -> None:
    mixed = {}
    for name in ("visits", "follow_ups", "own", "won"):
        some = list(getattr(held, name))
        chance.shuffle(some)
        mixed[name] = tuple(some)
    other = Facts(**mixed)
    for code in PROCESS:
        assert measure(of(code), held, MARCH, AS_OF, TODAY) == measure(
            of(code), other, MARCH, AS_OF, TODAY
        ), code


values = st.lists(
    st.builds(
        Value,
        ids,
        st.sampled_from(["orders", "deal_amount"]),
        days,
        st.decimals(-100, 10**6, places=2),
        st.sampled_from(["entered", "confirmed", "reviewed", "declined"]),
    ),
    max_size=8,
)


@few
@given(values, st.sampled_from(["sum", "mean", "last"]))
def test_only_reviewed_values_count_and_each_other_says_why(some: list[Value], combine: str) -> None:
    row = Indicator("orders", "result", source="values", combine=combine)
    actual = measure(row, Facts(values=tuple(some)), MARCH, AS_OF, TODAY)
    inside = [one for one in some if one.indicator == "orders" and "2026-03-01" <= one.on < "2026-04-01"]
    told = dict(actual.evidence.not_counted)
    assert {*actual.evidence.counted, *told} == {one.id for one in inside}
    reviewed = [one for one in inside if one.status == "reviewed"]
    assert set(actual.evidence.counted) <= {one.id for one in reviewed}
    if combine == "sum":
        assert valued(actual) == sum((Fraction(one.amount) for one in reviewed), Fraction())
    elif not reviewed:
        assert actual.whole == 0
    waiting = any(one.status in {"entered", "confirmed"} for one in inside)
    assert ("UNAPPROVED_LEFT_OUT" in actual.reasons) == waiting == (actual.unapproved is not None)


# -- periods and targets -----------------------------------------------------------------------------------------------

calendars = st.builds(
    Calendar,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=20),
)
kinds = st.sampled_from(["day", "week", "month", "quarter", "half", "year"])


@few
@given(kinds, st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 6))
def test_periods_of_a_kind_follow_each_other_without_gap_or_overlap(
    kind: str, day: date, week_start: int
) -> None:
    period = period_of(kind, day, week_start)
    assert day in period and period.ends_on not in period
    assert period_of(kind, period.starts_on, week_start) == period
    assert period_of(kind, period.ends_on, week_start).starts_on == period.ends_on
    assert period_of(kind, period.starts_on - timedelta(days=1), week_start).ends_on == period.starts_on
    if kind == "week":
        assert period.starts_on.weekday() == week_start and len(list(period.days())) == 7


@few
@given(kinds, kinds, st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 6))
def test_an_own_period_is_over_by_the_end_of_the_scores(
    own: str, kind: str, day: date, week_start: int
) -> None:
    period = period_of(kind, day, week_start)
    found = own_period(own, period, week_start)
    assert found.ends_on <= period.ends_on
    assert found == period or len(list(found.days())) > len(list(period.days()))


@few
@given(
    st.integers(0, 10**6),
    calendars,
    st.sampled_from(["half", "quarter", "month", "week", "day"]),
    st.integers(0, 6),
)
def test_what_is_spread_adds_up_to_what_was_wanted(
    amount: int, calendar: Calendar, kind: str, week_start: int
) -> None:
    year = period_of("year", date(2026, 1, 1))
    found = spread(Fraction(amount), year, kind, calendar, week_start)
    assert sum((one.amount for one in found), Fraction()) == amount
    assert {one.period for one in found} == set(parts(year, kind, week_start))
    for one in found[:: max(len(found) // 3, 1)]:
        inside = target_of(one.period, [Wanted(year, Fraction(amount))], calendar, level=False)
        assert inside is not None and Fraction(inside.part, inside.whole) == one.amount


@few
@given(
    st.lists(
        st.tuples(st.sampled_from(["month", "quarter"]), st.integers(1, 12), st.integers(0, 500)), max_size=5
    ),
    st.integers(6000, 10**5),
    calendars,
)
def test_a_typed_split_stands_and_the_rest_goes_to_the_other_days(
    typed: list[tuple[str, int, int]], amount: int, calendar: Calendar
) -> None:
    year = period_of("year", date(2026, 1, 1))
    splits = {period_of(kind, date(2026, month, 1)): Fraction(wanted) for kind, month, wanted in typed}
    held = [Wanted(year, Fraction(amount)), *(Wanted(period, wanted) for period, wanted in splits.items())]
    for period, wanted in splits.items():
        found = target_of(period, held, calendar, level=False)
        assert found is not None and Fraction(found.part, found.whole) == wanted
    per_day = daily(year, held, calendar)
    worked = sum(calendar.works(day) for day in year.days())
    months = [period for period in splits if period.kind == "month"]
    free = any(calendar.works(day) and not any(day in one for one in splits) for day in year.days())
    if worked and free and all(any(calendar.works(day) for day in one.days()) for one in months):
        nested = [one for one in splits if one.kind == "quarter"]
        inside = {q: sum((splits[m] for m in months if m.starts_on in q), Fraction()) for q in nested}
        if all(inside[q] <= splits[q] for q in nested):
            whole = sum(per_day.values(), Fraction())
            assert whole <= amount
            filled = all(
                any(calendar.works(day) and not any(day in m for m in months) for day in q.days())
                or inside[q] == splits[q]
                for q in nested
            )
            if filled:
                assert whole == amount


@few
@given(st.integers(1, 1000), st.integers(0, 1000), st.dates(date(2026, 3, 1), date(2026, 3, 31)), calendars)
def test_what_each_day_left_needs_makes_up_what_is_missing(
    wanted: int, done: int, today: date, calendar: Calendar
) -> None:
    left = [day for day in MARCH.days() if day >= today and calendar.works(day)]
    found = need(Target(wanted), Actual(done), MARCH, calendar, today)
    assert (found is None) == (not left)
    if found is not None:
        assert found * len(left) == max(wanted - done, 0)
