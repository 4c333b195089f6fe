"""Days of real phones and of real couriers, as the process indicators tell them, against the published stays and labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

import pytest
import time_machine

from server.exchange.door import Change
from server.indicators.case import plain
from server.indicators.periods import Period, period_of
from server.indicators.score import rounded
from tests.realdata.conftest import Table
from tests.sums import disagreements
from tests.world import Phone, World, text

CALIFORNIA = "America/Los_Angeles"
BEFORE_IT_ALL = datetime(2015, 7, 1, tzinfo=UTC)
LONG_ENOUGH_S = 1800
ON_THE_SPOT_S = 600
LOOKED_FOR = "li2008_200m_20min"
"""The rule by which stays were looked for in the tracks that have no published ones."""

CODES = ("valid_visits", "customers_visited", "coverage", "logged_on_spot", "time_with_customers")


def identity(*parts: str) -> str:
    return str(uuid5(NAMESPACE_OID, ":".join(parts)))


def instant(seconds: float) -> datetime:
    """Unix seconds as the wire can say them, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def process(*codes: str, target: str = "1") -> list[dict[str, str]]:
    return [{"code": code, "weight": "1", "target": target} for code in codes]


def scored(world: World, who: str, period: Period) -> dict[str, str | None]:
    """Indicator -> actual of somebody in a period, as the route tells it."""
    path = f"/api/scores/{world.ids[who]}?period={period.kind}&starts_on={period.starts_on}"
    return {reading["indicator"]: reading["actual"] for reading in world.get("boss", path).json["readings"]}


def share(part: int, whole: int) -> str | None:
    return plain(rounded(part, whole)) if whole else None


def hours(seconds: Iterable[int]) -> str | None:
    return plain(rounded(sum(seconds), 3600))


# -- phones --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stay:
    """One stay of one phone: its place, its ends, its day and length as published, and what the phone logged as it began."""

    user: str
    place: str
    lat: float
    lon: float
    enter: float
    exit: float
    day: date
    seconds: int
    fix: dict[str, Any]
    written: float


@pytest.fixture
def stays(table: Table) -> list[Stay]:
    """The published stays of all phones; of the tracks without any, those that were looked for in them."""
    users = {row["track"]: row["user"] for row in table("tracks/phone/phone_tracks.csv")}
    logs: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table("tracks/phone/phone_locations.csv"):
        if float(row["ts"]) > 0:
            logs[row["track"]].append(row)
    found = []
    for row in table("tracks/phone/phone_reference_places.csv"):
        if row["enter_ts"] and row["exit_ts"]:
            ends = float(row["enter_ts"]), float(row["exit_ts"])
            day = date.fromisoformat(row["enter_local"][:10])
            found.append(_stay(users[row["track"]], row["place_id"], row, ends, day, logs[row["track"]]))
    told = {stay.user for stay in found}
    for row in table("tracks/phone/phone_stops.csv"):
        user = users[row["track"]]
        if row["rule"] == LOOKED_FOR and user not in told and row["open_end"] == "0":
            ends = float(row["arrival_ts"]), float(row["first_outside_ts"])
            day = datetime.fromtimestamp(ends[0], ZoneInfo(CALIFORNIA)).date()
            place = f"{row['track']} {row['stop_no']}"
            found.append(_stay(user, place, row, ends, day, logs[row["track"]]))
    return sorted(found, key=lambda stay: stay.enter)


def _stay(
    user: str,
    place: str,
    row: Mapping[str, str],
    ends: tuple[float, float],
    day: date,
    log: list[dict[str, str]],
) -> Stay:
    first = min(log, key=lambda one: abs(float(one["ts"]) - ends[0]))
    fix = {
        "lat": float(first["latitude"]),
        "lon": float(first["longitude"]),
        "accuracy_m": float(first["accuracy"]),
        "taken_at": text(instant(float(first["ts"]))),
    }
    length = (instant(ends[1]) - instant(ends[0])).total_seconds()
    assert abs(length - float(row["duration_s"])) <= 0.5, "published in whole seconds, or exactly"
    written = max(float(first["write_ts"]), ends[0])
    where = float(row["latitude"]), float(row["longitude"])
    return Stay(user, place, *where, *ends, day, int(length), fix, written)


