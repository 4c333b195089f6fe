"""Scores over HTTP and their closing: seen by whom they concern, opened to the last visit, frozen once, adjusted visibly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import func, select, update

from server.db import reading, writing
from server.exchange.check import check
from server.exchange.door import Change
from server.exchange.model import Journal
from server.indicators import close
from server.indicators.close import close_due
from server.indicators.closing_model import Closing
from server.indicators.model import IndicatorValue
from server.reminders.tell import tell_due
from server.tidy import tidy
from tests.sums import disagreements
from tests.world import World, text

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
"""A Wednesday."""

INDICATORS = [
    {"code": "valid_visits", "weight": "40", "target": "2"},
    {"code": "customers_visited", "weight": "30", "target": "2"},
    {"code": "follow_ups_on_time", "weight": "20"},
    {"code": "orders", "kind": "result", "weight": "10", "combine": "sum", "unit": "count"},
]


@pytest.fixture
def at_noon() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def rated(at_noon: Any, shared_world: World) -> World:
    """Rob called on two shops this morning, once too briefly; he owes one follow-up, and did another."""
    world = shared_world
    world.create(
        "scheme", "scheme", name="Field", valid_from="2026-03-01", status="approved", indicators=INDICATORS
    )
    world.customer("Shop")
    world.customer("Mill")
    rob = world.phone("rob")
    for name, place, hour, minutes in (("long", "Shop", 8, 40), ("brief", "Mill", 9, 5)):
        begun = NOON.replace(hour=hour)
        began = rob.check_in(world.ids[place], begun)
        world.ids[name] = began["entity"]
        rob.push(began, rob.check_out(began["entity"], begun + timedelta(minutes=minutes)))
    promise = rob.create(
        "follow_up",
        customer_id=world.ids["Shop"],
        subject="Ring",
        due_date="2026-03-10",
        due_zone="Europe/London",
    )
    world.ids["ring"] = promise["entity"]
    rob.push(promise)
    return world


def score(world: World, who: str, of: str = "rob", **asked: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return world.get(who, f"/api/scores/{world.ids[of]}?{query}")


def readings(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {reading["indicator"]: reading for reading in document["readings"]}


def tick(world: World, at: datetime) -> int:
    with time_machine.travel(at, tick=False), world.app.app_context():
        return close_due(world.org, at)


def closings(world: World) -> dict[tuple[str, str], dict[str, Any]]:
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(
            select(Closing.__table__).where(
                Closing.org_id == world.org, Closing.person_id == world.ids["rob"]
            )
        ).mappings()
        return {(row["period"], row["starts_on"]): dict(row) for row in rows}


def all_is_well(world: World) -> None:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_a_reading_leads_to_what_counted_and_what_did_not_and_why(rated: World) -> None:
    found = score(rated, "rob", period="day").json
    assert found["state"] == "open" and found["scheme"]["name"] == "Field"
    visits = readings(found)["valid_visits"]
    assert (visits["actual"], visits["target"], visits["attainment"]) == ("1", "2", "0.5")
    assert visits["evidence"]["counted"] == [rated.ids["long"]]
    assert visits["evidence"]["not_counted"] == [{"id": rated.ids["brief"], "code": "TOO_SHORT"}]
    assert "NO_TARGET" in readings(found)["orders"]["reasons"]
    week = readings(score(rated, "rob", period="week").json)["follow_ups_on_time"]
    assert week["evidence"]["not_counted"] == [{"id": rated.ids["ring"], "code": "OVERDUE"}]

    path = f"/api/scores/{rated.ids['rob']}/evidence?period=day&indicator=valid_visits"
    told = rated.get("rob", path).json
    assert told["counted"][0]["customer"]["name"] == "Shop" and told["counted"][0]["day"] == "2026-03-11"
    assert told["not_counted"][0]["code"] == "TOO_SHORT"
    assert rated.get("rob", path.replace("valid_visits", "nothing")).status_code == 404
    assert disagreements(rated, now=NOON) == []


def test_who_may_see_a_score(rated: World) -> None:
    assert [score(rated, who).status_code for who in ("rob", "mia", "boss", "admin")] == [200] * 4
    assert [score(rated, who).status_code for who in ("ria", "sam")] == [404] * 2
    names = {who: names_in(rated, who) for who in ("rob", "mia", "boss", "admin", "sam")}
    assert names["rob"] == ["Rob"] and names["mia"] == ["Ria", "Rob"] and names["sam"] == ["Sam"]
    assert names["boss"] == names["admin"] == ["Ria", "Rob", "Sam"]
    assert rated.get("mia", f"/api/scores?team={rated.ids['south']}").status_code == 404


def names_in(world: World, who: str) -> list[str]:
    return [row["person"]["name"] for row in world.get(who, "/api/scores").json["scores"]]


def test_a_table_tells_what_each_score_tells_alone(rated: World) -> None:
    for kind in ("day", "week", "month", "quarter"):
        table = rated.get("mia", f"/api/scores?period={kind}").json
        for row in table["scores"]:
            alone = rated.get("mia", f"/api/scores/{row['person']['id']}?period={kind}").json
            bare = [{k: v for k, v in one.items() if k != "evidence"} for one in alone["readings"]]
            assert (row["total"], row["grade"], row["readings"]) == (alone["total"], alone["grade"], bare)
    lines = list(csv.DictReader(io.StringIO(rated.get("mia", "/api/scores/export?period=day").text)))
    (line,) = [one for one in lines if one["person"] == "Rob" and one["indicator"] == "valid_visits"]
    assert (line["actual"], line["target"], line["state"]) == ("1", "2", "open")
    back = {"indicator": "orders", "on": "2026-03-11", "amount": "-2.50", "status": "reviewed"}
    rated.create("value", "back", person_id=rated.ids["rob"], **back)
    lines = list(csv.DictReader(io.StringIO(rated.get("mia", "/api/scores/export?period=day").text)))
    assert [one["actual"] for one in lines if one["indicator"] == "orders" and one["actual"] != "0"] == [
        "-2.5"
    ]


def test_a_team_is_scored_over_all_that_its_people_did(rated: World) -> None:
    rated.create(
        "target",
        "of the team",
        indicator="valid_visits",
        team_id=rated.ids["north"],
        period="month",
        starts_on="2026-03-01",
        amount="8",
        status="held",
    )
    ria = rated.phone("ria")
    began = ria.check_in(rated.ids["Shop"], NOON.replace(hour=9))
    ria.push(began, ria.check_out(began["entity"], NOON.replace(hour=10)))
    team = rated.get("mia", f"/api/scores?team={rated.ids['north']}").json["team_score"]
    assert readings(team)["valid_visits"]["actual"] == "2" and readings(team)["valid_visits"]["target"] == "8"
    assert readings(team)["customers_visited"]["actual"] == "1", "both were at the same shop"


def test_a_period_is_closed_once_and_three_days_after_its_end(rated: World) -> None:
    assert tick(rated, datetime(2026, 3, 14, 23, tzinfo=UTC)) == 0 and not closings(rated)
    assert tick(rated, datetime(2026, 3, 15, 1, tzinfo=UTC)) > 0, "the day is over in the last zone"
    day = closings(rated)["day", "2026-03-11"]
    assert (day["status"], day["total"]) == ("closed", score(rated, "rob", period="day").json["total"])
    assert tick(rated, datetime(2026, 3, 15, 1, tzinfo=UTC)) == 0
    tick(rated, datetime(2026, 4, 4, 1, tzinfo=UTC))
    assert {("week", "2026-03-09"), ("month", "2026-03-01")} <= closings(rated).keys()
    found = score(rated, "rob", period="month", starts_on="2026-03-01").json
    assert found["state"] == "closed" and found["closing"]["adjustments"] == []
    rob = rated.phone("rob")
    rob.pull()
    assert len(rob.held("closing")) == len(closings(rated))
    all_is_well(rated)


def test_what_comes_late_adjusts_a_closing_and_leaves_its_figures(rated: World, at_noon: Any) -> None:
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    tick(rated, later)
    frozen = closings(rated)["day", "2026-03-11"]
    at_noon.move_to(later + timedelta(hours=1))
    rob = rated.phone("rob")
    begun = NOON.replace(hour=10)
    began = rob.check_in(rated.ids["Mill"], begun)
    assert rob.push(began, rob.check_out(began["entity"], begun + timedelta(minutes=40)))
    assert tick(rated, later + timedelta(hours=2)) == 1
    now = closings(rated)["day", "2026-03-11"]
    assert [now[name] for name in ("total", "grade", "readings")] == [
        frozen[name] for name in ("total", "grade", "readings")
    ]
    (adjustment,) = now["adjustments"]
    changes = {change["indicator"]: change for change in adjustment["changes"]}
    assert changes["valid_visits"]["actual"] == ["1", "2"]
    assert changes["valid_visits"]["added"] == [began["entity"]]
    assert {"kind": "visit", "id": began["entity"], "code": "LATE"} in adjustment["causes"]
    assert float(adjustment["total"]) > float(frozen["total"])
    assert tick(rated, later + timedelta(hours=3)) == 0, "told once"
    assert score(rated, "mia", period="day", starts_on="2026-03-11").json["closing"]["adjustments"] == [
        adjustment
    ]
    all_is_well(rated)


def test_an_administrator_reopens_with_a_reason_and_it_closes_anew(rated: World, at_noon: Any) -> None:
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    tick(rated, later)
    identity = closings(rated)["day", "2026-03-11"]["id"]
    at_noon.move_to(later + timedelta(hours=1))

    def reopen(who: str, *more: dict[str, Any]) -> str:
        phone = rated.phone(who)
        ops = [{"field": "status", "op": "go", "old": "closed", "new": "reopened"}, *more]
        code: str = phone.push(phone.mutation("closing", identity, "update", ops, base=2**40))[0]["code"]
        return code

    reason = {"field": "reason", "op": "set", "old": None, "new": "The scales were wrong."}
    total = {"field": "total", "op": "set", "old": None, "new": "99"}
    assert reopen("mia", reason) == reopen("rob", reason) == "FORBIDDEN"
    assert reopen("admin") == "INVALID" and reopen("admin", reason, total) == "FORBIDDEN"
    assert reopen("ria", reason) == "SCOPE_LOST"
    assert reopen("admin", reason) is None
    assert score(rated, "rob", period="day", starts_on="2026-03-11").json["state"] == "reopened"
    rob = rated.phone("rob")
    began = rob.check_in(rated.ids["Mill"], NOON.replace(hour=10))
    rob.push(began, rob.check_out(began["entity"], NOON.replace(hour=11)))
    assert tick(rated, later + timedelta(days=2)) >= 0
    assert closings(rated)["day", "2026-03-11"]["status"] == "reopened", "there is time to mend"
    tick(rated, later + timedelta(days=3, hours=2))
    again = closings(rated)["day", "2026-03-11"]
    assert again["status"] == "closed"
    assert readings(again)["valid_visits"]["actual"] == "2"
    all_is_well(rated)


def test_whoever_answers_an_appeal_reads_the_figures_it_is_about_and_its_person_the_answer(
    rated: World, at_noon: Any
) -> None:
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    tick(rated, later)
    frozen = closings(rated)["day", "2026-03-11"]
    at_noon.move_to(later + timedelta(hours=1))
    rob, mia = rated.phone("rob"), rated.phone("mia")
    appeal = rob.create("appeal", closing_id=frozen["id"], text="The shop was moved that day.")
    assert rob.push(appeal)[0]["status"] == "applied"
    mia.pull()
    (asked,) = mia.held("appeal").values()
    path = f"/api/scores/closings/{asked['closing_id']}"
    told = rated.get("mia", path).json
    assert told["person"]["id"] == asked["person_id"] and told["state"] == "closed"
    assert told["period"] == {"kind": "day", "starts_on": "2026-03-11", "ends_on": "2026-03-12"}
    assert (told["total"], told["grade"]) == (frozen["total"], frozen["grade"])
    assert told["readings"] and not any("evidence" in one for one in told["readings"])
    assert rated.get("ria", path).status_code == 404
    ops = [
        {"field": "answer", "op": "set", "old": None, "new": "It counts."},
        {"field": "status", "op": "go", "old": "open", "new": "upheld"},
    ]
    assert mia.push(mia.mutation("appeal", appeal["entity"], "update", ops))[0]["status"] == "applied"
    rob.pull()
    answered = rob.held("appeal")[appeal["entity"]]
    assert (answered["answer"], answered["answered_by"]) == ("It counts.", rated.ids["mia"])
    again = [
        {"field": "status", "op": "go", "old": "closed", "new": "reopened"},
        {"field": "reason", "op": "set", "old": None, "new": "The shop was moved."},
    ]
    admin = rated.phone("admin")
    version = rated.get("admin", path).json["closing"]["version"]
    opened = admin.push(admin.mutation("closing", frozen["id"], "update", again, base=version))
    assert opened[0]["status"] == "applied", opened
    reopened = rated.get("mia", path).json
    assert (reopened["state"], reopened["closing"]["reason"]) == ("reopened", "The shop was moved.")
    all_is_well(rated)


def test_a_ticker_that_dies_while_closing_leaves_nothing_half_closed(
    rated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    real = close._write

    def dies(*told: Any) -> None:
        real(*told)
        raise KeyboardInterrupt

    monkeypatch.setattr(close, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        tick(rated, later)
    assert not closings(rated)
    monkeypatch.undo()
    assert tick(rated, later) > 0
    all_is_well(rated)


def test_whose_score_cannot_be_reckoned_holds_up_nobody_elses_closing(rated: World) -> None:
    value = {"indicator": "orders", "on": "2026-03-05", "amount": "2", "status": "reviewed"}
    rated.create("value", "broken", person_id=rated.ids["rob"], **value)

    def write_amount(amount: str) -> None:
        with rated.app.app_context(), writing() as connection:
            row = (IndicatorValue.org_id == rated.org, IndicatorValue.id == rated.ids["broken"])
            connection.execute(update(IndicatorValue).where(*row).values(amount=amount))

    def closed() -> set[tuple[str, str]]:
        with rated.app.app_context(), reading() as connection:
            rows = select(Closing.person_id, Closing.period).where(Closing.org_id == rated.org)
            return {(person, period) for person, period in connection.execute(rows)}

    write_amount("no number")
    later = datetime(2026, 4, 5, 12, tzinfo=UTC)
    tick(rated, later)
    ria, rob = rated.ids["ria"], rated.ids["rob"]
    assert {("ria", kind) for person, kind in closed() if person == ria} == {
        ("ria", kind) for kind in ("day", "week", "month")
    }
    assert (rob, "month") not in closed()
    write_amount("2")
    tick(rated, later + timedelta(minutes=10))
    assert (rob, "month") in closed()


@pytest.mark.parametrize(("days", "closes"), [(90, True), (10**9, False), (None, False)])
def test_a_period_closes_however_long_the_organisation_waits(
    rated: World, days: int | None, closes: bool
) -> None:
    rated.create("setting", "after", key="close_after_days", value=days)
    tick(rated, datetime(2026, 3, 12, tzinfo=UTC) + timedelta(days=100))
    assert (("day", "2026-03-11") in closings(rated)) == closes


def test_nobody_but_the_ticker_closes(rated: World) -> None:
    fields = {
        "person_id": rated.ids["rob"],
        "period": "day",
        "starts_on": "2026-03-01",
        "ends_on": "2026-03-02",
        "scheme": {},
        "readings": [],
        "reasons": [],
        "total": "100.00",
        "grade": "S",
        "closed_at": text(NOON),
        "adjustments": [],
        "status": "closed",
    }
    for who in ("rob", "mia", "admin"):
        phone = rated.phone(who)
        assert phone.push(phone.create("closing", **fields))[0]["code"] == "FORBIDDEN"
    (receipt,) = rated.write(Change("closing", str(uuid4()), "create", fields))
    assert receipt["code"] == "FORBIDDEN", "nor the command line"


def test_the_lowest_grade_twice_running_is_told_to_the_manager(rated: World, at_noon: Any) -> None:
    rated.change("person", "rob", joined_on="2026-02-01")
    indicators = [{"code": "valid_visits", "weight": "1", "target": "90"}]
    rated.create(
        "scheme",
        "hard",
        name="Hard",
        team_id=rated.ids["north"],
        valid_from="2026-01-01",
        status="approved",
        indicators=indicators,
    )

    def notices() -> list[dict[str, Any]]:
        mia = rated.phone("mia")
        mia.pull()
        told = mia.held("notice").values()
        lines = [
            line for one in told for line in one["words"].get("lines", [one])
        ]  # several at once are grouped
        return [line for line in lines if line["rule"] == "low_twice"]

    for month, told in ((3, 0), (4, 1)):
        now = datetime(2026, month, 5, 12, tzinfo=UTC)
        at_noon.move_to(now)
        with rated.app.app_context():
            assert close_due(rated.org, now) > 0
            tell_due(rated.org, now)
            tell_due(rated.org, now)
        assert len(notices()) == told
    (notice,) = notices()
    assert notice["words"]["owner"] == "Rob" and notice["words"]["month"] == "2026-03"


def test_any_number_of_tickers_close_a_period_once(rated: World, at_noon: Any) -> None:
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    at_noon.move_to(later)

    def one(_: int) -> int:
        with rated.app.app_context():
            return close_due(rated.org, later)

    with ThreadPoolExecutor(3) as pool:
        closed = sum(pool.map(one, range(3)))
    with rated.app.app_context(), reading() as connection:
        mine = select(func.count()).select_from(Closing).where(Closing.org_id == rated.org)
        written = select(func.count()).where(Journal.org_id == rated.org, Journal.kind == "closing")
        assert closed == connection.execute(mine).scalar() == connection.execute(written).scalar() > 0


def test_a_value_that_is_reviewed_after_closing_adjusts_it(rated: World, at_noon: Any) -> None:
    rated.create(
        "target",
        "orders",
        indicator="orders",
        person_id=rated.ids["rob"],
        period="day",
        starts_on="2026-03-11",
        amount="2",
        status="held",
    )
    later = datetime(2026, 3, 15, 1, tzinfo=UTC)
    tick(rated, later)
    frozen = closings(rated)["day", "2026-03-11"]
    assert "NO_VALUES" in readings(frozen)["orders"]["reasons"]
    value = rated.create(
        "value",
        "two orders",
        indicator="orders",
        person_id=rated.ids["rob"],
        on="2026-03-11",
        amount="2",
        status="reviewed",
    )
    assert tick(rated, later + timedelta(hours=1)) == 1
    (adjustment,) = closings(rated)["day", "2026-03-11"]["adjustments"]
    assert adjustment["causes"] == [{"kind": "value", "id": value, "code": "LATE"}]
    assert float(adjustment["total"]) > float(frozen["total"])


def test_honours_of_a_closed_month_are_told_to_everybody_once(rated: World, at_noon: Any) -> None:
    rated.change("person", "rob", joined_on="2026-03-01")
    rated.create(
        "scheme",
        "easy",
        name="Easy",
        team_id=rated.ids["north"],
        valid_from="2026-03-01",
        status="approved",
        indicators=[{"code": "valid_visits", "weight": "1", "target": "1"}],
    )
    now = datetime(2026, 4, 5, 12, tzinfo=UTC)
    at_noon.move_to(now)
    with rated.app.app_context():
        for _ in range(2):
            close_due(rated.org, now)
            tell_due(rated.org, now)
    for who in ("ria", "mia", "rob"):
        phone = rated.phone(who)
        phone.pull()
        lines = [line for one in phone.held("notice").values() for line in one["words"].get("lines", [one])]
        told = [(line["rule"], line["words"]["owner"]) for line in lines if "star" in line["rule"]]
        assert told == [("process_star", "Rob")]
    all_is_well(rated)
    rob = [{"id": rated.ids["rob"], "name": "Rob"}]
    honours = [{"honour": name, "people": rob} for name in ("process_star", "best_newcomer")]
    ria = rated.phone("ria")
    for hour in (8, 10):
        began = ria.check_in(rated.customer(f"Inn {hour}", owner="ria"), NOON.replace(hour=hour))
        ria.push(began, ria.check_out(began["entity"], NOON.replace(hour=hour + 1)))
    admin = rated.phone("admin")
    with rated.app.app_context(), reading() as connection:
        months = select(Closing.id).where(Closing.org_id == rated.org, Closing.period == "month")
        identities = list(connection.execute(months).scalars())
    go = {"field": "status", "op": "go", "old": "closed", "new": "reopened"}
    why = {"field": "reason", "op": "set", "old": None, "new": "It came late."}
    admin.push(*(admin.mutation("closing", one, "update", [go, why], base=2**40) for one in identities))
    tick(rated, now + timedelta(days=4))
    assert rated.get("ria", "/api/scores?starts_on=2026-03-01").json["honours"] == honours, "once announced"
    with rated.app.app_context():
        tidy(now + timedelta(days=40))  # reminders long told are thrown away, but an honour is remembered
    for who in ("ria", "mia", "rob"):
        assert rated.get(who, "/api/scores?starts_on=2026-03-01").json["honours"] == honours
        assert rated.get(who, "/api/scores?starts_on=2026-02-01").json["honours"] == []
