"""A month of work without conflicts: late, twice or in another order, it comes to the same score of the open month."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
import time_machine
from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.exchange.door import Change
from server.indicators.periods import Period, period_of
from server.indicators.recount import differences
from server.indicators.score import exact
from server.visits.model import Visit
from server.visits.rules import HABIT
from tests.sums import disagreements, of
from tests.world import Phone, World, fix

MARCH = period_of("month", date(2026, 3, 1))
BEFORE = datetime(2026, 2, 27, 12, tzinfo=UTC)
AS_OF = datetime(2026, 4, 2, 12, tzinfo=UTC)
"""March is over, and not closed yet."""
REPS = ("rob", "ria")
SHOPS = 4
NEVER_FALL = (
    "valid_visits",
    "customers_visited",
    "opportunities_done",
    "new_customers",
    "time_with_customers",
)

INDICATORS = [
    {"code": "valid_visits", "weight": "30", "target": "12"},
    {"code": "customers_visited", "weight": "10", "target": "4"},
    {"code": "coverage", "weight": "10", "target": "0.8"},
    {"code": "opportunities_done", "weight": "10", "target": "3"},
    {"code": "follow_ups_on_time", "weight": "10"},
    {"code": "response_time", "weight": "10"},
    {"code": "plans_kept", "weight": "5"},
    {"code": "logged_on_spot", "weight": "5"},
    {"code": "new_customers", "weight": "10", "target": "2"},
    {"code": "time_with_customers", "weight": "10", "target": "8"},
    {"code": "conversion", "weight": "5", "target": "0.2"},
    {"code": "deal_amount", "weight": "20", "kind": "result", "combine": "sum", "target": "5000"},
]


def identity(*parts: object) -> str:
    return str(uuid5(NAMESPACE_OID, ":".join(map(str, parts))))


@dataclass
class Story:
    """What somebody does about one thing, in its order: (who, when, how the phone writes it)."""

    steps: list[tuple[str, datetime, Callable[[Phone], dict[str, Any]]]] = field(default_factory=list)

    def then(self, who: str, at: datetime, write: Callable[[Phone], dict[str, Any]]) -> Story:
        self.steps.append((who, at, write))
        return self


def history(seed: int) -> list[Story]:
    """A month of two reps and those who lead them, drawn by chance; no two stories touch the same thing."""
    chance = Random(seed)
    stories = []
    for rep in REPS:
        for number in range(6 if rep == "rob" else 14):
            stories.append(call(chance, rep, number))
        for number in range(2):
            stories += [promise(chance, rep, number), lead(chance, rep, number), plan(chance, rep, number)]
        stories += [request(chance, rep, 0), deal(chance, rep, 0)]
        # Rob's are a habit before the month is over; Ria's look like one for as long as the others have not arrived.
        for number in range(16 if rep == "rob" else 11):
            stories.append(hidden(chance, rep, number))
    return [*stories, handover(chance, "rob", SHOPS)]


def moment(chance: Random, first: int = 1, last: int = 31) -> datetime:
    day = chance.randint(first, last)
    return datetime(2026, 3, day, chance.randint(6, 17), chance.randint(0, 59), tzinfo=UTC)


def shop(rep: str, chance: Random) -> str:
    return identity("shop", rep, chance.randrange(SHOPS))


def begin(
    phone: Phone, visit: str, customer: str, at: datetime, where: dict[str, Any] | None = None
) -> dict[str, Any]:
    about = {"customer_id": customer, "mode": "in_person", "kind": "sales_call", "status": "open"}
    return phone.create(
        "visit", visit, at=at, **about, check_in=phone.moment(at), check_in_fix=where or fix(at)
    )


def call(chance: Random, rep: str, number: int) -> Story:
    """A visit: long enough or too short, with words or without, told at once or days later."""
    visit, customer, began = identity("visit", rep, number), shop(rep, chance), moment(chance)
    ended = began + timedelta(minutes=chance.choice([5, 30, 31, 55]))
    words = chance.choice(["They take twelve cases.", "They take twelve cases.", "Short", ""])
    if chance.random() < 0.3:  # written afterwards, in one go
        at = min(ended + timedelta(hours=chance.choice([1, 30, 60])), AS_OF - timedelta(hours=2))
        about = {"customer_id": customer, "mode": "in_person", "kind": "sales_call", "status": "done"}
        return Story().then(
            rep,
            at,
            lambda phone: phone.create(
                "visit",
                visit,
                at=at,
                **about,
                check_in=phone.moment(began),
                check_in_fix=fix(began),
                check_out=phone.moment(ended),
                minutes=words,
            ),
        )
    story = Story().then(rep, began, lambda phone: begin(phone, visit, customer, began))
    return story.then(rep, ended, lambda phone: phone.check_out(visit, ended, minutes=words))


def hidden(chance: Random, rep: str, number: int) -> Story:
    """A visit by a phone that may not say where it is."""
    visit, customer, began = identity("hidden", rep, number), shop(rep, chance), moment(chance)
    ended, nowhere = began + timedelta(minutes=40), {"none": "denied"}
    story = Story().then(rep, began, lambda phone: begin(phone, visit, customer, began, nowhere))
    return story.then(rep, ended, lambda phone: phone.check_out(visit, ended))


def plan(chance: Random, rep: str, number: int) -> Story:
    """A planned visit that takes place on its day, on another, or not at all."""
    visit, customer, began = identity("plan", rep, number), shop(rep, chance), moment(chance, 3, 28)
    day = (began + timedelta(days=chance.choice([0, 0, 1]))).date().isoformat()
    planned = began - timedelta(days=1)
    story = Story().then(
        rep,
        planned,
        lambda phone: phone.create(
            "visit",
            visit,
            at=planned,
            customer_id=customer,
            status="planned",
            planned_date=day,
            kind="sales_call",
        ),
    )
    if chance.random() < 0.3:
        return story
    ended = began + timedelta(minutes=45)
    ops = [
        {"field": "status", "op": "go", "old": "planned", "new": "open"},
        {"field": "check_in_fix", "op": "set", "old": None, "new": fix(began)},
    ]

    def start(phone: Phone) -> dict[str, Any]:
        tapped = {"field": "check_in", "op": "set", "old": None, "new": phone.moment(began)}
        return phone.mutation("visit", visit, "update", [*ops, tapped], began, base=2**40)

    return story.then(rep, began, start).then(rep, ended, lambda phone: phone.check_out(visit, ended))


def promise(chance: Random, rep: str, number: int) -> Story:
    """A promise with a day, kept in time, late or not at all."""
    thing, customer, made = identity("promise", rep, number), shop(rep, chance), moment(chance, 1, 25)
    about = {
        "customer_id": customer,
        "subject": "Ring",
        "kind": chance.choice(["opportunity", "opportunity", "complaint"]),
        "due_date": (made + timedelta(days=2)).date().isoformat(),
        "due_zone": "Europe/London",
        "status": "open",
    }
    story = Story().then(rep, made, lambda phone: phone.create("follow_up", thing, at=made, **about))
    if chance.random() < 0.25:
        return story
    kept = made + timedelta(days=chance.choice([1, 4]))
    op = {"field": "status", "op": "go", "old": "open", "new": "done"}
    return story.then(rep, kept, lambda phone: phone.mutation("follow_up", thing, "update", [op], kept))


def request(chance: Random, rep: str, number: int) -> Story:
    """A customer asked for something; a call answers it, or nobody does."""
    thing, customer, asked = identity("request", rep, number), shop(rep, chance), moment(chance)
    about = {
        "customer_id": customer,
        "subject": "They rang",
        "kind": "request",
        "requested_at": asked.isoformat().replace("+00:00", "Z"),
        "status": "open",
    }
    return Story().then(rep, asked, lambda phone: phone.create("follow_up", thing, at=asked, **about))


def lead(chance: Random, rep: str, number: int) -> Story:
    """A lead that a rep brought in, perhaps on the month's last day; whoever leads them approves it."""
    thing = identity("lead", rep, number)
    found = moment(chance, 31, 31) if number else moment(chance, 1, 30)
    said = {"name": f"Lead {number} of {rep}", "lat": 50 + number, "lon": len(rep) + ord(rep[1]) / 10}
    story = Story().then(rep, found, lambda phone: phone.create("customer", thing, at=found, **said))
    if chance.random() < 0.2:
        return story
    approved = found + timedelta(hours=1)
    op = {"field": "lifecycle", "op": "set", "old": "lead", "new": "customer"}
    return story.then(
        "mia", approved, lambda phone: phone.mutation("customer", thing, "update", [op], approved, base=2**40)
    )


