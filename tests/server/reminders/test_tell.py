"""What is due becomes one notice a person in the inbox, and one delivery a device: on time, once, never at night."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, update

from server.db import reading, writing
from server.exchange.check import check
from server.exchange.door import Change
from server.followups.model import FollowUp
from server.people.model import Device
from server.push.deliver import LEASE, Claimed, claim
from server.push.model import Subscription
from server.push.routes import digest
from server.reminders.model import Reminder
from server.reminders.rules import Owed
from server.reminders.schedule import row_of
from server.reminders.tell import keep_beats
from tests.office import DAY, Office, london
from tests.pushservice import Subscriber
from tests.world import PLACE, World, fix


@pytest.fixture
def office(shared_world: World) -> Office:
    return Office(shared_world)


def test_a_promise_is_told_half_an_hour_before_with_all_that_a_tap_needs(office: Office) -> None:
    office.subscribe("rob")
    follow_up = office.promise()
    assert office.tell(london(14, 29)) == 0
    assert office.tell(london(14, 30)) == 1
    (notice,) = office.inbox(office.rob)
    assert notice["rule"] == "follow_up_due"
    assert notice["about"] == [{"kind": "follow_up", "id": follow_up}]
    assert notice["status"] == "unread"
    (owed,) = office.deliveries()
    payload = owed["payload"]
    assert payload["title"] == "Send the quote"
    assert payload["body"].startswith("Shop · due ") and payload["body"].endswith("15:00")
    assert payload["phone"] == "+44 20 7946 0000"
    assert payload["tag"] == payload["notice"] == owed["notice_id"]
    assert owed["urgency"] == "high" and owed["state"] == "waiting"
    assert office.inbox(office.mia) == []


def test_nothing_is_told_twice_however_often_it_is_asked(office: Office) -> None:
    office.subscribe("rob")
    office.promise()
    assert office.tell(london(14, 30)) == 1
    assert [office.tell(london(14, 30)), office.tell(london(14, 45))] == [0, 0]
    assert len(office.inbox(office.rob)) == len(office.deliveries()) == 1


def test_a_promise_that_was_kept_cancelled_or_moved_in_time_is_not_told(office: Office) -> None:
    for to in ("done", "cancelled"):
        office.go(office.promise(), to)
    moved = office.promise()
    ops = [{"field": "due_time", "op": "set", "old": "15:00", "new": "17:00"}]
    office.rob.push(office.rob.mutation("follow_up", moved, "update", ops, base=2**40))
    assert office.tell(london(14, 30)) == 0
    assert {at for rule, at in office.waiting() if rule == "follow_up_due"} == {london(16, 30)}


def test_a_forgotten_promise_is_late_once_and_then_with_the_manager(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    assert office.tell(london(15, 0)) == 1
    assert [each["rule"] for each in office.inbox(office.rob)] == ["follow_up_due", "follow_up_overdue"]
    assert office.inbox(office.mia) == []
    assert office.tell(london(15, 0, days=1)) == 1
    (notice,) = office.inbox(office.mia)
    assert notice["rule"] == "escalation" and notice["words"]["owner"] == "Rob"
    assert len(office.inbox(office.rob)) == 2
    assert office.tell(london(15, 0, days=2)) == 0


def test_several_at_once_are_one_notice_and_what_comes_in_a_moment_comes_along(office: Office) -> None:
    office.subscribe("rob")
    for minute in ("15:00", "15:00", "15:04"):
        office.promise(due_time=minute)
    assert office.tell(london(14, 30)) == 3
    (notice,) = office.inbox(office.rob)
    assert notice["rule"] == "group" and notice["words"]["count"] == 3 and len(notice["about"]) == 3
    (owed,) = office.deliveries()
    assert owed["payload"]["title"] == "3 reminders"


def test_a_night_is_quiet_and_the_morning_tells_it_in_one(office: Office) -> None:
    for at in ("22:30", "23:30"):
        office.promise(due_time=at)
    office.promise(due_date=(DAY + timedelta(days=1)).isoformat(), due_time="06:00")
    for hour in (22, 23):
        assert office.tell(london(hour, 59)) > 0
    office.tell(london(6, 0, days=1))
    assert office.inbox(office.rob) == []
    assert office.tell(london(7, 30, days=1)) > 0
    (notice,) = office.inbox(office.rob)
    assert notice["rule"] == "group"


def test_hours_without_a_ticker_end_in_one_notice_and_no_flood(office: Office) -> None:
    office.subscribe("rob")
    for hour in range(9, 17):
        office.promise(due_time=f"{hour:02}:00")
    assert office.tell(london(20, 0)) == 16
    assert len(office.inbox(office.rob)) == len(office.deliveries()) == 1


def test_a_manager_who_hands_over_a_promise_or_says_a_word_is_heard_at_once(office: Office) -> None:
    follow_up = office.promise(office.mia, owner_id=office.world.ids["rob"])
    now = datetime.now(UTC).replace(hour=12)
    assert office.tell(now + timedelta(days=1)) == 1
    comment = office.mia.create("comment", on_kind="follow_up", on_id=follow_up, body="Ask for Li, please.")
    office.mia.push(comment)
    assert office.tell(now + timedelta(days=1, minutes=1)) == 1
    first, second = office.inbox(office.rob)
    assert first["rule"] == "follow_up_assigned"
    assert second["rule"] == "comment" and second["words"]["body"] == "Ask for Li, please."
    answer = office.rob.create("comment", on_kind="follow_up", on_id=follow_up, body="Done.")
    office.rob.push(answer)
    assert office.tell(now + timedelta(days=1, minutes=2)) == 1
    assert [each["rule"] for each in office.inbox(office.mia)] == ["comment"]


def test_whoever_does_without_a_kind_is_not_told_of_it_and_a_discreet_screen_names_nobody(
    office: Office,
) -> None:
    office.subscribe("rob")
    headers = {"Authorization": f"Bearer {office.world.tokens['rob']}"}
    client = office.world.app.test_client()
    wishes = {"off": ["follow_up_overdue"], "discreet": True, "lead_min": 60}
    office.promise()
    assert client.put("/api/reminders/wishes", json=wishes, headers=headers).status_code == 200
    assert office.tell(london(14, 0)) == 1, "what stood in the schedule moved along"
    (owed,) = office.deliveries()
    assert (owed["payload"]["title"], owed["payload"]["body"]) == ("Rounds", "Something is due")
    assert "phone" not in owed["payload"]
    office.tell(london(15, 0))
    assert [each["rule"] for each in office.inbox(office.rob)] == ["follow_up_due"]
    wrong = client.put("/api/reminders/wishes", json={"off": ["test"]}, headers=headers)
    assert wrong.status_code == 422 and wrong.json["code"] == "INVALID"


def test_a_notice_is_snoozed_without_network_and_comes_back(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    office.rob.pull()
    (identity,) = office.rob.held("notice")
    until = london(15, 30).isoformat().replace("+00:00", "Z")
    ops = [
        {"field": "snoozed_until", "op": "set", "old": None, "new": until},
        {"field": "status", "op": "go", "old": "unread", "new": "read"},
    ]
    (receipt,) = office.rob.push(office.rob.mutation("notice", identity, "update", ops, base=2**40))
    assert receipt["status"] == "applied", receipt
    office.tell(london(15, 0))
    assert office.tell(london(15, 30)) == 1
    assert office.inbox(office.rob)[-1]["rule"] == "snoozed"


@pytest.mark.parametrize(
    ("day", "at", "zone", "readers"),
    [
        ("9999-12-31", "23:59", "America/New_York", "Asia/Tokyo"),
        ("9999-12-31", None, "America/New_York", "Asia/Tokyo"),
        ("0001-01-01", "00:00", "Asia/Tokyo", "America/New_York"),
    ],
)
def test_a_day_at_the_end_of_the_calendar_is_told_like_any_other(
    office: Office, day: str, at: str | None, zone: str, readers: str
) -> None:
    office.world.change("person", "rob", time_zone=readers)
    office.wish("rob", quiet_from="00:00", quiet_to="00:00")
    office.subscribe("rob")
    due = {"due_date": day, "due_time": at, "due_zone": zone}
    office.promise(office.mia, owner_id=office.world.ids["rob"], **due)
    office.tell(london(12))
    assert [notice["rule"] for notice in office.inbox(office.rob)][:1] in (["follow_up_assigned"], ["group"])
    assert len(office.deliveries()) == 1
    listed = office.call("rob", "GET", "/api/follow-ups").json["items"]
    assert [each["due_date"] for each in listed] == [day]


def test_one_that_cannot_be_told_holds_no_other_up_and_is_tried_again(office: Office) -> None:
    broken = office.promise(subject="Broken")
    for number in range(3):
        office.promise(subject=f"Sound {number}", due_time="15:02")
    with office.world.app.app_context(), writing() as connection:
        row = (FollowUp.org_id == office.world.org, FollowUp.id == broken)
        connection.execute(update(FollowUp).where(*row).values(due_date="no day"))
    while office.tell(london(14, 32)):
        pass
    told = {line["id"] for notice in office.inbox(office.rob) for line in notice["about"]}
    assert len(told) == 3 and broken not in told
    assert ("follow_up_due", london(15, 32)) in office.waiting()
    with office.world.app.app_context(), writing() as connection:
        connection.execute(update(FollowUp).where(*row).values(due_date=DAY.isoformat()))
    office.tell(london(15, 32))
    assert broken in {line["id"] for notice in office.inbox(office.rob) for line in notice["about"]}


def test_an_inbox_is_its_owners_alone_and_nobody_writes_into_it(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    office.rob.pull()
    (identity,) = office.rob.held("notice")
    ops = [{"field": "status", "op": "go", "old": "unread", "new": "read"}]
    for who in ("mia", "ria", "admin"):
        phone = office.world.phone(who)
        (receipt,) = phone.push(phone.mutation("notice", identity, "update", ops, base=2**40))
        assert receipt["code"] in {"SCOPE_LOST", "FORBIDDEN"}, receipt
    fields = {"person_id": office.world.ids["rob"], "rule": "test", "about": [], "words": {}}
    fields |= {"at": "2026-11-21T10:00:00.000Z", "status": "unread"}
    ops = [{"field": name, "op": "set", "old": None, "new": value} for name, value in fields.items()]
    for who in ("rob", "admin"):
        phone = office.world.phone(who)
        (receipt,) = phone.push(phone.mutation("notice", str(uuid4()), "create", ops))
        assert (receipt["status"], receipt["code"]) == ("parked", "FORBIDDEN"), receipt


def test_a_planned_visit_that_did_not_start_and_one_that_runs_on_are_asked_after(office: Office) -> None:
    planned = office.rob.create(
        "visit",
        customer_id=office.shop,
        mode="in_person",
        kind="sales_call",
        status="planned",
        planned_date=DAY.isoformat(),
        planned_time="10:00",
    )
    office.rob.push(planned)
    assert office.tell(london(10, 29)) == 0
    assert office.tell(london(10, 30)) == 1
    running = office.rob.check_in(office.shop)
    office.rob.push(running)
    assert ("visit_open") in {rule for rule, _ in office.waiting()}
    office.rob.push(office.rob.check_out(running["entity"]))
    assert ("visit_open") not in {rule for rule, _ in office.waiting()}
    assert [each["rule"] for each in office.inbox(office.rob)] == ["plan_not_started"]


def test_a_running_visit_is_asked_after_when_its_kind_is_over_time(office: Office) -> None:
    office.world.create("setting", "limit", key="visit_open_h", value={"store_call": 1, "*": 2})
    begun = datetime.now(UTC) - timedelta(minutes=5)
    for kind, hours in (("store_call", 1), ("sales_call", 2)):
        office.rob.push(office.rob.check_in(office.shop, begun, kind=kind))
        limits = sorted(at for rule, at in office.waiting() if rule == "visit_open")
        assert abs(limits[-1] - begun - timedelta(hours=hours)) < timedelta(seconds=2)


def test_digests_come_daily_at_their_time_and_only_with_something_to_say(office: Office) -> None:
    world = office.world
    with world.app.app_context():
        assert keep_beats(world.org, london(6, 0)) > 0
        assert keep_beats(world.org, london(6, 1)) == 0, "they stand already"
    office.promise(due_date=(DAY - timedelta(days=2)).isoformat())
    office.tell(london(8, 0))
    before = len(office.inbox(office.rob))
    office.tell(london(8, 30))
    morning = office.inbox(office.rob)[before:]
    assert [(each["rule"], each["words"]["overdue"]) for each in morning] == [("morning", 1)]
    assert office.inbox(world.phone("ria")) == [], "nothing is late with her"
    office.tell(london(18, 0))
    assert [each["rule"] for each in office.inbox(office.mia) if each["rule"] == "team_day_end"] == [
        "team_day_end"
    ]
    with world.app.app_context():
        assert keep_beats(world.org, london(18, 1)) > 0


def test_who_wishes_otherwise_a_moment_before_a_digest_is_told_it_all_the_same(office: Office) -> None:
    world = office.world
    with world.app.app_context():
        keep_beats(world.org, datetime.now(UTC))
    now = datetime.now(UTC).astimezone(ZoneInfo("Europe/London"))
    for lead in (10, 20):
        office.wish("rob", lead_min=lead)
    told = {rule: at.astimezone(now.tzinfo) for rule, at in office.waiting() if rule == "day_end"}
    assert told["day_end"].time() == time(18) and now < told["day_end"] <= now + timedelta(days=1, hours=1)
    of_rob = [row for row in office.rows(Reminder) if row["person_id"] == world.ids["rob"]]
    assert sorted(row["rule"] for row in of_rob) == ["day_end", "morning"]


def test_a_digest_that_nobody_was_there_to_tell_is_not_told_in_the_evening(office: Office) -> None:
    with office.world.app.app_context():
        keep_beats(office.world.org, london(6, 0))
    office.promise(due_date=(DAY - timedelta(days=2)).isoformat())
    office.tell(london(16, 0))
    assert "morning" not in {each["rule"] for each in office.inbox(office.rob)}


def test_a_device_that_renews_itself_or_leaves_is_owed_nothing_at_its_old_address(office: Office) -> None:
    world, headers = office.world, {"Authorization": f"Bearer {office.world.tokens['rob']}"}
    client = world.app.test_client()
    old, new = office.subscribe("rob"), Subscriber("https://push.example.com")
    key = client.get("/api/push/key", headers=headers).json["key"]
    renewed = new.document | {"key": key, "instead": old.endpoint}
    for _ in range(2):
        assert client.post("/api/push/subscriptions", json=renewed, headers=headers).status_code == 204
    devices = client.get("/api/push/devices", headers=headers).json["items"]
    assert sorted(each["ended_why"] or "" for each in devices) == ["", "replaced"]
    assert client.post("/api/push/test", headers=headers).json == {"devices": 1}
    client.post("/api/push/subscriptions/end", json={"endpoint": new.endpoint}, headers=headers)
    assert client.post("/api/push/test", headers=headers).json == {"devices": 0}
    stranger = {"Authorization": f"Bearer {world.tokens['ria']}"}
    assert client.get("/api/push/devices", headers=stranger).json == {"items": []}
    assert digest(new.endpoint) != digest(old.endpoint)


@pytest.mark.parametrize(
    "change",
    [{"endpoint": "https://127.0.0.1/x"}, {"endpoint": "http://push.example.com/x"}, {"key": "B" * 87}],
)
def test_a_subscription_that_leads_inside_or_was_made_for_another_server_is_refused(
    office: Office, change: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {office.world.tokens['rob']}"}
    client = office.world.app.test_client()
    key = client.get("/api/push/key", headers=headers).json["key"]
    body = Subscriber("https://push.example.com").document | {"key": key} | change
    said = client.post("/api/push/subscriptions", json=body, headers=headers)
    assert (said.status_code, said.json["code"]) == (422, "INVALID")


def test_the_journal_tells_the_inbox_too(office: Office) -> None:
    office.promise()
    office.promise(due_time=None)
    office.tell(london(14, 30))
    office.tell(london(15, 0, days=1))
    with office.world.app.app_context(), reading() as connection:
        assert check(connection, office.world.org) == []


def test_of_two_managers_the_one_who_sleeps_is_shown_it_in_the_morning(office: Office) -> None:
    office.world.person("max", "manager", "north")
    for who in ("mia", "max"):
        office.subscribe(who)
    office.wish("max", quiet_from="14:00", quiet_to="17:00")
    office.promise()
    for hour in (14, 15):
        office.tell(london(hour, 30))
    office.tell(london(15, 0, days=1))
    due = {row["due_at"] for row in office.deliveries()}
    assert due == {london(15, 0, days=1), london(17, 0, days=1)}
    assert [each["rule"] for each in office.inbox(office.world.phone("max"))] == ["escalation"]


# --- what people say --------------------------------------------------------------------------------------------------


def say(office: Office, phone: Any, kind: str, identity: str, body: str = "Ask for Li.") -> None:
    (receipt,) = phone.push(phone.create("comment", on_kind=kind, on_id=identity, body=body))
    assert receipt["status"] == "applied", receipt


def heard(office: Office, who: str) -> list[str]:
    return [
        each["words"]["body"] for each in office.inbox(office.world.phone(who)) if each["rule"] == "comment"
    ]


def noon(days: int = 1) -> datetime:
    return london(12, days=days - 30)


def test_a_word_is_heard_by_the_owner_and_by_who_spoke_before_but_not_by_its_author(office: Office) -> None:
    say(office, office.mia, "customer", office.shop, "One")
    office.tell(noon())
    say(office, office.world.phone("ria"), "customer", office.shop, "Two")
    office.tell(noon(2))
    say(office, office.rob, "customer", office.shop, "Three")
    office.tell(noon(3))
    assert heard(office, "rob") == ["One", "Two"]
    assert heard(office, "mia") == ["Two", "Three"]
    assert heard(office, "ria") == ["Three"]
    (first, *_) = office.inbox(office.rob)
    assert first["words"]["customer"] == "Shop" and first["words"]["author"] == "Mia"
    assert office.checked()


def test_whoever_spoke_before_and_sees_the_thing_no_more_hears_nothing(office: Office) -> None:
    say(office, office.world.phone("ria"), "customer", office.shop, "One")
    sam, south = office.world.ids["sam"], office.world.ids["south"]
    office.world.write(
        Change("customer", office.shop, "update", {"owner_id": sam, "team_id": south}, base=2**40)
    )
    say(office, office.world.phone("boss"), "customer", office.shop, "A secret of the south")
    office.tell(noon())
    assert heard(office, "ria") == [] and heard(office, "sam") == ["A secret of the south"]


def test_a_word_on_a_visit_in_review_is_heard_by_who_leads_the_rep(office: Office) -> None:
    for lat, body in ((48.0, "The shop has moved."), (PLACE[0], "Fine.")):
        visit = office.rob.check_in(office.shop, check_in_fix=fix(datetime.now(UTC), lat=lat))
        office.rob.push(visit, office.rob.check_out(visit["entity"]))
        say(office, office.rob, "visit", visit["entity"], body)
    office.tell(noon())
    assert heard(office, "mia") == ["The shop has moved."]
    assert heard(office, "boss") == [], "the nearest who leads them is enough"
    assert office.checked()


# --- as everybody wishes ----------------------------------------------------------------------------------------------


def test_each_kind_has_its_own_lead_time_and_quiet_hours(office: Office) -> None:
    own = {
        "follow_up_due": {"lead_min": 5},
        "plan_not_started": {"lead_min": 90},
        "follow_up_overdue": {"quiet_from": "14:00", "quiet_to": "17:00"},
    }
    office.wish("rob", kinds=own)
    office.promise()
    plan = {"customer_id": office.shop, "status": "planned", "planned_date": DAY.isoformat()}
    office.rob.push(office.rob.create("visit", **plan, planned_time="10:00"))
    assert ("plan_not_started", london(11, 30)) in office.waiting()
    assert office.tell(london(11, 30)) == 1
    assert office.tell(london(14, 54)) == 0
    assert office.tell(london(14, 55)) == 1
    office.tell(london(16, 59))
    assert [each["rule"] for each in office.inbox(office.rob)] == ["plan_not_started", "follow_up_due"]
    office.tell(london(17, 0))
    assert office.inbox(office.rob)[-1]["rule"] == "follow_up_overdue"
    told = office.call("rob", "GET", "/api/reminders/wishes").json
    assert told["kinds"]["follow_up_due"]["lead_min"] == 5 and told["lead_min"] == 30
    assert office.checked()


def test_wishing_otherwise_brings_nothing_back_that_was_told(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    office.tell(london(15, 0))
    before = len(office.inbox(office.rob))
    for minutes in (10, 60, 20):
        office.wish("rob", lead_min=minutes, all_day_at="10:00")
        office.tell(london(15, 10))
    assert len(office.inbox(office.rob)) == before
    assert office.checked()


def test_what_was_handed_over_is_told_though_it_is_written_to_before(office: Office) -> None:
    follow_up = office.promise(office.mia, owner_id=office.world.ids["rob"])
    ops = [{"field": "note", "op": "text", "old": None, "new": "By the canal."}]
    office.mia.push(office.mia.mutation("follow_up", follow_up, "update", ops, base=2**40))
    office.wish("rob", lead_min=15)
    office.tell(noon())
    assert [each["rule"] for each in office.inbox(office.rob)] == ["follow_up_assigned"]


def test_a_snoozed_notice_comes_back_though_it_was_read_meanwhile(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    office.rob.pull()
    (identity,) = office.rob.held("notice")
    until = london(16, 0).isoformat().replace("+00:00", "Z")
    later = [{"field": "snoozed_until", "op": "set", "old": None, "new": until}]
    read = [{"field": "status", "op": "go", "old": "unread", "new": "read"}]
    for ops in (later, read):
        (receipt,) = office.rob.push(office.rob.mutation("notice", identity, "update", ops, base=2**40))
        assert receipt["status"] == "applied", receipt
    office.tell(london(15, 0))
    assert office.tell(london(16, 0)) == 1
    assert office.inbox(office.rob)[-1]["rule"] == "snoozed"
    assert office.checked()


def test_whoever_moves_to_another_zone_is_told_by_the_walls_there(office: Office) -> None:
    office.promise(due_zone=None)
    office.promise(due_time=None, due_zone=None)
    office.promise()  # at three in London, wherever its owner is
    plan = {"customer_id": office.shop, "status": "planned", "planned_date": DAY.isoformat()}
    office.rob.push(office.rob.create("visit", **plan, planned_time="10:00"))
    office.world.change("person", "rob", time_zone="America/New_York")
    new_york = ZoneInfo("America/New_York")

    def there(hour: int, minute: int) -> datetime:
        return datetime.combine(DAY, time(hour, minute), new_york).astimezone(UTC)

    waiting = office.waiting()
    due = {at for rule, at in waiting if rule == "follow_up_due"}
    assert due == {there(14, 30), there(9, 0), london(14, 30)}
    assert ("plan_not_started", there(10, 30)) in waiting
    assert len({at for rule, at in waiting if rule == "plan_not_started"}) == 1
    assert office.checked()


def test_what_fell_due_across_a_midnight_without_a_ticker_is_told_in_the_morning_in_one(
    office: Office,
) -> None:
    office.subscribe("rob")
    office.promise(due_time="20:00")
    office.promise(due_time="23:30")
    office.promise(due_date=(DAY + timedelta(days=1)).isoformat(), due_time="00:15")
    while office.tell(london(2, 0, days=1)):
        pass
    assert office.inbox(office.rob) == []
    while office.tell(london(7, 30, days=1)):
        pass
    (notice,) = office.inbox(office.rob)
    assert notice["rule"] == "group" and len(office.deliveries()) == 1


# --- the schedule and the things ----------------------------------------------------------------------------------------


def faults(office: Office) -> list[tuple[str, str]]:
    with office.world.app.app_context(), reading() as connection:
        return [(each.table, each.field) for each in check(connection, office.world.org)]


def test_a_reminder_that_does_not_follow_from_the_things_is_found(office: Office) -> None:
    office.promise()
    office.tell(london(14, 30))
    assert faults(office) == []
    waits = (Reminder.org_id == office.world.org, Reminder.rule == "escalation")
    for change, found in (
        (update(Reminder).where(*waits).values(owed_at=london(3)), [("reminder", "owed_at")]),
        (update(Reminder).where(*waits).values(owed_at=london(15, days=1), due_at=london(3)), [("reminder", "due_at")]),
        (update(Reminder).where(*waits).values(person_id=office.world.ids["ria"]), [("reminder", "person_id")] * 2),
        (delete(Reminder).where(*waits), [("reminder", "row")]),
    ):  # fmt: skip
        with office.world.app.app_context(), writing() as connection:
            connection.execute(change)
        assert [each for each in faults(office) if each in found], change
    stray = row_of(
        office.world.org, Owed("comment", office.world.ids["rob"], london(9)), "comment", str(uuid4())
    )
    with office.world.app.app_context(), writing() as connection:
        connection.execute(insert(Reminder), [stray])
    assert faults(office).count(("reminder", "row")) == 2


def test_a_device_on_which_somebody_signed_out_is_owed_nothing(office: Office) -> None:
    office.subscribe("rob")
    device = str(uuid4())
    row = {"org_id": office.world.org, "id": device, "person_id": office.world.ids["rob"], "name": "Phone"}
    with office.world.app.app_context(), writing() as connection:
        now = datetime.now(UTC)
        connection.execute(insert(Device), [row | {"created_at": now, "revoked_at": now}])
        connection.execute(
            update(Subscription).where(Subscription.org_id == office.world.org).values(device_id=device)
        )
    office.promise()
    office.tell(london(14, 30))
    assert office.deliveries() == [] and len(office.inbox(office.rob)) == 1
    assert office.call("rob", "POST", "/api/push/test").json == {"devices": 0}


def test_a_phone_in_other_hands_shows_nothing_that_was_meant_for_the_hands_before(office: Office) -> None:
    phone = office.subscribe("rob")
    office.promise()
    office.tell(london(14, 30))
    office.subscribe("ria", phone)
    (delivery,) = office.deliveries()
    assert delivery["state"] == "gone" and len(office.inbox(office.rob)) == 1


def test_a_device_with_a_new_address_is_sent_there_what_it_was_owed_before(office: Office) -> None:
    old, new = office.subscribe("rob"), Subscriber("https://push.example.com")
    office.promise()
    office.tell(london(14, 30))
    key = office.call("rob", "GET", "/api/push/key").json["key"]
    renewed = new.document | {"key": key, "instead": old.endpoint}
    assert office.call("rob", "POST", "/api/push/subscriptions", json=renewed).status_code == 204
    (claimed,) = taken(office, london(14, 31))
    assert claimed.device["endpoint"] == new.endpoint


@pytest.mark.parametrize("how", ["left", "asked"])
def test_a_device_that_is_let_go_is_not_even_sent_what_it_was_owed(office: Office, how: str) -> None:
    phone = office.subscribe("rob")
    office.promise()
    office.tell(london(14, 30))
    if how == "left":
        office.world.change("person", "rob", active=False)
    else:
        office.call("rob", "POST", "/api/push/subscriptions/end", json={"endpoint": phone.endpoint})
    assert taken(office, london(14, 31)) == []
    assert [each["state"] for each in office.deliveries()] == ["gone"]


def taken(office: Office, now: datetime) -> list[Claimed]:
    """What a ticker would send then."""
    with office.world.app.app_context():
        return claim(office.world.org, now, 10, LEASE)


def test_an_administrator_sees_how_everybodys_devices_are(office: Office) -> None:
    for who in ("rob", "sam"):
        office.subscribe(who)
    (mine,) = office.call("rob", "GET", "/api/push/devices").json["items"]
    everybodys = office.call("admin", "GET", "/api/push/devices").json["items"]
    assert sorted(each["person"]["name"] for each in everybodys) == ["Rob", "Sam"]
    assert mine in everybodys and {"sent_at", "shown_at", "opened_at", "failures"} <= mine.keys()
