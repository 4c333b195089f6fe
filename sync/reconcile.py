"""(current entity, mutation, author, policy) -> outcome: the one place where it is decided what wins.

Pure, total and deterministic: no clock, no database, and for any input of the declared classes an outcome instead of
an exception. A mutation is atomic: one bad op parks it whole. Otherwise every op settles by the kind of its field:

========  ==================================================================================================
value     same as now: nothing; as the author saw it, or last changed by himself or before ``base``: taken;
          else the field's authority decides, or the incoming value wins; the loser becomes a conflict
text      as value, but where somebody else was faster both edits are merged (:mod:`sync.text`)
set       element by element; a remove touches what was there at ``base`` or was added by this client's chain
evidence  written once; nothing or ``none`` may become a real value while the entity is in a state for it;
          what comes later and differs becomes a conflict, the first value stays
state     a legal step is taken; else the rank decides, and it is flagged
========  ==================================================================================================

Whether somebody else was faster is read from the *stamps* an entity carries, sparse and small enough to be stored
beside it: ``"*"`` -> [version, chain, role] of its creation; ``field`` -> the same of the field's last change;
for a set ``field`` -> {element: the same of its addition}. An element or field without a stamp is as old as ``"*"``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sync import receipt
from sync.mutation import OPS, SCHEMA, VERBS, Author, Mutation, Op, canonical
from sync.policy import Field, Policy, well_formed
from sync.text import merge

EXTRA_LIMIT = 8 * 1024
"""Bytes of canonical JSON that the unknown fields of one entity may take together."""

RESERVED = frozenset({"*", "id", "version", "archived", "server"})
"""Names that no unknown field may take, because a row sent to a phone or a stamp means something else by them."""

_OPS_OF: dict[str, frozenset[str]] = {
    "value": frozenset({"set"}),
    "text": frozenset({"text", "set"}),
    "set": frozenset({"add", "remove", "set"}),
    "evidence": frozenset({"set"}),
    "state": frozenset({"go"}),
    "readonly": frozenset(),
}
_MANAGERS = frozenset({"manager", "administrator"})
_UNKNOWN_VALUE = Field("value")
_UNKNOWN_SET = Field("set")


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as it is now.

    values: known fields by wire name (a missing one is null, a missing set is empty; a set is a list in the order of
    arrival). extra: fields that only newer apps know. stamps: see the module. created_by: person. version: the head
    at its last change.
    """

    values: dict[str, Any]
    extra: dict[str, Any]
    stamps: dict[str, Any]
    archived: bool
    created_by: str
    version: int