def handover(chance: Random, rep: str, number: int) -> Story:
    """A customer of the month's beginning is somebody else's at its end; told of at once, or in the next month."""
    customer, given = identity("shop", rep, number), moment(chance, 5, 31)
    taker = next(other for other in REPS if other != rep)

    def give(phone: Phone) -> dict[str, Any]:
        op = {"field": "owner_id", "op": "set", "old": phone.world.ids[rep], "new": phone.world.ids[taker]}
        return phone.mutation("customer", customer, "update", [op], given, base=2**40)

    return Story().then("mia", given, give)


def deal(chance: Random, rep: str, number: int) -> Story:
    """A value that is entered, confirmed and reviewed, or stays somewhere on the way."""
    thing, entered = identity("deal", rep, number), moment(chance)
    about = {
        "indicator": "deal_amount",
        "on": entered.date().isoformat(),
        "amount": f"{chance.randint(0, 200_000) / 100:.2f}",
        "note": "Contract",
    }
    story = Story().then(rep, entered, lambda phone: phone.create("value", thing, at=entered, **about))
    for who, step, hours in (("mia", "confirmed", 1), ("admin", "reviewed", 2)):
        if chance.random() < 0.2:
            break
        at = entered + timedelta(hours=hours)
        op = {"field": "status", "op": "go", "old": None, "new": step}
        story.then(
            who,
            at,
            lambda phone, op=op, at=at: phone.mutation("value", thing, "update", [op], at, base=2**40),
        )
    return story


