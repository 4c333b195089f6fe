"""The one table of kinds: for each its table, how its fields settle, who may write what, who is told, what follows.

Rights are words for how an author stands to an entity (`relations` tells which hold): `rep` of a visit, `owner` of a
customer, `team` (in an audience of its team), `lead` (manager of its team or of one above), `administrator`, and for a
create `member` (has a team), `awaited` (a decision waits for them) or `ticker` (what the server does when its time
comes). A test walks kind x field x role x verb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from server.customers.model import Customer
from server.db import Model
from server.exchange.model import Amendment, Conflict, Decision, Parked, Suggestion
from server.followups.model import Comment, FollowUp
from server.indicators.case import INDICATOR_FIELDS, MOST_INDICATORS, BadCase, indicators_of
from server.indicators.closing_model import Closing
from server.indicators.model import Appeal, DayOff, IndicatorScheme, IndicatorTarget, IndicatorValue
from server.indicators.periods import PERIODS
from server.indicators.templates import TEMPLATES
from server.people.model import Person, Setting, Team
from server.people.rules import FINANCE, ROLES
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
            **dict.fromkeys(("merged_into", "customer_since", "won_by"), Field("readonly")),
        },
    ),
    create=frozenset({"member", "administrator"}),
    rights=dict.fromkeys(
        ("owner_id", "team_id", "grade", "radius_m", "lat", "lon", "code", "lifecycle"), MANAGERS
    )
    | dict.fromkeys(("merged_into", "customer_since", "won_by"), NOBODY),
    other=EVERYBODY,
    archive=MANAGERS,
    references={"owner_id": "person", "team_id": "team"},
    unique="code",
    derived=("merged_into", "customer_since", "won_by"),
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
            "joined_on": Field("value", check=p.date()),
            "left_on": Field("value", check=p.date()),
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

AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"
NOT_NEGATIVE = r"^[0-9]{1,15}(\.[0-9]{1,9})?$"
ABOVE_ZERO = r"^(?=.*[1-9])[0-9]{1,15}(\.[0-9]{1,9})?$"
INDICATOR = r"^[a-z][a-z0-9_]{0,63}$"


def _written_as(pattern: str) -> p.Check:
    """Text of a pattern."""
    matches = re.compile(pattern.removeprefix("^").removesuffix("$")).fullmatch

    def test(value: Any) -> bool:
        return type(value) is str and matches(value) is not None

    return p.Check(test, {"type": "string", "pattern": pattern})


def _indicators() -> p.Check:
    """Rows of a scheme: numbers are decimal text, each code is there once, process indicators are the catalogue's."""

    def test(value: Any) -> bool:
        rows = value if type(value) is list else [None]
        numbers = ("weight", "cap", "target")
        if not all(
            type(row) is dict and all(type(row.get(name)) in {str, NoneType} for name in numbers)
            for row in rows
        ):
            return False
        try:
            return bool(indicators_of(rows))
        except BadCase:
            return False

    number = {"type": ["string", "null"], "pattern": NOT_NEGATIVE}
    properties: dict[str, Any] = {name: {"type": ["string", "null"]} for name in INDICATOR_FIELDS}
    properties |= {
        "weight": number | {"type": "string"},
        "cap": number | {"pattern": ABOVE_ZERO},
        "target": number,
    }
    row = {
        "type": "object",
        "properties": properties,
        "required": ["code", "weight"],
        "additionalProperties": False,
    }
    return p.Check(test, {"type": "array", "minItems": 1, "maxItems": MOST_INDICATORS, "items": row})


