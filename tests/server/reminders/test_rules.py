"""When somebody is told: at the right time on the wall through a year of changing clocks, and never in quiet hours."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.followups.rules import due_at
from server.reminders.rules import (
    RULES,
    Owed,
    Wishes,
    disturb_at,
    next_beat,
    not_visited,
    of_follow_up,
    of_visit,
    wall,
    wishes_of,
)

ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]
ANY_ZONE = st.sampled_from(ZONES).map(ZoneInfo)
START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 5 * 366 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
CLOCK = st.times().map(lambda at: at.strftime("%H:%M"))


def follow_up(**more: Any) -> dict[str, Any]:
    return {"owner_id": "rob", "status": "open", "due_date": "2026-11-26", "due_time": "15:00"} | more


def owed(zone: str = "Europe/London", wishes: Wishes | None = None, **more: Any) -> dict[str, datetime]:
    values = follow_up(**more)
    place = ZoneInfo(zone)
    due = due_at(values["due_date"], values["due_time"], place)
    return {each.rule: each.at for each in of_follow_up(values, due, place, wishes or Wishes())}


def test_a_promise_for_thursday_at_three_is_told_at_half_past_two_late_at_three_and_to_the_manager_a_day_later() -> (
    None
):
    assert owed() == {
        "follow_up_due": datetime(2026, 11, 26, 14, 30, tzinfo=UTC),
        "follow_up_overdue": datetime(2026, 11, 26, 15, 0, tzinfo=UTC),
        "escalation": datetime(2026, 11, 27, 15, 0, tzinfo=UTC),
    }


def test_the_lead_time_is_the_persons_unless_the_promise_names_its_own() -> None:
    assert owed(wishes=Wishes(lead_min=60))["follow_up_due"] == datetime(2026, 11, 26, 14, tzinfo=UTC)
    own = owed(wishes=Wishes(lead_min=60), remind_before_min=0)
    assert own["follow_up_due"] == datetime(2026, 11, 26, 15, tzinfo=UTC)


def test_an_all_day_promise_is_told_in_the_morning_and_late_the_morning_after() -> None:
    told = owed("Asia/Shanghai", due_time=None)
    assert told["follow_up_due"] == datetime(2026, 11, 26, 1, tzinfo=UTC)
    assert told["follow_up_overdue"] == datetime(2026, 11, 27, 1, tzinfo=UTC)
    assert told["escalation"] == datetime(2026, 11, 27, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "more", [{"status": "done"}, {"status": "cancelled"}, {"due_date": None, "due_time": None}]
)
def test_nothing_is_owed_about_what_is_settled_or_has_no_day(more: dict[str, Any]) -> None:
    assert owed(**more) == {}


def test_the_last_day_of_the_calendar_is_a_day_too() -> None:
    assert owed(due_date="9999-12-31", due_time=None)
    assert owed(due_date="0001-01-01", due_time="00:00", zone="Asia/Shanghai")


def test_a_plan_is_missed_half_an_hour_late_and_a_visit_asked_after_when_it_runs_on() -> None:
    london, limit = ZoneInfo("Europe/London"), timedelta(hours=4)
    plan = {"rep_id": "rob", "status": "planned", "planned_date": "2026-07-01", "planned_time": "10:00"}
    assert list(of_visit(plan, None, london, limit)) == [
        Owed("plan_not_started", "rob", datetime(2026, 7, 1, 9, 30, tzinfo=UTC))
    ]
    began = datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
    assert list(of_visit(plan | {"status": "open"}, began, london, limit)) == [
        Owed("visit_open", "rob", datetime(2026, 7, 1, 13, 0, tzinfo=UTC))
    ]
    for status in ("done", "cancelled", "missed"):
        assert not list(of_visit(plan | {"status": status}, began, london, limit))
    assert not list(of_visit(plan | {"planned_time": None}, None, london, limit))


@pytest.mark.parametrize("name", ZONES)
def test_the_clock_on_the_wall_shows_the_wished_time_on_every_day_of_a_year(name: str) -> None:
    zone = ZoneInfo(name)
    beat, seen = datetime(2027, 12, 31, 12, tzinfo=UTC), []
    while len(seen) < 400:  # a leap year and more
        beat = next_beat(beat, "08:30", zone)
        seen.append(beat.astimezone(zone))
    assert {at.strftime("%H:%M") for at in seen} == {"08:30"}
    days = [at.date() for at in seen]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert date(2028, 2, 29) in days


@pytest.mark.parametrize(
    ("name", "day", "at", "instant"),
    [
        ("Europe/London", date(2026, 3, 29), "01:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("Europe/London", date(2026, 10, 25), "01:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("America/New_York", date(2026, 3, 8), "02:30", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        ("America/New_York", date(2026, 11, 1), "01:30", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:15", datetime(2026, 10, 3, 15, 45, tzinfo=UTC)),
        ("Australia/Lord_Howe", date(2026, 4, 5), "01:45", datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
    ],
)
def test_a_time_that_a_night_leaves_out_or_has_twice_has_one_meaning(
    name: str, day: date, at: str, instant: datetime
) -> None:
    assert wall(day, at, ZoneInfo(name)) == instant


@given(INSTANTS, ANY_ZONE, CLOCK, CLOCK)
def test_nothing_disturbs_in_quiet_hours_and_nothing_is_put_off_by_more_than_a_day(
    wanted: datetime, zone: ZoneInfo, begins: str, ends: str
) -> None:
    wishes = Wishes(quiet_from=begins, quiet_to=ends)
    at = disturb_at(wanted, wishes, zone)
    assert wanted <= at <= wanted + timedelta(hours=25)
    assert disturb_at(at, wishes, zone) == at
    if begins != ends:
        now = at.astimezone(zone).strftime("%H:%M")
        quiet = begins <= now < ends if begins < ends else now >= begins or now < ends
        assert not quiet or (at == wanted and _twice(at, zone))


def _twice(at: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall shows this time a second time, so that the end of the night lies behind already."""
    return at.astimezone(zone).fold == 1


