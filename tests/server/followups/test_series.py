"""Promises and plans that repeat: the next is made once, by the server alone, at the right time on the wall, to the end."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from server.exchange.model import Parked
from server.followups.model import FollowUp
from server.followups.rules import due_at, next_day
from server.visits.model import Visit
from sync.recurrence import is_rule, rule_of
from tests.office import DAY, Office, london
from tests.world import World

ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]


@pytest.fixture
def office(shared_world: World) -> Office:
    return Office(shared_world)


def held(office: Office, kind: str = "follow_up") -> list[dict[str, Any]]:
    """What rob's phone holds of a kind, in the order of its days, each with its id."""
    office.rob.pull()
    day = "due_date" if kind == "follow_up" else "planned_date"
    found = [fields | {"id": identity} for identity, fields in office.rob.held(kind).items()]
    return sorted(found, key=lambda each: str(each[day]))


def day(after: int) -> str:
    return (DAY + timedelta(days=after)).isoformat()


# --- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR",
        "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYDAY=2TU,-1FR;COUNT=5",
        "FREQ=YEARLY;UNTIL=20301231",
        "FREQ=WEEKLY;UNTIL=20301231T235959Z",
    ],
)
def test_rules_that_make_sense_are_taken(text: str) -> None:
    assert is_rule(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "FREQ=HOURLY",
            "FREQ=SECONDLY",
            "INTERVAL=2",
            "INTERVAL=2;FREQ=DAILY",
            "freq=daily",
            "FREQ=DAILY;",
        ),
        *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=367", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=1001"),
        *(
            "FREQ=DAILY;COUNT=2;UNTIL=20301231",
            "FREQ=DAILY;UNTIL=20301331",
            "FREQ=DAILY;UNTIL=20301231T235959",
        ),
        *(
            "FREQ=WEEKLY;BYDAY=2MO",
            "FREQ=YEARLY;BYDAY=MO",
            "FREQ=WEEKLY;BYMONTHDAY=1",
            "FREQ=MONTHLY;BYMONTHDAY=0",
        ),
        *(
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "FREQ=MONTHLY;BYDAY=6MO",
            "FREQ=MONTHLY;BYDAY=MO,MO",
            "FREQ=DAILY;BYHOUR=9",
        ),
        *(
            "FREQ=DAILY;FREQ=WEEKLY",
            "RRULE:FREQ=DAILY",
            "FREQ=DAILY;WKST=MO",
            "FREQ=DAILY" + ";INTERVAL=1" * 40,
        ),
        *(None, 7, {"FREQ": "DAILY"}),
    ],
)
def test_rules_that_make_none_are_not(text: Any) -> None:
    assert not is_rule(text)


def test_a_rule_that_is_none_is_parked_with_its_field(office: Office) -> None:
    for kind, more in (("follow_up", {"subject": "Call"}), ("visit", {"status": "planned"})):
        made = office.rob.create(kind, customer_id=office.shop, repeat="FREQ=HOURLY", **more)
        (receipt,) = office.rob.push(made)
        assert (receipt["status"], receipt["code"]) == ("parked", "INVALID")
        assert receipt["detail"] == {"field": "repeat"}


DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))
PLAIN = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
BY_DAY = st.lists(PLAIN, min_size=1, max_size=4, unique=True).map(",".join)
PLACED = st.tuples(st.sampled_from(["", "1", "-1", "2", "+3"]), PLAIN).map("".join)
SOME_PLACED = st.lists(PLACED, min_size=1, max_size=2, unique=True).map(",".join)
RULES = st.one_of(
    st.tuples(st.just("FREQ=DAILY"), st.integers(1, 9).map(lambda n: f";INTERVAL={n}")),
    st.tuples(st.just("FREQ=WEEKLY"), st.integers(1, 5).map(lambda n: f";INTERVAL={n}"), BY_DAY.map(";BYDAY={}".format)),
    st.tuples(st.just("FREQ=MONTHLY"), st.sampled_from([-1, 1, 15, 28, 29, 30, 31]).map(";BYMONTHDAY={}".format)),
    st.tuples(st.just("FREQ=MONTHLY"), SOME_PLACED.map(";BYDAY={}".format)),
    st.tuples(st.just("FREQ=YEARLY"), st.sampled_from(["", ";INTERVAL=2"])),
).map("".join)  # fmt: skip
ENDS = st.one_of(
    st.just(""),
    st.integers(1, 30).map(";COUNT={}".format),
    DAYS.map(lambda until: f";UNTIL={until:%Y%m%d}"),
)


