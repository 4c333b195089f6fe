"""A score as a file: scheme, targets and facts (or actuals) as JSON in, readings and total as JSON out. Pure.

What is wrong with a file is one `BadCase`: a stable code, where it is, and a sentence. Numbers are decimal strings; whole
and decimal JSON numbers are taken as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from server.indicators.catalogue import PROCESS
from server.indicators.measure import Facts, FollowUp, NewCustomer, Value, Visit, measure
from server.indicators.periods import MONDAY_TO_FRIDAY, PERIODS, Calendar, Period, own_period, period_of
from server.indicators.score import (
    DEFAULT_CAP,
    HIGHER,
    KINDS,
    LOWER,
    Actual,
    Indicator,
    Reading,
    Scheme,
    Score,
    Target,
    score,
)
from server.indicators.targets import Wanted, target_of
from server.indicators.templates import TEMPLATES

ERRORS: Mapping[str, str] = {
    "NOT_JSON": "The file is no JSON.",
    "WRONG_SHAPE": "Another shape is wanted here: an object, a list or a text.",
    "MISSING": "Something that is needed is missing.",
    "UNKNOWN_FIELD": "There is no such field.",
    "NOT_A_NUMBER": "A decimal number is wanted, of at most 15 digits before and 9 after the point.",
    "OUT_OF_RANGE": "The number is not acceptable here.",
    "NOT_A_DAY": "A day YYYY-MM-DD is wanted.",
    "NOT_AN_INSTANT": "An instant with its zone is wanted, such as 2026-03-31T18:00:00Z.",
    "NOT_A_PERIOD": "No period of this kind starts on this day.",
    "UNKNOWN_WORD": "The word is none of those that are known here.",
    "UNKNOWN_INDICATOR": "The scheme has no such indicator, or there is no such process indicator.",
    "TWICE": "The same is said twice.",
    "NO_INDICATORS": "A scheme needs at least one indicator, and at least one with a weight.",
}
"""Every code that a bad file may be refused with."""

MOST_INDICATORS = 50
COMBINES = ("sum", "mean", "last")
VALUE_STATES = ("entered", "confirmed", "reviewed", "declined")
VISIT_STATES = ("planned", "open", "done", "missed", "cancelled")
FOLLOW_UP_STATES = ("open", "done", "cancelled")

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


T = TypeVar("T")


class BadCase(ValueError):
    """What cannot be understood: a code of `ERRORS`, the path to it, and a sentence for people."""

    def __init__(self, code: str, path: str, detail: str = "") -> None:
        self.code, self.path = code, path
        self.detail = detail or ERRORS[code]
        super().__init__(f"{code} at {path or 'the top'}: {self.detail}")


# -- reading -----------------------------------------------------------------------------------------------------------


def number(value: Any, path: str, least: Decimal | None = None) -> Decimal:
    """A plain decimal, from a string or a JSON number that was parsed as Decimal; at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise BadCase("NOT_A_NUMBER", path)
    text = format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)
    if not _NUMBER.fullmatch(text):
        raise BadCase("NOT_A_NUMBER", path, f"{text[:40]!r} is no number. {ERRORS['NOT_A_NUMBER']}")
    found = Decimal(text)
    if least is not None and found < least:
        raise BadCase("OUT_OF_RANGE", path, f"{text} is less than {least}.")
    return found


def day(value: Any, path: str) -> date:
    """A local day."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise BadCase("NOT_A_DAY", path)


def _day_text(value: Any, path: str) -> str:
    return day(value, path).isoformat()


def instant(value: Any, path: str) -> datetime:
    """An instant with a zone, in UTC."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadCase("NOT_AN_INSTANT", path)


