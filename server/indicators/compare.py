"""Scores beside each other: distribution, trend, quadrants, C twice running, honours. Pure; hints for people, no verdicts.

Source: PRODUCT, "Points" (the usual shares of grades; C twice running is flagged, with no automatic consequence).
The rules of quadrants and honours are stated here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from server.indicators.periods import Period
from server.indicators.score import Reading, Score, rounded

# -- distribution ------------------------------------------------------------------------------------------------------

USUAL: Mapping[str, tuple[int, int]] = {"S": (10, 15), "A": (30, 40), "B": (30, 40), "C": (5, 10)}
"""Grade -> the share of people, in percent, that usually has it: shown as a hint, never enforced."""


@dataclass(frozen=True, slots=True)
class GradeShare:
    """How many have a grade: `share` in percent (2 places) of all with one; `hint` `below`, `within`, `above` the usual."""

    grade: str
    people: int
    share: Decimal
    usual: tuple[int, int]
    hint: str


def distribution(grades: Iterable[str | None]) -> list[GradeShare]:
    """The real distribution beside the usual one, S first. Who has no grade is not counted; of nobody each share is 0."""
    known = [grade for grade in grades if grade is not None]
    found = []
    for grade, (low, high) in USUAL.items():
        people = known.count(grade)
        of = max(len(known), 1)
        hint = "below" if 100 * people < low * of else "above" if 100 * people > high * of else "within"
        found.append(GradeShare(grade, people, rounded(100 * people, of, 2), (low, high), hint))
    return found


# -- over time ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trend:
    """`change` since the period before (None without one), `way` `up`, `down` or `level`; `run` periods in a row."""

    change: Decimal | None
    way: str
    run: int


LEVEL = Decimal(1)
"""A change of less than this is none."""


def trend(totals: Sequence[Decimal | None]) -> Trend:
    """Where somebody's totals go, the oldest first; periods without one are passed over."""
    known = [total for total in totals if total is not None]
    ways = [_way(after - before) for before, after in pairwise(known)]
    if not ways:
        return Trend(None, "level", 0)
    run = 0
    for way in reversed(ways):
        if way != ways[-1]:
            break
        run += 1
    return Trend(known[-1] - known[-2], ways[-1], run)


def _way(change: Decimal) -> str:
    return "level" if abs(change) < LEVEL else "up" if change > 0 else "down"


def c_twice_running(grades: Sequence[str | None]) -> bool:
    """Whether the last two periods, the oldest first, both ended in C; one without a grade between them breaks the row."""
    return len(grades) >= 2 and grades[-1] == grades[-2] == "C"


# -- parts of a score --------------------------------------------------------------------------------------------------


def part(readings: Iterable[Reading], kinds: Iterable[str] = (), codes: Iterable[str] = ()) -> Decimal | None:
    """The total of some readings alone, as if they were all (2 places, half-even); None where none of them counted."""
    wanted_kinds, wanted = set(kinds), set(codes)
    points = share = Decimal(0)
    for reading in readings:
        one = reading.indicator
        if reading.attainment is not None and (one.kind in wanted_kinds or one.code in wanted):
            points += reading.share * reading.attainment
            share += reading.share
    if not share:
        return None
    over, under = points.as_integer_ratio()
    n, d = share.as_integer_ratio()
    return rounded(100 * over * d, under * n, 2)


QUADRANTS: Mapping[tuple[bool, bool], str] = {
    (True, True): "strong",
    (True, False): "result_without_quality",
    (False, True): "quality_without_result",
    (False, False): "needs_help",
}
"""(result reached, quality reached) -> quadrant."""

REACHED = Decimal(80)
"""From this part total on, a side counts as reached: the bound of grade A."""


def sides(readings: Sequence[Reading]) -> tuple[Decimal, Decimal] | None:
    """Result (readings of kind `result`) and quality (all other kinds), as part totals; None where one was not measured."""
    result = part(readings, ("result",))
    quality = part(readings, ("process", "ability", "satisfaction"))
    return None if result is None or quality is None else (result, quality)


def quadrant(readings: Sequence[Reading]) -> str | None:
    """Which of `QUADRANTS` these readings stand in; None where a side was not measured."""
    found = sides(readings)
    return None if found is None else quadrant_of(found)


def quadrant_of(found: tuple[Decimal, Decimal]) -> str:
    """Which of `QUADRANTS` result and quality stand in."""
    return QUADRANTS[found[0] >= REACHED, found[1] >= REACHED]


# -- honours -----------------------------------------------------------------------------------------------------------

SERVICE = frozenset({"response_time", "follow_ups_on_time"})
LEAST = Decimal(70)
"""Nobody is honoured with less: below it is a C."""
NEWCOMER = timedelta(days=183)
"""Who joined no longer than this before the period's end is a newcomer."""

HONOURS: Mapping[str, str] = {
    "process_star": "The highest total of the process indicators alone, 70 at least.",
    "service_star": "The highest total of satisfaction, response time and follow-ups on time alone, 70 at least.",
    "fastest_progress": "The greatest rise of the total over the period before, 1 point at least.",
    "best_newcomer": "The highest total of those who joined within 183 days before the period's end, 70 at least.",
}
"""Honour -> its rule. Equal figures share an honour; where nobody meets the rule, or too many share it, there is none."""

MOST_SHARING = 10
"""What more people share, such as all who reached the cap, sets nobody apart."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody's score of the period, their total of the period before, and the first day that counted for them."""

    person: str
    score: Score
    before: Decimal | None = None
    joined: date | None = None


@dataclass(frozen=True, slots=True)
class Honour:
    """Who has it (by id), and the figure that it goes by."""

    honour: str
    people: tuple[str, ...]
    figure: Decimal


def honours(period: Period, contenders: Sequence[Contender]) -> list[Honour]:
    """The honours of a period by the stated rules, in the order of `HONOURS`; whoever has no total contends for none."""
    scored = [one for one in contenders if one.score.total is not None]
    figures: dict[str, dict[str, Decimal]] = {name: {} for name in HONOURS}
    for one in scored:
        total = one.score.total
        assert total is not None
        process = part(one.score.readings, ("process",))
        service = part(one.score.readings, ("satisfaction",), SERVICE)
        if process is not None and process >= LEAST:
            figures["process_star"][one.person] = process
        if service is not None and service >= LEAST:
            figures["service_star"][one.person] = service
        if one.before is not None and total - one.before >= LEVEL:
            figures["fastest_progress"][one.person] = total - one.before
        if one.joined is not None and total >= LEAST:
            if period.ends_on - NEWCOMER <= one.joined < period.ends_on:
                figures["best_newcomer"][one.person] = total
    found = []
    for name, each in figures.items():
        best = max(each.values(), default=None)
        people = tuple(sorted(who for who, figure in each.items() if figure == best))
        if best is not None and len(people) <= MOST_SHARING:
            found.append(Honour(name, people, best))
    return found
