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
