"""A server that is killed, a network that loses, a database put back from a backup: acknowledged is stored, and once."""

import json
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from server.app import create_app
from server.config import Config
from server.db import reading
from server.exchange.check import check
from server.exchange.model import Journal
from server.visits.model import Visit
from tests.conftest import SECRET
from tests.faults.afterwards import (
    day,
    day_after,
    everything_is_there_once,
    head,
    holds_what_the_server_holds,
    let_go,
    rows,
    version_of,
)
from tests.faults.outbox import Outbox
from tests.live import LiveServer
from tests.proxy import Proxy
from tests.world import World

pytestmark = pytest.mark.slow

PATIENCE_S = 120


@pytest.fixture
def database(sqlite_url: str) -> Path:
    """The file of the database."""
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    """A small organisation in the database of the live server, looked at past the server."""
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "beside"))
    world = World(app)
    world.customer("Shop")
    yield world
    let_go(world)


# --- killed ------------------------------------------------------------------------------------------------------------


def test_a_server_killed_again_and_again_keeps_all_it_acknowledged_and_doubles_nothing(
    world: World, database: Path, live_server: LiveServer
) -> None:
    outboxes = [Outbox(world, who, live_server.url) for who in ("rob", "ria", "rob")]
    for outbox in outboxes:
        day(outbox, 40)
    moved, done = threading.Condition(), threading.Event()

    def carry(outbox: Outbox) -> None:
        while not done.is_set() and outbox.unsent:
            outbox.exchange()
            with moved:
                moved.notify_all()

    threads = [threading.Thread(target=carry, args=(outbox,), daemon=True) for outbox in outboxes]
    for thread in threads:
        thread.start()
    kills = 0
    try:
        for goal in (20, 60, 110, 170):
            with moved:
                assert moved.wait_for(lambda: sum(len(one.receipts) for one in outboxes) >= goal, PATIENCE_S)  # noqa: B023
            live_server.kill()
            kills += 1
            acknowledged = {
                receipt["id"] for outbox in outboxes for receipt in list(outbox.receipts.values())
            }
            with closing(sqlite3.connect(database)) as connection:
                stored = {str(one) for (one,) in connection.execute("select mutation_id from journal")}
            assert acknowledged <= stored, "an acknowledged mutation was not on the disk"
            live_server.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    finally:
        done.set()
    assert kills == 4 and sum(outbox.failures for outbox in outboxes) > 0
    for outbox in outboxes:
        outbox.settle()
        assert outbox.receipts.keys() == set(range(1, len(outbox.log) + 1))
    everything_is_there_once(world, database, *outboxes)
    holds_what_the_server_holds(outboxes[1], live_server.url)


def test_a_server_that_is_asked_to_stop_keeps_what_it_acknowledged(
    world: World, database: Path, live_server: LiveServer
) -> None:
    outbox = Outbox(world, "rob", live_server.url)
    day(outbox, 30)
    stopping = threading.Thread(target=live_server.stop)
    assert outbox.exchange()
    stopping.start()
    while outbox.exchange() and outbox.unsent:
        pass
    stopping.join(PATIENCE_S)
    with closing(sqlite3.connect(database)) as connection:
        stored = {str(one) for (one,) in connection.execute("select mutation_id from journal")}
    assert {receipt["id"] for receipt in outbox.receipts.values()} <= stored
    live_server.start()
    outbox.settle()
    everything_is_there_once(world, database, outbox)


# --- many at once --------------------------------------------------------------------------------------------------------


def test_two_processes_on_postgresql_and_eight_writers_leave_no_gap_for_a_reader(
    postgres_url: str, tmp_path: Path
) -> None:
    app = create_app(Config(database_url=postgres_url, secret=SECRET, state_dir=tmp_path / "beside"))
    world = World(app)
    world.customer("Shop")
    server = LiveServer(postgres_url, tmp_path / "state")
    server.start()
    try:
        writers = [Outbox(world, who, server.url) for who in ("rob", "ria") * 4]
        for writer in writers:
            day(writer, 12)
        reader, stop = Outbox(world, "rob", server.url), threading.Event()
        pages = []

        def read() -> None:
            while not stop.is_set() or not pages:
                if reader.exchange():
                    pages.append(reader.more)

        threads = [threading.Thread(target=writer.settle) for writer in writers]
        following = threading.Thread(target=read)
        for thread in (*threads, following):
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        stop.set()
        following.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in (*threads, following)) and pages
        assert not any(writer.unsent for writer in writers)
        holds_what_the_server_holds(reader, server.url)
        written = {
            mutation["entity"]
            for writer in writers
            for mutation in writer.log
            if writer.who == "rob" and mutation["verb"] == "create" and mutation["kind"] == "visit"
        }
        assert set(reader.held("visit")) == written
        with app.app_context(), reading() as connection:
            assert check(connection, world.org) == []
    finally:
        server.stop()
        let_go(world)


