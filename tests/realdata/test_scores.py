"""Scores of real work against figures that were computed from the same files by somebody else, to the last digit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from server.indicators.case import plain
from server.indicators.measure import Value, of_values
from server.indicators.periods import Period, period_of
from server.indicators.score import Indicator, exact, rounded
from tests.realdata.conftest import Table


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
