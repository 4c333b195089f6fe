"""Many at once: versions stay in order, nobody's work is lost or doubled, and a busy database says so and does nothing."""

import itertools
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event, func, select, text

from server.app import create_app
from server.config import Config
from server.db import db, reading
from server.exchange import apply, follow, pull
from server.exchange.apply import link
from server.exchange.check import check
from server.exchange.model import Batch, Client, Journal
from server.people import grant
from server.people.model import Head
from server.visits.model import Visit
from tests.conftest import SECRET
from tests.world import Phone, World, ago

PHONES = 6
BATCHES = 5
SIZE = 6
PATIENCE_S = 60
"""How long a thread may wait for another before the test says it hangs."""


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.customer("Shop")
    return shared_world


def query(world: World, statement: Any) -> list[Any]:
    with world.app.app_context(), reading() as connection:
        return list(connection.execute(statement).all())


def journal(world: World) -> list[dict[str, Any]]:
    statement = select(Journal.__table__).where(Journal.org_id == world.org).order_by(Journal.n)
    with world.app.app_context(), reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def is_whole(world: World) -> None:
    """The journal has no gap, its chain holds, its versions rise, and the tables are what it tells."""
    entries = journal(world)
    chain = ""
    for number, entry in enumerate(entries, start=1):
        assert entry["n"] == number
        chain = link(chain, entry)
        assert entry["chain"] == chain
    versions = [entry["version"] for entry in entries]
    assert versions == sorted(versions)
    ((version, count, head_chain),) = query(
        world, select(Head.version, Head.entries, Head.chain).where(Head.org_id == world.org)
    )
    assert (count, head_chain) == (len(entries), chain) and version == versions[-1]
    batches = [one for (one,) in query(world, select(Batch.version).where(Batch.org_id == world.org))]
    assert sorted(batches) == sorted(set(versions)), "a version was given away twice, or for nothing"
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run these at the same time, each begun when all are ready; raises what one of them raised."""
    ready = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        ready.wait(PATIENCE_S)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return [one.result(PATIENCE_S) for one in [threads.submit(begin, work) for work in works]]


def sent(phone: Phone, *mutations: dict[str, Any], **more: Any) -> Any:
    """Push until it is taken, as a phone does that is told to try again."""
    for _ in range(200):
        response = phone.send(*mutations, **more)
        if response.status_code != 503:
            assert response.status_code == 200, response.json
            return response.json
        assert response.headers["Retry-After"]
    raise AssertionError("busy for ever")


# --- writers -----------------------------------------------------------------------------------------------------------


def test_phones_that_push_at_once_lose_nothing_and_double_nothing(world: World) -> None:
    phones = [world.phone(who) for who in ("rob", "ria") * (PHONES // 2)]
    planned = [
        [
            [phone.check_in(world.ids["Shop"], ago(minutes=minute)) for minute in range(SIZE)]
            for _ in range(BATCHES)
        ]
        for phone in phones
    ]

    def push(phone: Phone, batches: list[Any]) -> list[Any]:
        return [receipt for batch in batches for receipt in sent(phone, *batch)["receipts"]]

    receipts = at_once(
        *(
            lambda phone=phone, batches=batches: push(phone, batches)
            for phone, batches in zip(phones, planned, strict=True)
        )
    )
    assert {receipt["status"] for one in receipts for receipt in one} == {"applied"}
    known = {mutation["entity"] for batches in planned for batch in batches for mutation in batch}
    stored = [entity for (entity,) in query(world, select(Visit.id).where(Visit.org_id == world.org))]
    assert len(stored) == len(known) == PHONES * BATCHES * SIZE and set(stored) == known
    for one in receipts:
        versions = [receipt["version"] for receipt in one]
        assert versions == sorted(versions)
    assert len({receipt["version"] for one in receipts for receipt in one}) == PHONES * BATCHES
    is_whole(world)


def test_a_reader_who_follows_misses_no_row_however_many_write(world: World) -> None:
    writers = [world.phone(who) for who in ("rob", "ria", "rob", "ria")]
    reader, stop = world.phone("rob"), threading.Event()

    def write(phone: Phone) -> None:
        mine: list[str] = []
        for number in range(BATCHES * 3):
            began = [phone.check_in(world.ids["Shop"], ago(minutes=number)) for _ in range(3)]
            ended = [phone.check_out(visit) for visit in mine[-2:]]
            lead = phone.create("customer", name=f"Lead {number}")
            sent(phone, *began, *ended, lead)
            mine += [one["entity"] for one in began]

    def read() -> int:
        pages = 0
        while True:
            last = stop.is_set()
            pages += len(reader.pull(limit=10))
            if last:
                return pages

    def write_all() -> None:
        try:
            at_once(*(lambda phone=phone: write(phone) for phone in writers))
        finally:
            stop.set()

    _, pages = at_once(write_all, read)
    assert pages > 1
    fresh = world.phone("rob")
    fresh.pull(limit=1000)
    assert reader.replica == fresh.replica
    stored = query(
        world,
        select(Visit.id, Visit.version).where(Visit.org_id == world.org, Visit.rep_id == world.ids["rob"]),
    )
    held = {entity: one["version"] for (kind, entity), one in reader.replica.items() if kind == "visit"}
    assert held == {entity: version for entity, version in stored}  # noqa: C416 - rows, not pairs
    assert len(held) == 2 * BATCHES * 3 * 3
    is_whole(world)


def test_the_same_batch_from_two_tabs_at_once_is_applied_once(world: World) -> None:
    phone = world.phone("rob")
    batch = [phone.check_in(world.ids["Shop"]) for _ in range(SIZE)]
    answers = at_once(*(lambda: sent(phone, *batch) for _ in range(5)))
    assert all(answer["receipts"] == answers[0]["receipts"] for answer in answers)
    assert len(query(world, select(Visit.id).where(Visit.org_id == world.org))) == SIZE
    assert len([entry for entry in journal(world) if entry["kind"] == "visit"]) == SIZE
    is_whole(world)


def test_two_devices_with_one_client_id_never_take_each_others_numbers(world: World) -> None:
    one = world.phone("rob")
    other = world.phone("rob", client=one.client)
    works = [(phone, [phone.check_in(world.ids["Shop"]) for _ in range(SIZE)]) for phone in (one, other)]
    answers = at_once(*(lambda phone=phone, batch=batch: phone.send(*batch) for phone, batch in works))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 409]
    loser = next(answer for answer in answers if answer.status_code == 409)
    assert (loser.json["code"], loser.json["from"], loser.json["receipts"]) == ("CLIENT_FORKED", 1, [])
    assert loser.json["last_seq"] == SIZE
    kept = {entity for (entity,) in query(world, select(Visit.id).where(Visit.org_id == world.org))}
    winner = next(
        batch for answer, (_, batch) in zip(answers, works, strict=True) if answer.status_code == 200
    )
    assert kept == {mutation["entity"] for mutation in winner}
    # the loser takes a new id, names the old one and sends its own again
    phone, batch = next(
        work for answer, work in zip(answers, works, strict=True) if answer.status_code == 409
    )
    phone.predecessor, phone.client = phone.client, str(uuid4())
    assert {receipt["status"] for receipt in phone.push(*batch)} == {"applied"}
    assert len(query(world, select(Visit.id).where(Visit.org_id == world.org))) == 2 * SIZE
    is_whole(world)


def test_a_new_client_id_taken_by_two_people_at_once_belongs_to_one(world: World) -> None:
    client = str(uuid4())
    phones = [world.phone(who, client=client) for who in ("rob", "ria")]
    batches = [[phone.check_in(world.ids["Shop"])] for phone in phones]
    answers = at_once(
        *(
            lambda phone=phone, batch=batch: phone.send(*batch)
            for phone, batch in zip(phones, batches, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(query(world, select(Client.id).where(Client.org_id == world.org, Client.id == client))) == 1
    is_whole(world)


def test_everybody_at_one_customer_at_once_loses_no_word(world: World) -> None:
    phones = [world.phone(who) for who in ("rob", "ria", "mia", "boss", "rob", "ria")]
    edits = []
    for number, phone in enumerate(phones):
        ops = [
            {"field": "address", "op": "set", "old": None, "new": f"{number} Road"},
            {"field": "note", "op": "text", "old": None, "new": f"word{number}"},
            {"field": "tags", "op": "add", "values": [f"tag{number}"]},
        ]
        edits.append(phone.mutation("customer", world.ids["Shop"], "update", ops))
    at_once(
        *(lambda phone=phone, edit=edit: sent(phone, edit) for phone, edit in zip(phones, edits, strict=True))
    )
    shop = next(item for item in world.get("rob", "/api/customers").json["items"] if item["name"] == "Shop")
    assert set(shop["tags"]) == {f"tag{number}" for number in range(len(phones))}
    assert all(f"word{number}" in shop["note"] for number in range(len(phones)))
    mia, boss = world.phone("mia"), world.phone("boss")
    mia.pull()
    boss.pull()
    conflicts = {**mia.held("conflict"), **boss.held("conflict")}
    lost = {one["lost"] for one in conflicts.values() if one["field"] == "address"}
    assert {shop["address"]} | lost >= {f"{number} Road" for number in range(len(phones))}
    is_whole(world)


def test_organisations_write_beside_each_other(world: World) -> None:
    other = World(world.app, f"other-{uuid4().hex[:8]}")
    other.customer("Shop")
    works = []
    for one in (world, other):
        for who in ("rob", "ria"):
            phone = one.phone(who)
            works.append((phone, [phone.check_in(one.ids["Shop"]) for _ in range(SIZE)]))
    at_once(*(lambda phone=phone, batch=batch: sent(phone, *batch) for phone, batch in works))
    for one in (world, other):
        assert len(query(one, select(Visit.id).where(Visit.org_id == one.org))) == 2 * SIZE
        is_whole(one)


# --- the gap that a sequence would leave --------------------------------------------------------------------------------


class Race:
    """Two writers and a reader on PostgreSQL: the first has its version and is held back just before its commit."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = create_app(Config(database_url=url, secret=SECRET))
        self.world = World(self.app)
        self.world.customer("Shop")
        self.slow, self.quick, self.reader = (self.world.phone(who) for who in ("rob", "ria", "rob"))
        self.inside, self.release = threading.Event(), threading.Event()
        real = apply.refresh_days

        def held_back(connection: Any, org_id: str, days: Any) -> None:
            if not self.inside.is_set():
                self.inside.set()
                assert self.release.wait(PATIENCE_S)
            real(connection, org_id, days)

        monkeypatch.setattr(apply, "refresh_days", held_back)

    def read(self) -> set[str]:
        """The names of customers that the reader holds after a pull, which here asks for no lock."""
        reader = self.reader
        with self.app.app_context(), reading() as connection:
            granted = grant.held(connection, self.world.org, self.world.ids["rob"])
            org, now = self.world.org, datetime.now(UTC)
            page = pull.pull(connection, org, reader.client, granted, reader.token, 500, SECRET, now)
        reader._apply(page)
        return {document["name"] for document in reader.held("customer").values()}

    def run(self, meanwhile: Callable[[Any], None]) -> None:
        """A lead each of the slow and of the quick one; `meanwhile` runs while the slow one is held."""
        leads = [phone.create("customer", name=phone.who) for phone in (self.slow, self.quick)]
        try:
            with ThreadPoolExecutor(2) as threads:
                first = threads.submit(self.slow.push, leads[0])
                assert self.inside.wait(PATIENCE_S)
                second = threads.submit(self.quick.push, leads[1])
                try:
                    meanwhile(second)
                finally:
                    self.release.set()
                assert [one.result(PATIENCE_S)[0]["status"] for one in (first, second)] == ["applied"] * 2
        finally:
            self.release.set()

    def somebody_waits(self) -> None:
        """Return when a session of the database stands at a lock."""
        statement = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
        for _ in range(2000):
            with self.app.app_context(), reading() as connection:
                if connection.execute(statement).scalar_one():
                    return
            threading.Event().wait(0.005)
        raise AssertionError("nobody waits")

    def close(self) -> None:
        with self.app.app_context():
            db.engine.dispose()


