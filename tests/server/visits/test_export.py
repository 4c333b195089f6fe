"""Visits out as CSV, on either database."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.commands import Commands
from tests.world import ZONE, World, ago, text


@pytest.fixture
def rounds(database_url: str, tmp_path: Path) -> Commands:
    """The command line on the world's database."""
    return Commands(database_url, tmp_path / "state")


def exported(rounds: Commands, *options: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rounds("export", "visits", *options).stdout)))


def one_visit(world: World, who: str, customer: str, begun: datetime, **fields: Any) -> str:
    phone = world.phone(who)
    create = phone.check_in(world.ids[customer], begun)
    receipts = phone.push(create, phone.check_out(create["entity"], begun + timedelta(minutes=45), **fields))
    assert [each["status"] for each in receipts] == ["applied", "applied"]
    return str(create["entity"])


def test_a_visit_is_told_with_its_times_place_and_reasons(rounds: Commands, world: World):
    world.customer("=Corner; Shop", code="K-1")
    begun = ago(hours=2)
    visit = one_visit(world, "rob", "=Corner; Shop", begun, minutes='-5 % agreed\nuntil May, "firm"')
    (row,) = exported(rounds)
    assert row["visit_id"] == visit
    assert row["day"] == begun.astimezone(ZoneInfo(ZONE)).date().isoformat() and row["zone"] == ZONE
    assert (row["rep"], row["team"], row["customer"], row["customer_code"]) == (
        "Rob",
        "North",
        "'=Corner; Shop",
        "K-1",
    )
    assert (row["check_in_at"], row["check_out_at"]) == (text(begun), text(begun + timedelta(minutes=45)))
    assert (row["duration_min"], row["status"], row["outcome"]) == ("45.0", "done", "order")
    assert (row["valid"], row["trust"], row["trust_reasons"], row["reasons"]) == (
        "yes",
        "verified",
        "IN_RADIUS",
        "",
    )
    assert (float(row["distance_m"]), float(row["accuracy_m"])) == (0, 8)
    assert row["minutes"] == '\'-5 % agreed\nuntil May, "firm"'


def test_a_visit_that_does_not_count_says_why(rounds: Commands, world: World):
    world.customer("Shop")
    one_visit(world, "rob", "Shop", ago(hours=2), minutes=None)
    (row,) = exported(rounds)
    assert row["valid"] == "no" and "NO_MINUTES" in row["reasons"].split(";")


def test_an_export_may_be_of_days_and_of_a_team(rounds: Commands, world: World, tmp_path: Path):
    world.customer("Up")
    world.customer("Down", owner="sam", team="south")
    begun = {"rob": ago(days=1, hours=2), "sam": ago(days=3, hours=2)}
    one_visit(world, "rob", "Up", begun["rob"])
    one_visit(world, "sam", "Down", begun["sam"])
    day = {who: at.astimezone(ZoneInfo(ZONE)).date().isoformat() for who, at in begun.items()}
    assert [row["rep"] for row in exported(rounds)] == ["Sam", "Rob"]
    assert [row["rep"] for row in exported(rounds, "--from", day["rob"])] == ["Rob"]
    assert [row["rep"] for row in exported(rounds, "--to", day["sam"])] == ["Sam"]
    assert [row["rep"] for row in exported(rounds, "--team", "South")] == ["Sam"]
    assert len(exported(rounds, "--from", day["sam"], "--to", day["rob"], "--team", "Root")) == 2
    rounds("export", "visits", "--from", day["rob"], "--to", day["sam"], code=2)
    out = tmp_path / "visits.csv"
    rounds("export", "visits", "--out", out)
    assert list(csv.DictReader(io.StringIO(out.read_text()))) == exported(rounds)
    assert list(tmp_path.glob("*.part")) == []
