"""The day board: what each rep did that day, and what is known of their phone, which is another matter."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import time_machine

from tests.world import PLACE, World, ago, fix, text

TOP = {"date", "team", "generated_at", "reps"}
REP = {
    "person",
    "visits",
    "valid_visits",
    "valid_minutes",
    "review",
    "parked",
    "first_check_in",
    "last_check_out",
    "open_visit",
    "last_contact_at",
    "unsent",
    "oldest_unsent",
    "position",
}
BESIDES = {"line", "no_position_share"}
LINE = {"visit", "customer", "from", "to", "planned_time", "status", "valid", "trust"}

NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
"""A Wednesday in summer: 13:00 in London."""


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """A small organisation at noon, with a customer of rob's; the clock goes on from there."""
    with time_machine.travel(NOON):
        shared_world.customer("Shop")
        yield shared_world


def board(world: World, who: str = "mia", query: str = "") -> dict[str, Any]:
    response = world.get(who, f"/api/board{query}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json
    return found


def line_of(world: World, rep: str, who: str = "mia", query: str = "") -> dict[str, Any]:
    (found,) = [one for one in board(world, who, query)["reps"] if one["person"]["id"] == world.ids[rep]]
    return found


def names(world: World, who: str = "mia", query: str = "") -> list[str]:
    return [one["person"]["name"] for one in board(world, who, query)["reps"]]


def visit(
    phone: Any, began: datetime, minutes: int = 40, customer: str = "Shop", **fields: Any
) -> list[dict[str, Any]]:
    """The two mutations of a visit that lasted so many minutes."""
    known = {"check_in_fix": fix(began)} | fields
    start = phone.check_in(phone.world.ids[customer], began, **known)
    return [start, phone.check_out(start["entity"], began + timedelta(minutes=minutes))]


def test_the_board_has_exactly_the_keys_that_were_agreed(world: World) -> None:
    rob = world.phone("rob")
    rob.push(*visit(rob, ago(minutes=90)), rob.check_in(world.ids["Shop"]))
    told = board(world)
    assert told.keys() == TOP
    assert told["date"] == "2026-06-17" and told["team"] is None
    assert datetime.fromisoformat(told["generated_at"]).tzinfo is not None
    for rep in told["reps"]:
        assert rep.keys() == REP | BESIDES
        assert rep["person"].keys() == {"id", "name", "team"}
        for one in rep["line"]:
            assert one.keys() == LINE
    worked = line_of(world, "rob")
    assert worked["open_visit"].keys() == {"id", "customer", "since"}
    assert worked["position"].keys() == {"lat", "lon", "accuracy_m", "at"}


def test_a_days_figures_are_those_of_its_visits(world: World) -> None:
    rob, began = world.phone("rob"), datetime(2026, 6, 17, 7, 0, tzinfo=UTC)
    far = fix(began + timedelta(hours=2), lat=PLACE[0] + 0.1)
    rob.push(
        *visit(rob, began, 45),
        *visit(rob, began + timedelta(hours=1), 10),
        *visit(rob, began + timedelta(hours=2), 31, check_in_fix=far),
        rob.create("visit", customer_id=world.ids["Shop"], status="planned", planned_date="2026-06-17"),
        rob.check_in(world.ids["Shop"], mode="teleport"),
    )
    told = line_of(world, "rob")
    assert (told["visits"], told["valid_visits"], told["valid_minutes"]) == (3, 1, 45)
    assert (told["review"], told["parked"]) == (1, 1)
    assert told["first_check_in"] == "2026-06-17T07:00:00.000Z"
    assert told["last_check_out"] == "2026-06-17T09:31:00.000Z"
    assert told["open_visit"] is None
    assert [one["status"] for one in told["line"]] == ["done", "done", "done", "planned"]
    assert [one["valid"] for one in told["line"]] == [True, False, False, False]
    assert told["line"][0]["from"] == told["first_check_in"] and told["line"][0]["customer"] == "Shop"
    assert told["position"]["lat"] == pytest.approx(PLACE[0] + 0.1)


def test_each_visit_of_the_line_can_be_opened(world: World) -> None:
    rob = world.phone("rob")
    rob.push(*visit(rob, ago(minutes=60)))
    (one,) = line_of(world, "rob")["line"]
    opened = world.get("mia", f"/api/visits/{one['visit']}").json
    assert opened["server"]["valid"] == one["valid"] and opened["server"]["check_in_at"] == one["from"]


# --- no work is not "not synced" ---------------------------------------------------------------------------------------


def test_no_work_and_not_synced_are_told_apart(world: World) -> None:
    ria, rob = world.phone("ria"), world.phone("rob")
    ria.push()
    device = {"unsent": 3, "oldest": text(ago(hours=2)), "app": "1", "persisted": True, "push": "granted"}
    rob.send(device=device)
    world.person("tim", "rep", "north")
    idle, behind, silent = (line_of(world, name) for name in ("ria", "rob", "tim"))
    assert idle["visits"] == behind["visits"] == silent["visits"] == 0
    assert idle["last_contact_at"] is not None and idle["unsent"] == 0 and idle["oldest_unsent"] is None
    assert behind["unsent"] == 3
    assert datetime.fromisoformat(behind["oldest_unsent"]) == pytest.approx(
        ago(hours=2), abs=timedelta(seconds=5)
    )
    assert silent["last_contact_at"] is None


def test_last_contact_moves_with_every_exchange_and_unsent_with_the_last_word_of_each_phone(
    world: World,
) -> None:
    phone, tablet = world.phone("rob"), world.phone("rob")

    def says(one: Any, unsent: int, hours: int) -> None:
        oldest = text(ago(hours=hours)) if unsent else None
        assert one.send(device={"unsent": unsent, "oldest": oldest}).status_code == 200

    says(phone, 2, 3)
    says(tablet, 5, 9)
    told = line_of(world, "rob")
    assert told["unsent"] == 7 and datetime.fromisoformat(told["oldest_unsent"]) < ago(hours=8)
    says(tablet, 0, 0)
    told = line_of(world, "rob")
    assert told["unsent"] == 2 and datetime.fromisoformat(told["oldest_unsent"]) > ago(hours=4)
    before = told["last_contact_at"]
    says(phone, 0, 0)
    told = line_of(world, "rob")
    assert (told["unsent"], told["oldest_unsent"]) == (0, None) and told["last_contact_at"] > before


def test_an_outbox_that_another_took_over_is_not_counted_any_more(world: World) -> None:
    phone = world.phone("rob")
    phone.send(device={"unsent": 4, "oldest": text(ago(hours=1))})
    heir = world.phone("rob")
    heir.predecessor = phone.client
    heir.send(device={"unsent": 1, "oldest": text(ago(minutes=5))})
    assert line_of(world, "rob")["unsent"] == 1


def test_a_report_that_makes_no_sense_blocks_nothing_and_changes_nothing(world: World) -> None:
    phone = world.phone("rob")
    phone.send(device={"unsent": 4, "oldest": text(ago(hours=1))})
    for device in ({"unsent": -1}, {"unsent": "many"}, [], {"unsent": 2, "oldest": "yesterday"}, None):
        assert phone.send(device=device).status_code == 200
    assert line_of(world, "rob")["unsent"] == 4


# --- which day ---------------------------------------------------------------------------------------------------------


def test_the_board_opens_on_today_where_its_reader_is(world: World) -> None:
    world.person("kai", "manager", "north")
    world.change("person", "kai", time_zone="Pacific/Kiritimati")
    world.person("lea", "manager", "north")
    world.change("person", "lea", time_zone="Pacific/Pago_Pago")
    with time_machine.travel(datetime(2026, 6, 17, 10, 30, tzinfo=UTC)):
        assert board(world)["date"] == "2026-06-17"
        assert board(world, "kai")["date"] == "2026-06-18"
        assert board(world, "lea")["date"] == "2026-06-16"


def test_a_visit_late_in_auckland_is_of_aucklands_day_for_a_reader_in_london(world: World) -> None:
    auckland = ZoneInfo("Pacific/Auckland")
    rob = world.phone("rob")
    rob.zone = "Pacific/Auckland"
    late = datetime(2026, 6, 16, 23, 50, tzinfo=auckland)
    early = datetime(2026, 6, 17, 0, 10, tzinfo=auckland)
    rob.push(*visit(rob, late, 5), *visit(rob, early, 31))
    tuesday, wednesday = (line_of(world, "rob", query=f"?date=2026-06-{day}") for day in (16, 17))
    assert [one["from"] for one in tuesday["line"]] == ["2026-06-16T11:50:00.000Z"]
    assert [one["from"] for one in wednesday["line"]] == ["2026-06-16T12:10:00.000Z"]
    assert wednesday["valid_visits"] == 1


def test_a_visit_over_midnight_is_of_the_day_it_began(world: World) -> None:
    rob = world.phone("rob")
    began = datetime(2026, 6, 15, 23, 50, tzinfo=ZoneInfo("Europe/London"))
    rob.push(*visit(rob, began, 35))
    assert line_of(world, "rob", query="?date=2026-06-15")["visits"] == 1
    assert line_of(world, "rob", query="?date=2026-06-16")["visits"] == 0


def test_the_night_in_which_the_clocks_go_back_has_its_hours(world: World) -> None:
    london = ZoneInfo("Europe/London")
    with time_machine.travel(datetime(2026, 10, 26, 12, tzinfo=UTC)):
        rob = world.phone("rob")
        first = datetime(2026, 10, 25, 1, 30, tzinfo=london)  # summer time
        second = datetime(2026, 10, 25, 1, 30, fold=1, tzinfo=london)  # an hour later
        rob.push(*visit(rob, first.astimezone(UTC), 31), *visit(rob, second.astimezone(UTC), 31))
        told = line_of(world, "rob", query="?date=2026-10-25")
    assert (told["visits"], told["valid_minutes"]) == (2, 62)
    assert [one["from"][11:16] for one in told["line"]] == ["00:30", "01:30"]


def test_a_visit_that_comes_late_is_on_the_board_of_its_own_day(world: World) -> None:
    rob = world.phone("rob")
    rob.push(*visit(rob, datetime(2026, 6, 12, 9, tzinfo=UTC)))
    assert line_of(world, "rob", query="?date=2026-06-12")["visits"] == 1
    assert line_of(world, "rob")["visits"] == 0


def test_a_visit_that_gains_a_check_in_leaves_the_day_it_was_planned_for(world: World) -> None:
    rob = world.phone("rob")
    plan = rob.create(
        "visit",
        customer_id=world.ids["Shop"],
        status="planned",
        planned_date="2026-06-19",
        planned_time="09:15",
    )
    rob.push(plan)
    (planned,) = line_of(world, "rob", query="?date=2026-06-19")["line"]
    assert (planned["status"], planned["planned_time"], planned["from"]) == ("planned", "09:15", None)
    began = [
        {"field": "status", "op": "go", "old": "planned", "new": "open"},
        {"field": "check_in", "op": "set", "old": None, "new": rob.moment()},
    ]
    rob.push(rob.mutation("visit", plan["entity"], "update", began))
    assert line_of(world, "rob", query="?date=2026-06-19")["line"] == []
    assert [one["status"] for one in line_of(world, "rob")["line"]] == ["open"]


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "9999-12-31"])
def test_any_day_of_the_calendar_has_a_board(world: World, day: str) -> None:
    told = board(world, query=f"?date={day}")
    assert told["date"] == day and all(rep["visits"] == 0 for rep in told["reps"])


