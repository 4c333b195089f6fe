"""Lists and histories: every row once however the list is read, nothing but what was asked for, and who changed what."""

import base64
import json
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from server.exchange.door import Change
from tests.world import World, ago, fix


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop")
    return shared_world


def pages(
    world: World, who: str, path: str, limit: int = 3, between: Any = lambda: None
) -> Iterator[dict[str, Any]]:
    """The pages of a list; `between` happens after each."""
    cursor = None
    while True:
        joint = "&" if "?" in path else "?"
        response = world.get(who, f"{path}{joint}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert response.status_code == 200, response.text
        assert response.json.keys() == {"items", "next"}
        yield response.json
        between()
        cursor = response.json["next"]
        if cursor is None:
            return


def ids(world: World, who: str, path: str, **options: Any) -> list[str]:
    return [item["id"] for one in pages(world, who, path, **options) for item in one["items"]]


def customers(world: World, *names: str, **fields: Any) -> list[str]:
    shared = {"owner_id": world.ids["rob"], "team_id": world.ids["north"]} | fields
    changes = [Change("customer", str(uuid4()), "create", {"name": name} | shared) for name in names]
    assert {receipt["status"] for receipt in world.write(*changes)} == {"applied"}
    return [change.entity for change in changes]


# The same in every process, so that tests have the same names.
SOME_ID = "1f0c8a52-3c1e-4a9b-8f57-0c6f1d1c2b3a"


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


# --- every row once ----------------------------------------------------------------------------------------------------


def test_visits_are_told_once_each_newest_first_while_others_arrive(world: World) -> None:
    rob = world.phone("rob")
    # four at the very same moment: there the id decides
    began = [ago(hours=hours) for hours in (9, 8, 7, 7, 7, 7, 6, 5, 4, 3)]
    began[3:6] = [began[2]] * 3
    known = [rob.check_in(world.ids["Shop"], at) for at in began]
    rob.push(*known)
    arriving = iter([ago(minutes=1), ago(hours=7, minutes=30), ago(days=3), ago(hours=2), began[2]])

    def another() -> None:
        at = next(arriving, None)
        if at is not None:
            rob.push(rob.check_in(world.ids["Shop"], at))

    found = ids(world, "rob", "/api/visits", limit=3, between=another)
    assert len(found) == len(set(found))
    assert {one["entity"] for one in known} <= set(found)
    times = [
        item["server"]["check_in_at"] for one in pages(world, "rob", "/api/visits") for item in one["items"]
    ]
    assert times == sorted(times, reverse=True) and len(times) > len(known)


def test_customers_are_told_once_each_by_name_while_others_arrive(world: World) -> None:
    names = ["Shop"] * 5 + ["shop", "Äpfel", "Zoo", "zoo", "Ωmega", "日本", "'quoted'", "100%"]
    known = customers(world, *names)
    arriving = iter(["A first", "Shop", "Z last", "M middle"])

    def another() -> None:
        name = next(arriving, None)
        if name:
            customers(world, name)

    found = ids(world, "rob", "/api/customers", limit=2, between=another)
    assert len(found) == len(set(found)) and set(known) <= set(found)


def test_the_nearest_come_first_and_each_once(world: World) -> None:
    # on a grid, so that many lie at the same distance: there the id decides
    places = [(51.5 + north * 0.01, -0.12 + east * 0.01) for north in range(-3, 4) for east in range(-3, 4)]
    changes = [
        Change(
            "customer",
            str(uuid4()),
            "create",
            {
                "name": "Grid",
                "lat": lat,
                "lon": lon,
                "owner_id": world.ids["rob"],
                "team_id": world.ids["north"],
            },
        )
        for lat, lon in places
    ]
    world.write(*changes)
    nowhere = customers(world, "Nowhere")
    listed = list(pages(world, "rob", "/api/customers?near=51.5,-0.12", limit=7))
    found = [item for one in listed for item in one["items"]]
    assert {item["id"] for item in found} == {change.entity for change in changes} | {world.ids["Shop"]}
    assert len(found) == len(places) + 1 and nowhere[0] not in {item["id"] for item in found}
    distances = [item["distance_m"] for item in found]
    assert distances[0] == 0 and all(later >= earlier - 30 for earlier, later in pairwise(distances))
    assert distances[-1] == pytest.approx(math.hypot(0.03 * 111_250, 0.03 * 69_400), rel=0.01)


@pytest.mark.parametrize(
    ("here", "near", "far"),
    [
        ("-17.0,179.99", (-17.0, -179.99), (-17.0, 178.0)),
        ("-17.0,-179.99", (-17.0, 179.99), (-17.0, -178.0)),
        ("70.0,20.0", (70.0, 20.02), (70.01, 20.0)),
        ("0,0", (0.0, 0.001), (0.002, 0.0)),
    ],
)
def test_nearer_is_nearer_on_the_globe_and_not_on_the_map(
    world: World, here: str, near: tuple[float, float], far: tuple[float, float]
) -> None:
    (second,) = customers(world, "B", lat=far[0], lon=far[1])
    (first,) = customers(world, "A", lat=near[0], lon=near[1])
    found = world.get("rob", f"/api/customers?near={here}&limit=1").json["items"]
    assert [item["id"] for item in found] == [first]
    assert second in ids(world, "rob", f"/api/customers?near={here}", limit=1)


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "é",
        "=",
        "AAAA",
        cursor(),
        cursor("a"),
        cursor("a", "b"),
        cursor("a", "b", "c"),
        cursor(1, 2),
        cursor("2026-01-01T00:00:00", SOME_ID),
        cursor("0001-01-01T00:00:00+14:00", SOME_ID),
        cursor("nan", SOME_ID),
        cursor("1e400", SOME_ID),
        cursor("1", "'; drop table visit; --"),
        cursor("\0", SOME_ID),
        cursor("\ud800", SOME_ID),
        cursor("9" * 30),
        cursor("-1"),
        base64.urlsafe_b64encode(b"[" * 140).decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
    ],
)
def test_a_cursor_of_nobodys_is_invalid(world: World, bad: str) -> None:
    rob = world.phone("rob")
    visit = rob.check_in(world.ids["Shop"])
    rob.push(visit)
    for path in ("/api/visits?", "/api/customers?near=51,0&", f"/api/visits/{visit['entity']}/history?"):
        response = world.get("rob", f"{path}cursor={bad}")
        assert (response.status_code, response.json["code"]) == (422, "INVALID"), path
        assert "cursor" in response.json["fields"]
    # any name is a place in a list by name
    assert world.get("rob", f"/api/customers?cursor={bad}").status_code in {200, 422}


