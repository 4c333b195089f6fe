"""When a follow-up is due. Pure: no clock, no database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo


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
