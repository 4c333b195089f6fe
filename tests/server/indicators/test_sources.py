"""Where numbers come from: process indicators from what was done, never from what is typed; others from approved values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.sums import disagreements
from tests.world import World

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
INDICATORS = [
    {"code": "valid_visits", "weight": "50", "target": "2"},
    {"code": "response_time", "weight": "30", "target": "2"},
    {"code": "orders", "weight": "20", "target": "10"},
]


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    with time_machine.travel(NOON, tick=False):
        shared_world.create(
            "scheme", "s", name="S", valid_from="2026-03-01", status="approved", indicators=INDICATORS
        )
        yield shared_world
        assert disagreements(shared_world, now=NOON) == []


def told(world: World) -> dict[str, dict[str, Any]]:
    found = world.get("mia", f"/api/scores/{world.ids['rob']}?period=month&starts_on=2026-03-01").json
    return {each["indicator"]: each for each in found["readings"]}


def test_what_is_typed_for_a_process_indicator_counts_for_nothing(world: World) -> None:
    value = {"person_id": world.ids["rob"], "on": "2026-03-10", "source": "typed", "status": "reviewed"}
    for code, amount in (("valid_visits", "40"), ("response_time", "0.1"), ("orders", "7")):
        world.create("value", code, indicator=code, amount=amount, **value)
    found = told(world)
    assert {code: each["actual"] for code, each in found.items()} == {
        "valid_visits": "0",
        "response_time": None,
        "orders": "7",
    }
    assert found["valid_visits"]["evidence"]["counted"] == []
    assert "NO_CASES" in found["response_time"]["reasons"]


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
@pytest.mark.parametrize("answer", ["visit", "phone", "done", "too short", "before"])
def test_a_request_is_answered_by_a_visit_a_call_or_by_being_done_and_by_nothing_else(
    world: World, answer: str
) -> None:
    rob, shop, asked = world.phone("rob"), world.customer("Shop"), NOON - timedelta(hours=6)
    request = rob.create(
        *("follow_up",),
        customer_id=shop,
        subject="They rang",
        kind="request",
        requested_at=asked.isoformat().replace("+00:00", "Z"),
    )
    rob.push(request)
    at = asked + timedelta(hours=-1 if answer == "before" else 3)
    if answer == "done":
        op = {"field": "status", "op": "go", "old": "open", "new": "done"}
        (receipt,) = rob.push(rob.mutation("follow_up", request["entity"], "update", [op], at))
        assert receipt["status"] == "applied"
    else:
        began = rob.check_in(shop, at, mode="phone" if answer == "phone" else "in_person")
        minutes = {"phone": 2, "too short": 5}.get(answer, 40)
        rob.push(began, rob.check_out(began["entity"], at + timedelta(minutes=minutes)))
    reading = told(world)["response_time"]
    if answer in {"too short", "before"}:
        assert (reading["actual"], "STILL_WAITING" in reading["reasons"]) == ("6", True)
    else:
        assert (reading["actual"], reading["attainment"]) == ("3", "0.666667")
        assert reading["evidence"]["counted"] == [request["entity"]]
