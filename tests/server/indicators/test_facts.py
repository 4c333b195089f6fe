"""Facts follow whatever happens to visits, follow-ups and customers, and are what counting everything anew would find."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from server.db import reading
from server.exchange.check import check
from server.exchange.door import Change
from server.indicators.periods import period_of
from server.indicators.score import Actual
from tests.sums import disagreements, of
from tests.world import PLACE, Phone, World, fix

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)


@pytest.fixture
def clock(shared_world: World) -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def world(clock: Any, shared_world: World) -> Iterator[World]:
    """At the end of each test the facts are what counting anew finds, and what the journal tells."""
    yield shared_world
    assert disagreements(shared_world, now=datetime.now(UTC)) == []
    with shared_world.app.app_context(), reading() as connection:
        assert check(connection, shared_world.org) == []


def actuals(world: World, kind: str = "month", day: datetime = NOON, who: str = "rob") -> dict[str, Actual]:
    return of(world, who, period_of(kind, day.date()), datetime.now(UTC))


def call(phone: Phone, customer: str, hour: int, minutes: int = 40, **fields: Any) -> str:
    begun = NOON.replace(hour=hour)
    began = phone.check_in(customer, begun, **fields)
    phone.push(began, phone.check_out(began["entity"], begun + timedelta(minutes=minutes)))
    entity: str = began["entity"]
    return entity


def say(phone: Phone, kind: str, entity: str, **fields: Any) -> str | None:
    """Change fields of something; returns the receipt's code."""
    ops = [
        {"field": name, "op": "go" if name == "status" else "set", "old": None, "new": value}
        for name, value in fields.items()
    ]
    (receipt,) = phone.push(phone.mutation(kind, entity, "update", ops, base=2**40))
    code: str | None = receipt["code"]
    return code


