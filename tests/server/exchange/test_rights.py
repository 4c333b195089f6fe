"""Rights at the door, walked in full: kind x field x person x verb, against PROTOCOL's table as it is written there.

What is expected is written out here by hand. Only the list of kinds and fields comes from the code, so that nothing new
can be forgotten: a field without an expectation, or without a value to try, fails.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from server.db import reading, writing
from server.exchange.check import check
from server.exchange.door import Change, client_of, write
from server.exchange.kinds import READABLE, WRITABLE
from server.exchange.model import Position
from server.people.model import Head
from tests.world import World, ago, fix

# --- the table, transcribed --------------------------------------------------------------------------------------------

# How each person of the walk stands to what belongs to rob, a rep of team north.
STANDING = {
    "rob": "own",
    "ria": "mate",
    "fin": "mate",
    "mia": "manager",
    "boss": "manager",
    "admin": "administrator",
    "sam": "stranger",
    "sue": "stranger",
    "gone": "stranger",
    "outsider": "stranger",
}
ABOVE = {"manager", "administrator"}

# customer | owner_id team_id grade radius_m lat lon code lifecycle | manager, administrator
MANAGED = {"owner_id", "team_id", "grade", "radius_m", "lat", "lon", "code", "lifecycle"}
# customer | other fields | owner, team, manager, administrator
SHARED = {"name", "address", "phone", "contact", "note", "tags"}
# visit | check_in*, check_out*, minutes, outcome, next_step, and whatever else was seen there | the rep alone
EVIDENCE = {
    "check_in",
    "check_out",
    "check_in_fix",
    "check_in_best_fix",
    "check_out_fix",
    "minutes",
    "outcome",
    "next_step",
    "late_reason",
    "tags",
    "photos",
}
# visit | planned_* , what is planned, cancelled | rep or their manager; customer_id only while planned
PLAN = {"planned_date", "planned_time", "repeat", "kind", "mode"}
# follow_up | all | owner, their manager; owner_id of others: manager
PROMISE = {
    *("customer_id", "visit_id", "kind", "subject", "due_date", "due_time", "due_zone", "remind_before_min"),
    *("repeat", "requested_at", "note", "status", "done"),
}
# comment | nothing, once it was said
SAID = {"on_kind", "on_id", "body"}
# amendment, decision | nothing, once it was asked for or said
ASKED = {"visit_id", "reason", "changes"}
DECISION = {"on_kind", "on_id", "verdict", "word"}
# decision | whoever the thing decided on awaits: conflict its author, who was overruled, or a lead; parked its author or
# their lead; suggestion the customer's owner or lead; amendment, visit a lead, never the rep
DECIDES = {
    ("conflict", "take"): {"rob", "ria", "mia", "boss", "admin"},
    ("conflict", "keep"): {"rob", "ria", "mia", "boss", "admin"},
    ("parked", "retry"): {"rob", "mia", "boss", "admin"},
    ("parked", "discard"): {"rob", "mia", "boss", "admin"},
    ("suggestion", "approve"): {"mia", "boss", "admin"},
    ("suggestion", "decline"): {"rob", "mia", "boss", "admin"},
    ("amendment", "approve"): {"mia", "boss", "admin"},
    ("amendment", "decline"): {"mia", "boss", "admin"},
    ("visit", "accept"): {"mia", "boss", "admin"},
    ("visit", "ask"): {"mia", "boss", "admin"},
    ("visit", "decline"): {"mia", "boss", "admin"},
}
# Who sees the thing but may not decide about it: they are told so. To all others it does not exist.
ONLY_SEES = {("suggestion", "ria"), ("suggestion", "rob"), ("amendment", "rob"), ("visit", "rob")}
# notice | whom it tells, of that they read it and when they want to hear it again; nobody writes one but the ticker
TOLD = {"person_id", "rule", "about", "words", "at"}
MARKED = {"status", "snoozed_until"}
# what only an administrator writes
SET_UP = {
    "team": {"name", "parent_id"},
    "person": {"name", "role", "team_id", "active", "locale", "time_zone", "joined_on", "left_on"},
    "visit_kind": {"code", "name", "name_zh", "min_minutes"},
    "outcome": {"code", "name", "name_zh", "position"},
    "setting": {"key", "value"},
}
# scheme | all, while it is proposed | its author, administrators; approved: nobody; approve: administrators
SCHEME = {
    "name",
    "name_zh",
    "template",
    "role",
    "team_id",
    "valid_from",
    "cap",
    "indicators",
    "note",
    "status",
}
# target | amount, note, status | who leads the person or team; the person while they propose; the rest nobody, once made
WANTED = {"amount", "source", "note", "status"}
WANTED_OF = {"indicator", "person_id", "team_id", "period", "starts_on"}
# value | entered: all the person and who leads them; confirmed: reviewers, who leads them steps back; reviewed: reviewers
# may decline; whose it is and of what nobody, once made
MEASURED = {"on", "amount", "source", "note", "status"}
MEASURED_OF = {"indicator", "person_id"}
# day_off | all but whose | who leads the person, of everybody's administrators
OFF = {"on", "name", "name_zh", "region", "worked"}
# closing | all | the ticker; its state and the reason of that: administrators as well, who reopen it
CLOSED = {
    *("person_id", "period", "starts_on", "ends_on", "scheme", "readings", "reasons", "total", "grade"),
    *("closed_at", "adjustments", "status", "reason"),
}
# appeal | text: whose closing it is; answer: who leads them; status: both, each their own steps; the rest nobody, once made
APPEALED = {"closing_id", "person_id", "indicator", "text", "answer", "status"}
# follow_up, visit | which of a series it is says only whoever makes the next: the ticker
SERIES = {"series"}
UNKNOWN = "field_of_a_later_release"


def may_change_a_customer(standing: str, field: str) -> bool:
    return standing in ABOVE if field in MANAGED else standing != "stranger"


def may_change_a_visit(standing: str, field: str, state: str) -> bool:
    if standing not in {"own", *ABOVE}:
        return False
    if field == "customer_id":
        return state == "planned"
    if field == "rep_id":
        return state == "planned" and standing in ABOVE
    if field in PLAN:
        return standing == "own" or state == "planned"
    if field in SERIES:
        return False
    if field in EVIDENCE:
        return standing == "own"
    return True  # cancelled; a field nobody knows yet


def may_change_a_follow_up(standing: str, field: str) -> bool:
    return field not in SERIES and (standing in ABOVE or (standing == "own" and field != "owner_id"))


def may_change_a_target(standing: str, field: str, state: str) -> bool:
    if field in WANTED_OF:
        return False
    return standing in ABOVE or (standing == "own" and state == "proposed")


def may_change_a_value(standing: str, field: str, state: str) -> bool:
    if field in MEASURED_OF:
        return False
    if state == "entered":
        return standing == "own" or standing in ABOVE
    if standing == "administrator":
        return state == "confirmed" or field == "status"
    if standing == "finance":  # who reviews what was confirmed, and may say a word about it
        return state == "confirmed" and field in {"status", "note", UNKNOWN}
    return standing == "manager" and state == "confirmed" and field == "status"


def verdict(receipt: dict[str, Any]) -> str:
    return "parked" if receipt["status"] == "parked" else "taken"


# --- the stage ---------------------------------------------------------------------------------------------------------


ON_ONE = pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
"""Who may do what is asked by the same code of either database; customers and what is said are tried on both."""


@pytest.fixture(scope="module")
def stage(shared_app: Any) -> World:
    """People of every standing, one who left, and another organisation's administrator. Each test adds what is its own."""
    world = World(shared_app, f"acme-{uuid4().hex[:12]}")
    world.person("sue", "manager", "south")
    world.person("fin", "finance", "north")
    world.person("gone", "rep", "north")
    world.customer("Shop")
    world.customer("Other shop")
    world.change("person", "gone", active=False)
    other = World(world.app, f"other-{uuid4().hex[:12]}")
    world.tokens["outsider"] = other.tokens["admin"]
    return world


