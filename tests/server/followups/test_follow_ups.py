"""Follow-ups and what is said about things: states, audiences, lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from server.db import reading
from server.exchange.check import check
from server.followups.rules import due_at
from tests.world import Phone, World, ago, text


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop")
    return shared_world


def is_told_by_its_journal(world: World) -> bool:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
    return True


def promise(phone: Phone, **fields: Any) -> dict[str, Any]:
    return phone.create("follow_up", **({"customer_id": phone.world.ids["Shop"], "subject": "Call"} | fields))


def go(phone: Phone, entity: str, old: str, new: str, *more: dict[str, Any], base: int = 0) -> dict[str, Any]:
    step = {"field": "status", "op": "go", "old": old, "new": new}
    return phone.mutation("follow_up", entity, "update", [step, *more], base=base)


def done(phone: Phone, when: datetime) -> dict[str, Any]:
    return {"field": "done", "op": "set", "old": None, "new": phone.moment(when)}


def one(world: World, who: str, entity: str) -> dict[str, Any]:
    response = world.get(who, f"/api/follow-ups/{entity}")
    assert response.status_code == 200
    found: dict[str, Any] = response.json
    return found


# --- states ------------------------------------------------------------------------------------------------------------


def test_doing_reopening_and_doing_again_is_no_conflict_and_each_moment_stays_in_the_history(
    world: World,
) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = promise(rob)
    first, second = done(rob, ago(hours=3)), done(rob, ago(hours=1))
    receipts = rob.push(made, go(rob, made["entity"], "open", "done", first))
    receipts += mia.push(go(mia, made["entity"], "done", "open", base=receipts[-1]["version"]))
    assert one(world, "rob", made["entity"])["done"] is None
    receipts += rob.push(go(rob, made["entity"], "open", "done", second, base=receipts[-1]["version"]))
    assert [(one["status"], one["code"]) for one in receipts] == [("applied", None)] * 4
    assert one(world, "rob", made["entity"])["done"] == second["new"]
    items = world.get("rob", f"/api/history/follow_up/{made['entity']}").json["items"]
    assert [item["changes"].get("done", {}).get("after") for item in items[1:]] == [
        first["new"],
        None,
        second["new"],
    ]
    assert is_told_by_its_journal(world)


def test_the_same_in_one_outbox_offline_is_none_either(world: World) -> None:
    rob = world.phone("rob")
    made = promise(rob)
    first, second = done(rob, ago(hours=3)), done(rob, ago(hours=1))
    receipts = rob.push(
        made,
        go(rob, made["entity"], "open", "done", first),
        go(rob, made["entity"], "done", "open"),
        go(rob, made["entity"], "open", "cancelled"),
        go(rob, made["entity"], "cancelled", "open"),
        go(rob, made["entity"], "open", "done", second),
    )
    assert {one["status"] for one in receipts} == {"applied"}
    assert one(world, "rob", made["entity"])["done"] == second["new"]


def test_two_who_say_done_at_once_leave_the_first_moment_and_keep_the_second(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = promise(rob)
    (receipt,) = rob.push(made)
    first, second = done(mia, ago(hours=3)), done(rob, ago(hours=1))
    mia.push(go(mia, made["entity"], "open", "done", first, base=receipt["version"]))
    (receipt,) = rob.push(go(rob, made["entity"], "open", "done", second, base=receipt["version"]))
    assert (receipt["status"], receipt["code"]) == ("merged", "FIELD_CONFLICT")
    assert one(world, "rob", made["entity"])["done"] == first["new"]
    rob.pull()
    (conflict,) = rob.held("conflict").values()
    assert (conflict["field"], conflict["lost"]) == ("done", second["new"])


def test_a_reopening_that_had_not_seen_the_new_done_keeps_its_moment_where_it_can_be_taken(
    world: World,
) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = promise(rob)
    receipts = rob.push(made, go(rob, made["entity"], "open", "done", done(rob, ago(hours=4))))
    seen = receipts[-1]["version"]
    again = done(rob, ago(hours=1))
    rob.push(
        go(rob, made["entity"], "done", "open", base=seen), go(rob, made["entity"], "open", "done", again)
    )
    (receipt,) = mia.push(go(mia, made["entity"], "done", "open", base=seen))
    assert (receipt["status"], receipt["code"]) == ("merged", "FIELD_CONFLICT")
    assert one(world, "mia", made["entity"])["status"] == "open"
    rob.pull()
    (conflict,) = rob.held("conflict").values()
    assert (conflict["field"], conflict["kept"], conflict["lost"]) == ("done", None, again["new"])


def test_done_outweighs_cancelled_when_both_were_said_at_once(world: World) -> None:
    for first, second, stays in (("done", "cancelled", "done"), ("cancelled", "done", "done")):
        rob, mia = world.phone("rob"), world.phone("mia")
        made = promise(rob)
        (receipt,) = rob.push(made)
        mia.push(go(mia, made["entity"], "open", first, base=receipt["version"]))
        (receipt,) = rob.push(go(rob, made["entity"], "open", second, base=receipt["version"]))
        assert (receipt["status"], receipt["code"]) == ("merged", "STATE_CONFLICT")
        assert one(world, "rob", made["entity"])["status"] == stays


def test_a_managers_due_date_stands_against_one_the_owner_set_without_seeing_it(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = promise(rob, due_date="2031-01-31")
    (receipt,) = rob.push(made)

    def due(phone: Phone, day: str) -> dict[str, Any]:
        change = {"field": "due_date", "op": "set", "old": "2031-01-31", "new": day}
        return phone.mutation("follow_up", made["entity"], "update", [change], base=receipt["version"])

    mia.push(due(mia, "2031-02-10"))
    (later,) = rob.push(due(rob, "2031-02-20"))
    assert (later["status"], later["code"]) == ("merged", "FIELD_CONFLICT")
    assert one(world, "rob", made["entity"])["due_date"] == "2031-02-10"


# --- who is told -------------------------------------------------------------------------------------------------------


def told(world: World, kind: str) -> dict[str, set[str]]:
    """Who holds which of a kind."""
    found = {}
    for who in ("rob", "ria", "mia", "boss", "sam"):
        phone = world.phone(who)
        phone.pull()
        found[who] = set(phone.held(kind))
    return found


def test_a_follow_up_is_told_to_its_owner_and_while_it_is_open_to_who_leads_them(world: World) -> None:
    rob = world.phone("rob")
    made = promise(rob)
    rob.push(made)
    held = {made["entity"]}
    assert told(world, "follow_up") == {"rob": held, "mia": held, "boss": held, "ria": set(), "sam": set()}
    (receipt,) = rob.push(go(rob, made["entity"], "open", "done"))
    assert told(world, "follow_up") == {"rob": held, "mia": set(), "boss": set(), "ria": set(), "sam": set()}
    rob.push(go(rob, made["entity"], "done", "open", base=receipt["version"]))
    world.ids["Call"] = made["entity"]
    world.change("follow_up", "Call", owner_id=world.ids["sam"])
    assert told(world, "follow_up") == {"rob": set(), "mia": set(), "boss": held, "ria": set(), "sam": held}
    assert is_told_by_its_journal(world)


def test_a_comment_is_told_to_whoever_is_told_of_the_thing_and_goes_where_it_goes(world: World) -> None:
    shop, rob = world.ids["Shop"], world.phone("rob")
    made, visit = promise(rob), rob.check_in(shop)
    said = {
        kind: rob.create("comment", on_kind=kind, on_id=entity, body=f"On the {kind}")
        for kind, entity in (("customer", shop), ("follow_up", made["entity"]), ("visit", visit["entity"]))
    }
    assert {one["status"] for one in rob.push(made, visit, *said.values())} == {"applied"}
    on = {kind: one["entity"] for kind, one in said.items()}
    everything = set(on.values())
    assert told(world, "comment") == {
        "rob": everything,
        "ria": {on["customer"]},
        "mia": {on["customer"], on["follow_up"]},
        "boss": {on["customer"], on["follow_up"]},
        "sam": set(),
    }
    rob.push(go(rob, made["entity"], "open", "done"))
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    assert told(world, "comment") == {
        "rob": everything,  # whoever said it keeps it
        "ria": set(),
        "mia": set(),
        "boss": {on["customer"]},
        "sam": {on["customer"]},
    }
    assert is_told_by_its_journal(world)


def test_a_comment_says_whose_it_is_and_when_it_was_written(world: World) -> None:
    rob, written = world.phone("rob"), ago(hours=5)
    said = rob.create("comment", on_kind="customer", on_id=world.ids["Shop"], body="Side door", at=written)
    assert rob.push(said)[0]["status"] == "applied"
    mia = world.phone("mia")
    mia.pull()
    held = mia.held("comment")[said["entity"]]
    assert held["author_id"] == world.ids["rob"]
    assert datetime.fromisoformat(held["at"]) == datetime.fromisoformat(text(written))


def test_comments_on_customers_are_taken_back_and_given_again_with_them(world: World) -> None:
    mia = world.phone("mia")
    said = mia.create("comment", on_kind="customer", on_id=world.ids["Shop"], body="Theirs to know")
    mia.push(said)
    ria = world.phone("ria")
    ria.pull()
    assert ria.held("comment")
    world.create("setting", "sharing", key="share_team_customers", value=False)
    ria.pull()
    assert not ria.held("comment") and not ria.held("customer")
    world.change("setting", "sharing", value=True)
    ria.pull()
    assert ria.held("comment") and ria.held("customer")
    assert is_told_by_its_journal(world)


def test_what_refers_to_a_parked_creation_waits_behind_it(world: World) -> None:
    rob = world.phone("rob")
    wrong = promise(rob, subject="")
    said = rob.create("comment", on_kind="follow_up", on_id=wrong["entity"], body="Of that one")
    assert [one["code"] for one in rob.push(wrong, said)] == ["INVALID", "PARENT_PARKED"]


def test_a_comment_on_a_customer_lost_within_ninety_days_is_still_taken(world: World) -> None:
    rob = world.phone("rob")
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    said = rob.create("comment", on_kind="customer", on_id=world.ids["Shop"], body="They close in May")
    never = world.phone("sam").create(
        "comment", on_kind="customer", on_id=world.customer("Northern"), body="Hm"
    )
    assert rob.push(said)[0]["status"] == "applied"
    sam = world.phone("sam")
    never["seq"] = 1
    assert sam.push(never)[0]["code"] == "SCOPE_LOST"


# --- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_is_ordered_by_due_day_and_paged_without_a_gap(world: World) -> None:
    rob, ria = world.phone("rob"), world.phone("ria")
    days = ["2031-01-03", "2031-01-01", None, "2031-01-02", None, "2031-01-01"]
    made = [promise(rob, due_date=day, subject=f"{day}") for day in days]
    rob.push(*made)
    ria.push(promise(ria, subject="Ria's"))
    seen, cursor = [], ""
    while cursor is not None:
        page = world.get("rob", f"/api/follow-ups?limit=2&cursor={cursor}").json
        seen += page["items"]
        cursor = page["next"]
    assert [item["due_date"] for item in seen] == [*sorted(filter(None, days)), None, None]
    assert {item["id"] for item in seen} == {one["entity"] for one in made}

    def asked(who: str, **query: str) -> int:
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return len(world.get(who, f"/api/follow-ups?{words}").json["items"])

    rob.push(
        go(rob, made[0]["entity"], "open", "done"),
        rob.mutation("follow_up", made[1]["entity"], "archive", []),
    )
    assert asked("rob", due_before="2031-01-03") == 2
    assert asked("rob", status="done") == 1
    assert (asked("mia"), asked("mia", owner=world.ids["ria"]), asked("boss", owner=world.ids["rob"])) == (
        6,
        1,
        5,
    )
    assert asked("rob", customer=str(uuid4())) == 0
    assert asked("sam") == 0 and asked("rob", owner=world.ids["ria"]) == 0
    assert world.get("ria", f"/api/follow-ups/{made[0]['entity']}").status_code == 404


def test_a_follow_up_says_until_which_instant_it_is_owed(world: World) -> None:
    rob = world.phone("rob")
    timed = promise(rob, due_date="2031-07-01", due_time="09:15", due_zone="Asia/Shanghai")
    all_day = promise(rob, due_date="2031-07-01")
    rob.push(timed, all_day, undated := promise(rob))
    assert one(world, "rob", timed["entity"])["due_at"] == "2031-07-01T01:15:00.000Z"
    assert one(world, "rob", all_day["entity"])["due_at"] == "2031-07-01T23:00:00.000Z"  # London's midnight
    assert one(world, "rob", undated["entity"])["due_at"] is None


def test_an_all_day_promise_is_owed_to_the_midnight_that_ends_the_day_however_long_it_is() -> None:
    london = ZoneInfo("Europe/London")
    assert due_at("2026-03-29", None, london) == datetime(2026, 3, 29, 23, tzinfo=UTC)
    assert due_at("2026-10-25", None, london) == datetime(2026, 10, 26, tzinfo=UTC)
    assert due_at("9999-12-31", None, ZoneInfo("Pacific/Honolulu")) is not None
    assert due_at("0001-01-01", "00:00", ZoneInfo("Asia/Tokyo")) is not None
    assert due_at(None, "09:00", london) is None
