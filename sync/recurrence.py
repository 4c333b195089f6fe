"""Rules of repetition, as far as promises need them: a part of what RFC 5545, section 3.3.10, allows.

``FREQ`` (``DAILY WEEKLY MONTHLY YEARLY``), ``INTERVAL`` (1 to 366), ``BYDAY`` (in months with a place, as ``2TU`` or
``-1FR``), ``BYMONTHDAY`` (in months; -1 is the last day), and ``COUNT`` (1 to 1,000) or ``UNTIL`` (a day, or an instant in
UTC). Capital letters, each part once. Here a rule is read; which days it means is asked of a calendar elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

MOST_CHARS = 200
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS = frozenset({"INTERVAL", "BYDAY", "BYMONTHDAY", "COUNT", "UNTIL"})
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_DAY = re.compile(r"(?:([+-]?[1-5]))?(MO|TU|WE|TH|FR|SA|SU)").fullmatch
_MONTH_DAY = re.compile(r"[+-]?[0-9]{1,2}").fullmatch
_WHOLE = re.compile(r"[1-9][0-9]{0,3}").fullmatch
_UNTIL = re.compile(r"([0-9]{8})(T[0-9]{6}Z)?").fullmatch

PATTERN = r"^FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;(INTERVAL|BYDAY|BYMONTHDAY|COUNT|UNTIL)=[0-9A-Z+,-]+)*$"
"""The shape alone, for those who validate by pattern; `rule_of` has the last word."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule taken apart. ``days`` are (place in the month, or 0; 0 = Monday), ``until`` a last day or a last instant."""

    frequency: str
    interval: int = 1
    days: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    count: int | None = None
    until: date | datetime | None = None


def rule_of(text: object) -> Rule | None:
    """The rule a text says; None where it says none, or one that is not taken."""
    if type(text) is not str or not text or len(text) > MOST_CHARS:
        return None
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name in parts:
            return None
        parts[name] = value
    frequency = parts.pop("FREQ", "")
    # FREQ stands first, as older calendars want it (RFC 5545, section 3.3.10).
    if frequency not in FREQUENCIES or not text.startswith("FREQ=") or not parts.keys() <= PARTS:
        return None
    interval = _interval(parts.get("INTERVAL", "1"))
    days = _days(parts["BYDAY"]) if "BYDAY" in parts else ()
    month_days = _month_days(parts["BYMONTHDAY"]) if "BYMONTHDAY" in parts else ()
    count = _count(parts["COUNT"]) if "COUNT" in parts else None
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else None
    if interval is None or days is None or month_days is None or {"COUNT", "UNTIL"} <= parts.keys():
        return None
    if (count is None and "COUNT" in parts) or (until is None and "UNTIL" in parts):
        return None
    monthly = frequency == "MONTHLY"
    if month_days and not monthly:
        return None
    if days and (frequency == "YEARLY" or (not monthly and any(place for place, _ in days))):
        return None
    return Rule(frequency, interval, days, month_days, count, until)


def is_rule(value: object) -> bool:
    """Whether this is a rule of repetition that is taken."""
    return rule_of(value) is not None


def _interval(text: str) -> int | None:
    return int(text) if _WHOLE(text) and int(text) <= 366 else None


def _count(text: str) -> int | None:
    return int(text) if _WHOLE(text) and int(text) <= 1000 else None


def _days(text: str) -> tuple[tuple[int, int], ...] | None:
    found = [_DAY(one) for one in text.split(",")]
    if not all(found):
        return None
    days = tuple((int(one[1] or 0), DAYS.index(one[2])) for one in found if one)
    return days if len(set(days)) == len(days) else None


def _month_days(text: str) -> tuple[int, ...] | None:
    ones = text.split(",")
    if not all(_MONTH_DAY(one) for one in ones):
        return None
    days = tuple(map(int, ones))
    return days if len(set(days)) == len(days) and all(1 <= abs(day) <= 31 for day in days) else None


def _until(text: str) -> date | datetime | None:
    found = _UNTIL(text)
    if not found:
        return None
    try:
        if found[2]:
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