SCHEME = Kind(
    name="scheme",
    model=IndicatorScheme,
    policy=Policy(
        kind="scheme",
        fields={
            "name": Field("value", authority="manager", check=p.text(200, 1), required=True),
            "name_zh": Field("value", authority="manager", check=p.text(200)),
            "template": Field("value", authority="manager", check=p.choice(*TEMPLATES)),
            "role": Field("value", authority="manager", check=p.choice(*ROLES)),
            "team_id": Field("value", authority="manager", check=p.uuid()),
            "valid_from": Field("value", authority="manager", check=p.date(), required=True),
            "cap": Field("value", authority="manager", check=_written_as(ABOVE_ZERO)),
            "indicators": Field("value", authority="manager", check=_indicators(), required=True),
            "note": Field("value", authority="manager", check=p.text(2_000)),
            "status": Field("state", check=p.choice("proposed", "approved", "withdrawn"), required=True),
        },
        initial=frozenset({"proposed", "approved"}),
        steps={
            "proposed": frozenset({"approved", "withdrawn"}),
            "approved": frozenset({"withdrawn"}),
            "withdrawn": frozenset(),
        },
        rank={"proposed": 0, "approved": 1, "withdrawn": 2},
    ),
    create=MANAGERS,
    other=frozenset({"author", "administrator"}),
    archive=NOBODY,
    references={"team_id": "team"},
    defaults={"status": "proposed"},
    org_wide=True,
)

TARGET = Kind(
    name="target",
    model=IndicatorTarget,
    policy=Policy(
        kind="target",
        fields={
            "indicator": Field("value", check=_written_as(INDICATOR), required=True),
            "person_id": Field("value", check=p.uuid()),
            "team_id": Field("value", check=p.uuid()),
            "period": Field("value", check=p.choice(*PERIODS), required=True),
            "starts_on": Field("value", check=p.date(), required=True),
            "amount": Field("value", authority="manager", check=_written_as(NOT_NEGATIVE), required=True),
            "source": Field("value", check=p.text(200)),
            "note": Field("value", check=p.text(2_000)),
            "status": Field(
                "state", check=p.choice("proposed", "held", "declined", "replaced"), required=True
            ),
        },
        initial=frozenset({"proposed", "held"}),
        steps={
            "proposed": frozenset({"held", "declined"}),
            "held": frozenset({"declined"}),
            "declined": frozenset({"proposed", "held"}),
            "replaced": frozenset({"held"}),
        },
        rank={"proposed": 0, "declined": 1, "replaced": 2, "held": 3},
    ),
    create=OWNER_OR_LEAD,
    rights=dict.fromkeys(("indicator", "person_id", "team_id", "period", "starts_on"), NOBODY),
    other=OWNER_OR_LEAD,
    archive=NOBODY,
    references={"person_id": "person", "team_id": "team"},
    completed=frozenset({"status"}),
)

VALUE = Kind(
    name="value",
    model=IndicatorValue,
    policy=Policy(
        kind="value",
        fields={
            "indicator": Field("value", check=_written_as(INDICATOR), required=True),
            "person_id": Field("value", check=p.uuid(), required=True),
            "on": Field("value", authority="manager", check=p.date(), required=True),
            "amount": Field("value", authority="manager", check=_written_as(AMOUNT), required=True),
            "source": Field("value", check=p.text(200, 1), required=True),
            "note": Field("value", check=p.text(2_000)),
            "status": Field(
                "state", check=p.choice("entered", "confirmed", "reviewed", "declined"), required=True
            ),
            **dict.fromkeys(
                ("confirmed_by", "confirmed_at", "reviewed_by", "reviewed_at"), Field("readonly")
            ),
        },
        initial=frozenset({"entered", "confirmed", "reviewed"}),
        steps={
            "entered": frozenset({"confirmed", "declined"}),
            "confirmed": frozenset({"reviewed", "declined", "entered"}),
            "reviewed": frozenset({"declined"}),
            "declined": frozenset({"entered"}),
        },
        rank={"entered": 0, "confirmed": 1, "declined": 2, "reviewed": 3},
    ),
    create=OWNER_OR_LEAD,
    rights=dict.fromkeys(("indicator", "person_id"), NOBODY)
    | dict.fromkeys(("status", "note"), OWNER_OR_LEAD | {FINANCE}),
    other=OWNER_OR_LEAD,
    archive=NOBODY,
    references={"person_id": "person"},
    defaults={"status": "entered", "source": "typed"},
    completed=frozenset({"person_id"}),
    columns=("confirmed_by", "confirmed_at", "reviewed_by", "reviewed_at"),
)