def test_every_phones_days_weeks_and_months_come_to_the_published_stays(
    world: World, stays: list[Stay]
) -> None:
    """A stay of half an hour counts, with its very seconds; it was logged on the spot if its phone wrote it there."""
    of_user: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        of_user[stay.user].append(stay)
    assert {user: len(mine) for user, mine in of_user.items()} == {
        f"em-u{number}": count for number, count in enumerate((28, 3, 5, 8, 7, 5), start=1)
    }
    with time_machine.travel(BEFORE_IT_ALL, tick=False):
        world.create(
            "scheme",
            "scheme",
            name="S",
            valid_from="2015-01-01",
            status="approved",
            indicators=process(*CODES),
        )
        for user in of_user:
            world.person(user, "rep", "north")
        places = []
        for stay in stays:
            fields = {"name": stay.place, "lat": stay.lat, "lon": stay.lon, "owner_id": world.ids[stay.user]}
            place = fields | {"team_id": world.ids["north"]}
            places.append(Change("customer", identity("place", stay.place), "create", place))
        world.write(*places)
    for user, mine in of_user.items():
        phone = world.phone(user)
        phone.zone = CALIFORNIA
        for _, some in groupby(mine, key=lambda stay: stay.day):
            of_day = list(some)
            with time_machine.travel(instant(max(max(one.exit, one.written) for one in of_day)), tick=False):
                receipts = phone.push(*(visit(phone, stay) for stay in of_day))
            assert {receipt["status"] for receipt in receipts} == {"applied"}
    late = [stay for stay in stays if stay.written - stay.enter > ON_THE_SPOT_S]
    assert len(late) == 1, "one fix was written an hour after it was taken"
    for user, mine in of_user.items():
        for kind in ("day", "week", "month"):
            for period in {period_of(kind, stay.day) for stay in mine}:
                inside = [stay for stay in mine if stay.day in period]
                assert scored(world, user, period) == expected(inside, len(mine)), (user, period)
    together = period_of("day", date(2016, 2, 22))  # two phones on one day
    assert disagreements(world, of_user, datetime(2016, 2, 22, 20, tzinfo=UTC)) == []
    path = f"/api/scores?period=day&starts_on={together.starts_on}&team={world.ids['north']}"
    of_team = {
        one["indicator"]: one["actual"] for one in world.get("boss", path).json["team_score"]["readings"]
    }
    inside = [stay for stay in stays if stay.day in together]
    assert {stay.user for stay in inside} == {"em-u3", "em-u4"}
    assert of_team == expected(inside, len(stays))


def visit(phone: Phone, stay: Stay) -> dict[str, Any]:
    """The stay as the phone tells it, written when the phone wrote the fix that it began with."""
    fields = {
        "customer_id": identity("place", stay.place),
        "mode": "in_person",
        "kind": "sales_call",
        "status": "done",
        "check_in": phone.moment(instant(stay.enter)),
        "check_in_fix": stay.fix,
        "check_out": phone.moment(instant(stay.exit)),
        "minutes": "Walked the shelves together.",
    }
    return phone.create("visit", identity("visit", stay.place), at=instant(stay.written), **fields)


def expected(inside: list[Stay], own: int) -> dict[str, str | None]:
    long = [stay for stay in inside if stay.seconds >= LONG_ENOUGH_S]
    spot = sum(stay.written - stay.enter <= ON_THE_SPOT_S for stay in inside)
    return {
        "valid_visits": str(len(long)),
        "customers_visited": str(len({stay.place for stay in long})),
        "coverage": share(len({stay.place for stay in long}), own),
        "logged_on_spot": share(spot, len(inside)),
        "time_with_customers": hours(stay.seconds for stay in long),
    }


# -- couriers ------------------------------------------------------------------------------------------------------------

DELIVERY_S = 60
PIECES_A_DAY = 20
FIRST_DAY = date(2026, 3, 2)


