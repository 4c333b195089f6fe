"""Deliver what is owed to devices: claim some rows under a lease, record the attempt, send, record the outcome.

Any number of processes may do so at once. One that dies between sending and recording leaves its lease to run out; the
row is then claimed again, and because nobody knows whether the first message arrived, the second carries the same
tag and is silent: on a device that has it, it replaces its like without a sound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, not_, or_, select, tuple_, update

from server.db import writing
from server.people.model import Device, Person
from server.push import keys, rules
from server.push.model import Attempt, Delivery, Subscription
from server.push.queue import any_due, first_due, is_due, take, write_down
from server.push.send import Sender, Sent

LEASE = timedelta(seconds=60)
"""Longer than an attempt may last, and not so long that a device waits for a process that died."""

KEY = ("notice_id", "subscription_id")
MOST_AT_ONCE = 50
MOST_FAILURES = 20
"""Refusals in a row, over days, after which a device is given up until it subscribes again."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery in hand: `unsure` where an earlier attempt may have arrived."""

    notice: str
    subscription: str
    attempt: int
    payload: dict[str, Any]
    urgency: str
    ends_at: datetime
    device: dict[str, Any]
    key: str
    failures: int
    unsure: bool


def deliver(
    org_id: str,
    state_dir: Path,
    send: Callable[[], Sender],
    pool: Executor,
    clock: Callable[[], datetime],
    share: Callable[[], float],
    *,
    most: int = MOST_AT_ONCE,
    lease: timedelta = LEASE,
) -> int:
    """Send up to `most` of an organisation's deliveries that are due; returns how many were tried.

    `send` gives the calling thread its sender, `pool` runs the sending, `share` draws from 0 to 1 for the waits.
    """
    if not any_due(Delivery, org_id, clock()):
        return 0
    claimed = claim(org_id, clock(), most, lease)
    known: dict[str, keys.Key | None] = {
        public: keys.of(state_dir, public) for public in {each.key for each in claimed}
    }

    def attempt(each: Claimed) -> Sent:
        key = known[each.key]
        if key is None:  # made with a key that is no more: only the device can renew itself
            return Sent("gone", detail="key")
        now = clock()
        payload = json.dumps(
            each.payload | {"silent": each.unsure}, ensure_ascii=False, separators=(",", ":")
        )
        return send().send(
            each.device,
            key,
            payload,
            now=now,
            ttl=max(each.ends_at - now, timedelta(seconds=30)),
            urgency=each.urgency,  # type: ignore[arg-type]
            topic=each.notice.replace("-", ""),
        )

    said = list(pool.map(attempt, claimed))
    record(org_id, list(zip(claimed, said, strict=True)), clock(), share)
    return len(claimed)


def claim(org_id: str, now: datetime, most: int, lease: timedelta) -> list[Claimed]:
    """Take up to `most` due deliveries under a lease, each with its attempt on record. What came too late ends here."""
    with writing() as connection:
        connection.execute(
            update(Delivery)
            .where(Delivery.org_id == org_id, is_due(Delivery, now), Delivery.ends_at <= now)
            .values(state="late", leased_until=None)
        )
        # Who is not to be told anything there any more is not told what was owed before, either.
        connection.execute(
            update(Delivery)
            .where(
                Delivery.org_id == org_id,
                Delivery.state == "waiting",
                Delivery.subscription_id.in_(select(Subscription.id).where(closed(org_id))),
            )
            .values(state="gone", leased_until=None)
        )
        wanted = first_due(connection, Delivery, KEY, org_id, now, most)
        if not wanted:
            return []
        unknown = _unknown(connection, org_id, wanted)
        rows = take(connection, Delivery, Attempt, KEY, org_id, wanted, now, lease)
        taken = {(row["notice_id"], row["subscription_id"]): row for row in rows}
        devices = _devices(connection, org_id, {subscription for _, subscription in taken})
    claimed = []
    for place, row in taken.items():
        device = devices[place[1]]
        claimed.append(
            Claimed(
                notice=place[0],
                subscription=place[1],
                attempt=row["attempts"],
                payload=row["payload"],
                urgency=row["urgency"],
                ends_at=row["ends_at"],
                device={
                    "endpoint": device["endpoint"],
                    "keys": {"p256dh": device["p256dh"], "auth": device["auth"]},
                },
                key=device["key"],
                failures=device["failures"],
                unsure=place in unknown,
            )
        )
    return claimed