def test_a_cursor_reads_on_in_its_own_list_alone(world: World) -> None:
    customers(world, "A", "B", "C")
    by_name = world.get("rob", "/api/customers?limit=1").json["next"]
    assert world.get("rob", f"/api/customers?limit=1&near=51,0&cursor={by_name}").status_code == 422
    assert world.get("rob", f"/api/visits?cursor={by_name}").status_code == 422
    # in the hands of somebody else it opens nothing that is not theirs
    assert world.get("sam", f"/api/customers?cursor={by_name}").json["items"] == []


# --- what was asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("100%25", ["100% Fruit"]),
        ("%25", ["100% Fruit"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("%25%25", []),
        ("o%27brien", ["O'Brien"]),
        ("FRUIT 100", ["100% Fruit"]),
        ("fruit absent", []),
        ("canal", ["Walled"]),
        ("c-77", ["Coded"]),
        ("%20%20", ["100% Fruit", "Coded", "O'Brien", "Walled", "back\\slash", "snake_case"]),
    ],
)
def test_a_search_takes_every_letter_for_itself(shared_world: World, asked: str, found: list[str]) -> None:
    customers(shared_world, "100% Fruit", "snake_case", "back\\slash", "O'Brien")
    customers(shared_world, "Walled", address="By the Canal 3")
    customers(shared_world, "Coded", code="C-77")
    listed = shared_world.get("rob", f"/api/customers?q={asked}").json["items"]
    assert sorted(item["name"] for item in listed) == sorted(found)


@pytest.mark.parametrize(("asked", "name"), [("äpfel", "Äpfel"), ("ÉCOLE", "École"), ("ωmega", "Ωmega")])
def test_a_search_is_blind_to_case_in_every_script(shared_world: World, asked: str, name: str) -> None:
    customers(shared_world, name, "Other")
    listed = shared_world.get("rob", f"/api/customers?q={asked}").json["items"]
    assert [item["name"] for item in listed] == [name]