def word(value: Any, path: str, known: Iterable[str]) -> str:
    """One of the known words."""
    if isinstance(value, str) and value in known:
        return value
    raise BadCase("UNKNOWN_WORD", path, f"{value!r} is none of {', '.join(known)}.")


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise BadCase("WRONG_SHAPE", path, "A text is wanted here.")
    return value


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise BadCase("WRONG_SHAPE", path, "true or false is wanted here.")
    return value


def _object(value: Any, path: str, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadCase("WRONG_SHAPE", path, "An object is wanted here.")
    for name in value:
        if name not in known:
            raise BadCase("UNKNOWN_FIELD", f"{path}.{name}".lstrip("."))
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadCase("WRONG_SHAPE", path, "A list is wanted here.")
    return value


def _need(value: Mapping[str, Any], name: str, path: str) -> Any:
    if value.get(name) is None:
        raise BadCase("MISSING", f"{path}.{name}".lstrip("."))
    return value[name]


def _maybe(read: Callable[[Any, str], T], value: Mapping[str, Any], name: str, path: str) -> T | None:
    return None if value.get(name) is None else read(value[name], f"{path}.{name}".lstrip("."))


INDICATOR_FIELDS = (
    *("code", "name", "name_zh", "kind", "source", "direction", "weight"),
    *("cap", "unit", "period", "combine", "target"),
)


def indicator_of(row: Any, path: str) -> Indicator:
    """One row of a scheme. Of a process indicator only code and weight are needed: the catalogue knows the rest."""
    row = _object(row, path, INDICATOR_FIELDS)
    code = _text(_need(row, "code", path), f"{path}.code")
    if not _CODE.fullmatch(code):
        raise BadCase("UNKNOWN_INDICATOR", f"{path}.code", "A code is a-z, 0-9 and _, 64 at most.")
    known = PROCESS.get(code)
    kind = word(row.get("kind") or ("process" if known else "result"), f"{path}.kind", KINDS)
    source = word(
        row.get("source") or ("facts" if kind == "process" else "values"),
        f"{path}.source",
        ("facts", "values"),
    )
    if (kind == "process") != (source == "facts"):
        raise BadCase(
            "UNKNOWN_WORD", f"{path}.source", "Process indicators come from facts, the others from values."
        )
    if (known is None) == (kind == "process"):
        raise BadCase(
            "UNKNOWN_INDICATOR",
            f"{path}.code",
            f"{code} is {'no' if known is None else 'a'} process indicator.",
        )
    direction = word(
        row.get("direction") or (known.direction if known else HIGHER), f"{path}.direction", (HIGHER, LOWER)
    )
    if known and direction != known.direction:
        raise BadCase("UNKNOWN_WORD", f"{path}.direction", f"Of {code}, {known.direction} is better.")
    weight = number(_need(row, "weight", path), f"{path}.weight", Decimal(0))
    cap = _maybe(number, row, "cap", path)
    if cap is not None and cap <= 0:
        raise BadCase("OUT_OF_RANGE", f"{path}.cap", "A cap is above 0.")
    period = row.get("period")
    combine = row.get("combine")
    if source == "facts" and combine is not None:
        raise BadCase("UNKNOWN_FIELD", f"{path}.combine", "Only values are combined.")
    return Indicator(
        code,
        kind,
        direction,
        weight,
        cap,
        _text(row.get("unit") or (known.unit if known else ""), f"{path}.unit"),
        None if period is None else word(period, f"{path}.period", PERIODS),
        source,
        None if source == "facts" else word(combine or "sum", f"{path}.combine", COMBINES),
        None if row.get("target") is None else number(row["target"], f"{path}.target", Decimal(0)),
        _text(row.get("name") or (known.name if known else code), f"{path}.name"),
        _text(row.get("name_zh") or (known.name_zh if known else ""), f"{path}.name_zh") or None,
    )


def indicators_of(rows: Any, path: str = "indicators") -> tuple[Indicator, ...]:
    """The rows of a scheme; raises `BadCase`."""
    found: list[Indicator] = []
    for at, row in enumerate(_list(rows, path)):
        one = indicator_of(row, f"{path}[{at}]")
        if any(each.code == one.code for each in found):
            raise BadCase("TWICE", f"{path}[{at}].code", f"{one.code} is there twice.")
        found.append(one)
    if not any(each.weight for each in found):
        raise BadCase("NO_INDICATORS", path)
    if len(found) > MOST_INDICATORS:
        raise BadCase("OUT_OF_RANGE", path, f"At most {MOST_INDICATORS} indicators.")
    return tuple(found)


def scheme_of(document: Any, path: str = "scheme") -> Scheme:
    """A scheme as a file or the exchange has it: `indicators`, or a `template` to take them from."""
    if not isinstance(document, dict):
        raise BadCase("WRONG_SHAPE", path, "An object is wanted here.")
    template = document.get("template")
    rows = document.get("indicators")
    if rows is None and template is not None:
        rows = TEMPLATES[word(template, f"{path}.template", TEMPLATES)]
    if rows is None:
        raise BadCase("MISSING", f"{path}.indicators")
    cap = _maybe(number, document, "cap", path)
    if cap is not None and cap <= 0:
        raise BadCase("OUT_OF_RANGE", f"{path}.cap", "A cap is above 0.")
    version = document.get("version", 0)
    if isinstance(version, bool) or not isinstance(version, int):
        raise BadCase("NOT_A_NUMBER", f"{path}.version")
    return Scheme(
        _text(document.get("id") or "", f"{path}.id"),
        version,
        indicators_of(rows, f"{path}.indicators"),
        DEFAULT_CAP if cap is None else cap,
    )


def period_in(document: Any, path: str, week_start: int) -> Period:
    """A period by its kind and first day."""
    document = _object(document, path, ("kind", "starts_on", "ends_on"))
    kind = word(_need(document, "kind", path), f"{path}.kind", PERIODS)
    first = day(_need(document, "starts_on", path), f"{path}.starts_on")
    try:
        found = period_of(kind, first, week_start)
    except (OverflowError, ValueError):
        raise BadCase("NOT_A_PERIOD", f"{path}.starts_on") from None
    if found.starts_on != first:
        raise BadCase(
            "NOT_A_PERIOD", f"{path}.starts_on", f"The {kind} that holds {first} starts on {found.starts_on}."
        )
    ends = _maybe(day, document, "ends_on", path)
    if ends is not None and ends != found.ends_on:
        raise BadCase("NOT_A_PERIOD", f"{path}.ends_on", f"The first day after it is {found.ends_on}.")
    return found


def calendar_of(document: Any, path: str = "calendar") -> Calendar:
    """`weekdays` (0 = Monday), days `off`, others `worked`, and the first day `joined` and first day no more, `left`."""
    if document is None:
        return Calendar()
    document = _object(document, path, ("weekdays", "off", "worked", "joined", "left"))
    weekdays = MONDAY_TO_FRIDAY
    if document.get("weekdays") is not None:
        given = _list(document["weekdays"], f"{path}.weekdays")
        if not all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 7 for one in given):
            raise BadCase("OUT_OF_RANGE", f"{path}.weekdays", "Days of the week are 0 (Monday) to 6.")
        weekdays = frozenset(given)
    off, worked = (
        frozenset(
            day(one, f"{path}.{name}[{at}]")
            for at, one in enumerate(_list(document.get(name) or [], f"{path}.{name}"))
        )
        for name in ("off", "worked")
    )
    return Calendar(
        weekdays, off, _maybe(day, document, "joined", path), _maybe(day, document, "left", path), worked
    )


