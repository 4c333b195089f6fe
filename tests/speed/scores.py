"""Scores: a month of 1,000 reps with all process indicators, out of 5 million visits rolled up, on either database."""

import gc
import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson
import psycopg
from sqlalchemy import Connection, Table, create_engine

from server.auth import Principal
from server.config import Config
from server.db import engine_options
from server.followups.model import FollowUp
from server.indicators import scores
from server.indicators.facts import SUMS
from server.indicators.facts_model import FactDay, FactMonth
from server.indicators.model import IndicatorScheme, IndicatorTarget
from server.indicators.periods import period_of
from server.indicators.reckon import open_book, people_of, scores_of
from server.indicators.templates import TEMPLATES
from tests.postgres import Cluster
from tests.speed import seed

REPS = 1000
A_DAY = 20
DAYS = 250
AHEAD = 10
SYNCED = {"version": 1, "created_by": "", "archived": False, "extra": {}, "stamps": {}}


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    for name, url in (
        ("PostgreSQL", cluster.create("scores")),
        ("SQLite", f"sqlite:///{folder / 'scores.db'}"),
    ):
        reps = seed.organisation(url, REPS, 1)
        for table, rows in _tables(url, reps):
            _fill(url, table, rows)
        for kind in ("month", "week", "day"):
            for what, asked in (("", _scores), (", as JSON", _answer)):
                wall, busy = _measure(url, kind, asked)
                wanted = " wanted: under 100" if kind == "month" and not what else ""
                said = f"{name}, a {kind}{what}"
                yield f"{said:28}{wall:11.2f} ms, of it {busy:.2f} ms of this process{wanted}"


def _tables(url: str, reps: list[seed.Rep]) -> Iterator[tuple[Any, Iterable[dict[str, Any]]]]:
    org, today = seed.organisation_of(url), datetime.now(UTC).date()
    yield (
        FactDay.__table__,
        (
            {"org_id": org, "person_id": rep.id, "day": (today - timedelta(days=ago)).isoformat()}
            | (_sums(number, A_DAY) if ago >= 0 else dict.fromkeys(SUMS, 0))
            | {"planned": 1, "plans_ahead": 1, "due": 1, "due_open": 1 if ago <= 0 else 0}
            | {"customers": _customers(rep, ago) if 0 <= ago < 31 else []}
            for ago in range(-AHEAD + 1, DAYS)
            for number, rep in enumerate(reps)
        ),
    )
    months = sorted({(today - timedelta(days=ago)).isoformat()[:7] for ago in range(DAYS)})
    yield (
        FactMonth.__table__,
        (
            {"org_id": org, "person_id": rep.id, "month": month}
            | _sums(number, A_DAY * 21)
            | {"customers_visited": 90 + number % 20, "own_customers": 120, "own_visited": 80 + number % 20}
            for month in months
            for number, rep in enumerate(reps)
        ),
    )
    yield (
        FollowUp.__table__,
        (
            {column.name: None for column in FollowUp.__table__.columns}
            | SYNCED
            | {
                "org_id": org,
                "id": str(uuid5(NAMESPACE_OID, f"{rep.id} {number}")),
                "customer_id": rep.customers[0][0],
                "owner_id": rep.id,
                "kind": "request" if number == 0 else None,
                "subject": "Ring",
                "status": "open",
                "due_date": (today + timedelta(days=number)).isoformat(),
                "due_at": datetime.now(UTC) + timedelta(days=number),
                "requested_at": seed.moment(datetime.now(UTC) - timedelta(hours=3))["wall"]
                if number == 0
                else None,
                "request_day": today.isoformat() if number == 0 else None,
            }
            for rep in reps
            for number in range(AHEAD)
        ),
    )
    yield (
        IndicatorScheme.__table__,
        [
            SYNCED
            | {
                "org_id": org,
                "id": str(uuid5(NAMESPACE_OID, "scheme")),
                "name": "Field",
                "name_zh": None,
                "template": "field_only",
                "role": None,
                "team_id": None,
                "valid_from": "2000-01-01",
                "cap": None,
                "indicators": TEMPLATES["field_only"],
                "note": None,
                "status": "approved",
            }
        ],
    )
    yield (
        IndicatorTarget.__table__,
        (
            SYNCED
            | {
                "org_id": org,
                "id": str(uuid5(NAMESPACE_OID, f"target {rep.id} {code}")),
                "indicator": code,
                "person_id": rep.id,
                "team_id": None,
                "period": "month",
                "starts_on": today.replace(day=1).isoformat(),
                "amount": str(amount + number % 7),
                "source": None,
                "note": None,
                "status": "held",
            }
            for number, rep in enumerate(reps)
            for code, amount in (("valid_visits", 400), ("customers_visited", 90), ("new_customers", 3))
        ),
    )


