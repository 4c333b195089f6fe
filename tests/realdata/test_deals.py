"""A company's deals (an invented one, published for teaching): through the import of values and the screens' own routes,
against figures that were computed from the same file by somebody else, to the last digit."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
import time_machine

from server.db import reading
from server.exchange.door import Change
from server.indicators.case import plain
from server.indicators.measure import Value, of_values
from server.indicators.periods import period_of
from server.indicators.recount import differences
from server.indicators.score import Actual, Indicator, exact, rounded
from tests.commands import Commands
from tests.realdata.conftest import Table
from tests.world import Phone, World

YEAR = "period=year&starts_on=2017-01-01"
"""All deals that were closed were closed in this year."""
TARGET = 400_000
COMPANY = "cara losch"
"""The manager of the smallest team: how often and how fast its reps won goes through the HTTP import."""
FEW = ("cecily lampkin", "wilburn farren")
"""Agents with few deals: theirs become visits and promises, too."""
NEW_YEAR = datetime(2018, 1, 1, 12, tzinfo=UTC)


def identity(*parts: str) -> str:
    return str(uuid5(NAMESPACE_OID, ":".join(parts)))


def day_of(said: str) -> date:
    """A day as the spreadsheets write it, M/D/YYYY."""
    month, day, year = map(int, said.split("/"))
    return date(year, month, day)


Deals = Mapping[str, list[dict[str, str]]]


@pytest.fixture
def deals(table: Table) -> Deals:
    """Agent -> their deals; one without an account is of an account that nobody named."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table("sales/crm_fictitious_sales_pipeline.csv"):
        found[row["sales_agent"].lower()].append(row)
    return found


@pytest.fixture
def published(table: Table) -> dict[str, dict[str, str]]:
    found = {row["sales_agent"].lower(): row for row in table("reference/crm_agent_indicators.csv")}
    assert len(found) == 20
    return found


@pytest.fixture
def company(world: World, table: Table) -> dict[str, str]:
    """Agent -> team: an office over the teams of its managers, and all agents in these, those without a deal as well."""
    found = {}
    for row in table("sales/crm_fictitious_sales_teams.csv"):
        agent, manager, office = (row[name].lower() for name in ("sales_agent", "manager", "regional_office"))
        if office not in world.ids:
            world.create("team", office, name=office, parent_id=world.ids["root"])
        if f"team of {manager}" not in world.ids:
            world.create("team", f"team of {manager}", name=manager, parent_id=world.ids[office])
            world.person(manager, "manager", f"team of {manager}")
        world.person(agent, "rep", f"team of {manager}")
        found[agent] = f"team of {manager}"
    assert len(found) == 23
    return found


# -- agents --------------------------------------------------------------------------------------------------------------


def test_how_often_and_how_fast_each_agent_won_is_as_published(
    deals: Deals, published: dict[str, dict[str, str]]
) -> None:
    """Of all agents by the arithmetic alone; of one team also through import and routes, below."""
    year = period_of("year", date(2017, 6, 1))

    def mean(code: str, amounts: Iterable[tuple[Mapping[str, str], str]]) -> Actual:
        known = [
            Value(
                row["opportunity_id"],
                code,
                day_of(row["close_date"]).isoformat(),
                Decimal(amount),
                "reviewed",
            )
            for row, amount in amounts
        ]
        return of_values(Indicator(code, "result", source="values", combine="mean"), known, year)

    for agent, row in published.items():
        over = [one for one in deals[agent] if one["close_date"]]
        won = [one for one in over if one["deal_stage"] == "Won"]
        rate = mean("win_rate", ((one, str(int(one["deal_stage"] == "Won"))) for one in over))
        assert rounded(*exact(rate.part, rate.whole)) == Decimal(row["win_rate"])
        days = mean("days", ((one, days_to_close(one)) for one in won))
        assert rounded(*exact(days.part, days.whole), 4) == Decimal(row["mean_days_engage_to_won"])
        assert len(days.evidence.counted) == int(row["won"])


