"""Two customers that are one place: found as probable, merged when somebody says so, and one from then on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import bindparam, select

from server.customers.model import Customer
from server.customers.rules import Place, alike_key, cell_of, cells_near, probably_same
from server.exchange.kinds import CUSTOMER, UNDECIDED
from server.exchange.model import Suggestion
from server.exchange.redirect import survivor
from server.exchange.settle import made, suggestion
from server.exchange.work import Row, Work
from server.followups.model import Comment, FollowUp
from server.visits.model import Visit
from sync import receipt as codes
from sync.mutation import canonical
from sync.reconcile import EXTRA_LIMIT, Entity

MOST_COMPARED = 4_000
"""So many customers at most are compared with those that one transaction makes, renames or moves."""

MOST_SUGGESTED = 50
"""So many merges at most are suggested by one transaction: an import of a list that is all doubles drowns nobody."""

_PLACE = ("lat", "lon")
_NEAR = (
    select(Customer.id, Customer.name, Customer.lat, Customer.lon, Customer.address, Customer.team_id)
    .where(Customer.org_id == bindparam("org"), Customer.archived.is_(False), Customer.merged_into.is_(None))
    .order_by(Customer.id)
    .limit(MOST_COMPARED)
)
_IN_CELLS = _NEAR.where(Customer.cell.in_(bindparam("cells", expanding=True)))
_NAMED = _NEAR.where(Customer.alike.in_(bindparam("keys", expanding=True)))
_NAMED_SOMEWHERE = _NAMED.where(Customer.cell.is_(None))
_SUGGESTED = select(Suggestion.id).where(
    Suggestion.org_id == bindparam("org"), Suggestion.id.in_(bindparam("ids", expanding=True))
)


# -- probable doubles ---------------------------------------------------------------------------------------------------


def suggest_merges(work: Work) -> None:
    """Suggest a merge for each customer that is new, renamed or moved and probably is another one; the likeliest only.

    A pair is suggested once: what was declined is not asked again.
    """
    placed = {
        identity: _place(row.values())
        for identity in sorted(work.placed)
        if _is_live(row := work.row("customer", identity))
    }
    if not placed:
        return
    others = _candidates(work, placed.values())
    by_cell: dict[str | None, list[str]] = {}
    by_key: dict[str, list[str]] = {}
    for identity, place in sorted(others.items()):
        by_cell.setdefault(cell_of(place.lat, place.lon), []).append(identity)
        by_key.setdefault(alike_key(place.name), []).append(identity)
    pairs: dict[str, tuple[str, str]] = {}
    for identity, place in placed.items():
        near = set(by_key.get(alike_key(place.name), ()))
        if place.lat is not None and place.lon is not None:
            near.update(one for cell in cells_near(place.lat, place.lon) for one in by_cell.get(cell, ()))
        near.discard(identity)
        likely = max(((probably_same(place, others[one]), one) for one in near), default=(0.0, ""))
        if likely[0]:
            one, other = sorted((identity, likely[1]))
            pairs[str(uuid5(NAMESPACE_OID, f"merge:{one}:{other}"))] = (one, other)
    if pairs:
        _suggest(work, pairs)


def _candidates(work: Work, placed: Iterable[Place]) -> dict[str, Place]:
    """Customers that may be the same as one of these: near, or of the same name where a place is not known."""
    cells: set[str] = set()
    keys: set[str] = set()
    placeless: set[str] = set()
    for place in placed:
        key = alike_key(place.name)
        if place.lat is not None and place.lon is not None:
            cells |= cells_near(place.lat, place.lon)
            keys.add(key)
        else:
            placeless.add(key)
    found: dict[str, Place] = {}
    for statement, name, wanted in (
        (_IN_CELLS, "cells", cells),
        (_NAMED_SOMEWHERE, "keys", keys),
        (_NAMED, "keys", placeless),
    ):
        if wanted:
            rows = work.connection.execute(statement, {"org": work.org_id, name: sorted(wanted)})
            found |= {row.id: Place(row.name, row.lat, row.lon, row.address, row.team_id) for row in rows}
    # What this transaction holds is newer than what is stored.
    for (kind, identity), row in work.rows.items():
        if kind == "customer":
            found.pop(identity, None)
            if _is_live(row):
                found[identity] = _place(row.values())
    return found


def _suggest(work: Work, pairs: Mapping[str, tuple[str, str]]) -> None:
    known = {
        identity
        for (identity,) in work.connection.execute(_SUGGESTED, {"org": work.org_id, "ids": list(pairs)})
    }
    new = [item for item in pairs.items() if item[0] not in known][:MOST_SUGGESTED]
    work.load(("customer", one) for _, pair in new for one in pair)
    for identity, pair in new:
        rows = [work.row("customer", one) for one in pair]
        if not work.seen_by_both(*rows):
            continue
        into, gone = sorted(rows, key=_standing)
        work.made["suggestion", identity] = suggestion(work, identity, "merge", "customer", gone.id) | {
            "into": into.id,
        }


def _standing(row: Row) -> tuple[bool, int, str]:
    """Which of two customers should stay: a customer before a lead, the older before the younger."""
    entity = row.entity
    assert entity is not None
    made = entity.stamps.get("*") or [entity.version]
    return entity.values.get("lifecycle") != "customer", made[0], row.id


def _is_live(row: Row) -> bool:
    return row.entity is not None and not row.entity.archived and not row.columns.get("merged_into")


def _place(values: Mapping[str, Any]) -> Place:
    return Place(
        values["name"], values.get("lat"), values.get("lon"), values.get("address"), values.get("team_id")
    )


# -- the merge ----------------------------------------------------------------------------------------------------------


def merge(work: Work, into_id: str, gone_id: str) -> None:
    """Make one customer of two; nothing is to be done where they are one already.

    What the one that stays lacks it gets from the other; tags and notes are united; where values differ, the one that
    stays keeps its own, and the other's is a conflict, to be taken at a tap. Visits, follow-ups and comments go along
    with all their evidence and what was concluded from it. The other is archived and stands for the one that stays.
    """
    into, gone = survivor(work, into_id), survivor(work, gone_id)
    if into.id == gone.id or into.entity is None or gone.entity is None:
        return
    if into.entity.archived and not gone.entity.archived:
        into, gone = gone, into
    stays, goes = into.entity, gone.entity
    assert stays is not None and goes is not None
    entity, lost = _united(work, stays, goes)
    for name in lost:
        _conflict(work, into, gone, name)
    work.put(gone, replace(goes, archived=True, version=work.version))
    work.revise(gone, {"merged_into": [None, into.id]})
    gone.columns = {**gone.columns, "merged_into": into.id}
    work.put(into, entity)
    into.columns = {
        **into.columns,
        "cell": cell_of(entity.values.get("lat"), entity.values.get("lon")),
    }
    _bring_along(work, gone.id, into.id)


def _united(work: Work, stays: Entity, goes: Entity) -> tuple[Entity, list[str]]:
    """The customer that stays with what it gets of the other, and the fields where both differ.

    What both had differently is stamped anew, though it stays: whoever changes it without having seen the merge changes
    something else than they saw.
    """
    values, stamps, lost = dict(stays.values), dict(stays.stamps), []
    at_places = all(one.values.get(name) is not None for one in (stays, goes) for name in _PLACE)
    for name, field in CUSTOMER.fields.items():
        mine, theirs = stays.values.get(name), goes.values.get(name)
        if field.kind == "readonly" or mine == theirs:
            continue
        if field.kind == "set":
            more = [one for one in theirs or () if one not in (mine or ())]
            if not field.check([*(mine or ()), *more]):
                lost.append(name)
            elif more:
                values[name] = [*(mine or ()), *more]
                added = goes.stamps.get(name) or {}
                known = {one: added.get(one) or goes.stamps.get("*") for one in more}
                stamps[name] = {**(stamps.get(name) or {}), **known}
            continue
        role = (stays.stamps.get(name) or stays.stamps.get("*") or [0, "", ""])[2]
        stamps[name] = [work.version, work.author.chain, role]
        if name in _PLACE and not at_places:
            # A place is taken whole or not at all.
            if None not in [goes.values.get(part) for part in _PLACE]:
                values[name] = theirs
        elif theirs is None or theirs == "":
            pass
        elif mine is None or mine == "":
            values[name] = theirs
        elif field.kind == "text":
            both = mine if theirs in mine else theirs if mine in theirs else f"{mine}\n\n{theirs}"
            if field.check(both):
                values[name] = both
            else:
                lost.append(name)
        else:
            lost.append(name)
    extra = {**goes.extra, **stays.extra}
    extra = extra if len(canonical(extra)) <= EXTRA_LIMIT else stays.extra
    return replace(stays, values=values, extra=extra, stamps=stamps, version=work.version), lost


def _conflict(work: Work, into: Row, gone: Row, field: str) -> None:
    """Store a value of the customer that goes where it can be taken."""
    identity = str(uuid5(NAMESPACE_OID, f"conflict:merge:{gone.id}:{into.id}:{field}"))
    kept_author, kept_at = work.writer_of(into, field)
    lost_author, lost_at = work.writer_of(gone, field)
    work.made["conflict", identity] = made(work, identity) | {
        "kind": "customer",
        "entity": into.id,
        "field": field,
        "kept": into.values().get(field),
        "lost": gone.values().get(field),
        "kept_by": "current",
        "code": codes.FIELD_CONFLICT,
        "author_id": work.actor.id,
        "at": work.now,
        "kept_author_id": kept_author,
        "kept_at": kept_at,
        "lost_author_id": lost_author,
        "lost_at": lost_at,
        "became": None,
        **UNDECIDED,
    }


def _bring_along(work: Work, gone: str, into: str) -> None:
    """Let what was at the customer that goes be at the one that stays, in this transaction too."""
    for kind, table, field in (
        ("visit", Visit, Visit.customer_id),
        ("follow_up", FollowUp, FollowUp.customer_id),
        ("comment", Comment, Comment.on_id),
    ):
        at_gone = select(table.id).where(table.org_id == work.org_id, field == gone)
        stored = [(kind, identity) for (identity,) in work.connection.execute(at_gone)]
        work.load(stored)
        for row in [row for (name, _), row in work.rows.items() if name == kind]:
            entity = row.entity
            if entity is None or entity.values.get(field.key) != gone:
                continue
            if kind == "comment" and entity.values.get("on_kind") != "customer":
                continue
            work.put(row, replace(entity, values={**entity.values, field.key: into}, version=work.version))
            if kind == "visit":
                clock = row.columns.get("clock") or {}
                row.columns = {**row.columns, "clock": {**clock, "named": clock.get("named") or gone}}
                if row.columns.get("day"):
                    work.rep_days.add((entity.values["rep_id"], row.columns["day"]))