class Town:
    """An organisation where a history may happen; everything that it names has the same id in each."""

    def __init__(self, app: Any) -> None:
        self.world = World(app, f"acme-{uuid4().hex[:12]}")
        self.phones: dict[tuple[str, int], Phone] = {}
        with time_machine.travel(BEFORE, tick=False):
            self.world.create(
                *("scheme", "s"),
                name="S",
                valid_from="2026-03-01",
                status="approved",
                indicators=INDICATORS,
            )
            self.world.write(
                *(
                    Change(
                        "customer",
                        identity("shop", rep, number),
                        "create",
                        {
                            "name": f"Shop {number} of {rep}",
                            "lat": 51.5,
                            "lon": -0.12,
                            "owner_id": self.world.ids[rep],
                            "team_id": self.world.ids["north"],
                        },
                    )
                    for rep in REPS
                    for number in range(SHOPS + 1)
                )
            )

    def send(self, who: str, mutations: Iterable[dict[str, Any]], at: datetime, which: int = 0) -> None:
        """Somebody's phone number `which` sends these at a moment; each is taken, or was before."""
        phone = self.phones.setdefault((who, which), self.world.phone(who))
        numbered = [one | {"seq": phone.seq + n} for n, one in enumerate(mutations, 1)]
        phone.seq += len(numbered)
        with time_machine.travel(at, tick=False):
            assert {receipt["status"] for receipt in phone.push(*numbered)} <= {"applied"}

    def written(self, stories: list[Story]) -> list[list[tuple[str, datetime, dict[str, Any]]]]:
        """Each story as its people's phones wrote it down."""
        pens = {who: self.world.phone(who) for who in (*REPS, "mia", "admin")}
        return [[(who, at, write(pens[who])) for who, at, write in story.steps] for story in stories]

    def scores(self) -> list[dict[str, Any]]:
        """What the routes tell of March, its last week and its last day, of each rep and of the team."""
        found = []
        with time_machine.travel(AS_OF, tick=False):
            for kind, day in (("month", 1), ("week", 30), ("day", 31)):
                asked = f"period={kind}&starts_on=2026-03-{day:02}"
                for rep in REPS:
                    found.append(self.world.get("boss", f"/api/scores/{self.world.ids[rep]}?{asked}").json)
                path = f"/api/scores?{asked}&team={self.world.ids['north']}"
                found.append(self.world.get("boss", path).json["team_score"])
        told = ("readings", "total", "grade", "reasons", "period")
        return [{name: one[name] for name in told} for one in found]

    def habits(self) -> list[tuple[str, str]]:
        """The visits that are in review because their reps never say where they are: (rep, visit)."""
        names = {self.world.ids[rep]: rep for rep in REPS}
        with self.world.app.app_context(), reading() as connection:
            rows = connection.execute(
                select(Visit.rep_id, Visit.id, Visit.server).where(Visit.org_id == self.world.org)
            ).all()
        return sorted((names[rep], visit) for rep, visit, told in rows if HABIT in told["trust_reasons"])

    def faults(self) -> list[Any]:
        with self.world.app.app_context(), reading() as connection:
            found: list[Any] = [*check(connection, self.world.org)]
        return found + disagreements(self.world, REPS, AS_OF - timedelta(days=2))