@given(RULES, ENDS, DAYS, st.sampled_from(ZONES).map(ZoneInfo), st.sampled_from([None, "02:30", "10:00"]))
def test_the_days_of_a_series_are_those_of_its_rule_one_after_the_other(
    repeat: str, ends: str, start: date, zone: ZoneInfo, at: str | None
) -> None:
    rule = repeat + ends
    assert rule_of(rule)
    expected = [start]
    named = rrulestr(rule, dtstart=datetime.combine(start, time.min))
    for found in named:
        if (
            found.date() > start
            and len(expected) < 12
            and found.date() < start.replace(year=start.year + 8, day=1)
        ):
            expected.append(found.date())
        if len(expected) == 12 or found.year > start.year + 8:
            break
    made = [start]
    while len(made) < len(expected):
        following = next_day(rule, start, made[-1], at, zone, datetime(2020, 1, 1, tzinfo=UTC))
        assert following is not None
        made.append(following)
    assert made == expected


@pytest.mark.parametrize("name", ZONES)
def test_a_daily_promise_at_half_past_two_is_owed_at_that_time_on_every_wall_of_a_year(name: str) -> None:
    zone, on = ZoneInfo(name), date(2027, 12, 31)
    seen = []
    for _ in range(400):
        owed = due_at(on.isoformat(), "02:30", zone)
        assert owed is not None
        following = next_day("FREQ=DAILY", date(2027, 12, 31), on, "02:30", zone, owed)
        assert following == on + timedelta(days=1)
        seen.append(owed.astimezone(zone))
        on = following
    shown = [at.strftime("%H:%M") for at in seen]
    left_out = [at for at in shown if at != "02:30"]
    assert left_out in ([], ["03:30"], ["03:30", "03:30"]), "only where the wall shows no such time"
    assert date(2028, 2, 29) in [at.date() for at in seen]


def test_month_ends_and_leap_days_are_where_the_rule_says() -> None:
    london_, long_ago = ZoneInfo("Europe/London"), datetime(2020, 1, 1, tzinfo=UTC)

    def some(rule: str, start: date, count: int) -> list[str]:
        days = [start]
        for _ in range(count):
            days.append(next_day(rule, start, days[-1], None, london_, long_ago) or date.max)
        return [each.isoformat() for each in days[1:]]

    last = some("FREQ=MONTHLY;BYMONTHDAY=-1", date(2027, 11, 30), 4)
    assert last == ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]
    assert some("FREQ=MONTHLY", date(2027, 12, 31), 3) == ["2028-01-31", "2028-03-31", "2028-05-31"]
    assert some("FREQ=YEARLY", date(2024, 2, 29), 2) == ["2028-02-29", "2032-02-29"]
    assert some("FREQ=MONTHLY;BYDAY=-1FR", date(2026, 10, 30), 2) == ["2026-11-27", "2026-12-25"]
    never, start = "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30", date(2026, 2, 1)
    assert next_day(never, start, start, None, london_, long_ago) is None


def test_the_last_instant_of_a_rule_is_taken_on_the_owners_wall() -> None:
    shanghai, long_ago = ZoneInfo("Asia/Shanghai"), datetime(2020, 1, 1, tzinfo=UTC)
    start = date(2026, 11, 21)
    to_noon = "FREQ=DAILY;UNTIL=20261122T040000Z"  # noon there
    assert next_day(to_noon, start, start, "12:00", shanghai, long_ago) == date(2026, 11, 22)
    assert next_day(to_noon, start, start, "12:01", shanghai, long_ago) is None