def test_an_instant_in_the_night_waits_for_the_morning_and_one_by_day_for_nothing() -> None:
    london, wishes = ZoneInfo("Europe/London"), Wishes()
    assert disturb_at(datetime(2026, 11, 21, 22, tzinfo=UTC), wishes, london) == datetime(
        2026, 11, 22, 7, 30, tzinfo=UTC
    )
    assert disturb_at(datetime(2026, 11, 22, 3, tzinfo=UTC), wishes, london) == datetime(
        2026, 11, 22, 7, 30, tzinfo=UTC
    )
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert disturb_at(noon, wishes, london) == noon


def test_wishes_that_make_no_sense_are_as_everybody_has_them() -> None:
    assert wishes_of(None) == Wishes()
    nonsense = {
        "lead_min": -1,
        "quiet_from": "25:00",
        "off": ["test", "nonsense"],
        "discreet": "yes",
        "more": 1,
    }
    assert wishes_of(nonsense) == Wishes()
    told = wishes_of({"lead_min": 10, "quiet_from": "20:00:00", "off": ["comment"], "discreet": True})
    assert told == Wishes(lead_min=10, quiet_from="20:00", off=frozenset({"comment"}), discreet=True)


@pytest.mark.parametrize(
    ("grade", "days", "late"),
    [
        ("A", 7, False),
        ("A", 8, True),
        ("B", 15, False),
        ("B", 16, True),
        ("C", 30, False),
        ("C", 31, True),
        (None, 99, False),
    ],
)
def test_a_customer_is_named_when_it_waited_longer_than_its_grade_allows(
    grade: str, days: int, late: bool
) -> None:
    today = date(2026, 11, 21)
    assert not_visited(grade, today - timedelta(days=days), today) is late
    assert not_visited(grade, None, today) is False


def test_every_kind_that_is_owed_is_in_the_table() -> None:
    assert owed().keys() <= RULES.keys()
