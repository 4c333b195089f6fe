"""Payloads of other releases at the door: old ones are understood for ever, newer ones kept word for word."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from server.exchange import documents
from sync.migrate import upcast
from sync.mutation import canonical
from tests.world import World

GOLDEN = sorted((Path(__file__).parents[2] / "sync" / "golden").glob("schema_*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_payload_still_settles(world: World, path: Path) -> None:
    rob = world.phone("rob")
    golden = [one["mutation"] for one in json.loads(path.read_text())]
    begun = {one["entity"] for one in golden if one["verb"] == "create"}
    named = {one["entity"] for one in golden if one["kind"] == "customer"} - begun
    named |= {op["new"] for one in golden for op in one["ops"] if op["field"] == "customer_id"}
    receipts = rob.push(
        *(
            rob.mutation("customer", customer, "create", [{"field": "name", "op": "set", "new": "Shop"}])
            for customer in sorted(named)
        )
    )
    assert {receipt["status"] for receipt in receipts} == {"applied"}
    sent = [one | {"seq": len(named) + number} for number, one in enumerate(golden, 1)]
    receipts = rob.push(*sent)
    told = {one["id"]: receipt for one, receipt in zip(sent, receipts, strict=True)}
    for one in golden:
        assert told[one["id"]]["code"] not in {"INVALID", "UNKNOWN_OP"}, (one, told[one["id"]])
        # A rep may not archive nor set anything up, and there is no such conflict, person or closing here.
        elsewhere = one["kind"] in {"decision", "target", "scheme", "day_off", "appeal"}
        assert told[one["id"]]["status"] != "parked" or one["verb"] == "archive" or elsewhere
    assert rob.push(*sent) == receipts


def test_a_newer_schema_of_a_shape_nobody_knows_is_parked_whole_and_blocks_nothing(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    written: dict[str, Any] = rob.check_in(shop)
    newer = {
        "seq": written["seq"],
        "id": written["id"],
        "schema": 99,
        "kind": "visit",
        "entity": written["entity"],
        "verb": "weave",
        "base": {"of": ["many"]},
        "at": "three o'clock, 三点",
        "threads": [{"colour": "red", "length": 1e-3}],
    }
    after = rob.check_in(shop)
    receipts = rob.push(newer, after)
    assert [(one["status"], one["code"]) for one in receipts] == [("parked", "UNKNOWN_OP"), ("applied", None)]
    assert rob.push(newer, after) == receipts
    rob.pull()
    (parked,) = rob.held("parked").values()
    assert parked["code"] == "UNKNOWN_OP" and parked["status"] == "open"
    assert canonical(parked["mutation"]) == canonical(
        {name: value for name, value in newer.items() if name != "seq"}
    )


def test_an_old_schema_is_brought_up_at_the_door_and_known_again_by_what_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a step that no release needs yet: schema 0 called the ops changes, and told no old values."""

    def step(raw: dict[str, Any]) -> dict[str, Any]:
        ops = [{"op": "set", "field": name, "new": new} for name, new in raw["changes"].items()]
        return {name: value for name, value in raw.items() if name != "changes"} | {"ops": ops}

    monkeypatch.setattr(documents, "upcast", lambda raw: upcast(raw, {0: step}))
    shop, rob = world.customer("Shop"), world.phone("rob")
    old = rob.mutation("customer", shop, "update", []) | {"schema": 0, "changes": {"contact": "Anna"}}
    del old["ops"]
    receipts = rob.push(old)
    assert [one["status"] for one in receipts] == ["applied"]
    assert rob.push(old) == receipts
    rob.pull()
    assert rob.held("customer")[shop]["contact"] == "Anna"


def test_unknown_fields_stay_through_the_edits_of_releases_that_do_not_know_them(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    strange = {"stars": [4, None, "四"], "by": {"": 1e3}}
    first = rob.mutation("customer", shop, "update", [{"field": "mood", "op": "set", "new": strange}])
    second = rob.mutation("customer", shop, "update", [{"field": "phone", "op": "set", "new": "1"}])
    third = rob.mutation(
        "customer", str(uuid4()), "create", [{"field": "name", "op": "set", "new": "B"}, first["ops"][0]]
    )
    assert [one["status"] for one in rob.push(first, second, third)] == ["applied"] * 3
    rob.pull()
    for customer in (shop, third["entity"]):
        assert rob.held("customer")[customer]["mood"] == strange
    assert rob.held("customer")[shop]["phone"] == "1"
