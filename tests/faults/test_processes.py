"""Real servers under fire: two on one database, killed at random, cut off, locked out, put back in the middle of traffic.

ROUNDS_FAULT_ROUNDS makes it longer (1), ROUNDS_FAULT_SEED repeats what a run printed.
"""

import http.client
import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from server.app import create_app
from server.config import Config
from server.exchange.model import Journal, Parked
from tests.conftest import SECRET
from tests.faults.afterwards import (
    day,
    day_after,
    everything_is_there_once,
    head,
    holds_what_the_server_holds,
    let_go,
    rows,
)
from tests.faults.outbox import Outbox
from tests.live import LiveServer
from tests.machine import postgres_programs
from tests.postgres import Cluster
from tests.proxy import Proxy
from tests.world import World

pytestmark = pytest.mark.slow

PATIENCE_S = 120
ROUNDS = int(os.environ.get("ROUNDS_FAULT_ROUNDS", "1"))


@pytest.fixture
def chance() -> random.Random:
    """Chance with a seed that is printed, so that a failure can be played again."""
    seed = int(os.environ.get("ROUNDS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"ROUNDS_FAULT_SEED={seed}")
    return random.Random(seed)


@contextmanager
def looked_at(database_url: str, folder: Path) -> Iterator[World]:
    """A small organisation of a test's own, looked at past the servers."""
    app = create_app(Config(database_url=database_url, secret=SECRET, state_dir=folder / "beside"))
    world = World(app, f"acme-{uuid4().hex[:8]}")
    world.customer("Shop")
    yield world
    let_go(world)


def file_of(database_url: str) -> Path | None:
    path = database_url.removeprefix("sqlite:///")
    return Path(path) if path != database_url else None


def dsn_of(database_url: str) -> str:
    return database_url.replace("postgresql+psycopg", "postgresql")


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[LiveServer]:
    server = LiveServer(database_url, folder, ROUNDS_LOCK_TIMEOUT_MS="300")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def at_work(outboxes: list[Outbox], each: Callable[[Outbox], Any]) -> Iterator[threading.Condition]:
    """Phones that go on sending while the block runs; the condition tells of every exchange that moved something on."""
    moved, done = threading.Condition(), threading.Event()

    def carry(outbox: Outbox) -> None:
        while not done.is_set() and outbox.unsent:
            each(outbox)
            with moved:
                moved.notify_all()

    threads = [threading.Thread(target=carry, args=(outbox,), daemon=True) for outbox in outboxes]
    for thread in threads:
        thread.start()
    try:
        yield moved
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)


def acknowledged(outboxes: list[Outbox]) -> int:
    return sum(len(outbox.receipts) for outbox in outboxes)


# --- two servers on one database -----------------------------------------------------------------------------------------

Pair = tuple[str, LiveServer, LiveServer]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers on one database, with its address; both are started when they are given to a test."""
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as ends:
        if request.param == "sqlite":
            shutil.copyfile(request.getfixturevalue("_sqlite_template"), folder / "rounds.db")
            url = f"sqlite:///{folder / 'rounds.db'}"
        else:
            running: Cluster = request.getfixturevalue("postgres")
            url = ends.enter_context(running.database(request.getfixturevalue("_postgres_template")))
        one = ends.enter_context(serving(url, folder / "one"))
        yield url, one, ends.enter_context(serving(url, folder / "two"))


@pytest.fixture
def world(pair: Pair, tmp_path: Path) -> Iterator[World]:
    """A small organisation in the database of the pair."""
    with looked_at(pair[0], tmp_path) as world:
        yield world


def test_two_servers_on_one_database_killed_at_random_lose_nothing_and_double_nothing(
    world: World, pair: Pair, chance: random.Random
) -> None:
    database_url, one, two = pair
    outboxes = [Outbox(world, who, one.url) for who in ("rob", "ria", "rob")]
    for outbox in outboxes:
        day(outbox, 6 * ROUNDS)
    total = sum(len(outbox.log) for outbox in outboxes)
    paths = {outbox: Proxy(server.port) for outbox, server in zip(outboxes, (one, two, one), strict=True)}
    for outbox, path in paths.items():
        outbox.url = path.url

    def each(outbox: Outbox) -> None:
        if not outbox.exchange():  # to the other one, as a balancer would send it
            path = paths[outbox]
            path.upstream_port = one.port if path.upstream_port == two.port else two.port

    try:
        with at_work(outboxes, each) as moved:
            for number in range(ROUNDS):
                goal = chance.randrange(total * number // (ROUNDS + 1), total * (number + 1) // (ROUNDS + 1))
                with moved:
                    assert moved.wait_for(lambda: acknowledged(outboxes) >= goal, PATIENCE_S)  # noqa: B023
                victim = chance.choice((one, two))
                chance.choice(list(paths.values())).set("pass", cut=True)
                victim.kill()
                known = {receipt["id"] for each in outboxes for receipt in list(each.receipts.values())}
                stored = {identity for (identity,) in rows(world, select(Journal.mutation_id))}
                assert known <= stored, "an acknowledged mutation was not stored"
                victim.start()
        for outbox in outboxes:
            outbox.url = two.url
            outbox.settle()
    finally:
        for path in paths.values():
            path.close()
    everything_is_there_once(world, file_of(database_url), *outboxes)
    holds_what_the_server_holds(outboxes[0], one.url)


# --- locked out ----------------------------------------------------------------------------------------------------------


@contextmanager
def holding(database_url: str) -> Iterator[None]:
    """Somebody else's transaction that keeps the organisation's lock."""
    path = file_of(database_url)
    if path is not None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        return
    with psycopg.connect(dsn_of(database_url)) as connection:
        connection.execute("select * from head for update")
        yield
        connection.rollback()


def sent(outbox: Outbox, *mutations: dict[str, Any]) -> tuple[int, str | None, Any]:
    """One exchange in the open: status, Retry-After, answer."""
    connection = http.client.HTTPConnection(outbox.url.removeprefix("http://"), timeout=30)
    headers = {
        "Authorization": f"Bearer {outbox.world.tokens[outbox.who]}",
        "Content-Type": "application/json",
    }
    connection.request("POST", "/api/sync", json.dumps(outbox.envelope(*mutations)), headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers["Retry-After"], json.loads(answer.read())
    connection.close()
    return found


def test_who_finds_the_lock_held_for_long_is_told_when_to_come_again_and_loses_nothing(
    world: World, pair: Pair
) -> None:
    database_url, server, _ = pair
    outbox = Outbox(world, "rob", server.url)
    day(outbox, 4)
    assert outbox.exchange()
    known = outbox.next - 1
    with holding(database_url):
        for _ in range(2):
            status, wait, answer = sent(outbox, *outbox.log[known : known + 3])
            assert (status, answer["code"], answer["last_seq"]) == (503, "BUSY", known)
            assert wait and int(wait) > 0 and answer["receipts"] == []
    outbox.settle()
    everything_is_there_once(world, file_of(database_url), outbox)


# --- no poison -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["postgresql"], indirect=True)
def test_connections_that_the_database_ends_are_no_fault_of_what_was_being_written(
    world: World, pair: Pair, chance: random.Random
) -> None:
    database_url, server, _ = pair
    with psycopg.connect(dsn_of(database_url), autocommit=True) as killer:
        outboxes = [Outbox(world, who, server.url) for who in ("rob", "ria")]
        for outbox in outboxes:
            day(outbox, 4 * ROUNDS)
        total, ended = sum(len(outbox.log) for outbox in outboxes), 0
        with at_work(outboxes, Outbox.exchange) as moved:
            while acknowledged(outboxes) < total:
                with moved:
                    moved.wait(chance.random() / 20)
                ended += len(
                    killer.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'"
                    ).fetchall()
                )
                if ended > 20 * ROUNDS:
                    break
        for outbox in outboxes:
            outbox.settle()
        assert ended
        assert rows(world, select(Parked.code).where(Parked.org_id == world.org)) == []
        everything_is_there_once(world, None, *outboxes)


# --- put back ------------------------------------------------------------------------------------------------------------


def dumped(database_url: str, file: Path) -> None:
    _tool("pg_dump", "--format=custom", f"--file={file}", f"--dbname={dsn_of(database_url)}")


def undumped(database_url: str, file: Path) -> None:
    """Put a dump in the place of a database: drop it, make it anew, fill it."""
    url = make_url(database_url)
    with psycopg.connect(dsn_of(database_url).replace(str(url.database), "postgres"), autocommit=True) as one:
        one.execute(f"drop database {url.database} with (force)")
        one.execute(f"create database {url.database} template template0")
    _tool("pg_restore", "--exit-on-error", f"--dbname={dsn_of(database_url)}", str(file))


def _tool(name: str, *arguments: str) -> None:
    programs = postgres_programs()
    assert programs is not None
    if not (programs / name).exists():
        pytest.skip(f"{name} is not on this machine")
    done = subprocess.run([programs / name, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# An SQLite file has no standby that could take over.
COPIES = [("sqlite_url", "put back"), ("postgres_url", "failed over")]
COPIES += [("postgres_url", "put back")] if ROUNDS > 1 else []


@pytest.mark.parametrize(("database", "how"), COPIES)
def test_a_copy_taken_in_the_middle_of_traffic_and_put_back_gets_again_what_it_lost(
    database: str, how: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database_url = request.getfixturevalue(database)
    file = file_of(database_url)
    copy = tmp_path / "copy"
    with looked_at(database_url, tmp_path) as world, serving(database_url, tmp_path / "state") as server:
        rob, ria, mia = (Outbox(world, who, server.url) for who in ("rob", "ria", "mia"))
        day(rob, 6)
        day(ria, 10)
        with at_work([rob, ria], Outbox.exchange) as moved:
            with moved:
                assert moved.wait_for(lambda: acknowledged([rob, ria]) > 8, PATIENCE_S)
            if file is not None:
                assert "verified" in server.rounds("backup", str(copy))
            else:
                dumped(database_url, copy)
            before = head(world)
            with moved:  # more than the copy can hold
                moved.wait_for(lambda: not (rob.unsent or ria.unsent), PATIENCE_S)
        day_after(rob, 2)
        rob.settle()
        mia.settle()
        reader = Outbox(world, "rob", server.url)  # a phone in the middle of its first scan
        reader.limit = 10
        assert reader.exchange() and reader.more
        known = head(world)
        assert known > before

        server.stop()
        let_go(world)
        if file is not None:
            assert "verified" in server.rounds("restore", str(copy), "--yes")
        else:
            undumped(database_url, copy)
            if how == "put back":
                assert "verified" in server.rounds("restore", "--in-place")
        server.start()
        if how == "failed over":
            rob.exchange()  # nobody said a word: who has seen what was lost lets the head jump
        assert head(world) >= known + 900_000, "a version would be given away twice"

        reader.settle()
        for outbox in (mia, rob, ria):
            outbox.settle()
        everything_is_there_once(world, file, rob, ria)
        for outbox in (reader, rob, ria, mia):
            holds_what_the_server_holds(outbox, server.url)
