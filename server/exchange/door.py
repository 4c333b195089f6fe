"""The door for writers that are no phone: REST, CSV import, command line. They too write mutations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from sqlalchemy import Connection

from server.exchange.apply import Submission, apply, apply_within
from server.exchange.documents import MOST_MUTATIONS, item_of
from server.exchange.kinds import WRITABLE
from server.exchange.work import SERVERS_LIFE, Actor
from sync.mutation import SCHEMA, Moment, instant_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Change:
    """One mutation of a server-side writer.

    `new` holds field -> new value (a create takes them all as `set`); `old` what the writer saw, by field. `id` is the
    idempotency key (a fresh one where none is given); `base` the version of the entity the writer saw.
    """

    kind: str
    entity: str
    verb: str
    new: Mapping[str, Any] = field(default_factory=dict)
    old: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    base: int = 0


def client_of(org_id: str, name: str) -> str:
    """The id of a server-side client, such as `cli`, `import` or a token's: the same one every time."""
    return str(uuid5(NAMESPACE_OID, f"rounds:{org_id}:{name}"))


def write(actor: Actor, client: str, changes: Sequence[Change], now: datetime) -> list[dict[str, Any]]:
    """Send changes through the door, 200 a transaction; returns their receipts in order.

    A change whose `id` was written before, with the same content, gets its old receipt and is not applied again.
    """
    moment = Moment(now.astimezone(UTC), 0.0, SERVERS_LIFE, 0.0, "UTC")
    receipts: list[dict[str, Any]] = []
    for start in range(0, len(changes), MOST_MUTATIONS):
        items = [item_of(_raw(change, now), client) for change in changes[start : start + MOST_MUTATIONS]]
        answer = apply(Submission(actor, client, None, moment, now, items))
        receipts += answer.receipts
    return receipts


def write_within(
    connection: Connection, actor: Actor, client: str, changes: Sequence[Change], now: datetime
) -> list[dict[str, Any]]:
    """As `write`, inside a transaction of the caller's: what is written directly beside it stands or falls with it.

    At most 200 changes; an unexpected failure is the caller's.
    """
    moment = Moment(now.astimezone(UTC), 0.0, SERVERS_LIFE, 0.0, "UTC")
    items = [item_of(_raw(change, now), client) for change in changes]
    return apply_within(connection, Submission(actor, client, None, moment, now, items)).receipts


def _raw(change: Change, now: datetime) -> dict[str, Any]:
    # A change that may be repeated under its id must be the same content each time, so it cannot tell the time.
    wall = EPOCH if change.id else now.astimezone(UTC)
    at = {"wall": instant_text(wall), "mono_ms": 0, "life": SERVERS_LIFE, "offset_ms": 0, "zone": "UTC"}
    ops = [_op(change, name, value) for name, value in change.new.items()]
    return {
        "seq": 0,  # numbered inside
        "id": change.id or str(uuid4()),
        "schema": SCHEMA,
        "kind": change.kind,
        "entity": change.entity,
        "verb": change.verb,
        "base": change.base,
        "at": at,
        "ops": ops,
    }


def _op(change: Change, name: str, value: Any) -> dict[str, Any]:
    old = change.old.get(name)
    settles = WRITABLE[change.kind].fields[name].kind if name in WRITABLE[change.kind].fields else "value"
    word = {"text": "text", "state": "go"}.get(settles, "set") if change.verb == "update" else "set"
    return {"field": name, "op": word, "old": old, "new": value}
