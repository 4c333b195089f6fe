"""Schemes, targets, values, days off and appeals, as phones and the server's own door write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.exchange.door import Change, client_of, write
from server.exchange.kinds import WRITABLE
from server.indicators.begin import first_scheme
from server.indicators.case import scheme_of
from server.indicators.templates import TEMPLATES
from tests.world import World

NOON = datetime(2031, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def op(field: str, new: Any, word: str = "set", old: Any = None) -> dict[str, Any]:
    return {"field": field, "op": word, "old": old, "new": new}


def go(phone: Any, kind: str, entity: str, status: str, **more: Any) -> dict[str, Any]:
    """Take a step; `more`: field -> (what they saw, what they say)."""
    ops = [op("status", status, "go"), *(op(name, new, old=old) for name, (old, new) in more.items())]
    receipt: dict[str, Any] = phone.push(phone.mutation(kind, entity, "update", ops, base=2**40))[0]
    return receipt


def row(world: World, kind: str, entity: str) -> dict[str, Any]:
    table: Any = WRITABLE[kind].model.__table__
    with world.app.app_context(), reading() as connection:
        found = connection.execute(select(table).where(table.c.org_id == world.org, table.c.id == entity))
        return dict(found.mappings().one())


def differences(world: World) -> list[Any]:
    with world.app.app_context(), reading() as connection:
        return check(connection, world.org)


def scheme(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Spring",
        "valid_from": "2031-04-01",
        "indicators": [{"code": "valid_visits", "weight": "70"}, {"code": "orders", "weight": "50"}],
    } | fields


def target(person: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "indicator": "valid_visits",
        "person_id": person,
        "period": "month",
        "starts_on": "2031-03-01",
        "amount": "40",
    } | fields


# -- schemes -----------------------------------------------------------------------------------------------------------


def test_a_scheme_is_seen_by_reps_before_it_holds_and_stands_once_it_is_approved(world: World) -> None:
    admin, rob = world.phone("admin"), world.phone("rob")
    with time_machine.travel(NOON, tick=False):
        made = admin.create("scheme", **scheme())
        assert admin.push(made)[0]["status"] == "applied"
        entity = made["entity"]
        rob.pull()
        assert rob.held("scheme")[entity]["status"] == "proposed"
        assert go(admin, "scheme", entity, "approved")["status"] == "applied"
        changed = admin.mutation("scheme", entity, "update", [op("cap", "1.2")], base=2**40)
        assert admin.push(changed)[0]["code"] == "FORBIDDEN"
        assert go(admin, "scheme", entity, "withdrawn")["status"] == "applied"  # it does not hold yet
        again = admin.create("scheme", **scheme())
        admin.push(again)
        assert go(admin, "scheme", again["entity"], "approved")["status"] == "applied"
    with time_machine.travel(datetime(2031, 4, 1, 12, tzinfo=UTC), tick=False):
        assert go(admin, "scheme", again["entity"], "withdrawn")["code"] == "FORBIDDEN"
        assert row(world, "scheme", again["entity"])["status"] == "approved"
    assert differences(world) == []


def test_a_scheme_is_not_approved_for_days_that_are_over(world: World) -> None:
    admin = world.phone("admin")
    with time_machine.travel(NOON, tick=False):
        late = admin.create("scheme", **scheme(valid_from="2031-03-09"))
        at_once = admin.create("scheme", **scheme(valid_from="2031-03-09", status="approved"))
        today = admin.create("scheme", **scheme(valid_from="2031-03-10", status="approved"))
        assert [receipt["code"] for receipt in admin.push(late, at_once, today)] == [None, "INVALID", None]
        receipt = go(admin, "scheme", late["entity"], "approved")
        assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "valid_from"})


def test_an_organisation_begins_with_the_process_indicators_alone(world: World) -> None:
    change = first_scheme("Asia/Shanghai", datetime(2031, 3, 10, 20, tzinfo=UTC))
    assert world.write(change)[0]["status"] == "applied"
    stored = row(world, "scheme", change.entity)
    assert (stored["valid_from"], stored["status"]) == ("2031-03-11", "approved")
    assert len(scheme_of(stored | {"version": 1}).indicators) == 11


def test_every_template_is_taken_as_it_is(world: World) -> None:
    admin = world.phone("admin")
    made = {
        name: admin.create("scheme", **scheme(template=name, indicators=rows))
        for name, rows in TEMPLATES.items()
    }
    assert {receipt["status"] for receipt in admin.push(*made.values())} == {"applied"}
    admin.pull()
    for name, one in made.items():
        assert admin.held("scheme")[one["entity"]]["indicators"] == TEMPLATES[name]


NOBODY_COULD_SCORE: list[list[Any]] = [
    [],
    [{"code": "orders"}],
    [{"code": "orders", "weight": 1}],
    [{"code": "orders", "weight": "0"}],
    [{"code": "orders", "weight": "-1"}],
    [{"code": "orders", "weight": "1"}, {"code": "orders", "weight": "2"}],
    [{"code": "orders", "weight": "1", "kind": "process"}],
    [{"code": "valid_visits", "weight": "1", "source": "values"}],
    [{"code": "orders", "weight": "1", "period": "fortnight"}],
    [{"code": "orders", "weight": "1", "cap": "0"}],
    [{"code": "orders", "weight": "1", "colour": "red"}],
    [{"code": f"i{n}", "weight": "1"} for n in range(51)],
]


def test_indicators_that_nobody_could_score_are_not_taken(world: World) -> None:
    admin = world.phone("admin")
    receipts = admin.push(*(admin.create("scheme", **scheme(indicators=rows)) for rows in NOBODY_COULD_SCORE))
    for rows, receipt in zip(NOBODY_COULD_SCORE, receipts, strict=True):
        assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "indicators"}), rows


def test_a_cap_is_above_zero(world: World) -> None:
    admin = world.phone("admin")
    made = [admin.create("scheme", **scheme(cap=cap)) for cap in ("0", "0.000", "-1", "0.5")]
    rows = [{"code": "valid_visits", "weight": "1", "cap": "0.0"}]
    receipts = admin.push(*made, admin.create("scheme", **scheme(indicators=rows)))
    assert [receipt["code"] for receipt in receipts] == ["INVALID"] * 3 + [None, "INVALID"]


# -- targets -----------------------------------------------------------------------------------------------------------


def test_of_several_targets_for_the_same_one_is_held(world: World) -> None:
    mia, rob, rid = world.phone("mia"), world.phone("rob"), world.ids["rob"]
    first = mia.create("target", **target(rid))
    asked = rob.create("target", **target(rid, amount="30", note="Two weeks of training."))
    other = mia.create("target", **target(rid, indicator="orders"))
    team = mia.create("target", **target(None, team_id=world.ids["north"], amount="200"))
    assert {
        receipt["status"] for phone, one in ((mia, first), (rob, asked)) for receipt in phone.push(one)
    } == {"applied"}
    assert {receipt["status"] for receipt in mia.push(other, team)} == {"applied"}
    assert row(world, "target", asked["entity"])["status"] == "proposed"
    assert go(mia, "target", asked["entity"], "held", amount=("30", "35"))["status"] == "applied"
    states = {
        name: row(world, "target", one["entity"])["status"]
        for name, one in (("first", first), ("asked", asked), ("other", other), ("team", team))
    }
    assert states == {"first": "replaced", "asked": "held", "other": "held", "team": "held"}
    rob.pull()
    held = {one["amount"] for one in rob.held("target").values() if one["status"] == "held"}
    assert held == {"35", "40", "200"}  # their own and the team's
    history = world.get("rob", f"/api/history/target/{first['entity']}").json["items"]
    assert history[-1]["changes"] == {"status": {"before": "held", "after": "replaced"}}
    assert world.get("ria", f"/api/history/target/{first['entity']}").status_code == 404
    assert differences(world) == []


def test_two_held_targets_in_one_batch_leave_one(world: World) -> None:
    mia, rid = world.phone("mia"), world.ids["rob"]
    both = [mia.create("target", **target(rid, amount=amount)) for amount in ("40", "50")]
    assert [receipt["status"] for receipt in mia.push(*both)] == ["applied", "applied"]
    assert [row(world, "target", one["entity"])["status"] for one in both] == ["replaced", "held"]


UNSOUND: list[tuple[dict[str, Any], str]] = [
    ({"person_id": None}, "person_id"),
    ({"team_id": "north"}, "team_id"),
    ({"starts_on": "2031-03-02"}, "starts_on"),
    ({"period": "quarter", "starts_on": "2031-03-01"}, "starts_on"),
    ({"period": "year", "starts_on": "9999-01-01"}, "starts_on"),
    ({"period": "week", "starts_on": "0001-01-01"}, "starts_on"),  # the second day of a Sunday's
    ({"amount": "-1"}, "amount"),
    ({"amount": "1e3"}, "amount"),
    ({"amount": 40}, "amount"),
    ({"indicator": "Valid visits"}, "indicator"),
]


def test_a_target_that_says_nothing_sound_is_parked_with_its_field(world: World) -> None:
    admin = world.phone("admin")
    named = {"team_id": world.ids["north"]}
    made = [
        admin.create("target", **(target(world.ids["rob"]) | fields | (named if "team_id" in fields else {})))
        for fields, _ in UNSOUND
    ]
    for (fields, field), receipt in zip(UNSOUND, admin.push(*made), strict=True):
        assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": field}), fields


def test_a_week_may_begin_on_any_day(world: World) -> None:
    mia = world.phone("mia")
    weeks = [target(world.ids["rob"], period="week", starts_on=day) for day in ("2031-03-02", "2031-03-03")]
    receipts = mia.push(*(mia.create("target", **one) for one in weeks))
    assert {receipt["status"] for receipt in receipts} == {"applied"}


# -- values ------------------------------------------------------------------------------------------------------------


def test_a_value_is_entered_confirmed_and_reviewed_and_says_by_whom(world: World) -> None:
    rob, mia, admin = world.phone("rob"), world.phone("mia"), world.phone("admin")
    made = rob.create("value", indicator="deal_amount", on="2031-03-05", amount="1200.50", note="Contract 7")
    assert rob.push(made)[0]["status"] == "applied"
    entity = made["entity"]
    assert [
        go(phone, "value", entity, step)["code"]
        for phone, step in (
            (rob, "confirmed"),
            (mia, "reviewed"),
            (mia, "confirmed"),
            (rob, "entered"),
            (mia, "reviewed"),
            (admin, "reviewed"),
        )
    ] == ["FORBIDDEN", "FORBIDDEN", None, "FORBIDDEN", "FORBIDDEN", None]
    rob.pull()
    told = rob.held("value")[entity]
    assert (told["status"], told["source"]) == ("reviewed", "typed")
    assert (told["confirmed_by"], told["reviewed_by"]) == (world.ids["mia"], world.ids["admin"])
    mended = admin.mutation("value", entity, "update", [op("amount", "1300", old="1200.50")], base=2**40)
    assert admin.push(mended)[0]["code"] == "FORBIDDEN"  # it is declined, entered anew, and goes the same way
    assert [go(admin, "value", entity, step)["code"] for step in ("declined", "entered")] == [None, None]
    mended = admin.mutation("value", entity, "update", [op("amount", "1300", old="1200.50")], base=2**40)
    assert admin.push(mended)[0]["code"] is None
    again = row(world, "value", entity)
    assert (again["amount"], again["confirmed_by"], again["reviewed_at"]) == ("1300", None, None)
    assert differences(world) == []


def test_values_and_targets_are_told_to_the_person_and_who_leads_them_and_move_with_them(
    world: World,
) -> None:
    world.person("sue", "manager", "south")
    mia, sue, ria, rob = (world.phone(name) for name in ("mia", "sue", "ria", "rob"))
    value = rob.create("value", indicator="deal_amount", on="2031-03-05", amount="7")
    rob.push(value)
    wanted = mia.create("target", **target(world.ids["rob"]))
    off = mia.create("day_off", on="2031-03-06", name="Training", person_id=world.ids["rob"])
    mia.push(wanted, off)
    things = {("value", value["entity"]), ("target", wanted["entity"]), ("day_off", off["entity"])}

    def sees(phone: Any) -> set[tuple[str, str]]:
        phone.pull()
        return {(kind, entity) for kind, entity in things if entity in phone.held(kind)}

    assert [sees(phone) for phone in (rob, mia, ria, sue)] == [things, things, set(), set()]
    world.change("person", "rob", team_id=world.ids["south"])
    assert [sees(phone) for phone in (rob, mia, ria, sue)] == [things, set(), set(), things]
    assert differences(world) == []


def test_finance_is_told_of_values_that_wait_for_it_reviews_those_of_others_and_nothing_else(
    world: World,
) -> None:
    world.person("fay", "finance", "north")
    fay, rob, mia, admin = (world.phone(name) for name in ("fay", "rob", "mia", "admin"))
    made = [rob.create("value", indicator="deal_amount", on="2031-03-05", amount=some) for some in "123"]
    rob.push(*made)
    first, second, third = (one["entity"] for one in made)

    def waiting() -> set[str]:
        fay.pull()
        return set(fay.held("value"))

    assert (waiting(), go(fay, "value", first, "confirmed")["code"]) == (set(), "SCOPE_LOST")
    assert [go(mia, "value", one, "confirmed")["code"] for one in (first, second)] == [None, None]
    assert waiting() == {first, second}
    mended = fay.mutation("value", first, "update", [op("amount", "9", old="1")], base=2**40)
    assert fay.push(mended)[0]["code"] == "FORBIDDEN"
    assert [go(fay, "value", *step)["code"] for step in ((first, "reviewed"), (second, "declined"))] == [
        None,
        None,
    ]
    assert (waiting(), row(world, "value", first)["reviewed_by"]) == (set(), world.ids["fay"])
    own = fay.create("value", indicator="deal_amount", on="2031-03-06", amount="4")
    fay.push(own)
    assert go(admin, "value", own["entity"], "confirmed")["code"] is None
    assert go(fay, "value", own["entity"], "reviewed")["code"] == "FORBIDDEN"
    world.change("person", "fay", role="rep")
    assert go(mia, "value", third, "confirmed")["code"] is None
    assert (third in waiting(), go(fay, "value", third, "reviewed")["code"]) == (False, "SCOPE_LOST")
    assert differences(world) == []


def test_a_holiday_is_everybodys_and_a_persons_day_off_is_not(world: World) -> None:
    admin, mia, sam = world.phone("admin"), world.phone("mia"), world.phone("sam")
    holiday = admin.create("day_off", on="2031-05-01", name="May Day", region="GB")
    theirs = mia.create("day_off", on="2031-05-02", name="Training", person_id=world.ids["rob"])
    assert admin.push(holiday)[0]["status"] == mia.push(theirs)[0]["status"] == "applied"
    sam.pull()
    assert set(sam.held("day_off")) == {holiday["entity"]}
    (gone,) = admin.push(admin.mutation("day_off", holiday["entity"], "archive", []))
    assert gone["status"] == "applied"


# -- appeals -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def closing(world: World) -> str:
    """A closed month of rob's."""
    fields = {
        "person_id": world.ids["rob"],
        "period": "month",
        "starts_on": "2031-02-01",
        "ends_on": "2031-03-01",
        "scheme": {"id": str(uuid4()), "version": 1, "name": "Field only"},
        "readings": [],
        "reasons": [],
        "total": "71.00",
        "grade": "B",
        "closed_at": "2031-03-04T00:00:00Z",
        "adjustments": [],
        "status": "closed",
    }
    change = Change("closing", str(uuid4()), "create", fields)
    with world.app.app_context():
        ticker = replace(world.system, via="ticker")
        (receipt,) = write(ticker, client_of(world.org, "ticker"), [change], datetime.now(UTC))
    assert receipt["status"] == "applied", receipt
    return change.entity