def level_of(indicator: Indicator) -> bool:
    """Whether a target of it holds for any period alike: shares and means, and whatever is not added up."""
    known = PROCESS.get(indicator.code)
    return known.level if known else indicator.combine != "sum"


def targets_of(
    document: Any, scheme: Scheme, periods: Mapping[str, Period], calendar: Calendar, week_start: int
) -> dict[str, Target]:
    """Targets by indicator in its reading's period: given so, or as rows of periods that run down to it."""
    known = {each.code: each for each in scheme.indicators}
    found: dict[str, Target] = {}
    if isinstance(document, dict):
        for code, amount in document.items():
            if code not in known:
                raise BadCase("UNKNOWN_INDICATOR", f"targets.{code}")
            if amount is not None:
                found[code] = Target(number(amount, f"targets.{code}", Decimal(0)))
    else:
        rows: dict[str, list[Wanted]] = {}
        for at, row in enumerate(_list(document if document is not None else [], "targets")):
            path = f"targets[{at}]"
            row = _object(row, path, ("indicator", "period", "starts_on", "amount", "status"))
            code = word(_need(row, "indicator", path), f"{path}.indicator", known)
            if (
                word(row.get("status") or "held", f"{path}.status", ("held", "proposed", "declined"))
                != "held"
            ):
                continue
            period = period_in(
                {"kind": row.get("period"), "starts_on": row.get("starts_on")}, path, week_start
            )
            if any(each.period == period for each in rows.get(code, ())):
                raise BadCase("TWICE", path, f"{code} has two targets in one period.")
            amount = number(_need(row, "amount", path), f"{path}.amount", Decimal(0))
            rows.setdefault(code, []).append(Wanted(period, Fraction(amount)))
        for code, wanted in rows.items():
            target = target_of(periods[code], wanted, calendar, level=level_of(known[code]))
            if target is not None:
                found[code] = target
    return with_defaults(found, scheme)


