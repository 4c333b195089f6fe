"""Tickers that are killed and a push service that fails: each reminder reaches each device and stands once in the inbox."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, update

from server.app import create_app
from server.config import Config
from server.db import db, reading, upsert, writing
from server.exchange.check import check
from server.exchange.door import Change
from server.push import keys
from server.push.model import Attempt, Delivery, Notice, Subscription
from server.push.routes import digest
from server.reminders.model import Reminder
from tests.conftest import SECRET
from tests.pushservice import PushService, Subscriber
from tests.world import World

pytestmark = pytest.mark.slow

PROMISES = int(os.environ.get("ROUNDS_FAULT_REMINDERS", "30"))
"""How many follow-ups fall due; the long form has 10,000."""

KILLS = 3 + PROMISES // 1000  # at most: who is done sooner is not killed any more
PATIENCE_S = 90 + PROMISES // 2


class Unreliable(PushService):
    """Fails one message in five, and is slow about the others."""

    def take(self, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        if random.random() < 0.2:
            return random.choice([(500, {}), (503, {"Retry-After": "1"}), (429, {})])
        return super().take(path, headers, body)


@pytest.fixture
def service() -> Iterator[Unreliable]:
    running = Unreliable(delay_s=0.01)
    yield running
    running.close()


class Tickers:
    """Ticker processes on one database."""

    def __init__(self, url: str, state: Path, log: Path) -> None:
        self.environment = os.environ | {
            "ROUNDS_DATABASE_URL": url,
            "ROUNDS_SECRET": SECRET.decode(),
            "ROUNDS_STATE": str(state),
            "ROUNDS_PUSH_LOOPBACK": "1",
        }
        self.log = log
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "server.ticker"]
            self.running.append(subprocess.Popen(command, env=self.environment, stderr=log, stdout=log))

    def kill_one(self) -> None:
        """The oldest, in the middle of whatever it does."""
        victim = self.running.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    def stop(self) -> None:
        for each in self.running:
            each.terminate()
        for each in self.running:
            each.wait(30)


def due_now(world: World, shop: str, owners: list[str], promises: int = PROMISES) -> None:
    """Follow-ups that fell due a minute ago, of owners who are never quiet, none of whose reminders wait for another."""
    from server.reminders.model import Wish

    with world.app.app_context(), writing() as connection:
        wishes = {"quiet_from": "00:00", "quiet_to": "00:00"}
        rows = [{"org_id": world.org, "person_id": owner, "document": wishes} for owner in owners]
        upsert(Wish, connection, rows)
    changes = [
        Change(
            "follow_up",
            str(uuid4()),
            "create",
            {
                "customer_id": shop,
                "owner_id": owners[number % len(owners)],
                "subject": f"Promise {number}",
                "due_date": "2099-01-01",
                "due_time": "12:00",
                "due_zone": "UTC",
                "status": "open",
            },
        )
        for number in range(promises)
    ]
    receipts = world.write(*changes)
    assert {receipt["status"] for receipt in receipts} == {"applied"}


def fall_due(world: World) -> int:
    """Let each follow-up's first reminder be due by now, spread so that there is work for a while; forget the others."""
    with world.app.app_context(), writing() as connection:
        rows = connection.execute(
            select(Reminder.id)
            .where(Reminder.org_id == world.org, Reminder.rule == "follow_up_due")
            .order_by(Reminder.id)
        ).scalars()
        ids = list(rows)
        start = datetime.now(UTC)
        for number, identity in enumerate(ids):
            at = start + timedelta(seconds=14 * number / len(ids))
            connection.execute(
                update(Reminder)
                .where(Reminder.org_id == world.org, Reminder.id == identity)
                .values(due_at=at)
            )
        connection.execute(
            update(Reminder)
            .where(Reminder.org_id == world.org, Reminder.rule != "follow_up_due")
            .values(state="told")
        )
    return len(ids)


def subscribe(
    world: World, state: Path, service: PushService, owners: list[str]
) -> dict[str, list[Subscriber]]:
    """Two devices each."""
    public = keys.current(state).public
    devices: dict[str, list[Subscriber]] = {}
    now = datetime.now(UTC)
    with world.app.app_context(), writing() as connection:
        for owner in owners:
            for _ in range(2):
                device = service.subscribe()
                devices.setdefault(owner, []).append(device)
                row = {
                    "org_id": world.org,
                    "id": str(uuid4()),
                    "person_id": owner,
                    "endpoint": device.endpoint,
                }
                row |= {"endpoint_digest": digest(device.endpoint), "key": public, "failures": 0}
                row |= {"p256dh": device.document["keys"]["p256dh"], "auth": device.document["keys"]["auth"]}
                connection.execute(insert(Subscription), [row | {"created_at": now, "renewed_at": now}])
    return devices


def rows(world: World, statement: Any) -> list[Any]:
    with world.app.app_context(), reading() as connection:
        return list(connection.execute(statement).all())


def open_ends(world: World) -> int:
    """How many reminders are not told yet, and notices not delivered."""
    of_ours = (Reminder.org_id == world.org, Reminder.rule == "follow_up_due", Reminder.state == "waiting")
    of_devices = (Delivery.org_id == world.org, Delivery.state == "waiting")
    counted = [
        rows(world, select(func.count()).select_from(model).where(*those))
        for model, those in ((Reminder, of_ours), (Delivery, of_devices))
    ]
    return sum(number for ((number,),) in counted)


