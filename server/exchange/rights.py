"""Rights at the door: may this author do this to this entity, and see what it points at?

The table itself stands in `kinds`; here is how it is read. The answer is a parking code, never an error: what somebody
wrote is kept even where they may not write it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server.exchange import goals
from server.exchange.kinds import LEAD_FIELDS, LEAD_STATES, VERDICTS, WRITABLE, Kind
from server.exchange.work import Actor, Row, Work
from server.people.rules import LEADERS, makes_a_ring
from sync import receipt as codes
from sync.mutation import VERBS, Mutation, Op
from sync.policy import is_uuid

Refusal = tuple[str, str | None]
"""A parking code and the field it concerns."""

NONE: frozenset[str] = frozenset()

SEEN_BY_SOME = frozenset({"customer", "visit", "follow_up"})
"""Kinds that only some may refer to; teams and people are known to the whole organisation."""

PLANNING = frozenset({"customer_id", "rep_id", "planned_date", "planned_time"})
"""Fields of a visit that are no evidence: who may only upload does not plan."""


def complete(work: Work, mutation: Mutation) -> Mutation:
    """A create with what it leaves out: the kind's defaults, its author as rep or owner, their team."""
    kind = WRITABLE[mutation.kind]
    given = {op.field: op.new for op in mutation.ops if op.op == "set" and op.new is not None}
    missing: dict[str, Any] = dict(kind.defaults)
    actor = work.actor
    if mutation.kind == "visit":
        missing["rep_id"] = actor.id
    elif mutation.kind == "follow_up":
        missing["owner_id"] = actor.id
    elif mutation.kind in {"value", "appeal"}:
        missing["person_id"] = actor.id
    elif mutation.kind == "target":
        missing |= goals.complete(work, mutation.kind, given)
    elif mutation.kind == "customer":
        if actor.role not in LEADERS:
            missing |= {"owner_id": actor.id, "team_id": actor.team_id, "lifecycle": "lead"}
        else:
            owner = given.get("owner_id")
            missing |= {
                "team_id": work.team_of(owner if is_uuid(owner) else None)
                or actor.team_id
                or work.root_team(),
                "lifecycle": "customer",
            }
    added = [
        Op(name, "set", None, value)
        for name, value in missing.items()
        if name not in given and value is not None
    ]
    if not added:
        return mutation
    names = {op.field for op in added}
    return replace(mutation, ops=[op for op in mutation.ops if op.field not in names] + added)


def refusal(work: Work, row: Row, mutation: Mutation, pointed: list[tuple[str, str, str]]) -> Refusal | None:
    """Why this mutation may not be applied, or None where nothing speaks against it."""
    if mutation.verb not in VERBS:
        return None
    if mutation.verb == "create":
        if row.entity is not None:
            return None  # either the author's own again, or an id that is taken: the core tells them apart
        return _refused_creation(work, row.kind, mutation, pointed)
    if row.entity is None:
        return codes.SCOPE_LOST, None
    relations = relations_to(work, row)
    if not relations:
        return codes.SCOPE_LOST, None
    kind = row.kind
    if mutation.verb in {"archive", "restore"}:
        own_lead = (
            kind.name == "customer" and "owner" in relations and row.values().get("lifecycle") == "lead"
        )
        return None if kind.archive & relations or own_lead else (codes.FORBIDDEN, None)
    for op in mutation.ops:
        if op.field in kind.fields and kind.fields[op.field].kind == "readonly":
            continue
        if not kind.may_set(op.field, relations):
            return codes.FORBIDDEN, op.field
        if kind.name == "visit" and (refused := _refused_visit_step(work, row, op, relations)):
            return refused
        if kind.name == "follow_up" and op.field == "owner_id" and is_uuid(op.new):
            if not work.leads(work.team_of(op.new)):  # who may hand it over, may hand it to their own people
                return codes.SCOPE_LOST, op.field
        if kind.name in goals.GOALS and (refused := goals.refused_op(work, row, mutation, op, relations)):
            return refused
        if kind.name == "closing" and (refused := _refused_reopening(mutation, op, relations)):
            return refused
    return _lost_reference(work, kind, mutation, pointed, evidence=False)


def relations_to(work: Work, row: Row) -> frozenset[str]:
    """How the actor, and who lends them rights, stand to an entity that exists; empty where they may not know of it."""
    found = _relations(work, row, work.actor)
    return found if work.backer is None else found | _relations(work, row, work.backer)


