"""What must be true when everything is at rest. Each law says in plain words what is wrong, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from server.exchange.check import check
from server.exchange.kinds import READABLE, VISIT, WRITABLE
from sync.mutation import canonical
from sync.text import merge
from tests.faults.sim.house import ORG
from tests.faults.sim.phone import Phone
from tests.faults.sim.play import Entry, Play
from tests.faults.sim.view import UNDER_WAY, Tables, authorised, judged

WORD = re.compile(r"w\d+x")
"""Everything that is typed in a history carries a word of its own, so that it can be found again."""

Law = Callable[[Play, Tables], Iterator[str]]


def broken(play: Play, *, replay: bool = True) -> list[str]:
    """Every law that does not hold, in plain words."""
    with play.house.looking() as connection:
        tables = Tables(connection)
        found = [flaw for law in LAWS for flaw in law(play, tables)]
        if replay:
            found += [f"the journal does not replay: {one}" for one in check(connection, ORG, 5)]
    return found


def acknowledged_work_survives(play: Play, tables: Tables) -> Iterator[str]:
    """What was saved is in the journal, unless the phone that held it was lost before it could be sent (again)."""
    there = {entry["mutation_id"] for entry in tables.journal}
    kept = {row.id for phone in play.phones.values() for row in phone.outbox.rows}
    waiting = {row.id for phone in play.phones.values() for row in phone.outbox.unsent()}
    # A device that is revoked and signed out is told nothing any more: what it has stays on it, for the rescue file.
    shut_out = [phone for phone in play.phones.values() if play.is_shut_out(phone)]
    waiting |= {row.id for phone in shut_out for row in phone.outbox.rows}
    for entry in play.ledger.values():
        if entry.id in there:
            continue
        if entry.id in kept:
            if entry.id not in waiting:
                yield f"{_told(entry)} was acknowledged, is not in the journal, and its phone does not send it again"
        elif entry.acked and not entry.undone:
            yield f"{_told(entry)} was acknowledged and is nowhere"
        elif not entry.gone:
            yield f"{_told(entry)} was saved and is nowhere"


def applied_once(play: Play, tables: Tables) -> Iterator[str]:
    """A mutation that came again got the receipt of the first time, and nothing more."""
    first: dict[str, dict[str, Any]] = {}
    numbers: set[tuple[str, int]] = set()
    for entry in tables.journal:
        if (entry["client_id"], entry["seq"]) in numbers:
            yield f"number {entry['seq']} of one client is in the journal twice"
        numbers.add((entry["client_id"], entry["seq"]))
        before = first.setdefault(entry["mutation_id"], entry)
        if before is not entry and before["digest"] == entry["digest"]:
            said, again = ((one["status"], one["code"], one["as_of"]) for one in (before, entry))
            if said != again and entry["status"] != "parked":
                yield f"a mutation that came again was taken again: first {said}, then {again}"


def in_the_order_of_saving(play: Play, tables: Tables) -> Iterator[str]:
    """Numbers of a client without gaps, and what one phone saved in the order it saved it."""
    last: dict[str, int] = {}
    seen: dict[str, int] = {}
    told: set[str] = set()
    for entry in tables.journal:
        expected = last.get(entry["client_id"], 0) + 1
        if entry["seq"] != expected:
            yield f"number {entry['seq']} of a client follows {expected - 1}"
        last[entry["client_id"]] = entry["seq"]
        known = play.ledger.get(entry["mutation_id"])
        if known is None or known.id in told:
            continue
        told.add(known.id)
        if known.moved:
            continue
        if known.undone and known.gone:
            continue  # lost with a backup and forgotten by its phone; only a request of long ago brought it again
        if known.n < seen.get(known.outbox, 0):
            yield f"{_told(known)} was applied after what its phone saved later"
        seen[known.outbox] = max(seen.get(known.outbox, 0), known.n)


def in_one_place(play: Play, tables: Tables) -> Iterator[str]:
    """Each mutation is in exactly one of outbox, applied, parked; what was parked is there word for word."""
    parked: dict[str, list[dict[str, Any]]] = {}
    for row in tables.rows["parked"].values():
        raw = json.loads(row["raw"])
        parked.setdefault(str(raw.get("id")), []).append(row | {"told": raw})
    settled: set[str] = set()
    for entry in tables.journal:
        mine = parked.get(entry["mutation_id"], [])
        if entry["status"] == "parked":
            if not any(canonical(row["told"]) == entry["payload"] for row in mine):
                yield f"a {entry['verb']} of a {entry['kind']} was parked ({entry['code']}) and is not among the parked"
        else:
            settled.add(entry["mutation_id"])
            if any(row["status"] == "open" and row["told"] == json.loads(entry["payload"]) for row in mine):
                yield f"a {entry['verb']} of a {entry['kind']} was applied and is parked as well"
    for phone in play.phones.values():
        for row in phone.outbox.unsent():
            if row.id in settled and not play.revoked(phone):
                yield f"{phone.name} still has as unsent what was applied"


def replicas_are_the_authorised_view(play: Play, tables: Tables) -> Iterator[str]:
    """Each phone holds what its person may see, as the tables have it, and no row beside."""
    documents = {}
    for (kind, entity), row in tables.entities():
        documents[kind, entity] = (row["version"], kind, row)
    for phone in play.phones.values():
        if play.revoked(phone) or not (phone.ended and phone.ended.how == "done"):
            continue
        if phone.upload_only:
            continue
        audiences = tables.scopes_of(tables.rows["person"][phone.person])
        wanted = authorised(tables, phone.person, play.house.now)
        held = {key for key in phone.replica.rows if judged(key[0]) and not _old_visit(play, phone, key)}
        for key in sorted(wanted - held):
            yield f"{phone.name} does not hold {_named(play, key)} that {_who(play, phone)} may see"
        for key in sorted(held - wanted):
            yield f"{phone.name} holds {_named(play, key)} that {_who(play, phone)} may not see"
        for key in sorted(wanted & held):
            version, _, row = documents[key]
            mine, stored = phone.replica.rows[key], tables.document(key, row)
            if mine.data != stored:
                names = sorted(name for name in stored if stored[name] != mine.data.get(name))
                yield f"{phone.name} holds {_named(play, key)} of another content ({', '.join(names)})"
            elif mine.version < version:
                yield f"{phone.name} holds {_named(play, key)} at version {mine.version}, not {version}"
            if mine.scopes != tables.told[key] & audiences:
                yield f"{phone.name} holds {_named(play, key)} for other audiences than the server tells it by"


def _old_visit(play: Play, phone: Phone, key: tuple[str, str]) -> bool:
    if key[0] != "visit":
        return False
    data = phone.replica.rows[key].data
    day = (data.get("server") or {}).get("day")
    return data.get("status") not in UNDER_WAY and bool(day) and day < play.oldest_day()


def every_typed_value_is_reachable(play: Play, tables: Tables) -> Iterator[str]:
    """A value that was typed stands in the record, lies in a conflict or parked, or was replaced by somebody who saw it."""
    places: dict[str, set[str]] = {}
    for (kind, _), row in tables.entities():
        if kind in READABLE:
            for word in WORD.findall(json.dumps(row, default=str, ensure_ascii=False)):
                places.setdefault(word, set()).add(kind)
    for revision in tables.revisions:
        if revision["cause"]:  # somebody decided it, and what was before can be read in the history
            for word in WORD.findall(json.dumps(revision["changes"], ensure_ascii=False)):
                places.setdefault(word, set()).add("history")
    entries: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    first: set[str] = set()
    for entry in tables.journal:
        if entry["mutation_id"] in first:
            continue
        first.add(entry["mutation_id"])
        body = json.loads((entry["payload"] or b"{}").decode("utf-8", "surrogatepass"))
        entries.setdefault(tables.stays(entry["entity"]), []).append((entry, body))
    for known in entries.values():
        for number, (entry, body) in enumerate(known):
            if entry["status"] not in {"applied", "merged"}:
                continue
            for op in body.get("ops") or []:
                for word in WORD.findall(json.dumps(op.get("new"))) if isinstance(op, dict) else []:
                    if word in WORD.findall(json.dumps(op.get("old"))) or word in places:
                        continue
                    if not any(
                        _replaced_knowingly(tables, entry, op["field"], word, later)
                        for later in known[number:]
                    ):
                        yield (
                            f"{word}, typed into {op['field']} of {play.names.get(entry['entity'], entry['kind'])}, "
                            "is neither in the record nor in a conflict nor parked, and nobody who saw it replaced it"
                        )


def _replaced_knowingly(
    tables: Tables, entry: dict[str, Any], name: str, word: str, later: tuple[dict[str, Any], dict[str, Any]]
) -> bool:
    after, body = later
    if after["status"] not in {"applied", "merged"}:
        return False
    for op in body.get("ops") or []:
        if not isinstance(op, dict) or op.get("field") != name:
            continue
        new = json.dumps(op.get("new"))
        if word in new:
            continue
        same_chain = tables.clients[after["client_id"]]["root"] == tables.clients[entry["client_id"]]["root"]
        if after is not entry and (
            word in json.dumps(op.get("old")) or body.get("base", 0) >= entry["version"] or same_chain
        ):
            return True
    return False


def words_are_not_doubled(play: Play, tables: Tables) -> Iterator[str]:
    """A name or an outcome is what somebody typed, not more: only texts are ever put together."""
    for (kind, entity), row in tables.entities():
        if kind not in {"customer", "visit"}:
            continue
        for name, field in WRITABLE[kind].fields.items():
            value = row.get(name)
            if field.kind == "value" and isinstance(value, str) and len(WORD.findall(value)) > 1:
                yield f"the {name} of {_named(play, (kind, entity))} holds more than was typed at once"


def evidence_never_changes(play: Play, tables: Tables) -> Iterator[str]:
    """What stands as evidence is the first real value that came, but where an approved amendment says otherwise."""
    first: dict[tuple[str, str], Any] = {}
    seen: set[str] = set()
    decided = {revision["entity"] for revision in tables.revisions if revision["cause"]}
    for entry in tables.journal:
        if entry["kind"] != "visit" or entry["status"] not in {"applied", "merged"}:
            continue
        if entry["mutation_id"] in seen:
            continue
        seen.add(entry["mutation_id"])
        for op in json.loads(entry["payload"]).get("ops") or []:
            field = VISIT.fields.get(op.get("field"))
            if (
                field
                and field.kind == "evidence"
                and isinstance(op.get("new"), dict)
                and "none" not in op["new"]
            ):
                first.setdefault((entry["entity"], op["field"]), op["new"])
    for entity, row in tables.rows["visit"].items():
        amended = set((row.get("server") or {}).get("amended") or ())
        for name, field in VISIT.fields.items():
            if field.kind != "evidence" or name in amended:
                continue
            stands, came = row[name], first.get((entity, name))
            if came is None and entity in decided:
                continue  # it came with a mutation that was parked and then let in
            if isinstance(stands, dict) and "none" not in stands and stands != came:
                yield f"the {name} of {_named(play, ('visit', entity))} is not the first that came"
            if came is not None and stands is None and name in {"check_in", "check_out"}:
                yield f"the {name} of {_named(play, ('visit', entity))} was taken away"


def states_are_legal(play: Play, tables: Tables) -> Iterator[str]:
    """A visit that is done was begun as one or went there; done stays done."""
    done: set[str] = set()
    tried = {entry["entity"] for entry in tables.journal if entry["status"] == "parked" and _says_done(entry)}
    for entry in tables.journal:
        if entry["kind"] != "visit" or entry["status"] not in {"applied", "merged"}:
            continue
        if _says_done(entry):
            done.add(entry["entity"])
    for entity, row in tables.rows["visit"].items():
        if entity in done and row["status"] != "done":
            yield f"{_named(play, ('visit', entity))} was done and is {row['status']}"
        if row["status"] == "done" and entity not in done | tried:
            yield f"{_named(play, ('visit', entity))} is done and nobody said so"


def _says_done(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "visit" and b'"new":"done"' in (entry["payload"] or b"")


def nothing_comes_back(play: Play, tables: Tables) -> Iterator[str]:
    """What was archived stays so until somebody restores it; a tag that was taken off knowingly stays off."""
    archived: dict[tuple[str, str], bool] = {}
    tags: dict[tuple[str, str], bool] = {}
    since: dict[tuple[str, str], tuple[int, str]] = {}
    seen: set[str] = set()
    for entry in tables.journal:
        again = entry["mutation_id"] in seen
        seen.add(entry["mutation_id"])
        if again or entry["kind"] != "customer" or entry["status"] not in {"applied", "merged", "noop"}:
            continue
        root = tables.clients[entry["client_id"]]["root"]
        if entry["verb"] in {"archive", "restore"}:
            archived["customer", entry["entity"]] = entry["verb"] == "archive"
            continue
        body = json.loads(entry["payload"])
        for op in body.get("ops") or []:
            for tag in op.get("values") or [] if op.get("field") == "tags" else []:
                key = (entry["entity"], tag)
                if op["op"] == "add":
                    if not tags.get(key):
                        since[key] = (entry["version"], root)
                    tags[key] = True
                elif op["op"] == "remove" and tags.get(key):
                    version, whose = since[key]
                    base = body["base"] if body["base"] < entry["version"] else 0
                    if base >= version or whose == root:
                        tags[key] = False
    decided = {revision["entity"] for revision in tables.revisions if revision["cause"]}
    for entity, row in tables.rows["customer"].items():
        if entity in decided or row.get("merged_into"):
            continue
        if row["archived"] != archived.get(("customer", entity), False):
            word = "is archived and nobody said so" if row["archived"] else "was archived and came back"
            yield f"{_named(play, ('customer', entity))} {word}"
        for (about, tag), there in tags.items():
            if about == entity and there != (tag in (row["tags"] or [])):
                yield f"the tag {tag} of {_named(play, ('customer', entity))} {'is missing' if there else 'came back'}"


def merges_keep_the_laws(play: Play, tables: Tables) -> Iterator[str]:
    """merge(b, x, b) = x and merge(b, x, x) = x, for every text that was typed."""
    for entry in tables.journal:
        body = json.loads((entry["payload"] or b"{}").decode("utf-8", "surrogatepass"))
        for op in body.get("ops") or []:
            if isinstance(op, dict) and op.get("op") == "text" and isinstance(op.get("new"), str):
                old, new = op.get("old"), op["new"]
                base = old if isinstance(old, str) else ""
                if new.strip() and (merge(base, new, base).text != new or merge(base, new, new).text != new):
                    yield f"merging {new!r} over {base!r} alone does not give it"


LAWS: tuple[Law, ...] = (
    acknowledged_work_survives,
    applied_once,
    in_the_order_of_saving,
    in_one_place,
    replicas_are_the_authorised_view,
    every_typed_value_is_reachable,
    words_are_not_doubled,
    evidence_never_changes,
    states_are_legal,
    nothing_comes_back,
    merges_keep_the_laws,
)


def _told(entry: Entry) -> str:
    return (
        f"a {entry.body.get('verb')} of a {entry.body.get('kind')} saved as number {entry.n} on {entry.phone}"
    )


def _named(play: Play, key: tuple[str, str]) -> str:
    return f"the {key[0]} {play.names.get(key[1], key[1][:8])}"


def _who(play: Play, phone: Phone) -> str:
    return play.names.get(phone.person, phone.name)
