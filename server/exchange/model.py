"""Tables of the exchange: clients, the journal, positions in the scopes, and what somebody must decide."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Id, Instant, Json, Model
from server.people.model import Synced


class Client(Model):
    """An outbox somewhere: a browser profile's, a token's, the command line's. It belongs to one person.

    `root` is the first of its chain of predecessors, `superseded` tells that another client took over. The columns
    after it are what the phone last said of itself.
    """

    __tablename__ = "client"
    __table_args__ = (Index("ix_client_person", "org_id", "person_id"),)

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str | None] = mapped_column(Id)
    root: Mapped[str] = mapped_column(Id)
    superseded: Mapped[bool] = mapped_column(default=False)
    last_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    contact_at: Mapped[datetime | None] = mapped_column(Instant)
    unsent: Mapped[int] = mapped_column(default=0)
    oldest_unsent: Mapped[datetime | None] = mapped_column(Instant)
    app: Mapped[str | None] = mapped_column()
    persisted: Mapped[bool | None] = mapped_column()
    push: Mapped[str | None] = mapped_column()


class Batch(Model):
    """One writing transaction: who, by which client, when it came in and what its clock said when it left."""

    __tablename__ = "batch"

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    client_id: Mapped[str] = mapped_column(Id)
    root: Mapped[str] = mapped_column(Id)
    person_id: Mapped[str | None] = mapped_column(Id)
    role: Mapped[str] = mapped_column()
    team_id: Mapped[str | None] = mapped_column(Id)
    active: Mapped[bool] = mapped_column()
    received_at: Mapped[datetime] = mapped_column(Instant)
    sent: Mapped[dict[str, Any]] = mapped_column(Json)


class Journal(Model):
    """Each mutation as it came, with its receipt: audit trail, idempotency store and history at once. Append-only.

    `as_of` is the version its receipt names (an older one where a renumbered mutation was known already). `payload` is
    the mutation in canonical JSON without its seq; `seal` the SHA-256 of salt and payload; `chain` that of
    the entry before, this seal and the receipt. A purge for privacy writes `{"none": "purged"}` over what it takes out of
    the payload and blanks the salt: the chain still holds, and the journal can still be replayed.
    """

    __tablename__ = "journal"
    __table_args__ = (
        Index("ux_journal_client_seq", "org_id", "client_id", "seq", unique=True),
        Index("ix_journal_mutation", "org_id", "mutation_id"),
        Index("ix_journal_entity", "org_id", "entity", "n"),
    )

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    client_id: Mapped[str] = mapped_column(Id)
    seq: Mapped[int] = mapped_column(BigInteger)
    mutation_id: Mapped[str] = mapped_column(Id)
    kind: Mapped[str] = mapped_column()
    entity: Mapped[str] = mapped_column(Id)
    verb: Mapped[str] = mapped_column()
    digest: Mapped[str] = mapped_column()
    status: Mapped[str] = mapped_column()
    code: Mapped[str | None] = mapped_column()
    as_of: Mapped[int] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any] | None] = mapped_column(Json)
    conflicts: Mapped[list[str]] = mapped_column(Json)
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    seal: Mapped[str] = mapped_column()
    chain: Mapped[str] = mapped_column()


class Revision(Model):
    """What one journal entry changed of one entity: field -> [before, after]. A plain creation has none.

    `cause` {"kind", "id"} is the decision that brought it about; null where the entry is a change of the entity itself.
    """

    __tablename__ = "revision"

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    entity: Mapped[str] = mapped_column(Id, primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    changes: Mapped[dict[str, Any]] = mapped_column(Json)
    cause: Mapped[dict[str, Any] | None] = mapped_column(Json)


class Position(Model):
    """That an entity is, or until `removed_at` was, in a scope: one row each, moved to the version of each change.

    `day` is the day of a visit that is over, so that a pull can leave out what is older than the window.
    """

    __tablename__ = "position"
    __table_args__ = (
        Index("ix_position_scope", "org_id", "scope", "version"),
        Index("ix_position_entity", "org_id", "kind", "id"),
    )

    org_id: Mapped[str] = mapped_column(Id, ForeignKey("organisation.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    removed_at: Mapped[datetime | None] = mapped_column(Instant)
    day: Mapped[str | None] = mapped_column()


class Parked(Synced, Model):
    """A mutation that is safely stored but could not be applied; `raw` is JSON text as it came, escaped to ASCII.

    `entry` is the number of its journal entry and `batch` the version of the transaction that brought it: by them it is
    settled again as what it was. `suggestion` is the proposal that was made of it, if one was.
    """

    __tablename__ = "parked"
    __table_args__ = (
        Index("ix_parked_author", "org_id", "author_id", "status"),
        Index("ix_parked_behind", "org_id", "behind"),
    )

    author_id: Mapped[str | None] = mapped_column(Id)
    kind: Mapped[str] = mapped_column()
    entity: Mapped[str] = mapped_column(Id)
    verb: Mapped[str] = mapped_column()
    code: Mapped[str] = mapped_column()
    field: Mapped[str | None] = mapped_column()
    behind: Mapped[str | None] = mapped_column(Id)
    raw: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(Instant)
    entry: Mapped[int] = mapped_column(BigInteger)
    batch: Mapped[int] = mapped_column(BigInteger)
    suggestion: Mapped[str | None] = mapped_column(Id)
    status: Mapped[str] = mapped_column(default="open")
    verdict: Mapped[str | None] = mapped_column()
    decided_by: Mapped[str | None] = mapped_column(Id)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)


class Conflict(Synced, Model):
    """Two values for one field, one chosen, the other kept and restorable; of both, who wrote it and when (best time).

    `became` {"kind", "id"} is the amendment or suggestion that taking the lost value came to, where it needs another's word.
    """

    __tablename__ = "conflict"

    kind: Mapped[str] = mapped_column()
    entity: Mapped[str] = mapped_column(Id)
    field: Mapped[str] = mapped_column()
    kept: Mapped[Any] = mapped_column(Json, nullable=True)
    lost: Mapped[Any] = mapped_column(Json, nullable=True)
    kept_by: Mapped[str] = mapped_column()
    code: Mapped[str] = mapped_column()
    author_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)
    kept_author_id: Mapped[str | None] = mapped_column(Id)
    kept_at: Mapped[datetime | None] = mapped_column(Instant)
    lost_author_id: Mapped[str | None] = mapped_column(Id)
    lost_at: Mapped[datetime | None] = mapped_column(Instant)
    became: Mapped[dict[str, Any] | None] = mapped_column(Json)
    status: Mapped[str] = mapped_column(default="open")
    verdict: Mapped[str | None] = mapped_column()
    decided_by: Mapped[str | None] = mapped_column(Id)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)


class Suggestion(Synced, Model):
    """What somebody would change who may not, made by the server of a parked mutation: its `ops` on `entity`.

    `customer_id` tells whose owner is asked; `into` (purpose `merge`) the customer that would stay; `changed`
    {field: [before, after]} what approving it came to.
    """

    __tablename__ = "suggestion"
    __table_args__ = (
        Index("ix_suggestion_customer", "org_id", "customer_id", "status"),
        Index("ix_suggestion_into", "org_id", "into"),
    )

    kind: Mapped[str] = mapped_column()
    entity: Mapped[str] = mapped_column(Id)
    verb: Mapped[str] = mapped_column()
    purpose: Mapped[str] = mapped_column()
    ops: Mapped[list[Any]] = mapped_column(Json, default=list)
    customer_id: Mapped[str] = mapped_column(Id)
    parked: Mapped[str | None] = mapped_column(Id)
    into: Mapped[str | None] = mapped_column(Id)
    author_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)
    changed: Mapped[dict[str, Any] | None] = mapped_column(Json)
    status: Mapped[str] = mapped_column(default="open")
    verdict: Mapped[str | None] = mapped_column()
    decided_by: Mapped[str | None] = mapped_column(Id)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)


class Amendment(Synced, Model):
    """What a rep would have changed in a visit that is written already: `changes` by field, `before` what they replace."""

    __tablename__ = "amendment"
    __table_args__ = (Index("ix_amendment_visit", "org_id", "visit_id"),)

    visit_id: Mapped[str] = mapped_column(Id)
    reason: Mapped[str] = mapped_column()
    changes: Mapped[dict[str, Any]] = mapped_column(Json)
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    author_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)
    status: Mapped[str] = mapped_column(default="open")
    verdict: Mapped[str | None] = mapped_column()
    decided_by: Mapped[str | None] = mapped_column(Id)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)


class Decision(Synced, Model):
    """Somebody's verdict on what waited for one; `stands` is false where another came first or its author thought again."""

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_on", "org_id", "on_id"),)

    on_kind: Mapped[str] = mapped_column()
    on_id: Mapped[str] = mapped_column(Id)
    verdict: Mapped[str] = mapped_column()
    word: Mapped[str | None] = mapped_column()
    author_id: Mapped[str | None] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)
    stands: Mapped[bool] = mapped_column(default=False)
