"""The words of a notice in its reader's language: what the lock screen shows, and no more than its owner wants there.

Pure but for reading its own word lists. The app composes the same notices from the same `words`, in its own lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

MOST_TITLE = 120
MOST_BODY = 240
MOST_NAMES = 3
PARTS = ("overdue", "not_visited", "minutes", "unsent", "open", "visits", "valid", "silent")


def compose(
    rule: str, words: Mapping[str, Any], locale: str, zone: tzinfo, *, discreet: bool = False
) -> tuple[str, str]:
    """Title and body of a notice. `discreet` names neither people nor things."""
    said = _words(locale)
    if rule == "snoozed":  # says again what was put off
        rule = str(words.get("of", rule))
    if discreet and rule != "test":
        count = words.get("count", 1)
        title, body = said["discreet_group" if count > 1 else "discreet"]
        return title, body.format(count=count)
    pattern = said[
        "follow_up_assigned_no_due" if rule == "follow_up_assigned" and not words.get("due_at") else rule
    ]
    known = {name: value for name, value in words.items() if isinstance(value, str | int)}
    known["due"] = _time(words.get("due_at"), words.get("all_day"), zone, locale)
    known["since"] = _time(words.get("since"), False, zone, locale)
    known["month"] = _month(words.get("month"), locale)
    known["parts"] = _group(words, locale, zone) if rule == "group" else _parts(words, said)
    filled = (part.format_map(_Blank(known)).strip(" ·:：") for part in pattern)
    title, body = filled
    return _cut(title, MOST_TITLE), _cut(body, MOST_BODY)


@cache
def _words(locale: str) -> dict[str, Any]:
    name = "zh-Hans" if locale.startswith("zh") else "en"
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"words_{name}.json").read_text("utf-8"))
    return found


class _Blank(dict[str, Any]):
    """What nobody said is left blank."""

    def __missing__(self, name: str) -> str:
        return ""


def _parts(words: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    parts = []
    for name in PARTS:
        value = words.get(name)
        if not value:
            continue
        if isinstance(value, list):
            names = said["comma"].join(value[:MOST_NAMES])
            if len(value) > MOST_NAMES:
                names = said["more"].format(names=names, n=len(value) - MOST_NAMES)
            parts.append(said["parts"][name].format(names=names))
        else:
            one = said["parts_one"].get(name) if value == 1 else None
            parts.append(one or said["parts"][name].format(n=value))
    return str(said["between"].join(parts))


def _group(words: Mapping[str, Any], locale: str, zone: tzinfo) -> str:
    lines = (compose(line["rule"], line["words"], locale, zone)[0] for line in words.get("lines", ()))
    return str(_words(locale)["between"].join(lines))


def _time(instant: Any, all_day: Any, zone: tzinfo, locale: str) -> str:
    """`Thu 26 Nov, 15:00`; all-day things have no time of day. Their day is that of the moment before midnight."""
    if not isinstance(instant, str):
        return ""
    at = datetime.fromisoformat(instant)
    try:
        at = at.astimezone(zone or UTC)
    except OverflowError:  # at the calendar's ends
        pass
    if locale.startswith("zh"):
        day = f"{at.month}月{at.day}日"
        return day if all_day else f"{day} {at:%H:%M} "
    day = f"{at:%a} {at.day} {at:%b}"
    return day if all_day else f"{day}, {at:%H:%M}"


def _month(said: Any, locale: str) -> str:
    """`October 2026` of `2026-10`; what is no month stays as it is."""
    try:
        first = date.fromisoformat(f"{said}-01")
    except ValueError:
        return "" if said is None else str(said)
    return f"{first.year}年{first.month}月" if locale.startswith("zh") else f"{first:%B} {first.year}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
