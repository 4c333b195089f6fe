"""Customers that change hands: one, many, a territory by table; what is planned and promised there goes along."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select

from server.db import reading
from server.exchange.check import check
from server.exchange.model import Batch, Journal
from tests.commands import Commands
from tests.world import Phone, World, ago

PAST, FUTURE = ago(days=10).date().isoformat(), "2099-01-06"


@pytest.fixture
def rounds(world: World, database_url: str, tmp_path: Path) -> Commands:
    return Commands(database_url, tmp_path / "state")


def email(world: World, who: str) -> str:
    return f"{who}@{world.org[:8]}.test"


def reassign(world: World, who: str, **asked: Any) -> Any:
    """The answer to a request that is repeated while there is more, with what all of them moved."""
    headers = {"Authorization": f"Bearer {world.tokens[who]}"}
    sums = {"customers": 0, "visits": 0, "follow_ups": 0}
    while True:
        answer = world.app.test_client().post("/api/customers/reassign", json=asked, headers=headers)
        if answer.status_code != 200:
            return answer
        sums = {name: number + answer.json[name] for name, number in sums.items()}
        if not answer.json["more"]:
            return SimpleNamespace(status_code=200, json=answer.json | sums)


def plan(phone: Phone, customer: str, date: str | None) -> str:
    made = phone.create("visit", customer_id=customer, status="planned", planned_date=date)
    assert phone.push(made)[0]["status"] == "applied"
    return str(made["entity"])


def promise(phone: Phone, customer: str, **fields: Any) -> str:
    made = phone.create("follow_up", customer_id=customer, subject="Bring the list", **fields)
    assert phone.push(made)[0]["status"] == "applied"
    return str(made["entity"])


def sound(world: World, *phones: Phone) -> None:
    """Each replica holds what a fresh one holds, and the tables are as the journal tells."""
    for phone in phones:
        phone.pull()
        fresh = world.phone(phone.who)
        fresh.pull()
        assert {key: held["data"] for key, held in phone.replica.items()} == {
            key: held["data"] for key, held in fresh.replica.items()
        }
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_customers_go_to_somebody_else_with_what_is_planned_and_promised_there(world: World) -> None:
    shop, other = world.customer("Shop"), world.customer("Other")
    world.person("sue", "manager", "south")
    rob, sam, mia, sue = (world.phone(who) for who in ("rob", "sam", "mia", "sue"))
    ahead, someday, gone = plan(rob, shop, FUTURE), plan(rob, shop, None), plan(rob, shop, PAST)
    kept, owed = plan(rob, other, FUTURE), promise(rob, shop)
    done = rob.check_in(shop, ago(minutes=50))
    rob.push(done, rob.check_out(done["entity"]))
    for phone in (rob, sam, mia, sue):
        phone.pull()
    told = reassign(
        world, "admin", **{"from": world.ids["rob"], "to": world.ids["sam"], "customers": [shop]}
    ).json
    assert told == {"customers": 1, "visits": 2, "follow_ups": 1, "refused": [], "more": False}
    for phone in (rob, sam, mia, sue):
        phone.pull()
    assert set(sam.held("customer")) == {shop} and sam.held("customer")[shop]["team_id"] == world.ids["south"]
    assert set(sam.held("visit")) == {ahead, someday} and set(sam.held("follow_up")) == {owed}
    assert set(rob.held("customer")) == {other} and not rob.held("follow_up")
    assert set(rob.held("visit")) == {gone, kept, done["entity"]}
    assert owed in sue.held("follow_up") and owed not in mia.held("follow_up")
    assert shop in sue.held("customer") and shop not in mia.held("customer")
    sound(world, rob, sam, mia, sue)


def test_all_customers_of_a_closed_account_go_and_a_second_time_none_are_left(world: World) -> None:
    names = [world.customer(f"Shop {number}") for number in range(60)]
    rob, ria = world.phone("rob"), world.phone("ria")
    plans = [plan(rob, shop, FUTURE) for shop in names[:3]]
    world.change("person", "rob", active=False)
    asked = {"from": world.ids["rob"], "to": world.ids["ria"]}
    told = reassign(world, "mia", **asked).json
    assert (told["customers"], told["visits"]) == (60, 3)
    assert reassign(world, "mia", **asked).json["customers"] == 0
    ria.pull()
    assert set(ria.held("customer")) == set(names) and set(ria.held("visit")) == set(plans)
    with world.app.app_context(), reading() as connection:
        sizes = connection.execute(
            select(func.count())
            .select_from(Journal)
            .join(Batch, (Batch.org_id == Journal.org_id) & (Batch.version == Journal.version))
            .where(Batch.person_id == world.ids["mia"])
            .group_by(Journal.version)
        ).scalars()
        # Thirty changes hold the lock for some 30 ms of work; a push may be held up for 100.
        assert max(sizes) <= 30, "a transaction so long that others wait"
    sound(world, ria)


def test_plans_stay_where_they_are_if_asked_to(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    visit = plan(rob, shop, FUTURE)
    asked = {"from": world.ids["rob"], "to": world.ids["ria"], "with_plans": False}
    assert reassign(world, "mia", **asked).json["visits"] == 0
    rob.pull()
    assert visit in rob.held("visit")


def test_what_a_phone_wrote_before_it_heard_of_it_is_kept_evidence_taken_edits_waiting(world: World) -> None:
    shop = world.customer("Shop")
    rob, ria = world.phone("rob"), world.phone("ria")
    visit = plan(rob, shop, FUTURE)
    rob.pull()
    began = rob.check_in(shop, ago(minutes=50))
    version = rob.replica["customer", shop]["version"]
    edit = rob.mutation(
        "customer", shop, "update", [{"field": "grade", "op": "set", "old": None, "new": "A"}], base=version
    )
    moved = rob.mutation(
        "visit",
        visit,
        "update",
        [{"field": "planned_date", "op": "set", "old": FUTURE, "new": "2099-01-07"}],
    )
    reassign(world, "admin", **{"from": world.ids["rob"], "to": world.ids["sam"]})
    receipts = rob.push(began, edit, moved)
    assert [receipt["status"] for receipt in receipts] == ["applied", "parked", "parked"]
    rob.pull()
    assert began["entity"] in rob.held("visit") and shop not in rob.held("customer")
    assert {row["entity"] for row in rob.held("parked").values()} == {shop, visit}
    sound(world, rob, ria)


@pytest.mark.parametrize(
    ("who", "taker", "status", "code"),
    [
        ("rob", "ria", 403, "FORBIDDEN"),
        ("mia", "sam", 403, "FORBIDDEN"),
        ("mia", "rob", 422, "INVALID"),
        ("boss", "admin", 422, "INVALID"),
        ("boss", "sam", 200, None),
        ("mia", "ria", 200, None),
    ],
)
def test_managers_move_customers_between_their_own_people(
    world: World, who: str, taker: str, status: int, code: str | None
) -> None:
    world.customer("Shop")
    answer = reassign(world, who, **{"from": world.ids["rob"], "to": world.ids[taker]})
    assert answer.status_code == status, answer.json
    assert answer.json.get("code") == code
    assert status != 200 or answer.json["customers"] == 1


def test_nobody_gets_what_is_not_the_givers_and_who_left_gets_nothing(world: World) -> None:
    mine, theirs = world.customer("Mine"), world.customer("Theirs", owner="sam", team="south")
    asked = {"from": world.ids["rob"], "to": world.ids["ria"], "customers": [mine, theirs]}
    assert reassign(world, "mia", **asked).status_code == 422
    world.change("person", "ria", active=False)
    asked["customers"] = [mine]
    assert "no customers" in reassign(world, "mia", **asked).json["detail"]
    rob = world.phone("rob")
    rob.pull()
    assert rob.held("customer")[mine]["owner_id"] == world.ids["rob"]


def test_the_command_line_moves_named_customers_and_asks_first(world: World, rounds: Commands) -> None:
    world.customer("Shop", code="S1")
    world.customer("Other", code="S2")
    told = ("customers", "reassign", "--from", email(world, "rob"), "--to", email(world, "ria"))
    assert "--yes" in rounds(*told, code=1).output
    assert rounds.json(*told, "--customer", "S1", "--yes")["customers"] == 1
    assert "Not a customer of theirs: S1" in rounds(*told, "--customer", "S1", "--yes", code=1).output
    assert "1 customers more" in rounds(*told, "--yes").output


def test_a_territory_by_table_moves_teams_plans_and_follow_ups_too(
    world: World, rounds: Commands, tmp_path: Path
) -> None:
    world.person("sue", "manager", "south")
    rob, sam, mia, sue = (world.phone(who) for who in ("rob", "sam", "mia", "sue"))
    shops = {code: world.customer(code, code=code) for code in ("S1", "S2", "S3")}
    visit, owed = plan(rob, shops["S1"], FUTURE), promise(rob, shops["S2"])
    kept = plan(rob, shops["S3"], FUTURE)
    for phone in (rob, sam, mia, sue):
        phone.pull()
    file = tmp_path / "territory.csv"
    rows = [("S1", "sam"), ("S2", "sam"), ("S3", "rob")]
    file.write_text("code,name,owner_email\n" + "".join(f"{c},{c},{email(world, who)}\n" for c, who in rows))
    assert rounds.json("import", "customers", file, "--yes")["updated"] == 2
    for phone in (rob, sam, mia, sue):
        phone.pull()
    assert set(sam.held("customer")) == {shops["S1"], shops["S2"]}
    assert set(sam.held("visit")) == {visit} and set(sam.held("follow_up")) == {owed}
    assert set(rob.held("visit")) == {kept} and not rob.held("follow_up")
    assert set(sue.held("customer")) == {shops["S1"], shops["S2"]} and owed in sue.held("follow_up")
    assert set(mia.held("customer")) == {shops["S3"]}
    assert rounds.json("import", "customers", file, "--yes")["updated"] == 0
    sound(world, rob, sam, mia, sue)
