"""What follows a visit inside its transaction: conclusions that need more than the visit itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.visits.model import Visit
from tests.world import World, ago, fix


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


def test_what_becomes_a_habit_by_a_day_that_arrives_late_is_one_from_then_on_and_no_longer_when_that_is_mended(
    world: World,
) -> None:
    shop, rob = world.customer("Shop"), world.phone("rob")
    nowhere = {"none": "denied"}

    def visit(day: int, fix_: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        began = datetime(2026, 3, day, 9, tzinfo=UTC)
        one = rob.check_in(shop, began, **({"check_in_fix": fix_} if fix_ else {}))
        return [one, rob.check_out(one["entity"], began + timedelta(minutes=40))]

    def told(*visits: list[dict[str, Any]]) -> list[tuple[bool, list[str]]]:
        found = [conclusions(world, one[0]["entity"]) for one in visits]
        return [(one["valid"], one["trust_reasons"]) for one in found]

    plain, odd = (True, ["NO_POSITION_DENIED"]), (False, ["NO_POSITION_DENIED", "NO_POSITION_HABIT"])
    with time_machine.travel(datetime(2026, 3, 25, 20, tzinfo=UTC), tick=False):
        last, shown, following = visit(20, nowhere), visit(21), visit(24, nowhere)
        rob.push(*last, *shown, *following)
        assert told(last, following) == [plain, plain]
        early = [visit(day, nowhere) for day in range(3, 12)]
        rob.push(*(one for each in early for one in each))
        assert told(last, following) == [plain, odd], "nine before the first, ten before the other"
        tenth = rob.check_in(shop, datetime(2026, 3, 2, 9, tzinfo=UTC), check_in_fix=nowhere)
        rob.push(tenth)
        assert told(last, following, shown) == [odd, odd, (True, ["IN_RADIUS"])]
        assert told(*early) == [plain] * 9
        mia = world.phone("mia")
        mia.pull()
        assert {last[0]["entity"], following[0]["entity"]} == mia.held("visit").keys(), (
            "who leads them is told of what waits"
        )
        # That phone finds its place while the visit lasts, and what stood on it stands no longer.
        better = {
            "op": "set",
            "field": "check_in_best_fix",
            "old": None,
            "new": fix(datetime(2026, 3, 2, 9, 1, tzinfo=UTC)),
        }
        rob.push(rob.mutation("visit", tenth["entity"], "update", [better]))
        assert told(last, following) == [plain, odd]
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
