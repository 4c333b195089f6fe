"""Two kinds shaped like the real ones, and short ways to write mutations on them."""

from datetime import UTC, datetime
from typing import Any

from sync.mutation import Author, Moment, Mutation, Op
from sync.policy import (
    Field,
    Policy,
    choice,
    date,
    fix,
    moment,
    number,
    tags,
    text,
    uuid,
)
from sync.reconcile import Entity, Outcome, apply_outcome, reconcile

ID = "0b7e2a1e-5d52-4a4e-8f53-0123456789ab"
OTHER_ID = "9d1f0c6b-1f6e-4b7f-a1de-ba9876543210"

CUSTOMER = Policy(
    kind="customer",
    fields={
        "name": Field("value", text(200, 1), required=True),
        "address": Field("value", text(500)),
        "lat": Field("value", number(-90, 90)),
        "owner_id": Field("value", uuid(), authority="manager"),
        "grade": Field("value", choice("A", "B", "C"), authority="manager"),
        "contact": Field("value", text(200), authority="rep"),
        "note": Field("text", text(200)),
        "tags": Field("set", tags(5, 20)),
    },
)
VISIT = Policy(
    kind="visit",
    fields={
        "customer_id": Field("value", uuid(), required=True),
        "planned_date": Field("value", date()),
        "outcome": Field("value", text(60), authority="rep"),
        "minutes": Field("text", text(20_000)),
        "tags": Field("set", tags()),
        "status": Field("state", choice("planned", "open", "done", "missed", "cancelled")),
        "check_in": Field("evidence", moment()),
        "check_out": Field("evidence", moment()),
        "check_in_fix": Field("evidence", fix(), late=frozenset({"open"})),
        "check_out_fix": Field("evidence", fix(), late=frozenset({"open", "done"})),
        "server": Field("readonly"),
    },
    initial=frozenset({"planned", "open", "done"}),
    steps={
        "planned": frozenset({"open", "missed", "cancelled"}),
        "missed": frozenset({"open"}),
        "cancelled": frozenset({"open"}),
        "open": frozenset({"done", "cancelled"}),
    },
    rank={"planned": 0, "missed": 1, "cancelled": 2, "open": 3, "done": 4},
    flagged=frozenset({("missed", "open"), ("cancelled", "open")}),
)
POLICIES = {policy.kind: policy for policy in (CUSTOMER, VISIT)}

REP = Author("rep", "rep", "phone-of-rep")
COLLEAGUE = Author("colleague", "rep", "phone-of-colleague")
MANAGER = Author("manager", "manager", "desk")

WALL = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
AT = Moment(WALL, 1000.0, "life", 0.0, "Europe/London")
MOMENT = {
    "wall": "2026-11-21T10:00:00.000Z",
    "mono_ms": 1000,
    "life": "life",
    "offset_ms": -420,
    "zone": "Europe/London",
}
LATER = {**MOMENT, "wall": "2026-11-21T10:40:00.000Z"}
FIX = {"lat": 51.5, "lon": -0.12, "accuracy_m": 12, "taken_at": "2026-11-21T10:00:03.000Z"}
OTHER_FIX = {**FIX, "lat": 51.6}
NO_FIX = {"none": "timeout"}


def put(field: str, old: Any, new: Any) -> Op:
    return Op(field, "set", old, new)


def write(field: str, old: Any, new: Any) -> Op:
    return Op(field, "text", old, new)


def add(field: str, *values: Any) -> Op:
    return Op(field, "add", values=list(values))


def remove(field: str, *values: Any) -> Op:
    return Op(field, "remove", values=list(values))


def go(old: Any, new: Any) -> Op:
    return Op("status", "go", old, new)


def mutation(*ops: Op, kind: str = "visit", verb: str = "update", base: int = 0, schema: int = 1) -> Mutation:
    return Mutation(1, ID, schema, kind, ID, verb, base, AT, list(ops))


class Thing:
    """One entity living through mutations; each that changes it gets the next version, from 10 on."""

    def __init__(self, kind: str, author: Author = REP, **fields: Any) -> None:
        self.kind = kind
        self.policy = POLICIES[kind]
        self.version = 9
        self.entity: Entity | None = None
        given = {"name": "Shop"} if kind == "customer" else {"customer_id": OTHER_ID}
        created = self.take(
            author, *(put(name, None, value) for name, value in {**given, **fields}.items()), verb="create"
        )
        assert created.status == "applied", created

    def take(self, author: Author, *ops: Op, base: int = 0, verb: str = "update") -> Outcome:
        asked = mutation(*ops, kind=self.kind, verb=verb, base=base)
        outcome = reconcile(self.entity, asked, author, self.policy)
        if outcome.status in ("applied", "merged"):
            after = apply_outcome(self.entity, outcome, asked, author, self.version + 1)
            if after is not self.entity:
                self.version += 1
            self.entity = after
        return outcome

    def __getitem__(self, name: str) -> Any:
        assert self.entity is not None
        return self.entity.values.get(name)