def closed(org_id: str) -> Any:
    """The condition of a subscription to which nothing goes any more: it ended, its device was signed out or revoked (one of
    a bearer token has none), or the account is closed."""
    revoked = select(Device.id).where(Device.org_id == org_id, Device.revoked_at.is_not(None))
    left = select(Person.id).where(Person.org_id == org_id, Person.active.is_(False))
    return and_(
        Subscription.org_id == org_id,
        or_(
            Subscription.ended_at.is_not(None),
            and_(Subscription.device_id.is_not(None), Subscription.device_id.in_(revoked)),
            Subscription.person_id.in_(left),
        ),
    )


def reachable(org_id: str) -> Any:
    """The condition of a subscription that may be owed something."""
    return and_(Subscription.org_id == org_id, not_(closed(org_id)))


def _devices(connection: Connection, org_id: str, ids: set[str]) -> dict[str, dict[str, Any]]:
    rows = connection.execute(
        select(Subscription.__table__).where(Subscription.org_id == org_id, Subscription.id.in_(ids))
    ).mappings()
    return {row["id"]: dict(row) for row in rows}


def _unknown(connection: Connection, org_id: str, places: Sequence[tuple[str, ...]]) -> set[tuple[str, str]]:
    """Those of these deliveries with an attempt of which nobody knows what became."""
    key: Any = tuple_(Attempt.notice_id, Attempt.subscription_id)
    rows = connection.execute(
        select(Attempt.notice_id, Attempt.subscription_id).where(
            Attempt.org_id == org_id, key.in_(places), Attempt.outcome.is_(None)
        )
    )
    return {(notice, subscription) for notice, subscription in rows}


def record(
    org_id: str, told: Sequence[tuple[Claimed, Sent]], now: datetime, share: Callable[[], float]
) -> None:
    """Write down what became of these attempts, and what it means for their devices."""
    with writing() as connection:
        for each, said in told:
            changes: dict[str, Any] = {"state": said.outcome}
            device: dict[str, Any] = {"sent_at": now, "failures": 0, "rest_until": None}
            if said.outcome == "later":
                wait = rules.wait_before(each.failures + 1, said.wait, share())
                changes = {"due_at": now + wait}
                device = {"failures": each.failures + 1, "rest_until": now + wait}
                if each.failures + 1 >= MOST_FAILURES:
                    device |= {"ended_at": now, "ended_why": "unreachable"}
                    changes = {"state": "gone"}
            elif said.outcome == "gone":
                device = {"ended_at": now, "ended_why": str(said.status or said.detail)[:200]}
            elif said.outcome == "refused":
                device = {"failures": each.failures + 1}
            key = {"org_id": org_id, "notice_id": each.notice, "subscription_id": each.subscription}
            told_of = {"ended_at": now, "outcome": said.outcome, "status": said.status}
            write_down(connection, Delivery, Attempt, key, each.attempt, told_of, changes)
            connection.execute(
                update(Subscription)
                .where(Subscription.org_id == org_id, Subscription.id == each.subscription)
                .values(**device)
            )
            if "ended_at" in device:
                connection.execute(
                    update(Delivery)
                    .where(
                        Delivery.org_id == org_id,
                        Delivery.subscription_id == each.subscription,
                        Delivery.state == "waiting",
                    )
                    .values(state="gone", leased_until=None)
                )
