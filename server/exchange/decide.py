"""What a decision does: what waited for somebody's word takes effect, or is laid aside, in the decision's own transaction.

Everything takes effect through `settle`, as if its author had sent it now, so that the journal alone tells what happened.
The first who decides stands; whoever comes second is told, and may take their own word from the conflict that makes.
The same person may think again, which takes back what their word did.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import select

from server.exchange import rights
from server.exchange.documents import Item, item_of
from server.exchange.follow import judge_visit
from server.exchange.kinds import UNDECIDED, WRITABLE
from server.exchange.merge import merge
from server.exchange.model import Decision
from server.exchange.rights import Refusal
from server.exchange.settle import asked_about, is_understood, judge, settle, take
from server.exchange.work import Actor, Row, Work
from server.visits.rules import is_withheld
from sync import receipt as codes
from sync.clock import best_time
from sync.mutation import SCHEMA, Author, Mutation, instant_text, moment_of
from sync.reconcile import Conflict, Entity, Outcome, apply_outcome

MOMENTS = ("check_in", "check_out")


@dataclass(frozen=True, slots=True)
class About:
    """One decision: its mutation, on what, which verdict, with which word; `first` the verdict that stood before."""

    mutation: Mutation
    kind: str
    id: str
    verdict: str
    word: str | None
    first: str | None

    @property
    def cannot(self) -> Refusal:
        """The answer to a verdict that cannot be carried out as things are."""
        return codes.INVALID, "verdict"


Refuse = Callable[[Work, About], Refusal | None]
Carry = Callable[[Work, About], bool]


def weigh(work: Work, mutation: Mutation, outcome: Outcome) -> Outcome:
    """The last word on a new decision: flagged where another's came first, parked where it cannot be carried out."""
    about, by = _about(work, mutation, outcome.changes)
    if about.first is not None and by != work.actor.id:
        if about.first == about.verdict:
            return outcome
        told = Conflict("verdict", about.first, about.verdict, "current", codes.STATE_CONFLICT)
        return replace(outcome, status="merged", code=codes.STATE_CONFLICT, conflicts=[told])
    refused = None if about.first == about.verdict else REFUSED[about.kind](work, about)
    return outcome if refused is None else Outcome("parked", *refused)


def carry_out(work: Work, row: Row, mutation: Mutation, outcome: Outcome) -> None:
    """Let a decision that was taken take effect, and say whether it stands."""
    about, by = _about(work, mutation, row.values())
    row.columns = {"author_id": work.actor.id, "at": work.now, "stands": False}
    if about.first is not None and by != work.actor.id:
        return
    if about.first != about.verdict:
        before, work.cause = work.cause, {"kind": "decision", "id": row.id}
        row.columns["stands"] = CARRIED[about.kind](work, about)
        work.cause = before
    else:
        row.columns["stands"] = True
    if row.columns["stands"]:
        _unseat(work, about.id, row.id)


def _about(work: Work, mutation: Mutation, given: Mapping[str, Any]) -> tuple[About, str | None]:
    first, by, _ = work.verdict_on(given["on_kind"], given["on_id"])
    about = About(mutation, given["on_kind"], given["on_id"], given["verdict"], given.get("word"), first)
    return about, by


def _unseat(work: Work, on_id: str, now: str) -> None:
    """Of the decisions on one thing only the newest stands."""
    stored = work.connection.execute(
        select(Decision.id).where(Decision.org_id == work.org_id, Decision.on_id == on_id, Decision.stands)
    ).scalars()
    in_hand = [entity for (kind, entity), row in work.rows.items() if kind == "decision" and row.entity]
    for identity in sorted({*stored, *in_hand} - {now}):
        row = work.row("decision", identity)
        if row.values()["on_id"] == on_id and row.columns.get("stands"):
            _seat(work, row, stands=False)


def _seat(work: Work, row: Row, *, stands: bool) -> None:
    assert row.entity is not None
    row.columns = {**row.columns, "stands": stands}
    work.put(row, replace(row.entity, version=work.version))


