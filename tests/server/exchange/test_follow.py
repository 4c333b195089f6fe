"""What follows a visit inside its transaction: conclusions that need more than the visit itself."""

from typing import Any

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
