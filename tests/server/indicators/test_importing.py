"""Values and targets out of CSV files: what is taken, what is left out and why, and that nothing is lost."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.indicators.importing import CODES, Bad, amount_of, day_of, period_said
from server.indicators.model import DayOff, IndicatorTarget, IndicatorValue
from server.people.model import Organisation
from tests.commands import Commands
from tests.world import World


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


class Here(Commands):
    """The command line about one organisation among others."""

    slug = ""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return super().__call__(*arguments, "--organisation", self.slug, **options)


@pytest.fixture
def rounds(shared_app: Any, world: World) -> Commands:
    """The command line on the database of the world, whose scheme has deal amounts, orders and visits."""
    codes = ("valid_visits", "deal_amount", "orders")
    rows = [{"code": code, "weight": "1"} for code in codes]
    rows[1]["name_zh"] = "成交金额"
    world.create("scheme", "scheme", name="S", valid_from="2026-01-01", indicators=rows, status="approved")
    config = shared_app.extensions["rounds"]
    commands = Here(config.database_url, Path(config.state_dir))
    with world.app.app_context(), reading() as connection:
        commands.slug = connection.execute(
            select(Organisation.slug).where(Organisation.id == world.org)
        ).scalar_one()
    return commands


def stored(world: World, model: Any) -> list[dict[str, Any]]:
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(model.__table__).where(model.org_id == world.org)).mappings()
        return [dict(row) for row in rows]


def written(folder: Path, *lines: str) -> Path:
    file = folder / "rows.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def sound(world: World) -> None:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


# -- values ------------------------------------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing_and_a_changed_row_that_row(
    rounds: Commands, world: World, tmp_path: Path
) -> None:
    header, first = "email,indicator,day,amount,order", "Rob,deal_amount,2026-03-02,1200.50,A-1"
    file = written(tmp_path, header, first, "Ria,成交金额,2026/3/5,80,A-2")
    done = rounds.json("values", "import", file, "--yes", "--source", "till")
    assert (done["created"], done["failed"]) == (2, 0)
    again = rounds.json("values", "import", file, "--yes", "--source", "till")
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    file = written(
        tmp_path, header, first.replace("1200.50", "1,300.00"), "Ria,deal_amount,2026-03-05,80,A-2"
    )
    file.write_text(file.read_text().replace("1,300.00", '"1,300.00"'))
    changed = rounds.json("values", "import", file, "--yes", "--source", "till")
    assert (changed["created"], changed["updated"], changed["unchanged"]) == (0, 1, 1)
    rows = {row["person_id"]: row for row in stored(world, IndicatorValue)}
    rob = rows[world.ids["rob"]]
    assert (rob["amount"], rob["on"], rob["source"], rob["status"]) == (
        "1300",
        "2026-03-02",
        "till",
        "entered",
    )
    assert rows[world.ids["ria"]]["indicator"] == "deal_amount"
    sound(world)


def test_two_equal_rows_without_a_key_are_two_values(rounds: Commands, world: World, tmp_path: Path) -> None:
    file = written(tmp_path, "person,indicator,on,amount", *["Rob,orders,2026-03-02,1"] * 2)
    assert rounds.json("values", "import", file, "--yes")["created"] == 2
    assert rounds.json("values", "import", file, "--yes")["unchanged"] == 2
    assert len(stored(world, IndicatorValue)) == 2


def test_each_dirty_row_says_its_line_and_code_all_others_are_taken_and_nothing_is_lost(
    rounds: Commands, world: World, tmp_path: Path
) -> None:
    world.person("twin", "rep", "north")
    world.change("person", "twin", name="Rob")
    dirty = {
        ",orders,2026-03-02,1,": "PERSON_MISSING",
        "Nobody,orders,2026-03-02,1,": "PERSON_UNKNOWN",
        "Rob,orders,2026-03-02,1,": "PERSON_AMBIGUOUS",
        "Ria,,2026-03-02,1,": "INDICATOR_MISSING",
        "Ria,walks,2026-03-02,1,": "INDICATOR_UNKNOWN",
        "Ria,valid_visits,2026-03-02,1,": "INDICATOR_COMPUTED",
        "Ria,orders,,1,": "DAY_MISSING",
        "Ria,orders,03/02/2026,1,": "NOT_A_DAY",
        "Ria,orders,2026-02-30,1,": "NOT_A_DAY",
        "Ria,orders,2026-03-02,,": "AMOUNT_MISSING",
        "Ria,orders,2026-03-02,a dozen,": "NOT_A_NUMBER",
        'Ria,orders,2026-03-02,"1,234",': "AMBIGUOUS_NUMBER",
        f"Ria,orders,2026-03-02,1,{'x' * 2001}": "TOO_LONG",
        "Ria,orders,2026-03-02,1,a,b": "TOO_MANY_CELLS",
    }
    dirty |= {"=1+1,orders,2026-03-02,7,": "PERSON_UNKNOWN"}
    good = "Ria,orders,2026-03-02,7,fine"
    file = written(tmp_path, "person,indicator,on,amount,note", *dirty, good)
    rejects = tmp_path / "rejects.csv"
    told = rounds.json("values", "import", file, "--yes", "--rejects", rejects, code=1)
    assert [(one["line"], one["code"]) for one in told["errors"]] == [
        (line, code) for line, code in enumerate(dirty.values(), start=2)
    ]
    assert (told["created"], [row["amount"] for row in stored(world, IndicatorValue)]) == (1, ["7"])
    with rejects.open(encoding="utf-8-sig", newline="") as left:
        rows = list(csv.DictReader(left))
    assert [row["error_code"] for row in rows] == list(dirty.values())
    assert rows[-1]["person"] == "'=1+1", "no spreadsheet takes it for a formula"
    assert rows[4]["indicator"] == "walks" and rows[11]["amount"] == "1,234"
    mended = rejects.read_text("utf-8-sig").replace("a dozen", "12")
    rejects.write_text(mended, "utf-8")
    assert rounds.json("values", "import", rejects, "--yes", code=1)["created"] == 1


def test_a_key_said_twice_and_a_reviewed_value_are_not_overwritten(
    rounds: Commands, world: World, tmp_path: Path
) -> None:
    header = "person,indicator,on,amount,key,source"
    file = written(tmp_path, header, "Rob,orders,2026-03-02,1,K,till", "Rob,orders,2026-03-02,2,K,till")
    told = rounds.json("values", "import", file, "--yes", "--status", "reviewed", code=1)
    assert [(one["line"], one["code"]) for one in told["errors"]] == [(3, "TWICE")]
    file = written(tmp_path, header, "Rob,orders,2026-03-02,3,K,till")
    told = rounds.json("values", "import", file, "--yes", code=1)
    assert [one["code"] for one in told["errors"]] == ["STANDS"]
    (row,) = stored(world, IndicatorValue)
    assert (row["amount"], row["status"]) == ("1", "reviewed")
    assert row["reviewed_at"] is not None


def test_a_dry_run_and_an_unattended_one_write_nothing(
    rounds: Commands, world: World, tmp_path: Path
) -> None:
    file = written(tmp_path, "person,indicator,on,amount", "Rob,orders,2026-03-02,1")
    assert "1 to write" in rounds("values", "import", file, "--dry-run").output
    assert "Nothing was imported" in rounds("values", "import", file, code=1).output
    assert stored(world, IndicatorValue) == []


# -- targets -----------------------------------------------------------------------------------------------------------


def test_targets_come_in_for_people_and_teams_and_replace_what_was_held(
    rounds: Commands, world: World, tmp_path: Path
) -> None:
    header = "person,team,indicator,period,starts_on,amount"
    file = written(
        tmp_path,
        header,
        "Rob,,valid_visits,2026,,480",
        "Rob,,valid_visits,2026-03,,30",
        ",North,valid_visits,quarter,2026-01-01,300",
        "Rob,,orders,2026-W10,,4",
        "Rob,,orders,half,2026-07-01,60",
    )
    assert rounds.json("targets", "import", file, "--yes")["created"] == 5
    assert rounds.json("targets", "import", file, "--yes")["unchanged"] == 5
    file = written(tmp_path, header, "Rob,,valid_visits,month,2026-03,35")
    assert rounds.json("targets", "import", file, "--yes")["created"] == 1
    rows = {
        (row["indicator"], row["period"], row["starts_on"], row["amount"]): row["status"]
        for row in stored(world, IndicatorTarget)
    }
    assert rows == {
        ("valid_visits", "year", "2026-01-01", "480"): "held",
        ("valid_visits", "month", "2026-03-01", "30"): "replaced",
        ("valid_visits", "month", "2026-03-01", "35"): "held",
        ("valid_visits", "quarter", "2026-01-01", "300"): "held",
        ("orders", "week", "2026-03-02", "4"): "held",
        ("orders", "half", "2026-07-01", "60"): "held",
    }
    sound(world)


def test_each_dirty_target_says_its_line_and_code(rounds: Commands, world: World, tmp_path: Path) -> None:
    dirty = {
        ",,orders,2026,,1": "PERSON_MISSING",
        "Rob,North,orders,2026,,1": "BOTH",
        ",Nowhere,orders,2026,,1": "TEAM_UNKNOWN",
        "Rob,,orders,,,1": "DAY_MISSING",
        "Rob,,orders,month,,1": "DAY_MISSING",
        "Rob,,orders,2026-Q5,,1": "NOT_A_PERIOD",
        "Rob,,orders,quarter,2026-02-01,1": "PERIOD_START",
        "Rob,,orders,2026,,-1": "NEGATIVE",
    }
    twice = ["Rob,,orders,2026-05,,1", "Rob,,orders,2026-05,,2"]
    file = written(tmp_path, "person,team,indicator,period,starts_on,amount", *dirty, *twice)
    told = rounds.json("targets", "import", file, "--yes", code=1)
    assert [one["code"] for one in told["errors"]] == [*dirty.values(), "TWICE"]
    assert told["created"] == 1


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_an_integrator_sends_a_table_and_is_told_of_each_row(rounds: Commands, world: World) -> None:
    other = World(world.app, f"other-{world.org[:8]}")
    client = world.app.test_client()
    token = {"Authorization": f"Bearer {world.tokens['admin']}"}
    rows = [f"{world.ids['rob']},orders,2026-03-02,3", f"{other.ids['sam']},orders,2026-03-02,3"]
    table = "\n".join(["\ufeffwho,indicator,on,amount", *rows])
    body = {"csv": table, "columns": {"person": "who"}, "source": "ERP", "status": "confirmed"}
    looked = client.post("/api/values/import", json=body | {"dry_run": True}, headers=token).json
    assert (looked["done"], looked["to_write"], stored(world, IndicatorValue)) == (False, 1, [])
    told = client.post("/api/values/import", json=body, headers=token).json
    assert (told["created"], [error["code"] for error in told["errors"]]) == (1, ["PERSON_UNKNOWN"])
    (row,) = stored(world, IndicatorValue)
    assert (row["source"], row["status"], row["confirmed_by"]) == ("ERP", "confirmed", world.ids["admin"])
    assert datetime.now(UTC) - row["confirmed_at"] < timedelta(hours=1), "it knows no clock but ours"
    (written,) = client.get(f"/api/history/value/{row['id']}", headers=token).json["items"]
    assert written["at"] == written["received_at"]
    wanted = {"csv": "team,indicator,period,amount\nNorth,orders,2026-Q1,90\n"}
    assert client.post("/api/targets/import", json=wanted, headers=token).json["created"] == 1
    bad = client.post("/api/targets/import", json={"csv": "a,b\n1,2\n"}, headers=token)
    assert (bad.status_code, bad.json["code"]) == (422, "INVALID")
    sound(world)


# -- holidays ----------------------------------------------------------------------------------------------------------


def test_holidays_of_a_country_become_days_off_once(rounds: Commands, world: World) -> None:
    for _ in range(2):
        assert "9 days written" in rounds("holidays", "add", "gb", "2026", "--region", "eng").output
    days = {row["on"]: (row["name"], row["region"], row["person_id"]) for row in stored(world, DayOff)}
    assert len(days) == 9
    assert days["2026-04-03"] == ("Good Friday", "GB-ENG", None)
    assert "ISO code" in rounds("holidays", "add", "Atlantis", "2026", code=1).output


def test_what_china_works_at_weekends_for_its_holidays_is_written_down_as_worked(
    rounds: Commands, world: World
) -> None:
    said = rounds("holidays", "add", "CN", "2026").output
    assert "2026-02-14  Working day for a holiday" in said and "2025" not in said
    days = {row["on"]: (row["worked"], row["name_zh"]) for row in stored(world, DayOff)}
    assert days["2026-02-14"] == (True, "调休上班"), "a Saturday before the spring festival"
    assert days["2026-02-17"][0] is None
    assert sum(bool(worked) for worked, _ in days.values()) == 6


# -- schemes -----------------------------------------------------------------------------------------------------------


def test_a_scheme_is_made_from_a_template_and_says_that_its_weights_are_normalised(
    rounds: Commands, world: World
) -> None:
    said = rounds("scheme", "add", "new_business", "--valid-from", "2031-01-01", "--role", "rep").output
    assert "new_customer_sales" in said and "25.00" in said
    assert "The weights sum to 120 and are normalised to 100." in said
    made = rounds.json(
        *(
            "scheme",
            "add",
            "field_only",
            "--weight",
            "coverage=0",
            "--weight",
            "valid_visits=90",
            "--approve",
        ),
        *("--team", "North"),
    )
    assert (made["status"], made["sum"]) == ("approved", "99")
    listed = {row["id"]: row for row in rounds.json("scheme", "list")}
    assert len(listed[made["id"]]["indicators"]) == 10
    assert listed[made["id"]]["team_id"] == world.ids["north"]
    assert "has no walks" in rounds("scheme", "add", "balanced", "--weight", "walks=1", code=1).output
    assert "weight" in rounds("scheme", "add", "balanced", "--weight", "orders=many", code=1).output
    sound(world)


# -- cells -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "decimal", "amount"),
    [
        ("1234", "", "1234"),
        ("-12.50", "", "-12.50"),
        ("1,234.50", "", "1234.50"),
        ("1.234,50", "", "1234.50"),
        ("1,234,567", "", "1234567"),
        ("12,5", "", "12.5"),
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("1.234", ",", "1234"),
        ("¥ 1 200.00", "", "1200.00"),
        ("1’200", "", "1200"),
        ("1\u202f200,5", "", "1200.5"),
    ],
)
def test_numbers_are_read_as_people_write_them(said: str, decimal: str, amount: str) -> None:
    assert amount_of(said, "amount", decimal) == Decimal(amount)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("1,234", "AMBIGUOUS_NUMBER"),
        ("12,34,56", "NOT_A_NUMBER"),
        ("1.2.3", "NOT_A_NUMBER"),
        ("1e5", "NOT_A_NUMBER"),
        ("NaN", "NOT_A_NUMBER"),
        ("1,2345.6", "NOT_A_NUMBER"),
        ("9" * 16, "NOT_A_NUMBER"),
        ("٣", "NOT_A_NUMBER"),
        ("--1", "NOT_A_NUMBER"),
    ],
)
def test_what_may_be_two_numbers_is_none(said: str, code: str) -> None:
    with pytest.raises(Bad) as caught:
        amount_of(said, "amount")
    assert caught.value.code == code and code in CODES


@pytest.mark.parametrize(
    ("said", "dates", "day"),
    [
        ("2026-03-09", "ymd", "2026-03-09"),
        ("2026/3/9", "ymd", "2026-03-09"),
        ("20260309", "ymd", "2026-03-09"),
        ("2026年3月9日", "ymd", "2026-03-09"),
        ("2026-03-09T10:00:00Z", "ymd", "2026-03-09"),
        ("3/9/2026", "mdy", "2026-03-09"),
        ("3.9.2026", "dmy", "2026-09-03"),
    ],
)
def test_days_are_read_in_one_way_only(said: str, dates: str, day: str) -> None:
    assert day_of(said, "on", dates).isoformat() == day


@pytest.mark.parametrize(
    ("said", "period"),
    [
        ("2026", "year 2026-01-01"),
        ("2026-H2", "half 2026-07-01"),
        ("2026 Q2", "quarter 2026-04-01"),
        ("2026-3", "month 2026-03-01"),
        ("2026年3月", "month 2026-03-01"),
        ("2026-W01", "week 2025-12-29"),
        ("2026-03-09", "day 2026-03-09"),
    ],
)
def test_periods_are_read_as_people_write_them(said: str, period: str) -> None:
    found = period_said(said, "period")
    assert f"{found.kind} {found.starts_on}" == period
