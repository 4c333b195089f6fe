"""A year's target run down by hand to quarter, month, week and working day, over holidays and days off, for who stays,
joins and leaves, as the routes tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
import time_machine

from server.indicators.case import plain
from tests.world import World

NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOLIDAYS = ("2026-01-01", "2026-04-03", "2026-04-06", "2026-05-25", "2026-12-25")
"""All from Monday to Friday: of the 261 such days of 2026, 256 are left."""
ROBS_OWN = ("2026-03-10", "2026-03-11")
WEEK = "2026-03-09"
D = Decimal


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Rob has two days off; Una joins and Leo leaves in the middle of March; each is wanted two visits a working day."""
    world = shared_world
    with time_machine.travel(NEW_YEAR, tick=False):
        rows = [
            {"code": "valid_visits", "weight": "1"},
            {"code": "follow_ups_on_time", "weight": "1", "target": "1"},
        ]
        world.create("scheme", "s", name="S", valid_from="2026-01-01", status="approved", indicators=rows)
        world.person("una", "rep", "north", joined_on="2026-03-16")
        world.person("leo", "rep", "north", left_on="2026-03-18")
        for day in HOLIDAYS:
            world.create("day_off", f"holiday {day}", on=day, name="Holiday")
        for day in ROBS_OWN:
            world.create("day_off", f"own {day}", on=day, name="Training", person_id=world.ids["rob"])
        # Rob's own days off leave him 254: what is wanted of his year is spread over those.
        for who, amount in (("rob", "508"), ("ria", "512"), ("una", "512"), ("leo", "512")):
            want(world, who, "year", "2026-01-01", amount)
        yield world


def want(world: World, who: str, period: str, starts_on: str, amount: str, **more: Any) -> None:
    about = {"indicator": "valid_visits", "person_id": world.ids[who], "status": "held"} | more
    world.create("target", f"{who} {starts_on}", period=period, starts_on=starts_on, amount=amount, **about)


def told(world: World, who: str, period: str, starts_on: str, code: str = "valid_visits") -> Any:
    path = f"/api/scores/{world.ids[who]}?period={period}&starts_on={starts_on}"
    readings = world.get("mia", path).json["readings"]
    return next(reading for reading in readings if reading["indicator"] == code)


def wanted(world: World, who: str, period: str, starts_on: str) -> str | None:
    target: str | None = told(world, who, period, starts_on)["target"]
    return target


PERIODS = (
    ("year", "2026-01-01"),
    ("quarter", "2026-01-01"),
    ("month", "2026-03-01"),
    ("week", WEEK),
    ("day", WEEK),
    ("day", ROBS_OWN[0]),
    ("day", "2026-03-14"),
    ("day", "2026-04-03"),
)
BY_HAND = {
    # Monday to Friday: January 22 less New Year, February 20, March 22; 9 to 13 March 5; a Saturday; Good Friday.
    "ria": ("512", "126", "44", "10", "2", "2", "0", "0"),
    # The same less his two days.
    "rob": ("508", "122", "40", "6", "2", "0", "0", "0"),
    # From 16 March on: 205 of the year's 256 days, 12 of the quarter and of March, and not yet in that week.
    "una": ("410", "24", "24", "0", "0", "0", "0", "0"),
    # Until 17 March: 21 + 20 + 12 days; his part of the year is the same 53 of 256.
    "leo": ("106", "106", "24", "10", "2", "2", "0", "0"),
}


def test_a_years_target_runs_down_to_each_working_day_of_who_is_there(world: World) -> None:
    for who, amounts in BY_HAND.items():
        assert tuple(wanted(world, who, *period) for period in PERIODS) == amounts, who
    reasons = {who: "PRO_RATA" in told(world, who, "month", "2026-03-01")["reasons"] for who in BY_HAND}
    assert reasons == {"ria": False, "rob": False, "una": True, "leo": True}
    days = [(date(2026, 3, 1) + timedelta(days=n)).isoformat() for n in range(31)]
    assert sum(int(wanted(world, "rob", "day", day) or 0) for day in days) == 40, "days make up their month"
    assert told(world, "una", "month", "2026-03-01", "follow_ups_on_time")["target"] == "1", (
        "a level is not spread"
    )


def test_a_saturday_that_makes_up_for_a_holiday_is_a_working_day_but_not_for_who_has_it_off(
    world: World,
) -> None:
    saturday = "2026-03-14"
    want(world, "ria", "month", "2026-03-01", "46")
    want(world, "rob", "month", "2026-03-01", "40")
    world.create("day_off", "instead", on=saturday, name="For the holiday", worked=True)
    assert [wanted(world, "ria", *one) for one in (("day", saturday), ("day", WEEK), ("week", WEEK))] == [
        *("2", "2", "12")
    ]
    assert wanted(world, "rob", "day", saturday) == plain((D(40) / D(21)).quantize(D("0.000001")))
    world.create("day_off", "still off", on=saturday, name="Wedding", person_id=world.ids["rob"])
    assert (wanted(world, "rob", "day", saturday), wanted(world, "rob", "day", WEEK)) == ("0", "2")


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
def test_a_typed_month_stands_and_the_year_is_made_up_by_the_others(world: World) -> None:
    want(world, "ria", "month", "2026-03-01", "60")
    rest = (D(512) - D(60)) / (D(256) - D(22))
    quarter = (D(60) + rest * (D(21) + D(20))).quantize(D("0.000001"), ROUND_HALF_EVEN)
    assert wanted(world, "ria", "month", "2026-03-01") == "60"
    assert wanted(world, "ria", "quarter", "2026-01-01") == plain(quarter) == "139.196581"
    assert wanted(world, "ria", "week", WEEK) == plain((D(60) / D(22) * 5).quantize(D("0.000001")))
    assert wanted(world, "ria", "year", "2026-01-01") == "512"
    want(world, "ria", "week", WEEK, "40")
    assert wanted(world, "ria", "day", WEEK) == "8" and wanted(world, "ria", "month", "2026-03-01") == "60"
    assert wanted(world, "ria", "day", "2026-03-16") == plain((D(20) / D(17)).quantize(D("0.000001")))
    assert wanted(world, "rob", "month", "2026-03-01") == "40", "another's target is another's"


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
def test_a_team_is_wanted_what_was_typed_for_it_over_everybodys_calendar(world: World) -> None:
    want(world, "rob", "quarter", "2026-01-01", "630", person_id=None, team_id=world.ids["north"])

    def of_team(period: str, starts_on: str) -> str | None:
        path = f"/api/scores?period={period}&starts_on={starts_on}&team={world.ids['north']}"
        target: str | None = world.get("mia", path).json["team_score"]["readings"][0]["target"]
        return target

    # 63 working days of the quarter; one person's days off and another's joining change nothing for the team.
    assert [of_team("quarter", "2026-01-01"), of_team("month", "2026-03-01")] == ["630", "220"]
    assert [of_team("week", WEEK), of_team("day", ROBS_OWN[0])] == ["50", "10"]
    assert of_team("month", "2026-04-01") is None
