"""The one table of kinds: for each its table, how its fields settle, who may write what, who is told, what follows.

Rights are words for how an author stands to an entity (`relations` tells which hold): `rep` of a visit, `owner` of a
customer, `team` (in an audience of its team), `lead` (manager of its team or of one above), `administrator`, and for a
create `member` (has a team), `awaited` (a decision waits for them) or `ticker` (what the server does when its time
comes). A test walks kind x field x role x verb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.customers.model import Customer
from server.db import Model
from server.exchange.model import Amendment, Conflict, Decision, Parked, Suggestion
from server.followups.model import Comment, FollowUp
from server.people.model import Person, Setting, Team
from server.people.rules import ROLES
from server.push.model import Notice
from server.visits.model import Outcome, Visit, VisitKind
from sync import policy as p
from sync.policy import Field, Policy

MANAGERS = frozenset({"lead", "administrator"})
EVERYBODY = frozenset({"owner", "team", "lead", "administrator"})
ADMINISTRATOR = frozenset({"administrator"})
REP = frozenset({"rep"})
REP_OR_LEAD = frozenset({"rep", "lead", "administrator"})
NOBODY: frozenset[str] = frozenset()
TICKER = frozenset({"ticker"})

WHILE_OPEN = frozenset({"open"})
WHILE_LEAVING = frozenset({"open", "done"})
MODES = ("in_person", "online", "phone")


def _minutes_by_mode() -> p.Check:
    minutes = p.number(0, 1440)

    def test(value: Any) -> bool:
        return type(value) is dict and value.keys() <= set(MODES) and all(map(minutes, value.values()))

    return p.Check(
        test,
        {"type": "object", "properties": dict.fromkeys(MODES, minutes.schema), "additionalProperties": False},
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entity.

    `create`: relations that may create one; `rights`: field -> relations that may set it (a field not named takes
    `other`); `archive`: relations that may archive and restore; `references`: field -> kind it points at; `defaults`: what
    a create gets for a field it leaves out; `completed`: fields that a create may leave out because they follow from its
    author; `on`: kinds that `on_kind` may name, for what is said about another entity; `unique`: a field no two may have
    alike; `derived`: wire fields that the server adds to the document from columns of its own, `columns` those that what
    follows a change fills; `org_wide`: told to everybody.
    """

    name: str
    model: type[Model]
    policy: Policy
    create: frozenset[str] = ADMINISTRATOR
    rights: Mapping[str, frozenset[str]] = field(default_factory=dict)
    other: frozenset[str] = ADMINISTRATOR
    archive: frozenset[str] = ADMINISTRATOR
    references: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    completed: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    unique: str | None = None
    derived: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    org_wide: bool = False

    @property
    def fields(self) -> Mapping[str, Field]:
        """The wire fields, by name."""
        return self.policy.fields

    def may_set(self, name: str, relations: frozenset[str]) -> bool:
        """Whether somebody of these relations may set this field; an unknown one whoever may set any."""
        if name in self.fields:
            return bool(self.rights.get(name, self.other) & relations)
        return any(relations & allowed for allowed in (self.other, *self.rights.values()))

    def document(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """The entity as it travels: all fields, what this release does not know as it came, `archived`."""
        known = {name: row[name] for name in (*self.policy.fields, *self.derived)}
        return {**row["extra"], **known, "archived": row["archived"]}


CUSTOMER = Kind(
    name="customer",
    model=Customer,
    policy=Policy(
        kind="customer",
        fields={
            "name": Field("value", check=p.text(200, 1), required=True),
            "address": Field("value", check=p.text(500)),
            "lat": Field("value", authority="manager", check=p.number(-90, 90)),
            "lon": Field("value", authority="manager", check=p.number(-180, 180)),
            "radius_m": Field("value", authority="manager", check=p.number(20, 5000)),
            "owner_id": Field("value", authority="manager", check=p.uuid()),
            "team_id": Field("value", authority="manager", check=p.uuid()),
            "grade": Field("value", authority="manager", check=p.choice("A", "B", "C")),
            "phone": Field("value", authority="rep", check=p.text(100)),
            "contact": Field("value", authority="rep", check=p.text(200)),
            "lifecycle": Field("value", authority="manager", check=p.choice("lead", "customer", "lost")),
            "code": Field("value", authority="manager", check=p.text(100, 1)),
            "note": Field("text", check=p.text(20_000)),
            "tags": Field("set", check=p.tags()),
            "merged_into": Field("readonly"),
        },
    ),
    create=frozenset({"member", "administrator"}),
    rights=dict.fromkeys(
        ("owner_id", "team_id", "grade", "radius_m", "lat", "lon", "code", "lifecycle"), MANAGERS
    )
    | {"merged_into": NOBODY},
    other=EVERYBODY,
    archive=MANAGERS,
    references={"owner_id": "person", "team_id": "team"},
    unique="code",
    derived=("merged_into",),
    columns=("merged_into", "alike", "cell", "customer_since", "won_by"),
)

LEAD_FIELDS = frozenset({"owner_id", "team_id", "grade", "lat", "lon", "lifecycle"})
"""Fields reserved for managers that a rep may still set on a lead of their own, while creating it."""

VISIT = Kind(
    name="visit",
    model=Visit,
    policy=Policy(
        kind="visit",
        fields={
            "customer_id": Field("value", check=p.uuid(), required=True),
            "rep_id": Field("value", check=p.uuid(), required=True),
            "mode": Field("value", check=p.choice(*MODES)),
            "kind": Field("value", check=p.text(64, 1)),
            "planned_date": Field("value", check=p.date()),
            "planned_time": Field("value", check=p.time()),
            "repeat": Field("value", check=p.recurrence()),
            "series": Field("value", check=p.series()),
            "outcome": Field("value", authority="rep", check=p.text(64, 1)),
            "late_reason": Field("value", check=p.text(500)),
            "minutes": Field("text", check=p.text(20_000)),
            "next_step": Field("text", check=p.text(2_000)),
            "tags": Field("set", check=p.tags()),
            "photos": Field("set", check=p.digests()),
            "status": Field(
                "state", check=p.choice("planned", "open", "done", "missed", "cancelled"), required=True
            ),
            "check_in": Field("evidence", check=p.moment()),
            "check_out": Field("evidence", check=p.moment()),
            "check_in_fix": Field("evidence", check=p.fix(), late=WHILE_OPEN),
            "check_in_best_fix": Field("evidence", check=p.fix(), late=WHILE_OPEN),
            "check_out_fix": Field("evidence", check=p.fix(), late=WHILE_LEAVING),
            "server": Field("readonly"),
        },
        initial=frozenset({"planned", "open", "done"}),
        steps={
            "planned": frozenset({"open", "missed", "cancelled"}),
            "missed": frozenset({"open"}),
            "cancelled": frozenset({"open"}),
            "open": frozenset({"done", "cancelled"}),
            "done": frozenset(),
        },
        rank={"planned": 0, "missed": 1, "cancelled": 2, "open": 3, "done": 4},
        flagged=frozenset({("missed", "open"), ("cancelled", "open")}),
    ),
    create=frozenset({"rep", "lead", "administrator"}),
    rights={
        "customer_id": REP_OR_LEAD,
        "rep_id": REP_OR_LEAD,
        "planned_date": REP_OR_LEAD,
        "planned_time": REP_OR_LEAD,
        "repeat": REP_OR_LEAD,
        "series": TICKER,
        "kind": REP_OR_LEAD,
        "mode": REP_OR_LEAD,
        "status": REP_OR_LEAD,
        "server": NOBODY,
    },
    other=REP,
    archive=NOBODY,
    references={"customer_id": "customer", "rep_id": "person"},
    defaults={"mode": "in_person"},
    completed=frozenset({"rep_id"}),
    derived=("server",),
    columns=("clock", "server", "day", "at", "valid", "trust"),
)

LEAD_STATES = frozenset({"planned", "cancelled"})
"""States of a visit that a manager may bring about; the others are the rep's alone."""

OWNER_OR_LEAD = frozenset({"owner", "lead", "administrator"})

FOLLOW_UP = Kind(
    name="follow_up",
    model=FollowUp,
    policy=Policy(
        kind="follow_up",
        fields={
            "customer_id": Field("value", check=p.uuid(), required=True),
            "visit_id": Field("value", check=p.uuid()),
            "owner_id": Field("value", authority="manager", check=p.uuid(), required=True),
            "kind": Field("value", check=p.text(64, 1)),
            "subject": Field("value", check=p.text(200, 1), required=True),
            "due_date": Field("value", authority="manager", check=p.date()),
            "due_time": Field("value", authority="manager", check=p.time()),
            "due_zone": Field("value", check=p.zone()),
            "remind_before_min": Field("value", check=p.whole(0, 40_320)),
            "repeat": Field("value", check=p.recurrence()),
            "series": Field("value", check=p.series()),
            "requested_at": Field("value", check=p.instant()),
            "note": Field("text", check=p.text(20_000)),
            "status": Field("state", check=p.choice("open", "done", "cancelled"), required=True),
            "done": Field("evidence", check=p.moment(), late=frozenset({"done"}), renewed=WHILE_OPEN),
        },
        initial=frozenset({"open", "done"}),
        steps={
            "open": frozenset({"done", "cancelled"}),
            "cancelled": WHILE_OPEN,
            "done": WHILE_OPEN,
        },
        rank={"open": 0, "cancelled": 1, "done": 2},
    ),
    create=frozenset({"owner", "lead", "administrator"}),
    rights={"owner_id": MANAGERS, "series": TICKER},
    other=OWNER_OR_LEAD,
    archive=OWNER_OR_LEAD,
    references={"customer_id": "customer", "visit_id": "visit", "owner_id": "person"},
    defaults={"status": "open"},
    completed=frozenset({"owner_id"}),
    columns=("due_at", "done_at", "done_day", "request_day", "answered_at"),
)

COMMENT = Kind(
    name="comment",
    model=Comment,
    policy=Policy(
        kind="comment",
        fields={
            "on_kind": Field("value", check=p.choice("customer", "visit", "follow_up"), required=True),
            "on_id": Field("value", check=p.uuid(), required=True),
            "body": Field("value", check=p.text(5_000, 1), required=True),
            **dict.fromkeys(("author_id", "at"), Field("readonly")),
        },
    ),
    create=frozenset({"reader"}),
    other=NOBODY,
    archive=NOBODY,
    on=frozenset({"customer", "visit", "follow_up"}),
    columns=("author_id", "at"),
)

NOTICE = Kind(
    name="notice",
    model=Notice,
    policy=Policy(
        kind="notice",
        fields={
            "person_id": Field("value", check=p.uuid(), required=True),
            "rule": Field("value", check=p.text(64, 1), required=True),
            "about": Field("value", check=p.anything(), required=True),
            "words": Field("value", check=p.anything(), required=True),
            "at": Field("value", check=p.instant(), required=True),
            "status": Field("state", check=p.choice("unread", "read"), required=True),
            "snoozed_until": Field("value", check=p.instant()),
        },
        initial=frozenset({"unread"}),
        steps={"unread": frozenset({"read"}), "read": frozenset({"unread"})},
        rank={"unread": 0, "read": 1},
    ),
    create=TICKER,
    rights=dict.fromkeys(("status", "snoozed_until"), frozenset({"owner"})),
    other=NOBODY,
    archive=NOBODY,
)

TEAM = Kind(
    name="team",
    model=Team,
    policy=Policy(
        kind="team",
        fields={
            "name": Field("value", check=p.text(200, 1), required=True),
            "parent_id": Field("value", check=p.uuid()),
        },
    ),
    references={"parent_id": "team"},
    org_wide=True,
)

PERSON = Kind(
    name="person",
    model=Person,
    policy=Policy(
        kind="person",
        fields={
            "name": Field("value", check=p.text(200, 1), required=True),
            "role": Field("value", check=p.choice(*ROLES), required=True),
            "team_id": Field("value", check=p.uuid()),
            "active": Field("value", check=p.flag(), required=True),
            "locale": Field("value", check=p.choice("en", "zh-Hans"), required=True),
            "time_zone": Field("value", check=p.zone(), required=True),
        },
    ),
    references={"team_id": "team"},
    defaults={"active": True, "locale": "en"},
    org_wide=True,
)

VISIT_KIND = Kind(
    name="visit_kind",
    model=VisitKind,
    policy=Policy(
        kind="visit_kind",
        fields={
            "code": Field("value", check=p.text(64, 1), required=True),
            "name": Field("value", check=p.text(200, 1), required=True),
            "name_zh": Field("value", check=p.text(200)),
            "min_minutes": Field("value", check=_minutes_by_mode(), required=True),
        },
    ),
    defaults={"min_minutes": {}},
    unique="code",
    org_wide=True,
)

OUTCOME = Kind(
    name="outcome",
    model=Outcome,
    policy=Policy(
        kind="outcome",
        fields={
            "code": Field("value", check=p.text(64, 1), required=True),
            "name": Field("value", check=p.text(200, 1), required=True),
            "name_zh": Field("value", check=p.text(200)),
            "position": Field("value", check=p.whole(0, 10_000), required=True),
        },
    ),
    defaults={"position": 0},
    unique="code",
    org_wide=True,
)

SETTING = Kind(
    name="setting",
    model=Setting,
    policy=Policy(
        kind="setting",
        fields={
            "key": Field("value", check=p.text(64, 1), required=True),
            "value": Field("value", check=p.anything()),
        },
    ),
    unique="key",
    org_wide=True,
)

AMENDABLE = (
    "minutes",
    "next_step",
    "outcome",
    "kind",
    "mode",
    "check_in",
    "check_out",
    "check_in_fix",
    "check_out_fix",
    "late_reason",
)
"""Fields of a visit that an amendment may change."""


def _amendments() -> p.Check:
    fields = {name: VISIT.fields[name] for name in AMENDABLE}

    def sound(name: Any, value: Any) -> bool:
        if value is None:  # what was seen there is corrected, never emptied
            return name in fields and fields[name].kind != "evidence"
        return name in fields and fields[name].check.test(value)

    def test(value: Any) -> bool:
        return type(value) is dict and bool(value) and all(sound(*item) for item in value.items())

    properties = {
        name: field.check.schema
        if field.kind == "evidence"
        else {"anyOf": [field.check.schema, {"type": "null"}]}
        for name, field in fields.items()
    }
    schema = {
        "type": "object",
        "minProperties": 1,
        "properties": properties,
        "additionalProperties": False,
    }
    return p.Check(test, schema)


_SERVER_MADE = Field("readonly")
DECIDED = ("status", "verdict", "decided_by", "decided_at")
"""What everything says that somebody has to decide: `open` or `resolved`, and how, by whom and when."""
UNDECIDED = {"status": "open", "verdict": None, "decided_by": None, "decided_at": None}

AMENDMENT = Kind(
    name="amendment",
    model=Amendment,
    policy=Policy(
        kind="amendment",
        fields={
            "visit_id": Field("value", check=p.uuid(), required=True),
            "reason": Field("value", check=p.text(500, 1), required=True),
            "changes": Field("value", check=_amendments(), required=True),
            **dict.fromkeys(("before", "author_id", "at", *DECIDED), _SERVER_MADE),
        },
    ),
    create=REP,
    other=NOBODY,
    archive=NOBODY,
    references={"visit_id": "visit"},
    columns=("before", "author_id", "at", *DECIDED),
)

VERDICTS: Mapping[str, tuple[str, ...]] = {
    "conflict": ("take", "keep"),
    "parked": ("retry", "discard"),
    "amendment": ("approve", "decline"),
    "suggestion": ("approve", "decline"),
    "visit": ("accept", "ask", "decline"),
}
"""Kind of what is decided on -> what may be said of it."""

DECISION = Kind(
    name="decision",
    model=Decision,
    policy=Policy(
        kind="decision",
        fields={
            "on_kind": Field("value", check=p.choice(*VERDICTS), required=True),
            "on_id": Field("value", check=p.uuid(), required=True),
            "verdict": Field(
                "value",
                check=p.choice(*dict.fromkeys(word for words in VERDICTS.values() for word in words)),
                required=True,
            ),
            "word": Field("value", check=p.text(500)),
            **dict.fromkeys(("author_id", "at", "stands"), _SERVER_MADE),
        },
    ),
    create=frozenset({"awaited"}),
    other=NOBODY,
    archive=NOBODY,
    columns=("author_id", "at", "stands"),
)

WRITABLE: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(SETTING, TEAM, PERSON, VISIT_KIND, OUTCOME, CUSTOMER, VISIT),
        *(FOLLOW_UP, COMMENT, NOTICE, AMENDMENT, DECISION),
    )
}
"""Kinds that mutations may name, in the order in which their rows are written (what is referred to comes first)."""

