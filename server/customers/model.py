"""The table of customers: places a rep goes to."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Json, Model
from server.people.model import Synced


class Customer(Synced, Model):
    """A place. `lat`, `lon` in degrees WGS 84, `radius_m` metres around it that count as there.

    `merged_into` is the customer that this one turned out to be: what names this one means that one, for ever.
    `alike` and `cell` say where to look for others that may be the same place (see `rules`). `customer_since` is the day on
    which its lifecycle first became `customer`, `won_by` whose it was then; nobody won one that began as a customer.
    """

    __tablename__ = "customer"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "owner_id"], ["person.org_id", "person.id"]),
        ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        Index("ix_customer_owner", "org_id", "owner_id"),
        Index("ix_customer_team", "org_id", "team_id"),
        Index("ix_customer_name", "org_id", "name", "id"),
        Index("ix_customer_alike", "org_id", "alike"),
        Index("ix_customer_cell", "org_id", "cell"),
        Index(
            "ix_customer_won",
            "org_id",
            "won_by",
            "customer_since",
            sqlite_where=text("won_by IS NOT NULL"),
            postgresql_where=text("won_by IS NOT NULL"),
        ),
        Index(
            "ix_customer_merged",
            "org_id",
            "merged_into",
            sqlite_where=text("merged_into IS NOT NULL"),
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
        Index(
            "ux_customer_code",
            "org_id",
            "code",
            unique=True,
            sqlite_where=text("code IS NOT NULL AND merged_into IS NULL"),
            postgresql_where=text("code IS NOT NULL AND merged_into IS NULL"),
        ),
    )

    name: Mapped[str] = mapped_column()
    address: Mapped[str | None] = mapped_column()
    lat: Mapped[float | None] = mapped_column()
    lon: Mapped[float | None] = mapped_column()
    radius_m: Mapped[float | None] = mapped_column()
    owner_id: Mapped[str | None] = mapped_column(Id)
    team_id: Mapped[str | None] = mapped_column(Id)
    grade: Mapped[str | None] = mapped_column()
    phone: Mapped[str | None] = mapped_column()
    contact: Mapped[str | None] = mapped_column()
    lifecycle: Mapped[str | None] = mapped_column()
    code: Mapped[str | None] = mapped_column()
    note: Mapped[str | None] = mapped_column()
    tags: Mapped[list[str]] = mapped_column(Json, default=list)

    merged_into: Mapped[str | None] = mapped_column(Id)
    alike: Mapped[str | None] = mapped_column()
    cell: Mapped[str | None] = mapped_column()
    customer_since: Mapped[str | None] = mapped_column()
    won_by: Mapped[str | None] = mapped_column(Id)