@pytest.fixture
def race(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Race]:
    race = Race(postgres_url, monkeypatch)
    yield race
    race.close()


def test_no_reader_sees_a_version_while_one_below_it_is_not_committed(race: Race) -> None:
    def meanwhile(second: Any) -> None:
        race.somebody_waits()
        assert not second.done()
        assert race.read() == {"Shop"}

    race.run(meanwhile)
    assert race.read() == {"Shop", "rob", "ria"}


def test_with_a_head_taken_from_a_sequence_a_reader_would_miss_a_row(
    race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    with race.app.app_context(), reading() as connection:
        known = connection.execute(select(Head.version).where(Head.org_id == race.world.org)).scalar_one()
    numbers = itertools.count(known)

    def from_a_sequence(connection: Any, org_id: str) -> dict[str, Any]:
        number = next(numbers)
        return {"org_id": org_id, "version": number, "entries": number * 100, "chain": "", "floor": 0}

    monkeypatch.setattr(apply, "lock_head", from_a_sequence)

    def meanwhile(second: Any) -> None:
        assert second.result(PATIENCE_S)[0]["status"] == "applied"
        assert race.read() == {"Shop", "ria"}

    race.run(meanwhile)
    race.quick.push(race.quick.create("customer", name="Third"))
    assert race.read() == {"Shop", "ria", "Third"}, "what was held back is never told"


# --- busy --------------------------------------------------------------------------------------------------------------


@contextmanager
def writing_elsewhere(world: World) -> Iterator[None]:
    """Another process holds what a writer of this organisation needs."""
    with world.app.app_context():
        url = db.engine.url
        dialect = db.engine.dialect.name
    if dialect == "sqlite":
        connection = sqlite3.connect(str(url.database), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()
        return
    dsn = url.render_as_string(hide_password=False).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn) as outside:
        outside.execute("select version from head where org_id = %s for update", [world.org])
        yield
        outside.rollback()


@pytest.fixture
def impatient(world: World) -> Iterator[None]:
    """The server waits a tenth of a second for a lock."""
    with world.app.app_context():
        engine = db.engine
        engine.dispose()

    def hurry(connection: Any, _: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA busy_timeout=100")
        else:
            connection.execute("SET lock_timeout='100ms'")
            connection.commit()

    event.listen(engine, "connect", hurry)
    yield
    event.remove(engine, "connect", hurry)
    with world.app.app_context():
        engine.dispose()


def test_a_busy_database_answers_503_and_nothing_is_half_done(world: World, impatient: None) -> None:
    phone = world.phone("rob")
    first = [phone.check_in(world.ids["Shop"])]
    phone.push(*first)
    before = journal(world)
    batch = [phone.check_in(world.ids["Shop"]) for _ in range(SIZE)]
    with writing_elsewhere(world):
        response = phone.send(*first, *batch, pull={"token": None, "limit": 100})
        assert (response.status_code, response.json["code"]) == (503, "BUSY")
        assert int(response.headers["Retry-After"]) >= 1
        # where the client stands is said even now, and nothing is acknowledged
        assert (response.json["last_seq"], response.json["receipts"]) == (1, [])
        assert response.json["request_id"]
        # readers are not kept waiting
        assert world.get("mia", "/api/board").status_code == 200
        assert len(world.get("rob", "/api/visits").json["items"]) == 1
    assert journal(world) == before
    assert {receipt["status"] for receipt in phone.push(*first, *batch)} == {"applied"}
    assert len(query(world, select(Visit.id).where(Visit.org_id == world.org))) == 1 + SIZE
    is_whole(world)


def test_who_only_asks_what_is_new_goes_by_a_writer_where_the_database_has_room_for_two(
    world: World, impatient: None
) -> None:
    phone = world.phone("rob")
    phone.push(phone.check_in(world.ids["Shop"]))
    with writing_elsewhere(world):
        response = phone.send(pull={"token": None, "limit": 100})
    with world.app.app_context():
        one_writer = (
            db.engine.dialect.name == "sqlite"
        )  # noting the contact is a write, and SQLite has one writer
    assert response.status_code == (503 if one_writer else 200)
    assert response.json["last_seq"] == 1


def test_a_busy_database_tells_a_client_nothing_of_anothers(world: World, impatient: None) -> None:
    phone, stranger = world.phone("rob"), world.phone("ria")
    phone.push(phone.check_in(world.ids["Shop"]))
    stranger.client = phone.client
    with writing_elsewhere(world):
        response = stranger.send(stranger.check_in(world.ids["Shop"]))
    assert (response.status_code, response.json["last_seq"]) == (503, 0)


def test_signing_in_while_another_writes_is_busy_and_not_an_error(world: World, impatient: None) -> None:
    asked = {"email": "x@x.test", "password": "y", "device": {"client": str(uuid4())}}
    with writing_elsewhere(world):
        response = world.app.test_client().post("/api/session", json=asked)
    # PostgreSQL locks the organisation alone, and signing in needs nothing of it
    assert response.status_code in {503, 401}
    if response.status_code == 503:
        assert response.json["code"] == "BUSY" and response.headers["Retry-After"]


# --- one that fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 2, 4])
def test_what_fails_unexpectedly_is_parked_alone_and_its_neighbours_are_applied(
    world: World, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    real, tries = follow.FOLLOWS["visit"], []

    def fails_on_the_marked_one(work: Any, row: Any, mutation: Any, outcome: Any) -> None:
        if row.values().get("late_reason") == "marked":
            tries.append(mutation.id)
            raise ZeroDivisionError("no rule foresaw this")
        real(work, row, mutation, outcome)

    monkeypatch.setitem(follow.FOLLOWS, "visit", fails_on_the_marked_one)
    phone = world.phone("rob")
    batch = [
        phone.check_in(world.ids["Shop"], late_reason="marked" if number == place else "fine")
        for number in range(5)
    ]
    behind = phone.check_out(batch[place]["entity"])
    response = phone.send(*batch, behind)
    assert response.status_code == 200
    expected = [("applied", None)] * 5 + [("parked", "PARENT_PARKED")]
    expected[place] = ("parked", "INTERNAL")
    assert [(one["status"], one["code"]) for one in response.json["receipts"]] == expected
    assert len(tries) == 3 and set(tries) == {batch[place]["id"]}
    assert phone.push(*batch, behind) == response.json["receipts"]
    assert len(tries) == 3, "what was answered is not tried again"
    phone.pull()
    parked = {one["code"]: one["mutation"] for one in phone.held("parked").values()}
    assert parked["INTERNAL"]["ops"] == batch[place]["ops"]
    assert "no rule foresaw this" not in json.dumps(response.json)
    monkeypatch.undo()
    is_whole(world)


def test_what_fails_once_and_then_works_is_simply_applied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = follow.FOLLOWS["visit"], [ZeroDivisionError("a passing cloud")]

    def fails_once(work: Any, row: Any, mutation: Any, outcome: Any) -> None:
        if failures:
            raise failures.pop()
        real(work, row, mutation, outcome)

    monkeypatch.setitem(follow.FOLLOWS, "visit", fails_once)
    phone = world.phone("rob")
    receipts = phone.push(*(phone.check_in(world.ids["Shop"]) for _ in range(3)))
    assert [receipt["status"] for receipt in receipts] == ["applied"] * 3
    assert len({receipt["version"] for receipt in receipts}) == 1
    is_whole(world)


def test_a_failure_after_the_rows_were_written_leaves_none_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal(world)
    ((visits,),) = query(world, select(func.count()).select_from(Visit).where(Visit.org_id == world.org))

    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("at the last moment")

    monkeypatch.setattr(apply, "_remember", fails)
    phone = world.phone("rob")
    batch = [phone.check_in(world.ids["Shop"]) for _ in range(3)]
    response = phone.send(*batch)
    assert (response.status_code, response.json["code"]) == (500, "INTERNAL")
    monkeypatch.undo()
    assert journal(world) == before
    assert query(world, select(func.count()).select_from(Visit).where(Visit.org_id == world.org)) == [
        (visits,)
    ]
    assert [receipt["status"] for receipt in phone.push(*batch)] == ["applied"] * 3
    is_whole(world)
