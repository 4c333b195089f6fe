"""Tables of reminders: what is owed to whom and when, and how each person wants to be told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model

WAITING = text("state = 'waiting'")


class Reminder(Model):
    """One thing that somebody is owed to be told of. The row is the schedule: whoever finds it due takes it.

    `rule` is a key of `rules.RULES` (or one of `rules.SERVERS_OWN`), `about_kind` and `about_id` the thing it is about,
    `owed_at` when, `due_at` when it is looked at next: later only where that fell into quiet hours. `state` is `waiting` or
    `told`, `notice_id` in which notice. Written by the transaction that changes the thing, and taken within the
    one that writes the notice, so no crash between the two can lose or repeat it.
    """

    __tablename__ = "reminder"
    __table_args__ = (
        Index("ix_reminder_due", "org_id", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
        Index("ix_reminder_about", "org_id", "about_id"),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    rule: Mapped[str] = mapped_column()
    about_kind: Mapped[str] = mapped_column()
    about_id: Mapped[str] = mapped_column(Id)
    owed_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(default="waiting")
    notice_id: Mapped[str | None] = mapped_column(Id)


class Wish(Model):
    """How one person wants to be reminded (`rules.Wishes`), as they set it."""

    __tablename__ = "reminder_wish"

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(Json)


class Outreach(Model):
    """That a notice is to go to a person by another channel where no device shows it by `due_at`.

    `channel` is `mail` or a name of the server's own list. The row is the queue, as `push.model.Delivery`: `state` is
    `waiting`, `sent`, `reached` (a device showed it, or it was read), `settled` (there was nothing left to say), `failed`
    (given up after so many tries), `closed` (no such channel any more) or `late`.
    """

    __tablename__ = "outreach"
    __table_args__ = (
        Index("ix_outreach_due", "org_id", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
        Index("ix_outreach_person", "org_id", "person_id", "channel"),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(Id, primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    due_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)


class OutreachAttempt(Model):
    """One attempt to reach somebody by a channel: recorded before it is made, its outcome after."""

    __tablename__ = "outreach_attempt"

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[str] = mapped_column(Id, primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None] = mapped_column()