def _closed(work: Work, verdict: str) -> dict[str, Any]:
    return {"status": "resolved", "verdict": verdict, "decided_by": work.actor.id, "decided_at": work.now}


# -- conflicts -----------------------------------------------------------------------------------------------------------


def _conflict_refused(work: Work, about: About) -> Refusal | None:
    thing = _thing(work, about)
    to_set = _to_set(about, thing)
    if to_set is None:
        return None
    if thing["kind"] == "decision":
        inner = _other_word(work, about, thing, to_set[1])
        return REFUSED[inner.kind](work, inner)
    if about.first is not None and thing["became"] and _was_decided(work, thing["became"]):
        return about.cannot
    if _is_evidence(thing):
        visit = work.row("visit", thing["entity"])
        seen = visit.entity is not None and rights.relations_to(work, visit) & {
            "rep",
            "lead",
            "administrator",
        }
        return None if seen else (codes.SCOPE_LOST, "verdict")
    if about.first is not None and thing["became"]:
        return None
    judged = judge(work, _effect(work, about, thing, *to_set), work.version - 1)
    if judged.code is not None:
        return None if asked_about(work, judged) else (judged.code, "verdict")
    taken = judged.outcome is not None and judged.outcome.code == codes.UNIQUE_TAKEN
    return about.cannot if taken else None


def _conflict_carried(work: Work, about: About) -> bool:
    thing, became = _thing(work, about), None
    to_set = _to_set(about, thing)
    stands = True
    if to_set is not None and thing["kind"] == "decision":
        stands = _overrule(work, about, thing, to_set[1])
    elif to_set is not None and about.first is not None and thing["became"]:
        _withdraw(work, about, thing["became"])
    elif to_set is not None and _is_evidence(thing):
        became = {"kind": "amendment", "id": _amend_instead(work, about, thing, to_set[1])}
    elif to_set is not None:
        parked = _settled(work, _effect(work, about, thing, *to_set))
        became = {"kind": "suggestion", "id": parked["suggestion"]} if parked else None
    work.remake("conflict", thing, **_closed(work, about.verdict), became=became)
    return stands


