"""The pull side of POST /api/sync: a phone ends with exactly what it may see, page by page, and nothing twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from server.db import writing
from server.exchange.model import Journal, Position
from server.people.model import Head
from tests.world import World, ago


def names(phone: Any) -> set[str]:
    return {document["name"] for document in phone.held("customer").values()}


def test_a_phone_is_told_its_own_and_its_teams_customers_and_nobody_elses(world: World) -> None:
    world.customer("Mine")
    world.customer("Colleagues", owner="ria")
    world.customer("Elsewhere", owner="sam", team="south")
    rob = world.phone("rob")
    rob.pull()
    assert names(rob) == {"Mine", "Colleagues"}
    assert set(rob.held("team")) == {world.ids[team] for team in ("root", "north", "south")}
    assert {person["name"] for person in rob.held("person").values()} >= {"Rob", "Sam", "Mia"}
    assert [kind["code"] for kind in rob.held("visit_kind").values()] == ["sales_call"]


def test_where_teams_do_not_share_a_rep_is_told_only_of_their_own(world: World) -> None:
    world.create("setting", "sharing", key="share_team_customers", value=False)
    world.customer("Mine")
    world.customer("Colleagues", owner="ria")
    rob, mia = world.phone("rob"), world.phone("mia")
    rob.pull()
    mia.pull()
    assert names(rob) == {"Mine"}
    assert names(mia) == {"Mine", "Colleagues"}


def test_a_second_pull_brings_only_what_changed(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    rob.pull()
    assert [page["rows"] for page in rob.pull()] == [[]]
    world.change("customer", "Shop", phone="020 1")
    (page,) = rob.pull()
    assert [(row["id"], row["data"]["phone"]) for row in page["rows"]] == [(shop, "020 1")]


def test_small_pages_bring_the_same_as_one_large_page(world: World) -> None:
    for number in range(25):
        world.customer(f"Shop {number}")
    small, large = world.phone("rob"), world.phone("rob")
    pages = small.pull(limit=10)
    large.pull(limit=1000)
    assert len(pages) > 2 and all(len(page["rows"]) <= 10 for page in pages)
    assert small.replica == large.replica


def test_a_page_never_ends_inside_one_version_of_one_entity(world: World) -> None:
    for number in range(30):
        world.customer(f"Shop {number}")
    mia = world.phone("mia")
    seen: list[tuple[str, str, int]] = []
    for page in mia.pull(limit=10):
        seen += [(row["kind"], row["id"], row["version"]) for row in page["rows"]]
    assert len(seen) == len(set(seen))


def test_a_reassigned_customer_leaves_one_phone_and_reaches_the_other(world: World) -> None:
    shop = world.customer("Shop")
    rob, sam = world.phone("rob"), world.phone("sam")
    rob.pull()
    sam.pull()
    world.change("customer", "Shop", owner_id=world.ids["sam"], team_id=world.ids["south"])
    (page,) = rob.pull()
    assert page["rows"][0]["scopes"] == {f"person:{world.ids['rob']}": 0, f"team:{world.ids['north']}": 0}
    assert "data" not in page["rows"][0]
    sam.pull()
    assert names(rob) == set() and names(sam) == {"Shop"}
    world.change("customer", "Shop", owner_id=world.ids["rob"], team_id=world.ids["north"])
    rob.pull()
    sam.pull()
    assert set(rob.held("customer")) == {shop} and names(sam) == set()


def test_a_person_who_changes_team_drops_the_old_one_and_is_given_the_new(world: World) -> None:
    world.customer("North shop", owner="ria")
    world.customer("South shop", owner="sam", team="south")
    rob = world.phone("rob")
    rob.pull()
    world.change("person", "rob", team_id=world.ids["south"])
    pages = rob.pull()
    assert [drop for page in pages for drop in page["drop"]] == [f"team:{world.ids['north']}"]
    assert names(rob) == {"South shop"}


def test_a_scope_that_comes_back_is_read_from_the_beginning(world: World) -> None:
    world.customer("Shop", owner="ria")
    rob = world.phone("rob")
    rob.pull()
    world.change("person", "rob", team_id=world.ids["south"])
    rob.pull()
    world.change("person", "rob", team_id=world.ids["north"])
    rob.pull()
    assert names(rob) == {"Shop"}


def test_a_manager_holds_what_all_teams_below_share(world: World) -> None:
    world.customer("North shop")
    world.customer("South shop", owner="sam", team="south")
    boss, mia = world.phone("boss"), world.phone("mia")
    boss.pull()
    mia.pull()
    assert names(boss) == {"North shop", "South shop"} and names(mia) == {"North shop"}


def test_a_visit_in_review_is_told_to_the_manager_and_leaves_when_it_is_settled(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    far = rob.check_in(world.customer("Shop", lat=52.5))
    rob.push(far)
    mia.pull()
    assert set(mia.held("visit")) == {far["entity"]}
    world.change("customer", "Shop", lat=51.5)
    rob.push(rob.check_out(far["entity"]))
    mia.pull()
    assert mia.held("visit") == {}


def test_a_forged_foreign_or_tampered_token_starts_over_and_says_so(world: World) -> None:
    world.customer("Shop")
    rob, ria = world.phone("rob"), world.phone("ria")
    rob.pull()
    ria.pull()
    for token in ("garbage", "ä", rob.token[:-2] + "AA", ria.token):
        page = rob.send(pull={"token": token, "limit": 500}).json["pull"]
        assert f"person:{world.ids['rob']}" in page["reset"] and "Shop" in str(page["rows"])


def test_paging_comes_to_rest_under_constant_writes(world: World) -> None:
    for number in range(40):
        world.customer(f"Shop {number}")
    rob, token, pages = world.phone("rob"), None, 0
    while True:
        page = rob.send(pull={"token": token, "limit": 10}).json["pull"]
        rob._apply(page)
        token, pages = page["token"], pages + 1
        if not page["more"]:
            break
        world.change("customer", f"Shop {pages % 40}", phone=str(pages))
        assert pages < 12, "the scan runs after the writers for ever"
    rob.token = token
    rob.pull()
    assert len(names(rob)) == 40
    assert {d["phone"] for d in rob.held("customer").values()} >= {str(number) for number in range(1, pages)}


def test_a_pull_right_after_a_push_holds_what_was_pushed(world: World) -> None:
    rob = world.phone("rob")
    began = rob.check_in(world.customer("Shop"))
    answer = rob.send(began, pull={"token": None, "limit": 500}).json
    assert began["entity"] in {row["id"] for row in answer["pull"]["rows"]}
    assert answer["pull"]["acked_seq"] == answer["last_seq"] == 1


def test_visits_that_were_over_before_the_window_are_not_sent(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    old, new, under_way = (rob.check_in(shop, ago(days=days)) for days in (182, 179, 182))
    over = [rob.check_out(visit["entity"], ago(days=days)) for visit, days in ((old, 182), (new, 179))]
    then = ago(days=300).date().isoformat()
    plan = rob.create("visit", customer_id=shop, status="planned", planned_date=then)
    rob.push(old, new, under_way, *over, plan)
    rob.pull()
    assert set(rob.held("visit")) == {one["entity"] for one in (new, under_way, plan)}


def test_who_holds_an_old_visit_is_told_what_becomes_of_it(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    visit = rob.check_in(shop, ago(days=182))
    rob.push(visit)
    rob.pull()
    rob.push(rob.check_out(visit["entity"], ago(days=182)))
    rob.pull()
    assert rob.held("visit")[visit["entity"]]["status"] == "done"


def test_a_position_below_the_collection_floor_is_read_again(world: World) -> None:
    world.customer("Shop")
    rob = world.phone("rob")
    rob.pull()
    world.customer("Gone")
    with world.app.app_context(), writing() as connection:
        connection.execute(update(Head).where(Head.org_id == world.org).values(floor=Head.version))
    (page,) = rob.pull()
    assert f"person:{world.ids['rob']}" in page["reset"]
    assert names(rob) == {"Shop", "Gone"}


def test_a_restored_server_is_noticed_and_no_version_is_used_twice(world: World) -> None:
    shop = world.customer("Shop")
    rob = world.phone("rob")
    rob.push(rob.check_in(shop))
    rob.pull()
    with world.app.app_context(), writing() as connection:  # as a backup from before the push would be
        head = connection.execute(Head.__table__.select().where(Head.org_id == world.org)).mappings().one()
        last = (
            connection.execute(
                Journal.__table__.select().where(
                    Journal.org_id == world.org, Journal.n == head["entries"] - 1
                )
            )
            .mappings()
            .one()
        )
        connection.execute(
            Journal.__table__.delete().where(Journal.org_id == world.org, Journal.n == head["entries"])
        )
        connection.execute(Position.__table__.delete().where(Position.version == head["version"]))
        connection.execute(
            update(Head)
            .where(Head.org_id == world.org)
            .values(version=head["version"] - 1, entries=last["n"], chain=last["chain"])
        )
    (page,) = rob.pull()
    assert f"person:{world.ids['rob']}" in page["reset"]
    world.change("customer", "Shop", phone="1")
    rob.pull()
    assert rob.replica["customer", shop]["version"] > head["version"] + 999_000


@pytest.mark.parametrize("limit", [-5, 0, 1, 10**9])
def test_any_limit_is_held_within_reason(world: World, limit: int) -> None:
    page = world.phone("rob").send(pull={"token": None, "limit": limit}).json["pull"]
    assert 0 < len(page["rows"]) <= 1000


def test_last_contact_is_noted_by_a_pull_alone(world: World) -> None:
    rob = world.phone("rob")
    oldest = (
        (datetime.now(UTC) - timedelta(hours=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    rob.send(
        pull={"token": None},
        device={"unsent": 4, "oldest": oldest, "app": "1", "persisted": False, "push": None},
    )
    (line,) = [
        rep for rep in world.get("mia", "/api/board").json["reps"] if rep["person"]["id"] == world.ids["rob"]
    ]
    assert line["unsent"] == 4 and line["oldest_unsent"] == oldest and line["last_contact_at"]


def test_what_was_written_while_a_scan_was_under_way_is_not_told_as_contained_in_it(world: World) -> None:
    for number in range(12):
        world.customer(f"Shop {number}")
    rob = world.phone("rob")
    rob.push(rob.check_in(world.ids["Shop 0"]))
    first = rob.send(pull={"token": None, "limit": 10}).json["pull"]
    assert first["more"] and first["acked_seq"] == 1
    second = rob.send(rob.check_in(world.ids["Shop 1"]), pull={"token": first["token"], "limit": 1000}).json
    written = second["receipts"][0]["version"]
    assert not second["pull"]["more"] and max(row["version"] for row in second["pull"]["rows"]) < written
    assert second["last_seq"] == 2 and second["pull"]["acked_seq"] == 1, "its row has not come yet"
    third = rob.send(pull={"token": second["pull"]["token"], "limit": 1000}).json["pull"]
    assert [row["version"] for row in third["rows"]] == [written] and third["acked_seq"] == 2


def test_a_change_that_somebody_changed_on_during_the_scan_is_not_told_as_contained_either(
    world: World,
) -> None:
    for number in range(12):
        world.customer(f"Shop {number}")
    rob = world.phone("rob")
    rob.pull()
    rob.token = None
    shop = world.ids["Shop 0"]
    edit = rob.mutation(
        "customer", shop, "update", [{"field": "phone", "op": "set", "old": None, "new": "1"}]
    )
    first = rob.send(edit, pull={"token": None, "limit": 10}).json["pull"]
    sent = {row["id"] for row in first["rows"]}
    assert first["more"] and shop not in sent
    world.change("customer", "Shop 0", contact="Ann")
    second = rob.send(pull={"token": first["token"], "limit": 1000}).json["pull"]
    assert not second["more"] and shop not in {row["id"] for row in second["rows"]}
    assert second["acked_seq"] == 0, "the row that holds the change has not come yet"
    third = rob.send(pull={"token": second["token"], "limit": 1000}).json["pull"]
    assert shop in {row["id"] for row in third["rows"]} and third["acked_seq"] == 1
