"""What a person did, as data: one atomic action, written in the phone's outbox before anything is sent.

The classes mirror the wire, name for name. They are plain frozen dataclasses, so that a fast decoder can fill
them straight from JSON; nothing here checks their content (:mod:`sync.policy` does) or changes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Moment:
    """A device's claim about when something happened, kept raw; :mod:`sync.clock` makes a best time of it.

    wall: what the device's clock showed, UTC (a value without a zone is taken as UTC).
    mono_ms: the page's monotonic clock in milliseconds; restarts with the page, may stand still in sleep.
    life: id of that page life; two ``mono_ms`` compare only within one life.
    offset_ms: server minus device in milliseconds, as last measured before; None if never.
    zone: IANA name of the zone the device was in, such as ``Europe/London``.
    """

    wall: datetime
    mono_ms: float
    life: str
    offset_ms: float | None
    zone: str


@dataclass(frozen=True, slots=True)
class Op:
    """One change of one field.

    op: ``set`` (value, evidence; also any field of a create), ``text`` (long text), ``add`` and ``remove``
    (members of a set, in ``values``), ``go`` (a step between states).
    old: what the person saw before, None for nothing; new: what they made of it, None to clear it.
    """

    field: str
    op: str
    old: Any = None
    new: Any = None
    values: list[Any] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One atomic action on one entity: all of its ops are taken, or none.

    seq: position in its client's outbox, from 1 without gaps; id: UUID, the idempotency key.
    schema: number of the payload's format (:mod:`sync.migrate` brings old ones up to :data:`SCHEMA`).
    kind, entity: what it is about; verb: ``create update archive restore void``.
    base: version of the entity the person was looking at, 0 for one not yet received. Whoever knows the
    organisation's head turns a base above it into 0 before reconciling; nothing here can know.
    at: when the person did it, as the device claims.
    """

    seq: int
    id: str
    schema: int
    kind: str
    entity: str
    verb: str
    base: int
    at: Moment
    ops: list[Op]


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a mutation.

    person: id; role: ``rep manager finance administrator``; chain: the first client id in the chain of
    predecessors, so that an outbox that had to take a new client id still counts as one client.
    """

    person: str
    role: str
    chain: str


SCHEMA = 1
"""The schema number that today's code reads and writes."""

VERBS = frozenset({"create", "update", "archive", "restore", "void"})
OPS = frozenset({"set", "text", "add", "remove", "go"})

_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)
_encode = _encoder.encode


def canonical(value: Any) -> bytes:
    """The canonical JSON of a JSON value: keys sorted, no blanks, UTF-8, no Unicode normalisation.

    Equal bytes mean equal content. Half a surrogate pair, which a damaged phone may send, is encoded like a
    character instead of failing, because the digest of a payload must exist before anybody can park it.
    Raises RecursionError for JSON nested deeper than the interpreter's stack.
    """
    return _encode(value).encode("utf-8", "surrogatepass")


def digest(raw: Mapping[str, Any]) -> str:
    """SHA-256 (hexadecimal) over the canonical JSON of a mutation as received, without its ``seq``.

    Without it, because an outbox that had to renumber sends the same content under another number.
    """
    content = {key: value for key, value in raw.items() if key != "seq"}
    return hashlib.sha256(canonical(content)).hexdigest()


def instant_text(instant: datetime) -> str:
    """An aware instant as the wire writes it: RFC 3339, UTC, milliseconds, ``Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(value: Mapping[str, Any]) -> Moment:
    """The :class:`Moment` in a field's JSON value, such as ``check_in``, that passed ``policy.moment()``.

    Raises KeyError or ValueError for a value that did not pass.
    """
    wall = datetime.fromisoformat(value["wall"])
    return Moment(
        wall=wall if wall.tzinfo else wall.replace(tzinfo=UTC),
        mono_ms=value["mono_ms"],
        life=value["life"],
        offset_ms=value.get("offset_ms"),
        zone=value["zone"],
    )
