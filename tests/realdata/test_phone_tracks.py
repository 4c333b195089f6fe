"""Working days of real phones: each published stay becomes a visit and, however it is sent, arrives once and unchanged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
import time_machine
from geopy.distance import geodesic
from sqlalchemy import func, select

from server.db import reading
from server.exchange.check import check
from server.exchange.door import Change
from server.visits.model import Visit
from tests.realdata.conftest import Table
from tests.world import Phone, World, text

ZONE = "America/Los_Angeles"
BEFORE_IT_ALL = datetime(2015, 7, 1, tzinfo=UTC)
STOPPED_MOVING = "2"
PATIENCE_S = 180
"""For so long after the tap a phone looks for its position."""


@dataclass(frozen=True)
class Fix:
    """One record of a phone's log: when it was true, when it was written."""

    ts: float
    written: float
    lat: float
    lon: float
    accuracy: float

    @property
    def wire(self) -> dict[str, Any]:
        return {
            "lat": self.lat,
            "lon": self.lon,
            "accuracy_m": self.accuracy,
            "taken_at": text(instant(self.ts)),
        }


@dataclass(frozen=True)
class Stay:
    """A published stay with both ends, and what the phone knew of its place around them."""

    track: str
    user: str
    visit: str
    customer: str
    lat: float
    lon: float
    enter: float
    exit: float
    day: str
    first: Fix | None
    best: Fix | None
    last: Fix | None


def instant(ts: float) -> datetime:
    """Unix seconds as the wire can say them, to the millisecond."""
    return datetime.fromtimestamp(round(ts, 3), UTC)


def identity(*parts: object) -> str:
    return str(uuid5(NAMESPACE_OID, ":".join(map(str, parts))))


@pytest.fixture(scope="session")
def logs(table: Table) -> dict[str, list[Fix]]:
    """The fixes of each track in the order of their own times; one without a time is no fix."""
    found: dict[str, list[Fix]] = {}
    for row in table("tracks/phone/phone_locations.csv"):
        fix = Fix(
            *(float(row[name]) for name in ("ts", "write_ts", "latitude", "longitude", "accuracy")),
        )
        if fix.ts > 0:
            found.setdefault(row["track"], []).append(fix)
    return {track: sorted(fixes, key=lambda fix: fix.ts) for track, fixes in found.items()}


@pytest.fixture(scope="session")
def stays(table: Table, logs: dict[str, list[Fix]]) -> list[Stay]:
    users = {row["track"]: row["user"] for row in table("tracks/phone/phone_tracks.csv")}
    return [
        _stay(row, users[row["track"]], logs[row["track"]])
        for row in table("tracks/phone/phone_reference_places.csv")
        if row["enter_ts"] and row["exit_ts"]
    ]


def _stay(row: dict[str, str], user: str, log: list[Fix]) -> Stay:
    enter, leave = float(row["enter_ts"]), float(row["exit_ts"])
    known = [fix for fix in log if fix.written <= max(leave, enter + PATIENCE_S)]
    soon = [fix for fix in known if -120 <= fix.ts - enter <= PATIENCE_S and fix.written <= leave]
    first = min(soon, key=lambda fix: abs(fix.ts - enter), default=None)
    best = min((fix for fix in soon if fix.ts >= enter), key=lambda fix: fix.accuracy, default=None)
    last = min(
        (fix for fix in log if abs(fix.ts - leave) <= 600), key=lambda fix: abs(fix.ts - leave), default=None
    )
    return Stay(
        row["track"], user, identity("visit", row["place_id"]), identity("place", row["place_id"]),
        float(row["latitude"]), float(row["longitude"]), enter, leave, row["enter_local"][:10], first, best, last,
    )  # fmt: skip


@pytest.fixture(scope="session")
def uploads(table: Table) -> dict[str, list[float]]:
    """When each track's phone stopped moving, which is when it sent what it had."""
    found: dict[str, list[float]] = {}
    for row in table("tracks/phone/phone_transitions.csv"):
        if row["transition"] == STOPPED_MOVING:
            found.setdefault(row["track"], []).append(float(row["ts"]))
    return {track: sorted(times) for track, times in found.items()}


@dataclass
class Batch:
    """What one phone sends at one moment; the mutations have no number yet."""

    user: str
    at: float
    mutations: list[dict[str, Any]]