def _sums(number: int, visits: int) -> dict[str, int]:
    some = dict.fromkeys(SUMS, 0)
    return some | {
        "done": visits,
        "valid_visits": visits - number % 3,
        "valid_s": (visits - number % 3) * (1500 + number),
        "on_the_spot": visits - number % 2,
        "planned": visits // 2,
        "plans_ahead": 1,
        "kept": visits // 3,
        "due": 2 + visits // 10,
        "on_time": 1 + visits // 11,
        "answered": 1,
        "response_us": 3_600_000_000 + number,
        "opportunities_done": 1,
    }


def _customers(rep: seed.Rep, day: int) -> list[str]:
    return [str(uuid5(NAMESPACE_OID, f"{rep.id} {day * 7 + number}")) for number in range(A_DAY)]


def _fill(url: str, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    columns = ", ".join(f'"{name}"' for name in names)
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("pragma synchronous=off")
            marks = ", ".join("?" * len(names))
            made = ([_plain(row[name], " ") for name in names] for row in rows)
            connection.executemany(f'insert into "{table.name}" ({columns}) values ({marks})', made)
        connection.execute("analyze")
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
        with link.cursor().copy(f'copy "{table.name}" ({columns}) from stdin') as copy:
            for row in rows:
                copy.write_row([_plain(row[name], "T") for name in names])
        link.execute(f'vacuum analyze "{table.name}"')


def _plain(value: Any, between: str) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(between, "microseconds") + ("Z" if between == "T" else "")
    return json.dumps(value) if isinstance(value, dict | list) else value


def _scores(connection: Connection, org: str, kind: str, now: datetime) -> int:
    book = open_book(connection, org, now)
    found = scores_of(book, people_of(connection, org), period_of(kind, now.date()))
    return sum(score.total is not None for score in found.values())


def _answer(connection: Connection, org: str, kind: str, now: datetime) -> int:
    reader = Principal(org, "", "", "administrator", None, "en", "UTC", True, None, None)
    found = scores.table(connection, reader, kind, None, None, now)
    assert found is not None and orjson.dumps(found)
    return sum(row["total"] is not None for row in found["scores"])


def _measure(
    url: str, kind: str, asked: Callable[[Connection, str, str, datetime], int]
) -> tuple[float, float]:
    """Median ms by the clock, and of this process."""
    engine = create_engine(url, **engine_options(Config(database_url=url, secret=seed.SECRET)))
    org = seed.organisation_of(url)
    wall, busy = [], []
    gc.collect()
    gc.freeze()  # as a worker of the server has done
    for _ in range(10):
        with engine.connect() as connection:
            begun, spent = time.perf_counter(), time.process_time()
            scored = asked(connection, org, kind, datetime.now(UTC))
            busy.append((time.process_time() - spent) * 1000)
            wall.append((time.perf_counter() - begun) * 1000)
            assert scored == REPS
    engine.dispose()
    gc.unfreeze()
    return statistics.median(wall[2:]), statistics.median(busy[2:])
