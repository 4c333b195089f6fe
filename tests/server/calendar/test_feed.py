"""The calendar feed: one's own open follow-ups and plans, at the right time in any program, for who has the secret."""

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from icalendar import Calendar

from server.calendar.model import CalendarFeed
from tests.office import DAY, Office
from tests.world import World


@pytest.fixture
def office(shared_world: World) -> Office:
    return Office(shared_world)


def make(office: Office, who: str = "rob") -> str:
    said = office.call(who, "POST", "/api/calendar")
    assert said.status_code == 200, said.json
    url: str = said.json["url"]
    assert url.startswith("http://localhost/api/calendar/") and url.endswith(".ics")
    return url.removeprefix("http://localhost")


def read(office: Office, path: str) -> Any:
    """As a calendar program does: without signing in."""
    return office.world.app.test_client().get(path)


def events(office: Office, path: str) -> dict[str, Any]:
    said = read(office, path)
    assert said.status_code == 200 and said.content_type == "text/calendar; charset=utf-8"
    return {
        str(each["UID"]).removesuffix("@rounds"): each
        for each in Calendar.from_ical(said.data).walk("VEVENT")
    }


def plan(office: Office, phone: Any, **more: Any) -> str:
    fields = {"customer_id": office.shop, "mode": "in_person", "status": "planned"}
    made = phone.create(
        "visit", **(fields | {"planned_date": DAY.isoformat(), "planned_time": "10:00"} | more)
    )
    (receipt,) = phone.push(made)
    assert receipt["status"] == "applied", receipt
    return str(made["entity"])


def test_a_calendar_shows_what_is_open_and_planned_of_ones_own_and_nothing_else(office: Office) -> None:
    timed, all_day = office.promise(), office.promise(due_time=None, subject="All day, 全天")
    planned = plan(office, office.rob)
    office.go(office.promise(), "done")
    office.promise(due_date=None, due_time=None)
    for who in ("ria", "sam"):
        office.world.customer(f"{who}s", owner=who, team="north" if who == "ria" else "south")
        phone = office.world.phone(who)
        office.promise(phone, customer_id=office.world.ids[f"{who}s"])
    office.promise(office.mia)
    found = events(office, make(office))
    assert found.keys() == {timed, all_day, planned}
    assert str(found[timed]["SUMMARY"]) == "Send the quote · Shop"
    assert str(found[timed]["DESCRIPTION"]) == "+44 20 7946 0000"
    assert str(found[timed]["URL"]) == f"http://localhost/follow-ups/{timed}"
    assert str(found[planned]["SUMMARY"]) == "Shop"
    assert found[all_day]["DTSTART"].dt == DAY and found[all_day]["DTEND"].dt == DAY + timedelta(days=1)


@pytest.mark.parametrize(
    "zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]
)
def test_every_program_shows_the_time_on_the_owners_wall_summer_and_winter(office: Office, zone: str) -> None:
    office.world.change("person", "rob", time_zone=zone)
    made = {
        office.promise(due_date=day, due_time="09:30", due_zone=None): day
        for day in ("2031-01-15", "2031-04-06", "2031-07-15", "2031-10-05")
    }
    path = make(office)
    found = events(office, path)
    for identity, day in made.items():
        begins = found[identity]["DTSTART"]
        assert begins.params["TZID"] == zone
        assert begins.dt.replace(tzinfo=None) == datetime.fromisoformat(f"{day}T09:30")
        said = office.call("rob", "GET", f"/api/follow-ups/{identity}").json["due_at"]
        assert begins.dt.astimezone(UTC) == datetime.fromisoformat(said)
    zones = [str(each["TZID"]) for each in Calendar.from_ical(read(office, path).data).walk("VTIMEZONE")]
    assert zones == [zone], "it brings the rules of its zone along"


def test_what_was_put_off_is_the_same_event(office: Office) -> None:
    made, path = office.promise(), make(office)
    ops = [{"field": "due_date", "op": "set", "old": DAY.isoformat(), "new": "2031-02-28"}]
    office.rob.push(office.rob.mutation("follow_up", made, "update", ops, base=2**40))
    found = events(office, path)
    assert found.keys() == {made} and found[made]["DTSTART"].dt.date() == date(2031, 2, 28)


def test_a_text_with_lines_and_signs_breaks_no_calendar(office: Office) -> None:
    made = office.promise(subject="One;two,three\\n\nEND:VCALENDAR " + "很" * 90)
    assert str(events(office, make(office))[made]["SUMMARY"]).startswith("One;two,three\\n\nEND:VCALENDAR 很")


def test_a_control_sign_breaks_no_calendar(office: Office) -> None:
    made = office.promise(subject="Ring\x0b the\x01 bell\t")
    path = make(office)
    assert not set(read(office, path).data.replace(b"\r\n", b"")) & {*range(0x20), 0x7F}
    assert str(events(office, path)[made]["SUMMARY"]) == "Ring  the  bell  · Shop"


def test_the_last_day_of_the_calendar_is_a_day(office: Office) -> None:
    last = office.promise(due_date="9999-12-31", due_time=None)
    late = office.promise(due_date="9999-12-31", due_time="23:59", due_zone="America/New_York")
    first = office.promise(due_date="0001-01-01", due_time="00:00", due_zone="Asia/Tokyo")
    found = events(office, make(office))
    assert found.keys() == {last, late, first}
    assert found[last]["DTSTART"].dt == date.max and "DTEND" not in found[last]


def test_an_address_is_told_once_and_kept_nowhere_and_whoever_asks_for_it_keeps_nothing(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.promise()
    path = make(office)
    secret = path.rpartition("/")[2].removesuffix(".ics")
    (row,) = office.rows(CalendarFeed)
    assert secret not in str(row)
    assert secret not in str(office.call("rob", "GET", "/api/calendar").json)
    with caplog.at_level(logging.INFO):
        headers = read(office, path).headers
    assert headers["Cache-Control"] == "private, no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in headers
    paths = [getattr(record, "path", "") for record in caplog.records]
    assert "/api/calendar/…" in paths and not any(secret in each for each in paths)
    told = office.call("rob", "GET", "/api/calendar").json
    assert told["active"] and told["read_at"]


def test_a_new_address_ends_the_old_one_and_taken_back_there_is_none(office: Office) -> None:
    old = make(office)
    new = make(office)
    assert [read(office, path).status_code for path in (old, new)] == [404, 200]
    assert office.call("rob", "DELETE", "/api/calendar").status_code == 204
    gone = read(office, new)
    assert (gone.status_code, gone.json["code"]) == (404, "NOT_FOUND")
    assert office.call("rob", "GET", "/api/calendar").json == {
        "active": False,
        "created_at": None,
        "read_at": None,
    }


def test_whoever_left_or_guesses_reads_nothing(office: Office) -> None:
    path = make(office)
    organisation, _, secret = path.rpartition("/")[2].partition(".")
    other = uuid4().hex
    for guess in (
        f"{other}.{secret}",
        f"{organisation}.{'x' * 43}.ics",
        "x.ics",
        f"{organisation}.ics",
        ".ics",
    ):
        assert read(office, f"/api/calendar/{guess}").status_code == 404
    office.world.change("person", "rob", active=False)
    assert read(office, path).status_code == 404
