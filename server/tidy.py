"""Throw away what nobody will ask for again: old tombstones, ended sessions, used links, reminders long told.

The journal stays whole, and so does every inbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, or_, select, update

from server.blobs.store import Store
from server.db import reading, writing
from server.exchange.apply import lock_head
from server.exchange.model import Position
from server.indicators.closing_model import Closing
from server.indicators.compare import HONOURS
from server.people.model import Head, Invite, Organisation, Session, SignInAttempt
from server.push.model import Attempt, Delivery
from server.reminders.model import Outreach, OutreachAttempt, Reminder
from server.reminders.schedule import LONG_AGO as TOLD_LIVE

TOMBSTONES_LIVE = timedelta(days=180)
"""How long a phone may be away and still be told by itself what went; after that it reads its scopes again."""

LINKS_LIVE = timedelta(days=30)
"""How long a link that was used or ran out is still known, to say of it that it was."""

AT_ONCE = 500
"""So many rows are one transaction, so that no push waits long."""

_AWAY = (
    delete(Position)
    .where(
        Position.org_id == bindparam("org"),
        Position.scope == bindparam("of_scope"),
        Position.kind == bindparam("of_kind"),
        Position.id == bindparam("of_id"),
        Position.version == bindparam("at_version"),
        Position.removed_at.is_not(None),
    )
    .execution_options(synchronize_session=False)
)

_HONOURED = and_(
    Reminder.rule.in_(HONOURS),
    exists().where(
        Closing.org_id == Reminder.org_id,
        Closing.id == Reminder.about_id,
        Closing.person_id == Reminder.person_id,
    ),
)
"""What somebody was told of an honour of their own: that is how it is remembered."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many were thrown away."""

    tombstones: int = 0
    sessions: int = 0
    links: int = 0
    uploads: int = 0
    reminders: int = 0


def tidy(now: datetime, store: Store | None = None) -> Tidied:
    """Throw away all that is old enough, in every organisation, a few rows a transaction; and half uploads of `store`."""
    with reading() as connection:
        organisations = list(connection.scalars(select(Organisation.id).order_by(Organisation.id)))
    tombstones = sum(collect(org_id, now - TOMBSTONES_LIVE) for org_id in organisations)
    with writing() as connection:
        sessions = connection.execute(delete(Session).where(Session.expires_at < now)).rowcount
        over = or_(Invite.used_at < now - LINKS_LIVE, Invite.expires_at < now - LINKS_LIVE)
        links = connection.execute(delete(Invite).where(over)).rowcount
        connection.execute(delete(SignInAttempt).where(SignInAttempt.at < now - LINKS_LIVE))
        told = connection.execute(
            delete(Reminder).where(Reminder.state == "told", Reminder.due_at < now - TOLD_LIVE, ~_HONOURED)
        ).rowcount
        connection.execute(delete(Attempt).where(Attempt.begun_at < now - TOLD_LIVE))
        connection.execute(
            delete(Delivery).where(Delivery.state != "waiting", Delivery.ends_at < now - TOLD_LIVE)
        )
        connection.execute(delete(OutreachAttempt).where(OutreachAttempt.begun_at < now - TOLD_LIVE))
        connection.execute(
            delete(Outreach).where(Outreach.state != "waiting", Outreach.ends_at < now - TOLD_LIVE)
        )
    return Tidied(tombstones, sessions, links, store.collect(now) if store else 0, told)


def collect(org_id: str, before: datetime) -> int:
    """Delete tombstones from before an instant, oldest first, and raise the floor with them; returns how many.

    The floor is the version up to which a tombstone may be missing: a client that has not read so far reads again.
    """
    with reading() as connection:
        found = connection.execute(
            select(Position.scope, Position.kind, Position.id, Position.version)
            .where(Position.org_id == org_id, Position.removed_at < before)
            .order_by(Position.version)
        ).all()
    gone = 0
    for some in _pieces(found):
        with writing() as connection:
            head = lock_head(connection, org_id)
            floor = max(head["floor"], some[-1]["at_version"])
            connection.execute(update(Head).where(Head.org_id == org_id).values(floor=floor))
            connection.execute(_AWAY, [one | {"org": org_id} for one in some])
        gone += len(some)
    return gone


def _pieces(found: Any) -> Iterator[list[dict[str, Any]]]:
    keys = [dict(zip(("of_scope", "of_kind", "of_id", "at_version"), row, strict=True)) for row in found]
    for start in range(0, len(keys), AT_ONCE):
        yield keys[start : start + AT_ONCE]
