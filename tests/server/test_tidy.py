"""Tidying: old tombstones go, the floor rises with them, and whoever was away reads again what they may see."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from server import auth
from server.db import reading, writing
from server.exchange.check import check
from server.exchange.model import Journal, Position
from server.people.model import Head, Invite
from server.push.deliver import claim, record
from server.push.model import Attempt, Delivery
from server.push.send import Sent
from server.reminders.model import Outreach, Reminder
from server.tidy import collect, tidy
from tests.commands import Commands
from tests.office import Office, london
from tests.world import Phone, World


def aged(world: World, **span: float) -> None:
    """Let all tombstones be so old."""
    with world.app.app_context(), writing() as connection:
        connection.execute(
            update(Position)
            .where(Position.removed_at.is_not(None))
            .values(removed_at=datetime.now(UTC) - timedelta(**span))
        )


def tombstones(world: World) -> int:
    with world.app.app_context(), reading() as connection:
        found = select(func.count()).select_from(Position).where(Position.removed_at.is_not(None))
        return int(connection.execute(found).scalar_one())


def tidied(world: World) -> int:
    with world.app.app_context():
        return tidy(datetime.now(UTC)).tombstones


def view(phone: Phone) -> dict[Any, Any]:
    fresh = phone.world.phone(phone.who)
    fresh.pull()
    return {key: held["data"] for key, held in fresh.replica.items()}


def replica(phone: Phone) -> dict[Any, Any]:
    return {key: held["data"] for key, held in phone.replica.items()}


def test_who_was_away_longer_than_tombstones_live_reads_again_and_holds_what_they_may_see(
    world: World,
) -> None:
    kept, lost = world.customer("Kept"), world.customer("Lost")
    rob, ria = world.phone("rob"), world.phone("ria")
    rob.pull()
    world.change("customer", "Lost", owner_id=world.ids["sam"], team_id=world.ids["south"])
    ria.pull()
    aged(world, days=181)
    assert tidied(world) == 2 and tombstones(world) == 0
    (page,) = rob.pull()
    assert f"person:{world.ids['rob']}" in page["reset"]
    assert replica(rob) == view(rob) and kept in rob.held("customer") and lost not in rob.held("customer")
    (page,) = ria.pull()
    assert page["reset"] == [] and replica(ria) == view(ria)
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_tombstones_of_less_than_180_days_stay_and_are_told(world: World) -> None:
    lost = world.customer("Lost")
    rob = world.phone("rob")
    rob.pull()
    world.change("customer", "Lost", owner_id=world.ids["sam"], team_id=world.ids["south"])
    aged(world, days=179)
    assert tidied(world) == 0 and tombstones(world) == 2
    (page,) = rob.pull()
    assert page["reset"] == [] and lost not in rob.held("customer")


@pytest.mark.parametrize("limit", [10, 25])
def test_a_phone_that_reads_while_tombstones_go_comes_to_rest_with_what_it_may_see(
    world: World, limit: int
) -> None:
    for number in range(40):
        world.customer(f"Shop {number}")
    rob = world.phone("rob")
    rob.pull()
    for number in range(0, 40, 2):
        world.change("customer", f"Shop {number}", owner_id=world.ids["sam"], team_id=world.ids["south"])
    resets = 0
    for number in range(200):
        if number % 2:
            world.change("customer", "Shop 39", phone=str(number))
        aged(world, days=200)
        with world.app.app_context(), reading() as connection:
            floor = connection.execute(select(Head.floor)).scalar_one()
            oldest = connection.execute(
                select(func.min(Position.version)).where(Position.removed_at.is_not(None))
            ).scalar_one()
        if oldest is not None:  # a few at a time, in the middle of the scan
            with world.app.app_context(), writing() as connection:
                connection.execute(
                    update(Position)
                    .where(Position.removed_at.is_not(None), Position.version > oldest + 2)
                    .values(removed_at=datetime.now(UTC))
                )
            tidied(world)
            with world.app.app_context(), reading() as connection:
                assert connection.execute(select(Head.floor)).scalar_one() > floor
        page = rob.send(pull={"token": rob.token, "limit": limit}).json["pull"]
        rob._apply(page)
        resets += bool(page["reset"])
        if not page["more"] and oldest is None:
            break
    assert resets and not page["more"]
    assert replica(rob) == view(rob)


def test_nothing_of_the_journal_goes_and_the_floor_never_falls(world: World) -> None:
    world.customer("Lost")
    world.change("customer", "Lost", owner_id=world.ids["sam"], team_id=world.ids["south"])
    with world.app.app_context(), reading() as connection:
        entries = connection.execute(select(func.count()).select_from(Journal)).scalar_one()
    aged(world, days=1000)
    with world.app.app_context():
        assert collect(world.org, datetime.now(UTC)) == 2
        assert collect(world.org, datetime.now(UTC)) == 0
        with reading() as connection:
            assert connection.execute(select(func.count()).select_from(Journal)).scalar_one() == entries
            assert connection.execute(select(Head.floor)).scalar_one() > 0


def test_links_that_ran_out_go_and_those_that_still_open_stay(world: World) -> None:
    now = datetime.now(UTC)
    common = {"org_id": world.org, "person_id": world.ids["rob"], "uploads": False}
    rows = [
        {"expires_at": now + timedelta(days=1), "used_at": None},
        {"expires_at": now - timedelta(days=31), "used_at": None},
        {"expires_at": now + timedelta(days=1), "used_at": now - timedelta(days=31)},
    ]
    with world.app.app_context():
        with writing() as connection:
            for row in rows:
                digest = auth.digest_of(auth.new_secret(world.org))
                connection.execute(insert(Invite), [common | row | {"digest": digest}])
        assert tidy(now).links == 2


def test_how_reminders_of_a_month_ago_were_told_goes_and_their_notices_stay(world: World) -> None:
    office = Office(world)
    office.subscribe("rob")
    office.promise()
    office.promise(due_time="20:00")
    assert office.tell(london(14, 30), "mail") == 1
    with world.app.app_context():
        claimed = claim(world.org, london(14, 31), 10, timedelta(minutes=1))
        record(world.org, [(each, Sent("sent", 201)) for each in claimed], london(14, 31), lambda: 1.0)
        assert tidy(london(14, 30, days=29)).reminders == 0
        with writing() as connection:
            connection.execute(update(Outreach).values(state="sent"))
        assert tidy(london(14, 30, days=33)).reminders == 1
    assert len(office.inbox(office.rob)) == 1
    assert [office.rows(model) for model in (Delivery, Attempt, Outreach)] == [[], [], []]
    assert {row["state"] for row in office.rows(Reminder)} == {"waiting"}


def test_the_command_says_what_it_threw_away_half_uploads_too(
    world: World, database_url: str, tmp_path: Path
) -> None:
    world.customer("Lost")
    world.change("customer", "Lost", owner_id=world.ids["sam"], team_id=world.ids["south"])
    aged(world, days=181)
    half = tmp_path / "state" / "blobs" / world.org / "ab" / "abcd.someone.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    old = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    os.utime(half, (old, old))
    rounds = Commands(database_url, tmp_path / "state")
    assert rounds.json("tidy") == {"tombstones": 2, "sessions": 0, "links": 0, "uploads": 1, "reminders": 0}
    assert not half.exists()
    assert "0 tombstones" in rounds("tidy").output