@dataclass(frozen=True)
class Walk:
    """A courier on foot, without a break: on which of their days, from when to when in it, and from where (metres)."""

    day: date
    begun_ms: int
    ended_ms: int
    x: float
    y: float

    @property
    def door(self) -> dict[str, float]:
        """The place where it began: the plane is laid where the equator meets the meridian of Greenwich."""
        return {"lat": self.y / 110_574, "lon": self.x / 111_320}

    @property
    def seconds(self) -> int:
        return (self.ended_ms - self.begun_ms) // 1000


@pytest.fixture
def walks(table: Table) -> list[Walk]:
    """The labelled pieces of six minutes, twenty of them a day from eight o'clock on, one each ten minutes."""
    found = []
    rows = table("tracks/courier_goal/goal_points.csv.gz")
    for number, (_, piece) in enumerate(groupby(rows, key=lambda row: row["chunk"])):
        day = FIRST_DAY + timedelta(days=number // PIECES_A_DAY)
        eight = 8 * 3_600_000 + number % PIECES_A_DAY * 600_000
        for label, some in groupby(piece, key=lambda row: row["groundtruth"]):
            if label == "OnFoot":
                fixes = list(some)
                ends = (eight + _millis(fixes[n]["timestamp"]) for n in (0, -1))
                found.append(Walk(day, *ends, float(fixes[0]["x"]), float(fixes[0]["y"])))
    return found


def _millis(said: str) -> int:
    """Milliseconds since the piece began; only such differences mean anything."""
    _, _, clock = said.partition(" ")
    hour, minute, second = clock.split(":")
    return int((Decimal(hour) * 3600 + Decimal(minute) * 60 + Decimal(second)) * 1000)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_couriers_days_come_to_their_labelled_walks(world: World, walks: list[Walk]) -> None:
    """Each walk to a door is a delivery; one of a minute and more counts, driving past does not make one."""
    assert len(walks) == 484
    world.create("visit_kind", "delivery", code="delivery", name="Delivery", min_minutes={"in_person": 1})
    codes = ("valid_visits", "customers_visited", "time_with_customers")
    indicators = process(*codes)
    world.create(
        "scheme", "scheme", name="S", valid_from="2026-03-01", status="approved", indicators=indicators
    )
    doors = {walk: identity("door", str(number)) for number, walk in enumerate(walks)}
    about = {"owner_id": world.ids["rob"], "team_id": world.ids["north"]}
    world.write(
        *(
            Change("customer", door, "create", {"name": f"Door {door}"} | walk.door | about)
            for walk, door in doors.items()
        )
    )
    phone = world.phone("rob")
    for day, some in groupby(walks, key=lambda walk: walk.day):
        of_day = list(some)
        midnight = datetime.combine(day, datetime.min.time(), UTC)
        written = []
        for walk in of_day:
            began, ended = (
                midnight + timedelta(milliseconds=each) for each in (walk.begun_ms, walk.ended_ms)
            )
            fields = {
                "customer_id": doors[walk],
                "mode": "in_person",
                "kind": "delivery",
                "status": "done",
                "check_in": phone.moment(began),
                "check_in_fix": walk.door | {"accuracy_m": 5, "taken_at": text(began)},
                "check_out": phone.moment(ended),
                "minutes": "Left with a neighbour.",
            }
            written.append(phone.create("visit", at=ended, **fields))
        with time_machine.travel(midnight + timedelta(hours=20), tick=False):
            assert {receipt["status"] for receipt in phone.push(*written)} == {"applied"}
    for kind in ("day", "week", "month"):
        for period in {period_of(kind, walk.day) for walk in walks}:
            long = [walk for walk in walks if walk.day in period and walk.seconds >= DELIVERY_S]
            assert scored(world, "rob", period) == {
                "valid_visits": str(len(long)),
                "customers_visited": str(len(long)),
                "time_with_customers": hours(walk.seconds for walk in long),
            }
    end = datetime.combine(max(walk.day for walk in walks), datetime.min.time(), UTC) + timedelta(hours=21)
    assert disagreements(world, ["rob"], end) == []
