"""Period edges: in six zones, with weeks that start on Monday and on Sunday, and a rep who travels across them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from server.indicators.measure import Facts, Visit, measure
from server.indicators.periods import (
    Calendar,
    Period,
    after,
    before,
    closes_at,
    days_left,
    ended_at,
    own_period,
    parts,
    period_of,
)
from server.indicators.score import Indicator
from server.visits.rules import KindRule, Settings, conclude

ZONES = (
    "Pacific/Kiritimati",  # UTC+14
    "Asia/Shanghai",
    "Asia/Kathmandu",  # a quarter of an hour off
    "Europe/London",
    "America/New_York",
    "Pacific/Pago_Pago",  # UTC-11
)
MONDAY, SUNDAY = 0, 6
VISITS = Indicator("valid_visits")


def visit(at: datetime, zone: str, identity: str = "v") -> Visit:
    """A visit of an hour as the server concludes it: its day is that of the check-in, in the zone of that moment."""
    wall = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    moment = {"wall": wall, "mono_ms": 0, "life": "x", "offset_ms": 0, "zone": zone}
    values = {
        "status": "done",
        "mode": "online",
        "minutes": "They want twelve cases.",
        "check_in": moment,
        "check_out": moment,
    }
    clock = {
        "check_in": {"best": at, "doubt_ms": 0, "written": at, "received": at},
        "check_out": {
            "best": at + timedelta(hours=1),
            "doubt_ms": 0,
            "written": at + timedelta(hours=1),
            "received": at,
        },
    }
    found = conclude(
        values,
        clock,
        None,
        200,
        KindRule(),
        Settings(),
        accepted=False,
        after_deactivation=False,
        no_position_habit=False,
    )
    assert found["valid"], found["reasons"]
    return Visit(identity, "shop", found["day"], "done", True, (), found["duration_s"])


def counted(period: Period, *visits: Visit) -> tuple[str, ...]:
    as_of = datetime(2027, 1, 1, tzinfo=UTC)
    return measure(VISITS, Facts(visits=visits), period, as_of, "2027-01-01").evidence.counted


EDGES: dict[str, tuple[Period, datetime, datetime]] = {
    # period -> its last second and the first of the next, on the wall
    "day": (
        period_of("day", date(2026, 3, 8)),
        datetime(2026, 3, 8, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 9, tzinfo=UTC),
    ),
    "week from Monday": (
        period_of("week", date(2026, 3, 8), MONDAY),
        datetime(2026, 3, 8, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 9, tzinfo=UTC),
    ),
    "week from Sunday": (
        period_of("week", date(2026, 3, 8), SUNDAY),
        datetime(2026, 3, 14, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 15, tzinfo=UTC),
    ),
    "month": (
        period_of("month", date(2026, 3, 31)),
        datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 4, 1, tzinfo=UTC),
    ),
    "year": (
        period_of("year", date(2026, 1, 1)),
        datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    ),
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("edge", EDGES)
def test_a_visit_counts_in_the_period_of_its_own_wall_clock(zone: str, edge: str) -> None:
    period, last, first = EDGES[edge]
    here = ZoneInfo(zone)
    inside = visit(last.replace(tzinfo=here), zone, "inside")
    outside = visit(first.replace(tzinfo=here), zone, "outside")
    assert counted(period, inside, outside) == ("inside",)
    week = SUNDAY if edge == "week from Sunday" else MONDAY
    assert counted(after(period, week), inside, outside) == ("outside",)


@pytest.mark.parametrize("week_start", [MONDAY, SUNDAY])
def test_a_rep_who_travels_across_zones_has_each_visit_in_exactly_one_period(week_start: int) -> None:
    # Saturday night in Shanghai, a flight over the date line, and Saturday morning again in Pago Pago.
    start = datetime(2026, 3, 7, 22, tzinfo=ZoneInfo("Asia/Shanghai"))
    seen = [
        visit(start + timedelta(hours=3 * n), zone, f"v{n}")
        for n, zone in enumerate(
            ("Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York")
        )
    ]
    assert [one.day for one in seen] == ["2026-03-07", "2026-03-08", "2026-03-07", "2026-03-07"]
    for kind in ("day", "week", "month"):
        period, found = period_of(kind, date(2026, 2, 25), week_start), []
        while period.starts_on < date(2026, 4, 2):
            found += counted(period, *seen)
            period = after(period, week_start)
        assert sorted(found) == ["v0", "v1", "v2", "v3"], kind
    weeks = [
        counted(period_of("week", day, week_start), *seen) for day in (date(2026, 3, 7), date(2026, 3, 8))
    ]
    everything = ("v0", "v1", "v2", "v3")
    assert weeks == ([everything, everything] if week_start == MONDAY else [("v0", "v2", "v3"), ("v1",)])


@pytest.mark.parametrize("zone", ZONES)
def test_a_period_is_over_when_its_midnight_is_over_in_the_last_zone(zone: str) -> None:
    march = period_of("month", date(2026, 3, 1))
    assert ended_at(march, [ZoneInfo(zone)]) == datetime(2026, 4, 1, tzinfo=ZoneInfo(zone))
    assert closes_at(march, [ZoneInfo(zone)]) == datetime(2026, 4, 1, tzinfo=ZoneInfo(zone)) + timedelta(
        days=3
    )
    everywhere = [ZoneInfo(one) for one in ZONES]
    assert ended_at(march, everywhere) == datetime(2026, 4, 1, 11, tzinfo=UTC)  # Pago Pago is last
    assert closes_at(march, everywhere, 1) == datetime(2026, 4, 2, 11, tzinfo=UTC)
    assert ended_at(march, []) == datetime(2026, 4, 1, tzinfo=UTC)


def test_a_change_of_clocks_moves_no_edge() -> None:
    new_york = ZoneInfo("America/New_York")  # the 8th of March 2026 has 23 hours there
    sunday = period_of("day", date(2026, 3, 8))
    assert ended_at(sunday, [new_york]) - ended_at(before(sunday), [new_york]) == timedelta(hours=23)
    late = visit(datetime(2026, 3, 8, 23, 59, tzinfo=new_york), "America/New_York")
    assert counted(sunday, late) == ("v",)


@pytest.mark.parametrize(
    ("day", "monday", "sunday"),
    [
        ("2026-03-01", "2026-02-23", "2026-03-01"),
        ("2026-03-02", "2026-03-02", "2026-03-01"),
        ("2025-12-31", "2025-12-29", "2025-12-28"),
        ("2026-01-01", "2025-12-29", "2025-12-28"),
        ("2026-01-04", "2025-12-29", "2026-01-04"),
    ],
)
def test_weeks_start_on_the_organisations_day(day: str, monday: str, sunday: str) -> None:
    found = [
        period_of("week", date.fromisoformat(day), start).starts_on.isoformat() for start in (MONDAY, SUNDAY)
    ]
    assert found == [monday, sunday]


@pytest.mark.parametrize(
    ("kind", "day", "starts_on", "ends_on"),
    [
        ("month", "2024-02-29", "2024-02-01", "2024-03-01"),
        ("month", "2026-12-31", "2026-12-01", "2027-01-01"),
        ("quarter", "2026-03-31", "2026-01-01", "2026-04-01"),
        ("quarter", "2026-12-01", "2026-10-01", "2027-01-01"),
        ("half", "2026-06-30", "2026-01-01", "2026-07-01"),
        ("half", "2026-07-01", "2026-07-01", "2027-01-01"),
        ("year", "2026-07-01", "2026-01-01", "2027-01-01"),
    ],
)
def test_periods_of_the_calendar(kind: str, day: str, starts_on: str, ends_on: str) -> None:
    found = period_of(kind, date.fromisoformat(day))
    assert found.document() == {"kind": kind, "starts_on": starts_on, "ends_on": ends_on}


@pytest.mark.parametrize(
    ("own", "kind", "day", "starts_on"),
    [
        ("quarter", "month", "2026-03-15", "2026-01-01"),
        ("quarter", "month", "2026-02-15", "2025-10-01"),
        ("half", "month", "2026-06-01", "2026-01-01"),
        ("month", "week", "2026-03-04", "2026-02-01"),
        ("month", "day", "2026-03-31", "2026-03-01"),
        ("week", "month", "2026-03-15", "2026-03-01"),
        (None, "month", "2026-03-15", "2026-03-01"),
    ],
)
def test_an_indicator_is_read_over_its_own_period_or_the_scores(
    own: str | None, kind: str, day: str, starts_on: str
) -> None:
    found = own_period(own, period_of(kind, date.fromisoformat(day)))
    assert found.starts_on.isoformat() == starts_on


def test_weeks_reach_over_the_edges_of_a_month() -> None:
    march = period_of("month", date(2026, 3, 1))
    weeks = parts(march, "week", MONDAY)
    assert [week.starts_on.isoformat() for week in weeks] == [
        *("2026-02-23", "2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30")
    ]
    assert parts(march, "week", SUNDAY)[0].starts_on == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, 12),
        ({"off": frozenset({date(2026, 3, 17)})}, 11),
        ({"weekdays": frozenset(range(7))}, 16),
        ({"left": date(2026, 3, 18)}, 2),
        ({"joined": date(2026, 3, 31)}, 1),
        ({"joined": date(2026, 4, 1)}, 0),
    ],
)
def test_today_is_left_until_it_is_over(fields: dict[str, Any], left: int) -> None:
    assert days_left(Calendar(**fields), period_of("month", date(2026, 3, 1)), date(2026, 3, 16)) == left
