"""The old id of a customer that was merged into another stands for that other for ever.

The door reads it so in every mutation, whether it names the old customer or refers to it: what a phone wrote offline at
the old one lands at the one that stayed.
"""

from __future__ import annotations

from dataclasses import replace

from server.exchange.kinds import WRITABLE
from server.exchange.work import Row, Work
from sync.mutation import Mutation, Op
from sync.policy import is_uuid


def survivor(work: Work, customer_id: str) -> Row:
    """The customer that an id stands for: itself, or what it was merged into, however often."""
    row, seen = work.row("customer", customer_id), {customer_id}
    while row.entity is not None and (into := row.columns.get("merged_into")) and into not in seen:
        seen.add(into)
        row = work.row("customer", into)
    return row


def redirect(work: Work, mutation: Mutation) -> Mutation:
    """A mutation with every customer in it that was merged into another read as that other.

    But for two verbs on the old customer itself: a create is a repetition, and an archive is done already; the one that
    stayed is not meant.
    """
    entity = mutation.entity
    if mutation.kind == "customer" and mutation.verb in {"update", "restore"}:
        entity = survivor(work, entity).id
    kind = WRITABLE[mutation.kind]
    fields = {name for name, target in kind.references.items() if target == "customer"}
    if kind.on and any(op.field == "on_kind" and op.new == "customer" for op in mutation.ops):
        fields.add("on_id")
    ops = mutation.ops
    if fields and any(op.field in fields for op in ops):
        ops = [_redirected(work, op) if op.field in fields else op for op in ops]
        if ops != mutation.ops and mutation.kind == "visit":
            work.named[mutation.entity] = next(op.new for op in mutation.ops if op.field == "customer_id")
    if entity == mutation.entity and ops == mutation.ops:
        return mutation
    return replace(mutation, entity=entity, ops=ops)


def _redirected(work: Work, op: Op) -> Op:
    old, new = (survivor(work, value).id if is_uuid(value) else value for value in (op.old, op.new))
    return op if (old, new) == (op.old, op.new) else replace(op, old=old, new=new)
