"""Distribution, trend, quadrants, C twice running and honours, by their stated rules."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from server.indicators.compare import (
    HONOURS,
    MOST_SHARING,
    Contender,
    c_twice_running,
    distribution,
    honours,
    part,
    quadrant,
    trend,
)
from server.indicators.periods import Period
from server.indicators.score import Actual, Indicator, Scheme, Score, Target, score

MARCH = Period("month", date(2026, 3, 1), date(2026, 4, 1))
D = Decimal
ROWS = (
    Indicator("valid_visits", "process", weight=D(30)),
    Indicator("response_time", "process", "lower", weight=D(10)),
    Indicator("deal_amount", "result", weight=D(40), source="values"),
    Indicator("customer_satisfaction", "satisfaction", weight=D(20), source="values"),
)


def of(visits: Any, hours: Any, deals: Any, liked: Any) -> Score:
    """A score: visits of 100, hours against 2, deals of 100, satisfaction of 100; None was not measured."""
    given = dict(zip((row.code for row in ROWS), (visits, hours, deals, liked), strict=True))
    actuals = {code: Actual(D(amount)) for code, amount in given.items() if amount is not None}
    wanted = {row.code: Target(D(2) if row.direction == "lower" else D(100)) for row in ROWS}
    return score(Scheme("s", 1, ROWS), MARCH, {}, wanted, actuals)


def test_the_distribution_is_shown_beside_the_usual_shares() -> None:
    grades = ["S"] * 3 + ["A"] * 7 + ["B"] * 8 + ["C"] * 2 + [None]
    assert [(one.grade, one.people, one.share, one.hint) for one in distribution(grades)] == [
        ("S", 3, D("15.00"), "within"),
        ("A", 7, D("35.00"), "within"),
        ("B", 8, D("40.00"), "within"),
        ("C", 2, D("10.00"), "within"),
    ]
    assert [one.hint for one in distribution(["S", "S", "A"])] == ["above", "within", "below", "below"]
    assert {one.share for one in distribution([])} == {D("0.00")}


@pytest.mark.parametrize(
    ("totals", "change", "way", "run"),
    [
        ([], None, "level", 0),
        (["70"], None, "level", 0),
        (["70", "75", "80.5"], "5.5", "up", 2),
        (["80", "70", "75", None, "80"], "5", "up", 2),
        (["80", "70"], "-10", "down", 1),
        (["80", "80.99"], "0.99", "level", 1),
    ],
)
def test_a_trend_is_the_change_and_how_long_it_goes_that_way(
    totals: list[str | None], change: str | None, way: str, run: int
) -> None:
    found = trend([None if total is None else D(total) for total in totals])
    assert (found.change, found.way, found.run) == (None if change is None else D(change), way, run)


@pytest.mark.parametrize(
    ("grades", "flagged"),
    [("CC", True), ("SCC", True), ("CBC", False), ("C", False), ("", False), ("CCB", False), ("C-C", False)],
)
def test_c_twice_running_is_flagged(grades: str, flagged: bool) -> None:
    assert c_twice_running([None if grade == "-" else grade for grade in grades]) is flagged


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ((100, 2, 90, 100), "strong"),
        ((50, 4, 90, 60), "result_without_quality"),
        ((100, 2, 60, 90), "quality_without_result"),
        ((50, 4, 60, 60), "needs_help"),
        ((100, 2, None, 100), None),
        ((None, None, 90, None), None),
    ],
)
def test_four_quadrants_of_result_and_quality(figures: tuple[Any, ...], name: str | None) -> None:
    assert quadrant(of(*figures).readings) == name


def test_a_part_is_the_total_of_its_readings_as_if_they_were_all() -> None:
    # (30 x 0.9 + 10 x 0.5) / 40 x 100 = 32/40 x 100
    assert part(of(90, 4, 10, 10).readings, ("process",)) == D("80.00")
    assert part(of(90, None, 10, 10).readings, ("process",)) == D("90.00")
    assert part(of(None, None, 10, 10).readings, ("process",)) is None


def test_honours_go_by_their_stated_rules() -> None:
    found = honours(
        MARCH,
        [
            Contender("walker", of(150, 2, 50, 60), before=D(90)),
            Contender("helper", of(60, 1, 50, 100), before=D("79.9")),
            Contender("riser", of(70, 2, 90, 80), before=D(60)),
            Contender("new", of(80, 2, 80, 80), joined=date(2026, 1, 15)),
            Contender("less new", of(100, 2, 100, 100), joined=date(2025, 9, 29)),
            Contender("absent", of(None, None, None, None), before=D(0), joined=date(2026, 3, 1)),
        ],
    )
    assert {one.honour: (one.people, one.figure) for one in found} == {
        "process_star": (("walker",), D("137.50")),  # (30 x 1.5 + 10 x 1) / 40
        "service_star": (("helper",), D("116.67")),  # (10 x 1.5 + 20 x 1) / 30
        "fastest_progress": (("riser",), D("23.00")),  # 21 + 10 + 36 + 16 = 83
        "best_newcomer": (("new",), D("82.00")),  # 24 + 10 + 32 + 16
    }
    assert [one.honour for one in found] == list(HONOURS)


def test_equal_figures_share_an_honour_and_without_merit_there_is_none() -> None:
    same = of(90, 2, 50, 60)
    found = {one.honour: one for one in honours(MARCH, [Contender("b", same), Contender("a", same)])}
    assert found["process_star"].people == ("a", "b")
    assert set(found) == {"process_star", "service_star"}
    weak = of(50, 4, 50, 50)
    assert honours(MARCH, [Contender("a", weak, before=weak.total, joined=date(2026, 3, 1))]) == []
    assert honours(MARCH, []) == []
    all_alike = [Contender(f"{n:02}", same) for n in range(MOST_SHARING + 1)]
    assert [each.honour for each in honours(MARCH, all_alike[1:])] == list(found)
    assert honours(MARCH, all_alike) == [], "what everybody has sets nobody apart"