def test_a_managers_word_makes_a_visit_count_and_takes_it_back(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    far = call(rob, world.customer("Shop"), 8, check_in_fix=fix(NOON.replace(hour=8), PLACE[0] + 0.1))
    assert actuals(world)["valid_visits"].part == 0
    for verdict, counted in (("accept", 1), ("decline", 0)):
        said = {"on_kind": "visit", "on_id": far, "verdict": verdict, "word": "I was there."}
        mia.push(mia.create("decision", **said))
        assert actuals(world)["valid_visits"].part == counted
        assert actuals(world, "day")["customers_visited"].part == counted


def test_what_was_judged_stays_judged_when_the_minimum_changes(world: World) -> None:
    rob = world.phone("rob")
    brief = call(rob, world.customer("Shop"), 8, minutes=20)
    world.change("visit_kind", "sales_call", min_minutes={"in_person": 10})
    assert actuals(world)["valid_visits"].part == 0
    call(rob, world.ids["Shop"], 9, minutes=20)
    assert actuals(world)["valid_visits"].part == 1
    assert say(rob, "visit", brief, outcome=None) is None
    assert actuals(world)["valid_visits"].part == 2, "what is touched is judged anew"


def test_two_customers_that_are_one_were_visited_once(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    shops = [world.customer(name, lat=PLACE[0]) for name in ("The Crown", "Crown Inn")]
    for hour, shop in enumerate(shops, 8):
        call(rob, shop, hour)
    assert actuals(world)["customers_visited"].part == 2 and actuals(world)["coverage"].whole == 2
    mia.pull()
    (suggestion,) = (key for key, one in mia.held("suggestion").items() if one["purpose"] == "merge")
    mia.push(mia.create("decision", on_kind="suggestion", on_id=suggestion, verdict="approve"))
    found = actuals(world)
    assert found["customers_visited"].part == 1 and found["valid_visits"].part == 2
    assert (found["coverage"].part, found["coverage"].whole) == (1, 1)


def test_a_lead_that_becomes_a_customer_was_won_by_its_owner_once(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    world.customer("From the list", lifecycle="customer")
    lead = rob.create("customer", name="New place", lat=PLACE[0] + 1, lon=PLACE[1])
    rob.push(lead)
    assert actuals(world)["new_customers"].part == 0
    for lifecycle in ("customer", "lost", "customer"):
        say(mia, "customer", lead["entity"], lifecycle=lifecycle)
        assert actuals(world)["new_customers"].part == 1
    assert actuals(world, "day")["new_customers"].part == 1
    world.customer("Listed", lifecycle="lead")
    approved = Change(
        "customer",
        world.ids["Listed"],
        "update",
        {"lifecycle": "customer"},
        {"lifecycle": "lead"},
        str(uuid4()),
    )
    for _ in range(2):  # as an import says it, under an id that follows from its row
        world.write(approved)
        assert actuals(world, "day")["new_customers"].part == 2
    assert actuals(world, who="mia")["new_customers"].part == 0


def test_customers_handed_over_today_leave_the_month_before_as_it_was(world: World, clock: Any) -> None:
    clock.move_to(datetime(2026, 2, 20, 12, tzinfo=UTC))
    shop, _mill = world.customer("Shop"), world.customer("Mill")
    rob = world.phone("rob")
    begun = datetime(2026, 2, 20, 8, tzinfo=UTC)
    began = rob.check_in(shop, begun)
    rob.push(began, rob.check_out(began["entity"], begun + timedelta(minutes=40)))
    clock.move_to(NOON)
    world.change("customer", "Shop", owner_id=world.ids["ria"])
    february = actuals(world, day=begun)["coverage"]
    assert (february.part, february.whole) == (1, 2)
    march = actuals(world)["coverage"]
    assert (march.part, march.whole) == (0, 1) and actuals(world, who="ria")["coverage"].whole == 1
    world.change("customer", "Mill", lifecycle="lost")
    assert actuals(world)["coverage"].whole == 0, "nobody has to call on what was lost"
    assert actuals(world, day=begun)["coverage"].whole == 2


def test_a_request_is_answered_by_the_first_valid_call(world: World) -> None:
    rob = world.phone("rob")
    shop = world.customer("Shop")
    asked = NOON.replace(hour=6)
    request = rob.create(
        "follow_up",
        customer_id=shop,
        subject="They rang",
        kind="request",
        requested_at=asked.isoformat().replace("+00:00", "Z"),
    )
    rob.push(request)
    waiting = actuals(world)["response_time"]
    assert (waiting.part, waiting.whole, waiting.reasons) == (6 * 3600, 3600, ("STILL_WAITING",))
    call(rob, shop, 10, mode="phone")
    assert actuals(world)["response_time"].part == 4 * 3600
    call(rob, shop, 8)
    assert actuals(world)["response_time"].part == 2 * 3600, "the earlier one came later"
    say(rob, "follow_up", request["entity"], status="cancelled")
    assert actuals(world)["response_time"].reasons == ()


def test_a_plan_is_kept_on_its_day_and_no_case_before_it_is_over(world: World) -> None:
    rob = world.phone("rob")
    shop = world.customer("Shop")
    plans = {}
    for day in ("2026-03-10", "2026-03-11", "2026-03-12"):
        plan = rob.create("visit", customer_id=shop, status="planned", planned_date=day, kind="sales_call")
        rob.push(plan)
        plans[day] = plan["entity"]
    kept = actuals(world)["plans_kept"]
    assert (kept.part, kept.whole) == (0, 1), "yesterday's; today's may still be kept"
    for day, hour in (("2026-03-11", 8), ("2026-03-10", 9)):
        begun = NOON.replace(hour=hour)
        ops = [
            {"field": "status", "op": "go", "old": "planned", "new": "open"},
            {"field": "check_in", "op": "set", "old": None, "new": rob.moment(begun)},
            {"field": "check_in_fix", "op": "set", "old": None, "new": fix(begun)},
        ]
        began = rob.mutation("visit", plans[day], "update", ops, begun, base=2**40)
        rob.push(began, rob.check_out(plans[day], begun + timedelta(minutes=40)))
    kept = actuals(world)["plans_kept"]
    assert (kept.part, kept.whole) == (1, 2), "the other was made a day late"