def with_defaults(targets: Mapping[str, Target], scheme: Scheme) -> dict[str, Target]:
    """Where no target is set, the scheme's own."""
    own = {
        each.code: Target(each.target, 1, ("DEFAULT_TARGET",))
        for each in scheme.indicators
        if each.target is not None
    }
    return {**own, **targets}


def facts_of(document: Any, path: str = "facts") -> Facts:
    """Facts as a file has them; days are local days, instants carry a zone."""
    document = _object(document, path, ("visits", "follow_ups", "own", "won", "values"))

    def rows(name: str, fields: tuple[str, ...]) -> list[tuple[dict[str, Any], str]]:
        found, seen = [], set()
        for at, row in enumerate(_list(document.get(name) or [], f"{path}.{name}")):
            here = f"{path}.{name}[{at}]"
            row = _object(row, here, fields)
            identity = _text(_need(row, "id", here), f"{here}.id")
            if identity in seen:
                raise BadCase("TWICE", f"{here}.id", f"{identity} is there twice.")
            seen.add(identity)
            found.append((row, here))
        return found

    visits = [
        Visit(
            row["id"],
            _text(_need(row, "customer_id", here), f"{here}.customer_id"),
            _day_text(_need(row, "day", here), f"{here}.day"),
            word(row.get("status") or "done", f"{here}.status", VISIT_STATES),
            _flag(_need(row, "valid", here), f"{here}.valid"),
            tuple(
                _text(one, f"{here}.reasons") for one in _list(row.get("reasons") or [], f"{here}.reasons")
            ),
            int(number(row.get("duration_s") or 0, f"{here}.duration_s", Decimal(0))),
            _maybe(_day_text, row, "planned_day", here),
            _flag(row.get("back_filled") or False, f"{here}.back_filled"),
        )
        for row, here in rows(
            "visits",
            (
                *("id", "customer_id", "day", "status", "valid"),
                *("reasons", "duration_s", "planned_day", "back_filled"),
            ),
        )
    ]
    follow_ups = [
        FollowUp(
            row["id"],
            _maybe(_text, row, "kind", here),
            word(row.get("status") or "open", f"{here}.status", FOLLOW_UP_STATES),
            _maybe(_day_text, row, "due_day", here),
            _maybe(instant, row, "due_at", here),
            _maybe(_day_text, row, "done_day", here),
            _maybe(instant, row, "done_at", here),
            _maybe(_day_text, row, "requested_day", here),
            _maybe(instant, row, "requested_at", here),
            _maybe(instant, row, "answered_at", here),
        )
        for row, here in rows(
            "follow_ups",
            (
                *("id", "kind", "status", "due_day", "due_at", "done_day", "done_at"),
                *("requested_day", "requested_at", "answered_at"),
            ),
        )
    ]
    own = [_text(one, f"{path}.own") for one in _list(document.get("own") or [], f"{path}.own")]
    won = [
        NewCustomer(
            row["id"],
            _day_text(_need(row, "day", here), f"{here}.day"),
            _flag(row.get("approved", True), f"{here}.approved"),
        )
        for row, here in rows("won", ("id", "day", "approved"))
    ]
    values = [
        Value(
            row["id"],
            _text(_need(row, "indicator", here), f"{here}.indicator"),
            _day_text(_need(row, "on", here), f"{here}.on"),
            number(_need(row, "amount", here), f"{here}.amount"),
            word(row.get("status") or "reviewed", f"{here}.status", VALUE_STATES),
        )
        for row, here in rows("values", ("id", "indicator", "on", "amount", "status"))
    ]
    return Facts(tuple(visits), tuple(follow_ups), tuple(own), tuple(won), tuple(values))


