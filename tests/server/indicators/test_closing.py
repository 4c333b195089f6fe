"""Days, weeks and months close once, however many tickers run; and each visit lies in one of each, whatever its zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import func, select, update

from server.db import reading, writing
from server.exchange.check import check
from server.exchange.model import Journal
from server.indicators.close import close_due
from server.indicators.closing_model import Closing, Late
from server.indicators.compare import HONOURS
from server.people.model import Organisation
from server.reminders.model import Reminder
from sync.mutation import instant_text
from tests.world import World

FRIDAY = datetime(2026, 3, 27, 12, tzinfo=UTC)
CLOSED = datetime(2026, 4, 5, 1, tzinfo=UTC)
"""March is over everywhere, and three days more."""


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(FRIDAY, tick=False) as traveller:
        yield traveller


@pytest.fixture
def world(clock: Any, shared_world: World) -> World:
    """A scheme that holds from the last Saturday of March on, so that few periods close."""
    indicators = [{"code": code, "weight": "1", "target": "1"} for code in ("valid_visits", "coverage")]
    shared_world.create(
        "scheme", "s", name="S", valid_from="2026-03-28", status="approved", indicators=indicators
    )
    return shared_world


def closings(world: World, who: str) -> dict[tuple[str, str], dict[str, Any]]:
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(
            select(Closing.__table__).where(Closing.org_id == world.org, Closing.person_id == world.ids[who])
        ).mappings()
        return {(row["period"], row["starts_on"]): dict(row) for row in rows}


def test_days_weeks_and_months_close_once_however_many_tickers_run(world: World, clock: Any) -> None:
    clock.move_to(CLOSED)

    def tick(_: int) -> int:
        with world.app.app_context():
            return close_due(world.org, CLOSED)

    with ThreadPoolExecutor(3) as pool:
        closed = sum(pool.map(tick, range(3)))
    expected = {("day", f"2026-03-{day}") for day in (28, 29, 30, 31)}
    expected |= {("week", "2026-03-23"), ("month", "2026-03-01"), ("day", "2026-04-01")}
    for who in ("rob", "ria", "sam"):
        assert closings(world, who).keys() == expected, who
    with world.app.app_context(), reading() as connection:
        written = connection.execute(
            select(func.count()).where(Journal.org_id == world.org, Journal.kind == "closing")
        ).scalar()
        assert check(connection, world.org) == []
    assert closed == written == 3 * len(expected)


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
def test_a_lead_that_arrives_after_the_closing_of_its_month_adjusts_it_visibly(
    world: World, clock: Any
) -> None:
    rob = world.phone("rob")
    shop = world.customer("Shop")
    began = datetime(2026, 3, 31, 9, tzinfo=UTC)
    clock.move_to(began + timedelta(hours=1))
    first = rob.check_in(shop, began)
    rob.push(first, rob.check_out(first["entity"], began + timedelta(minutes=40)))
    clock.move_to(CLOSED)
    with world.app.app_context():
        close_due(world.org, CLOSED)
    frozen = closings(world, "rob")["month", "2026-03-01"]
    lead = rob.create("customer", at=began + timedelta(hours=2), name="Last place", lat=50.0, lon=1.0)
    later = CLOSED + timedelta(hours=1)
    clock.move_to(later)
    assert rob.push(lead)[0]["status"] == "applied"
    with world.app.app_context():
        assert close_due(world.org, later) == 2, "the month's and the day's"
    now = closings(world, "rob")["month", "2026-03-01"]
    assert (now["total"], now["readings"]) == (frozen["total"], frozen["readings"])
    (adjustment,) = now["adjustments"]
    (change,) = adjustment["changes"]
    assert (change["indicator"], change["actual"]) == ("coverage", ["1", "0.5"])
    assert adjustment["causes"] == [{"kind": "customer", "id": lead["entity"], "code": "LATE"}]


def test_a_day_off_and_a_day_of_leaving_that_are_told_late_adjust_what_was_wanted_and_nothing_else(
    world: World, clock: Any
) -> None:
    for who in ("rob", "ria"):
        world.create(
            *("target", f"of {who}"),
            indicator="valid_visits",
            person_id=world.ids[who],
            period="month",
            starts_on="2026-03-01",
            amount="22",
            status="held",
        )
    clock.move_to(CLOSED)
    with world.app.app_context():
        close_due(world.org, CLOSED)

    def told(hours: int) -> dict[tuple[str, str, str], tuple[list[Any], set[tuple[str, str, str]]]]:
        """Whose adjustments came by now, of which period: what was wanted before and after, and by which causes."""
        now = CLOSED + timedelta(hours=hours)
        clock.move_to(now)
        with world.app.app_context():
            close_due(world.org, now)
        found = {}
        for who in ("rob", "ria", "sam"):
            for key, row in closings(world, who).items():
                for one in row["adjustments"]:
                    if one["at"] == instant_text(now):
                        (change,) = one["changes"]
                        causes = {(cause["kind"], cause["id"], cause["code"]) for cause in one["causes"]}
                        found[(who, *key)] = change["target"], causes
        return found

    ill = world.create("day_off", "ill", on="2026-03-31", name="Ill", person_id=world.ids["rob"])
    first = told(1)
    assert {who for who, _, _ in first} == {"rob"}
    assert first["rob", "day", "2026-03-31"] == (["1", "0"], {("day_off", ill, "LATE")})
    assert ("rob", "month", "2026-03-01") not in first, "a month's own target is spread over other days"

    feast = world.create("day_off", "feast", on="2026-03-30", name="Feast")
    with world.app.app_context(), reading() as connection:
        marked = (
            select(Closing.person_id)
            .join(Late, Late.closing_id == Closing.id)
            .where(Late.org_id == world.org)
        )
        looked_at = set(connection.execute(marked).scalars())
    assert looked_at == {world.ids["rob"], world.ids["ria"]}, "nobody else's target is run down over days"
    second = told(2)
    assert second["ria", "day", "2026-03-30"] == (["1", "0"], {("day_off", feast, "LATE")})
    assert second["rob", "day", "2026-03-30"][1] == {("day_off", ill, "LATE"), ("day_off", feast, "LATE")}

    world.change("person", "ria", left_on="2026-03-16")
    third = told(3)
    assert {who for who, _, _ in third} == {"ria"}
    target, causes = third["ria", "month", "2026-03-01"]
    assert target[0] == "22" and float(target[1]) < 12
    assert ("person", world.ids["ria"], "CHANGED") in causes
    assert told(4) == {}
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


ZONES = (
    "Pacific/Kiritimati",  # UTC+14
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Europe/London",
    "America/New_York",
    "Pacific/Pago_Pago",  # UTC-11
)


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("week_start", "week"), [(0, "2026-03-30"), (6, "2026-03-29")], ids=["Monday", "Sunday"]
)
def test_each_visit_is_in_one_day_week_and_month_whatever_its_zone_and_its_travels(
    world: World, clock: Any, week_start: int, week: str
) -> None:
    """In six zones a visit a minute before the month's last midnight and one at it, all of one rep, who travels."""
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Organisation).where(Organisation.id == world.org).values(week_start=week_start)
        )
    shop = world.customer("Shop")
    phone = world.phone("rob")
    counted: Counter[str] = Counter()
    written = []
    for zone in ZONES:
        phone.zone = zone
        midnight = datetime(2026, 4, 1, tzinfo=ZoneInfo(zone))
        sunday = datetime(2026, 3, 29, tzinfo=ZoneInfo(zone))
        for began in (midnight - timedelta(minutes=1), midnight, sunday - timedelta(minutes=1), sunday):
            ended = began + timedelta(minutes=40)
            about = {"customer_id": shop, "mode": "online", "kind": "sales_call", "status": "done"}
            about |= {"check_in": phone.moment(began), "check_out": phone.moment(ended)}
            written.append(phone.create("visit", at=ended, **about, minutes="They take twelve cases."))
            counted[began.date().isoformat()] += 1
    assert counted == dict.fromkeys(("2026-03-28", "2026-03-29", "2026-03-31", "2026-04-01"), len(ZONES))
    clock.move_to(datetime(2026, 4, 2, 12, tzinfo=UTC))
    assert {receipt["status"] for receipt in phone.push(*written)} == {"applied"}

    def found(kind: str, day: str) -> int:
        path = f"/api/scores/{world.ids['rob']}?period={kind}&starts_on={day}"
        score = world.get("rob", path).json
        assert len(score["readings"][0]["evidence"]["counted"]) == int(score["readings"][0]["actual"])
        return int(score["readings"][0]["actual"])

    assert {day: found("day", day) for day in counted} == counted
    assert [found("month", day) for day in ("2026-03-01", "2026-04-01")] == [18, 6]
    before, after = (6, 18) if week_start == 6 else (12, 12)  # the 29th is a Sunday
    assert [found("week", day) for day in ("2026-03-28", week)] == [before, after]


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
@pytest.mark.parametrize("announced", [True, False])
def test_honours_are_announced_unless_the_organisation_wants_none(
    world: World, clock: Any, announced: bool
) -> None:
    if not announced:
        world.create("setting", "honours", key="honours", value=False)
    rob, shop = world.phone("rob"), world.customer("Shop")
    began = datetime(2026, 3, 30, 9, tzinfo=UTC)
    clock.move_to(began + timedelta(hours=1))
    visit = rob.check_in(shop, began)
    rob.push(visit, rob.check_out(visit["entity"], began + timedelta(minutes=40)))
    clock.move_to(CLOSED)
    with world.app.app_context():
        assert close_due(world.org, CLOSED) > 0
    told = world.get("mia", "/api/scores?starts_on=2026-03-01").json["honours"]
    assert ("process_star" in {one["honour"] for one in told}) is announced
    with world.app.app_context(), reading() as connection:
        owed = connection.execute(
            select(func.count()).where(Reminder.org_id == world.org, Reminder.rule.in_(HONOURS))
        ).scalar_one()
    assert (owed > 0) is announced
