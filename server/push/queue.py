"""Rows that are a queue: what is owed to a device and what is owed by another channel are taken and settled alike.

Such a table has `state` (`waiting` until it is settled), `due_at`, `leased_until` and `attempts`; each attempt is a row of
a table of its own, with the same key and its number `n`, recorded before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, tuple_, update

from server.db import reading


def is_due(queue: Any, now: datetime) -> Any:
    """The condition of a row that waits, is due, and is in nobody's hands."""
    return and_(
        queue.state == "waiting",
        queue.due_at <= now,
        or_(queue.leased_until.is_(None), queue.leased_until <= now),
    )


def any_due(queue: Any, org_id: str, now: datetime) -> bool:
    """Whether there is anything to do in an organisation."""
    with reading() as connection:
        found = select(queue.state).where(queue.org_id == org_id, is_due(queue, now)).limit(1)
        return connection.execute(found).first() is not None


def first_due(
    connection: Connection, queue: Any, key: Sequence[str], org_id: str, now: datetime, most: int
) -> list[tuple[str, ...]]:
    """The keys of the first rows that are due, but for those that somebody else is taking now."""
    rows = connection.execute(
        select(*(getattr(queue, name) for name in key))
        .where(queue.org_id == org_id, is_due(queue, now))
        .order_by(queue.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [tuple(row) for row in rows]


def take(
    connection: Connection,
    queue: Any,
    attempts: Any,
    key: Sequence[str],
    org_id: str,
    places: Sequence[tuple[str, ...]],
    now: datetime,
    lease: timedelta,
) -> list[dict[str, Any]]:
    """Take those of these rows that are still due under a lease, each with its attempt on record."""
    rows = connection.execute(
        update(queue)
        .where(
            queue.org_id == org_id,
            tuple_(*(getattr(queue, name) for name in key)).in_(places),
            is_due(queue, now),
        )
        .values(leased_until=now + lease, attempts=queue.attempts + 1)
        .returning(queue.__table__)
    ).mappings()
    taken = [dict(row) for row in rows]
    if taken:
        begun = [
            {name: row[name] for name in ("org_id", *key)} | {"n": row["attempts"], "begun_at": now}
            for row in taken
        ]
        connection.execute(insert(attempts), begun)
    return taken


def write_down(
    connection: Connection,
    queue: Any,
    attempts: Any,
    key: Mapping[str, str],
    n: int,
    said: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> None:
    """Write down what became of the `n`-th attempt (`said`), and what that `changes` of its row, which is let go.

    Whoever's lease ran out meanwhile has been overtaken: the other one's word stands, unless this one was `sent`.
    """
    row = [getattr(queue, name) == value for name, value in key.items()]
    attempt = [getattr(attempts, name) == value for name, value in key.items()]
    connection.execute(update(attempts).where(*attempt, attempts.n == n).values(**said))
    if said["outcome"] != "sent":
        row.append(queue.attempts == n)
    connection.execute(
        update(queue).where(*row, queue.state == "waiting").values(leased_until=None, **changes)
    )
