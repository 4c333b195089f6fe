"""Tables of follow-ups, and of comments on customers, visits and follow-ups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced


class FollowUp(Synced, Model):
    """A promise: what is owed to a customer, by whom, until when.

    `due_date`, `due_time` are a day and a time in `due_zone` (no time: all day); `remind_before_min` minutes before it;
    `repeat` a recurrence rule as RFC 5545 writes it, `series` which of a series this is (`sync.policy.series`), null for the
    first; `done` the moment it was done, as the device claims it, null while
    it is not done. Below, what the server makes of it whenever it changes: `due_at` until when it is owed, `done_at` the
    best time of `done` with its local day, `request_day` the owner's day of `requested_at`, `answered_at` when a request was
    answered, by a visit or by being done (`server.indicators.facts`).
    """

    __tablename__ = "follow_up"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "owner_id"], ["person.org_id", "person.id"]),
        ForeignKeyConstraint(["org_id", "customer_id"], ["customer.org_id", "customer.id"]),
        ForeignKeyConstraint(["org_id", "visit_id"], ["visit.org_id", "visit.id"]),
        Index("ix_follow_up_owner", "org_id", "owner_id", "status", "due_date"),
        Index("ix_follow_up_customer", "org_id", "customer_id"),
        # What scores ask of all that is due lies in the index itself.
        Index("ix_follow_up_due", "org_id", "due_date", "id", "owner_id", "status", "archived", "due_at"),
        Index("ix_follow_up_owner_due", "org_id", "owner_id", "due_date"),
        Index(
            "ix_follow_up_done",
            "org_id",
            "owner_id",
            "done_day",
            sqlite_where=text("done_day IS NOT NULL"),
            postgresql_where=text("done_day IS NOT NULL"),
        ),
        Index(
            "ix_follow_up_request",
            "org_id",
            "owner_id",
            "request_day",
            sqlite_where=text("request_day IS NOT NULL"),
            postgresql_where=text("request_day IS NOT NULL"),
        ),
        Index(
            "ix_follow_up_waiting",
            "org_id",
            "request_day",
            sqlite_where=text("request_day IS NOT NULL AND answered_at IS NULL"),
            postgresql_where=text("request_day IS NOT NULL AND answered_at IS NULL"),
        ),
    )

    customer_id: Mapped[str] = mapped_column(Id)
    visit_id: Mapped[str | None] = mapped_column(Id)
    owner_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str | None] = mapped_column()
    subject: Mapped[str] = mapped_column()
    due_date: Mapped[str | None] = mapped_column()
    due_time: Mapped[str | None] = mapped_column()
    due_zone: Mapped[str | None] = mapped_column()
    remind_before_min: Mapped[int | None] = mapped_column()
    repeat: Mapped[str | None] = mapped_column()
    series: Mapped[dict[str, Any] | None] = mapped_column(Json)
    requested_at: Mapped[str | None] = mapped_column()
    note: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column()
    done: Mapped[dict[str, Any] | None] = mapped_column(Json)

    due_at: Mapped[datetime | None] = mapped_column(Instant)
    done_at: Mapped[datetime | None] = mapped_column(Instant)
    done_day: Mapped[str | None] = mapped_column()
    request_day: Mapped[str | None] = mapped_column()
    answered_at: Mapped[datetime | None] = mapped_column(Instant)


class Comment(Synced, Model):
    """What somebody said about a customer, a visit or a follow-up, and when, by best time. Written once."""

    __tablename__ = "comment"
    __table_args__ = (Index("ix_comment_on", "org_id", "on_id"),)

    on_kind: Mapped[str] = mapped_column()
    on_id: Mapped[str] = mapped_column(Id)
    body: Mapped[str] = mapped_column()
    author_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)
