"""The history of everything that is written, readable by whoever may see it, and any earlier value brought back."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select

from server.db import reading, writing
from server.exchange.check import check
from server.exchange.model import Revision
from tests.world import World, ago, fix


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def history(world: World, who: str, kind: str, entity: str, **asked: Any) -> list[dict[str, Any]]:
    """All of it, page by page."""
    items, cursor = [], ""
    while cursor is not None:
        query = "&".join(f"{name}={value}" for name, value in {**asked, "cursor": cursor}.items())
        response = world.get(who, f"/api/history/{kind}/{entity}?{query}")
        assert response.status_code == 200, response.json
        items += response.json["items"]
        cursor = response.json["next"]
    return items


def op(field: str, new: Any, old: Any = None, word: str = "set") -> dict[str, Any]:
    return {"field": field, "op": word, "old": old, "new": new}


def test_each_change_is_told_with_who_when_by_which_device_and_what_was_before(world: World) -> None:
    shop = world.customer("Shop", phone="020 1")
    rob = world.phone("rob")
    rob.pull()
    base = rob.replica["customer", shop]["version"]
    ops = [op("phone", "020 2", "020 1"), {"field": "tags", "op": "add", "values": ["vip"]}]
    (receipt,) = rob.push(rob.mutation("customer", shop, "update", ops, ago(minutes=3), base))
    rob.push(rob.mutation("customer", shop, "update", [op("phone", "020 2")], base=receipt["version"]))
    made, changed, again = history(world, "mia", "customer", shop, limit=1)
    assert (made["verb"], made["person"], made["changes"], made["cause"]) == (
        "create",
        {"id": None, "name": None},
        {},
        None,
    )
    assert changed["person"] == {"id": world.ids["rob"], "name": "Rob"}
    assert (changed["client"], changed["verb"], changed["status"], changed["code"], changed["version"]) == (
        rob.client,
        "update",
        "applied",
        None,
        receipt["version"],
    )
    assert changed["at"] < changed["received_at"]
    assert changed["ops"] == ops
    assert changed["changes"] == {
        "phone": {"before": "020 1", "after": "020 2"},
        "tags": {"before": [], "after": ["vip"]},
    }
    assert (again["status"], again["changes"]) == ("noop", {})
    assert made["n"] < changed["n"] < again["n"]


def test_what_a_merge_of_two_edits_came_to_is_told_and_not_only_what_each_asked_for(world: World) -> None:
    shop = world.customer("Shop", note="Open till five.")
    rob, ria = world.phone("rob"), world.phone("ria")
    rob.pull()
    base = rob.replica["customer", shop]["version"]
    rob.push(
        rob.mutation(
            "customer", shop, "update", [op("note", "Open till six.", "Open till five.", "text")], base=base
        )
    )
    ria.push(
        ria.mutation(
            "customer",
            shop,
            "update",
            [op("note", "Now open till five.", "Open till five.", "text")],
            base=base,
        )
    )
    told = [one["changes"].get("note") for one in history(world, "rob", "customer", shop)]
    stored = world.get("rob", f"/api/customers/{shop}").json["note"]
    assert told[1:] == [
        {"before": "Open till five.", "after": "Open till six."},
        {"before": "Open till six.", "after": stored},
    ]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("phone", ["020 1", "020 2", None, "020 3"]),
        ("note", ["One.", "Two\nlines.", "", "第三"]),
        ("tags", [["a", "b"], ["b"], [], ["c", "a"]]),
    ],
)
def test_any_earlier_value_comes_back_by_an_ordinary_update(
    world: World, field: str, values: list[Any]
) -> None:
    shop = world.customer("Shop", **{field: values[0]})
    word = {"note": "text"}.get(field, "set")
    rob = world.phone("rob")

    def plain(value: Any) -> Any:
        return set(value) if isinstance(value, list) else value

    def put(new: Any) -> None:
        rob.pull()
        held = rob.replica["customer", shop]
        change = op(field, new, held["data"][field], word)
        (receipt,) = rob.push(rob.mutation("customer", shop, "update", [change], base=held["version"]))
        assert receipt["status"] == "applied", receipt

    for value in values[1:]:
        put(value)
    changes = [one["changes"][field] for one in history(world, "rob", "customer", shop) if one["changes"]]
    earlier = [one["before"] for one in changes]
    assert list(map(plain, earlier)) == list(map(plain, values[:-1]))
    for value in earlier:
        put(value)
        assert plain(world.get("rob", f"/api/customers/{shop}").json[field]) == plain(value)
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_archiving_and_what_later_releases_know_are_in_the_history(world: World) -> None:
    shop = world.customer("Shop")
    mia = world.phone("mia")
    mia.push(
        mia.mutation("customer", shop, "update", [op("shoe_size", {"eu": 43})]),
        mia.mutation("customer", shop, "archive", []),
    )
    told = [one["changes"] for one in history(world, "mia", "customer", shop)]
    assert told[1:] == [
        {"shoe_size": {"before": None, "after": {"eu": 43}}},
        {"archived": {"before": False, "after": True}},
    ]


def test_what_a_decision_did_is_in_the_history_of_what_it_was_done_to_with_its_cause(world: World) -> None:
    shop = world.customer("Shop", phone="020 1")
    rob, ria = world.phone("rob"), world.phone("ria")
    rob.pull()
    base = rob.replica["customer", shop]["version"]
    rob.push(rob.mutation("customer", shop, "update", [op("phone", "020 2", "020 1")], base=base))
    (receipt,) = ria.push(
        ria.mutation("customer", shop, "update", [op("phone", "020 3", "020 1")], base=base)
    )
    (conflict,) = receipt["conflicts"]
    decision = ria.create("decision", on_kind="conflict", on_id=conflict, verdict="take")
    assert ria.push(decision)[0]["status"] == "applied"
    taken = history(world, "rob", "customer", shop)[-1]
    assert taken["changes"] == {"phone": {"before": "020 3", "after": "020 2"}}
    assert (taken["cause"], taken["ops"]) == ({"kind": "decision", "id": decision["entity"]}, [])
    assert taken["person"]["id"] == world.ids["ria"]


def test_a_leads_word_on_a_visit_and_a_correction_of_it_are_in_its_history(world: World) -> None:
    shop, rob, mia = world.customer("Shop"), world.phone("rob"), world.phone("mia")
    at = ago(minutes=50)
    visit = rob.check_in(shop, at, check_in_fix=fix(at, lat=48.2))
    left = rob.check_out(visit["entity"])
    amendment = rob.create(
        "amendment", visit_id=visit["entity"], reason="Wrong box", changes={"outcome": "none"}
    )
    receipts = rob.push(visit, left, amendment)
    accept = mia.create("decision", on_kind="visit", on_id=visit["entity"], verdict="accept")
    approve = mia.create("decision", on_kind="amendment", on_id=amendment["entity"], verdict="approve")
    receipts += mia.push(accept, approve)
    assert {one["status"] for one in receipts} == {"applied"}
    told = [(one["changes"], one["cause"]) for one in history(world, "rob", "visit", visit["entity"])][-2:]
    assert told == [
        (
            {"server.accepted": {"before": False, "after": True}},
            {"kind": "decision", "id": accept["entity"]},
        ),
        ({"outcome": {"before": "order", "after": "none"}}, {"kind": "decision", "id": approve["entity"]}),
    ]


def test_a_merge_is_in_the_history_of_both_and_what_was_sent_to_the_old_one_too(world: World) -> None:
    crown, inn = world.customer("Crown"), world.customer("Crown Inn", contact="Noor")
    mia, rob = world.phone("mia"), world.phone("rob")
    mia.pull()
    (suggestion,) = mia.held("suggestion")
    decision = mia.create("decision", on_kind="suggestion", on_id=suggestion, verdict="approve")
    assert mia.push(decision)[0]["status"] == "applied"
    cause = {"kind": "decision", "id": decision["entity"]}
    gone, stays = history(world, "rob", "customer", inn), history(world, "rob", "customer", crown)
    assert (gone[-1]["cause"], stays[-1]["cause"]) == (cause, cause)
    assert gone[-1]["changes"] == {
        "archived": {"before": False, "after": True},
        "merged_into": {"before": None, "after": crown},
    }
    assert stays[-1]["changes"] == {"contact": {"before": None, "after": "Noor"}}
    edit = op("phone", "020 9")
    assert rob.push(rob.mutation("customer", inn, "update", [edit]))[0]["status"] == "applied"
    last = history(world, "rob", "customer", crown)[-1]
    assert (last["ops"], last["changes"], last["cause"]) == (
        [edit],
        {"phone": {"before": None, "after": "020 9"}},
        None,
    )


def test_a_history_is_for_whoever_may_see_the_thing_and_what_was_parked_for_its_author_and_their_lead(
    world: World,
) -> None:
    shop = world.customer("Shop")
    rob, sam = world.phone("rob"), world.phone("sam")
    visit = rob.check_in(shop)
    promise = rob.create("follow_up", customer_id=shop, subject="Call")
    said = rob.create("comment", on_kind="follow_up", on_id=promise["entity"], body="Tomorrow")
    assert {one["status"] for one in rob.push(visit, promise, said)} == {"applied"}
    for phone in (rob, sam):
        assert (
            phone.push(phone.mutation("customer", shop, "update", [op("name", "")]))[0]["status"] == "parked"
        )
    seen = {
        ("customer", shop): {"rob": 2, "ria": 1, "mia": 2, "boss": 3, "admin": 3, "sam": None},
        ("visit", visit["entity"]): {"rob": 1, "ria": None, "mia": 1, "sam": None},
        ("follow_up", promise["entity"]): {"rob": 1, "ria": None, "mia": 1, "sam": None},
        ("comment", said["entity"]): {"rob": 1, "ria": None, "mia": 1, "sam": None},
        ("team", world.ids["north"]): {"rob": 1, "sam": 1},
        ("customer", str(uuid4())): {"rob": None, "admin": None},
        ("visit", shop): {"rob": None},
        ("conflict", shop): {"admin": None},
        ("nonsense", shop): {"admin": None},
    }
    for (kind, entity), people in seen.items():
        for who, count in people.items():
            response = world.get(who, f"/api/history/{kind}/{entity}")
            told = len(response.json["items"]) if response.status_code == 200 else None
            assert told == count, (kind, who)
            assert response.status_code in {200, 404}


def test_a_check_finds_a_revision_that_was_taken_out_or_changed(world: World) -> None:
    world.customer("Shop")
    world.change("customer", "Shop", phone="020 1")
    world.change("customer", "Shop", phone="020 2")
    with world.app.app_context(), writing() as connection:
        first = connection.execute(
            select(Revision.n).where(Revision.org_id == world.org).order_by(Revision.n).limit(1)
        ).scalar_one()
        connection.execute(delete(Revision).where(Revision.org_id == world.org, Revision.n == first))
    with world.app.app_context(), reading() as connection:
        (found,) = check(connection, world.org)
    assert (found.table, found.field) == ("revision", "row")
    assert world.ids["Shop"] in found.key and json.loads(json.dumps(found.expected["changes"]))["phone"]
