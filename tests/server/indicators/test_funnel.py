"""From plan to outcome: plans, what was made of them, and only of those whom the reader leads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.world import World

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)


@pytest.fixture
def planned(shared_world: World) -> World:
    """Rob planned three visits this month: one cancelled, one left, one made, with outcome and promise. Sam planned one."""
    world = shared_world
    with time_machine.travel(NOON, tick=False):
        world.customer("Shop")
        world.customer("Far", owner="sam", team="south")
        about: dict[str, Any] = {"kind": "sales_call", "planned_date": "2026-03-11", "status": "planned"}
        for name in ("made", "left", "off"):
            world.create("visit", name, customer_id=world.ids["Shop"], rep_id=world.ids["rob"], **about)
        world.create("visit", "sams", customer_id=world.ids["Far"], rep_id=world.ids["sam"], **about)
        world.create(
            "visit",
            "april",
            customer_id=world.ids["Shop"],
            rep_id=world.ids["rob"],
            **about | {"planned_date": "2026-04-01"},
        )
        rob = world.phone("rob")
        made = world.ids["made"]
        rob.push(
            rob.mutation(
                "visit",
                made,
                "update",
                [
                    {"field": "status", "op": "go", "old": "planned", "new": "open"},
                    {"field": "check_in", "op": "set", "old": None, "new": rob.moment()},
                ],
                base=2**40,
            ),
            rob.mutation(
                "visit",
                made,
                "update",
                [
                    {"field": "status", "op": "go", "old": "open", "new": "done"},
                    {"field": "check_out", "op": "set", "old": None, "new": rob.moment()},
                    {"field": "outcome", "op": "set", "old": None, "new": "order"},
                ],
                base=2**40,
            ),
            rob.mutation(
                "visit",
                world.ids["off"],
                "update",
                [{"field": "status", "op": "go", "old": "planned", "new": "cancelled"}],
                base=2**40,
            ),
            rob.create(
                "follow_up", customer_id=world.ids["Shop"], subject="Quote", visit_id=made, status="open"
            ),
        )
        return world


def test_the_funnel_leads_from_plans_to_outcomes_of_those_whom_the_reader_leads(planned: World):
    def asked(who: str, more: str = "") -> dict[str, Any]:
        found = planned.get(who, f"/api/scores/funnel?period=month&starts_on=2026-03-01{more}").json
        return {name: found[name] for name in ("planned", "visited", "followed", "outcome")}

    assert asked("mia") == {"planned": 2, "visited": 1, "followed": 1, "outcome": 1}
    assert asked("rob") == asked("mia")
    assert asked("boss") == {"planned": 3, "visited": 1, "followed": 1, "outcome": 1}
    assert asked("boss", f"&team={planned.ids['south']}")["planned"] == 1
    other = planned.get("mia", f"/api/scores/funnel?starts_on=2026-03-01&team={planned.ids['south']}")
    assert other.status_code == 404
    assert planned.get("ria", "/api/scores/funnel?starts_on=2026-03-01").json["planned"] == 0
