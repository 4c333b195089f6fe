"""Tables of visits: what the rep recorded, what the server concludes from it, and the roll-up of each rep's day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced


class VisitKind(Synced, Model):
    """A purpose of visits; `min_minutes` {mode: minutes} is the least duration that counts."""

    __tablename__ = "visit_kind"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    code: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column()
    name_zh: Mapped[str | None] = mapped_column()
    min_minutes: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Outcome(Synced, Model):
    """What may come of a visit; shown in the order of `position`."""

    __tablename__ = "outcome"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    code: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column()
    name_zh: Mapped[str | None] = mapped_column()
    position: Mapped[int] = mapped_column(default=0)


class Visit(Synced, Model):
    """One call on one customer by one rep.

    Above: the fields of the wire, as they came. Below: `clock` (best times and doubts of the two moments), `server`
    (the conclusions that travel to the phone), and the same conclusions as columns for queries.
    """

    __tablename__ = "visit"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "rep_id"], ["person.org_id", "person.id"]),
        ForeignKeyConstraint(["org_id", "customer_id"], ["customer.org_id", "customer.id"]),
        Index("ix_visit_rep_day", "org_id", "rep_id", "day"),
        Index("ix_visit_rep_at", "org_id", "rep_id", "at", "id"),
        Index("ix_visit_at", "org_id", "at", "id"),
        Index("ix_visit_customer", "org_id", "customer_id", "at"),
        Index(
            "ix_visit_planned",
            "org_id",
            "rep_id",
            "planned_date",
            sqlite_where=text("planned_date IS NOT NULL"),
            postgresql_where=text("planned_date IS NOT NULL"),
        ),
    )

    customer_id: Mapped[str] = mapped_column(Id)
    rep_id: Mapped[str] = mapped_column(Id)
    mode: Mapped[str | None] = mapped_column()
    kind: Mapped[str | None] = mapped_column()
    planned_date: Mapped[str | None] = mapped_column()
    planned_time: Mapped[str | None] = mapped_column()
    repeat: Mapped[str | None] = mapped_column()
    series: Mapped[dict[str, Any] | None] = mapped_column(Json)
    outcome: Mapped[str | None] = mapped_column()
    late_reason: Mapped[str | None] = mapped_column()
    minutes: Mapped[str | None] = mapped_column()
    next_step: Mapped[str | None] = mapped_column()
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    photos: Mapped[list[str]] = mapped_column(Json, default=list)
    status: Mapped[str] = mapped_column()
    check_in: Mapped[dict[str, Any] | None] = mapped_column(Json)
    check_out: Mapped[dict[str, Any] | None] = mapped_column(Json)
    check_in_fix: Mapped[dict[str, Any] | None] = mapped_column(Json)
    check_in_best_fix: Mapped[dict[str, Any] | None] = mapped_column(Json)
    check_out_fix: Mapped[dict[str, Any] | None] = mapped_column(Json)

    clock: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    server: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    day: Mapped[str | None] = mapped_column()
    at: Mapped[datetime] = mapped_column(Instant)
    valid: Mapped[bool] = mapped_column(default=False)
    trust: Mapped[str | None] = mapped_column()


class VisitPhoto(Model):
    """That a visit names a photo by its SHA-256: `visit.photos` turned round, so that a photo finds its visits."""

    __tablename__ = "visit_photo"
    __table_args__ = (ForeignKeyConstraint(["org_id", "visit_id"], ["visit.org_id", "visit.id"]),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    visit_id: Mapped[str] = mapped_column(Id, primary_key=True)


class RepDay(Model):
    """The roll-up of one rep's day, re-aggregated by each transaction that touches it.

    `line` holds the day's visits as the board draws them; `position` the last place of a tap.
    """

    __tablename__ = "rep_day"
    __table_args__ = (Index("ix_rep_day_rep", "org_id", "rep_id", "day"),)

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    rep_id: Mapped[str] = mapped_column(Id, primary_key=True)
    visits: Mapped[int] = mapped_column()
    valid_visits: Mapped[int] = mapped_column()
    valid_s: Mapped[int] = mapped_column(BigInteger)
    review: Mapped[int] = mapped_column()
    in_person: Mapped[int] = mapped_column()
    no_position: Mapped[int] = mapped_column()
    first_check_in: Mapped[datetime | None] = mapped_column(Instant)
    last_check_out: Mapped[datetime | None] = mapped_column(Instant)
    open_visit: Mapped[dict[str, Any] | None] = mapped_column(Json)
    position: Mapped[dict[str, Any] | None] = mapped_column(Json)
    line: Mapped[list[dict[str, Any]]] = mapped_column(Json)