def _relations(work: Work, row: Row, actor: Actor) -> frozenset[str]:
    values, found = row.values(), set()
    if actor.role == "administrator" and actor.active:
        found.add("administrator")
    if row.kind.org_wide:
        if not actor.active:
            return NONE
        if row.kind.name == "scheme" and row.entity and row.entity.created_by == actor.id:
            found.add("author")
        return frozenset(found | {"reader"})
    if row.kind.name in goals.OF_SOMEBODY:
        return frozenset(goals.relations(work, row, actor))
    if row.kind.name == "closing":
        if _is_ticker(actor):
            found.add("ticker")
        if actor.active and values["person_id"] == actor.id:
            found.add("owner")
        elif actor.active and work.leads(work.team_of(values["person_id"])):
            found.add("lead")
        return frozenset(found)
    if row.kind.name == "visit":
        if values["rep_id"] == actor.id:
            found.add("rep")
        if actor.active and work.leads(work.team_of(values["rep_id"])):
            found.add("lead")
        return frozenset(found)
    if row.kind.name == "comment":
        about = work.row(values["on_kind"], values["on_id"])
        seen = about.entity is not None and relations_to(work, about)
        return frozenset({"reader"}) if seen or (row.entity and row.entity.created_by == actor.id) else NONE
    if row.kind.name in {"amendment", "decision"}:
        if work.audience(row) & work.scopes_of(actor):
            found.add("reader")
        return frozenset(found)
    if not actor.active:
        return NONE
    if row.kind.name == "notice":
        return frozenset({"owner"}) if values["person_id"] == actor.id else NONE
    if row.kind.name == "follow_up":
        if values["owner_id"] == actor.id:
            found.add("owner")
        if work.leads(work.team_of(values["owner_id"])):
            found.add("lead")
        return frozenset(found)
    team = values.get("team_id")
    if values.get("owner_id") == actor.id and actor.id is not None:
        found.add("owner")
    if team and f"team:{team}" in work.scopes_of(actor) and work.shares_customers:
        found.add("team")
    if work.leads(team):
        found.add("lead")
    return frozenset(found)


def _refused_reopening(mutation: Mutation, op: Op, relations: frozenset[str]) -> Refusal | None:
    """A closing is reopened with a reason, and closed by the ticker alone."""
    if "ticker" in relations:
        return None
    if op.field == "reason":
        return None if any(one.field == "status" for one in mutation.ops) else (codes.FORBIDDEN, op.field)
    if op.new != "reopened":
        return codes.FORBIDDEN, op.field
    said = any(one.field == "reason" and str(one.new or "").strip() for one in mutation.ops)
    return None if said else (codes.INVALID, "reason")


def _refused_visit_step(work: Work, row: Row, op: Op, relations: frozenset[str]) -> Refusal | None:
    """What a visit's state adds to the table: its customer stands once it began; a manager plans and cancels, no more."""
    planned = row.values()["status"] == "planned"
    if not work.active and (op.field in PLANNING or (planned and op.new == "cancelled")):
        return codes.FORBIDDEN, op.field
    if op.field in {"customer_id", "rep_id"} and op.new != row.values()[op.field]:
        if not planned or (op.field == "rep_id" and not relations & {"lead", "administrator"}):
            return codes.FORBIDDEN, op.field
        if op.field == "rep_id" and is_uuid(op.new) and not work.leads(work.team_of(op.new)):
            return codes.SCOPE_LOST, op.field
    if "rep" not in relations:
        if op.field in {"mode", "kind", "planned_date", "planned_time", "repeat"} and not planned:
            return codes.FORBIDDEN, op.field
        if op.field == "status" and op.new not in LEAD_STATES:
            return codes.FORBIDDEN, op.field
    return None


def _refused_creation(
    work: Work, kind: Kind, mutation: Mutation, pointed: list[tuple[str, str, str]]
) -> Refusal | None:
    actor = work.actor
    given = {op.field: op.new for op in mutation.ops}
    if given.get("series") is not None and not _is_ticker(actor):
        return codes.FORBIDDEN, "series"
    if kind.name == "visit":
        return _refused_new_visit(work, mutation, given, pointed)
    if kind.name == "comment":
        return _lost_reference(work, kind, mutation, pointed, evidence=True)
    if kind.name == "amendment":
        return _refused_amendment(work, given)
    if not work.active:
        return codes.FORBIDDEN, None
    if kind.name == "decision":
        return _refused_decision(work, given)
    relations = {"administrator"} if work.acts_as("administrator") else set()
    if kind.name == "follow_up":
        if given.get("owner_id") not in {None, actor.id} and not work.leads(work.team_of(given["owner_id"])):
            return codes.SCOPE_LOST, "owner_id"
        return _lost_reference(work, kind, mutation, pointed, evidence=False)
    if kind.name in goals.GOALS:
        refused = goals.refused_creation(work, kind.name, given)
        return refused or _lost_reference(work, kind, mutation, pointed, evidence=False)
    if actor.team_id:
        relations.add("member")
    if _is_ticker(actor):
        relations.add("ticker")
    if not kind.create & relations:
        return codes.FORBIDDEN, None
    if kind.name == "team" and makes_a_ring(work.team_parents(), mutation.entity, given.get("parent_id")):
        return codes.INVALID, "parent_id"
    if (
        kind.name == "customer"
        and "administrator" not in relations
        and (refused := _refused_lead(work, given))
    ):
        return refused
    return _lost_reference(work, kind, mutation, pointed, evidence=False)


