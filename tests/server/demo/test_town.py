"""The invented town and its days, without a database: the same seed tells the same story, and it is a believable one."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from server.demo.days import FORMER, Days
from server.demo.run import _shift
from server.demo.town import CUSTOMERS, LEADS, REPS, WITHOUT_PLACE, Town, build
from server.demo.words import load
from server.visits.rules import distance_m
from sync.policy import well_formed

TODAY = date(2026, 11, 18)


def town_of(language: str, seed: str = "test") -> Town:
    return build(seed, load(language))


def days_of(town: Town, shifts: dict[date, int] | None = None) -> Days:
    return Days(town, TODAY - timedelta(days=60), shifts or {})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_seed_makes_the_same_town_and_another_seed_another(language: str) -> None:
    assert town_of(language) == town_of(language)
    assert town_of(language).customers != town_of(language, "other").customers
    one, other = days_of(town_of(language)), days_of(town_of(language))
    assert list(one.acts(TODAY)) == list(other.acts(TODAY))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_town_has_three_teams_24_reps_and_800_customers_each_with_a_name_of_its_own(language: str) -> None:
    town = town_of(language)
    shops = town.customers + town.leads
    assert len(shops) == CUSTOMERS and len(town.leads) == LEADS
    assert len({shop.fields["name"] for shop in shops}) == CUSTOMERS
    assert sum("lat" not in shop.fields for shop in town.customers) == WITHOUT_PLACE
    reps = [rep.person for rep in town.reps[:REPS]]
    assert Counter(person.team for person in reps) == {0: 8, 1: 8, 2: 8}
    assert [manager.team for manager in town.managers] == [0, 1, 2] and reps[0].team == 0
    everybody = [*(rep.person for rep in town.reps), *town.managers, town.administrator]
    assert (
        len({person.id for person in everybody if person})
        == len({person.email for person in everybody if person})
        == 29
    )
    assert all(person and person.email.endswith(".example") for person in everybody)
    assert Counter(shop.grade for shop in town.customers).keys() == {"A", "B", "C"}
    owned = Counter(shop.owner for shop in town.customers)
    assert all(31 <= owned[person.key] <= 32 for person in reps)


def test_languages_keep_to_their_script() -> None:
    assert all(
        str(shop.fields["name"]).isascii() or "é" in str(shop.fields["name"])
        for shop in town_of("en").customers
    )
    assert not any(str(shop.fields["name"]).isascii() for shop in town_of("zh").customers)
    with pytest.raises(KeyError):
        load("tlh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_written_varies_and_can_be_stored(language: str) -> None:
    days = days_of(town_of(language))
    said: Counter[str] = Counter()
    for back in range(10):
        for act in days.acts(TODAY - timedelta(days=back)):
            said.update(op["new"] for op in act.ops if op["field"] == "minutes")
            assert all(well_formed(op["new"]) for op in act.ops if isinstance(op.get("new"), str))
            assert not any("{" in str(op["new"]) for op in act.ops if op["field"] in {"minutes", "next_step"})
    full = [text for text in said if len(text) >= 10]
    assert len(full) > 400 and said.most_common(1)[0][1] < 0.05 * said.total()


def test_a_day_is_a_round_of_near_shops_with_a_break_and_no_two_visits_at_once() -> None:
    town = town_of("en")
    days = days_of(town)
    steps = []
    for number in range(REPS):
        for back in range(5):
            day = TODAY - timedelta(days=back)
            calls = days.calls(number, day, Random(f"{number}:{back}"))
            assert len(calls) >= 3 and len({call.customer.id for call in calls}) == len(calls)
            for before, after in pairwise(calls):
                assert before.end < after.begin
                steps.append(
                    math.hypot(after.customer.x - before.customer.x, after.customer.y - before.customer.y)
                )
            assert all(call.begin.astimezone(days.zone).date() == day for call in calls)
    assert sorted(steps)[len(steps) // 2] < 500, "half of all ways are a short walk"


def test_honest_phones_are_off_by_about_what_they_claim() -> None:
    town = town_of("en")
    days = days_of(town)
    shops = {shop.id: shop for shop in town.customers}
    inside, all_of_them = 0, 0
    for act in (act for back in range(10) for act in days.acts(TODAY - timedelta(days=back))):
        fixes = [op["new"] for op in act.ops if op["field"] == "check_in_fix" and "lat" in op["new"]]
        customer = next((op["new"] for op in act.ops if op["field"] == "customer_id"), None)
        for fix in fixes:
            age = (act.at - datetime.fromisoformat(fix["taken_at"])).total_seconds()
            if customer in shops and age < 100:
                there = town.place(shops[customer].x, shops[customer].y)
                inside += distance_m(fix["lat"], fix["lon"], *there) <= fix["accuracy_m"]
                all_of_them += 1
    assert all_of_them > 100 and 0.65 < inside / all_of_them < 0.95


def test_weekends_leave_and_the_end_of_the_month_look_like_themselves() -> None:
    days = days_of(town_of("en"))
    sunday = TODAY + timedelta(days=4)
    assert not any(days.works(number, sunday) for number in range(REPS))
    away = days.on_leave(TODAY)
    assert away != 0 and not days.works(away, TODAY) and days.acts_of(away, TODAY) == []
    assert not days.works(FORMER, TODAY), "somebody has left"
    late = [
        act
        for act in days.acts(date(2026, 10, 30))
        if act.verb == "create" and any(op["new"] == "done" for op in act.ops)
    ]
    assert {act.author for act in late} == {"rep:10", "rep:14", "rep:20"}


@pytest.mark.parametrize("weekday", [date(2026, 11, 18), date(2026, 11, 22)], ids=["Wednesday", "Sunday"])
@pytest.mark.parametrize("hour", [4, 7, 9, 12, 15, 18, 21, 23])
def test_whoever_looks_at_any_hour_finds_people_at_work(weekday: date, hour: int) -> None:
    town = town_of("en")
    zone = days_of(town).zone
    now = datetime(weekday.year, weekday.month, weekday.day, hour, 10, tzinfo=zone)
    days = days_of(town, {weekday: _shift(now)})
    begins = days.begins(weekday)
    assert begins.astimezone(zone).date() == weekday
    calls = {
        number: days.calls(number, weekday, Random(f"{number}"))
        for number in range(REPS)
        if days.works(number, weekday)
    }
    assert len(calls) == REPS - 1, "all but the one on leave"
    under_way = [call for mine in calls.values() for call in mine if call.begin <= now < call.end]
    assert under_way, "somebody is with a customer right now"
    assert sum(call.end < now for call in calls[0]) >= 2, "the newcomer's own day has begun"
    assert days.silent_from(weekday) < now - timedelta(hours=1)
    if hour < 23:
        assert any(call.begin > now for call in calls[0]), "and something is still planned"
    assert now.astimezone(UTC) > begins