# --- a bad network -----------------------------------------------------------------------------------------------------


def test_a_network_that_loses_answers_and_connections_loses_no_visit_and_doubles_none(
    world: World, database: Path, live_server: LiveServer, proxied_server: Proxy
) -> None:
    outboxes = [Outbox(world, who, proxied_server.url) for who in ("rob", "ria")]
    for outbox in outboxes:
        day(outbox, 14)
    # each step: what the network does during the next exchange of every phone
    weather = ["pass", "lose_answers", "lose_answers", "refuse", "pass", "lose_answers", "silence", "refuse"]
    for mode in weather:
        proxied_server.set(mode)  # type: ignore[arg-type]
        for outbox in outboxes:
            outbox.patience_s = 2 if mode == "silence" else 30
            before = outbox.next
            came = outbox.exchange()
            assert came == (mode == "pass")
            assert came or outbox.next == before, "nothing counts as sent before it was acknowledged"
    assert proxied_server.answers_lost >= 3 * len(outboxes)
    proxied_server.set("pass")
    for outbox in outboxes:
        outbox.settle()
    everything_is_there_once(world, database, *outboxes)
    holds_what_the_server_holds(outboxes[0], live_server.url)


def test_connections_cut_in_the_middle_leave_all_of_a_batch_or_none(
    world: World, database: Path, live_server: LiveServer, proxied_server: Proxy
) -> None:
    outbox = Outbox(world, "rob", proxied_server.url, patience_s=5)
    day(outbox, 20)
    cut = threading.Event()

    def keep_cutting() -> None:
        while not cut.wait(0.02):
            proxied_server.set("pass", cut=True)

    cutting = threading.Thread(target=keep_cutting, daemon=True)
    cutting.start()
    try:
        for _ in range(40):
            outbox.exchange()
    finally:
        cut.set()
        cutting.join(PATIENCE_S)
    stored = rows(world, select(Journal.seq, Journal.version).where(Journal.client_id == outbox.client))
    assert sorted(seq for seq, _ in stored) == list(range(1, len(stored) + 1))
    assert len(stored) >= outbox.next - 1
    outbox.settle()
    everything_is_there_once(world, database, outbox)


def test_a_body_that_breaks_off_changes_nothing(world: World, live_server: LiveServer) -> None:
    outbox = Outbox(world, "rob", live_server.url)
    day(outbox, 3)
    body = json.dumps(outbox.envelope(*outbox.log)).encode()
    head = (
        f"POST /api/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.tokens['rob']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for length in (0, 10, len(body) // 2, len(body) - 1):
        with socket.create_connection(("127.0.0.1", live_server.port), timeout=5) as connection:
            connection.sendall(head + body[:length])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert rows(world, select(Visit.id).where(Visit.org_id == world.org)) == []
    outbox.settle()
    assert len(rows(world, select(Visit.id).where(Visit.org_id == world.org))) == 3


# --- put back ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["asks", "writes"])
def test_a_database_put_back_from_a_backup_gets_again_what_it_lost(
    world: World, database: Path, live_server: LiveServer, tmp_path: Path, first: str
) -> None:
    rob, ria, mia = (Outbox(world, who, live_server.url) for who in ("rob", "ria", "mia"))
    day(rob, 5)
    day(ria, 2)
    for outbox in (rob, ria, mia):
        outbox.settle()
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    before = head(world)
    day_after(rob, 6)
    for outbox in (rob, mia):
        outbox.settle()
    lost = rows(world, select(Visit.id).where(Visit.org_id == world.org, Visit.version > before))
    known = head(world)
    assert len(lost) == 6 and known > before

    live_server.stop()
    let_go(world)
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(backup, database)
    live_server.start()
    assert head(world) == before

    if first == "writes":  # the phone has something new before it hears of it
        day_after(rob, 1)
    ria.settle()  # who saw nothing of what was lost notices nothing
    resets = rob.resets
    assert rob.exchange()
    assert head(world) >= known + 1_000_000, "a version would be given away twice"
    rob.settle()
    mia.settle()
    assert rob.resets > resets or rob.gaps
    assert min(version_of(world, visit) for (visit,) in lost) > known + 1_000_000
    everything_is_there_once(world, database, rob, ria)
    for outbox in (rob, ria, mia):
        holds_what_the_server_holds(outbox, live_server.url)
