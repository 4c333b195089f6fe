"""A score of readings: scheme x targets x actuals. Pure: no clock, no database; exact, rounded once at the end.

Everything inside is a fraction of whole numbers, so that neither the order of the indicators nor the scale of their
weights can move the last digit. Decimals come in, decimals go out. Source: PRODUCT, "Points".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from math import lcm
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


Exact = tuple[int, int]
"""Numerator and denominator, the latter above 0."""


def exact(part: Decimal | int, whole: Decimal | int = 1) -> Exact:
    """`part` ÷ `whole` as a fraction of whole numbers; raises ZeroDivisionError."""
    over, under = (part, 1) if isinstance(part, int) else part.as_integer_ratio()
    if whole == 1:
        return over, under
    n, d = (whole, 1) if isinstance(whole, int) else whole.as_integer_ratio()
    if n == 0:
        raise ZeroDivisionError
    return (over * d, under * n) if n > 0 else (-over * d, under * -n)


def rounded(over: int, under: int, places: int = PLACES) -> Decimal:
    """A fraction (`under` > 0) to so many decimal places, half to even."""
    by, unit = _MOST_OFTEN if places == PLACES else _places(places)
    if under == 1:
        return over * by * unit
    # Half up: a half is added and what is left is cut off. Only where nothing is left it was a tie.
    whole, rest = divmod(2 * over * by + under, 2 * under)
    if not rest and whole % 2:
        whole -= 1
    return whole * unit


def _places(places: int) -> tuple[int, Decimal]:
    return 10**places, Decimal(1).scaleb(-places)


_MOST_OFTEN = _places(PLACES)


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


class Row(NamedTuple):
    """An indicator of a scheme as it is reckoned with: its `weight` as a whole number, in a measure that all rows of the
    scheme share, and the most attainment that counts."""

    indicator: Indicator
    code: str
    lower: bool
    weight: int
    most: Exact


@dataclass(frozen=True, slots=True)
class Scheme:
    """Indicators with weights; `version` tells which state of it."""

    id: str
    version: int
    indicators: tuple[Indicator, ...]
    cap: Decimal = DEFAULT_CAP
    rows: tuple[Row, ...] = field(init=False, repr=False, compare=False)
    in_percent: bool = field(init=False, repr=False, compare=False)
    """Whether the weights sum to 100."""

    def __post_init__(self) -> None:
        weights = [exact(each.weight) for each in self.indicators]
        measure = lcm(*(under for _, under in weights))
        rows = tuple(
            Row(
                each,
                each.code,
                each.direction == LOWER,
                over * measure // under,
                exact(each.cap or self.cap),
            )
            for each, (over, under) in zip(self.indicators, weights, strict=True)
        )
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "in_percent", sum(row.weight for row in rows) == 100 * measure)


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


NOT_MEASURED = Actual(0, 0)


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


def grade_of(total: Decimal) -> str:
    """S, A, B or C of a rounded total."""
    return next((name for name, least in GRADES if total >= least), LOWEST)


def attainment_of(row: Row, actual: Exact, target: Exact) -> tuple[Exact, tuple[str, ...]]:
    """actual ÷ target, or target ÷ actual where lower is better, held between 0 and the cap; and what is to be said."""
    if row.lower:
        if actual[0] <= 0:
            return row.most, ("ZERO_IS_BEST",)
        over, under = target[0] * actual[1], target[1] * actual[0]
    else:
        over, under = actual[0] * target[1], actual[1] * target[0]
    if over < 0:
        return (0, 1), ("BELOW_ZERO",)
    if over * row.most[1] > row.most[0] * under:
        return row.most, ("CAPPED",)
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
    measured = [_measured(row, targets.get(row.code), actuals.get(row.code)) for row in scheme.rows]
    # Points are weight x attainment; their sum is kept as one fraction, of which nothing is cut off.
    over, under, kept, all_in = 0, 1, 0, 0
    for row, (_, _, attainment, _) in zip(scheme.rows, measured, strict=True):
        all_in += row.weight
        if attainment is not None:
            kept += row.weight
            n, d = attainment
            over, under = over * d + row.weight * n * under, under * d
    general: tuple[str, ...] = () if scheme.in_percent else ("NORMALISED",)
    if kept != all_in:
        general += ("WEIGHT_SPREAD",)
    readings = []
    for row, (wanted, found, attainment, said) in zip(scheme.rows, measured, strict=True):
        share = points = NOTHING
        if attainment is not None and kept:
            share = _often(100 * row.weight, kept)
            points = rounded(100 * row.weight * attainment[0], kept * attainment[1])
            said += general
        own = periods.get(row.code, period)
        if own is not period and own != period:
            said += ("OWN_PERIOD",)
        actual = actuals.get(row.code, NOT_MEASURED)
        readings.append(
            Reading(
                row.indicator,
                own,
                None if found is None else rounded(*found),
                None if found is None else actual.part,
                None if found is None else actual.whole,
                None if wanted is None else _often(*wanted),
                None if attainment is None else rounded(*attainment),
                share,
                points,
                _in_order(said) if said else (),
                actual.evidence,
                actual.unapproved,
            )
        )
    total = rounded(100 * over, kept * under, 2) if kept else None
    return Score(
        period,
        scheme,
        tuple(readings),
        total,
        None if total is None else grade_of(total),
        general if kept else ("NOTHING_MEASURED",),
    )


_Measured = tuple[Exact | None, Exact | None, Exact | None, tuple[str, ...]]
"""Target, actual, attainment (each None if there is none), and what is to be said."""


def _measured(row: Row, target: Target | None, actual: Actual | None) -> _Measured:
    wanted = found = None
    said: tuple[str, ...] = ()
    if target is not None:
        said = target.reasons
        wanted = exact(target.part, target.whole) if target.whole else None
    if actual is not None:
        said += actual.reasons
        found = exact(actual.part, actual.whole) if actual.whole else None
    aimed = wanted is not None and (row.lower or wanted[0] > 0)
    if not aimed:
        said += ("NO_TARGET",)
    if found is None:
        said += ("NO_CASES",)
    if not aimed or wanted is None or found is None:
        return wanted, found, None, said
    attainment, odd = attainment_of(row, found, wanted)
    return wanted, found, attainment, said + odd


NOTHING = rounded(0, 1)

_often = lru_cache(maxsize=4096)(rounded)
"""Of a thousand people many have the same targets and shares."""


@lru_cache(maxsize=1024)
def _in_order(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in the order in which they are told."""
    return tuple(code for code in REASONS if code in reasons)