# --- whose -------------------------------------------------------------------------------------------------------------


def test_a_manager_sees_the_reps_of_their_own_teams_and_a_team_at_a_time(world: World) -> None:
    world.create("team", "coast", name="Coast", parent_id=world.ids["north"])
    world.person("cal", "rep", "coast")
    assert names(world) == ["Cal", "Ria", "Rob"]
    assert names(world, "boss") == ["Cal", "Ria", "Rob", "Sam"]
    assert names(world, "admin") == ["Cal", "Ria", "Rob", "Sam"]
    assert names(world, query=f"?team={world.ids['coast']}") == ["Cal"]
    assert names(world, "boss", f"?team={world.ids['north']}") == ["Cal", "Ria", "Rob"]
    told = board(world, "boss", f"?team={world.ids['south']}")
    assert told["team"] == world.ids["south"] and len(told["reps"]) == 1
    assert world.get("mia", f"/api/board?team={world.ids['south']}").status_code == 404
    assert world.get("mia", f"/api/board?team={uuid4()}").status_code == 404


def test_a_rep_who_left_stays_on_the_boards_of_the_days_they_worked(world: World) -> None:
    ria = world.phone("ria")
    world.customer("Hers", owner="ria")
    ria.push(*visit(ria, datetime(2026, 6, 16, 9, tzinfo=UTC), customer="Hers"))
    world.change("person", "ria", active=False)
    assert names(world) == ["Rob"]
    assert line_of(world, "ria", query="?date=2026-06-16")["visits"] == 1
    assert names(world, query="?date=2026-06-15") == ["Rob"]


