"""A rep's own place: among their team, shared by equal totals, and shown only where it tells nobody else's total."""

from __future__ import annotations

from typing import Any

from tests.world import World

NOVEMBER = "?period=month&starts_on=2026-11-01"


def rank(world: World, who: str) -> Any:
    return world.get(who, f"/api/scores{NOVEMBER}").json["rank"]


def test_a_rep_sees_their_own_place_in_a_team_of_some_size_unless_it_is_turned_off(shared_world: World):
    world = shared_world
    world.create(
        "scheme",
        "scheme",
        name="Orders",
        valid_from="2026-11-01",
        status="approved",
        indicators=[{"code": "orders", "kind": "result", "weight": "1", "combine": "sum", "target": "10"}],
    )

    def sold(who: str, amount: str) -> None:
        about = {"indicator": "orders", "on": "2026-11-03", "source": "till", "status": "reviewed"}
        world.create("value", f"of {who}", person_id=world.ids[who], amount=amount, **about)

    sold("rob", "9")
    sold("ria", "10")
    assert rank(world, "rob") is None  # of two, the place of one is the place of the other
    for name, amount in (("una", "9"), ("vic", "3")):
        world.person(name, "rep", "north")
        sold(name, amount)
    world.person("sue", "rep", "south")
    sold("sue", "99")
    assert {who: rank(world, who) for who in ("ria", "rob", "una", "vic")} == {
        "ria": {"rank": 1, "of": 4},
        "rob": {"rank": 2, "of": 4},
        "una": {"rank": 2, "of": 4},
        "vic": {"rank": 4, "of": 4},
    }
    assert rank(world, "sue") is None
    assert rank(world, "mia") is None
    assert [one["person"]["name"] for one in world.get("rob", f"/api/scores{NOVEMBER}").json["scores"]] == [
        "Rob"
    ]
    world.create("setting", "leaderboard", key="leaderboard", value="off")
    assert rank(world, "ria") is None

    world.change("setting", "leaderboard", value="all")
    board = world.get("rob", f"/api/scores{NOVEMBER}").json
    assert [(one["rank"], one["person"]["name"], one["total"]) for one in board["leaderboard"]] == [
        (1, "Ria", "100.00"),
        (2, "Rob", "90.00"),
        (2, "Una", "90.00"),
        (4, "Vic", "30.00"),
    ]
    assert all(one.keys() == {"person", "rank", "total"} for one in board["leaderboard"])
    # Places are all there is of colleagues: no readings, no evidence, nobody of another team.
    assert [one["person"]["name"] for one in board["scores"]] == ["Rob"]
    assert world.get("rob", f"/api/scores/{world.ids['ria']}{NOVEMBER}").status_code == 404
    evidence = f"/api/scores/{world.ids['ria']}/evidence{NOVEMBER}&indicator=orders"
    assert world.get("rob", evidence).status_code == 404
    south = world.get("sue", f"/api/scores{NOVEMBER}").json["leaderboard"]
    assert [one["person"]["name"] for one in south] == ["Sue", "Sam"]
    assert world.get("mia", f"/api/scores{NOVEMBER}").json["leaderboard"] is None

    for who in ("rob", "mia"):  # an administrator's to choose
        phone = world.phone(who)
        ops = [{"field": "value", "op": "set", "old": "all", "new": "own"}]
        (receipt,) = phone.push(phone.mutation("setting", world.ids["leaderboard"], "update", ops))
        assert (receipt["status"], receipt["code"]) == ("parked", "FORBIDDEN")
    assert world.get("rob", f"/api/scores{NOVEMBER}").json["leaderboard"] == board["leaderboard"]
    world.change("setting", "leaderboard", value="own")
    assert world.get("rob", f"/api/scores{NOVEMBER}").json["leaderboard"] is None
    assert rank(world, "rob") == {"rank": 2, "of": 4}


def test_who_leads_sees_where_people_stand_between_result_and_quality(shared_world: World):
    world = shared_world
    world.create(
        "scheme",
        "both",
        name="Both",
        valid_from="2026-11-01",
        status="approved",
        indicators=[
            {"code": "sold", "kind": "result", "weight": "1", "combine": "sum", "target": "10"},
            {"code": "skill", "kind": "ability", "weight": "1", "combine": "mean", "target": "10"},
        ],
    )
    for who, code, amount in (("ria", "sold", "8"), ("ria", "skill", "7.9"), ("rob", "sold", "9")):
        about = {"indicator": code, "on": "2026-11-03", "source": "till", "status": "reviewed"}
        world.create("value", f"{code} of {who}", person_id=world.ids[who], amount=amount, **about)

    def stands(who: str) -> dict[str, Any]:
        found = world.get(who, f"/api/scores{NOVEMBER}").json["scores"]
        return {one["person"]["name"]: one.get("quadrant", "untold") for one in found}

    told = stands("mia")
    assert told["Ria"] == {"quadrant": "result_without_quality", "result": "80.00", "quality": "79.00"}
    assert told["Rob"] is None  # the other side was not measured
    assert stands("ria") == {"Ria": "untold"}
