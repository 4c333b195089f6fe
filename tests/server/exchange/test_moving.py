"""Scopes that move: somebody changes team, is deactivated, loses a customer; replicas shrink and grow by it."""

from typing import Any

import pytest

from server.db import reading
from server.exchange.check import check
from tests.world import Phone, World, ago, fix


@pytest.fixture
def leads(world: World) -> tuple[Phone, Phone]:
    """The phones of the leads of north and south."""
    world.person("sue", "manager", "south")
    return world.phone("mia"), world.phone("sue")


def pulled(*phones: Phone) -> None:
    for phone in phones:
        phone.pull()


def as_the_journal_tells(world: World) -> None:
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def equals_a_fresh_one(*phones: Phone) -> None:
    """A replica that grew and shrank holds what one that begins anew holds."""
    for phone in phones:
        phone.pull()
        fresh = phone.world.phone(phone.who)
        fresh.pull()
        assert {key: held["data"] for key, held in phone.replica.items()} == {
            key: held["data"] for key, held in fresh.replica.items()
        }


def rename(phone: Phone, customer: str, old: str, new: str, base: int) -> dict[str, Any]:
    op = {"field": "address", "op": "set", "old": old, "new": new}
    return phone.mutation("customer", customer, "update", [op], base=base)


def test_what_waits_for_the_lead_of_somebody_who_changes_team_waits_for_the_new_one_at_once(
    world: World, leads: tuple[Phone, Phone]
) -> None:
    mia, sue = leads
    shop = world.customer("Shop", address="1 Old Road")
    rob, ria = world.phone("rob"), world.phone("ria")
    begun = ago(minutes=50)
    far = rob.check_in(shop, begun, check_in_fix=fix(begun, lat=52.5))
    near = rob.check_in(shop, ago(minutes=40))
    parked = rob.create("customer", name="")
    pulled(rob, ria)
    base = rob.held("customer") and rob.replica["customer", shop]["version"]
    ria.push(rename(ria, shop, "1 Old Road", "2 New Road", base))
    rob.push(far, near, parked, rename(rob, shop, "1 Old Road", "3 Far Road", base))
    pulled(mia, sue)
    (conflict,) = mia.held("conflict")
    decided = mia.create("decision", on_kind="conflict", on_id=conflict, verdict="keep")
    said = mia.create("comment", on_kind="visit", on_id=far["entity"], body="Where was this?")
    assert [receipt["status"] for receipt in mia.push(decided, said)] == ["applied", "applied"]
    assert far["entity"] in mia.held("visit") and near["entity"] not in mia.held("visit")
    assert len(mia.held("parked")) == 1 and len(mia.held("conflict")) == 1
    assert not sue.held("visit") and not sue.held("parked") and not sue.held("customer")

    world.change("person", "rob", team_id=world.ids["south"])
    pulled(mia, sue)
    assert set(sue.held("visit")) == {far["entity"]}
    assert len(sue.held("parked")) == 1 and len(sue.held("conflict")) == 1 and shop in sue.held("customer")
    assert set(sue.held("decision")) == {decided["entity"]} and set(sue.held("comment")) == {said["entity"]}
    assert not mia.held("visit") and not mia.held("parked") and not mia.held("conflict")
    assert shop not in mia.held("customer")
    equals_a_fresh_one(mia, sue, rob, ria)
    as_the_journal_tells(world)


def test_the_customers_of_somebody_who_changes_team_go_along_but_for_those_of_another_team(
    world: World,
) -> None:
    own, borrowed, other = (
        world.customer("Own"),
        world.customer("Borrowed", team="south"),
        world.customer("Other", owner="ria"),
    )
    world.create("team", "west", name="West", parent_id=world.ids["root"])
    world.change("person", "rob", team_id=world.ids["west"])
    rob, ria = world.phone("rob"), world.phone("ria")
    pulled(rob, ria)
    teams = {entity: data["team_id"] for entity, data in rob.held("customer").items()}
    assert teams == {own: world.ids["west"], borrowed: world.ids["south"]}
    assert set(ria.held("customer")) == {other}
    world.change("person", "rob", team_id=world.ids["north"])
    pulled(rob, ria)
    assert rob.held("customer")[own]["team_id"] == world.ids["north"] and own in ria.held("customer")
    assert rob.held("customer")[borrowed]["team_id"] == world.ids["south"]
    as_the_journal_tells(world)


def test_somebody_who_gets_a_team_at_last_is_seen_by_its_lead(world: World) -> None:
    world.person("neo", "rep", None)
    neo, mia = world.phone("neo"), world.phone("mia")
    neo.push(neo.create("customer", name="Nobody's"))
    pulled(mia)
    assert not mia.held("parked")
    world.change("person", "neo", team_id=world.ids["north"])
    pulled(mia)
    assert len(mia.held("parked")) == 1
    equals_a_fresh_one(mia)
    as_the_journal_tells(world)


def test_whose_account_is_closed_keeps_their_customers_in_their_leads_sight(world: World) -> None:
    shop = world.customer("Shop")
    rob, mia = world.phone("rob"), world.phone("mia")
    pulled(rob, mia)
    world.change("person", "rob", active=False)
    pulled(mia)
    assert shop in mia.held("customer")
    world.change("person", "rob", active=True)
    equals_a_fresh_one(rob, mia)