def actuals_of(document: Any, scheme: Scheme) -> dict[str, Actual]:
    """Actuals by indicator: a number, `{"part", "whole"}` (whole 0: no case), or null where there was no case.

    Of conversion a whole of 0 is no visit, and 0.
    """
    known = {each.code for each in scheme.indicators}
    if not isinstance(document, dict):
        raise BadCase("WRONG_SHAPE", "actuals", "An object is wanted here.")
    found: dict[str, Actual] = {}
    for code, value in document.items():
        path = f"actuals.{code}"
        if code not in known:
            raise BadCase("UNKNOWN_INDICATOR", path)
        if value is None:
            continue
        if isinstance(value, dict):
            value = _object(value, path, ("part", "whole"))
            part = number(_need(value, "part", path), f"{path}.part")
            whole = number(_need(value, "whole", path), f"{path}.whole", Decimal(0))
        else:
            part, whole = number(value, path), Decimal(1)
        no_visits = code == "conversion" and not whole
        found[code] = Actual(0, 1, reasons=("NO_VISITS",)) if no_visits else Actual(part, whole)
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """A scheme, targets and actuals, ready to be scored."""

    name: str
    scheme: Scheme
    period: Period
    periods: dict[str, Period]
    targets: dict[str, Target]
    actuals: dict[str, Actual]
    expected: Any = None

    def run(self) -> Score:
        """The score."""
        return score(self.scheme, self.period, self.periods, self.targets, self.actuals)


CASE_FIELDS = (
    *("name", "why", "period", "week_start", "calendar", "scheme"),
    *("targets", "facts", "actuals", "as_of", "today", "expected"),
)