def head(world: World) -> int:
    with world.app.app_context(), reading() as connection:
        return connection.execute(select(Head.version).where(Head.org_id == world.org)).scalar_one()


def stored(world: World, kind: str) -> dict[str, Any]:
    """The rows of a kind, by id."""
    table: Any = WRITABLE[kind].model.__table__
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(table).where(table.c.org_id == world.org)).mappings()
        return {row["id"]: dict(row) for row in rows}


def op(kind: str, field: str, new: Any) -> dict[str, Any]:
    settles = WRITABLE[kind].fields[field].kind if field in WRITABLE[kind].fields else "value"
    if settles == "set":
        return {"field": field, "op": "add", "values": new}
    return {
        "field": field,
        "op": {"text": "text", "state": "go"}.get(settles, "set"),
        "old": None,
        "new": new,
    }


def series() -> dict[str, Any]:
    return {"id": str(uuid4()), "n": 2, "start": "2031-01-31", "on": "2031-02-07"}


def values(world: World, kind: str) -> dict[str, Callable[[], Any]]:
    """For each field of a kind a value that is right and new."""
    ids, moment = world.ids, world.phone("rob").moment
    return {
        "customer": {
            "name": lambda: "Renamed",
            "address": lambda: "1 New Road",
            "lat": lambda: 52.5,
            "lon": lambda: 13.4,
            "radius_m": lambda: 77,
            "owner_id": lambda: ids["ria"],
            "team_id": lambda: ids["root"],
            "grade": lambda: "A",
            "phone": lambda: "020 1",
            "contact": lambda: "Noor",
            "lifecycle": lambda: "lost",
            "code": lambda: uuid4().hex,
            "note": lambda: "By the canal.",
            "tags": lambda: ["vip"],
        },
        "visit": {
            "customer_id": lambda: ids["Other shop"],
            "rep_id": lambda: ids["ria"],
            "mode": lambda: "phone",
            "kind": lambda: "store_call",
            "planned_date": lambda: "2031-01-31",
            "planned_time": lambda: "09:15",
            "repeat": lambda: "FREQ=WEEKLY",
            "series": series,
            "outcome": lambda: "order",
            "late_reason": lambda: "Train",
            "minutes": lambda: "They want twelve cases.",
            "next_step": lambda: "Call on Friday.",
            "tags": lambda: ["vip"],
            "photos": lambda: ["0" * 64],
            "status": lambda: "cancelled",
            "check_in": moment,
            "check_out": moment,
            "check_in_fix": lambda: fix(ago(), lat=1),
            "check_in_best_fix": lambda: fix(ago(), lat=2),
            "check_out_fix": lambda: fix(ago(), lat=3),
            "server": lambda: {"valid": True},
        },
        "follow_up": {
            "customer_id": lambda: ids["Other shop"],
            "visit_id": lambda: ids["Visit"],
            "owner_id": lambda: ids["ria"],
            "kind": lambda: "request",
            "subject": lambda: "Send the price list",
            "due_date": lambda: "2031-01-31",
            "due_time": lambda: "09:15",
            "due_zone": lambda: "Europe/Berlin",
            "remind_before_min": lambda: 30,
            "repeat": lambda: "FREQ=WEEKLY",
            "series": series,
            "requested_at": lambda: "2026-11-21T09:58:00Z",
            "note": lambda: "The one with the discounts.",
            "status": lambda: "cancelled",
            "done": moment,
        },
        "comment": {
            "on_kind": lambda: "customer",
            "on_id": lambda: ids["Other shop"],
            "body": lambda: "I never said that.",
        },
        "amendment": {
            "visit_id": lambda: str(uuid4()),
            "reason": lambda: "Another one.",
            "changes": lambda: {"minutes": "Other words."},
        },
        "decision": {
            "on_kind": lambda: "visit",
            "on_id": lambda: str(uuid4()),
            "verdict": lambda: "keep",
            "word": lambda: "No.",
        },
        "notice": {
            "person_id": lambda: ids["ria"],
            "rule": lambda: "test",
            "about": lambda: [{"kind": "visit", "id": str(uuid4())}],
            "words": lambda: {"subject": "Something else"},
            "at": lambda: "2026-01-01T00:00:00.000Z",
            "status": lambda: "read",
            "snoozed_until": lambda: "2026-01-01T00:00:00.000Z",
        },
        "team": {"name": lambda: "Renamed", "parent_id": lambda: ids["south"]},
        "person": {
            "name": lambda: "Renamed",
            "role": lambda: "administrator",
            "team_id": lambda: ids["south"],
            "active": lambda: False,
            "locale": lambda: "zh-Hans",
            "time_zone": lambda: "Asia/Shanghai",
            "joined_on": lambda: "2026-01-05",
            "left_on": lambda: "2026-12-31",
        },
        "scheme": {
            "name": lambda: "Another",
            "name_zh": lambda: "另一个",
            "template": lambda: "balanced",
            "role": lambda: "rep",
            "team_id": lambda: ids["south"],
            "valid_from": lambda: "2099-02-01",
            "cap": lambda: "1.2",
            "indicators": lambda: [{"code": "valid_visits", "weight": "100"}],
            "note": lambda: "From spring on.",
            "status": lambda: "withdrawn",
        },
        "target": {
            "indicator": lambda: "orders",
            "person_id": lambda: ids["ria"],
            "team_id": lambda: ids["south"],
            "period": lambda: "week",
            "starts_on": lambda: "2031-01-06",
            "amount": lambda: "77",
            "source": lambda: "the plan",
            "note": lambda: "As agreed.",
            "status": lambda: "declined",
        },
        "value": {
            "indicator": lambda: "orders",
            "person_id": lambda: ids["ria"],
            "on": lambda: "2031-01-07",
            "amount": lambda: "77",
            "source": lambda: "the till",
            "note": lambda: "As booked.",
            "status": lambda: "declined",
        },
        "closing": {
            "person_id": lambda: ids["ria"],
            "period": lambda: "week",
            "starts_on": lambda: "2031-01-06",
            "ends_on": lambda: "2031-01-13",
            "scheme": lambda: {"id": str(uuid4())},
            "readings": lambda: [{}],
            "reasons": lambda: ["NORMALISED"],
            "total": lambda: "100.00",
            "grade": lambda: "S",
            "closed_at": lambda: "2031-01-06T00:00:00Z",
            "adjustments": lambda: [{}],
            "status": lambda: "reopened",
            "reason": lambda: "I like it better so.",
        },
        "appeal": {
            "closing_id": lambda: str(uuid4()),
            "person_id": lambda: ids["ria"],
            "indicator": lambda: "orders",
            "text": lambda: "Three are missing.",
            "answer": lambda: "So they are.",
            "status": lambda: "withdrawn",
        },
        "day_off": {
            "on": lambda: "2031-01-08",
            "name": lambda: "Fair",
            "name_zh": lambda: "集市",
            "region": lambda: "GB",
            "worked": lambda: True,
            "person_id": lambda: ids["ria"],
        },
        "visit_kind": {
            "code": lambda: uuid4().hex,
            "name": lambda: "Renamed",
            "name_zh": lambda: "拜访",
            "min_minutes": lambda: {"phone": 5},
        },
        "outcome": {
            "code": lambda: uuid4().hex,
            "name": lambda: "Renamed",
            "name_zh": lambda: "订单",
            "position": lambda: 7,
        },
        "setting": {"key": lambda: uuid4().hex, "value": lambda: {"any": [1, 2]}},
    }[kind] | {UNKNOWN: lambda: {"later": True}}


