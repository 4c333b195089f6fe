"""What is written before a fault, and what must be true after it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.db import db, reading
from server.exchange.check import check
from server.exchange.model import Journal
from server.people.model import Head
from server.visits.model import Visit
from tests.faults.outbox import Outbox
from tests.world import World, ago


def let_go(world: World) -> None:
    """Close every file that looking at the database opened."""
    with world.app.app_context():
        db.engine.dispose()


def day(outbox: Outbox, visits: int) -> None:
    """Write a day's visits into an outbox: begun, ended, a lead between."""
    for number in range(visits):
        began = outbox.check_in(outbox.world.ids["Shop"], ago(minutes=60 + number))
        outbox.write(began)
        outbox.write(
            outbox.check_out(began["entity"], ago(minutes=25), minutes=f"Visit {number} of {outbox.who}.")
        )
        if number % 3 == 0:
            outbox.write(outbox.create("customer", name=f"Lead {number} of {outbox.who}"))


def rows(world: World, statement: Any) -> list[Any]:
    with world.app.app_context(), reading() as connection:
        return list(connection.execute(statement).all())


def everything_is_there_once(world: World, database: Path | None, *outboxes: Outbox) -> None:
    """Each mutation in the journal once, each visit once and whole, the file sound, the tables as the journal tells."""
    written = [mutation["id"] for outbox in outboxes for mutation in outbox.log]
    statement = select(Journal.mutation_id, Journal.status).where(
        Journal.org_id == world.org, Journal.mutation_id.in_(written)
    )
    stored = rows(world, statement)
    assert Counter(identity for identity, _ in stored) == Counter(written)
    assert {status for _, status in stored} == {"applied"}
    visits = {
        identity: (status, minutes)
        for identity, status, minutes in rows(
            world, select(Visit.id, Visit.status, Visit.minutes).where(Visit.org_id == world.org)
        )
    }
    begun = [
        mutation["entity"]
        for outbox in outboxes
        for mutation in outbox.log
        if (mutation["kind"], mutation["verb"]) == ("visit", "create")
    ]
    assert sorted(visits) == sorted(begun)
    assert all(status == "done" and minutes for status, minutes in visits.values())
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []
    if database is None:  # PostgreSQL looks after its own pages
        return
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def holds_what_the_server_holds(outbox: Outbox, url: str) -> None:
    """The replica that grew through all of it equals that of a phone that begins anew."""
    fresh = Outbox(outbox.world, outbox.who, url)
    outbox.settle()
    fresh.settle()
    assert outbox.replica == fresh.replica


def day_after(outbox: Outbox, visits: int) -> None:
    for number in range(visits):
        began = outbox.check_in(outbox.world.ids["Shop"], ago(minutes=90 + number))
        outbox.write(began)
        outbox.write(outbox.check_out(began["entity"], ago(minutes=20), minutes=f"Later visit {number}."))


def head(world: World) -> int:
    ((version,),) = rows(world, select(Head.version).where(Head.org_id == world.org))
    return int(version)


def version_of(world: World, visit: str) -> int:
    ((version,),) = rows(world, select(Visit.version).where(Visit.org_id == world.org, Visit.id == visit))
    return int(version)