@pytest.mark.parametrize("shared_app", ["sqlite"], indirect=True)
def test_neither_order_nor_repetition_nor_lateness_changes_the_score_of_an_open_month(
    shared_app: Any,
) -> None:
    stories = history(seed=20260331)
    at_once, late = Town(shared_app), Town(shared_app)
    before: dict[str, dict[str, Any]] = {}
    steps = sorted(
        (step for story in at_once.written(stories) for step in story), key=lambda step: (step[1], step[0])
    )
    for number, (who, at, mutation) in enumerate(steps):
        at_once.send(who, [mutation], at)
        if number % 6:
            continue
        with at_once.world.app.app_context(), reading() as connection:
            assert list(differences(connection, at_once.world.org)) == [], "counting as it comes counts all"
        for rep in REPS:
            now = of(at_once.world, rep, MARCH, AS_OF)
            for code in NEVER_FALL:
                assert code not in before.get(rep, {}) or value(now[code]) >= value(before[rep][code]), code
            before[rep] = now

    chance = Random(7)
    waiting = [story for story in late.written(stories) if story]
    arrival = datetime(2026, 3, 31, 22, tzinfo=UTC)
    sent: list[tuple[str, list[dict[str, Any]], int]] = []
    while waiting:
        # Some stories, each by its next steps of one person, in any order, by any of that person's phones.
        who = chance.choice([story[0][0] for story in waiting])
        batch = []
        for story in chance.sample(waiting, len(waiting)):
            while story and story[0][0] == who and len(batch) < 12:
                batch.append(story.pop(0)[2])
        waiting = [story for story in waiting if story]
        arrival += timedelta(minutes=chance.randint(1, 90))
        sent.append((who, batch, chance.randrange(2)))
        late.send(who, batch, arrival, sent[-1][2])
        if chance.random() < 0.5:  # and once more: out of a backup, hours after
            again = chance.choice(sent)
            late.send(again[0], again[1], arrival + timedelta(minutes=1), which=9)
    assert arrival < AS_OF

    known, found = at_once.scores(), late.scores()
    assert found == known
    assert late.faults() == []
    assert at_once.habits() == late.habits()
    assert {rep for rep, _ in late.habits()} == {"rob"}
    month = {each["indicator"]: each for each in known[0]["readings"]}
    assert [code for code, each in month.items() if each["actual"] in (None, "0")] == [], "all were drawn"
    for score in known:
        sums_up_and_explains_itself(score)


def sums_up_and_explains_itself(score: dict[str, Any]) -> None:
    """The readings come to the total, and whatever stands behind one stands there once (a team's tell no evidence)."""
    if score["total"] is not None:
        points = sum(Decimal(each["points"]) for each in score["readings"])
        assert abs(points - Decimal(score["total"])) <= Decimal("0.00501")
    for each in (one for one in score["readings"] if "evidence" in one):
        counted = each["evidence"]["counted"]
        others = [one["id"] for one in each["evidence"]["not_counted"]]
        assert len({*counted, *others}) == len(counted) + len(others), each["indicator"]
        assert all(one["code"] for one in each["evidence"]["not_counted"])
        if each["indicator"] in {
            "valid_visits",
            "customers_visited",
            "opportunities_done",
            "new_customers",
        }:
            assert str(len(counted)) == each["actual"]
        if each["actual"] not in (None, "0"):
            assert counted, f"{each['indicator']} without evidence"


def value(actual: Any) -> Decimal:
    over, under = exact(actual.part, actual.whole)
    return Decimal(over) / under


def test_a_lead_found_on_the_last_day_is_its_finders_own_that_month_however_late_it_arrives(
    shared_app: Any,
) -> None:
    found = datetime(2026, 3, 31, 16, tzinfo=UTC)
    told = []
    for arrival in (found, AS_OF):
        town = Town(shared_app)
        phone = town.world.phone("rob")
        lead_ = phone.create("customer", at=found, name="Last place", lat=50.0, lon=1.0)
        town.send("rob", [lead_], arrival)
        told.append(coverage(town, MARCH))
    assert told == [(0, SHOPS + 2)] * 2


def coverage(town: Town, period: Period) -> tuple[int, int]:
    with time_machine.travel(AS_OF, tick=False):
        found = of(town.world, "rob", period, AS_OF)["coverage"]
    return int(found.part), int(found.whole)