def walk(
    world: World,
    kind: str,
    fresh: Callable[[int], list[str]],
    may: Callable[[str, str], bool],
    untouched: tuple[str, ...] = (),
    standings: Mapping[str, str] = STANDING,
) -> Iterator[str]:
    """Everybody tries to change every field, each of an entity of its own; yields where the answer is not as expected."""
    known = {name for name, field in WRITABLE[kind].fields.items() if field.kind != "readonly"}
    tried = values(world, kind)
    assert known <= tried.keys(), "a field that nobody tries to write"
    fields = [field for field in (*sorted(known), UNKNOWN) if field not in untouched]
    for person, standing in standings.items():
        entities = dict(zip(fields, fresh(len(fields)), strict=True))
        before = stored(world, kind)
        phone, base = world.phone(person), head(world)
        receipts = phone.push(
            *(
                phone.mutation(kind, entities[field], "update", [op(kind, field, tried[field]())], base=base)
                for field in fields
            )
        )
        after = stored(world, kind)
        for field, receipt in zip(fields, receipts, strict=True):
            expected = "taken" if may(standing, field) else "parked"
            changed = before[entities[field]] != after[entities[field]]
            if verdict(receipt) != expected or changed != (expected == "taken"):
                yield f"{person} ({standing}) changing {kind}.{field}: {receipt['status']} {receipt['code']}, {changed=}"
            if expected == "parked" and standing == "stranger" and receipt["code"] not in STRANGERS[kind]:
                yield f"{person} is told of {kind}.{field} that it is {receipt['code']}"
            if receipt["code"] in {"INVALID", "INTERNAL", "UNKNOWN_OP"}:
                yield f"{person} {kind}.{field}: {receipt['code']}, which says nothing of rights"


# Whoever may not know of a thing gets the answer of a thing that does not exist. Names of people and teams are known to all.
STRANGERS = {"customer": {"SCOPE_LOST"}, "visit": {"SCOPE_LOST"}}
STRANGERS |= {kind: {"SCOPE_LOST"} for kind in ("follow_up", "comment", "amendment", "decision", "notice")}
STRANGERS |= {kind: {"SCOPE_LOST"} for kind in ("target", "value", "day_off", "closing", "appeal")}
STRANGERS |= {kind: {"SCOPE_LOST", "FORBIDDEN"} for kind in (*SET_UP, "scheme")}


# --- change ------------------------------------------------------------------------------------------------------------


def test_every_kind_and_field_that_can_be_written_stands_in_the_table() -> None:
    table = SET_UP | {
        "customer": MANAGED | SHARED,
        "visit": EVIDENCE | PLAN | SERIES | {"customer_id", "rep_id", "status"},
        "follow_up": PROMISE | SERIES | {"owner_id"},
        "comment": SAID,
        "amendment": ASKED,
        "decision": DECISION,
        "notice": TOLD | MARKED,
        "scheme": SCHEME,
        "target": WANTED | WANTED_OF,
        "value": MEASURED | MEASURED_OF,
        "day_off": OFF | {"person_id"},
        "closing": CLOSED,
        "appeal": APPEALED,
    }
    known = {
        name: {field for field, one in kind.fields.items() if one.kind != "readonly"}
        for name, kind in WRITABLE.items()
    }
    assert known == table


def test_customers_are_changed_by_whom_the_table_says(stage: World) -> None:
    def fresh(count: int) -> list[str]:
        names = [uuid4().hex for _ in range(count)]
        shared = {"owner_id": stage.ids["rob"], "team_id": stage.ids["north"], "lifecycle": "customer"}
        changes = [Change("customer", str(uuid4()), "create", {"name": name} | shared) for name in names]
        assert {receipt["status"] for receipt in stage.write(*changes)} == {"applied"}
        return [change.entity for change in changes]

    assert list(walk(stage, "customer", fresh, may_change_a_customer)) == []


@pytest.mark.parametrize("state", ["planned", "open", "done"])
@ON_ONE
def test_visits_are_changed_by_whom_the_table_says(stage: World, state: str) -> None:
    rob = stage.phone("rob")
    fields = {"customer_id": stage.ids["Shop"], "mode": "in_person", "status": state}

    def fresh(count: int) -> list[str]:
        made = [rob.create("visit", **fields) for _ in range(count)]
        assert {receipt["status"] for receipt in rob.push(*made)} == {"applied"}
        return [one["entity"] for one in made]

    # What is done stays done, whoever asks: that is no question of rights.
    untouched = ("status",) if state == "done" else ()

    def may(standing: str, field: str) -> bool:
        return may_change_a_visit(standing, field, state)

    assert list(walk(stage, "visit", fresh, may, untouched)) == []


@ON_ONE
def test_follow_ups_are_changed_by_whom_the_table_says(stage: World) -> None:
    rob = stage.phone("rob")
    visit = rob.check_in(stage.ids["Shop"])
    rob.push(visit)
    stage.ids["Visit"] = visit["entity"]

    def fresh(count: int) -> list[str]:
        made = [
            rob.create("follow_up", customer_id=stage.ids["Shop"], subject=uuid4().hex) for _ in range(count)
        ]
        assert {receipt["status"] for receipt in rob.push(*made)} == {"applied"}
        return [one["entity"] for one in made]

    assert list(walk(stage, "follow_up", fresh, may_change_a_follow_up)) == []


def test_what_was_said_is_changed_by_nobody(stage: World) -> None:
    rob = stage.phone("rob")

    def fresh(count: int) -> list[str]:
        said = {"on_kind": "customer", "on_id": stage.ids["Shop"]}
        made = [rob.create("comment", body=uuid4().hex, **said) for _ in range(count)]
        assert {receipt["status"] for receipt in rob.push(*made)} == {"applied"}
        return [one["entity"] for one in made]

    assert list(walk(stage, "comment", fresh, lambda standing, field: False)) == []


