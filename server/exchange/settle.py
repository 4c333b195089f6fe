"""What becomes of one mutation: judged against what is there, then taken, or kept where somebody must decide about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from server.exchange import rights
from server.exchange.documents import Item
from server.exchange.follow import FOLLOWS
from server.exchange.kinds import UNDECIDED, WRITABLE
from server.exchange.redirect import redirect
from server.exchange.work import Row, Work
from sync import receipt as codes
from sync.mutation import OPS, SCHEMA, VERBS, Mutation, Op
from sync.policy import is_uuid
from sync.reconcile import Conflict, Outcome, apply_outcome, reconcile

Weigh = Callable[[Work, Mutation, Outcome], Outcome]

WEIGHED: dict[str, Weigh] = {}
"""Kind -> what has the last word on a new one that nothing else speaks against: it may still flag or park it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one mutation."""

    status: str
    code: str | None = None
    field: str | None = None
    conflicts: tuple[str, ...] = ()
    version: int = 0
    behind: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """How a mutation would settle, with nothing written yet.

    `code` tells why it would be parked, with the `field` and what it would stand `behind`. Else `row`, `mutation` (as it
    was completed) and `outcome` are there to be taken.
    """

    code: str | None = None
    field: str | None = None
    behind: str | None = None
    row: Row | None = None
    mutation: Mutation | None = None
    outcome: Outcome | None = None


def settle(work: Work, item: Item, head: int) -> Settled:
    """What becomes of one new mutation; leaves its effect in `work`. `head` is the version before this transaction."""
    if item.verb == "void":
        return Settled("noop", version=work.version)
    judged = judge(work, item, head)
    if judged.code is None:
        return take(work, item, judged)
    settled = park(work, item, judged.code, judged.field, judged.behind)
    if judged.code in {codes.FORBIDDEN, codes.SCOPE_LOST}:
        suggest(work, item, judged)
    return settled


def judge(work: Work, item: Item, head: int) -> Judged:
    """How a mutation would settle now, by whom `work` acts for."""
    kind = WRITABLE.get(item.kind)
    if kind is None:
        return Judged(codes.UNKNOWN_OP)
    if item.mutation is None:
        return Judged(codes.UNKNOWN_OP) if item.newer else Judged(codes.INVALID, item.field)
    mutation = item.mutation
    if mutation.base > head:
        mutation = replace(mutation, base=0)
    mutation = redirect(work, mutation)
    row = work.row(mutation.kind, mutation.entity)
    pointed = references(mutation)
    parents = [target for _, name, target in pointed if work.row(name, target).entity is None]
    if row.entity is None and mutation.verb != "create":
        parents.append(mutation.entity)
    if parents:
        behind = work.parked_creation(parents)
        if behind is not None:
            return Judged(codes.PARENT_PARKED, behind=behind[0])
    if row.entity is None and mutation.verb == "create":
        mutation = rights.complete(work, mutation)
        pointed = references(mutation)
    outcome = reconcile(row.entity, mutation, work.author, kind.policy)
    invalid = Judged(outcome.code or codes.INVALID, outcome.field) if outcome.status == "parked" else None
    if row.entity is None and mutation.verb == "create" and invalid:
        return invalid  # of a wrong shape, whoever sends it
    refused = rights.refusal(work, row, mutation, pointed)
    if refused is not None:
        # What would not settle anyway is nothing to suggest.
        return Judged(*refused) if invalid else Judged(*refused, row=row, mutation=mutation, outcome=outcome)
    if invalid:
        return invalid
    outcome = _unique(work, row, outcome) or outcome
    if row.entity is None and kind.name in WEIGHED:
        outcome = WEIGHED[kind.name](work, mutation, outcome)
    if outcome.status == "parked":
        return Judged(outcome.code or codes.INVALID, outcome.field)
    return Judged(row=row, mutation=mutation, outcome=outcome)


def is_understood(item: Item) -> bool:
    """Whether this release knows what a mutation wants; where its shape is wrong, that is another question."""
    if item.kind not in WRITABLE:
        return False
    mutation = item.mutation
    if mutation is None:
        return True
    known = mutation.schema == SCHEMA and mutation.verb in VERBS
    return known and all(op.op in OPS for op in mutation.ops)


def take(work: Work, item: Item, judged: Judged) -> Settled:
    """Let a mutation that was judged take effect."""
    row, mutation, outcome = judged.row, judged.mutation, judged.outcome
    assert row is not None and mutation is not None and outcome is not None
    conflicts = _conflicts(work, row, item, mutation, outcome)
    if outcome.status != "noop":
        entity = apply_outcome(row.entity, outcome, mutation, work.author, work.version)
        work.put(row, entity)
        follow = FOLLOWS.get(row.kind.name)
        if follow is not None:
            follow(work, row, mutation, outcome)
    return Settled(
        outcome.status, outcome.code, None, conflicts, row.entity.version if row.entity else work.version
    )


def references(mutation: Mutation) -> list[tuple[str, str, str]]:
    """(field, kind, id) of everything a mutation newly points at."""
    kind = WRITABLE.get(mutation.kind)
    if kind is None:
        return []
    known = kind.references
    if kind.on:
        about = next((op.new for op in mutation.ops if op.field == "on_kind"), None)
        known = {**known, "on_id": about} if isinstance(about, str) and about in kind.on else known
    return [
        (op.field, known[op.field], op.new)
        for op in mutation.ops
        if op.field in known and op.op == "set" and is_uuid(op.new)
    ]


def _unique(work: Work, row: Row, outcome: Outcome) -> Outcome | None:
    """The outcome where somebody else has the value of the kind's unique field; None where nobody has.

    A field that may be empty is left as it was, flagged; without the others there is no entity, so it is parked.
    """
    name = row.kind.unique
    value = outcome.changes.get(name) if name else None
    if not name or not value:
        return None
    in_hand = any(
        other.id != row.id
        and other.entity is not None
        and other.values().get(name) == value
        and not other.columns.get("merged_into")
        for (kind, _), other in work.rows.items()
        if kind == row.kind.name
    )
    if not in_hand:
        stored = work.holder(row.kind, value)
        moved = (
            stored is not None
            and (row.kind.name, stored) in work.rows
            and work.rows[row.kind.name, stored].changed
        )
        if stored is None or stored == row.id or moved:
            return None
    if row.kind.fields[name].required:
        return Outcome("parked", codes.INVALID, name)
    kept = row.entity.values.get(name) if row.entity else None
    lost = Conflict(field=name, kept=kept, lost=value, kept_by="current", code=codes.UNIQUE_TAKEN)
    return replace(
        outcome,
        status="merged",
        code=outcome.code or codes.UNIQUE_TAKEN,
        changes={**outcome.changes, name: kept},
        conflicts=[*outcome.conflicts, lost],
    )


def _conflicts(work: Work, row: Row, item: Item, mutation: Mutation, outcome: Outcome) -> tuple[str, ...]:
    """Store the values that lost, each as an entity that both authors and the manager see; returns their ids."""
    ids = []
    for number, conflict in enumerate(outcome.conflicts):
        identity = str(uuid5(NAMESPACE_OID, f"conflict:{item.id}:{number}"))
        work.made["conflict", identity] = made(work, identity) | {
            "kind": mutation.kind,
            "entity": mutation.entity,
            "field": conflict.field,
            "kept": conflict.kept,
            "lost": conflict.lost,
            "kept_by": conflict.kept_by,
            "code": conflict.code,
            "author_id": work.actor.id,
            "at": work.now,
            **_authors(work, row, mutation, conflict),
            "became": None,
            **UNDECIDED,
        }
        ids.append(identity)
    return tuple(ids)


def _authors(work: Work, row: Row, mutation: Mutation, conflict: Conflict) -> dict[str, Any]:
    """Who wrote both values of a conflict, and when by best time; of decisions, when they came in."""
    if mutation.kind == "decision":
        about = {op.field: op.new for op in mutation.ops}
        standing = work.verdict_on(about["on_kind"], about["on_id"])[1:]
        written = work.received_at
    else:
        standing = work.writer_of(row, conflict.field)
        written = work.written(mutation)
    both = [(work.actor.id, written), standing]
    (kept, kept_at), (lost, lost_at) = both if conflict.kept_by == "incoming" else reversed(both)
    return {"kept_author_id": kept, "kept_at": kept_at, "lost_author_id": lost, "lost_at": lost_at}


def parked_id(work: Work, item: Item) -> str:
    """Under which id this mutation is parked, where it is."""
    return str(uuid5(NAMESPACE_OID, f"parked:{work.author.chain}:{item.id}:{item.digest}"))


def park(work: Work, item: Item, code: str, field: str | None = None, behind: str | None = None) -> Settled:
    """Store a mutation that cannot be applied, where its author and their manager see it."""
    identity = parked_id(work, item)
    work.made["parked", identity] = made(work, identity) | {
        "author_id": work.actor.id,
        "kind": item.kind,
        "entity": item.entity,
        "verb": item.verb,
        "code": code,
        "field": field,
        "behind": behind,
        "raw": _ascii(item.payload),
        "received_at": work.received_at,
        "entry": work.entry,
        "batch": work.version,
        "suggestion": None,
        **UNDECIDED,
    }
    return Settled("parked", code, field, version=work.version, behind=behind)


def suggest(work: Work, item: Item, judged: Judged) -> None:
    """Make a suggestion of an edit that its author may not make, where they see the customer or lately did.

    Nobody learns of a customer they never held: then there is only the parked mutation.
    """
    customer = asked_about(work, judged)
    if customer is None:
        return
    parked = parked_id(work, item)
    identity = str(uuid5(NAMESPACE_OID, f"suggestion:{parked}"))
    mutation = judged.mutation
    assert mutation is not None
    work.made["parked", parked]["suggestion"] = identity
    work.made["suggestion", identity] = suggestion(work, identity, "edit", mutation.kind, mutation.entity) | {
        "verb": mutation.verb,
        "ops": [_document(op) for op in mutation.ops],
        "customer_id": customer,
        "parked": parked,
    }


def suggestion(work: Work, identity: str, purpose: str, kind: str, entity: str) -> dict[str, Any]:
    """A new suggestion about an entity, by whom `work` acts for."""
    return made(work, identity) | {
        "kind": kind,
        "entity": entity,
        "verb": "update",
        "purpose": purpose,
        "ops": [],
        "customer_id": entity,
        "parked": None,
        "into": None,
        "author_id": work.actor.id,
        "at": work.now,
        "changed": None,
        **UNDECIDED,
    }


def asked_about(work: Work, judged: Judged) -> str | None:
    """The customer whose owner is to be asked about a refused edit; None for one that is no suggestion."""
    row, mutation = judged.row, judged.mutation
    if row is None or mutation is None or work.actor.id is None:
        return None
    if mutation.kind == "customer" and mutation.verb == "update" and row.entity is not None:
        seen = rights.relations_to(work, row)
        if judged.code == codes.FORBIDDEN:
            return row.id if seen else None
        return row.id if not seen and work.held_lately(row.id) else None
    if mutation.kind != "visit" or judged.code != codes.SCOPE_LOST:
        return None
    if judged.field == "customer_id":  # a plan for a customer that went to somebody else
        customer = next((op.new for op in mutation.ops if op.field == "customer_id"), None)
        return str(customer) if is_uuid(customer) and work.held_lately(str(customer)) else None
    if row.entity is not None and judged.field is None and work.held_lately(row.id, "visit"):
        return str(row.values()["customer_id"])
    return None


def _document(op: Op) -> dict[str, Any]:
    """An op as the wire writes it."""
    document = asdict(op)
    for name in ("old", "new") if op.op in {"add", "remove"} else ("values",):
        del document[name]
    return document


def _ascii(payload: bytes) -> str:
    """JSON as ASCII text, so that any database keeps it, half surrogates and all."""
    if payload.isascii():
        return payload.decode()
    return json.dumps(json.loads(payload.decode("utf-8", "surrogatepass")), separators=(",", ":"))


def made(work: Work, identity: str) -> dict[str, Any]:
    """What every row has that the server makes of its own."""
    return {
        "org_id": work.org_id,
        "id": identity,
        "version": work.version,
        "created_by": work.actor.id or "",
        "archived": False,
        "extra": {},
        "stamps": {"*": [work.version, work.author.chain, work.author.role]},
    }