class Conflict(NamedTuple):
    """Two values for one field: ``kept`` stands, ``lost`` can be restored. ``kept_by`` tells whose ``kept`` is.

    For ``TEXT_KEPT_BOTH`` kept is the merged text and lost the text it grew from; for ``EDIT_ARCHIVED`` the field is
    ``archived``, kept true and lost false, which is to restore.
    """

    field: str
    kept: Any
    lost: Any
    kept_by: Literal["current", "incoming"]
    code: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a mutation comes to. ``merged`` always has conflicts, nothing else ever has.

    code: of merged or parked; field: the culprit of an ``INVALID`` (``entity`` when it is no single field).
    changes: new values of known fields but sets; added, removed: elements of known sets; extra: all unknown fields
    as they are afterwards, None when they stay; archived: the new value, None when it stays.
    """

    status: receipt.Status
    code: str | None = None
    field: str | None = None
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    extra: dict[str, Any] | None = None
    added: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    removed: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    conflicts: list[Conflict] = dataclasses.field(default_factory=list)
    archived: bool | None = None


def reconcile(current: Entity | None, mutation: Mutation, author: Author, policy: Policy) -> Outcome:
    """Decide what becomes of a mutation on ``current`` (None: there is no such entity). Changes none of its arguments.

    Rights, scopes and references are not asked here. ``mutation.base`` above the head must have been made 0 before.
    """
    verb = mutation.verb
    if mutation.schema != SCHEMA or verb not in VERBS or mutation.kind != policy.kind:
        return Outcome("parked", receipt.UNKNOWN_OP)
    if verb == "void":
        return Outcome("noop")
    if verb == "create":
        return _create(current, mutation, author, policy)
    if current is None:
        return _invalid("entity")
    if verb == "update":
        return _Update(current, mutation, author, policy).outcome()
    return _shelve(current, mutation)


def apply_outcome(
    current: Entity | None, outcome: Outcome, mutation: Mutation, author: Author, version: int
) -> Entity:
    """The entity after ``outcome``, changed and stamped at ``version``; ``current`` itself where nothing changes.

    Raises ValueError when there is nothing to start from: no entity, and the outcome creates none.
    """
    stamp = [version, author.chain, author.role]
    if current is None:
        if mutation.verb != "create" or outcome.status not in ("applied", "merged"):
            raise ValueError(f"{mutation.verb} that was {outcome.status} makes no entity")
        values = {**outcome.changes, **outcome.added}
        return Entity(values, outcome.extra or {}, {"*": stamp}, False, author.person, version)
    changed = outcome.changes or outcome.added or outcome.removed or outcome.extra is not None
    if not changed and outcome.archived is None:
        return current
    values = {**current.values, **outcome.changes}
    stamps = {**current.stamps, **dict.fromkeys(outcome.changes, stamp)}
    extra = current.extra
    if outcome.extra is not None:
        extra = outcome.extra
        for name in dict.fromkeys([*current.extra, *extra]):
            if not _same_json(current.extra.get(name), extra.get(name)):
                stamps[name] = stamp
    for name in dict.fromkeys([*outcome.added, *outcome.removed]):
        removed = outcome.removed.get(name, [])
        added = outcome.added.get(name, [])
        values[name] = [one for one in _members(current.values.get(name)) if one not in removed] + added
        old = stamps.get(name)
        kept = {one: of for one, of in old.items() if one not in removed} if type(old) is dict else {}
        stamps[name] = {**kept, **dict.fromkeys(added, stamp)}
        if not stamps[name]:
            del stamps[name]
    archived = current.archived if outcome.archived is None else outcome.archived
    return Entity(values, extra, stamps, archived, current.created_by, version)


def _invalid(field: str) -> Outcome:
    return Outcome("parked", receipt.INVALID, field)


def _create(current: Entity | None, mutation: Mutation, author: Author, policy: Policy) -> Outcome:
    fields = policy.fields
    changes: dict[str, Any] = {}
    added: dict[str, list[Any]] = {}
    extra: dict[str, Any] = {}
    for op in mutation.ops:
        name, new = op.field, op.new
        if op.op != "set":
            return _invalid(name) if op.op in OPS else Outcome("parked", receipt.UNKNOWN_OP, name)
        if op.old is not None or name in changes or name in added or name in extra:
            return _invalid(name)
        field = fields.get(name)
        if field is None:
            if name in RESERVED:
                return _invalid(name)
            extra[name] = new
        elif field.kind == "readonly" or (new is not None and not field.check.test(new)):
            return _invalid(name)
        elif field.kind == "set":
            if new is not None and not _are_words(new):
                return _invalid(name)
            added[name] = list(dict.fromkeys(new or ()))
        else:
            changes[name] = new
    for name in policy.required:
        if changes.get(name) is None and name not in added:
            return _invalid(name)
    state = changes.get(policy.state) if policy.state else None
    if policy.state and state is not None and state not in policy.initial:
        return _invalid(policy.state)
    if extra:
        culprit = next(reversed(extra))
        extra = {name: value for name, value in extra.items() if value is not None}
        if not _fits(extra):
            return _invalid(culprit)
    if current is None:
        return Outcome("applied", changes=changes, added=added, extra=extra or None)
    identical = (
        author.person == current.created_by
        and all(current.values.get(name) == value for name, value in changes.items())
        and all(set(_members(current.values.get(name))) == set(value) for name, value in added.items())
        and all(_same_json(current.extra.get(name), value) for name, value in extra.items())
    )
    return Outcome("noop") if identical else _invalid("entity")


def _shelve(current: Entity, mutation: Mutation) -> Outcome:
    if mutation.ops:  # to take the verb and drop what was typed would lose it
        return _invalid(mutation.ops[0].field)
    archived = mutation.verb == "archive"
    return Outcome("noop") if current.archived == archived else Outcome("applied", archived=archived)


class _Update:
    """One update being settled op by op. The settling methods return False for an op that parks the mutation."""

    __slots__ = ("author", "changes", "conflicts", "current", "mutation", "policy", "sets")

    def __init__(self, current: Entity, mutation: Mutation, author: Author, policy: Policy) -> None:
        self.current = current
        self.mutation = mutation
        self.author = author
        self.policy = policy
        self.changes: dict[str, Any] = {}
        self.sets: dict[str, dict[str, None]] = {}
        self.conflicts: list[Conflict] = []

    def outcome(self) -> Outcome:
        ops = self.mutation.ops
        fields = [self._field(op) for op in ops]
        once: set[str] = set()
        for op, field in zip(ops, fields, strict=True):
            fault = _fault(op, field)
            if fault:
                return Outcome("parked", fault, op.field)
            if field.kind != "set":
                if op.field in once:  # two answers to one question: which one was meant?
                    return _invalid(op.field)
                once.add(op.field)
        # The state first: evidence asks for it.
        for op, field in zip(ops, fields, strict=True):
            if field.kind == "state" and not self._go(op):
                return _invalid(op.field)
        for op, field in zip(ops, fields, strict=True):
            kind = field.kind
            settled = True
            if kind == "value":
                settled = self._set_value(op, field)
            elif kind == "text":
                settled = self._set_text(op, field)
            elif kind == "set":
                settled = self._set_members(op)
            elif kind == "evidence":
                settled = self._set_evidence(op, field)
            if not settled:
                return _invalid(op.field)
        return self._finish()

    def _field(self, op: Op) -> Field:
        field = self.policy.fields.get(op.field)
        if field is not None:
            return field
        return _UNKNOWN_SET if op.op in ("add", "remove") else _UNKNOWN_VALUE

    def _now(self, name: str) -> Any:
        known = name in self.policy.fields
        return self.current.values.get(name) if known else self.current.extra.get(name)

    def _set_value(self, op: Op, field: Field) -> bool:
        name, new = op.field, op.new
        if field is _UNKNOWN_VALUE:
            now = self.current.extra.get(name)
            if _same_json(now, new):
                return True
            seen = _same_json(now, op.old)
        else:
            now = self.current.values.get(name)
            if now == new:
                return True
            seen = now == op.old
        if not seen:
            version, chain, role = _stamp(self.current.stamps, name)
            if version > self.mutation.base and chain != self.author.chain:
                if field.authority is not None and _outranks(field.authority, role, self.author.role):
                    self.conflicts.append(Conflict(name, now, new, "current", receipt.FIELD_CONFLICT))
                    return True
                self.conflicts.append(Conflict(name, new, now, "incoming", receipt.FIELD_CONFLICT))
        self.changes[name] = new
        return True

    def _set_text(self, op: Op, field: Field) -> bool:
        now, new = self._now(op.field), op.new
        if now == new:
            return True
        # The own chain is no exception here: its last change may be a merge that holds somebody else's words,
        # which the author had not seen when this was typed.
        if _str(now) != _str(op.old) and _stamp(self.current.stamps, op.field)[0] > self.mutation.base:
            merged = merge(_str(op.old), mine=_str(new), theirs=_str(now))
            if merged.text == now:
                return True
            if not field.check.test(merged.text):  # together too long: then side by side
                self._conflict(op.field, new, now, "incoming", receipt.FIELD_CONFLICT)
            else:
                new = merged.text
                if merged.kept_both:
                    self._conflict(op.field, new, now, "incoming", receipt.TEXT_KEPT_BOTH)
        self.changes[op.field] = new
        return True

    def _set_members(self, op: Op) -> bool:
        name = op.field
        now = self._now(name)
        if now is not None and not _are_words(now):
            return False
        there = dict.fromkeys(now or ())
        members = self.sets.setdefault(name, dict(there))
        add, remove = op.values, op.values
        if op.op == "set":
            old, new = op.old or [], op.new or []
            add = [one for one in new if one not in old]
            remove = [one for one in old if one not in new]
        if op.op != "add":
            for one in remove:
                if one in members and (one not in there or self._may_remove(name, one)):
                    del members[one]
        if op.op != "remove":
            members.update(dict.fromkeys(add))
        return True

    def _may_remove(self, name: str, element: str) -> bool:
        version, chain, _ = _stamp(self.current.stamps, name, element)
        return version <= self.mutation.base or chain == self.author.chain

    def _set_evidence(self, op: Op, field: Field) -> bool:
        new = op.new
        now = None if op.field in self.changes else self._now(op.field)  # blanked by the step just taken
        if now == new:
            return True
        if new is None:
            return False
        absent = now is None or (type(now) is dict and "none" in now and now["none"] != "purged")
        real = not (type(new) is dict and "none" in new)
        if (now is None and not real) or (absent and real and self._in_time(field)):
            self.changes[op.field] = new
        else:
            self._conflict(op.field, now, new, "current", receipt.FIELD_CONFLICT)
        return True

    def _in_time(self, field: Field) -> bool:
        if field.late is None or self.policy.state is None:
            return True
        before = self.current.values.get(self.policy.state)
        after = self.changes.get(self.policy.state, before)
        return _str(before) in field.late or _str(after) in field.late

    def _go(self, op: Op) -> bool:
        policy = self.policy
        now, new = self._now(op.field), op.new
        if now == new:
            return True
        here = _str(now)
        if new in policy.steps.get(here, ()):
            if (here, new) in policy.flagged:
                self._conflict(op.field, new, now, "incoming", receipt.STATE_CONFLICT)
        elif op.old == now:  # the author saw it and still asked for what cannot be
            return False
        elif policy.rank.get(new, -1) > policy.rank.get(here, -1):
            self._conflict(op.field, new, now, "incoming", receipt.STATE_CONFLICT)
        else:
            self._conflict(op.field, now, new, "current", receipt.STATE_CONFLICT)
            return True
        self.changes[op.field] = new
        for name in policy.renewed:
            if new in policy.fields[name].renewed:
                self._renew(name)
        return True

    def _renew(self, name: str) -> None:
        """Blank evidence of what was taken back; what somebody else wrote since stays restorable."""
        now = self.current.values.get(name)
        if now is None:
            return
        version, chain, _ = _stamp(self.current.stamps, name)
        if version > self.mutation.base and chain != self.author.chain:
            self._conflict(name, None, now, "incoming", receipt.FIELD_CONFLICT)
        self.changes[name] = None

    def _conflict(
        self, field: str, kept: Any, lost: Any, kept_by: Literal["current", "incoming"], code: str
    ) -> None:
        self.conflicts.append(Conflict(field, kept, lost, kept_by, code))

    def _finish(self) -> Outcome:
        fields = self.policy.fields
        added: dict[str, list[Any]] = {}
        removed: dict[str, list[Any]] = {}
        unknown = {name: value for name, value in self.changes.items() if name not in fields}
        for name, members in self.sets.items():
            there = dict.fromkeys(self._now(name) or ())
            more = [one for one in members if one not in there]
            less = [one for one in there if one not in members]
            if name not in fields:
                if more or less:
                    unknown[name] = list(members)
                continue
            if more:
                if not fields[name].check.test(list(members)):
                    return _invalid(name)
                added[name] = more
            if less:
                removed[name] = less
        extra = None
        changes = self.changes
        if unknown:
            changes = {name: value for name, value in changes.items() if name in fields}
            extra = {**self.current.extra, **unknown}
            extra = {name: value for name, value in extra.items() if value is not None}
            if not _fits(extra):
                return _invalid(next(reversed(unknown)))
        changed = changes or added or removed or unknown
        conflicts = self.conflicts
        if changed and self.current.archived:
            self._conflict("archived", True, False, "current", receipt.EDIT_ARCHIVED)
        if not conflicts:
            status: receipt.Status = "applied" if changed else "noop"
            return Outcome(status, None, None, changes, extra, added, removed)
        codes = {one.code for one in conflicts}
        code = next(code for code in receipt.MERGED_CODES if code in codes)
        return Outcome("merged", code, None, changes, extra, added, removed, conflicts)


def _fault(op: Op, field: Field) -> str | None:
    """Why an op of an update cannot be taken whatever the entity is, as a code; None if it can."""
    if op.op not in OPS:
        return receipt.UNKNOWN_OP
    if field is _UNKNOWN_VALUE:
        return receipt.INVALID if op.field in RESERVED or not _fits(op.new) else None
    if field is _UNKNOWN_SET:
        return receipt.INVALID if op.field in RESERVED or not _are_words(op.values) else None
    if op.op not in _OPS_OF[field.kind]:
        return receipt.INVALID
    if field.kind == "set":
        if op.op == "remove":
            return None if _are_words(op.values) else receipt.INVALID
        if op.op == "set" and op.old is not None and not _are_words(op.old):
            return receipt.INVALID
        new = op.values if op.op == "add" else op.new
        sound = new is None or (_are_words(new) and field.check.test(new))
        return None if sound else receipt.INVALID
    if op.new is None:
        return receipt.INVALID if field.required or field.kind == "state" else None
    if field.kind == "state" and type(op.new) is not str:
        return receipt.INVALID
    return None if field.check.test(op.new) else receipt.INVALID


def _stamp(stamps: dict[str, Any], field: str, element: str | None = None) -> tuple[int, str, str]:
    """Version, chain and role of a field's last change or an element's addition; of the creation if it has none."""
    found = stamps.get(field)
    if element is not None and type(found) is dict:
        found = found.get(element)
    if found is None:
        found = stamps.get("*")
    if type(found) is list and len(found) == 3:
        version, chain, role = found
        if type(version) is int and type(chain) is str and type(role) is str:
            return version, chain, role
    return 0, "", ""


def _outranks(authority: str | None, standing: str, incoming: str) -> bool:
    """Whether a value written in the role ``standing`` stands against one that comes in the role ``incoming``."""
    if authority == "manager":
        return incoming == "rep" and standing in _MANAGERS
    if authority == "rep":
        return incoming in _MANAGERS and standing == "rep"
    return False


def _str(value: Any) -> str:
    return value if type(value) is str else ""


def _members(value: Any) -> list[str]:
    return value if _are_words(value) else []


def _are_words(value: Any) -> bool:
    return type(value) is list and all(type(one) is str and well_formed(one) for one in value)


def _same_json(one: Any, other: Any) -> bool:
    """Equality of JSON values of unknown shape: to Python, true equals 1."""
    try:
        return canonical(one) == canonical(other)
    except RecursionError:
        return False


def _fits(extra: Any) -> bool:
    """Whether unknown content can be kept: small enough, not nested beyond reason, storable by every database."""
    try:
        content = canonical(extra)
        content.decode()
    except (RecursionError, UnicodeDecodeError):
        return False
    # An escaped backslash before "u0000" is no NUL.
    return len(content) <= EXTRA_LIMIT and b"\\u0000" not in content.replace(b"\\\\", b"")