@ON_ONE
def test_an_inbox_is_marked_by_its_owner_and_written_by_nobody(stage: World) -> None:
    def fresh(count: int) -> list[str]:
        told = {"person_id": stage.ids["rob"], "rule": "comment", "about": [], "words": {}}
        told |= {"at": "2026-01-01T09:00:00.000Z", "status": "unread"}
        changes = [Change("notice", str(uuid4()), "create", told) for _ in range(count)]
        ticker = replace(stage.system, via="ticker")
        with stage.app.app_context():
            receipts = write(ticker, client_of(stage.org, "ticker"), changes, datetime.now(UTC))
        assert {receipt["status"] for receipt in receipts} == {"applied"}
        return [change.entity for change in changes]

    def may(standing: str, field: str) -> bool:
        return standing == "own" and field not in TOLD

    assert list(walk(stage, "notice", fresh, may)) == []


INDICATORS = [{"code": "valid_visits", "weight": "60"}, {"code": "orders", "weight": "40"}]


def a_scheme(**fields: Any) -> dict[str, Any]:
    return {"name": uuid4().hex, "valid_from": "2099-01-01", "indicators": INDICATORS, **fields}


def many(world: World, kind: str, **fields: Callable[[], Any]) -> Callable[[int], list[str]]:
    """Makes so many of a kind, by the server's own door."""

    def fresh(count: int) -> list[str]:
        changes = [
            Change(kind, str(uuid4()), "create", {name: new() for name, new in fields.items()})
            for _ in range(count)
        ]
        assert {receipt["status"] for receipt in world.write(*changes)} == {"applied"}
        return [change.entity for change in changes]

    return fresh


@pytest.mark.parametrize("state", ["proposed", "approved"])
@ON_ONE
def test_schemes_are_changed_by_administrators_while_they_are_proposed(stage: World, state: str) -> None:
    fields = {name: (lambda value=value: value) for name, value in a_scheme(status=state).items()}

    def may(standing: str, field: str) -> bool:
        return standing == "administrator" and (state == "proposed" or field == "status")

    assert list(walk(stage, "scheme", many(stage, "scheme", **fields), may)) == []


@pytest.mark.parametrize("state", ["proposed", "held"])
@ON_ONE
def test_targets_are_changed_by_whom_the_table_says(stage: World, state: str) -> None:
    months = iter(f"{year}-{month:02}-01" for year in range(2031, 2099) for month in range(1, 13))
    fresh = many(
        stage,
        "target",
        indicator=lambda: "valid_visits" if state == "held" else "orders",
        person_id=lambda: stage.ids["rob"],
        period=lambda: "month",
        starts_on=lambda: next(months),
        amount=lambda: "40",
        status=lambda: state,
    )

    def may(standing: str, field: str) -> bool:
        return may_change_a_target(standing, field, state)

    assert list(walk(stage, "target", fresh, may)) == []


@pytest.mark.parametrize("state", ["entered", "confirmed", "reviewed"])
@ON_ONE
def test_values_are_changed_by_whom_the_table_says(stage: World, state: str) -> None:
    fresh = many(
        stage,
        "value",
        indicator=lambda: "deal_amount",
        person_id=lambda: stage.ids["rob"],
        on=lambda: "2031-01-06",
        amount=lambda: "40.50",
        status=lambda: state,
    )

    def may(standing: str, field: str) -> bool:
        return may_change_a_value(standing, field, state)

    assert list(walk(stage, "value", fresh, may, standings=STANDING | {"fin": "finance"})) == []


@pytest.mark.parametrize("whose", ["rob", None])
@ON_ONE
def test_days_off_are_changed_by_who_leads_the_person_or_everybody(stage: World, whose: str | None) -> None:
    fresh = many(
        stage,
        "day_off",
        on=lambda: "2031-01-06",
        name=lambda: uuid4().hex,
        person_id=lambda: stage.ids[whose] if whose else None,
    )

    def may(standing: str, field: str) -> bool:
        return field != "person_id" and standing in (ABOVE if whose else {"administrator"})

    untouched = () if whose else (UNKNOWN,)  # strangers do see it
    found = [
        line for line in walk(stage, "day_off", fresh, may, untouched) if whose or "is told of" not in line
    ]
    assert found == []


def closings(world: World, person: str) -> Callable[[int], list[str]]:
    """Makes so many closed months of somebody, as the ticker does."""
    months = iter(f"{year}-{month:02}-01" for year in range(2001, 2099) for month in range(1, 13))

    def fresh(count: int) -> list[str]:
        told = {"person_id": world.ids[person], "period": "month", "ends_on": "2100-01-01", "scheme": {}}
        told |= {"readings": [], "reasons": [], "adjustments": [], "status": "closed"}
        told |= {"total": "71.00", "grade": "B", "closed_at": "2026-01-04T00:00:00Z"}
        changes = [
            Change("closing", str(uuid4()), "create", told | {"starts_on": next(months)})
            for _ in range(count)
        ]
        ticker = replace(world.system, via="ticker")
        with world.app.app_context():
            receipts = write(ticker, client_of(world.org, "ticker"), changes, datetime.now(UTC))
        assert {receipt["status"] for receipt in receipts} == {"applied"}
        return [change.entity for change in changes]

    return fresh


@ON_ONE
def test_a_closing_is_changed_by_nobody(stage: World) -> None:
    # To reopen it takes both words at once; its own tests tell how.
    assert (
        list(walk(stage, "closing", closings(stage, "ria"), lambda standing, field: False, ("status",))) == []
    )


@ON_ONE
def test_appeals_are_worded_by_their_author_and_answered_by_who_leads_them(stage: World) -> None:
    rob = stage.phone("rob")
    (closing,) = closings(stage, "rob")(1)

    def fresh(count: int) -> list[str]:
        made = [rob.create("appeal", closing_id=closing, text=uuid4().hex) for _ in range(count)]
        assert {receipt["status"] for receipt in rob.push(*made)} == {"applied"}
        return [one["entity"] for one in made]

    def may(standing: str, field: str) -> bool:
        if field == UNKNOWN:
            return standing == "own" or standing in ABOVE
        return standing == "own" if field in {"text", "status"} else field == "answer" and standing in ABOVE

    assert list(walk(stage, "appeal", fresh, may)) == []


def visit_in_review(world: World, phone: Any) -> str:
    far = phone.check_in(world.ids["Shop"], ago(minutes=50), check_in_fix=fix(ago(minutes=50), lat=1))
    assert phone.push(far, phone.check_out(far["entity"]))[0]["status"] == "applied"
    return str(far["entity"])


def amendment_of(world: World, phone: Any) -> str:
    visit = visit_in_review(world, phone)
    asked = phone.create("amendment", visit_id=visit, reason="Wrong.", changes={"minutes": "Other words."})
    assert phone.push(asked)[0]["status"] == "applied"
    return str(asked["entity"])


@ON_ONE
def test_what_was_asked_for_and_what_was_decided_is_changed_by_nobody(stage: World) -> None:
    mia, amendment = stage.phone("mia"), amendment_of(stage, stage.phone("rob"))
    decided = mia.create("decision", on_kind="amendment", on_id=amendment, verdict="decline")
    assert mia.push(decided)[0]["status"] == "applied"
    for kind, entity in (("amendment", amendment), ("decision", decided["entity"])):
        fresh = [entity].__mul__  # the same one for everybody: nobody leaves a trace
        assert list(walk(stage, kind, fresh, lambda standing, field: False)) == []