# -- leaderboard ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_leaderboard_of_imported_deals_is_in_the_published_order(
    world: World,
    config: Any,
    tmp_path: Path,
    deals: Deals,
    published: dict[str, dict[str, str]],
    company: dict[str, str],
) -> None:
    money = {"code": "deal_amount", "weight": "60", "target": str(TARGET), "cap": "10"}
    rate = {
        "code": "win_rate",
        "weight": "30",
        "kind": "result",
        "combine": "mean",
        "target": "0.5",
        "cap": "10",
    }
    days = {"code": "days", "weight": "10", "kind": "result", "combine": "mean", "direction": "lower"}
    rows = [money, rate, days | {"target": "50", "cap": "10"}]
    world.create("scheme", "s", name="S", valid_from="2017-01-01", status="approved", indicators=rows)
    world.create("setting", "leaderboard", key="leaderboard", value="all")
    closed = [row for some in deals.values() for row in some if row["close_date"]]
    won = [row for row in closed if row["deal_stage"] == "Won"]

    # What was earned, of all agents: the file as it lies there, by the command.
    file = tmp_path / "won.csv"
    file.write_text(as_csv(won), "utf-8")
    mapped = {"person": "sales_agent", "on": "close_date", "amount": "close_value", "key": "opportunity_id"}
    columns = [part for each in mapped.items() for part in ("--map", "=".join(each))]
    rounds = Commands(config.database_url, Path(config.state_dir))
    told = rounds.json(
        *("values", "import", file, *columns, "--indicator", "deal_amount", "--dates", "mdy"),
        *("--status", "reviewed", "--source", "CRM", "--yes"),
    )
    assert (told["created"], told["failed"]) == (len(won), 0) == (2800, 0)

    # How often and how fast they won, of one team: as an integrator sends it.
    mine = [row for row in closed if company[row["sales_agent"].lower()] == f"team of {COMPANY}"]
    for indicator, some in (
        ("win_rate", [row | {"amount": str(int(row["deal_stage"] == "Won"))} for row in mine]),
        ("days", [row | {"amount": days_to_close(row)} for row in mine if row["deal_stage"] == "Won"]),
    ):
        body = {"csv": as_csv(some), "columns": mapped | {"amount": "amount"}, "dates": "mdy"}
        body |= {"indicator": indicator, "status": "reviewed", "source": f"CRM {indicator}"}
        headers = {"Authorization": f"Bearer {world.tokens['admin']}"}
        answer = world.app.test_client().post("/api/values/import", json=body, headers=headers)
        assert (answer.json["created"], answer.json["failed"]) == (len(some), 0), answer.json

    found = {
        row["person"]["name"].lower(): row for row in world.get("boss", f"/api/scores?{YEAR}").json["scores"]
    }
    for agent, row in published.items():
        by = {reading["indicator"]: reading for reading in found[agent]["readings"]}
        assert by["deal_amount"]["actual"] == row["won_value"]
        theirs = company[agent] == f"team of {COMPANY}"
        assert by["win_rate"]["actual"] == (plain(Decimal(row["win_rate"])) if theirs else None)
        if theirs:
            over = int(row["won"]) + int(row["lost"])
            assert (by["win_rate"]["part"], by["win_rate"]["whole"]) == (row["won"], str(over))
            mean = exact(Decimal(by["days"]["part"]), Decimal(by["days"]["whole"]))
            assert rounded(*mean, 4) == Decimal(row["mean_days_engage_to_won"])
            assert by["days"]["whole"] == row["won"]
        else:
            assert found[agent]["total"] == str(rounded(int(row["won_value"]) * 100, TARGET, 2))
    some_agent = next(agent for agent in published if company[agent] != f"team of {COMPANY}")
    opened = world.get(
        "boss", f"/api/scores/{world.ids[some_agent]}/evidence?{YEAR}&indicator=deal_amount"
    ).json
    assert len(opened["counted"]) == int(published[some_agent]["won"]) and opened["not_counted"] == []

    # The places that an agent is shown: their whole team's, by what was earned; who sold nothing is last.
    for team in set(company.values()) - {f"team of {COMPANY}"}:
        people = [agent for agent, theirs in company.items() if theirs == team]
        earned = {agent: int(published[agent]["won_value"]) if agent in published else 0 for agent in people}
        told = world.get(people[0], f"/api/scores?{YEAR}").json
        order = sorted(people, key=lambda agent: (-earned[agent], agent))
        assert [line["person"]["name"].lower() for line in told["leaderboard"]] == order
        assert [line["rank"] for line in told["leaderboard"]] == [
            1 + sum(other > earned[agent] for other in earned.values()) for agent in order
        ]
        assert told["rank"]["rank"] == 1 + sum(other > earned[people[0]] for other in earned.values())
        path = f"/api/scores?{YEAR}&team={world.ids[team]}"
        (money_,) = (
            one["actual"]
            for one in world.get("boss", path).json["team_score"]["readings"]
            if one["indicator"] == "deal_amount"
        )
        assert money_ == str(sum(earned.values()))
    with world.app.app_context(), reading() as connection:
        assert list(differences(connection, world.org)) == []


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    some = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(some[0]))
    writer.writeheader()
    writer.writerows(some)
    return out.getvalue()


