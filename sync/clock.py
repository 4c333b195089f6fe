"""From a device's claim about time to a best estimate, and how far it is to be doubted.

A device clock may be hours or years off; the server's is right but hears of things late. So each moment carries the
device's wall clock, its monotonic clock and the last known offset to the server, and the exchange that brings it
carries the same for the moment of sending. Pure: the time of receipt comes in. Any two datetimes and any numbers are
answered, also absurd ones.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from sync.mutation import Moment

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
MAX_DOUBT_MS = 10**15
"""More than the calendar holds: what no clock can explain is doubted this much."""


def best_time(at: Moment, sent: Moment, received_at: datetime) -> datetime:
    """When it happened, as well as can be known: ``at.wall`` plus the offset between server and device.

    The offset is the one measured before (``at.offset_ms``) or, if there is none, what the exchange itself shows:
    ``received_at`` - ``sent.wall``. Never later than receipt. UTC. Source: PROTOCOL, "Moments".
    """
    offset_ms = at.offset_ms
    if offset_ms is None:
        offset_ms = _ms(_utc(received_at) - _utc(sent.wall))
    return min(_shift(_utc(at.wall), offset_ms), _utc(received_at))


def doubt_ms(at: Moment, sent: Moment, received_at: datetime) -> int:
    """How far the best time is to be doubted, in whole milliseconds, 0 to ``MAX_DOUBT_MS``.

    The larger of: the difference between the offset measured before and the one the exchange shows (0 without the
    former); within one page life, the amount by which the monotonic age exceeds the wall age, as it does when the
    clock was set back in between. A monotonic clock that stood still proves nothing. Source: PROTOCOL, "Moments".
    """
    doubt = 0.0
    if at.offset_ms is not None:
        doubt = abs(at.offset_ms - _ms(_utc(received_at) - _utc(sent.wall)))
    if at.life == sent.life:
        doubt = max(doubt, (sent.mono_ms - at.mono_ms) - _ms(_utc(sent.wall) - _utc(at.wall)))
    if not math.isfinite(doubt):
        return MAX_DOUBT_MS
    return min(round(doubt), MAX_DOUBT_MS)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # within a day of the calendar's ends, with an offset
        return moment.replace(tzinfo=UTC)


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)


def _shift(moment: datetime, ms: float) -> datetime:
    try:
        return moment + timedelta(milliseconds=ms)
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC) if ms > 0 else EARLIEST