@pytest.mark.parametrize("on", sorted({kind for kind, _ in DECIDES}))
def test_whoever_a_thing_awaits_decides_about_it_and_nobody_else(stage: World, on: str) -> None:
    rob, ria = stage.phone("rob"), stage.phone("ria")

    def fresh() -> str:
        """Something of rob's; in conflict with ria, suggested by ria."""
        if on == "visit":
            return visit_in_review(stage, rob)
        if on == "amendment":
            return amendment_of(stage, rob)
        shop = stage.customer(uuid4().hex, address="1 Old Road", lat=None, lon=None)
        if on == "conflict":
            edits = [
                {"field": "address", "op": "set", "old": "1 Old Road", "new": new}
                for new in ("2 Ria", "3 Rob")
            ]
            ria.push(ria.mutation("customer", shop, "update", edits[:1]))
            return str(rob.push(rob.mutation("customer", shop, "update", edits[1:]))[0]["conflicts"][0])
        if on == "suggestion":
            ria.push(ria.mutation("customer", shop, "update", [op("customer", "grade", "A")]))
            ria.pull()
            return str(next(one for one, held in ria.held("suggestion").items() if held["entity"] == shop))
        rob.push(rob.mutation("customer", shop, "update", [op("customer", "name", "x" * 300)]))
        rob.pull()
        return str(next(one for one, held in rob.held("parked").items() if held["entity"] == shop))

    for (kind, said), deciders in DECIDES.items():
        for person in STANDING if kind == on else ():
            phone, thing = stage.phone(person), fresh()
            made = phone.create("decision", on_kind=on, on_id=thing, verdict=said, word="So be it.")
            (receipt,) = phone.push(made)
            forbidden = person == "gone" or (on, person) in ONLY_SEES
            expected = None if person in deciders else "FORBIDDEN" if forbidden else "SCOPE_LOST"
            assert (receipt["code"], verdict(receipt)) == (
                expected,
                "parked" if expected else "taken",
            ), (person, said)
            assert (made["entity"] in stored(stage, "decision")) == (expected is None)


def test_only_the_rep_of_a_visit_asks_for_another_word_about_it(stage: World) -> None:
    visit = visit_in_review(stage, stage.phone("rob"))
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        made = phone.create("amendment", visit_id=visit, reason="Wrong.", changes={"minutes": "Other words."})
        (receipt,) = phone.push(made)
        sees = standing in ABOVE
        code = None if standing == "own" else "FORBIDDEN" if sees else "SCOPE_LOST"
        assert (receipt["code"], made["entity"] in stored(stage, "amendment")) == (code, code is None), person


@pytest.mark.parametrize("kind", sorted(SET_UP))
@ON_ONE
def test_what_the_whole_organisation_shares_is_changed_by_administrators_alone(
    stage: World, kind: str
) -> None:
    required: dict[str, Callable[[str], dict[str, Any]]] = {
        "team": lambda name: {"name": name},
        "person": lambda name: {"name": name, "role": "rep", "time_zone": "Europe/London"},
        "visit_kind": lambda name: {"name": name, "code": name},
        "outcome": lambda name: {"name": name, "code": name},
        "setting": lambda name: {"key": name, "value": 1},
    }

    def fresh(count: int) -> list[str]:
        changes = [Change(kind, str(uuid4()), "create", required[kind](uuid4().hex)) for _ in range(count)]
        assert {receipt["status"] for receipt in stage.write(*changes)} == {"applied"}
        return [change.entity for change in changes]

    assert list(walk(stage, kind, fresh, lambda standing, field: standing == "administrator")) == []


def test_what_the_server_concludes_is_written_by_nobody(stage: World) -> None:
    rob = stage.phone("rob")
    visit = rob.check_in(stage.ids["Shop"])
    assert rob.push(visit)[0]["status"] == "applied"
    before = stored(stage, "visit")[visit["entity"]]
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        change = phone.mutation("visit", visit["entity"], "update", [op("visit", "server", {"valid": True})])
        (receipt,) = phone.push(change)
        assert receipt["status"] == "parked"
        if standing != "stranger" and standing != "mate":
            assert (receipt["code"], receipt["detail"]) == ("INVALID", {"field": "server"})
    assert stored(stage, "visit")[visit["entity"]] == before


# --- create ------------------------------------------------------------------------------------------------------------


def test_anyone_with_a_team_makes_a_customer_and_nobody_else(stage: World) -> None:
    stage.person("lone", "rep", None)
    for person in (*STANDING, "lone"):
        phone = stage.phone(person)
        made = phone.create("customer", name=f"By {person}")
        (receipt,) = phone.push(made)
        expected = "parked" if person in {"gone", "lone"} else "taken"
        assert verdict(receipt) == expected, (person, receipt)
        assert (made["entity"] in stored(stage, "customer")) == (
            expected == "taken" and person != "outsider"
        ), person


def test_a_reps_new_customer_is_a_lead_of_their_own(stage: World) -> None:
    rob = stage.phone("rob")
    made = rob.create("customer", name="Corner shop", lat=51.0, lon=-0.1, grade="B")
    assert rob.push(made)[0]["status"] == "applied"
    lead = stored(stage, "customer")[made["entity"]]
    assert (lead["lifecycle"], lead["owner_id"], lead["team_id"]) == (
        "lead",
        stage.ids["rob"],
        stage.ids["north"],
    )
    assert lead["created_by"] == stage.ids["rob"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner_id", "ria"),
        ("owner_id", "sam"),
        ("team_id", "south"),
        ("team_id", "root"),
        ("lifecycle", "customer"),
        ("lifecycle", "lost"),
        ("code", "C-1"),
        ("radius_m", 5000),
    ],
)
def test_a_rep_makes_no_more_of_a_new_customer_than_a_lead(stage: World, field: str, value: Any) -> None:
    rob = stage.phone("rob")
    made = rob.create("customer", name="Corner shop", **{field: stage.ids.get(value, value)})
    (receipt,) = rob.push(made)
    assert (receipt["code"], receipt["detail"]) == ("FORBIDDEN", {"field": field})
    assert made["entity"] not in stored(stage, "customer")


def test_a_manager_makes_customers_of_their_own_teams_alone(stage: World) -> None:
    mia, boss = stage.phone("mia"), stage.phone("boss")
    elsewhere = mia.create("customer", name="Elsewhere", team_id=stage.ids["south"])
    (receipt,) = mia.push(elsewhere)
    assert (receipt["code"], receipt["detail"]) == ("SCOPE_LOST", {"field": "team_id"})
    (receipt,) = boss.push(
        boss.create("customer", name="There", team_id=stage.ids["south"], owner_id=stage.ids["sam"])
    )
    assert receipt["status"] == "applied"


