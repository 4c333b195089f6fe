"""Real order lines, imported as they lie there: each shop, rep, month and year against targets, to the cent."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.indicators.case import plain
from server.indicators.model import IndicatorValue
from server.indicators.periods import Period, parts, period_of
from tests.commands import Commands
from tests.realdata.conftest import Table
from tests.world import World

REPS = ("rob", "ria", "sam")
INDICATORS = [
    {"code": "deal_amount", "weight": "60"},
    {"code": "bottles", "weight": "40", "kind": "result", "combine": "sum"},
]
WANTED_2019 = {"rob": 60_000, "ria": 45_000, "sam": 52_000}
"""Dollars of the year."""
WANTED_IN_MARCH = {"rob": 2_500, "ria": 1_800, "sam": 4_000}
"""Bottles of its busiest month; of no other month any are wanted."""
MARCH = period_of("month", date(2019, 3, 1))
CAP = Fraction(3, 2)


def rep_of(store: str) -> str:
    return REPS[int(store) % len(REPS)]


def sold_on(line: dict[str, str]) -> date:
    month, day, year = map(int, line["date"].split("/"))
    return date(year, month, day)


def test_the_orders_of_each_shop_and_rep_are_worth_what_the_reference_says(
    world: World, table: Table, config: Any, tmp_path: Path
) -> None:
    world.create(
        "scheme", "s", name="Orders", valid_from="2019-01-01", indicators=INDICATORS, status="approved"
    )
    lines = table("sales/iowa_orders.csv")
    file = tmp_path / "orders.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, [*lines[0], "rep"])
        writer.writeheader()
        writer.writerows(line | {"rep": rep_of(line["store_number"])} for line in lines)
    rounds = Commands(config.database_url, Path(config.state_dir))

    def imported(indicator: str, amount: str) -> Any:
        mapped = {"person": "rep", "on": "date", "amount": amount, "key": "invoice_item_number"}
        mapped |= {"note": "store_number"}
        columns = [part for each in mapped.items() for part in ("--map", "=".join(each))]
        return rounds.json(
            *("values", "import", file, *columns, "--indicator", indicator, "--dates", "mdy"),
            *("--status", "reviewed", "--source", f"Iowa {amount}", "--yes"),
        )

    for indicator, amount in (("deal_amount", "sale_dollars"), ("bottles", "bottles_sold")):
        told = imported(indicator, amount)
        assert (told["created"], told["failed"]) == (len(lines), 0)
    again = imported("deal_amount", "sale_dollars")
    assert (again["created"], again["unchanged"]) == (0, len(lines))

    targets = tmp_path / "targets.csv"
    rows = ["person,indicator,period,amount"]
    rows += [f"{rep},deal_amount,2019,{amount}" for rep, amount in WANTED_2019.items()]
    rows += [f"{rep},bottles,2019-03,{amount}" for rep, amount in WANTED_IN_MARCH.items()]
    targets.write_text("\n".join(rows), "utf-8")
    assert rounds.json("targets", "import", targets, "--yes")["created"] == 6

    shops_are_worth_what_is_published(world, table)
    of_rep: dict[str, Fraction] = defaultdict(Fraction)
    for period in (
        *parts(period_of("year", date(2019, 1, 1)), "month"),
        period_of("month", date(2020, 1, 1)),
    ):
        for rep, sold in scores_of(world, period, lines).items():
            of_rep[rep] += sold
    published: dict[str, int] = defaultdict(int)
    for shop in table("reference/iowa_store_totals.csv"):
        published[rep_of(shop["store_number"])] += int(shop["sale_cents"])
    assert {rep: sold * 100 for rep, sold in of_rep.items()} == published
    years = [scores_of(world, period_of("year", date(year, 1, 1)), lines) for year in (2019, 2020)]
    assert {rep: (years[0][rep] + years[1][rep]) * 100 for rep in REPS} == published


def shops_are_worth_what_is_published(world: World, table: Table) -> None:
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(IndicatorValue.__table__)).mappings().all()
        assert check(connection, world.org) == []
    of_shop: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of_shop[row["note"]].append(row)
    published = table("reference/iowa_store_totals.csv")
    assert len(published) == len(of_shop) == 262
    for shop in published:
        mine = of_shop[shop["store_number"]]
        dollars, bottles = (
            [Decimal(row["amount"]) for row in mine if row["indicator"] == code]
            for code in ("deal_amount", "bottles")
        )
        days = sorted(row["on"] for row in mine)
        assert (len(dollars), len(bottles)) == (int(shop["order_lines"]),) * 2
        assert (sum(dollars) * 100, sum(bottles)) == (int(shop["sale_cents"]), int(shop["bottles"]))
        assert (days[0], days[-1]) == (shop["first_date"], shop["last_date"])


def scores_of(world: World, period: Period, lines: list[dict[str, str]]) -> dict[str, Fraction]:
    """The dollars of each rep in a period, as their score tells them; all of it is what the lines and targets come to."""
    path = f"/api/scores?period={period.kind}&starts_on={period.starts_on}"
    found = {row["person"]["name"].lower(): row for row in world.get("boss", path).json["scores"]}
    sold = {}
    for rep in REPS:
        mine = [line for line in lines if rep_of(line["store_number"]) == rep and sold_on(line) in period]
        dollars = sum((Fraction(line["sale_dollars"]) for line in mine), Fraction())
        bottles = sum((Fraction(line["bottles_sold"]) for line in mine), Fraction())
        wanted = dollars_wanted(rep, period)
        of_bottles = Fraction(WANTED_IN_MARCH[rep]) if set(MARCH.days()) <= set(period.days()) else None
        expected, total = {}, None
        parts_ = {"deal_amount": (60, dollars, wanted), "bottles": (40, bottles, of_bottles)}
        kept = sum(weight for weight, _, target in parts_.values() if target)
        for code, (weight, actual, target) in parts_.items():
            attained = min(actual / target, CAP) if target else None
            expected[code] = {
                "actual": six(actual),
                "target": None if target is None else six(target),
                "attainment": None if attained is None else six(attained),
                "points": six(attained * weight * 100 / kept) if attained is not None else "0",
            }
            if attained is not None:
                total = (total or Fraction()) + attained * weight / kept
        told = {reading["indicator"]: reading for reading in found[rep]["readings"]}
        assert {code: {name: told[code][name] for name in one} for code, one in expected.items()} == expected
        assert found[rep]["total"] == (
            None if total is None else f"{Decimal(round(total * 10_000)) / 100:.2f}"
        )
        assert ("NO_TARGET" in told["bottles"]["reasons"]) == (of_bottles is None)
        sold[rep] = Fraction(told["deal_amount"]["part"])
    return sold


def dollars_wanted(rep: str, period: Period) -> Fraction | None:
    """The year's amount, Monday to Friday alike."""
    if period.starts_on.year != 2019:
        return None
    first = date(2019, 1, 1)
    year = [day for day in (first + timedelta(days=n) for n in range(365)) if day.weekday() < 5]
    return Fraction(WANTED_2019[rep], len(year)) * sum(day in period for day in year)


def six(number: Fraction) -> str | None:
    """Six places, half to even, as Python rounds fractions."""
    return plain(Decimal(round(number * 10**6)).scaleb(-6))
