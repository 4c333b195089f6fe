"""What can be seen while it goes on: evidence that changes, states that jump, archived things that come back,
receipts that differ, own writes that flicker."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from server.exchange.kinds import VISIT, WRITABLE
from server.visits.model import Visit
from tests.faults.sim.house import ORG, House
from tests.faults.sim.phone import Phone

EVIDENCE = tuple(name for name, field in VISIT.policy.fields.items() if field.kind == "evidence")


class Flaw(AssertionError):
    """A law that did not hold, in plain words."""


def reachable() -> dict[str, set[str]]:
    """state -> every state that legal steps lead to, itself among them; a rank that decides is a step too."""
    policy = VISIT.policy
    found = {}
    for state in policy.rank:
        seen, todo = {state}, [state]
        while todo:
            here = todo.pop()
            up = {other for other in policy.rank if policy.rank[other] > policy.rank[here]}
            for other in (policy.steps.get(here, frozenset()) | up) - seen:
                seen.add(other)
                todo.append(other)
        found[state] = seen
    return found


_REACHABLE = reachable()


class Watch:
    """Sees every row a server sends and every receipt it gives."""

    def __init__(self) -> None:
        self.evidence: dict[tuple[str, str], Any] = {}
        self.amended: set[str] = set()
        self.states: dict[str, tuple[int, str]] = {}
        self.dead: dict[tuple[str, str], int] = {}
        self.settled_words: dict[str, dict[tuple[str, str, str], Any]] = {}

    def page(self, page: dict[str, Any]) -> None:
        """A page that was sent to somebody."""
        for row in page["rows"]:
            if "data" not in row:
                continue
            if row["kind"] == "visit":
                self.visit(row["id"], row["version"], row["data"])

    def visit(self, entity: str, version: int, data: dict[str, Any]) -> None:
        """A visit as it now is."""
        amended = set((data.get("server") or {}).get("amended") or ())
        for name in EVIDENCE:
            value = data.get(name)
            known = self.evidence.get((entity, name))
            if known is not None and value != known and name not in amended:
                raise Flaw(f"the {name} of a visit changed from {_short(known)} to {_short(value)}")
            if isinstance(value, dict) and "none" not in value:
                self.evidence[entity, name] = value
        before = self.states.get(entity)
        state = data["status"]
        if before is not None and version >= before[0] and state not in _REACHABLE[before[1]]:
            raise Flaw(f"a visit that was {before[1]} became {state}")
        if before is None or version >= before[0]:
            self.states[entity] = (version, state)

    def receipt(self, entry: Any, receipt: dict[str, Any]) -> None:
        """A receipt that was given for a mutation: once said, it stays said, unless a backup was put back."""
        said = (receipt["status"], receipt["code"])
        if entry.statuses and said not in entry.statuses and not entry.undone:
            raise Flaw(f"a mutation of {entry.phone} got the receipt {said} after {entry.statuses}")
        entry.statuses.add(said)

    def put_back(self, house: House) -> None:
        """A backup was put back: what was seen of what is lost no longer counts."""
        self.evidence.clear()
        self.states.clear()
        with house.looking() as connection:
            rows = connection.execute(select(Visit.__table__).where(Visit.org_id == ORG)).mappings()
            for row in rows:
                self.visit(row["id"], row["version"], VISIT.document(row))

    def own_writes(self, phone: Phone) -> None:
        """What was typed here is shown here, until the server has said something else and its row is here."""
        last: dict[tuple[str, str, str], Any] = {}
        for row in phone.outbox.rows:
            if row.state != "unsent" or row.again:
                continue
            body = row.voided or row.body
            if body.get("kind") not in WRITABLE or body.get("verb") not in {"create", "update"}:
                continue
            if not isinstance(body.get("ops"), list) or body["entity"] in phone.blind:
                continue
            for op in body["ops"]:
                if isinstance(op, dict) and op.get("op") in {"set", "text", "go"}:
                    last[body["kind"], body["entity"], str(op.get("field"))] = op.get("new")
        for (kind, entity, name), value in last.items():
            shown = phone.shown(kind, entity)
            if shown is None and entity not in phone.met:
                continue  # made for somebody else, taken by the server, and not this person's to hold
            if shown is None:
                raise Flaw(f"{phone.name} no longer shows a {kind} it has unsent changes of")
            if shown.get(name) != value:
                raise Flaw(f"{phone.name} no longer shows the {name} that was typed there")
        for row in phone.outbox.rows:
            held = phone.replica.rows.get((row.body.get("kind"), row.body.get("entity")))
            if phone.astray:
                continue  # versions of what was lost cannot be compared with those of now
            if row.settled and held and held.scopes and row.receipt and row.receipt["status"] != "parked":
                if held.version < row.receipt["version"]:
                    raise Flaw(
                        f"{phone.name} took its change for settled before the row that holds it was there"
                    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
