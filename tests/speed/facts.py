"""Facts: what it costs a push that the facts scores are made of are true at its end; pushes with and without, in turn."""

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import event, insert

from server.app import create_app
from server.config import Config
from server.db import db, writing
from server.indicators import keep
from server.indicators.facts_model import Owned
from tests.postgres import Cluster
from tests.speed import seed

PUSHES = 60
WARM = 6
CUSTOMERS = 40


def run(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    for name, url in (
        ("PostgreSQL", cluster.create("facts")),
        ("SQLite", f"sqlite:///{folder / 'facts.db'}"),
    ):
        reps = seed.organisation(url, 2, CUSTOMERS)
        for what, visits, a_day in (
            ("a visit", 1, 10),
            ("50 visits of a day", 50, 50),
            ("of 5 days", 50, 10),
        ):
            busy, statements = _measure(url, reps, visits, a_day)
            cost = busy[True] - busy[False]
            wanted = "   wanted: under 1" if visits == 1 else ""
            yield (
                f"{name + ', ' + what:32}{cost:6.2f} ms of {busy[True]:6.2f} ms of this process, "
                f"{statements[True] - statements[False]:.0f} of {statements[True]:.0f} statements{wanted}"
            )


def _measure(
    url: str, reps: list[seed.Rep], visits: int, a_day: int
) -> tuple[dict[bool, float], dict[bool, float]]:
    """Of pushes with facts and without: median ms of this process, and statements."""
    app = create_app(Config(database_url=url, secret=seed.SECRET))
    kept = keep.keep
    busy: dict[bool, list[float]] = {True: [], False: []}
    statements: dict[bool, list[float]] = {True: [], False: []}
    told = 0

    def count(*_: object) -> None:
        nonlocal told
        told += 1

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", count)
        _own(url, reps)
        client = app.test_client()
        for number in range(2 * (PUSHES + WARM)):
            with_facts = number % 2 == 0
            # Each has days of its own: those that are never counted are counted by nobody.
            rep = reps[number % 2]
            body = rep.exchange(rep.creates(visits, a_day, datetime.now(UTC)))
            keep.keep = kept if with_facts else lambda work, visits: None
            told, begun = 0, time.process_time()
            _push(client, rep, body)
            spent = (time.process_time() - begun) * 1000
            if number >= 2 * WARM:
                busy[with_facts].append(spent)
                statements[with_facts].append(told)
        keep.keep = kept
        event.remove(db.engine, "before_cursor_execute", count)
        db.engine.dispose()
    return (
        {one: statistics.median(some) for one, some in busy.items()},
        {one: statistics.median(some) for one, some in statements.items()},
    )


def _push(client: FlaskClient, rep: seed.Rep, body: bytes) -> None:
    answer = client.post("/api/sync", data=body, content_type="application/json", headers=rep.headers)
    receipts = answer.json["receipts"] if answer.json else []
    if answer.status_code != 200 or {one["status"] for one in receipts} != {"applied"}:
        raise RuntimeError(f"{answer.status_code}: {answer.data[:400]!r}")


def _own(url: str, reps: list[seed.Rep]) -> None:
    """The customers are their reps' own, as they are where they came in by the door."""
    org = seed.organisation_of(url)
    with writing() as connection:
        if connection.execute(Owned.__table__.select().limit(1)).first() is None:
            connection.execute(
                insert(Owned),
                [
                    {
                        "org_id": org,
                        "customer_id": customer[0],
                        "since": "2000-01-01",
                        "person_id": rep.id,
                        "until": None,
                    }
                    for rep in reps
                    for customer in rep.customers
                ],
            )