def test_a_manager_who_visits_stands_among_the_others_that_day(world: World) -> None:
    mia = world.phone("mia")
    mia.push(*visit(mia, ago(minutes=60)))
    assert "Mia" in names(world, "boss") and "Mia" not in names(world, "boss", "?date=2026-06-16")


# --- now ---------------------------------------------------------------------------------------------------------------


def test_an_open_visit_and_the_last_place_are_shown_until_it_ends(world: World) -> None:
    rob = world.phone("rob")
    start, end = visit(rob, ago(minutes=20))
    rob.push(start)
    told = line_of(world, "rob")
    assert told["open_visit"]["id"] == start["entity"] and told["open_visit"]["customer"] == "Shop"
    assert datetime.fromisoformat(told["open_visit"]["since"]) == pytest.approx(
        ago(minutes=20), abs=timedelta(seconds=5)
    )
    assert (told["position"]["lat"], told["position"]["lon"]) == PLACE
    assert (told["visits"], told["valid_visits"], told["last_check_out"]) == (1, 0, None)
    rob.push(end)
    assert line_of(world, "rob")["open_visit"] is None


def test_without_a_position_there_is_none_and_its_share_is_told(world: World) -> None:
    rob = world.phone("rob")
    assert line_of(world, "rob")["no_position_share"] is None
    rob.push(*visit(rob, ago(minutes=200)), *visit(rob, ago(minutes=100), check_in_fix={"none": "denied"}))
    told = line_of(world, "rob")
    assert told["no_position_share"] == 0.5
    assert datetime.fromisoformat(told["position"]["at"]) == pytest.approx(
        ago(minutes=200), abs=timedelta(seconds=5)
    )
    ria = world.phone("ria")
    ria.push(*visit(ria, ago(minutes=60), check_in_fix={"none": "timeout"}))
    told = line_of(world, "ria")
    assert (told["position"], told["no_position_share"]) == (None, 1.0)