@pytest.mark.parametrize("state", ["open", "done"])
def test_nobody_logs_a_visit_in_anothers_name(stage: World, state: str) -> None:
    for person in STANDING:
        phone = stage.phone(person)
        made = phone.create(
            "visit", customer_id=stage.ids["Shop"], mode="phone", status=state, rep_id=stage.ids["rob"]
        )
        (receipt,) = phone.push(made)
        assert verdict(receipt) == ("taken" if person == "rob" else "parked"), (person, receipt)
        assert (made["entity"] in stored(stage, "visit")) == (person == "rob")


def test_a_visit_without_a_rep_is_its_authors(stage: World) -> None:
    for person in ("rob", "ria", "mia"):
        phone = stage.phone(person)
        made = phone.check_in(stage.ids["Shop"])
        assert phone.push(made)[0]["status"] == "applied"
        assert stored(stage, "visit")[made["entity"]]["rep_id"] == stage.ids[person]


def test_follow_ups_are_made_for_oneself_or_by_who_leads_the_owner(stage: World) -> None:
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        given = {"customer_id": stage.ids["Shop"], "subject": "Send the price list"}
        own = phone.create("follow_up", **given)
        for_rob = phone.create("follow_up", **given, owner_id=stage.ids["rob"])
        receipts = phone.push(own, for_rob)
        expected = ["parked" if standing == "stranger" else "taken"]
        expected += ["taken" if standing in {"own", *ABOVE} else "parked"]
        assert list(map(verdict, receipts)) == expected, (person, receipts)
        made = stored(stage, "follow_up")
        assert [one["entity"] in made for one in (own, for_rob)] == [word == "taken" for word in expected]
        if expected[0] == "taken":
            assert made[own["entity"]]["owner_id"] == stage.ids[person]


@pytest.mark.parametrize("kind", ["follow_up", "visit"])
def test_nobody_makes_something_the_next_of_a_series(stage: World, kind: str) -> None:
    plan = {"status": "planned", "planned_date": "2031-01-31", "repeat": "FREQ=WEEKLY"}
    fields = (
        plan if kind == "visit" else {"subject": "List", "due_date": "2031-01-31", "repeat": "FREQ=WEEKLY"}
    )
    for person in ("rob", "mia", "boss", "admin"):
        phone, owner = stage.phone(person), "rep_id" if kind == "visit" else "owner_id"
        about = fields | {"customer_id": stage.ids["Shop"], owner: stage.ids["rob"]}
        (wrong,) = phone.push(phone.create(kind, **about, series=series()))
        assert (wrong["status"], wrong["code"]) == ("parked", "FORBIDDEN"), wrong
        (right,) = phone.push(phone.create(kind, **about, series=None))
        assert right["status"] == "applied", right


def test_a_follow_up_is_handed_over_by_who_leads_its_owner_to_people_they_lead(stage: World) -> None:
    rob, mia, boss = map(stage.phone, ("rob", "mia", "boss"))
    promise = rob.create("follow_up", customer_id=stage.ids["Shop"], subject="Call")
    rob.push(promise)

    def hand_over(phone: Any, to: str) -> tuple[str, str | None]:
        change = op("follow_up", "owner_id", stage.ids[to])
        handed = phone.mutation("follow_up", promise["entity"], "update", [change], base=head(stage))
        (receipt,) = phone.push(handed)
        return verdict(receipt), receipt["code"]

    assert hand_over(rob, "ria") == ("parked", "FORBIDDEN")
    assert hand_over(mia, "sam") == ("parked", "SCOPE_LOST")
    assert hand_over(mia, "ria") == ("taken", None)
    assert hand_over(boss, "sam") == ("taken", None)


def test_a_thing_is_commented_on_by_who_sees_it(stage: World) -> None:
    rob = stage.phone("rob")
    visit = rob.check_in(stage.ids["Shop"])
    promise = rob.create("follow_up", customer_id=stage.ids["Shop"], subject="Call")
    assert {receipt["status"] for receipt in rob.push(visit, promise)} == {"applied"}
    things = [
        ("customer", stage.ids["Shop"], {"own", "mate", *ABOVE}),
        ("visit", visit["entity"], {"own", *ABOVE}),
        ("follow_up", promise["entity"], {"own", *ABOVE}),
        ("visit", str(uuid4()), set()),
    ]
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        for kind, entity, seen_by in things:
            # Who left still says what they have to say: it is evidence, as a visit is.
            may = standing in seen_by or (person, kind) == ("gone", "customer")
            said = phone.create("comment", on_kind=kind, on_id=entity, body=f"{person} was here")
            (receipt,) = phone.push(said)
            assert verdict(receipt) == ("taken" if may else "parked"), (person, kind, receipt)
            assert receipt["code"] == (None if may else "SCOPE_LOST")
            assert (said["entity"] in stored(stage, "comment")) == may


def test_visits_are_planned_by_the_rep_or_their_manager(stage: World) -> None:
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        made = phone.create(
            "visit",
            customer_id=stage.ids["Shop"],
            status="planned",
            planned_date="2031-01-31",
            rep_id=stage.ids["rob"],
        )
        (receipt,) = phone.push(made)
        expected = "taken" if standing in {"own", *ABOVE} else "parked"
        assert verdict(receipt) == expected, (person, receipt)
        assert (made["entity"] in stored(stage, "visit")) == (expected == "taken")


def test_a_manager_plans_for_nobody_elses_rep_neither_at_first_nor_later(stage: World) -> None:
    mia = stage.phone("mia")
    plan = {"customer_id": stage.ids["Shop"], "status": "planned"}
    direct = mia.create("visit", rep_id=stage.ids["sam"], **plan)
    detour = mia.create("visit", rep_id=stage.ids["rob"], **plan)
    handed = mia.mutation(
        "visit",
        detour["entity"],
        "update",
        [{"field": "rep_id", "op": "set", "old": stage.ids["rob"], "new": stage.ids["sam"]}],
    )
    receipts = mia.push(direct, detour, handed)
    assert [(receipt["code"], receipt["detail"]) for receipt in receipts] == [
        ("SCOPE_LOST", {"field": "rep_id"}),
        (None, None),
        ("SCOPE_LOST", {"field": "rep_id"}),
    ]
    assert stored(stage, "visit")[detour["entity"]]["rep_id"] == stage.ids["rob"]


@pytest.mark.parametrize("person", ["mia", "admin"])
def test_who_plans_a_visit_for_somebody_writes_none_of_its_evidence(stage: World, person: str) -> None:
    phone, tried = stage.phone(person), values(stage, "visit")
    plan = {"customer_id": stage.ids["Shop"], "status": "planned", "rep_id": stage.ids["rob"]}
    made = {
        field: phone.create("visit", **plan, **{field: tried[field]()}) for field in sorted(EVIDENCE | PLAN)
    }
    receipts = dict(zip(made, phone.push(*made.values()), strict=True))
    refused = {field for field, receipt in receipts.items() if receipt["code"] == "FORBIDDEN"}
    assert refused == EVIDENCE
    assert {field for field, receipt in receipts.items() if receipt["status"] == "applied"} == PLAN
    assert all(receipts[field]["detail"] == {"field": field} for field in EVIDENCE)


