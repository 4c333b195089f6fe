"""Two customers that are one place: suggested, merged by a person, and the old id stands for the other for ever."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from server.customers.model import Customer
from server.db import reading, writing
from server.exchange.check import check
from server.exchange.door import Change
from server.exchange.model import Conflict, Suggestion
from server.people.model import Head
from server.visits.model import Visit
from tests.world import PLACE, Phone, World, ago, fix


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def is_told_by_its_journal(world: World) -> bool:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
    return True


def rows(world: World, model: Any) -> dict[str, dict[str, Any]]:
    with world.app.app_context(), reading() as connection:
        found = connection.execute(select(model.__table__).where(model.org_id == world.org)).mappings()
        return {row["id"]: dict(row) for row in found}


def head(world: World) -> int:
    with world.app.app_context(), reading() as connection:
        return connection.execute(select(Head.version).where(Head.org_id == world.org)).scalar_one()


def suggested(world: World) -> list[tuple[str, str]]:
    """The pairs of which a merge is suggested: what would go, what would stay."""
    return [
        (one["entity"], one["into"]) for one in rows(world, Suggestion).values() if one["purpose"] == "merge"
    ]


def decide(phone: Phone, suggestion: str, verdict: str = "approve") -> dict[str, Any]:
    decision = phone.create("decision", on_kind="suggestion", on_id=suggestion, verdict=verdict)
    (receipt,) = phone.push(decision)
    return receipt


def merge(world: World, gone: str, into: str, who: str = "mia") -> None:
    """Approve the merge that is suggested of these two, by their names in this test."""
    ids = world.ids[gone], world.ids[into]
    found = [one["id"] for one in rows(world, Suggestion).values() if (one["entity"], one["into"]) == ids]
    assert len(found) == 1, (gone, into, suggested(world), world.ids)
    receipt = decide(world.phone(who), found[0])
    assert receipt["status"] == "applied", receipt


def op(field: str, new: Any, old: Any = None, word: str = "set") -> dict[str, Any]:
    return {"field": field, "op": word, "old": old, "new": new}


# --- what is suggested -------------------------------------------------------------------------------------------------


def test_a_new_customer_beside_one_of_its_name_makes_a_suggestion_and_both_stay(world: World) -> None:
    crown = world.customer("The Crown")
    rob = world.phone("rob")
    lead = rob.create("customer", name="CROWN INN", lat=PLACE[0] + 0.002, lon=PLACE[1])
    assert rob.push(lead)[0]["status"] == "applied"
    assert suggested(world) == [(lead["entity"], crown)]
    assert {crown, lead["entity"]} <= rows(world, Customer).keys()
    for who, told in (("rob", 1), ("mia", 1), ("boss", 1), ("ria", 0), ("sam", 0)):
        phone = world.phone(who)
        phone.pull()
        assert len(phone.held("suggestion")) == told, who
    assert is_told_by_its_journal(world)


def test_branches_of_a_chain_make_none(world: World) -> None:
    world.customer("Costa", lat=PLACE[0])
    world.customer("costa", lat=PLACE[0] + 0.03)
    assert suggested(world) == []


def test_a_rename_and_a_move_are_looked_at_as_a_creation_is_and_nothing_else(world: World) -> None:
    world.customer("Crown")
    world.customer("Anchor")
    world.customer("Crown far away", lat=PLACE[0] + 1)
    world.change("customer", "Anchor", note="Beside the crown.")
    assert suggested(world) == []
    world.change("customer", "Anchor", name="The Crown")
    assert suggested(world) == [(world.ids["Anchor"], world.ids["Crown"])]
    world.change("customer", "Crown far away", name="Crown")
    assert len(suggested(world)) == 1
    world.change("customer", "Crown far away", lat=PLACE[0])
    assert len(suggested(world)) == 2
    assert is_told_by_its_journal(world)


def test_doubles_within_one_import_find_each_other(world: World) -> None:
    fields = {"lat": PLACE[0], "lon": PLACE[1], "owner_id": world.ids["rob"], "team_id": world.ids["north"]}
    names = ("Red Lion", "The Red Lion", "Kings Head")
    world.write(*(Change("customer", str(uuid4()), "create", {"name": name} | fields) for name in names))
    assert len(suggested(world)) == 1


def test_a_list_that_is_all_doubles_drowns_nobody(world: World) -> None:
    fields = {"name": "Corner shop", "owner_id": world.ids["rob"], "team_id": world.ids["north"]}
    world.write(*(Change("customer", str(uuid4()), "create", fields) for _ in range(120)))
    assert len(suggested(world)) == 50


def test_a_pair_that_was_declined_is_not_asked_again(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn")
    (suggestion,) = rows(world, Suggestion)
    assert decide(world.phone("mia"), suggestion, "decline")["status"] == "applied"
    world.change("customer", "Crown Inn", name="The Crown")
    assert rows(world, Suggestion)[suggestion]["verdict"] == "decline"
    assert len(rows(world, Suggestion)) == 1
    assert rows(world, Customer)[world.ids["Crown Inn"]]["archived"] is False


def test_only_those_who_see_both_are_told_and_only_those_with_a_say_in_both_decide(world: World) -> None:
    world.customer("Crown", owner="rob", team="north")
    world.customer("Crown Inn", owner="sam", team="south")
    (suggestion,) = rows(world, Suggestion)
    told = {}
    for who in ("rob", "ria", "mia", "sam", "boss"):
        phone = world.phone(who)
        phone.pull()
        told[who] = suggestion in phone.held("suggestion")
    assert told == {"rob": False, "ria": False, "mia": False, "sam": False, "boss": True}
    for who in ("rob", "mia", "sam"):
        assert decide(world.phone(who), suggestion)["code"] == "SCOPE_LOST"
    assert decide(world.phone("boss"), suggestion)["status"] == "applied"


def test_a_suggestion_goes_with_its_customers_to_those_who_see_both_now(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn")
    mia, boss = world.phone("mia"), world.phone("boss")
    mia.pull()
    assert len(mia.held("suggestion")) == 1
    world.change("customer", "Crown", owner_id=world.ids["sam"], team_id=world.ids["south"])
    mia.pull()
    boss.pull()
    assert (len(mia.held("suggestion")), len(boss.held("suggestion"))) == (0, 1)
    assert is_told_by_its_journal(world)


def test_a_suggestion_is_taken_back_from_who_no_longer_sees_the_other_customer(world: World) -> None:
    world.customer("Crown", owner="rob")
    world.customer("Crown Inn", owner="ria")
    rob, mia = world.phone("rob"), world.phone("mia")
    rob.pull()
    assert len(rob.held("suggestion")) == 1
    world.create("setting", "sharing", key="share_team_customers", value=False)
    rob.pull()
    mia.pull()
    assert (len(rob.held("suggestion")), len(mia.held("suggestion"))) == (0, 1)
    assert is_told_by_its_journal(world)


# --- what a merge does -------------------------------------------------------------------------------------------------


def test_a_merge_fills_unites_and_keeps_what_differs_to_be_taken(world: World) -> None:
    world.customer("Crown", note="By the canal.", tags=["vip"], phone="020 1", code="A-1", size=7)
    world.customer(
        "Crown Inn",
        note="Ask for Noor.",
        tags=["vip", "cold"],
        phone="020 2",
        contact="Noor",
        code="B-1",
        kind="pub",
    )
    mia = world.phone("mia")
    mia.pull()
    merge(world, "Crown Inn", "Crown")
    stays = world.get("mia", f"/api/customers/{world.ids['Crown']}").json
    assert (stays["name"], stays["phone"], stays["contact"], stays["code"]) == (
        "Crown",
        "020 1",
        "Noor",
        "A-1",
    )
    assert (stays["tags"], stays["note"]) == (["vip", "cold"], "By the canal.\n\nAsk for Noor.")
    assert (stays["size"], stays["kind"]) == (7, "pub")
    lost = {one["field"]: one for one in rows(world, Conflict).values()}
    assert lost.keys() == {"name", "phone", "code"}
    assert {one["entity"] for one in lost.values()} == {world.ids["Crown"]}
    assert (lost["phone"]["kept"], lost["phone"]["lost"]) == ("020 1", "020 2")
    for field in ("phone", "code"):
        taken = mia.create("decision", on_kind="conflict", on_id=lost[field]["id"], verdict="take")
        assert mia.push(taken)[0]["status"] == "applied"
    stays = world.get("mia", f"/api/customers/{world.ids['Crown']}").json
    assert (stays["phone"], stays["code"]) == ("020 2", "B-1")
    mia.pull()
    old = mia.held("customer")[world.ids["Crown Inn"]]
    assert (old["archived"], old["merged_into"]) == (True, world.ids["Crown"])
    assert is_told_by_its_journal(world)


def test_a_place_is_taken_whole_or_not_at_all(world: World) -> None:
    world.customer("Crown", lat=None, lon=None)
    world.customer("Crown Inn", lat=48.2, lon=16.4)
    merge(world, "Crown Inn", "Crown")
    stays = rows(world, Customer)[world.ids["Crown"]]
    assert (stays["lat"], stays["lon"]) == (48.2, 16.4)
    assert {one["field"] for one in rows(world, Conflict).values()} == {"name"}
    world.customer("The Crown", lat=48.2, lon=16.4)  # it is found by its new place
    assert (world.ids["The Crown"], world.ids["Crown"]) in suggested(world)


def test_visits_follow_ups_and_comments_come_along_with_their_evidence_and_their_days(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn", lat=PLACE[0] + 0.003)
    rob, mia = world.phone("rob"), world.phone("mia")
    there = fix(ago(), PLACE[0] + 0.003)
    visit = rob.check_in(world.ids["Crown Inn"], ago(minutes=50), check_in_fix=there)
    rob.push(
        visit,
        rob.check_out(visit["entity"], ago(minutes=5), check_out_fix=there),
        rob.create("follow_up", customer_id=world.ids["Crown Inn"], subject="Send the list"),
        rob.create("comment", on_kind="customer", on_id=world.ids["Crown Inn"], body="Closed on Mondays"),
        rob.create("comment", on_kind="visit", on_id=visit["entity"], body="A good one"),
    )
    rob.pull()
    before = world.get("rob", f"/api/visits/{visit['entity']}").json
    assert before["server"]["valid"] is True
    merge(world, "Crown Inn", "Crown")
    after = world.get("rob", f"/api/visits/{visit['entity']}").json
    assert after["customer"]["id"] == world.ids["Crown"]
    evidence = ("check_in", "check_out", "check_in_fix", "check_out_fix", "minutes", "outcome", "server")
    assert {name: after[name] for name in evidence} == {name: before[name] for name in evidence}
    its_day = rows(world, Visit)[visit["entity"]]["day"]
    day = next(
        one
        for one in world.get("mia", f"/api/board?date={its_day}").json["reps"]
        if one["person"]["id"] == world.ids["rob"]
    )
    assert (day["visits"], day["valid_visits"]) == (1, 1)
    assert [one["customer"] for one in day["line"]] == ["Crown"]
    for name in ("Crown", "Crown Inn"):
        assert len(world.get("rob", f"/api/visits?customer={world.ids[name]}").json["items"]) == 1
        assert len(world.get("rob", f"/api/follow-ups?customer={world.ids[name]}").json["items"]) == 1
    rob.pull()
    assert rob.held("visit")[visit["entity"]]["customer_id"] == world.ids["Crown"]
    said = {one["body"]: one["on_id"] for one in rob.held("comment").values()}
    assert said == {"Closed on Mondays": world.ids["Crown"], "A good one": visit["entity"]}
    mia.pull()
    assert [one["body"] for one in mia.held("comment").values()] == ["Closed on Mondays"]
    assert is_told_by_its_journal(world)


# --- the old id, for ever ----------------------------------------------------------------------------------------------


def chain(world: World) -> None:
    """Three customers, the first merged into the second, the second into the third."""
    for name in ("Crown", "Crown Inn", "The Crown"):
        world.customer(name)
    merge(
        world,
        "The Crown",
        next(
            name
            for name in ("Crown", "Crown Inn")
            if (world.ids["The Crown"], world.ids[name]) in suggested(world)
        ),
    )
    merge(world, "Crown Inn", "Crown")


def test_through_chains_a_late_offline_visit_at_the_old_id_lands_at_the_one_that_stayed(world: World) -> None:
    chain(world)
    rob = world.phone("rob")
    for name in ("Crown Inn", "The Crown"):
        visit = rob.check_in(world.ids[name], ago(hours=30))
        receipts = rob.push(
            visit,
            rob.check_out(visit["entity"], ago(hours=29)),
            rob.create("follow_up", customer_id=world.ids[name], visit_id=visit["entity"], subject="Call"),
            rob.create("comment", on_kind="customer", on_id=world.ids[name], body="Hello"),
        )
        assert [one["status"] for one in receipts] == ["applied"] * 4
        stored = world.get("rob", f"/api/visits/{visit['entity']}").json
        assert stored["customer"]["id"] == world.ids["Crown"]
        assert world.get("rob", f"/api/customers/{world.ids[name]}").json["id"] == world.ids["Crown"]
        phone = world.phone("rob")
        phone.pull()
        assert {one["customer_id"] for one in phone.held("follow_up").values()} == {world.ids["Crown"]}
        assert {one["on_id"] for one in phone.held("comment").values()} == {world.ids["Crown"]}
    assert is_told_by_its_journal(world)


def test_who_held_only_the_old_one_still_brings_in_what_they_did_there(world: World) -> None:
    world.customer("Crown", owner="rob", team="north")
    world.customer("Crown Inn", owner="sam", team="south")
    merge(world, "Crown Inn", "Crown", "boss")
    sam = world.phone("sam")
    visit = sam.check_in(world.ids["Crown Inn"], ago(hours=3))
    promise = sam.create("follow_up", customer_id=world.ids["Crown Inn"], subject="Call")
    receipts = sam.push(visit, promise, sam.check_in(str(uuid4())))
    assert [(one["status"], one["code"]) for one in receipts] == [
        ("applied", None),
        ("parked", "SCOPE_LOST"),  # a plan for a customer who is somebody else's now
        ("parked", "SCOPE_LOST"),
    ]


def test_a_visit_at_the_old_door_is_judged_by_the_old_door(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn", lat=PLACE[0] + 0.003)  # some 330 m north
    rob = world.phone("rob")

    def up_north(name: str, **since: float) -> dict[str, Any]:
        at = ago(**since)
        return rob.check_in(world.ids[name], at, check_in_fix=fix(at, PLACE[0] + 0.003))

    begun = up_north("Crown Inn", minutes=50)
    rob.push(begun)
    merge(world, "Crown Inn", "Crown")
    late, at_the_other = up_north("Crown Inn", hours=5), up_north("Crown", hours=7)
    rob.push(late, at_the_other, rob.check_out(begun["entity"], ago(minutes=5)))
    server = {
        name: world.get("rob", f"/api/visits/{one['entity']}").json["server"]
        for name, one in {"begun": begun, "late": late, "other": at_the_other}.items()
    }
    assert {name: (one["trust"], one["trust_reasons"]) for name, one in server.items()} == {
        "begun": ("verified", ["IN_RADIUS"]),
        "late": ("verified", ["IN_RADIUS"]),
        "other": ("review", ["TOO_FAR"]),
    }
    assert is_told_by_its_journal(world)


def test_an_edit_of_the_old_one_is_an_edit_of_the_one_that_stayed_and_overwrites_nothing_unseen(
    world: World,
) -> None:
    world.customer("Crown", phone="020 1", note="By the canal.", tags=["a"])
    world.customer("Crown Inn", phone="020 2", note="Ask for Noor.", tags=["b"])
    rob = world.phone("rob")
    rob.pull()
    base = head(world)
    merge(world, "Crown Inn", "Crown")
    edit = rob.mutation(
        "customer",
        world.ids["Crown Inn"],
        "update",
        [
            op("phone", "020 3", "020 2"),
            op("contact", "Noor"),
            op("note", "Ask for Noor at the bar.", "Ask for Noor.", "text"),
            {"field": "tags", "op": "remove", "values": ["b"]},
        ],
        base=base,
    )
    (receipt,) = rob.push(edit)
    assert (receipt["status"], receipt["code"]) == ("merged", "FIELD_CONFLICT")
    stays = world.get("rob", f"/api/customers/{world.ids['Crown Inn']}").json
    assert (stays["id"], stays["phone"], stays["contact"]) == (world.ids["Crown"], "020 3", "Noor")
    assert stays["note"] == "By the canal.\n\nAsk for Noor at the bar."
    assert stays["tags"] == ["a"]
    lost = [
        (one["kept"], one["lost"])
        for one in rows(world, Conflict).values()
        if one["id"] in receipt["conflicts"]
    ]
    assert lost == [("020 3", "020 1")]
    assert is_told_by_its_journal(world)


def test_the_old_one_does_not_come_back_from_the_dead_and_takes_the_other_nowhere(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn")
    merge(world, "Crown Inn", "Crown")
    mia, old = world.phone("mia"), world.ids["Crown Inn"]
    receipts = mia.push(
        mia.mutation("customer", old, "archive", []), mia.mutation("customer", old, "restore", [])
    )
    assert [one["status"] for one in receipts] == ["noop", "noop"]
    stored = rows(world, Customer)
    assert (stored[old]["archived"], stored[world.ids["Crown"]]["archived"]) == (True, False)
    again = mia.create("customer", old, name="Crown Inn")
    assert mia.push(again)[0]["code"] == "INVALID"
    assert rows(world, Customer)[old]["merged_into"] == world.ids["Crown"]


def test_a_merge_is_not_merged_twice_and_not_taken_back_by_declining(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn")
    (suggestion,) = rows(world, Suggestion)
    mia = world.phone("mia")
    assert decide(mia, suggestion)["status"] == "applied"
    before = rows(world, Customer)
    assert decide(mia, suggestion)["status"] in {"applied", "noop"}
    assert decide(mia, suggestion, "decline")["code"] == "INVALID"
    assert rows(world, Customer) == before
    boss = decide(world.phone("boss"), suggestion, "decline")
    assert (boss["status"], boss["code"]) == ("merged", "STATE_CONFLICT")
    assert is_told_by_its_journal(world)


def test_the_old_code_still_finds_the_customer_and_is_free_for_another(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn", code="B-1")
    merge(world, "Crown Inn", "Crown")
    assert rows(world, Customer)[world.ids["Crown"]]["code"] == "B-1"
    world.customer("Elsewhere", lat=10.0, code="C-1")
    assert world.change("customer", "Elsewhere", code="B-1")["code"] == "UNIQUE_TAKEN"
    assert world.change("customer", "Crown", code=None)["status"] in {"applied", "merged"}
    assert world.change("customer", "Elsewhere", code="B-1")["status"] == "applied"


def test_a_check_finds_a_redirection_that_somebody_bent(world: World) -> None:
    world.customer("Crown")
    world.customer("Crown Inn")
    merge(world, "Crown Inn", "Crown")
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Customer)
            .where(Customer.org_id == world.org, Customer.id == world.ids["Crown Inn"])
            .values(merged_into=None)
        )
    with world.app.app_context(), reading() as connection:
        assert [str(one.field) for one in check(connection, world.org)] == ["merged_into"]