def _to_set(about: About, thing: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """(what stands, what is to stand) of a conflict's two values, or None where they stay."""
    if about.verdict == "take":
        return thing["kept"], thing["lost"]
    return (thing["lost"], thing["kept"]) if about.first == "take" else None


def _is_evidence(thing: Mapping[str, Any]) -> bool:
    field = WRITABLE[thing["kind"]].fields.get(thing["field"])
    return field is not None and field.kind == "evidence" and thing["kind"] == "visit"


def _effect(work: Work, about: About, thing: Mapping[str, Any], old: Any, new: Any) -> Item:
    """The ordinary change that brings a conflict's other value back. What changed since the conflict still counts."""
    name, kind = thing["field"], thing["kind"]
    if name == "archived":
        return _item(
            work, about, kind, thing["entity"], "archive" if new else "restore", thing["version"], []
        )
    op = _op(kind, name, old, new)
    return _item(work, about, kind, thing["entity"], "update", thing["version"], [op])


def _op(kind: str, name: str, old: Any, new: Any) -> dict[str, Any]:
    field = WRITABLE[kind].fields.get(name)
    word = {"text": "text", "state": "go"}.get(field.kind, "set") if field else "set"
    return {"field": name, "op": word, "old": old, "new": new}


def _item(
    work: Work, about: About, kind: str, entity: str, verb: str, base: int, ops: list[dict[str, Any]]
) -> Item:
    """A change that a decision makes, as its author could have sent it."""
    at = about.mutation.at
    raw = {
        "seq": 0,
        "id": str(uuid5(NAMESPACE_OID, f"effect:{about.mutation.id}:{about.id}")),
        "schema": SCHEMA,
        "kind": kind,
        "entity": entity,
        "verb": verb,
        "base": base,
        "at": {
            "wall": at.wall.isoformat(),
            "mono_ms": at.mono_ms,
            "life": at.life,
            "offset_ms": at.offset_ms,
            "zone": at.zone,
        },
        "ops": ops,
    }
    return item_of(raw, work.author.chain)


def _settled(work: Work, item: Item) -> dict[str, Any] | None:
    """Let a change take effect that was judged before; the parked mutation where it came to a suggestion."""
    known = set(work.made)
    if settle(work, item, work.version - 1).status != "parked":
        return None
    return next(row for key, row in work.made.items() if key not in known and key[0] == "parked")


def _other_word(work: Work, about: About, thing: Mapping[str, Any], verdict: str) -> About:
    """The decision that lost against another's, as if it were made now."""
    second = work.row("decision", thing["entity"]).values()
    first, _, _ = work.verdict_on(second["on_kind"], second["on_id"])
    return replace(
        about,
        kind=second["on_kind"],
        id=second["on_id"],
        verdict=verdict,
        word=second.get("word") or about.word,
        first=first,
    )


def _overrule(work: Work, about: About, thing: Mapping[str, Any], verdict: str) -> bool:
    inner = _other_word(work, about, thing, verdict)
    stands = CARRIED[inner.kind](work, inner)
    if stands:
        taken = about.verdict == "take"
        _unseat(work, inner.id, thing["entity"] if taken else "")
        if taken:
            _seat(work, work.row("decision", thing["entity"]), stands=True)
    return stands


def _was_decided(work: Work, became: Mapping[str, Any]) -> bool:
    """Whether somebody else has decided already about what a taken value came to."""
    verdict, by, _ = work.verdict_on(became["kind"], became["id"])
    return verdict is not None and by != work.actor.id


def _withdraw(work: Work, about: About, became: Mapping[str, Any]) -> None:
    """Lay aside the amendment or suggestion that taking a value came to."""
    verdict, _, _ = work.verdict_on(became["kind"], became["id"])
    inner = replace(about, kind=became["kind"], id=became["id"], verdict="decline", first=verdict)
    CARRIED[inner.kind](work, inner)


# -- parked --------------------------------------------------------------------------------------------------------------


def _parked_refused(work: Work, about: About) -> Refusal | None:
    """What was applied is not discarded any more: it is changed back, like everything else.

    What this release does not understand is not tried: a later one will by itself, and the journal must tell which did.
    """
    if about.verdict == "retry" and not is_understood(_read(_thing(work, about), "")):
        return codes.UNKNOWN_OP, "verdict"
    return about.cannot if about.first == "retry" else None


def _read(parked: Mapping[str, Any], chain: str) -> Item:
    """A parked mutation as it came."""
    raw = json.loads(parked["raw"])
    return item_of(raw | {"seq": 0} if isinstance(raw, dict) else raw, chain, suspect=True)


def _parked_carried(work: Work, about: About) -> bool:
    thing = _thing(work, about)
    if about.verdict == "retry":
        return _retry(work, thing, _backer(work, thing["author_id"]))
    _discard(work, thing)
    return True


def _backer(work: Work, author: str | None) -> Actor | None:
    """Who decides, where they lead the author; an upgrade that looks again at what was not understood lends nothing."""
    actor = work.actor
    return actor if actor.id not in {None, author} and work.leads(work.team_of(author)) else None


def _retry(work: Work, thing: Mapping[str, Any], backer: Actor | None) -> bool:
    """Settle a parked mutation again; where it settles, what waits behind it follows by itself, in its order."""
    if not _again(work, thing, backer):
        return False
    _follow_out(work, thing)
    return True


def _follow_out(work: Work, parent: Mapping[str, Any]) -> None:
    """Settle what waits behind a creation that is there now, and what waits behind that, in the order it came in.

    What was laid aside together with it comes along; what somebody laid aside for itself does not.
    """
    together = parent["decided_by"], parent["decided_at"]
    waiting, known = list(work.followers(parent["id"])), {parent["id"]}
    while waiting:
        waiting.sort(key=lambda row: row["entry"])
        one = waiting.pop(0)
        laid_aside = one["verdict"] == "discard" and together == (one["decided_by"], one["decided_at"])
        if one["id"] in known or not (one["status"] == "open" or laid_aside):
            continue
        known.add(one["id"])
        if _again(work, one, None):
            waiting += work.followers(one["id"])


def _again(work: Work, parked: Mapping[str, Any], backer: Actor | None) -> bool:
    """Settle one parked mutation as its author, as what it was when it came; tell whether it is applied now."""
    batch = work.batch_of(parked["batch"])
    item = _read(parked, batch["root"])
    settled = False
    with _as_author(work, parked, batch, backer):
        judged = judge(work, item, parked["batch"] - 1)
        if judged.code is None:
            assert judged.row is not None and judged.mutation is not None
            names = [op.field for op in judged.mutation.ops]
            before = _values(judged.row, names)
            take(work, item, judged)
            settled = True
            after = _values(judged.row, names)
    if not settled:
        told = {"code": judged.code, "field": judged.field, "behind": judged.behind}
        work.remake("parked", parked, **told, **UNDECIDED)
        return False
    work.remake("parked", parked, **_closed(work, "retry"))
    if parked["suggestion"]:
        suggestion = work.thing("suggestion", parked["suggestion"])
        assert suggestion is not None
        changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
        work.remake("suggestion", suggestion, **_closed(work, "approve"), changed=changed)
    return True


def _values(row: Row, names: list[str]) -> dict[str, Any]:
    """These fields of an entity; empty for one that is not there yet."""
    if row.entity is None:
        return {}
    known = {**row.entity.extra, **row.entity.values}
    return {name: known.get(name) for name in names}


def _as_author(work: Work, parked: Mapping[str, Any], batch: Mapping[str, Any], backer: Actor | None) -> Any:
    author = parked["author_id"]
    person = work.row("person", author).entity if author else None
    role = person.values["role"] if person else batch["role"]
    team = person.values.get("team_id") if person else batch["team_id"]
    actor = Actor(work.org_id, author, role, team, batch["active"], work.actor.via)
    # Whose rights carry it, by whose authority it settles: a manager's word is not outranked by a manager's.
    writer = Author(author or "", backer.role if backer else role, batch["root"])
    return work.acting(actor, writer, batch["received_at"], moment_of(batch["sent"]), backer)


def _discard(work: Work, thing: Mapping[str, Any]) -> None:
    """Lay a parked mutation aside, and what waits behind it; all of it stays readable.

    Behind a creation that was sent once more, put right, nothing has to wait any longer.
    """
    closed = _closed(work, "discard")
    if thing["verb"] == "create" and thing["kind"] in WRITABLE:
        if work.row(thing["kind"], thing["entity"]).entity is not None:
            _follow_out(work, work.remake("parked", thing, **closed))
            return
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        work.remake("parked", one, **closed)
        if one["suggestion"]:
            suggestion = work.thing("suggestion", one["suggestion"])
            assert suggestion is not None
            work.remake("suggestion", suggestion, **closed | {"verdict": "decline"})
        waiting += [row for row in work.followers(one["id"]) if row["status"] == "open"]


# -- suggestions ---------------------------------------------------------------------------------------------------------


def _suggestion_refused(work: Work, about: About) -> Refusal | None:
    thing = _thing(work, about)
    if thing["purpose"] in PURPOSES:
        return PURPOSES[thing["purpose"]][0](work, about)
    if about.verdict == "decline":
        if about.first is None:
            return None
        back = _back(work, about, thing)
        code = judge(work, back, work.version - 1).code if back else codes.INVALID
        return (code, "verdict") if code else None
    parked = work.thing("parked", thing["parked"])
    assert parked is not None
    batch = work.batch_of(parked["batch"])
    with _as_author(work, parked, batch, work.actor):
        code = judge(work, _read(parked, batch["root"]), parked["batch"] - 1).code
    return (code, "verdict") if code else None


def _suggestion_carried(work: Work, about: About) -> bool:
    thing = _thing(work, about)
    if thing["purpose"] in PURPOSES:
        return PURPOSES[thing["purpose"]][1](work, about)
    parked = work.thing("parked", thing["parked"])
    assert parked is not None
    if about.verdict == "approve":
        return _retry(work, parked, work.actor)
    back = _back(work, about, thing) if about.first == "approve" else None
    if back:
        settle(work, back, work.version - 1)
    _discard(work, parked)
    return True


def _back(work: Work, about: About, thing: Mapping[str, Any]) -> Item | None:
    """The change that takes an approved suggestion back; None where there is no way back."""
    if thing["verb"] == "create" or thing["changed"] is None:
        return None
    ops = [_op(thing["kind"], name, after, before) for name, (before, after) in thing["changed"].items()]
    return _item(work, about, thing["kind"], thing["entity"], "update", thing["version"], ops)


def _merge_refused(work: Work, about: About) -> Refusal | None:
    return (
        about.cannot if about.first == "approve" else None
    )  # what is one place now has been written to as one


def _merge_carried(work: Work, about: About) -> bool:
    thing = _thing(work, about)
    if about.verdict == "approve":
        merge(work, thing["into"], thing["entity"])
    work.remake("suggestion", thing, **_closed(work, about.verdict))
    return True


PURPOSES: dict[str, tuple[Refuse, Carry]] = {"merge": (_merge_refused, _merge_carried)}
"""Purposes of suggestions that are no edit: why not, and what approving or declining one does."""


# -- amendments ----------------------------------------------------------------------------------------------------------


def _amendment_refused(work: Work, about: About) -> Refusal | None:
    return None


def _amendment_carried(work: Work, about: About) -> bool:
    row = work.row("amendment", about.id)
    _decide_amendment(work, row, about)
    return True


def _decide_amendment(work: Work, row: Row, about: About) -> None:
    assert row.entity is not None
    before = row.columns["before"]
    if about.verdict == "approve":
        before = _amend(work, row, about.mutation)
    elif about.first == "approve":
        _amend_back(work, row, about.mutation)
    row.columns = {**row.columns, "before": before, **_closed(work, about.verdict)}
    work.put(row, replace(row.entity, version=work.version))


def _amend(work: Work, row: Row, mutation: Mutation) -> dict[str, Any]:
    """Set what an amendment asks for, the one way in which evidence changes; returns what it replaced."""
    assert row.entity is not None
    visit, changes = work.row("visit", row.values()["visit_id"]), row.values()["changes"]
    before = {name: visit.values().get(name) for name in changes}
    clock = dict(visit.columns.get("clock") or {})
    clock["amended"] = {**clock.get("amended", {}), row.id: {name: clock.get(name) for name in changes}}
    batch = work.batch_of(row.entity.stamps["*"][0])
    for name in MOMENTS:
        if changes.get(name):
            best = best_time(moment_of(changes[name]), moment_of(batch["sent"]), batch["received_at"])
            received = instant_text(batch["received_at"])
            # Who approves it vouches for it: no clock is in doubt. When it was first written stays what it was.
            clock[name] = {"written": received, "received": received, **(clock.get(name) or {})} | {
                "best": instant_text(best),
                "doubt_ms": 0,
            }
    _rewrite(work, row, visit, changes, clock, mutation)
    return before


def _amend_back(work: Work, row: Row, mutation: Mutation) -> None:
    """Put back what an amendment replaced, where nothing else has replaced that since."""
    visit, changes = work.row("visit", row.values()["visit_id"]), row.values()["changes"]
    clock = dict(visit.columns.get("clock") or {})
    amended = dict(clock.get("amended") or {})
    facts = amended.pop(row.id, {})
    back = {
        name: old
        for name, old in (row.columns["before"] or {}).items()
        if visit.values().get(name) == changes[name]
    }
    for name in MOMENTS:
        if name in back:
            clock[name] = facts.get(name)
    clock = {name: one for name, one in {**clock, "amended": amended}.items() if one}
    _rewrite(work, row, visit, back, clock, mutation)


def _rewrite(
    work: Work, row: Row, visit: Row, changes: dict[str, Any], clock: dict[str, Any], mutation: Mutation
) -> None:
    """Change a visit past all rules of evidence, in the name of who asked for it, and judge it anew."""
    assert row.entity is not None and visit.entity is not None
    _, chain, role = row.entity.stamps["*"]
    outcome = Outcome("applied", changes=changes)
    author = Author(row.entity.created_by, role, chain)
    visit.columns = {**visit.columns, "clock": clock}
    entity = apply_outcome(visit.entity, outcome, mutation, author, work.version)
    work.put(visit, replace(entity, version=work.version))
    judge_visit(work, visit, mutation, outcome)


def _amend_instead(work: Work, about: About, thing: Mapping[str, Any], value: Any) -> str:
    """Evidence is not changed by taking the other value: the rep asks for it, a lead's word sets it."""
    visit = work.row("visit", thing["entity"])
    identity = str(uuid5(NAMESPACE_OID, f"amendment:{thing['id']}"))
    row = work.row("amendment", identity)
    values = {"visit_id": visit.id, "reason": about.word or "", "changes": {thing["field"]: value}}
    # It came in when the conflict did: by the clocks of then its moments are read.
    stamps = {"*": thing["stamps"]["*"]}
    before = {thing["field"]: visit.values().get(thing["field"])}
    row.columns = {"before": before, "author_id": work.actor.id, "at": work.now, **UNDECIDED}
    work.put(row, Entity(values, {}, stamps, False, thing["author_id"] or "", work.version))
    if "rep" not in rights.relations_to(work, visit):
        _decide_amendment(work, row, replace(about, verdict="approve", first=None))
    return identity


# -- visits in review ----------------------------------------------------------------------------------------------------


def _visit_refused(work: Work, about: About) -> Refusal | None:
    visit = work.row("visit", about.id)
    columns, server = visit.columns, visit.columns.get("server") or {}
    awaited = columns.get("trust") == "review" or "BACK_FILLED" in server.get("reasons", ())
    if about.verdict == "accept" and visit.entity is not None:
        # What looked like a habit when it was accepted may be none since: it stays accepted, should it be one again.
        awaited = awaited or is_withheld(server.get("trust_reasons", ()), visit.values()["status"])
    if not awaited and not (columns.get("clock") or {}).get("decided"):
        return codes.INVALID, "on_id"
    return (codes.INVALID, "word") if about.verdict == "decline" and not (about.word or "").strip() else None


def _visit_carried(work: Work, about: About) -> bool:
    visit = work.row("visit", about.id)
    assert visit.entity is not None
    decided = {
        "verdict": about.verdict,
        "by": work.actor.id,
        "word": about.word,
        "at": instant_text(work.now),
    }
    before = visit.columns.get("server") or {}
    visit.columns = {**visit.columns, "clock": {**(visit.columns.get("clock") or {}), "decided": decided}}
    work.put(visit, replace(visit.entity, version=work.version))
    judge_visit(work, visit, about.mutation, Outcome("applied"))
    after = visit.columns["server"]
    told = {name: [before.get(name), after.get(name)] for name in ("accepted", "asked", "declined")}
    work.revise(visit, {f"server.{name}": both for name, both in told.items() if both[0] != both[1]})
    return True


def _thing(work: Work, about: About) -> dict[str, Any]:
    thing = work.thing(about.kind, about.id)
    assert thing is not None  # asked before, at the door
    return thing


REFUSED: dict[str, Refuse] = {
    "conflict": _conflict_refused,
    "parked": _parked_refused,
    "suggestion": _suggestion_refused,
    "amendment": _amendment_refused,
    "visit": _visit_refused,
}
"""Kind of what is decided on -> why a verdict cannot be carried out, as things are; None where it can."""

CARRIED: dict[str, Carry] = {
    "conflict": _conflict_carried,
    "parked": _parked_carried,
    "suggestion": _suggestion_carried,
    "amendment": _amendment_carried,
    "visit": _visit_carried,
}
"""Kind of what is decided on -> what carries a verdict out, and tells whether it stands."""