@pytest.mark.parametrize("kind", sorted(SET_UP))
@ON_ONE
def test_what_the_whole_organisation_shares_is_made_by_administrators_alone(stage: World, kind: str) -> None:
    tried = values(stage, kind)
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        fields = {field: tried[field]() for field in sorted(SET_UP[kind]) if field != "parent_id"}
        made = phone.create(kind, **fields)
        (receipt,) = phone.push(made)
        allowed = standing == "administrator"
        if person == "outsider":  # makes it at home, or nothing where it points at what is not there
            assert made["entity"] not in stored(stage, kind)
            continue
        assert verdict(receipt) == ("taken" if allowed else "parked"), (person, receipt)
        assert (made["entity"] in stored(stage, kind)) == allowed


MAKES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "a scheme for all": ("scheme", {}, {"administrator"}),
    "a scheme for the team": ("scheme", {"team_id": "north"}, ABOVE),
    "an approved scheme": ("scheme", {"status": "approved"}, {"administrator"}),
    "a target": ("target", {"person_id": "rob", "status": "held"}, ABOVE),
    "a proposal": ("target", {"person_id": "rob", "status": "proposed"}, ABOVE | {"own"}),
    "a target of the team": ("target", {"team_id": "north"}, ABOVE),
    "a value": ("value", {"person_id": "rob"}, ABOVE | {"own"}),
    "a confirmed value": ("value", {"person_id": "rob", "status": "confirmed"}, ABOVE),
    "a reviewed value": ("value", {"person_id": "rob", "status": "reviewed"}, {"administrator"}),
    "a day off": ("day_off", {"person_id": "rob"}, ABOVE),
    "everybody's day off": ("day_off", {}, {"administrator"}),
}
"""What is made -> kind, what it says of whom, who may."""
FIRST: dict[str, dict[str, Any]] = {
    "scheme": a_scheme(),
    "target": {"indicator": "valid_visits", "period": "year", "starts_on": "2030-01-01", "amount": "400"},
    "value": {"indicator": "orders", "on": "2031-01-06", "amount": "4"},
    "day_off": {"on": "2031-01-06", "name": "Holiday"},
}


@pytest.mark.parametrize("what", MAKES)
def test_schemes_targets_values_and_days_off_are_made_by_whom_the_table_says(stage: World, what: str) -> None:
    kind, about, makers = MAKES[what]
    fields = FIRST[kind] | {name: stage.ids.get(value, value) for name, value in about.items()}
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        made = phone.create(kind, **fields)
        (receipt,) = phone.push(made)
        if (
            person == "outsider"
            and kind in {"scheme", "day_off"}
            and not about.keys() & {"team_id", "person_id"}
        ):
            assert made["entity"] not in stored(stage, kind)  # they made one at home
            continue
        assert (verdict(receipt) == "taken") == (standing in makers), (person, receipt)
        assert (made["entity"] in stored(stage, kind)) == (standing in makers), person


def test_who_makes_a_target_holds_it_where_they_decide_and_proposes_it_where_they_do_not(
    stage: World,
) -> None:
    for person, of, status in (
        ("rob", "rob", "proposed"),
        ("mia", "rob", "held"),
        ("mia", "mia", "proposed"),
    ):
        phone = stage.phone(person)
        made = phone.create("target", **FIRST["target"], person_id=stage.ids[of])
        assert phone.push(made)[0]["status"] == "applied"
        assert stored(stage, "target")[made["entity"]]["status"] == status


def test_nobody_confirms_a_value_of_their_own_nor_decides_about_their_own_target(stage: World) -> None:
    mia, boss = stage.phone("mia"), stage.phone("boss")
    value = mia.create("value", **FIRST["value"])
    target = mia.create("target", **FIRST["target"], person_id=stage.ids["mia"])
    assert {receipt["status"] for receipt in mia.push(value, target)} == {"applied"}
    for phone, code in ((mia, "FORBIDDEN"), (boss, None)):
        steps = [
            phone.mutation(
                "value", value["entity"], "update", [op("value", "status", "confirmed")], base=head(stage)
            ),
            phone.mutation(
                "target", target["entity"], "update", [op("target", "status", "held")], base=head(stage)
            ),
        ]
        assert [receipt["code"] for receipt in phone.push(*steps)] == [code, code]


def test_a_manager_amends_and_takes_back_their_own_proposal_of_a_scheme_but_approves_it_not(
    stage: World,
) -> None:
    mia = stage.phone("mia")
    made = mia.create("scheme", **a_scheme(team_id=stage.ids["north"]))
    assert mia.push(made)[0]["status"] == "applied"

    def step(field: str, new: Any) -> str | None:
        change = mia.mutation(
            "scheme", made["entity"], "update", [op("scheme", field, new)], base=head(stage)
        )
        return mia.push(change)[0]["code"]

    assert [step("name", "Better"), step("status", "approved"), step("status", "withdrawn")] == [
        None,
        "FORBIDDEN",
        None,
    ]


def test_a_create_changes_nothing_that_exists(stage: World) -> None:
    before = stored(stage, "customer")
    for person in STANDING:
        phone = stage.phone(person)
        (receipt,) = phone.push(phone.create("customer", stage.ids["Shop"], name="Mine now"))
        if person != "outsider":
            assert (receipt["status"], receipt["code"]) == ("parked", "INVALID"), person
    assert stored(stage, "customer") == before


# --- archive, restore, void --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifecycle", ["customer", "lead"])
def test_customers_are_archived_by_managers_and_ones_own_lead_by_its_rep(
    stage: World, lifecycle: str
) -> None:
    for person, standing in STANDING.items():
        shop = stage.customer(uuid4().hex, lifecycle=lifecycle)
        phone = stage.phone(person)
        receipts = phone.push(
            phone.mutation("customer", shop, "archive", []), phone.mutation("customer", shop, "restore", [])
        )
        allowed = standing in ABOVE or (lifecycle == "lead" and standing == "own")
        assert [receipt["status"] for receipt in receipts] == ["applied" if allowed else "parked"] * 2, person
        code = None if allowed else "SCOPE_LOST" if standing == "stranger" else "FORBIDDEN"
        assert {receipt["code"] for receipt in receipts} == {code}, person


def test_a_visit_is_archived_by_nobody(stage: World) -> None:
    rob = stage.phone("rob")
    visit = rob.check_in(stage.ids["Shop"])
    rob.push(visit)
    for person in STANDING:
        phone = stage.phone(person)
        receipts = phone.push(
            *(phone.mutation("visit", visit["entity"], verb, []) for verb in ("archive", "restore"))
        )
        assert {receipt["status"] for receipt in receipts} == {"parked"}, person
    assert stored(stage, "visit")[visit["entity"]]["archived"] is False


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("team", "south"),
        ("person", "sam"),
        ("visit_kind", "sales_call"),
        ("outcome", "order"),
        ("setting", "colour"),
    ],
)
@ON_ONE
def test_what_the_whole_organisation_shares_is_archived_by_administrators_alone(
    stage: World, kind: str, name: str
) -> None:
    stage.create("setting", "colour", key=uuid4().hex, value="green")
    for person, standing in STANDING.items():
        phone = stage.phone(person)
        receipts = phone.push(
            *(phone.mutation(kind, stage.ids[name], verb, []) for verb in ("archive", "restore"))
        )
        expected = "applied" if standing == "administrator" else "parked"
        assert [receipt["status"] for receipt in receipts] == [expected] * 2, person


