"""What is wanted of somebody in a period, out of what was typed. Pure.

A target runs down: what is typed for a period is spread over its working days, less what is typed for shorter periods
inside it; what any other period wants is the sum of its days. Targets that are levels (a share, a mean) are not spread:
the nearest one that holds the period is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from server.indicators.periods import PERIODS, Calendar, Period, days_left, period_of
from server.indicators.score import Actual, Target, exact


@dataclass(frozen=True, slots=True)
class Wanted:
    """One held target: so much in this period."""

    period: Period
    amount: Fraction


def target_of(period: Period, wanted: Iterable[Wanted], calendar: Calendar, *, level: bool) -> Target | None:
    """The target of one indicator in a period; None where none is set. `wanted`: those of one person and indicator.

    One typed for this very period holds as typed. Else, as its days have it. Somebody who joined or left inside is
    wanted in proportion to their working days. Source: PRODUCT, "Targets".
    """
    held = {each.period: each for each in wanted}
    if level:
        return _level(period, held.values())
    exactly = held.get(period)
    if exactly is not None:
        amount, reduced = _their_part(exactly.amount, period, calendar)
    else:
        per_day = daily(period, list(held.values()), calendar)
        if not per_day:
            return None
        amount = sum(per_day.values(), Fraction())
        reduced = False
        if calendar.joined or calendar.left:
            whole = daily(period, list(held.values()), calendar.everybodys)
            reduced = amount != sum(whole.values(), Fraction())
    return Target(amount.numerator, amount.denominator, ("PRO_RATA",) if reduced else ())


def daily(period: Period, held: Sequence[Wanted], calendar: Calendar) -> dict[date, Fraction]:
    """Day of the period -> its share of what was typed; days that nothing typed covers are missing.

    A day takes its share of the shortest typed period that holds it: that period's amount, less what shorter ones inside it
    take, over the working days that they leave. A period without a working day spreads over all its days. Days on which
    the person is not there are wanted nothing.
    """
    found: dict[date, Fraction] = {}
    for each in sorted(held, key=lambda one: (PERIODS.index(one.period.kind), one.period.starts_on)):
        free = [day for day in each.period.days() if day not in found]
        taken = sum((found[day] for day in each.period.days() if day in found), Fraction())
        worked = [day for day in free if calendar.is_planned(day)]
        if not worked and taken == 0:
            worked = free
        rest = max(each.amount - taken, Fraction())
        share = rest / len(worked) if worked else Fraction()
        chosen = set(worked)
        for day in free:
            found[day] = share if day in chosen else Fraction()
    return {
        day: amount if calendar.is_theirs(day) else Fraction()
        for day, amount in found.items()
        if day in period
    }


def spread(
    amount: Fraction, period: Period, kind: str, calendar: Calendar, week_start: int = 0
) -> list[Wanted]:
    """What each part of a period gets of its amount, by working days; a week that reaches over an edge its days inside."""
    per_day = daily(period, [Wanted(period, amount)], calendar.everybodys)
    found: dict[Period, Fraction] = {}
    for day, share in per_day.items():
        part = period_of(kind, day, week_start)
        found[part] = found.get(part, Fraction()) + share
    return [Wanted(part, found[part]) for part in sorted(found)]


def need(
    target: Target, actual: Actual | None, period: Period, calendar: Calendar, today: date
) -> Fraction | None:
    """What each working day left still needs: (target − actual) ÷ days left, at least 0; None where no day is left.

    Today is left as long as it lasts; its visits are in `actual` already.
    """
    left = days_left(calendar, period, today)
    if not left:
        return None
    done = Fraction(*exact(actual.part, actual.whole)) if actual and actual.whole else Fraction()
    return max(Fraction(*exact(target.part, target.whole)) - done, Fraction()) / left


def _their_part(amount: Fraction, period: Period, calendar: Calendar) -> tuple[Fraction, bool]:
    """The amount in proportion to the days they were there, and whether that is less."""
    if calendar.joined is None and calendar.left is None:
        return amount, False
    planned = [day for day in period.days() if calendar.is_planned(day)] or list(period.days())
    there = sum(calendar.is_theirs(day) for day in planned)
    if there == len(planned):
        return amount, False
    return amount * there / len(planned), True


def _level(period: Period, held: Iterable[Wanted]) -> Target | None:
    holding = [
        each
        for each in held
        if each.period.starts_on <= period.starts_on and period.ends_on <= each.period.ends_on
    ]
    if not holding:
        return None
    nearest = min(holding, key=lambda one: PERIODS.index(one.period.kind))
    return Target(nearest.amount.numerator, nearest.amount.denominator)
