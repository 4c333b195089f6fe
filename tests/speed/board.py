"""Board: the day of 1,000 reps out of 5 million visits rolled up, and out of ten times as many, on either database."""

import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import create_engine, event

from server.board import day as board
from server.config import Config
from server.db import engine_options
from tests.postgres import Cluster
from tests.speed import seed

REPS = 1000
A_DAY = 20
DAYS = 250
TIMES = 10
COLUMNS = (
    "org_id", "day", "rep_id", "visits", "valid_visits", "valid_s", "review", "in_person", "no_position",
    "first_check_in", "last_check_out", "open_visit", "position", "line",
)  # fmt: skip


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    for name, url in (
        ("PostgreSQL", cluster.create("board")),
        ("SQLite", f"sqlite:///{folder / 'board.db'}"),
    ):
        reps = seed.organisation(url, REPS, 1)
        _fill(url, reps, 0, DAYS)
        all_of_it, query = _measure(url)
        _fill(url, reps, DAYS, DAYS * TIMES)
        later, later_query = _measure(url)
        yield f"{name + ', in SQL':28}  {query:9.2f} ms wanted: under 5"
        yield f"{name + ', rows made into dicts':28}{all_of_it:11.2f} ms"
        told = f"({later_query:.2f} ms in SQL, {later:.2f} ms)"
        yield f"with {TIMES} times the history     {later_query / query:9.2f}   wanted: 1 {told}"


def _fill(url: str, reps: list[seed.Rep], first: int, last: int) -> None:
    """Roll-ups of the days from `first` to `last` days ago; only the latest month has its lines drawn."""
    rows = _rows(url, reps, first, last)
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("pragma synchronous=off")
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(f"insert into rep_day ({', '.join(COLUMNS)}) values ({marks})", rows)
        connection.execute("analyze")
        connection.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
        with link.cursor().copy(f"copy rep_day ({', '.join(COLUMNS)}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        link.execute("vacuum analyze rep_day")


def _rows(url: str, reps: list[seed.Rep], first: int, last: int) -> Iterator[tuple[Any, ...]]:
    sqlite = url.startswith("sqlite")
    org, persons = seed.organisation_of(url), [rep.id for rep in reps]
    today = datetime.now(UTC).date()
    place = json.dumps({"lat": 51.5, "lon": -0.1, "accuracy_m": 9.5, "at": "2026-01-01T15:30:00.000Z"})
    for ago in range(first, last):
        day = today - timedelta(days=ago)
        begun, ended = f"{day} 08:00:00+00", f"{day} 17:00:00+00"
        if sqlite:
            begun, ended = f"{day} 08:00:00.000000", f"{day} 17:00:00.000000"
        line = json.dumps(_line(day)) if ago < 31 else "[]"
        for person in persons:
            yield (
                org,
                day.isoformat(),
                person,
                A_DAY,
                17,
                30600,
                1,
                A_DAY,
                1,
                begun,
                ended,
                None,
                place,
                line,
            )


def _line(day: date) -> list[dict[str, Any]]:
    return [
        {
            "visit": f"00000000-0000-4000-8000-{index:012d}",
            "customer": f"The Public House {index}",
            "from": f"{day}T{8 + index // 3:02d}:{index % 3 * 20:02d}:00.000Z",
            "to": f"{day}T{8 + index // 3:02d}:{index % 3 * 20 + 18:02d}:00.000Z",
            "planned_time": None,
            "status": "done",
            "valid": True,
            "trust": "verified",
        }
        for index in range(A_DAY)
    ]


def _measure(url: str) -> tuple[float, float]:
    """Median ms of the whole read, and of its statement alone."""
    engine = create_engine(url, **engine_options(Config(database_url=url, secret=seed.SECRET)))
    asked: list[tuple[str, Any]] = []
    event.listen(
        engine, "before_cursor_execute", lambda c, cursor, sql, given, *rest: asked.append((sql, given))
    )
    org = seed.organisation_of(url)
    day = datetime.now(UTC).date().isoformat()
    whole, alone = [], []
    with engine.connect() as connection:
        for _ in range(11):
            asked.clear()
            begun = time.perf_counter()
            reps = board.read(connection, org, day, [], everybody=True)
            whole.append((time.perf_counter() - begun) * 1000)
            assert len(reps) == REPS and reps[0]["visits"] == A_DAY
            cursor = connection.connection.cursor()
            spent = 0.0
            for sql, given in asked:
                if not sql.lstrip().lower().startswith(("select", "with")):
                    continue
                if url.startswith("postgresql"):
                    cursor.execute("explain (analyze, timing off, format json) " + sql, given)
                    spent += cursor.fetchone()[0][0]["Execution Time"]
                else:
                    begun = time.perf_counter()
                    cursor.execute(sql, given)
                    cursor.fetchall()
                    spent += (time.perf_counter() - begun) * 1000
            alone.append(spent)
    engine.dispose()
    return statistics.median(whole[1:]), statistics.median(alone[1:])