def days_to_close(row: Mapping[str, str]) -> str:
    return str((day_of(row["close_date"]) - day_of(row["engage_date"])).days)


# -- funnel --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_funnel_of_opportunities_has_the_published_steps(
    world: World, deals: Deals, published: dict[str, dict[str, str]], company: dict[str, str]
) -> None:
    """Each opportunity is a planned visit. Whoever engaged made it; a deal that was won or lost has its outcome; what is
    being talked about and what was won leave a promise behind, and that of a won one was kept the day it was closed."""
    indicators = [{"code": "opportunities_done", "weight": "1", "target": "100"}]
    world.create("scheme", "s", name="S", valid_from="2016-01-01", status="approved", indicators=indicators)
    for code in ("won", "lost"):
        world.create("outcome", code, code=code, name=code)
    accounts = {(company[agent], row["account"]) for agent in FEW for row in deals[agent]}
    world.write(
        *(
            Change(
                "customer",
                identity(team, account),
                "create",
                {"name": account or "Not named", "team_id": world.ids[team]},
            )
            for team, account in sorted(accounts)
        )
    )
    for agent in FEW:
        phone = world.phone(agent)
        written = [one for row in deals[agent] for one in opportunity(phone, row, company[agent])]
        with time_machine.travel(NEW_YEAR, tick=False):
            for start in range(0, len(written), 200):
                receipts = phone.push(*written[start : start + 200])
                assert {receipt["status"] for receipt in receipts} == {"applied"}

    def steps(who: str, year: int, more: str = "") -> Counter[str]:
        path = f"/api/scores/funnel?period=year&starts_on={year}-01-01{more}"
        found = world.get(who, path).json
        return Counter({name: found[name] for name in ("planned", "visited", "followed", "outcome")})

    of_team: dict[str, Counter[str]] = defaultdict(Counter)
    for agent in FEW:
        row = {name: int(published[agent][name]) for name in ("prospecting", "engaging", "won", "lost")}
        expected = Counter(
            planned=sum(row.values()),
            visited=sum(row.values()) - row["prospecting"],
            followed=row["engaging"] + row["won"],
            outcome=row["won"] + row["lost"],
        )
        # Some were engaged the year before; those that nobody has engaged with yet stand at the end of the year.
        assert steps(agent, 2016) + steps(agent, 2017) == expected, agent
        of_team[company[agent]] += steps(agent, 2017)
        score = world.get(agent, f"/api/scores/{world.ids[agent]}?{YEAR}").json
        assert score["readings"][0]["actual"] == published[agent]["won"]
    for team, together in of_team.items():
        assert steps("boss", 2017, f"&team={world.ids[team]}") == together
        assert steps(team.removeprefix("team of "), 2017) == together
    assert steps("boss", 2017) == sum(of_team.values(), Counter())


def opportunity(phone: Phone, row: Mapping[str, str], team: str) -> list[dict[str, Any]]:
    """What an agent's phone writes about one opportunity."""
    stage = row["deal_stage"]
    planned = day_of(row["engage_date"]) if row["engage_date"] else date(2017, 12, 31)
    began = datetime.combine(planned, datetime.min.time(), UTC) + timedelta(hours=10)
    visit = identity("visit", row["opportunity_id"])
    fields: dict[str, Any] = {
        "customer_id": identity(team, row["account"]),
        "mode": "online",
        "kind": "sales_call",
        "planned_date": planned.isoformat(),
        "status": "planned",
    }
    if stage == "Prospecting":
        return [phone.create("visit", visit, at=began, **fields)]
    fields |= {"status": "done", "minutes": f"Showed them {row['product']}."}
    fields |= {"check_in": phone.moment(began), "check_out": phone.moment(began + timedelta(minutes=40))}
    if stage != "Engaging":
        fields["outcome"] = stage.lower()
    written = [phone.create("visit", visit, at=began, **fields)]
    if stage != "Lost":
        promise = {"customer_id": fields["customer_id"], "visit_id": visit, "subject": row["product"]}
        promise |= {"kind": "opportunity", "status": "open"}
        at = began
        if stage == "Won":
            at = datetime.combine(day_of(row["close_date"]), datetime.min.time(), UTC) + timedelta(hours=15)
            promise |= {"status": "done", "done": phone.moment(at)}
        written.append(
            phone.create("follow_up", identity("promise", row["opportunity_id"]), at=at, **promise)
        )
    return written