def test_what_is_parked_is_counted_with_its_author(world: World) -> None:
    rob = world.phone("rob")
    rob.push(*(rob.check_in(world.ids["Shop"], mode="teleport") for _ in range(3)))
    assert line_of(world, "rob")["parked"] == 3 and line_of(world, "ria")["parked"] == 0


# --- cheaply -----------------------------------------------------------------------------------------------------------


def test_a_board_that_did_not_change_is_not_sent_again_and_one_that_did_is(world: World) -> None:
    world.phone("rob").push()
    first = world.get("mia", "/api/board")
    tag = first.headers["ETag"]
    again = world.get("mia", "/api/board", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    weak = world.get("mia", "/api/board", headers={"If-None-Match": f'"other", W/{tag}'})
    assert weak.status_code == 304
    rob = world.phone("rob")
    rob.push(rob.check_in(world.ids["Shop"]))
    changed = world.get("mia", "/api/board", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] != tag
    assert changed.json["reps"] != first.json["reps"]


def test_whoever_is_in_a_zone_that_this_machine_does_not_know_has_a_day_all_the_same(world: World) -> None:
    world.change("person", "mia", time_zone="Europe/Nowhere")
    with time_machine.travel(datetime(2031, 3, 10, 23, 30, tzinfo=UTC), tick=False):
        assert world.get("mia", "/api/board").json["date"] == "2031-03-10"
    headers = {"Authorization": f"Bearer {world.tokens['mia']}"}
    client = world.app.test_client()
    assert client.post("/api/push/test", headers=headers).json == {"devices": 0}
    assert client.post("/api/calendar", headers=headers).status_code == 200
    wishes = {"all_day_at": "10:00"}
    assert client.put("/api/reminders/wishes", json=wishes, headers=headers).status_code == 200
    for path in ("/api/me", "/api/follow-ups", "/api/scores", "/api/visits"):
        assert world.get("mia", path).status_code == 200, path


def test_a_tag_is_of_one_day_one_team_and_one_state_of_the_phones(world: World) -> None:
    tags = {
        world.get("boss", f"/api/board{query}").headers["ETag"]
        for query in (
            "",
            "?date=2026-06-16",
            f"?team={world.ids['north']}",
            f"?team={world.ids['south']}",
        )
    }
    assert len(tags) == 4
    tag = world.get("boss", "/api/board").headers["ETag"]
    world.phone("sam").send(device={"unsent": 9, "oldest": text(ago(hours=5))})
    assert world.get("boss", "/api/board", headers={"If-None-Match": tag}).status_code == 200


def test_the_roll_ups_of_every_day_equal_its_visits_counted_anew(world: World) -> None:
    rob, ria = world.phone("rob"), world.phone("ria")
    world.customer("Second", owner="ria")
    for number, phone in enumerate((rob, ria) * 6):
        began = NOON - timedelta(days=number % 4, hours=number)
        start, end = visit(phone, began, 25 + number)
        if number % 3:
            phone.push(start, end)
        else:  # still open
            phone.push(start)
            phone.seq -= 1
    for back in range(6):
        day = (date(2026, 6, 17) - timedelta(days=back)).isoformat()
        for name in ("rob", "ria"):
            told = line_of(world, name, query=f"?date={day}")
            listed = world.get("mia", f"/api/visits?rep={world.ids[name]}&date={day}").json["items"]
            assert told["visits"] == len(listed)
            valid = [one for one in listed if one["server"]["valid"]]
            assert told["valid_visits"] == len(valid)
            assert told["valid_minutes"] == sum(one["server"]["duration_s"] for one in valid) // 60
            assert {one["visit"] for one in told["line"]} == {one["id"] for one in listed}