def case_of(document: Any, path: str = "") -> Case:
    """One case of a file; raises `BadCase`.

    `period` (a month unless said), `week_start`, `calendar`, `scheme`, `targets`, and `facts` (seen at `as_of`; else from
    the period's end) or `actuals`, which stand before facts.
    """
    document = _object(document, path, CASE_FIELDS)
    week_start = document.get("week_start") or 0
    if isinstance(week_start, bool) or not isinstance(week_start, int) or not 0 <= week_start < 7:
        raise BadCase("OUT_OF_RANGE", "week_start", "A week starts on a day from 0 (Monday) to 6.")
    scheme = scheme_of(_need(document, "scheme", ""))
    period = period_in(
        document.get("period") or {"kind": "month", "starts_on": "2026-01-01"}, "period", week_start
    )
    periods = {each.code: own_period(each.period, period, week_start) for each in scheme.indicators}
    calendar = calendar_of(document.get("calendar"))
    targets = targets_of(document.get("targets"), scheme, periods, calendar, week_start)
    end = datetime(period.ends_on.year, period.ends_on.month, period.ends_on.day, tzinfo=UTC)
    as_of = _maybe(instant, document, "as_of", "") or end
    today = _maybe(_day_text, document, "today", "") or as_of.date().isoformat()
    if document.get("facts") is None and document.get("actuals") is None:
        raise BadCase("MISSING", "facts", "A case has facts or actuals.")
    actuals: dict[str, Actual] = {}
    if document.get("facts") is not None:
        facts = facts_of(document["facts"])
        for each in scheme.indicators:
            actuals[each.code] = measure(each, facts, periods[each.code], as_of, today)
    if document.get("actuals") is not None:
        actuals |= actuals_of(document["actuals"], scheme)
    name = _text(document.get("name") or "", "name")
    return Case(name, scheme, period, periods, targets, actuals, document.get("expected"))


def cases_of(document: Any) -> list[Case]:
    """All cases of a file: `{"cases": [...]}`, or one by itself. An error names its case."""
    if not isinstance(document, dict) or "cases" not in document:
        return [case_of(document)]
    found = []
    for at, one in enumerate(_list(document["cases"], "cases")):
        try:
            found.append(case_of(one))
        except BadCase as error:
            raise BadCase(error.code, f"cases[{at}].{error.path}".rstrip("."), error.detail) from None
    return found


# -- writing -----------------------------------------------------------------------------------------------------------


def plain(value: Decimal | int | None) -> str | None:
    """A number as it travels: decimal text without an exponent or trailing zeros; None stays None."""
    if value is None:
        return None
    text = str(value) if isinstance(value, int) else format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def reading_document(reading: Reading) -> dict[str, Any]:
    """A reading as it travels."""
    return _bare(reading, reading.period.document()) | {
        "evidence": {
            "kind": reading.evidence.kind,
            "counted": list(reading.evidence.counted),
            "not_counted": [
                {"id": identity, "code": code} for identity, code in reading.evidence.not_counted
            ],
        },
    }


def _bare(reading: Reading, period: dict[str, str]) -> dict[str, Any]:
    one = reading.indicator
    return {
        "indicator": one.code,
        "kind": one.kind,
        "unit": one.unit,
        "direction": one.direction,
        "actual": plain(reading.actual),
        "part": plain(reading.part),
        "whole": plain(reading.whole),
        "target": plain(reading.target),
        "attainment": plain(reading.attainment),
        "weight": plain(one.weight),
        "share": plain(reading.share),
        "points": plain(reading.points),
        "reasons": list(reading.reasons),
        "period": period,
        "unapproved": plain(None if reading.unapproved is None else round(reading.unapproved, 6)),
    }


def score_document(found: Score, *, evidence: bool = True) -> dict[str, Any]:
    """A score as it travels; `total` with its two places."""
    period = found.period.document()
    if evidence:
        readings = [reading_document(one) for one in found.readings]
    else:
        readings = [
            _bare(one, period if one.period is found.period else one.period.document())
            for one in found.readings
        ]
    return {
        "period": period,
        "scheme": {"id": found.scheme.id, "version": found.scheme.version},
        "readings": readings,
        "total": None if found.total is None else format(found.total, "f"),
        "grade": found.grade,
        "reasons": list(found.reasons),
    }


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where what was found is not as expected; only what `expected` names is compared. Readings may be named by code."""
    if isinstance(expected, dict) and isinstance(found, list):
        found = {one.get("indicator"): one for one in found}
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for name, value in expected.items()
            for line in differences(value, found.get(name), f"{path}.{name}".lstrip("."))
        ]
    return [] if expected == found else [f"{path}: {found!r} was found, {expected!r} expected"]
