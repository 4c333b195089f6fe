"""Scores of real work against figures that were computed from the same files by somebody else, to the last digit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from server.indicators.case import plain
from server.indicators.measure import Value, of_values
from server.indicators.periods import Period, period_of
from server.indicators.score import Indicator, exact, rounded
from tests.realdata.conftest import Table
from tests.world import World


def readings(score: dict[str, Any]) -> dict[str, str | None]:
    return {reading["indicator"]: reading["actual"] for reading in score["readings"]}


def day_of(text_: str) -> str:
    """A day as the spreadsheets write it, M/D/YYYY."""
    month, day, year = map(int, text_.split("/"))
    return date(year, month, day).isoformat()


# -- values of other systems ---------------------------------------------------------------------------------------------


def combined(code: str, combine: str, period: Period, values: Iterable[tuple[str, str, str]]) -> Any:
    """The exact actual of values (id, day, amount), all of them reviewed."""
    known = [Value(one, code, on, Decimal(amount), "reviewed") for one, on, amount in values]
    return of_values(Indicator(code, "result", source="values", combine=combine), known, period)


def test_deals_come_to_each_agents_published_figures(table: Table) -> None:
    agents: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table("sales/crm_fictitious_sales_pipeline.csv"):
        agents[row["sales_agent"]].append(row)
    year = period_of("year", date(2017, 6, 1))
    published = table("reference/crm_agent_indicators.csv")
    assert len(published) == 20
    for row in published:
        over = [one for one in agents[row["sales_agent"]] if one["deal_stage"] in {"Won", "Lost"}]
        won = [one for one in over if one["deal_stage"] == "Won"]
        assert {one["close_date"][-4:] for one in over} == {"2017"}
        amount = combined(
            "won",
            "sum",
            year,
            ((one["opportunity_id"], day_of(one["close_date"]), one["close_value"]) for one in won),
        )
        assert plain(amount.part) == row["won_value"] and len(amount.evidence.counted) == int(row["won"])
        rate = combined(
            "rate",
            "mean",
            year,
            (
                (one["opportunity_id"], day_of(one["close_date"]), str(int(one["deal_stage"] == "Won")))
                for one in over
            ),
        )
        assert rounded(*exact(rate.part, rate.whole)) == Decimal(row["win_rate"])
        days = combined(
            "days",
            "mean",
            year,
            ((one["opportunity_id"], day_of(one["close_date"]), days_to_close(one)) for one in won),
        )
        assert rounded(*exact(days.part, days.whole), 4) == Decimal(row["mean_days_engage_to_won"])


def days_to_close(row: dict[str, str]) -> str:
    begun, ended = (date.fromisoformat(day_of(row[name])) for name in ("engage_date", "close_date"))
    return str((ended - begun).days)


def test_order_lines_come_to_each_shops_published_figures(table: Table) -> None:
    shops: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table("sales/iowa_orders.csv"):
        shops[row["store_number"]].append(row)
    published = table("reference/iowa_store_totals.csv")
    assert len(published) == len(shops) == 262
    for row in published:
        lines = shops[row["store_number"]]
        days = sorted(day_of(line["date"]) for line in lines)
        assert (days[0], days[-1]) == (row["first_date"], row["last_date"])
        years = [period_of("year", date(year, 1, 1)) for year in (2019, 2020)]
        for name, column, scale in (("sale_dollars", "sale_cents", 100), ("bottles_sold", "bottles", 1)):
            sums = [
                combined(
                    name,
                    "sum",
                    year,
                    ((line["invoice_item_number"], day_of(line["date"]), line[name]) for line in lines),
                )
                for year in years
            ]
            assert sum(Decimal(one.part) for one in sums) * scale == int(row[column])
            assert sum(len(one.evidence.counted) for one in sums) == int(row["order_lines"])


# -- days of real phones -----------------------------------------------------------------------------------------------


@pytest.fixture
def stays(table: Table) -> Iterator[list[dict[str, str]]]:
    users = {row["track"]: row["user"] for row in table("tracks/phone/phone_tracks.csv")}
    yield [
        row | {"user": users[row["track"]]}
        for row in table("tracks/phone/phone_reference_places.csv")
        if row["enter_ts"] and row["exit_ts"]
    ]


def test_a_phones_days_come_to_the_published_stays(world: World, stays: list[dict[str, str]]) -> None:
    """Each published stay is an appointment; those of half an hour and more count, with their very seconds."""
    user = max({row["user"] for row in stays}, key=lambda one: sum(row["user"] == one for row in stays))
    mine = [row for row in stays if row["user"] == user]
    indicators = [
        {"code": "valid_visits", "weight": "1", "target": "1"},
        {"code": "time_with_customers", "weight": "1", "target": "1"},
    ]
    world.create(
        "scheme", "scheme", name="S", valid_from="2010-01-01", status="approved", indicators=indicators
    )
    shop = world.customer("Place")
    rob = world.phone("rob")
    rob.zone = "America/Los_Angeles"
    expected: dict[str, list[int]] = defaultdict(list)
    for row in mine:
        began, ended = (
            datetime.fromtimestamp(round(float(row[name]), 3), UTC) for name in ("enter_ts", "exit_ts")
        )
        with time_machine.travel(ended, tick=False):
            visit = rob.check_in(shop, began, mode="online", check_in_fix={"none": "unavailable"})
            rob.push(visit, rob.check_out(visit["entity"], ended))
        expected[row["enter_local"][:10]].append(int((ended - began).total_seconds()))
    for day, seconds in expected.items():
        found = readings(world.get("rob", f"/api/scores/{world.ids['rob']}?period=day&starts_on={day}").json)
        valid = [each for each in seconds if each >= 1800]
        assert found["valid_visits"] == str(len(valid))
        assert Decimal(found["time_with_customers"] or 0) == rounded(sum(valid), 3600)