def written(stay: Stay, phone: Phone) -> Iterator[tuple[float, dict[str, Any]]]:
    """The mutations of one visit with the moments at which the phone wrote them."""
    enter, leave = instant(stay.enter), instant(stay.exit)
    at_the_tap = stay.first is not None and stay.first.written <= stay.enter + 1
    fields: dict[str, Any] = {
        "customer_id": stay.customer,
        "mode": "in_person",
        "kind": "sales_call",
        "status": "open",
        "check_in": phone.moment(enter),
    }
    if stay.first and at_the_tap:
        fields["check_in_fix"] = stay.first.wire
    yield stay.enter, phone.create("visit", stay.visit, at=enter, **fields)
    later = [("check_in_fix", stay.first)] if stay.first and not at_the_tap else []
    for name, fix in (*later, ("check_in_best_fix", stay.best)):
        if fix is not None:
            at = min(max(fix.written, stay.enter), stay.exit)
            op = {"field": name, "op": "set", "old": None, "new": fix.wire}
            yield at, phone.mutation("visit", stay.visit, "update", [op], instant(at))
    at_the_door = stay.last.wire if stay.last else {"none": "unavailable"}
    yield (
        stay.exit,
        phone.check_out(stay.visit, leave, check_out_fix=at_the_door, minutes="Walked the shelves together."),
    )


def batches(world: World, stays: list[Stay], uploads: dict[str, list[float]]) -> list[Batch]:
    """Every mutation of every track, cut where its phone uploaded, in the order of these uploads."""
    found: list[Batch] = []
    for track in sorted({stay.track for stay in stays}):
        mine = [stay for stay in stays if stay.track == track]
        phone = world.phone(mine[0].user)
        phone.zone = ZONE
        pairs = [pair for stay in mine for pair in written(stay, phone)]
        cuts = iter([*uploads[track], max(at for at, _ in pairs) + 60])
        cut = next(cuts)
        batch = Batch(mine[0].user, cut, [])
        for at, mutation in sorted(pairs, key=lambda pair: pair[0]):
            while at > cut:
                found.append(batch)
                cut = next(cuts)
                batch = Batch(batch.user, cut, [])
            batch.mutations.append(mutation)
        found.append(batch)
    return sorted((batch for batch in found if batch.mutations), key=lambda batch: batch.at)


class Outboxes:
    """Phones of the volunteers; each numbers what it sends by itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.phones: dict[tuple[str, int], Phone] = {}

    def send(self, batch: Batch, at: datetime, which: int = 0, times: int = 1) -> list[dict[str, Any]]:
        """Send a batch by somebody's phone number `which` at a moment of the server's clock; returns the receipts."""
        key = (batch.user, which)
        if key not in self.phones:
            self.phones[key] = self.world.phone(batch.user)
            self.phones[key].zone = ZONE
        phone = self.phones[key]
        numbered = [
            mutation | {"seq": phone.seq + number} for number, mutation in enumerate(batch.mutations, 1)
        ]
        phone.seq += len(numbered)
        with time_machine.travel(at, tick=False):
            answers = [phone.push(*numbered) for _ in range(times)]
        assert all(answer == answers[0] for answer in answers)
        return answers[0]


@pytest.fixture
def city(world: World, stays: list[Stay]) -> World:
    """The volunteers as reps of one team, and a customer at each of the places where they stayed."""
    with time_machine.travel(BEFORE_IT_ALL, tick=False):
        for user in sorted({stay.user for stay in stays}):
            world.person(user, "rep", "north")
        for number, stay in enumerate(stays, 1):
            world.ids[stay.customer] = stay.customer
            fields = {"name": f"Place {number}", "lat": stay.lat, "lon": stay.lon, "radius_m": 200}
            fields |= {"owner_id": world.ids[stay.user], "team_id": world.ids["north"]}
            world.write(Change("customer", stay.customer, "create", fields))
    return world


def stored(world: World) -> dict[str, Any]:
    """Everything that must be the same however the visits came: id -> what was recorded, and what follows from it."""
    with world.app.app_context(), reading() as connection:
        rows = connection.execute(select(Visit.__table__).where(Visit.org_id == world.org)).mappings().all()
    recorded = (
        "customer_id",
        "rep_id",
        "status",
        "outcome",
        "minutes",
        "check_in_fix",
        "check_in_best_fix",
        "check_out_fix",
    )
    concluded = (
        "day", "zone", "check_in_at", "check_out_at", "duration_s", "trust", "trust_reasons", "distance_m",
        "accuracy_m", "fix_age_s", "doubt_ms", "valid", "reasons",
    )  # fmt: skip
    return {
        row["id"]: {name: row[name] for name in recorded} | {name: row["server"][name] for name in concluded}
        for row in rows
    }


def expected(stays: list[Stay], world: World) -> dict[str, dict[str, Any]]:
    return {
        stay.visit: {
            "customer_id": stay.customer,
            "rep_id": world.ids[stay.user],
            "status": "done",
            "day": stay.day,
            "zone": ZONE,
            "check_in_at": text(instant(stay.enter)),
            "check_out_at": text(instant(stay.exit)),
            "duration_s": int((instant(stay.exit) - instant(stay.enter)).total_seconds()),
            "doubt_ms": 0,
            "check_in_fix": stay.first.wire if stay.first else None,
            "check_in_best_fix": stay.best.wire if stay.best else None,
            "check_out_fix": stay.last.wire if stay.last else {"none": "unavailable"},
        }
        for stay in stays
    }


def counted(world: World) -> int:
    with world.app.app_context(), reading() as connection:
        return connection.execute(
            select(func.count()).select_from(Visit).where(Visit.org_id == world.org)
        ).scalar_one()


def assert_all_arrived(world: World, stays: list[Stay]) -> None:
    """Every stay is there once, with its times, its day, its fixes, and a distance as geopy's Karney tells it."""
    found = stored(world)
    wanted = expected(stays, world)
    assert counted(world) == len(stays) == 48
    assert {visit: {name: found[visit][name] for name in wanted[visit]} for visit in found} == wanted
    for stay in stays:
        told = found[stay.visit]
        fixes = [fix for fix in (stay.first, stay.best) if fix]
        if not fixes:
            assert (told["trust"], told["distance_m"]) == ("unverified", None)
            continue
        judged = min(fixes, key=lambda fix: (fix.accuracy, abs(fix.ts - stay.enter)))
        apart = geodesic((judged.lat, judged.lon), (stay.lat, stay.lon)).meters
        assert told["distance_m"] == pytest.approx(apart, abs=1)
        assert told["accuracy_m"] == pytest.approx(judged.accuracy, abs=0.1)
        assert told["trust"] != "review", "an honest phone was accused"
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_each_stay_arrives_once_with_its_times_its_day_and_its_distance(
    city: World, stays: list[Stay], uploads: dict[str, list[float]]
) -> None:
    outboxes = Outboxes(city)
    sent = batches(city, stays, uploads)
    assert len(sent) > 40, "the phones uploaded many times a day"
    for batch in sent:
        receipts = outboxes.send(batch, instant(batch.at))
        assert {receipt["status"] for receipt in receipts} == {"applied"}
    assert_all_arrived(city, stays)


