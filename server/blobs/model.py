"""Tables of blobs: what is stored under which hash, and who brought it in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Model


class Blob(Model):
    """A photo that is stored whole and verified. The same bytes in two organisations are two blobs.

    Not synced and not in the journal: a visit names a photo by its hash, whether its bytes are here yet or not.
    """

    __tablename__ = "blob"

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column()
    type: Mapped[str] = mapped_column()
    width: Mapped[int] = mapped_column()
    height: Mapped[int] = mapped_column()
    stored_at: Mapped[datetime] = mapped_column(Instant)


class BlobHolder(Model):
    """That a person has sent all bytes of a blob, so that they may be told it is stored."""

    __tablename__ = "blob_holder"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "sha256"], ["blob.org_id", "blob.sha256"]),
        ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
    )

    org_id: Mapped[str] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
