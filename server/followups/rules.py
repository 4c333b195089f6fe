"""When a follow-up is due, and when the next of a series is. Pure: no clock, no database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dateutil import rrule

from sync.recurrence import Rule, rule_of

FREQUENCIES = {
    "DAILY": rrule.DAILY,
    "WEEKLY": rrule.WEEKLY,
    "MONTHLY": rrule.MONTHLY,
    "YEARLY": rrule.YEARLY,
}
DAYS = (rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU)

OVER_EVERYWHERE = timedelta(days=2)
"""A day so long before the present one is over in every zone."""

HORIZON = timedelta(days=3660)
"""How far ahead a rule is asked; one that names no day for ten years (the 30th of each twelfth month from February) ends."""


def due_at(due_date: str | None, due_time: str | None, zone: tzinfo) -> datetime | None:
    """The instant, in UTC, until which a follow-up is owed; None where no day is set.

    `due_date` `YYYY-MM-DD`, `due_time` `HH:MM[:SS]` in `zone`. Without a time the whole day counts, to the midnight that
    ends it. A time that a change of clocks leaves out, or has twice, is taken as `datetime` takes it (`fold` 0).
    """
    if due_date is None:
        return None
    day = date.fromisoformat(due_date)
    if due_time is not None:
        owed = datetime.combine(day, time.fromisoformat(due_time), zone)
    elif day == date.max:
        owed = datetime.combine(day, time.max, zone)
    else:
        owed = datetime.combine(day + timedelta(days=1), time.min, zone)
    try:
        return owed.astimezone(UTC)
    except OverflowError:  # at the calendar's ends
        return owed.replace(tzinfo=UTC)


def next_day(
    repeat: str, start: date, on: date, at: str | None, zone: tzinfo, after: datetime
) -> date | None:
    """The day of the next of a series: the first that the rule names behind `on` and that is not over at `after`.

    The rule counts from `start` (RFC 5545: the day of `DTSTART`); it names days on the wall, so each keeps its time `at`
    (`HH:MM[:SS]`, None: all day) through every change of clocks in `zone`. Days that went by while nobody was there to make
    them are left out. None where the rule has come to its end, or is none. A month without such a day is left out too.
    """
    rule = rule_of(repeat)
    if rule is None:
        return None
    until = rule.until
    behind = max(on, _later(after.date(), -OVER_EVERYWHERE))
    if rule.count is None and behind > start:
        start = _nearer(start, behind, rule)
    named = rrule.rrule(
        FREQUENCIES[rule.frequency],
        dtstart=datetime.combine(start, time.min),
        interval=rule.interval,
        byweekday=[DAYS[day](place) if place else DAYS[day] for place, day in rule.days] or None,
        bymonthday=list(rule.month_days) or None,
        count=rule.count,
        # With COUNT the calendar takes no UNTIL; a count ends by itself.
        until=None if rule.count else datetime.combine(_later(max(on, after.date()), HORIZON), time.min),
    )
    for found in named.xafter(datetime.combine(behind, time.min)):
        day: date = found.date()
        if isinstance(until, datetime):
            if datetime.combine(day, time.fromisoformat(at or "00:00"), zone) > until:
                return None
        elif until is not None and day > until:
            return None
        owed = due_at(day.isoformat(), at, zone)
        if owed is not None and owed > after:
            return day
    return None


def _nearer(start: date, day: date, rule: Rule) -> date:
    """A start of the same rule a whole number of steps nearer to a day, so that years are not counted through."""
    step = {"DAILY": 1, "WEEKLY": 7}.get(rule.frequency, 0) * rule.interval
    if step:
        return start + timedelta(days=(day - start).days // step * step)
    years = max(day.year - 1 - start.year, 0) // rule.interval * rule.interval
    try:
        return start.replace(year=start.year + years)
    except ValueError:  # the 29th of February
        return start


def _later(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError:
        return date.max if by > timedelta(0) else date.min