def test_a_void_takes_a_number_and_nothing_else_whoever_sends_it(stage: World) -> None:
    before = stored(stage, "customer")
    for person in STANDING:
        phone = stage.phone(person)
        (receipt,) = phone.push(phone.mutation("customer", stage.ids["Shop"], "void", []))
        assert (receipt["status"], receipt["code"]) == ("noop", None), person
    assert stored(stage, "customer") == before


def test_what_the_server_makes_itself_is_written_by_no_mutation(stage: World) -> None:
    rob = stage.phone("rob")
    (parked,) = rob.push(rob.check_in(stage.ids["Shop"], mode="teleport"))
    assert parked["status"] == "parked"
    rob.pull()
    document = next(iter(rob.held("parked")))
    for kind in sorted(READABLE.keys() - WRITABLE.keys()):
        for person in ("rob", "mia", "admin"):
            phone = stage.phone(person)
            change = [{"field": "status", "op": "set", "old": "open", "new": "resolved"}]
            receipts = phone.push(
                phone.mutation(kind, document, "update", change), phone.create(kind, status="resolved")
            )
            assert {receipt["code"] for receipt in receipts} == {"UNKNOWN_OP"}, (kind, person)


# --- cunning -----------------------------------------------------------------------------------------------------------


def test_a_customer_is_not_moved_to_a_sofa(stage: World) -> None:
    rob, shop = stage.phone("rob"), stage.ids["Shop"]
    before = stored(stage, "customer")[shop]
    moves = [
        rob.mutation("customer", shop, "update", [op("customer", field, value)], base=2**40)
        for field, value in (("lat", 48.2), ("lon", 16.4), ("radius_m", 5000))
    ]
    # A right change in the same mutation carries no wrong one along.
    moves.append(
        rob.mutation(
            "customer", shop, "update", [op("customer", "phone", "020 1"), op("customer", "lat", 48.2)]
        )
    )
    assert {receipt["code"] for receipt in rob.push(*moves)} == {"FORBIDDEN"}
    assert stored(stage, "customer")[shop] == before


@pytest.mark.parametrize("base", [2**40, 2**63 - 1])
def test_a_base_from_the_future_counts_as_none_and_overwrites_nothing_silently(
    stage: World, base: int
) -> None:
    shop = stage.customer("Contested", address="1 Old Road")
    stage.change("customer", "Contested", address="2 New Road")
    rob = stage.phone("rob")
    edit = {"field": "address", "op": "set", "old": "1 Old Road", "new": "3 Rob Road"}
    (receipt,) = rob.push(rob.mutation("customer", shop, "update", [edit], base=base))
    assert (receipt["status"], receipt["code"]) == ("merged", "FIELD_CONFLICT")


def test_a_visit_that_began_keeps_its_customer(stage: World) -> None:
    rob = stage.phone("rob")
    visit = rob.check_in(stage.ids["Shop"])
    moved = rob.mutation(
        "visit",
        visit["entity"],
        "update",
        [
            {
                "field": "customer_id",
                "op": "set",
                "old": stage.ids["Shop"],
                "new": stage.ids["Other shop"],
            }
        ],
    )
    receipts = rob.push(visit, moved)
    assert (receipts[1]["code"], receipts[1]["detail"]) == ("FORBIDDEN", {"field": "customer_id"})


def test_a_plan_leads_to_no_customer_that_its_author_cannot_see(stage: World) -> None:
    theirs = stage.customer("Theirs", owner="sam", team="south")
    mia = stage.phone("mia")
    plan = mia.create("visit", customer_id=theirs, status="planned", rep_id=stage.ids["rob"])
    kept = mia.create("visit", customer_id=stage.ids["Shop"], status="planned", rep_id=stage.ids["rob"])
    moved = mia.mutation(
        "visit",
        kept["entity"],
        "update",
        [{"field": "customer_id", "op": "set", "old": stage.ids["Shop"], "new": theirs}],
    )
    receipts = mia.push(plan, kept, moved)
    assert [receipt["code"] for receipt in receipts] == ["SCOPE_LOST", None, "SCOPE_LOST"]


def test_who_left_plans_and_makes_nothing_but_their_evidence_still_lands(stage: World) -> None:
    shop = stage.customer("Held before", owner="gone")
    stage.change("person", "gone", active=True)
    stage.change("person", "gone", active=False)
    gone = stage.phone("gone")
    receipts = gone.push(
        gone.create("visit", customer_id=shop, status="planned"),
        gone.create("customer", name="New"),
        gone.mutation("customer", shop, "update", [op("customer", "phone", "1")]),
        gone.check_in(shop, ago(minutes=40)),
    )
    assert [receipt["status"] for receipt in receipts] == ["parked", "parked", "parked", "applied"]


def test_evidence_is_taken_for_ninety_days_after_a_customer_was_lost(stage: World) -> None:
    shop, rob = stage.customer("Lost"), stage.phone("rob")
    stage.change("customer", "Lost", owner_id=stage.ids["sam"], team_id=stage.ids["south"])
    for days, expected in ((89, "applied"), (91, "parked")):
        with stage.app.app_context(), writing() as connection:
            connection.execute(
                update(Position)
                .where(Position.org_id == stage.org, Position.id == shop, Position.removed_at.is_not(None))
                .values(removed_at=ago(days=days))
            )
        (receipt,) = rob.push(rob.check_in(shop))
        assert receipt["status"] == expected, days


def test_teams_that_stop_sharing_take_their_customers_back_and_give_them_again(shared_world: World) -> None:
    world = shared_world
    mine, hers = world.customer("Mine"), world.customer("Hers", owner="ria")
    rob, mia = world.phone("rob"), world.phone("mia")

    def held(phone: Any) -> set[str]:
        phone.pull()
        return set(phone.held("customer"))

    assert held(rob) == held(mia) == {mine, hers}
    sharing = {"key": "share_team_customers", "value": False}
    world.create("setting", "sharing", **sharing)
    listed = world.get("rob", "/api/customers").json["items"]
    assert {item["id"] for item in listed} == {mine} == held(rob) and held(mia) == {mine, hers}
    edit = rob.mutation("customer", hers, "update", [op("customer", "phone", "1")])
    visit = rob.check_in(hers)
    assert [receipt["code"] for receipt in rob.push(edit)] == ["SCOPE_LOST"]
    assert rob.push(visit)[0]["status"] == "applied", "what was visited while it was shared still counts"
    world.customer("New", owner="ria")
    assert held(rob) == {mine} and len(held(mia)) == 3
    world.change("setting", "sharing", value=True)
    assert held(rob) == held(mia) == {mine, hers, world.ids["New"]}
    world.change("setting", "sharing", value=False)
    assert held(rob) == {mine}
    assert world.write(Change("setting", world.ids["sharing"], "archive"))[0]["status"] == "applied"
    listed = world.get("rob", "/api/customers").json["items"]
    assert {item["id"] for item in listed} == held(rob) == held(mia), "what is archived is not set"
    fresh = world.phone("rob")
    assert held(fresh) == held(rob)
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