def hurry(world: World) -> None:
    """Waits and leases are of minutes; the test has seconds."""
    with world.app.app_context(), writing() as connection:
        now = datetime.now(UTC)
        connection.execute(
            update(Delivery)
            .where(Delivery.org_id == world.org, Delivery.state == "waiting", Delivery.due_at > now)
            .values(due_at=now)
        )
        connection.execute(
            update(Delivery)
            .where(Delivery.org_id == world.org, Delivery.leased_until < now + timedelta(seconds=50))
            .values(leased_until=None)
        )


@pytest.mark.parametrize(("engine", "tickers"), [("postgresql", 3), ("sqlite", 1)])
def test_killed_tickers_and_a_failing_push_service_lose_no_reminder_and_double_none_in_the_inbox(
    engine: str, tickers: int, request: pytest.FixtureRequest, service: Unreliable, tmp_path: Path
) -> None:
    url = request.getfixturevalue("sqlite_url" if engine == "sqlite" else "postgres_url")
    state = tmp_path / "state"
    app = create_app(Config(database_url=url, secret=SECRET, state_dir=state, lock_timeout_ms=20_000))
    world = World(app)
    shop = world.customer("Shop")
    more = [world.person(f"rep{number}", "rep", "north") for number in range(PROMISES // 100)]
    owners = [world.ids[name] for name in ("rob", "ria", "sam")] + more
    due_now(world, shop, owners)
    devices = subscribe(world, state, service, owners)
    several = Tickers(url, state, tmp_path / "tickers.log")
    for _ in range(tickers):
        several.start()
    reminders = fall_due(world)
    assert reminders == PROMISES
    try:
        until, killed, seen = time.monotonic() + PATIENCE_S, 0, (0, 0)
        while time.monotonic() < until and open_ends(world):
            ((tried, known),) = rows(
                world,
                select(func.count(), func.count(Attempt.outcome)).where(Attempt.org_id == world.org),
            )
            # In the middle of its work; where many are killed, some of it comes to its end in between.
            if killed < KILLS and tried > seen[0] and (killed < 3 or known > seen[1]):
                several.kill_one()
                several.start()
                killed, seen = killed + 1, (tried, known)
            hurry(world)
            time.sleep(0.1)
    finally:
        several.stop()
    log = several.log.read_text()
    assert not open_ends(world), log[-2000:]
    assert killed, "nobody was killed in the middle of the work"

    of_ours = (Reminder.org_id == world.org, Reminder.rule == "follow_up_due")
    told = rows(world, select(Reminder.id, Reminder.notice_id).where(*of_ours))
    assert len(told) == PROMISES and all(notice for _, notice in told), "none was lost"
    notices = rows(world, select(Notice.id, Notice.person_id, Notice.about).where(Notice.org_id == world.org))
    about = Counter(thing["id"] for _, _, things in notices for thing in things)
    assert len(about) == PROMISES and set(about.values()) == {1}, "each stands once in an inbox"
    of = {identity: person for identity, person, _ in notices}
    for person, each in devices.items():
        mine = {identity for identity, whose in of.items() if whose == person}
        for device in each:
            heard = [message.document for message in device.messages]
            assert {one["notice"] for one in heard} == mine, "each device heard of each"
            for notice, times in Counter(one["notice"] for one in heard).items():
                loud = [one for one in heard if one["notice"] == notice and not one["silent"]]
                assert len(loud) <= 1, f"a repeat of {notice} made a sound"
                assert {one["tag"] for one in heard if one["notice"] == notice} == {notice}
                assert times < 10
    attempts = rows(
        world, select(Attempt.notice_id, Attempt.subscription_id).where(Attempt.org_id == world.org)
    )
    reached = sum(device.attempts for each in devices.values() for device in each)
    assert len(attempts) >= reached, "every attempt was on record before it was made"
    unknown = rows(world, select(Attempt.n).where(Attempt.org_id == world.org, Attempt.outcome.is_(None)))
    messages = [
        message.document for each in devices.values() for device in each for message in device.messages
    ]
    print(
        f"{engine}: {PROMISES} reminders in {len(notices)} notices, {len(attempts)} attempts, {killed} tickers killed,"
        f" {len(unknown)} attempts of which nobody knows, {sum(one['silent'] for one in messages)} silent repeats"
    )
    with app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
    with app.app_context():
        db.engine.dispose()


def test_a_ticker_says_that_it_ticks_and_nothing_of_each_beat(sqlite_url: str, tmp_path: Path) -> None:
    state, log = tmp_path / "state", tmp_path / "ticker.log"
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=state, lock_timeout_ms=20_000))
    world = World(app)
    shop = world.customer("Shop")
    alone = Tickers(sqlite_url, state, log)
    alone.start()
    try:
        until = time.monotonic() + PATIENCE_S
        for who in ("rob", "ria", "sam"):  # one after the other, so that each is told in a beat of its own
            due_now(world, shop, [world.ids[who]], promises=1)
            fall_due(world)
            while not rows(world, select(Notice.id).where(Notice.person_id == world.ids[who])):
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
    finally:
        alone.stop()
    assert [json.loads(line)["message"] for line in log.read_text().splitlines()] == ["the ticker ticks"]
    with app.app_context():
        db.engine.dispose()
