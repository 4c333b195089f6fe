"""A scheme tried on a period before anybody proposes it: what the grades would be, and nothing of it stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.world import World

BY_ORDERS = [{"code": "orders", "kind": "result", "weight": "1", "combine": "sum", "target": "10"}]


@pytest.fixture
def sold(world: World) -> World:
    """October is over: who sold how much of the ten that are wanted; Sam, in the south, sold the most."""
    for who, amount in (("rob", "9"), ("ria", "7.5"), ("sam", "12")):
        about = {"indicator": "orders", "on": "2026-10-05", "source": "till", "status": "reviewed"}
        world.create("value", f"of {who}", person_id=world.ids[who], amount=amount, **about)
    return world


def tried(world: World, who: str, **asked: Any) -> Any:
    body = {"period": "month", "starts_on": "2026-10-01", "indicators": BY_ORDERS} | asked
    headers = {"Authorization": f"Bearer {world.tokens[who]}"}
    with time_machine.travel(datetime(2026, 11, 12, 12, tzinfo=UTC), tick=False):
        return world.app.test_client().post("/api/scores/trial", json=body, headers=headers)


def test_a_scheme_is_tried_on_those_one_leads_and_holds_for_nobody(sold: World) -> None:
    mine = tried(sold, "mia").json
    assert mine["grades"] == {"S": 1, "A": 0, "B": 1, "C": 0}
    assert (mine["people"], mine["lowest"], mine["highest"]) == (2, "75.00", "90.00")
    assert mine["usual"]["S"] == ["10", "15"]
    everybody = tried(sold, "admin").json
    assert (everybody["people"], everybody["highest"]) == (3, "120.00")
    assert tried(sold, "admin", team=sold.ids["south"]).json["people"] == 1
    unmeasured = tried(sold, "admin", indicators=[BY_ORDERS[0] | {"target": None}]).json
    assert (unmeasured["people"], unmeasured["unscored"], unmeasured["lowest"]) == (0, 3, None)
    assert sold.get("rob", "/api/scores?starts_on=2026-10-01").json["scores"][0]["scheme"] is None


def test_a_trial_is_for_who_leads_and_of_what_can_be_a_scheme(sold: World) -> None:
    assert tried(sold, "rob").status_code == 403
    assert tried(sold, "mia", team=sold.ids["south"]).status_code == 404
    for wrong in ([], [{"code": "nothing_known", "weight": "1", "kind": "process"}], BY_ORDERS * 2):
        answer = tried(sold, "mia", indicators=wrong)
        assert (answer.status_code, answer.json["code"]) == (422, "INVALID"), wrong
