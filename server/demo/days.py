"""What a rep does on one day: calls, and what their phone writes about them. Pure: the same seed and day give the same day.

Each day stands for itself, so that the days since the last start can be added without knowing the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from server.demo.town import MOVED_IN, Customer, Rep, Town, identity

MORNING = time(8, 0)
DAY_MINUTES = 570
METRES_A_MINUTE = 350.0
FORMER = 24
"""The rep who leaves the company on the way."""

DURATIONS = {
    "store_call": (12, 38),
    "delivery": (11, 22),
    "sales_call": (28, 58),
    "negotiation": (32, 75),
    "service": (24, 55),
}
"""Minutes that a call of a kind takes, from and to."""

KIND_WEIGHTS = {"store_call": 52, "delivery": 12, "sales_call": 20, "service": 9, "negotiation": 7}
OUTCOME_WEIGHTS = {"order": 42, "thinking": 22, "no": 11, "complaint": 9, "payment": 10, "nobody": 6}


@dataclass(frozen=True, slots=True)
class Act:
    """One mutation as somebody writes it: true time, author, content, and how long the network keeps it waiting."""

    at: datetime
    author: str
    id: str
    kind: str
    entity: str
    verb: str
    ops: list[dict[str, Any]]
    wait_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Call:
    """One visit as it really was, from `begin` to `end` (true times)."""

    id: str
    customer: Customer
    mode: str
    kind: str
    begin: datetime
    end: datetime
    outcome: str
    planned: str | None = None
    forgotten: bool = False
    signal: bool = True


@dataclass(frozen=True, slots=True)
class Clock:
    """A phone's clock on one day: what it shows, and what the phone believes of it."""

    life: str
    started: datetime
    zone: str
    fast_ms: int
    offset_ms: float

    def moment(self, at: datetime, claimed: datetime | None = None) -> dict[str, Any]:
        """A moment as the wire carries it; `claimed` is a time somebody typed instead of tapping."""
        wall = (claimed or at) + timedelta(milliseconds=self.fast_ms)
        return {
            "wall": text(wall),
            "mono_ms": max(0, int((at - self.started).total_seconds() * 1000)),
            "life": self.life,
            "offset_ms": self.offset_ms,
            "zone": self.zone,
        }


