"""One day of real field staff: what the teams pushed over HTTP is what their manager's board counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

import pytest
import time_machine

from server.exchange.door import Change
from tests.realdata.conftest import Table
from tests.world import Phone, World, text

DAY = "2013-10-25"
"""Six teams were out on this day, and one inspection is not told to any."""

ZONE = ZoneInfo("America/Chicago")
REPS_A_TEAM = 3
RESULTS = {"Pass": "pass", "Pass w/ Conditions": "pass_with_conditions", "Fail": "fail"}


@pytest.fixture
def rows(table: Table) -> list[dict[str, str]]:
    return [row for row in table("visits/chicago_visits.csv.gz") if row["Inspection_Date"] == DAY]


@dataclass
class Inspectorate:
    """The teams as the city names them, by colour; "" for what is not told."""

    world: World
    teams: dict[str, str]


@pytest.fixture
def inspectorate(world: World, rows: list[dict[str, str]]) -> Inspectorate:
    """Each colour is a team under the root with three reps; each business is a customer of the team that called on it."""
    for code in RESULTS.values():
        world.create("outcome", code, code=code, name=code)
    teams = {colour: colour or "untold" for colour in sorted({row["sanitarian"] for row in rows})}
    for team in teams.values():
        world.create("team", team, name=team, parent_id=world.ids["root"])
        for number in range(REPS_A_TEAM):
            world.person(f"{team} {number}", "rep", team)
    customers = {}
    for row in rows:
        fields: dict[str, Any] = {"name": row["DBA_Name"], "address": row["Address"], "code": row["License"]}
        if row["Latitude"]:
            fields |= {"lat": float(row["Latitude"]), "lon": float(row["Longitude"])}
        customers[row["License"]] = fields | {"team_id": world.ids[teams[row["sanitarian"]]]}
    world.write(
        *(Change("customer", customer_of(code), "create", fields) for code, fields in customers.items())
    )
    return Inspectorate(world, teams)


def customer_of(licence: str) -> str:
    return str(uuid5(NAMESPACE_OID, licence))


def inspect(phone: Phone, row: dict[str, str], at: datetime) -> list[dict[str, Any]]:
    """What an inspector's phone writes about one inspection of 40 minutes."""
    there = {"none": "unavailable"}
    if row["Latitude"]:
        lat, lon = float(row["Latitude"]), float(row["Longitude"])
        there = {"lat": lat, "lon": lon, "accuracy_m": 15, "taken_at": text(at)}
    began = phone.check_in(customer_of(row["License"]), at, check_in_fix=there)
    found = f"{row['criticalCount']} critical, {row['seriousCount']} serious, {row['minorCount']} minor."
    ended = phone.check_out(
        began["entity"], at + timedelta(minutes=40), outcome=RESULTS[row["Results"]], minutes=found
    )
    return [began, ended]


def test_the_board_of_a_day_counts_what_the_city_published(
    inspectorate: Inspectorate, rows: list[dict[str, str]]
) -> None:
    world, teams = inspectorate.world, inspectorate.teams
    published = Counter(row["sanitarian"] for row in rows)
    assert len([colour for colour in published if colour]) == 6 and sum(published.values()) == 24
    shifts: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(rows):
        team = teams[row["sanitarian"]]
        shifts.setdefault(f"{team} {number % REPS_A_TEAM}", []).append(row)
    morning = datetime.fromisoformat(f"{DAY}T08:00").replace(tzinfo=ZONE)
    for who, calls in shifts.items():
        phone = world.phone(who)
        phone.zone = ZONE.key
        written = [
            mutation
            for number, row in enumerate(calls)
            for mutation in inspect(phone, row, morning + timedelta(minutes=55 * number))
        ]
        with time_machine.travel(morning + timedelta(hours=11), tick=False):
            assert {receipt["status"] for receipt in phone.push(*written)} == {"applied"}

    board = world.get("boss", f"/api/board?date={DAY}").json
    team_of = {world.ids[team]: colour for colour, team in teams.items()}
    counted: Counter[str] = Counter()
    for rep in board["reps"]:
        if rep["visits"]:
            counted[team_of[rep["person"]["team"]]] += rep["visits"]
            assert rep["valid_visits"] == rep["visits"] and rep["valid_minutes"] == 40 * rep["visits"]
            assert rep["first_check_in"] == text(morning) and rep["open_visit"] is None and rep["unsent"] == 0
    assert counted == published
    for colour, team in teams.items():
        alone = world.get("boss", f"/api/board?date={DAY}&team={world.ids[team]}").json
        assert sum(rep["visits"] for rep in alone["reps"]) == published[colour]
        assert len(alone["reps"]) == REPS_A_TEAM, "who did not go out is there too, with nothing"
        items = world.get("boss", f"/api/visits?date={DAY}&team={world.ids[team]}&limit=100").json["items"]
        assert Counter(item["outcome"] for item in items) == Counter(
            RESULTS[row["Results"]] for row in rows if row["sanitarian"] == colour
        )
    for other in ("2013-10-24", "2013-10-26"):
        assert sum(rep["visits"] for rep in world.get("boss", f"/api/board?date={other}").json["reps"]) == 0