PARKED = Kind(
    name="parked",
    model=Parked,
    policy=Policy(
        kind="parked",
        fields=dict.fromkeys(
            ("author_id", "kind", "entity", "verb", "code", "field", "behind", "suggestion", *DECIDED),
            _SERVER_MADE,
        ),
    ),
    derived=("raw", "received_at"),
    create=NOBODY,
    other=NOBODY,
)

CONFLICT = Kind(
    name="conflict",
    model=Conflict,
    policy=Policy(
        kind="conflict",
        fields=dict.fromkeys(
            (
                *("kind", "entity", "field", "kept", "lost", "kept_by", "code", "author_id"),
                *("kept_author_id", "kept_at", "lost_author_id", "lost_at", "became", *DECIDED),
            ),
            _SERVER_MADE,
        ),
    ),
    derived=("at",),
    create=NOBODY,
    other=NOBODY,
)

SUGGESTION = Kind(
    name="suggestion",
    model=Suggestion,
    policy=Policy(
        kind="suggestion",
        fields=dict.fromkeys(
            (
                *("kind", "entity", "verb", "purpose", "ops", "customer_id", "parked", "into"),
                *("author_id", "at", "changed", *DECIDED),
            ),
            _SERVER_MADE,
        ),
    ),
    create=NOBODY,
    other=NOBODY,
)

MADE = {kind.name: kind for kind in (PARKED, CONFLICT, SUGGESTION)}
"""Kinds that only the server makes."""

READABLE: dict[str, Kind] = {**WRITABLE, **MADE}
"""Kinds that a pull may carry."""