def test_filters_of_customers_narrow_and_add_up(world: World) -> None:
    grade, lost = customers(world, "Grade", grade="A"), customers(world, "Lost", lifecycle="lost", grade="A")
    hers = customers(world, "Hers", owner_id=world.ids["ria"])
    (gone,) = customers(world, "Gone", grade="A")
    world.write(Change("customer", gone, "archive"))

    def listed(query: str, who: str = "rob") -> set[str]:
        return set(ids(world, who, f"/api/customers?{query}"))

    assert listed("grade=A") == {*grade, *lost}
    assert listed("grade=A&lifecycle=lost") == set(lost)
    assert listed(f"owner={world.ids['ria']}") == set(hers)
    assert listed(f"team={world.ids['south']}", "boss") == set()
    assert listed(f"team={world.ids['root']}", "boss") == {*grade, *lost, *hers, world.ids["Shop"]}


def test_filters_of_visits_narrow_and_add_up(world: World) -> None:
    rob, ria = world.phone("rob"), world.phone("ria")
    world.customer("Second")
    first = rob.check_in(world.ids["Shop"], ago(days=3))
    second = rob.check_in(world.ids["Second"], ago(days=2))
    third = ria.check_in(world.ids["Shop"], ago(days=1))
    plan = rob.create("visit", customer_id=world.ids["Shop"], status="planned", planned_date="2031-01-31")
    rob.push(first, second, plan)
    ria.push(third)
    days = {
        item["id"]: item["server"]["day"]
        for one in pages(world, "mia", "/api/visits")
        for item in one["items"]
    }

    def listed(query: str, who: str = "mia") -> list[str]:
        return ids(world, who, f"/api/visits?{query}")

    assert listed(f"rep={world.ids['ria']}") == [third["entity"]]
    assert listed(f"customer={world.ids['Second']}") == [second["entity"]]
    assert listed(f"date={days[first['entity']]}") == [first["entity"]]
    assert listed(f"from={days[second['entity']]}&to={days[third['entity']]}") == [
        third["entity"],
        second["entity"],
    ]
    assert listed("status=planned") == [plan["entity"]]
    assert listed(f"team={world.ids['south']}", "boss") == []
    assert set(listed(f"team={world.ids['north']}", "boss")) == set(days)
    assert set(listed("", "rob")) == {first["entity"], second["entity"], plan["entity"]}
    assert listed("", "sam") == []


def test_a_visit_of_a_list_is_the_visit_by_itself(world: World) -> None:
    rob = world.phone("rob")
    visit = rob.check_in(world.ids["Shop"], mood={"stars": 4}, tags=["vip"])
    rob.push(visit, rob.check_out(visit["entity"]))
    (listed,) = world.get("rob", "/api/visits").json["items"]
    assert listed == world.get("rob", f"/api/visits/{visit['entity']}").json
    assert listed["customer"].keys() == {"id", "name", "lat", "lon", "radius_m"}
    assert listed["rep"] == {"id": world.ids["rob"], "name": "Rob"}
    assert listed["mood"] == {"stars": 4} and listed["tags"] == ["vip"] and listed["archived"] is False
    known = set(world.app.test_client().get("/api/schema").json["kinds"]["visit"]["fields"])
    assert known <= listed.keys()


# --- history -----------------------------------------------------------------------------------------------------------