def _is_ticker(actor: Actor) -> bool:
    return actor.id is None and actor.via == "ticker"


def _refused_lead(work: Work, given: dict[str, Any]) -> Refusal | None:
    """What somebody other than an administrator may not say of a new customer."""
    actor = work.actor
    if work.acts_as("manager"):
        return None if work.leads(given.get("team_id")) else (codes.SCOPE_LOST, "team_id")
    own = {"owner_id": actor.id, "team_id": actor.team_id, "lifecycle": "lead"}
    reserved = WRITABLE["customer"].rights
    for name, value in given.items():
        if name in own and value != own[name]:
            return codes.FORBIDDEN, name
        if name in reserved and name not in LEAD_FIELDS and value is not None:
            return codes.FORBIDDEN, name
    return None


def _refused_new_visit(
    work: Work, mutation: Mutation, given: dict[str, Any], pointed: list[tuple[str, str, str]]
) -> Refusal | None:
    actor, rep, planned = work.actor, given.get("rep_id"), given.get("status") == "planned"
    if rep != actor.id or actor.id is None:
        if not planned:
            return codes.FORBIDDEN, "rep_id"
        if not work.active or not work.leads(work.team_of(rep)):
            return codes.SCOPE_LOST, "rep_id"
        planner = frozenset({"lead", "ticker"} if _is_ticker(actor) else {"lead"})
        for op in mutation.ops:  # to plan for somebody is not to write their evidence
            if op.new not in (None, []) and not WRITABLE["visit"].may_set(op.field, planner):
                return codes.FORBIDDEN, op.field
    if planned and not work.active:
        return codes.FORBIDDEN, None
    return _lost_reference(work, WRITABLE["visit"], mutation, pointed, evidence=not planned)


def _refused_amendment(work: Work, given: dict[str, Any]) -> Refusal | None:
    """Only the rep asks for another word about their own visit, and not before it began."""
    visit = work.row("visit", given["visit_id"])
    relations = relations_to(work, visit) if visit.entity is not None else NONE
    if not relations:
        return codes.SCOPE_LOST, "visit_id"
    if "rep" not in relations:
        return codes.FORBIDDEN, None
    return None if visit.values()["status"] in {"open", "done"} else (codes.INVALID, "visit_id")


def _refused_decision(work: Work, given: dict[str, Any]) -> Refusal | None:
    """Whom the thing awaits decides: conflict its author, who was overruled, a lead; parked its author, their lead;
    suggestion the customer's owner or lead; amendment, visit a lead, never about their own. Administrators always.
    """
    kind, identity, verdict = given["on_kind"], given["on_id"], given["verdict"]
    if verdict not in VERDICTS[kind]:
        return codes.INVALID, "verdict"
    if kind in WRITABLE:
        row = work.row(kind, identity)
        if row.entity is None:
            return codes.SCOPE_LOST, "on_id"
        visit = row if kind == "visit" else work.row("visit", row.values()["visit_id"])
        relations = relations_to(work, visit)
        if not relations:
            return codes.SCOPE_LOST, "on_id"
        allowed = "administrator" in relations or ("lead" in relations and "rep" not in relations)
        return None if allowed else (codes.FORBIDDEN, None)
    thing = work.thing(kind, identity)
    if thing is None:
        return codes.SCOPE_LOST, "on_id"
    if work.acts_as("administrator"):
        return None
    if kind == "suggestion" and all(
        _awaits(work, one) for one in (thing["customer_id"], thing["into"]) if one
    ):
        return None
    if not work.told(kind, identity) & work.scopes:
        return codes.SCOPE_LOST, "on_id"
    return (codes.FORBIDDEN, None) if kind == "suggestion" else None


def _awaits(work: Work, customer: str) -> bool:
    """Whether a suggestion about this customer is the actor's to decide: its owner's, or who leads its team."""
    row = work.row("customer", customer)
    return row.entity is not None and bool(relations_to(work, row) & {"owner", "lead", "administrator"})


def _lost_reference(
    work: Work, kind: Kind, mutation: Mutation, pointed: list[tuple[str, str, str]], *, evidence: bool
) -> Refusal | None:
    """SCOPE_LOST for a reference that does not exist or is not the author's to see: both answer alike."""
    for field, name, target in pointed:
        if name == kind.name == "team" and makes_a_ring(work.team_parents(), mutation.entity, target):
            return codes.INVALID, field
        row = work.row(name, target)
        if row.entity is None:
            return codes.SCOPE_LOST, field
        if name in SEEN_BY_SOME and not relations_to(work, row):
            if not (evidence and work.held_lately(target, name)):
                return codes.SCOPE_LOST, field
    return None
