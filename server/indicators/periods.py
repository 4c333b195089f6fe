"""Periods of the calendar and working days. Pure: which day it is comes in as an argument.

A period is a half-open range of local dates: `ends_on` is the first day after it. A visit falls into one by the day that
is stored on it, so no zone is needed here but to tell when a period is over for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

PERIODS = ("day", "week", "month", "quarter", "half", "year")
"""Kinds of period, the shortest first."""

_MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}
ONE_DAY = timedelta(days=1)
MONDAY_TO_FRIDAY = frozenset(range(5))
CLOSES_AFTER_DAYS = 3


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The days from `starts_on` to the day before `ends_on`."""

    kind: str
    starts_on: date
    ends_on: date

    def __contains__(self, day: date) -> bool:
        return self.starts_on <= day < self.ends_on

    def days(self) -> Iterator[date]:
        """Each day of it."""
        day = self.starts_on
        while day < self.ends_on:
            yield day
            day += ONE_DAY

    def document(self) -> dict[str, str]:
        """As it travels: kind, starts_on, ends_on (the first day after it)."""
        return {
            "kind": self.kind,
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are worked: `weekdays` (0 = Monday) and what else is `worked`, unless `off`, within somebody's time here.

    `joined` is the first day that counts for them, `left` the first that does not any more.
    """

    weekdays: frozenset[int] = MONDAY_TO_FRIDAY
    off: frozenset[date] = field(default_factory=frozenset)
    joined: date | None = None
    left: date | None = None
    worked: frozenset[date] = field(default_factory=frozenset)

    @property
    def everybodys(self) -> Calendar:
        """The same days for whoever was always there."""
        return replace(self, joined=None, left=None)

    def is_planned(self, day: date) -> bool:
        """Whether the organisation works that day."""
        return (day.weekday() in self.weekdays or day in self.worked) and day not in self.off

    def is_theirs(self, day: date) -> bool:
        """Whether the person is there that day."""
        return (self.joined is None or day >= self.joined) and (self.left is None or day < self.left)

    def works(self, day: date) -> bool:
        """Whether it is a working day of theirs."""
        return self.is_theirs(day) and self.is_planned(day)

    def working_days(self, period: Period) -> list[date]:
        """Their working days in a period."""
        return [day for day in period.days() if self.works(day)]


def period_of(kind: str, day: date, week_start: int = 0) -> Period:
    """The period of this kind that holds a day; weeks start on `week_start` (0 = Monday). Raises KeyError, OverflowError."""
    if kind == "day":
        return Period(kind, day, day + ONE_DAY)
    if kind == "week":
        first = day - timedelta(days=(day.weekday() - week_start) % 7)
        return Period(kind, first, first + timedelta(days=7))
    length = _MONTHS[kind]
    month = (day.month - 1) // length * length
    return Period(kind, date(day.year, month + 1, 1), _month(day.year, month + length))


def before(period: Period, week_start: int = 0) -> Period:
    """The period of the same kind that ends where this one starts."""
    return period_of(period.kind, period.starts_on - ONE_DAY, week_start)


def after(period: Period, week_start: int = 0) -> Period:
    """The period of the same kind that starts where this one ends."""
    return period_of(period.kind, period.ends_on, week_start)


def own_period(kind: str | None, period: Period, week_start: int = 0) -> Period:
    """Over which period an indicator of this kind is read in a score of `period`.

    None, the same or a shorter kind: the score's own. A longer one: the last that ends no later than the score's period,
    so January shows the last quarter of the year before and March the first of this one; nobody is measured by a
    quarter's target after one month.
    """
    if kind is None or PERIODS.index(kind) <= PERIODS.index(period.kind):
        return period
    holding = period_of(kind, period.ends_on - ONE_DAY, week_start)
    return holding if holding.ends_on <= period.ends_on else before(holding, week_start)


def parts(period: Period, kind: str, week_start: int = 0) -> list[Period]:
    """The periods of a shorter kind that touch this one; weeks may reach over its edges."""
    found = [period_of(kind, period.starts_on, week_start)]
    while found[-1].ends_on < period.ends_on:
        found.append(after(found[-1], week_start))
    return found


def days_left(calendar: Calendar, period: Period, today: date) -> int:
    """Their working days from today, today included, to the period's end."""
    return sum(calendar.works(day) for day in period.days() if day >= today)


def ended_at(period: Period, zones: Iterable[tzinfo]) -> datetime:
    """When the period is over in the last of these zones, in UTC; without any, in UTC itself."""
    midnight = datetime.combine(period.ends_on, time.min)
    return max(midnight.replace(tzinfo=zone).astimezone(UTC) for zone in {*zones} or {UTC})


def closes_at(period: Period, zones: Iterable[tzinfo], after_days: int = CLOSES_AFTER_DAYS) -> datetime:
    """When it closes: so many whole days after its end in the last zone. Source: PRODUCT, "Closing"."""
    return ended_at(period, zones) + timedelta(days=after_days)


def _month(year: int, month: int) -> date:
    """The first of a month counted from 0; 12 is January of the next year."""
    return date(year + month // 12, month % 12 + 1, 1)