def test_a_history_tells_each_change_by_whom_when_and_what_became_of_it(world: World) -> None:
    rob, mia = world.phone("rob"), world.phone("mia")
    plan = mia.create(
        "visit",
        customer_id=world.ids["Shop"],
        status="planned",
        planned_date="2031-01-31",
        rep_id=world.ids["rob"],
    )
    mia.push(plan)
    began = rob.mutation(
        "visit",
        plan["entity"],
        "update",
        [
            {"field": "status", "op": "go", "old": "planned", "new": "open"},
            {"field": "check_in_fix", "op": "set", "old": None, "new": fix(ago())},
        ],
    )
    again = rob.mutation(
        "visit",
        plan["entity"],
        "update",
        [{"field": "check_in_fix", "op": "set", "old": None, "new": fix(ago(), lat=1)}],
    )
    wrong = rob.mutation(
        "visit", plan["entity"], "update", [{"field": "mode", "op": "set", "old": None, "new": "teleport"}]
    )
    rob.push(began, again, wrong)
    listed = world.get("rob", f"/api/visits/{plan['entity']}/history").json["items"]
    told = [(item["person"]["name"], item["verb"], item["status"], item["code"]) for item in listed]
    assert told == [
        ("Mia", "create", "applied", None),
        ("Rob", "update", "applied", None),
        ("Rob", "update", "merged", "FIELD_CONFLICT"),
        ("Rob", "update", "parked", "INVALID"),
    ]
    sent = [plan, began, again, wrong]
    for item, mutation in zip(listed, sent, strict=True):
        assert item.keys() == {
            "version",
            "at",
            "received_at",
            "person",
            "client",
            "verb",
            "status",
            "code",
            "ops",
        }
        assert item["ops"] == mutation["ops"] and item["at"] == mutation["at"]["wall"]
        assert item["received_at"].endswith("Z")
    assert [item["client"] for item in listed] == [mia.client, rob.client, rob.client, rob.client]
    assert [item["version"] for item in listed] == sorted(item["version"] for item in listed)
    assert ops_of_pages(world, plan["entity"]) == [item["ops"] for item in listed]


def ops_of_pages(world: World, visit: str) -> list[Any]:
    return [
        item["ops"]
        for one in pages(world, "rob", f"/api/visits/{visit}/history", limit=1)
        for item in one["items"]
    ]


def test_what_strangers_tried_on_a_visit_is_told_to_nobody_but_themselves_and_theirs(world: World) -> None:
    rob, sam, outside = world.phone("rob"), world.phone("sam"), World(world.app, f"other-{uuid4().hex[:8]}")
    visit = rob.check_in(world.ids["Shop"])
    rob.push(visit)
    sam.push(
        sam.check_out(visit["entity"], minutes="what Sam wrote"),
        sam.create("customer", visit["entity"], name="what Sam named"),
    )
    outside.customer("Theirs")
    theirs = outside.phone("rob")
    theirs.push(theirs.check_in(outside.ids["Theirs"]) | {"entity": visit["entity"]})
    path = f"/api/visits/{visit['entity']}/history"
    for who in ("rob", "mia"):
        response = world.get(who, path)
        assert len(response.json["items"]) == 1 and "Sam" not in response.text, who
    assert "what Sam wrote" in world.get("admin", path).text
    assert world.get("sam", path).status_code == 404


@pytest.mark.parametrize(
    "raw", ["\\ud83d half", "a\\u0000b", "NaN", "1e999", "123456789012345678901234567890"]
)
def test_a_history_can_be_read_whatever_was_sent(world: World, raw: str) -> None:
    rob = world.phone("rob")
    visit = rob.check_in(world.ids["Shop"])
    rob.push(visit)
    odd = rob.mutation(
        "visit", visit["entity"], "update", [{"field": "minutes", "op": "text", "old": None, "new": "MARK"}]
    )
    inside = f'"{raw}"' if "\\" in raw else raw
    response = rob.post(json.dumps(rob.envelope(odd)).replace('"MARK"', inside).encode())
    assert response.json["receipts"][0]["status"] == "parked"
    listed = world.get("rob", f"/api/visits/{visit['entity']}/history")
    assert [item["status"] for item in listed.json["items"]] == ["applied", "parked"]
    assert listed.json["items"][1]["ops"][0]["field"] == "minutes"
    assert world.get("mia", "/api/board").status_code == 200
    rob.pull()
    assert len(rob.held("parked")) == 1


def test_visits_of_one_moment_are_told_once_each(world: World) -> None:
    rob = world.phone("rob")
    moment = ago(hours=1)
    made = [rob.check_in(world.ids["Shop"], moment) for _ in range(20)]
    rob.push(*made)
    found = ids(world, "rob", "/api/visits", limit=1)
    assert sorted(found) == sorted(one["entity"] for one in made)
    assert found == sorted(found, reverse=True)