class Days:
    """Plans days of a town. `shift` (minutes, by day) moves a day's working hours, so that a visitor at night sees work."""

    def __init__(self, town: Town, first: date, shifts: dict[date, int]) -> None:
        self.town, self.first, self.shifts = town, first, shifts
        self.words = town.words
        self.zone = ZoneInfo(town.words.town.time_zone)
        self.last_of_former = _weekday(first + timedelta(days=38))

    # -- calendar --------------------------------------------------------------------------------------------------

    def begins(self, day: date) -> datetime:
        """When work begins on a day."""
        return self._local(day, MORNING) + timedelta(minutes=self.shifts.get(day, 0))

    def works(self, number: int, day: date) -> bool:
        """Whether a rep works on a day: the week but for holidays, some Saturdays, and the day of a visitor."""
        if number == FORMER and day > self.last_of_former:
            return False
        if number == self.on_leave(day):
            return False
        if day.weekday() < 5 or day in self.shifts:
            return True
        return day.weekday() == 5 and number != FORMER and (number + day.toordinal() // 7) % 4 == 0

    def on_leave(self, day: date) -> int:
        """The rep who is on leave in the week of this day."""
        return 1 + (day - timedelta(days=day.weekday())).toordinal() // 7 * 5 % (FORMER - 1)

    def silent(self, day: date) -> int:
        """The rep whose phone loses the network on this day, one of the printed manager's."""
        team = [number for number in range(3, FORMER, 3) if number not in {self.on_leave(day), MOVED_IN}]
        return team[day.toordinal() % len(team)]

    def silent_from(self, day: date) -> datetime:
        """When that happens."""
        return self.begins(day) + timedelta(minutes=100)

    def clock(self, number: int, day: date) -> Clock:
        """A rep's phone on a day. One is fast: mostly the phone knows by how much, on some days not yet."""
        rep = self.town.reps[number]
        unknown = rep.clock_fast_ms and day.toordinal() % 13 == 4
        started = self.begins(day) - timedelta(minutes=25)
        life = identity(self.town.seed, "life", number, day)
        return Clock(life, started, self.zone.key, rep.clock_fast_ms, 0 if unknown else -rep.clock_fast_ms)

    # -- what is written -------------------------------------------------------------------------------------------

    def acts(self, day: date) -> Iterator[Act]:
        """Everything that is written on a day by anybody, each author's in the order of time."""
        by_author: dict[str, list[Act]] = {}
        for number in range(len(self.town.reps)):
            for act in self.acts_of(number, day):
                by_author.setdefault(act.author, []).append(act)
        for act in (*self._leads(day), *self._stories(day)):
            by_author.setdefault(act.author, []).append(act)
        for acts in by_author.values():
            yield from sorted(acts, key=lambda act: act.at)

    def acts_of(self, number: int, day: date) -> list[Act]:
        """What a rep writes on a day, and their manager for them."""
        if not self.works(number, day):
            return []
        rng = Random(f"day:{self.town.seed}:{number}:{day}")
        acts: list[Act] = []
        for call in self.calls(number, day, rng):
            acts += self._written(number, day, call, rng)
        if self.town.reps[number].back_fills and _is_last_weekday(day):
            acts += self._written_late(number, day, rng)
        return acts

    def calls(self, number: int, day: date, rng: Random) -> list[Call]:
        """A rep's calls of a day in their order, from one customer to a near one, with a break at noon."""
        rep, begins = self.town.reps[number], self.begins(day)
        wanted = max(4, round(rng.gauss(rep.pace, 1.1)))
        if day.weekday() > 4 and day not in self.shifts:
            wanted = 3
        stops = self._stops(rep, day, wanted, rng)
        slot = (DAY_MINUTES - 45) / wanted
        at = begins + timedelta(minutes=rng.uniform(-12, 22))
        noon: datetime | None = begins + timedelta(minutes=rng.uniform(240, 285))
        calls: list[Call] = []
        for index, customer in enumerate(stops):
            if noon is not None and at > noon:
                at, noon = at + timedelta(minutes=rng.uniform(32, 55)), None
            left = len(stops) - index
            if number == 0 and left <= 2:  # so that a newcomer still has plans
                at = max(at, begins + timedelta(minutes=DAY_MINUTES - 40 * left + rng.uniform(0, 8)))
            call = self._call(number, day, index, customer, at, rng)
            if call.begin.astimezone(self.zone).date() != day:
                break
            if number == 0 and left <= 2:
                call = replace(
                    call, mode="in_person", kind="store_call", planned="rep" if left == 1 else "manager"
                )
            calls.append(call)
            after = stops[index + 1] if index + 1 < len(stops) else customer
            travel = math.hypot(after.x - customer.x, after.y - customer.y) * 1.35 / METRES_A_MINUTE
            spare = slot - (call.end - call.begin).total_seconds() / 60
            at = call.end + timedelta(minutes=max(travel + rng.uniform(3, 8), spare * rng.uniform(0.6, 1.15)))
        return calls

    def _stops(self, rep: Rep, day: date, wanted: int, rng: Random) -> list[Customer]:
        """The customers of a day: a stretch of the round, further on each day, and the important ones more often."""
        ordered = rep.customers
        start = day.toordinal() * 7 % len(ordered)
        stretch = [(start + step) % len(ordered) for step in range(wanted + 5)]
        often = [at for at, customer in enumerate(ordered) if customer.grade == "A" and at not in stretch]
        chosen = rng.sample(stretch, min(wanted, len(stretch)))
        for place in range(len(chosen)):
            if often and rng.random() < 0.12:
                chosen[place] = often.pop(rng.randrange(len(often)))
        if day in self.shifts:
            chosen[:1] = [at for at, customer in enumerate(ordered) if self._has_moved(customer)] or chosen[
                :1
            ]
        return [ordered[at] for at in sorted(set(chosen), key=lambda at: (at - start) % len(ordered))]

    def _call(
        self, number: int, day: date, index: int, customer: Customer, at: datetime, rng: Random
    ) -> Call:
        mode = rng.choices(("in_person", "phone", "online"), (87, 9, 4))[0]
        kind = rng.choices(tuple(KIND_WEIGHTS), tuple(KIND_WEIGHTS.values()))[0]
        outcome = rng.choices(tuple(OUTCOME_WEIGHTS), tuple(OUTCOME_WEIGHTS.values()))[0]
        low, high = DURATIONS[kind]
        minutes = rng.triangular(low, high, low + (high - low) * 0.35)
        if mode != "in_person":
            kind = "sales_call" if kind in {"delivery", "store_call"} else kind
            minutes = rng.uniform(3, 14) if mode == "phone" else rng.uniform(26, 48)
        if outcome == "nobody":
            minutes = rng.uniform(2, 6)
        elif rng.random() < 0.03:
            minutes = rng.uniform(4, 9)
        forgotten = number != 0 and mode == "in_person" and rng.random() < 0.003
        if number != 0 and rng.random() < 0.004:
            minutes += rng.uniform(90, 160)  # checked out at the next door
        begin = at + timedelta(milliseconds=rng.randrange(1000))
        planned = rng.choices((None, "rep", "manager"), (76, 19, 5))[0]
        return Call(
            id=identity(self.town.seed, "visit", number, day, index),
            customer=customer,
            mode=mode,
            kind=kind,
            begin=begin,
            end=begin + timedelta(minutes=minutes),
            outcome=outcome,
            planned=planned,
            forgotten=forgotten,
            signal=rng.random() < 0.88,
        )

    def _written(self, number: int, day: date, call: Call, rng: Random) -> Iterator[Act]:
        """The mutations of one call, in their order."""
        rep, clock = self.town.reps[number], self.clock(number, day)
        author = rep.person.key
        wait = rng.uniform(1, 9) if call.signal else rng.uniform(900, 9000)

        def act(step: str, at: datetime, verb: str, ops: list[dict[str, Any]], who: str = author) -> Act:
            of_step = identity(self.town.seed, call.id, step)
            return Act(at, who, of_step, "visit", call.id, verb, ops, wait if who == author else 3)

        begun = [given("customer_id", call.customer.id), given("mode", call.mode), given("kind", call.kind)]
        check_in = given("check_in", clock.moment(call.begin))
        fixes = self._fixes(rep, call, rng)
        if call.planned:
            local = call.begin.astimezone(self.zone)
            quarter = local.replace(minute=local.minute // 15 * 15)
            plan = [*begun, given("status", "planned"), given("planned_date", day.isoformat())]
            if rng.random() < 0.8:
                plan.append(given("planned_time", quarter.strftime("%H:%M")))
            early = self.begins(day) - timedelta(minutes=rng.uniform(14, 23))
            if call.planned == "manager":
                plan.append(given("rep_id", rep.person.id))
                yield act("plan", early, "create", plan, f"manager:{rep.person.team}")
            else:
                yield act("plan", early, "create", plan)
            fate = rng.random()
            if fate < 0.05:
                why = given("late_reason", rng.choice(self.words.cancelled))
                yield act("cancel", call.begin, "update", [go("planned", "cancelled"), why])
                return
            if fate < 0.08:
                return  # nobody went there
            yield act("in", call.begin, "update", [go("planned", "open"), check_in, *fixes.pop(0.0, [])])
        else:
            yield act(
                "in", call.begin, "create", [*begun, given("status", "open"), check_in, *fixes.pop(0.0, [])]
            )
        for after, ops in sorted(fixes.items()):
            if call.begin + timedelta(seconds=after) < call.end:
                yield act(f"fix {after:.0f}", call.begin + timedelta(seconds=after), "update", ops)
        if call.forgotten:
            return
        ops = [given("check_out", clock.moment(call.end)), go("open", "done"), given("outcome", call.outcome)]
        if call.mode == "in_person" and not rep.denied and rng.random() < 0.8:
            ops.append(given("check_out_fix", self._fix(rep, call, call.end, rng.uniform(0, 20), rng)))
        minutes, comes_next = (
            self._minutes(rep, call, rng),
            self._say(rng.choice(self.words.next_steps), call, rng),
        )
        later = rng.random() < 0.06
        if minutes and not later:
            ops.append(written("minutes", minutes))
        if comes_next:
            ops.append(written("next_step", comes_next))
        yield act("out", call.end, "update", ops)
        if minutes and later:
            at = call.end + timedelta(minutes=rng.uniform(2, 12))
            yield act("minutes", at, "update", [written("minutes", minutes)])
        if rng.random() < 0.015:
            tag = {"field": "tags", "op": "add", "values": [rng.choice(self.words.tags)]}
            at = call.end + timedelta(seconds=rng.uniform(20, 90))
            step = identity(self.town.seed, call.id, "tag")
            yield Act(at, author, step, "customer", call.customer.id, "update", [tag], wait)

    def _fixes(self, rep: Rep, call: Call, rng: Random) -> dict[float, list[dict[str, Any]]]:
        """What the phone found of its place, by seconds after the tap: 0 goes with the tap itself."""
        if call.mode != "in_person":
            return {}
        if rep.denied:
            return {0.0: [given("check_in_fix", {"none": "denied"})]}
        luck = rng.random()
        if luck < 0.035:  # deep inside, where nothing is found
            reason = rng.choice(("timeout", "timeout", "timeout", "unavailable", "unsupported"))
            return {180.0 if reason == "timeout" else 2.0: [given("check_in_fix", {"none": reason})]}
        if luck < 0.05:
            return {
                0.0: [given("check_in_fix", self._fix(rep, call, call.begin, rng.uniform(240, 900), rng))]
            }
        if luck < 0.065:  # the network's own guess, as far as it goes
            guess = self._fix(rep, call, call.begin, 1, rng, rng.uniform(1200, 2600))
            return {1.0: [given("check_in_fix", guess)]}
        if luck < 0.5:
            first = {0.0: [given("check_in_fix", self._fix(rep, call, call.begin, rng.uniform(1, 50), rng))]}
        else:
            after = rng.uniform(3, 40)
            at = call.begin + timedelta(seconds=after)
            rough = rng.uniform(40, 320) if rng.random() < 0.3 else None
            first = {after: [given("check_in_fix", self._fix(rep, call, at, 0, rng, rough))]}
        if rng.random() < 0.25:
            after = rng.uniform(45, 175)
            at = call.begin + timedelta(seconds=after)
            best = self._fix(rep, call, at, 0, rng, rep.accuracy_m * rng.uniform(0.5, 1))
            first[after] = [given("check_in_best_fix", best)]
        return first

    def _fix(
        self, rep: Rep, call: Call, at: datetime, age_s: float, rng: Random, accuracy: float | None = None
    ) -> dict[str, Any]:
        """A fix of a given age: off by about what the phone claims, two times out of three by less."""
        if accuracy is None:
            accuracy = rep.accuracy_m * rng.lognormvariate(0, 0.45)
            if rng.random() < 0.18:
                accuracy *= rng.uniform(2.5, 9)  # behind thick walls
        off, turn = rng.gauss(0, accuracy * 0.75), rng.uniform(0, math.pi)
        away = age_s * 5 if age_s > 120 else 0.0  # an old fix is of where they came from
        x = call.customer.x + (off + away) * math.cos(turn)
        y = call.customer.y + (off + away) * math.sin(turn)
        lat, lon = self.town.place(x, y)
        return {
            "lat": lat,
            "lon": lon,
            "accuracy_m": round(accuracy, 1),
            "taken_at": text(at - timedelta(seconds=age_s)),
        }

    def _written_late(self, number: int, day: date, rng: Random) -> Iterator[Act]:
        """Visits remembered at the end of the month."""
        rep, clock = self.town.reps[number], self.clock(number, day)
        at = self.begins(day) + timedelta(minutes=500 + rng.uniform(0, 20))
        for index, back in enumerate((1, *sorted(rng.sample(range(3, 21), rng.randint(3, 5))))):
            begin = self._local(day - timedelta(days=back), time(12, 10)) + timedelta(
                minutes=rng.uniform(0, 8)
            )
            call = self._call(number, day, 100 + index, rng.choice(rep.customers), begin, rng)
            ops = [
                given("customer_id", call.customer.id),
                given("mode", "in_person"),
                given("kind", call.kind),
                given("status", "done"),
                given("check_in", clock.moment(at, call.begin)),
                given("check_out", clock.moment(at, call.end)),
                given("outcome", call.outcome),
                given("minutes", self._minutes(rep, call, rng)),
                given("late_reason", rng.choice(self.words.late)),
            ]
            at += timedelta(minutes=rng.uniform(2, 6))
            author, step = rep.person.key, identity(self.town.seed, call.id, "late")
            yield Act(at, author, step, "visit", call.id, "create", [op for op in ops if op["new"]])

    # -- words -----------------------------------------------------------------------------------------------------

    def _minutes(self, rep: Rep, call: Call, rng: Random) -> str:
        words = self.words
        if rng.random() > rep.tidy:
            return rng.choice((*words.curt, "", "", ""))
        if call.mode == "phone":
            return self._say(rng.choice(words.calls), call, rng)
        parts = [rng.choice(words.openings[call.outcome])]
        if call.customer.x != 0 and rng.random() < 0.85:
            parts.append(rng.choice(words.middles))
        if call.outcome != "nobody":
            parts.append(rng.choice(words.closings))
        if self._has_moved(call.customer) and rng.random() < 0.5:
            parts.append(words.moved)
        return words.joiner.join(said for said in (self._say(part, call, rng) for part in parts) if said)

    def _say(self, template: str, call: Call, rng: Random) -> str:
        words = self.words
        item, other = rng.sample(words.goods, 2)
        who = call.customer.contact.split(" ")[0] if rng.random() < 0.5 else call.customer.contact
        number, day = rng.choice((2, 3, 4, 6, 8, 10, 12, 24)), rng.choice(words.days)
        said = template.format(who=who, item=item, other=other, n=number, day=day)
        return said[:1].upper() + said[1:]

    def _has_moved(self, customer: Customer) -> bool:
        lat, lon = customer.fields.get("lat"), customer.fields.get("lon")
        return lat is not None and (lat, lon) != self.town.place(customer.x, customer.y)

    # -- what happens once -----------------------------------------------------------------------------------------

    def _stories(self, day: date) -> Iterator[Act]:
        """One day on which people get in each other's way."""
        if day != _weekday(self.first + timedelta(days=52)):
            return
        town, begins = self.town, self.begins(day)
        bare, shop = [one for one in town.reps[9].customers if "note" not in one.fields][:2]
        moved = next(one for one in town.reps[MOVED_IN].customers if self._has_moved(one))

        def act(
            minutes: float, author: str, customer: Customer, *ops: dict[str, Any], wait_s: float = 3
        ) -> Act:
            at = begins + timedelta(minutes=minutes)
            step = identity(town.seed, "story", author, customer.id, *(op["field"] for op in ops))
            return Act(at, author, step, "customer", customer.id, "update", list(ops), wait_s)

        number = self.words.town.phone.format
        known, hints = shop.fields.get("phone"), self.words.notes
        yield act(30, "rep:9", shop, given("phone", number(number=901), known), wait_s=14_000)
        yield act(31, "rep:9", bare, written("note", hints[0]))
        yield act(90, "manager:0", shop, given("phone", number(number=902), known))
        yield act(95, "manager:0", bare, written("note", hints[1]))
        lat, lon = town.place(moved.x, moved.y)
        pin = [given("lat", lat, moved.fields["lat"]), given("lon", lon, moved.fields["lon"])]
        yield act(120, f"rep:{MOVED_IN}", moved, *pin)
        if self.works(12, day):  # helps a colleague out, in a team whose customers they do not hold
            rng = Random(f"story:{town.seed}")
            begin = begins + timedelta(minutes=250)
            call = self._call(12, day, 200, town.reps[13].customers[0], begin, rng)
            yield from self._written(12, day, call, rng)

    def _leads(self, day: date) -> Iterator[Act]:
        """Shops that reps find by themselves on a day of the first weeks."""
        for number, lead in enumerate(self.town.leads):
            if self._day_of_lead(number) == day:
                at = self.begins(day) + timedelta(minutes=200 + 3 * number)
                ops = [given(name, value) for name, value in lead.fields.items()]
                step = identity(self.town.seed, lead.id, "create")
                yield Act(at, str(lead.owner), step, "customer", lead.id, "create", ops)

    def _day_of_lead(self, number: int) -> date:
        return _weekday(self.first + timedelta(days=4 + 3 * number))

    def _local(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)


def given(field: str, new: Any, old: Any = None) -> dict[str, Any]:
    """A field set."""
    return {"field": field, "op": "set", "old": old, "new": new}


def written(field: str, new: str, old: str | None = None) -> dict[str, Any]:
    """A text written."""
    return {"field": field, "op": "text", "old": old, "new": new}


def go(old: str, new: str) -> dict[str, Any]:
    """A step between states."""
    return {"field": "status", "op": "go", "old": old, "new": new}


def text(at: datetime) -> str:
    """An instant as the wire writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _weekday(day: date) -> date:
    """The day itself, or the Monday after a weekend."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


def _is_last_weekday(day: date) -> bool:
    following = _weekday(day + timedelta(days=1))
    return day.weekday() < 5 and following.month != day.month
