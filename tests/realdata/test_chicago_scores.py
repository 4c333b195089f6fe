"""Three years of real field staff, team by team and month by month: scores against figures that were computed from the same
files by somebody else, to the last digit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

import pytest
import time_machine

from server.db import reading
from server.exchange.door import Change
from server.indicators.case import plain
from server.indicators.recount import differences
from server.indicators.score import rounded
from tests.realdata.conftest import Table
from tests.sums import disagreements
from tests.world import Phone, World

CHICAGO = ZoneInfo("America/Chicago")
BUSIEST = "2013-10"
"""The busiest month of which the teams are known."""
MINUTES = 40
REPS_A_TEAM = 2
AT_ONCE = 200

SCHEME: dict[str, dict[str, str]] = {
    "valid_visits": {"weight": "40", "target": "50"},
    "customers_visited": {"weight": "30", "target": "40"},
    "time_with_customers": {"weight": "10", "target": "30"},
    "fail_rate": {"weight": "20", "target": "0.2", "kind": "result", "combine": "mean", "direction": "lower"},
    "failed": {"weight": "0", "target": "1", "kind": "result", "combine": "sum"},
    "conditions": {"weight": "0", "target": "1", "kind": "result", "combine": "sum"},
}
CAP = Fraction(3, 2)


def identity(*parts: str) -> str:
    return str(uuid5(NAMESPACE_OID, ":".join(parts)))


def team_of(row: Mapping[str, str]) -> str:
    """The team as the city names it, by colour."""
    return row["sanitarian"]


@pytest.fixture
def inspections(config: Any, table: Table) -> list[dict[str, str]]:
    """All visits whose team is known on SQLite; on PostgreSQL those of one month: what differs shows there too."""
    rows = table("visits/chicago_visits.csv.gz")
    everything = config.database_url.startswith("sqlite")
    known = [row for row in rows if row["sanitarian"]]
    return [row for row in known if everything or row["Inspection_Date"][:7] == BUSIEST]


@pytest.fixture
def teams(world: World, inspections: list[dict[str, str]]) -> dict[str, list[Phone]]:
    """Each colour is a team of two reps, and each business a customer of every team that called on it."""
    rows = [{"code": code} | row for code, row in SCHEME.items()]
    world.create("scheme", "scheme", name="S", valid_from="2011-01-01", status="approved", indicators=rows)
    found: dict[str, list[Phone]] = {}
    for team in sorted({team_of(row) for row in inspections}):
        world.create("team", team, name=team, parent_id=world.ids["root"])
        found[team] = []
        for number in range(REPS_A_TEAM):
            world.person(f"{team} {number}", "rep", team)
            found[team].append(world.phone(f"{team} {number}"))
            found[team][-1].zone = CHICAGO.key
    pairs = sorted({(team_of(row), row["License"]) for row in inspections})
    receipts = world.write(
        *(
            Change("customer", identity(team, code), "create", {"name": code, "team_id": world.ids[team]})
            for team, code in pairs
        )
    )
    assert {receipt["status"] for receipt in receipts} == {"applied"}
    return found


def test_the_scores_of_every_team_and_month_come_to_what_the_city_published(
    world: World, table: Table, inspections: list[dict[str, str]], teams: dict[str, list[Phone]]
) -> None:
    go_round(inspections, teams)
    tell_results(world, inspections, teams)
    months = {row["Inspection_Date"][:7] for row in inspections}
    published = [
        row
        for row in table("reference/chicago_group_month.csv")
        if row["month"] in months and row["sanitarian"]
    ]
    assert len(published) == (169 if len(months) > 1 else 6)
    assert sum(int(row["visits"]) for row in published) == len(inspections)
    for row in published:
        team = world.ids[team_of(row)]
        path = f"/api/scores?period=month&starts_on={row['month']}-01&team={team}"
        found = world.get("admin", path).json
        assert told(found["team_score"]) == expected(row), path
        assert found["team_score"]["total"] == total_of(row), path
        assert len(found["scores"]) == REPS_A_TEAM
        each = [readings(one)["valid_visits"]["actual"] for one in found["scores"]]
        assert sum(map(int, each)) == int(row["visits"]), "what its people did is what the team did"
    with world.app.app_context(), reading() as connection:
        assert list(differences(connection, world.org)) == []
    people = [phone.who for phones in teams.values() for phone in phones]
    assert disagreements(world, people, datetime(2013, 10, 31, 20, tzinfo=UTC)) == []


def go_round(inspections: list[dict[str, str]], teams: dict[str, list[Phone]]) -> None:
    """The reps of each team take its inspections in turns, 40 minutes each, and send what they wrote by the two hundred."""
    written: dict[str, list[tuple[datetime, dict[str, Any]]]] = defaultdict(list)
    of_day: Counter[tuple[str, str]] = Counter()
    phones = {phone.who: phone for each in teams.values() for phone in each}
    for phone, row in shared_out(inspections, teams):
        day, number = row["Inspection_Date"], of_day[phone.who, row["Inspection_Date"]]
        of_day[phone.who, day] += 1
        began = datetime.fromisoformat(f"{day}T08:00").replace(tzinfo=CHICAGO) + timedelta(
            minutes=20 * number
        )
        ended = began + timedelta(minutes=MINUTES)
        fields = {
            "customer_id": identity(team_of(row), row["License"]),
            "mode": "online",
            "kind": "sales_call",
            "status": "done",
            "check_in": phone.moment(began),
            "check_out": phone.moment(ended),
            "minutes": f"{row['criticalCount']} critical, {row['minorCount']} minor.",
        }
        mutation = phone.create("visit", identity("visit", row["Inspection_ID"]), at=began, **fields)
        written[phone.who].append((ended, mutation))
    for who, visits in written.items():
        for start in range(0, len(visits), AT_ONCE):
            some = visits[start : start + AT_ONCE]
            with time_machine.travel(some[-1][0], tick=False):
                receipts = phones[who].push(*(mutation for _, mutation in some))
            assert {receipt["status"] for receipt in receipts} == {"applied"}


def shared_out(
    inspections: list[dict[str, str]], teams: dict[str, list[Phone]]
) -> list[tuple[Phone, dict[str, str]]]:
    """Whose phone each inspection is written on, in the order of their days."""
    turns: Counter[str] = Counter()
    found = []
    for row in sorted(inspections, key=lambda one: (one["Inspection_Date"], one["Inspection_ID"])):
        team = team_of(row)
        found.append((teams[team][turns[team] % REPS_A_TEAM], row))
        turns[team] += 1
    return found


def tell_results(world: World, inspections: list[dict[str, str]], teams: dict[str, list[Phone]]) -> None:
    """What was found, as reviewed values of who found it; the rate of failures as a mean in the busiest month alone."""
    changes = []

    def tell(row: Mapping[str, str], indicator: str, amount: str, who: str) -> None:
        about = {"person_id": world.ids[who], "on": row["Inspection_Date"], "source": "city"}
        about |= {"status": "reviewed", "indicator": indicator, "amount": amount}
        changes.append(Change("value", identity(indicator, row["Inspection_ID"]), "create", about))

    for phone, row in shared_out(inspections, teams):
        if row["Inspection_Date"][:7] == BUSIEST:
            tell(row, "fail_rate", str(int(row["Results"] == "Fail")), phone.who)
        if row["Results"] != "Pass":
            tell(row, "failed" if row["Results"] == "Fail" else "conditions", "1", phone.who)
    assert {receipt["status"] for receipt in world.write(*changes)} == {"applied"}


def readings(score: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {reading["indicator"]: reading for reading in score["readings"]}


def told(score: Mapping[str, Any]) -> dict[str, Any]:
    """What a score tells of what the city published."""
    by = readings(score)
    visits, failed, conditions = (
        int(by[code]["actual"]) for code in ("valid_visits", "failed", "conditions")
    )
    known = by["fail_rate"]["actual"]
    assert known is None or (by["fail_rate"]["part"], by["fail_rate"]["whole"]) == (str(failed), str(visits))
    return {
        "visits": by["valid_visits"]["actual"],
        "pass": str(visits - failed - conditions),
        "pass_w_conditions": by["conditions"]["actual"],
        "fail": by["failed"]["actual"],
        "distinct_licenses": by["customers_visited"]["actual"],
        "hours": by["time_with_customers"]["actual"],
        "fail_rate": known or plain(rounded(failed, visits)),
    }


def expected(row: Mapping[str, str]) -> dict[str, Any]:
    hours = Decimal(int(row["visits"]) * MINUTES) / 60
    columns = ("visits", "pass", "pass_w_conditions", "fail", "distinct_licenses")
    return {name: row[name] for name in columns} | {
        "hours": plain(hours.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)),
        "fail_rate": plain(Decimal(row["fail_rate"])),
    }


def total_of(row: Mapping[str, str]) -> str:
    """The score that the published figures come to, plainly: the sum of weight x attainment over the sum of weights."""
    visits, licences = Fraction(row["visits"]), Fraction(row["distinct_licenses"])
    failed = Fraction(row["fail"])
    points, weights = 40 * min(visits / 50, CAP) + 30 * min(licences / 40, CAP), 70
    points, weights = points + 10 * min(visits * MINUTES / 60 / 30, CAP), weights + 10
    if row["month"] == BUSIEST:  # in all others its weight is spread over the rest
        points += 20 * (min(Fraction(1, 5) / (failed / visits), CAP) if failed else CAP)
        weights += 20
    return f"{Decimal(round(points / weights * 10_000)) / 100:.2f}"  # Python rounds fractions half to even