def test_sent_late_and_twice_and_shuffled_between_clients_the_same_is_stored(
    city: World, stays: list[Stay], uploads: dict[str, list[float]]
) -> None:
    rng = random.Random(20160222)
    outboxes = Outboxes(city)
    sent = batches(city, stays, uploads)
    for (
        batch
    ) in sent:  # dealt among three phones of the same person, each batch twice, hours after it was cut
        late = instant(batch.at) + timedelta(hours=9)
        outboxes.send(batch, late, which=rng.randrange(3), times=2)
    assert_all_arrived(city, stays)
    once = stored(city)
    everything = [(batch.user, mutation) for batch in sent for mutation in batch.mutations]
    rng.shuffle(everything)
    for user in sorted(
        {user for user, _ in everything}
    ):  # and once more out of a backup: other numbers, no order
        mine = [mutation for owner, mutation in everything if owner == user]
        receipts = outboxes.send(
            Batch(user, 0, mine), instant(sent[-1].at) + timedelta(days=40), which=9, times=2
        )
        assert {receipt["status"] for receipt in receipts} == {"applied"}, (
            "each is answered as it was the first time"
        )
    assert stored(city) == once
    assert_all_arrived(city, stays)


def test_a_distance_on_a_visit_is_the_published_geodesic_distance(world: World, table: Table) -> None:
    published = table("reference/geodesic_distances.csv")
    assert len(published) == 360
    phone = world.phone("rob")
    now = datetime.now(UTC).replace(microsecond=0)
    wanted: dict[str, float] = {}
    changes, visits = [], []
    for row in published:
        shop = str(uuid4())
        fields = {
            "name": f"{row['source']} {row['id1']}",
            "lat": float(row["lat1"]),
            "lon": float(row["lon1"]),
        }
        fields |= {"owner_id": world.ids["rob"], "team_id": world.ids["north"]}
        changes.append(Change("customer", shop, "create", fields))
        there = {"lat": float(row["lat2"]), "lon": float(row["lon2"]), "accuracy_m": 5, "taken_at": text(now)}
        visit = phone.check_in(shop, now, check_in_fix=there)
        visits.append(visit)
        wanted[visit["entity"]] = float(row["distance_m"])
    world.write(*changes)
    for start in range(0, len(visits), 200):
        assert {receipt["status"] for receipt in phone.push(*visits[start : start + 200])} == {"applied"}
    told = {visit: found["distance_m"] for visit, found in stored(world).items()}
    assert told.keys() == wanted.keys()
    assert {
        visit: (told[visit], apart) for visit, apart in wanted.items() if abs(told[visit] - apart) > 1
    } == {}