def test_an_appeal_is_heard_by_who_leads_and_never_decided_without_a_word(world: World, closing: str) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = rob.create("appeal", closing_id=closing, indicator="valid_visits", text="Two visits are missing.")
    assert rob.push(made)[0]["status"] == "applied"
    entity = made["entity"]
    mia.pull()
    assert mia.held("appeal")[entity]["person_id"] == world.ids["rob"]
    silent = go(mia, "appeal", entity, "upheld")
    assert (silent["code"], silent["detail"]) == ("INVALID", {"field": "answer"})
    assert go(rob, "appeal", entity, "upheld")["code"] == "FORBIDDEN"
    assert (
        go(mia, "appeal", entity, "upheld", answer=(None, "Right: both are in review."))["status"]
        == "applied"
    )
    rob.pull()
    told = rob.held("appeal")[entity]
    assert (told["status"], told["answered_by"]) == ("upheld", world.ids["mia"])
    reworded = rob.mutation("appeal", entity, "update", [op("text", "Three.")], base=2**40)
    assert rob.push(reworded)[0]["code"] == "FORBIDDEN"
    assert differences(world) == []


def test_nobody_appeals_in_anothers_name(world: World, closing: str) -> None:
    for who in ("ria", "mia", "admin"):
        phone = world.phone(who)
        (receipt,) = phone.push(phone.create("appeal", closing_id=closing, text="I do not like it."))
        assert receipt["code"] == "SCOPE_LOST", who


def test_an_appeal_is_taken_back_by_its_author_alone(world: World, closing: str) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    made = rob.create("appeal", closing_id=closing, text="Two visits are missing.")
    answered = rob.create("appeal", closing_id=closing, text="Mine.", answer="Granted.")
    assert [receipt["code"] for receipt in rob.push(made, answered)] == [None, "FORBIDDEN"]
    assert go(mia, "appeal", made["entity"], "withdrawn")["code"] == "FORBIDDEN"
    assert go(rob, "appeal", made["entity"], "withdrawn")["code"] is None
