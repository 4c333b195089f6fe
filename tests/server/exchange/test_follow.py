"""What follows a visit inside its transaction: conclusions that need more than the visit itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.visits.model import Visit
from tests.world import World, ago


def conclusions(world: World, visit: str) -> dict[str, Any]:
    server: dict[str, Any] = world.get("mia", f"/api/visits/{visit}").json["server"]
    return server


def test_visits_without_a_position_become_a_review_once_they_are_a_habit(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    denied = [rob.check_in(shop, ago(days=day), check_in_fix={"none": "denied"}) for day in range(10, 0, -1)]
    rob.push(*denied)
    assert conclusions(world, denied[-1]["entity"])["trust"] == "unverified"
    eleventh = rob.check_in(shop, check_in_fix={"none": "denied"})
    rob.push(eleventh)
    told = conclusions(world, eleventh["entity"])
    assert told["trust"] == "review"
    assert told["trust_reasons"] == ["NO_POSITION_DENIED", "NO_POSITION_HABIT"]
    (line,) = [
        rep for rep in world.get("mia", "/api/board").json["reps"] if rep["person"]["id"] == world.ids["rob"]
    ]
    assert line["no_position_share"] == 1


def test_a_habit_is_the_same_whether_the_days_come_one_by_one_or_all_at_once(world: World) -> None:
    """Three weeks of two visits a day without a position: the first five days make the ten that a habit needs."""
    shop = world.customer("Shop")
    morning = datetime(2026, 3, 2, 9, tzinfo=UTC)
    found = []
    for who in ("rob", "ria"):
        phone, at_once = world.phone(who), who == "ria"
        written = []
        for number in range(42):
            began = morning + timedelta(days=number // 2, hours=number % 2)
            ended = began + timedelta(minutes=40)
            visit = phone.check_in(shop, began, check_in_fix={"none": "denied"})
            written += [visit, phone.check_out(visit["entity"], ended)]
            if not at_once:
                with time_machine.travel(ended, tick=False):
                    phone.push(*written[-2:])
        if at_once:
            with time_machine.travel(morning + timedelta(days=21), tick=False):
                phone.push(*written)
        with world.app.app_context(), reading() as connection:
            rows = connection.execute(
                select(Visit.day, Visit.valid)
                .where(Visit.org_id == world.org, Visit.rep_id == world.ids[who])
                .order_by(Visit.at)
            )
            found.append([tuple(row) for row in rows])
    assert found[0] == found[1]
    assert [valid for _, valid in found[0]] == [True] * 10 + [False] * 32
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_half_the_visits_without_a_position_are_no_habit_yet(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    rob.push(*(rob.check_in(shop, ago(days=day), check_in_fix={"none": "timeout"}) for day in range(1, 6)))
    rob.push(*(rob.check_in(shop, ago(days=day, hours=3)) for day in range(1, 6)))
    one = rob.check_in(shop, check_in_fix={"none": "timeout"})
    rob.push(one)
    assert conclusions(world, one["entity"])["trust"] == "unverified"


def test_an_organisation_sets_how_long_minutes_must_be_and_nonsense_counts_as_not_set(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")

    def reasons(minutes: str) -> list[str]:
        began = rob.check_in(shop, ago(minutes=50))
        rob.push(began, rob.check_out(began["entity"], minutes=minutes))
        found: list[str] = conclusions(world, began["entity"])["reasons"]
        return found

    assert reasons("short") == ["MINUTES_TOO_SHORT"]
    world.create("setting", "length", key="min_note_chars", value=5)
    assert reasons("short") == []
    world.change("setting", "length", value="five")
    assert reasons("short") == ["MINUTES_TOO_SHORT"]


def test_the_kind_of_a_visit_sets_its_least_duration(world: World) -> None:
    world.create(
        "visit_kind", "store_call", code="store_call", name="Store call", min_minutes={"in_person": 10}
    )
    shop, rob = world.customer("Shop"), world.phone("rob")
    for kind, valid in (("store_call", True), ("sales_call", False), ("of another day", False)):
        began = rob.check_in(shop, ago(minutes=15), kind=kind)
        rob.push(began, rob.check_out(began["entity"]))
        assert conclusions(world, began["entity"])["valid"] is valid, kind


def test_a_customers_own_radius_decides_what_is_there(world: World) -> None:
    wide = world.customer("Wide", lat=51.51, radius_m=5000)
    narrow = world.customer("Narrow", lat=51.51)
    rob = world.phone("rob")
    there, away = rob.check_in(wide), rob.check_in(narrow)
    rob.push(there, away)
    assert conclusions(world, there["entity"])["trust"] == "verified"
    assert conclusions(world, away["entity"])["trust"] == "review"


def test_a_visit_that_moves_to_another_day_leaves_the_first(world: World) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    planned = rob.create(
        "visit", customer_id=shop, status="planned", planned_date="2026-01-05", mode="in_person"
    )
    rob.push(planned)
    rob.push(
        rob.mutation(
            "visit",
            planned["entity"],
            "update",
            [{"field": "planned_date", "op": "set", "old": "2026-01-05", "new": "2026-01-06"}],
        )
    )

    def line(day: str) -> list[Any]:
        reps = world.get("mia", f"/api/board?date={day}").json["reps"]
        found: list[Any] = next(rep["line"] for rep in reps if rep["person"]["id"] == world.ids["rob"])
        return found

    assert line("2026-01-05") == [] and len(line("2026-01-06")) == 1
