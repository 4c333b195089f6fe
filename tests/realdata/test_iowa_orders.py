"""Real order lines, imported as they lie there: what counts of each shop and of each rep, to the cent."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.indicators.measure import Value, of_values
from server.indicators.model import IndicatorValue
from server.indicators.periods import period_of
from server.indicators.score import Indicator
from tests.commands import Commands
from tests.realdata.conftest import Table
from tests.world import World

REPS = ("rob", "ria", "sam")
AMOUNT = Indicator("deal_amount", "result", source="values", combine="sum")


def test_the_orders_of_each_shop_and_rep_are_worth_what_the_reference_says(
    world: World, table: Table, config: Any, tmp_path: Path
) -> None:
    world.create(
        "scheme",
        "scheme",
        name="Orders",
        valid_from="2019-01-01",
        indicators=[{"code": "deal_amount", "weight": "100"}],
        status="approved",
    )
    lines = table("sales/iowa_orders.csv")
    reps = {line["store_number"]: REPS[int(line["store_number"]) % len(REPS)] for line in lines}
    file = tmp_path / "orders.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, [*lines[0], "rep"])
        writer.writeheader()
        writer.writerows(line | {"rep": reps[line["store_number"]]} for line in lines)
    mapped = {"person": "rep", "on": "date", "amount": "sale_dollars", "key": "invoice_item_number"}
    columns = [part for each in mapped.items() for part in ("--map", "=".join(each))]
    arguments = (
        "values",
        "import",
        file,
        *columns,
        "--map",
        "note=store_number",
        "--indicator",
        "deal_amount",
    )
    rounds = Commands(config.database_url, Path(config.state_dir))
    told = rounds.json(*arguments, "--dates", "mdy", "--status", "reviewed", "--source", "Iowa", "--yes")
    assert (told["created"], told["failed"]) == (len(lines), 0)
    again = rounds.json(*arguments, "--dates", "mdy", "--status", "reviewed", "--source", "Iowa", "--yes")
    assert (again["created"], again["unchanged"]) == (0, len(lines))

    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(IndicatorValue.__table__)).mappings().all()
        assert check(connection, world.org) == []
    cents: Counter[str] = Counter()
    for row in rows:
        cents[row["note"]] += int(Decimal(row["amount"]) * 100)
    reference = {
        shop["store_number"]: int(shop["sale_cents"]) for shop in table("reference/iowa_store_totals.csv")
    }
    assert cents == reference

    whose = {world.ids[name]: name for name in REPS}
    for person, name in whose.items():
        values = [
            Value(row["id"], row["indicator"], row["on"], Decimal(row["amount"]), row["status"])
            for row in rows
            if row["person_id"] == person
        ]
        years = [of_values(AMOUNT, values, period_of("year", date(year, 1, 1))) for year in (2019, 2020)]
        wanted = sum(sold for shop, sold in reference.items() if reps[shop] == name)
        assert sum(Decimal(year.part) for year in years) == Decimal(wanted) / 100
        assert sum(len(year.evidence.counted) for year in years) == len(values)