@pytest.mark.parametrize(
    ("rule", "start", "day"),
    [
        ("FREQ=DAILY;INTERVAL=3", "0001-01-01", "2026-11-22"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "0001-01-01", "2026-11-23"),
        ("FREQ=MONTHLY;INTERVAL=5", "0001-01-31", "2028-07-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "0004-02-29", "2026-11-30"),
        ("FREQ=YEARLY;INTERVAL=2", "0004-02-29", "2028-02-29"),
    ],
)
def test_a_series_from_the_calendars_beginning_goes_on_as_its_rule_says(
    rule: str, start: str, day: str
) -> None:
    first = date.fromisoformat(start)
    after = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert str(next_day(rule, first, first, None, UTC, after)) == day


def test_days_that_went_by_while_nobody_was_there_are_left_out() -> None:
    zone, start = ZoneInfo("Europe/London"), date(2026, 11, 2)
    back = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert next_day("FREQ=DAILY", start, start, "10:00", zone, back) == date(2026, 11, 22)
    assert next_day("FREQ=DAILY", start, start, "18:00", zone, back) == date(2026, 11, 21)
    assert next_day("FREQ=DAILY", start, start, None, zone, back) == date(2026, 11, 21)
    assert next_day("FREQ=DAILY;COUNT=5", start, start, None, zone, back) is None


# --- the next ----------------------------------------------------------------------------------------------------------


def test_what_was_done_is_followed_by_the_next_with_the_id_that_everybody_can_reckon(office: Office) -> None:
    first = office.promise(repeat="FREQ=WEEKLY", note="Ask for Li.", remind_before_min=10)
    office.go(first, "done")
    assert office.tell(london(9, 0, days=-20)) == 1
    second = str(uuid5(UUID(first), "2"))
    one, two = held(office)
    assert (one["id"], one["status"], one["series"]) == (first, "done", None)
    assert (two["id"], two["status"]) == (second, "open")
    assert two["due_date"] == day(7)
    assert two["series"] == {"id": first, "n": 2, "start": day(0), "on": day(7)}
    same = (
        "customer_id",
        "subject",
        "due_time",
        "due_zone",
        "repeat",
        "note",
        "remind_before_min",
        "owner_id",
    )
    assert [two[name] for name in same] == [one[name] for name in same]
    office.go(second, "cancelled")
    assert office.tell(london(9, 0, days=-20)) == 1
    assert held(office)[2]["id"] == str(uuid5(UUID(first), "3"))
    assert office.checked()


def test_what_is_forgotten_is_followed_by_the_next_when_its_time_comes_and_by_no_third(
    office: Office,
) -> None:
    first = office.promise(repeat="FREQ=DAILY")
    office.tell(london(14, 59))
    assert len(held(office)) == 1
    office.tell(london(15, 0))
    assert [each["due_date"] for each in held(office)] == [day(0), day(1)]
    office.go(first, "done")
    office.tell(london(15, 1))
    assert len(held(office)) == 2, "it was made already"
    assert office.checked()


def test_what_is_reopened_and_done_again_makes_the_next_once(office: Office) -> None:
    first = office.promise(repeat="FREQ=DAILY")
    office.go(first, "done")
    office.tell(london(9))
    # Reopened and done again, as another phone may ask for: the next is there.
    for old, new in (("done", "open"), ("open", "done")):
        ops = [{"field": "status", "op": "go", "old": old, "new": new}]
        office.rob.push(office.rob.mutation("follow_up", first, "update", ops, base=2**40))
        office.tell(london(9))
    assert len(held(office)) == 2 and office.rows(Parked) == []


def test_after_days_without_a_ticker_one_is_made_and_not_ten(office: Office) -> None:
    office.promise(repeat="FREQ=DAILY")
    while office.tell(london(12, 0, days=10)):
        pass
    assert [each["due_date"] for each in held(office)] == [day(0), day(10)]


def test_a_count_and_a_last_day_end_the_series(office: Office) -> None:
    for repeat in ("FREQ=DAILY;COUNT=2", f"FREQ=DAILY;UNTIL={day(1).replace('-', '')}"):
        made = office.promise(repeat=repeat)
        office.go(made, "done")
        office.tell(london(9))
        office.go(str(uuid5(UUID(made), "2")), "done")
        office.tell(london(9))
    assert [each["status"] for each in held(office)] == ["done"] * 4


def test_one_that_was_put_off_does_not_move_the_others(office: Office) -> None:
    first = office.promise(repeat="FREQ=WEEKLY")
    office.go(first, "done")
    office.tell(london(9))
    second = str(uuid5(UUID(first), "2"))
    later = [{"field": "due_date", "op": "set", "old": day(7), "new": day(9)}]
    office.rob.push(office.rob.mutation("follow_up", second, "update", later, base=2**40))
    office.go(second, "done")
    office.tell(london(9))
    assert [each["due_date"] for each in held(office)] == [day(0), day(9), day(14)]


def test_whoever_takes_the_rule_away_ends_the_series_with_what_was_made_meanwhile(office: Office) -> None:
    first = office.promise(repeat="FREQ=DAILY")
    office.tell(london(15, 0))
    office.tell(london(15, 0, days=1))
    assert len(held(office)) == 3
    stop = [{"field": "repeat", "op": "set", "old": "FREQ=DAILY", "new": None}]
    (receipt,) = office.rob.push(office.rob.mutation("follow_up", first, "update", stop, base=2**40))
    assert receipt["status"] == "applied"
    office.tell(london(16, 0, days=1))
    one, two, three = held(office)
    assert one["status"] == "open", "the promise itself stands"
    assert (two["status"], two["repeat"], three["status"], three["repeat"]) == ("cancelled", None) * 2
    while office.tell(london(16, 0, days=9)):
        pass
    assert len(held(office)) == 3
    assert office.checked()


def test_a_series_waits_while_nobody_is_there_and_goes_on_with_whoever_takes_it_over(office: Office) -> None:
    first = office.promise(repeat="FREQ=DAILY")
    office.world.change("person", "rob", active=False)
    for days in range(5):
        while office.tell(london(15, 1, days=days)):
            pass
    assert len(office.rows(FollowUp)) == 1
    over = [
        {"field": "owner_id", "op": "set", "old": office.world.ids["rob"], "new": office.world.ids["ria"]}
    ]
    (receipt,) = office.mia.push(office.mia.mutation("follow_up", first, "update", over, base=2**40))
    assert receipt["status"] == "applied"
    while office.tell(london(15, 1, days=5)):
        pass
    one, two = sorted(office.rows(FollowUp), key=lambda row: str(row["due_date"]))
    assert (one["owner_id"], two["owner_id"], two["due_date"]) == (office.world.ids["ria"],) * 2 + (day(6),)
    assert office.checked()


def test_whoever_comes_back_finds_their_series_going_on(office: Office) -> None:
    office.promise(repeat="FREQ=DAILY")
    office.world.change("person", "rob", active=False)
    office.tell(london(15, 1))
    office.world.change("person", "rob", active=True)
    office.tell(london(15, 2, days=1))
    assert [each["due_date"] for each in held(office)] == [day(0), day(2)]


def test_the_owner_of_the_last_is_the_owner_of_the_next(office: Office) -> None:
    first = office.promise(repeat="FREQ=WEEKLY")
    over = [
        {"field": "owner_id", "op": "set", "old": office.world.ids["rob"], "new": office.world.ids["ria"]}
    ]
    (receipt,) = office.mia.push(office.mia.mutation("follow_up", first, "update", over, base=2**40))
    assert receipt["status"] == "applied"
    office.tell(london(15, 0))
    rows = {row["id"]: row for row in office.rows(FollowUp)}
    assert rows[str(uuid5(UUID(first), "2"))]["owner_id"] == office.world.ids["ria"]
    back = [
        {"field": "owner_id", "op": "set", "old": office.world.ids["ria"], "new": office.world.ids["rob"]}
    ]
    office.mia.push(office.mia.mutation("follow_up", first, "update", back, base=2**40))
    office.tell(london(15, 30))
    assert len(office.rows(FollowUp)) == 2 and office.rows(Parked) == [], "whoever owns it, there is one next"


def plan(office: Office, **more: Any) -> str:
    fields = {
        "customer_id": office.shop,
        "mode": "in_person",
        "kind": "sales_call",
        "status": "planned",
        "planned_date": DAY.isoformat(),
        "planned_time": "10:00",
        "repeat": "FREQ=WEEKLY",
    }
    made = office.rob.create("visit", **(fields | more))
    (receipt,) = office.rob.push(made)
    assert receipt["status"] == "applied", receipt
    return str(made["entity"])


def test_a_planned_visit_is_followed_by_the_next_when_it_begins_is_cancelled_or_its_time_comes(
    office: Office,
) -> None:
    first = plan(office)
    begun = [
        {"field": "status", "op": "go", "old": "planned", "new": "open"},
        {"field": "check_in", "op": "set", "old": None, "new": office.rob.moment()},
    ]
    (receipt,) = office.rob.push(office.rob.mutation("visit", first, "update", begun, base=2**40))
    assert receipt["status"] == "applied", receipt
    office.tell(datetime.now(UTC) + timedelta(minutes=1))
    second = str(uuid5(UUID(first), "2"))
    rows = {row["id"]: row for row in office.rows(Visit)}
    made = rows[second]
    assert (made["status"], made["planned_date"], made["planned_time"]) == ("planned", day(7), "10:00")
    assert made["rep_id"] == office.world.ids["rob"] and made["kind"] == "sales_call"
    off = [{"field": "status", "op": "go", "old": "planned", "new": "cancelled"}]
    office.rob.push(office.rob.mutation("visit", second, "update", off, base=2**40))
    office.tell(london(9))
    third = str(uuid5(UUID(first), "3"))
    assert {row["id"]: row for row in office.rows(Visit)}[third]["planned_date"] == day(14)
    office.tell(london(10, 0, days=14))
    assert len(office.rows(Visit)) == 4
    assert office.checked()


def test_all_day_plans_go_on_the_midnight_after(office: Office) -> None:
    plan(office, planned_time=None, repeat="FREQ=DAILY")
    office.tell(london(23, 59))
    assert len(office.rows(Visit)) == 1
    office.tell(london(0, 0, days=1))
    assert [row["planned_date"] for row in office.rows(Visit)] == [day(0), day(1)]


def test_no_phone_and_no_person_says_which_of_a_series_something_is(office: Office) -> None:
    series = {"id": str(uuid4()), "n": 2, "start": day(0), "on": day(7)}
    made = office.promise(repeat="FREQ=DAILY")
    ops = [{"field": "series", "op": "set", "old": None, "new": series}]
    (receipt,) = office.rob.push(office.rob.mutation("follow_up", made, "update", ops, base=2**40))
    assert (receipt["status"], receipt["code"]) == ("parked", "FORBIDDEN")