DAY_OFF = Kind(
    name="day_off",
    model=DayOff,
    policy=Policy(
        kind="day_off",
        fields={
            "on": Field("value", check=p.date(), required=True),
            "name": Field("value", check=p.text(200, 1), required=True),
            "name_zh": Field("value", check=p.text(200)),
            "region": Field("value", check=p.text(16)),
            "person_id": Field("value", check=p.uuid()),
            "worked": Field("value", check=p.flag()),
        },
    ),
    create=MANAGERS,
    rights={"person_id": NOBODY},
    other=MANAGERS,
    archive=MANAGERS,
    references={"person_id": "person"},
)

CLOSING = Kind(
    name="closing",
    model=Closing,
    policy=Policy(
        kind="closing",
        fields={
            "person_id": Field("value", check=p.uuid(), required=True),
            "period": Field("value", check=p.choice(*PERIODS), required=True),
            "starts_on": Field("value", check=p.date(), required=True),
            "ends_on": Field("value", check=p.date(), required=True),
            "scheme": Field("value", check=p.anything(), required=True),
            "readings": Field("value", check=p.anything(), required=True),
            "reasons": Field("value", check=p.anything(), required=True),
            "total": Field("value", check=_written_as(NOT_NEGATIVE)),
            "grade": Field("value", check=p.choice("S", "A", "B", "C")),
            "closed_at": Field("value", check=p.instant(), required=True),
            "adjustments": Field("value", check=p.anything(), required=True),
            "status": Field("state", check=p.choice("closed", "reopened"), required=True),
            "reason": Field("value", check=p.text(500, 1)),
            "reopened_at": Field("readonly"),
        },
        initial=frozenset({"closed"}),
        steps={"closed": frozenset({"reopened"}), "reopened": frozenset({"closed"})},
        rank={"closed": 0, "reopened": 1},
    ),
    create=TICKER,
    rights=dict.fromkeys(("status", "reason"), TICKER | ADMINISTRATOR) | {"reopened_at": NOBODY},
    other=TICKER,
    archive=NOBODY,
    references={"person_id": "person"},
    columns=("reopened_at", "reads_from"),
)

APPEAL = Kind(
    name="appeal",
    model=Appeal,
    policy=Policy(
        kind="appeal",
        fields={
            "closing_id": Field("value", check=p.uuid(), required=True),
            "person_id": Field("value", check=p.uuid(), required=True),
            "indicator": Field("value", check=_written_as(INDICATOR)),
            "text": Field("value", check=p.text(5_000, 1), required=True),
            "answer": Field("value", authority="manager", check=p.text(5_000, 1)),
            "status": Field(
                "state", check=p.choice("open", "upheld", "declined", "withdrawn"), required=True
            ),
            **dict.fromkeys(("at", "answered_by", "answered_at"), Field("readonly")),
        },
        initial=frozenset({"open"}),
        steps={
            "open": frozenset({"upheld", "declined", "withdrawn"}),
            "upheld": frozenset({"declined"}),
            "declined": frozenset({"upheld"}),
            "withdrawn": frozenset(),
        },
        rank={"open": 0, "withdrawn": 1, "declined": 2, "upheld": 3},
    ),
    create=frozenset({"owner"}),
    rights={"answer": MANAGERS, "status": OWNER_OR_LEAD, "text": frozenset({"owner"})}
    | dict.fromkeys(("closing_id", "person_id", "indicator"), NOBODY),
    other=OWNER_OR_LEAD,
    archive=NOBODY,
    references={"closing_id": "closing", "person_id": "person"},
    defaults={"status": "open"},
    completed=frozenset({"person_id"}),
    columns=("at", "answered_by", "answered_at"),
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
        *(SCHEME, TARGET, VALUE, DAY_OFF, CLOSING, APPEAL),
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
