"""A reading in words: why it is as it is, sentence by sentence, in its reader's language.

Pure but for reading its own word lists. The phone composes the same sentences from the same lists, offline; both play
`tests/server/indicators/explained.json`. Numbers are put into words here and not by a library of languages, so that two
machines cannot disagree about a comma.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

LEFT_OUT = ("NO_TARGET", "NO_CASES")
TOLD = (
    "NO_VISITS",
    "NO_VALUES",
    "OWN_PERIOD",
    "PRO_RATA",
    "DEFAULT_TARGET",
    "UNAPPROVED_LEFT_OUT",
    "STILL_WAITING",
)
"""Reasons with a sentence of their own, in the order in which they are told."""


def explain(reading: Mapping[str, Any], indicator: Mapping[str, Any], cap: str, locale: str) -> list[str]:
    """The sentences of one reading, as it travels; `indicator` its row of the scheme, `cap` the scheme's."""
    w = _words(locale)
    unit, lower = indicator.get("unit") or "count", indicator["direction"] == "lower"
    codes = set(reading["reasons"])
    known = {
        "actual": _amount(reading["actual"], unit, w),
        "target": _amount(reading["target"], unit, w),
        "unapproved": _amount(reading.get("unapproved"), unit, w),
        "share": _short(reading["share"], 2),
        "weight": _short(indicator["weight"], 2),
        "points": _fixed(reading["points"], 2),
        "cap": _short(indicator.get("cap") or cap, 2),
        "from": _day(reading["period"]["starts_on"], w),
        "to": _day_before(reading["period"]["ends_on"], w),
    }
    missing = [code for code in LEFT_OUT if code in codes]
    said = [w["amount"][_amount_key(missing, lower)], w["points"][_points_key(codes, missing, lower)]]
    general = [code for code in ("NORMALISED", "WEIGHT_SPREAD") if code in codes]
    if general:
        said.append(w["share"]["both" if len(general) == 2 else general[0]])
    said += [w["reasons"][code] for code in TOLD if code in codes]
    return [*(one.format_map(known) for one in said), _evidence(reading["evidence"], w)]


def _amount_key(missing: list[str], lower: bool) -> str:
    if len(missing) == 2:
        return "nothing"
    if missing:
        return missing[0].lower()
    return "lower" if lower else "higher"


def _points_key(codes: set[str], missing: list[str], lower: bool) -> str:
    if missing:
        return "left_out"
    odd = next((code for code in ("CAPPED", "ZERO_IS_BEST", "BELOW_ZERO") if code in codes), None)
    return odd or ("lower" if lower else "higher")


def _evidence(evidence: Mapping[str, Any], w: Mapping[str, Any]) -> str:
    counted, others = len(evidence["counted"]), evidence["not_counted"]
    if not counted and not others:
        return str(w["evidence"]["none"])
    known = {
        "counted": _grouped(str(counted)),
        "count": w["count_one" if counted == 1 else "count"],
        "n": _grouped(str(len(others))),
        "do_not": w["do_not_one" if len(others) == 1 else "do_not"],
        "parts": w["comma"].join(
            w["part"].format(n=_grouped(str(n)), why=w["why"].get(code, w["why"]["other"]))
            for code, n in in_order(Counter(one["code"] for one in others))
        ),
    }
    return str(w["evidence"]["others" if others else "some"].format_map(known))


def in_order(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Codes with their numbers, the most frequent first, then by name."""
    return sorted(codes.items(), key=lambda one: (-one[1], one[0]))


def _amount(text: str | None, unit: str, w: Mapping[str, Any]) -> str:
    """A number in its unit; empty where there is none. Hours are told in hours and minutes."""
    if text is None:
        return ""
    units = w["units"]
    if unit == "share":
        return str(units["share"].format(n=_short(str(Decimal(text) * 100), 1)))
    if unit == "hours":
        minutes = int((Decimal(text) * 60).quantize(Decimal(1), ROUND_HALF_UP))
        hours, rest = divmod(minutes, 60)
        key = "minutes" if not hours and rest else "hours_minutes" if rest else "hours"
        return str(units[key].format(h=_grouped(str(hours)), m=rest))
    return str(units.get(unit, units["count"]).format(n=_short(text, 2)))


def _short(text: str, places: int) -> str:
    """At most so many places, half even, thousands set apart."""
    fixed = _fixed(text, places)
    whole, _, after = fixed.removeprefix("-").partition(".")
    after = after.rstrip("0")
    sign = "-" if fixed.startswith("-") else ""
    return f"{sign}{_grouped(whole)}.{after}" if after else f"{sign}{_grouped(whole)}"


def _fixed(text: str, places: int) -> str:
    number = Decimal(text).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return f"{number if number else abs(number):f}"


def _grouped(digits: str) -> str:
    return f"{int(digits):,}"


def _day(day: str, w: Mapping[str, Any]) -> str:
    year, month, number = day.split("-")
    return str(w["day"].format(day=int(number), month=w["months"][int(month) - 1], year=year))


def _day_before(day: str, w: Mapping[str, Any]) -> str:
    return _day((date.fromisoformat(day) - timedelta(days=1)).isoformat(), w)


@cache
def _words(locale: str) -> dict[str, Any]:
    name = "zh-Hans" if locale.startswith("zh") else "en"
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"words_{name}.json").read_text("utf-8"))
    return found
