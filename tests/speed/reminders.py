"""Reminders: finding what is due among a million open follow-ups, and what one ticker pushes while people go on working.

The schedule has three reminders for each follow-up, as the ticker finds it. The push service is in a process of its own on
this machine and answers after 100 ms; while the ticker delivers, two phones exchange as they do without it.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import Engine, create_engine, func, insert, select

from server.config import Config
from server.db import engine_options
from server.push import keys
from server.push.model import Delivery, Subscription
from server.push.routes import digest
from server.reminders.tell import _due
from tests.live import LiveServer
from tests.postgres import Cluster
from tests.pushservice import PushService
from tests.speed import seed
from tests.speed.load import Result, post

FOLLOW_UPS = 1_000_000
DUE = 500
REPS = 1000
DEVICES = 100
NOTICES = 10  # a device's
EXCHANGES = 60
TIMES = 30


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    for name, url in (
        ("PostgreSQL", cluster.create("reminders")),
        ("SQLite", f"sqlite:///{folder / 'reminders.db'}"),
    ):
        reps = seed.organisation(url, REPS, 1)
        _fill(url, [rep.id for rep in reps])
        for due in (0, 1, DUE):
            least, own = _scan(url, due)
            told = "wanted: under 20" if due == DUE else ""
            yield f"{f'{name}, {due} due':26}{least:11.2f} ms   ({own:.2f} ms of the ticker's own time) {told}"
    for name, url in (
        ("PostgreSQL", cluster.create("pushed")),
        ("SQLite", f"sqlite:///{folder / 'pushed.db'}"),
    ):
        reps = seed.organisation(url, DEVICES, 1)
        rate, alone, beside = _push(url, reps, folder / name)
        yield f"{name + ', pushes a minute':30}{rate:7,.0f}      wanted: at least 1,000"
        ratio = beside.median / alone.median
        times = f"p50 {beside.median:.1f} ms, p95 {beside.percentile(0.95):.1f} ms"
        yield f"{'an exchange meanwhile / alone':30}{ratio:7.2f}      ({times})"


NOON = datetime(2031, 1, 15, 12, tzinfo=UTC)


def _fill(url: str, people: list[str]) -> None:
    """The three reminders of each follow-up, in the years after `NOON`."""
    org = seed.organisation_of(url)
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.executescript(
                "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-500000"
            )
            connection.execute("create temp table who (n integer primary key, id text)")
            connection.executemany("insert into who values (?, ?)", enumerate(people))
            connection.execute(
                """
                with recursive counted (n) as (select 0 union all select n + 1 from counted where n < ? - 1)
                insert into reminder (org_id, id, person_id, rule, about_kind, about_id, owed_at, due_at, state, notice_id)
                select ?, printf('%08d-0000-4000-8000-%012d', moments.n, rule.n), who.id, rule.name, 'follow_up',
                       printf('%08d-0000-4000-9000-000000000000', moments.n), at, at, 'waiting', null
                from (
                    select n, strftime('%Y-%m-%d %H:%M:%f', ?, '+' || (60 + n) || ' minutes') || '000' as at from counted
                ) moments
                join who on who.n = moments.n % ?
                join (
                    select 1 as n, 'follow_up_due' as name union select 2, 'follow_up_overdue' union select 3, 'escalation'
                ) rule
                """,
                (FOLLOW_UPS, org, NOON.strftime("%Y-%m-%d %H:%M:%S"), len(people)),
            )
            connection.execute("analyze")
        connection.close()
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("pragma journal_mode=wal")
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
        link.execute(
            """
            insert into reminder (org_id, id, person_id, rule, about_kind, about_id, owed_at, due_at, state)
            select %s, gen_random_uuid(), (%s::uuid[])[1 + n %% %s], rule, 'follow_up', gen_random_uuid(),
                   at, at, 'waiting'
            from generate_series(0, %s - 1) n,
                 lateral (select %s::timestamptz + (60 + n) * interval '1 minute' as at) moment,
                 unnest(array['follow_up_due', 'follow_up_overdue', 'escalation']) rule
            """,
            (org, people, len(people), FOLLOW_UPS, NOON),
        )
        link.execute("vacuum analyze reminder")


def _scan(url: str, due: int) -> tuple[float, float]:
    """ms to find what is due, of so many, as the ticker asks for it: the quickest time, and what this process worked."""
    org = seed.organisation_of(url)
    # The n-th follow-up falls due n minutes after an hour; three reminders each.
    now = NOON + timedelta(minutes=59 + (due + 2) // 3)
    engine = _engine(url)
    took, worked = [], time.process_time()
    with engine.connect() as connection:
        for _ in range(TIMES):
            begun = time.perf_counter()
            found = _due(connection, org, now, max(due, 1))
            took.append((time.perf_counter() - begun) * 1000)
            assert len(found) == due, len(found)
    worked = (time.process_time() - worked) * 1000 / TIMES
    engine.dispose()
    return min(took), worked


def _engine(url: str) -> Engine:
    return create_engine(url, **engine_options(Config(database_url=url, secret=seed.SECRET)))


# -- pushes ------------------------------------------------------------------------------------------------------------


def _push(url: str, reps: list[seed.Rep], state: Path) -> tuple[float, Result, Result]:
    """Pushes a minute of one ticker, and exchanges without it and beside it."""
    state.mkdir()
    service = PushService(delay_s=0.1)
    server = LiveServer(url, state, ROUNDS_SECRET=seed.SECRET.decode())
    server.start()
    engine = _engine(url)
    try:
        _exchange(server.port, reps)
        alone = _exchange(server.port, reps)
        _owe(engine, url, reps, state, service)
        found: list[Result] = []
        working = threading.Thread(target=lambda: found.append(_exchange(server.port, reps)))
        begun = time.perf_counter()
        ticker = _ticker(server)
        try:
            working.start()
            while _open(engine):
                if ticker.poll() is not None:
                    raise RuntimeError("the ticker died")
                time.sleep(0.05)
            seconds = time.perf_counter() - begun
            working.join()
        finally:
            ticker.send_signal(signal.SIGTERM)
            ticker.wait(30)
    finally:
        server.stop()
        engine.dispose()
        service.close()
    heard = sum(len(device.messages) for device in service.subscribers.values())
    assert heard == DEVICES * NOTICES, f"{heard} messages arrived; {service.faults[:1]}"
    return heard / seconds * 60, alone, found[0]


def _ticker(server: LiveServer) -> subprocess.Popen[bytes]:
    environment = server.environment | {"ROUNDS_PUSH_LOOPBACK": "1"}
    with open(os.devnull, "wb") as nothing:
        return subprocess.Popen([sys.executable, "-m", "server.ticker"], env=environment, stderr=nothing)


def _exchange(port: int, reps: list[seed.Rep]) -> Result:
    """Two phones ask what is new, one visit with each."""
    now = datetime.now(UTC)
    pair = reps[:2]
    bodies = [[rep.exchange(rep.creates(1, 10, now)) for _ in range(EXCHANGES)] for rep in pair]
    return post(port, "/api/sync", bodies, [[rep.headers] * EXCHANGES for rep in pair], keep=False)


def _owe(engine: Engine, url: str, reps: list[seed.Rep], state: Path, service: PushService) -> None:
    public = keys.current(state).public
    org, now = seed.organisation_of(url), datetime.now(UTC)
    devices: list[dict[str, Any]] = []
    for rep in reps:
        device = service.subscribe()
        row = {
            "org_id": org,
            "id": str(uuid4()),
            "person_id": rep.id,
            "endpoint": device.endpoint,
            "key": public,
        }
        row |= {"endpoint_digest": digest(device.endpoint), **device.document["keys"], "failures": 0}
        devices.append(row | {"created_at": now, "renewed_at": now})
    owed = []
    for _ in range(NOTICES):
        for device in devices:
            notice = str(uuid4())
            payload = {
                "notice": notice,
                "tag": notice,
                "title": "Send the quote",
                "body": "Anchor · due 15:00",
            }
            row = {"org_id": org, "notice_id": notice, "subscription_id": device["id"], "payload": payload}
            row |= {
                "urgency": "high",
                "due_at": now,
                "ends_at": now + timedelta(hours=12),
                "state": "waiting",
            }
            owed.append(row | {"attempts": 0})
    with engine.execution_options(write=True).begin() as connection:
        connection.execute(insert(Subscription), devices)
        connection.execute(insert(Delivery), owed)


def _open(engine: Engine) -> int:
    with engine.connect() as connection:
        found = select(func.count()).select_from(Delivery).where(Delivery.state == "waiting")
        return int(connection.execute(found).scalar_one())
