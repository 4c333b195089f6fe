"""A score of readings: scheme x targets x actuals. Pure: no clock, no database; exact, rounded once at the end.

Everything inside is a fraction of whole numbers, so that neither the order of the indicators nor the scale of their
weights can move the last digit. Decimals come in, decimals go out. Source: PRODUCT, "Points".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import gcd
from typing import NamedTuple

from server.indicators.periods import Period

KINDS = ("process", "result", "ability", "satisfaction")
HIGHER, LOWER = "higher", "lower"
DEFAULT_CAP = Decimal("1.5")
PLACES = 6
"""Decimal places of what a reading tells; the total has two."""

GRADES: tuple[tuple[str, Decimal], ...] = (("S", Decimal(90)), ("A", Decimal(80)), ("B", Decimal(70)))
LOWEST = "C"
"""Below the last bound. Bounds are half-open: 90 is S, what is below it A."""

REASONS: Mapping[str, str] = {
    # Left out, its weight spread over the others.
    "NO_TARGET": "Left out: no target is set, or one of 0 where more is better.",
    "NO_CASES": "Left out: there was nothing to measure.",
    # Counted, and something is to be said about it.
    "NO_VISITS": "There was no valid visit, so the share of visits is 0.",
    "NO_VALUES": "Nothing was entered or reviewed, so the sum is 0.",
    "CAPPED": "More than the cap; the cap counts.",
    "BELOW_ZERO": "Less than nothing; 0 counts.",
    "ZERO_IS_BEST": "Lower is better and there was none: the cap counts.",
    "NORMALISED": "The weights of the scheme do not sum to 100; they were scaled so that they do.",
    "WEIGHT_SPREAD": "Other indicators were left out; their weight was spread over the rest in proportion.",
    "OWN_PERIOD": "Measured over its own period: the last one that ends no later than the score's.",
    "PRO_RATA": "The person was not there all the time; the target was reduced to their working days.",
    "DEFAULT_TARGET": "No target is set for them; the scheme's own was taken.",
    "UNAPPROVED_LEFT_OUT": "There are values that were not reviewed yet; they do not count.",
    "STILL_WAITING": "Requests that nobody answered yet count with the time they have waited.",
}
"""Every code a reading may carry, with its meaning, in the order in which they are told."""

LEFT_OUT = frozenset({"NO_TARGET", "NO_CASES"})


@dataclass(frozen=True, slots=True)
class Indicator:
    """One row of a scheme.

    `weight` in parts of the scheme's sum; `cap` of the attainment (None: the scheme's); `period` its own kind of period
    (None: the score's); `target` what is wanted where no target is set, per period; `source` `facts` or `values`;
    `combine` `sum`, `mean` or `last` of a period's values.
    """

    code: str
    kind: str = "process"
    direction: str = HIGHER
    weight: Decimal = Decimal(1)
    cap: Decimal | None = None
    unit: str = ""
    period: str | None = None
    source: str = "facts"
    combine: str | None = None
    target: Decimal | None = None
    name: str = ""
    name_zh: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """Indicators with weights; `version` tells which state of it."""

    id: str
    version: int
    indicators: tuple[Indicator, ...]
    cap: Decimal = DEFAULT_CAP


@dataclass(frozen=True, slots=True)
class Evidence:
    """Ids of the things behind a number: those that counted, and (id, code) of those that did not."""

    kind: str = ""
    counted: tuple[str, ...] = ()
    not_counted: tuple[tuple[str, str], ...] = ()


NO_EVIDENCE = Evidence()


class Actual(NamedTuple):
    """What was measured: `part` ÷ `whole`, exactly; `whole` 0 says that there was no case.

    `reasons` are told with the reading, `unapproved` is a sum that waits for a word and does not count.
    """

    part: Decimal | int
    whole: Decimal | int = 1
    evidence: Evidence = NO_EVIDENCE
    reasons: tuple[str, ...] = ()
    unapproved: Decimal | None = None


class Target(NamedTuple):
    """The amount wanted in the reading's period, as an exact fraction `part` ÷ `whole`; reasons are told."""

    part: Decimal | int
    whole: Decimal | int = 1
    reasons: tuple[str, ...] = ()


class Reading(NamedTuple):
    """One indicator's contribution. Numbers are rounded half-even to `PLACES`; `attainment` None says that it was left out.

    `weight` as the scheme has it; `share` of 100 after normalising and leaving out; `points` = share x attainment.
    `part`, `whole` are the exact actual.
    """

    indicator: Indicator
    period: Period
    actual: Decimal | None
    part: Decimal | int | None
    whole: Decimal | int | None
    target: Decimal | None
    attainment: Decimal | None
    share: Decimal
    points: Decimal
    reasons: tuple[str, ...]
    evidence: Evidence
    unapproved: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """All readings of one period, totalled. `total` (2 places) and `grade` are None where everything was left out."""

    period: Period
    scheme: Scheme
    readings: tuple[Reading, ...]
    total: Decimal | None
    grade: str | None
    reasons: tuple[str, ...] = ()


Exact = tuple[int, int]
"""Numerator and denominator, the latter above 0."""


@lru_cache(maxsize=1 << 16)
def exact(part: Decimal | int, whole: Decimal | int = 1) -> Exact:
    """`part` ÷ `whole` as a fraction of whole numbers; raises ZeroDivisionError."""
    over, under = (part, 1) if isinstance(part, int) else part.as_integer_ratio()
    if whole == 1:
        return over, under
    n, d = (whole, 1) if isinstance(whole, int) else whole.as_integer_ratio()
    if n == 0:
        raise ZeroDivisionError
    return (over * d, under * n) if n > 0 else (-over * d, under * -n)


@lru_cache(maxsize=1 << 16)  # of a thousand people many have the same numbers
def rounded(over: int, under: int, places: int = PLACES) -> Decimal:
    """A fraction (`under` > 0) to so many decimal places, half to even."""
    whole, rest = divmod(over * 10**places, under)
    if 2 * rest > under or (2 * rest == under and whole % 2):
        whole += 1
    return Decimal(whole).scaleb(-places)


def grade_of(total: Decimal) -> str:
    """S, A, B or C of a rounded total."""
    return next((name for name, least in GRADES if total >= least), LOWEST)


def attainment_of(
    indicator: Indicator, cap: Decimal, actual: Exact, target: Exact
) -> tuple[Exact, tuple[str, ...]]:
    """actual ÷ target, or target ÷ actual where lower is better, held between 0 and the cap; and what is to be said."""
    most = exact(cap)
    if indicator.direction == LOWER:
        if actual[0] <= 0:
            return most, ("ZERO_IS_BEST",)
        over, under = target[0] * actual[1], target[1] * actual[0]
    else:
        over, under = actual[0] * target[1], actual[1] * target[0]
    if over < 0:
        return (0, 1), ("BELOW_ZERO",)
    if over * most[1] > most[0] * under:
        return most, ("CAPPED",)
    return (over, under), ()


def score(
    scheme: Scheme,
    period: Period,
    periods: Mapping[str, Period],
    targets: Mapping[str, Target],
    actuals: Mapping[str, Actual],
) -> Score:
    """The score of one person or team in one period.

    All three mappings are by the indicator's code: `periods` over which each is read (one that is not named: the
    score's), `targets` and `actuals` in that period; missing ones are left out with NO_TARGET, NO_CASES.
    """
    weights = [exact(each.weight) for each in scheme.indicators]
    all_in = _sum(tuple(weights))
    measured: list[tuple[Exact | None, tuple[str, ...]]] = []
    for each in scheme.indicators:
        measured.append(
            _measured(each, each.cap or scheme.cap, targets.get(each.code), actuals.get(each.code))
        )
    kept = _sum(
        tuple(weight for weight, (found, _) in zip(weights, measured, strict=True) if found is not None)
    )
    general = []
    if all_in[0] != 100 * all_in[1]:
        general.append("NORMALISED")
    if kept[0] * all_in[1] != all_in[0] * kept[1]:
        general.append("WEIGHT_SPREAD")
    sum_of_points: Exact = (0, 1)
    readings = []
    for each, weight, (found, said) in zip(scheme.indicators, weights, measured, strict=True):
        share: Exact = (0, 1)
        points: Exact = (0, 1)
        reasons = said
        if found is not None and kept[0]:
            share = _share(weight, kept)
            points = _short(share[0] * found[0], share[1] * found[1])
            sum_of_points = _short(
                sum_of_points[0] * points[1] + points[0] * sum_of_points[1], sum_of_points[1] * points[1]
            )
            reasons = (*said, *general)
        own = periods.get(each.code, period)
        if own is not period and own != period:
            reasons = (*reasons, "OWN_PERIOD")
        readings.append(_reading(each, own, targets, actuals, found, share, points, reasons))
    total = rounded(*sum_of_points, 2) if kept[0] else None
    return Score(
        period,
        scheme,
        tuple(readings),
        total,
        None if total is None else grade_of(total),
        tuple(general) if kept[0] else ("NOTHING_MEASURED",),
    )


def _measured(
    indicator: Indicator, cap: Decimal, target: Target | None, actual: Actual | None
) -> tuple[Exact | None, tuple[str, ...]]:
    """The attainment and what is to be said; None for one that is left out."""
    said = (*(target.reasons if target else ()), *(actual.reasons if actual else ()))
    missing = []
    wanted = exact(target.part, target.whole) if target and target.whole else None
    if wanted is None or (indicator.direction != LOWER and wanted[0] <= 0):
        missing.append("NO_TARGET")
    if actual is None or not actual.whole:
        missing.append("NO_CASES")
    if missing or wanted is None or actual is None:
        return None, (*said, *missing)
    found, odd = attainment_of(indicator, cap, exact(actual.part, actual.whole), wanted)
    return found, (*said, *odd)


def _reading(
    indicator: Indicator,
    period: Period,
    targets: Mapping[str, Target],
    actuals: Mapping[str, Actual],
    found: Exact | None,
    share: Exact,
    points: Exact,
    reasons: tuple[str, ...],
) -> Reading:
    target, actual = targets.get(indicator.code), actuals.get(indicator.code)
    measured = actual is not None and bool(actual.whole)
    return Reading(
        indicator,
        period,
        rounded(*exact(actual.part, actual.whole)) if actual and measured else None,
        actual.part if actual and measured else None,
        actual.whole if actual and measured else None,
        rounded(*exact(target.part, target.whole)) if target and target.whole else None,
        None if found is None else rounded(*found),
        rounded(*share),
        rounded(*points),
        _in_order(reasons) if reasons else (),
        actual.evidence if actual else NO_EVIDENCE,
        actual.unapproved if actual else None,
    )


@lru_cache(maxsize=1024)
def _in_order(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in the order in which they are told."""
    return tuple(code for code in REASONS if code in reasons)


@lru_cache(maxsize=1024)
def _share(weight: Exact, kept: Exact) -> Exact:
    """A weight's part of 100, of the weights that were kept."""
    return _short(100 * weight[0] * kept[1], weight[1] * kept[0])


@lru_cache(maxsize=1024)
def _sum(numbers: tuple[Exact, ...]) -> Exact:
    over, under = 0, 1
    for n, d in numbers:
        over, under = over * d + n * under, under * d
    return _short(over, under)


def _short(over: int, under: int) -> Exact:
    by = gcd(over, under)
    return over // by, under // by
