"""What one writing transaction knows and is about to write: entities by kind and id, loaded in a few wide reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, or_, select

from server.customers.model import Customer
from server.db import upsert
from server.exchange import goals
from server.exchange.kinds import COMMENT, MADE, WRITABLE, Kind
from server.exchange.model import Batch, Client, Decision, Journal, Parked, Position, Revision, Suggestion
from server.followups.model import Comment
from server.people.grant import held, parents_of
from server.people.model import Grant, Organisation, Setting
from server.people.rules import LEADERS, above
from server.reminders import schedule
from server.visits.model import RepDay, Visit, VisitKind, VisitPhoto
from server.visits.rules import is_position
from sync.clock import best_time
from sync.mutation import Author, Moment, Mutation, moment_of
from sync.reconcile import Entity

EVIDENCE_WINDOW = timedelta(days=90)
"""How long after losing a customer what happened there is still taken from its author (PROTOCOL, Rights)."""

SERVERS_LIFE = "server"
"""The life of what is no phone: it has no clock to claim anything by (see `door`)."""

UNDER_WAY = ("planned", "open")
"""States of a visit that is not over: phones hold it however old it is."""

SHARING = "share_team_customers"
"""The setting of an organisation that closes its teams' customers to all but their owners and leads when it is false."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, or nobody (`id` None) where the command line does. `via` is the door they came by."""

    org_id: str
    id: str | None
    role: str
    team_id: str | None
    active: bool = True
    via: str = "phone"


@dataclass(slots=True)
class Row:
    """One entity in the hands of a transaction: how it was, how it will be, its columns beside the wire's fields."""

    kind: Kind
    id: str
    entity: Entity | None
    columns: dict[str, Any] = field(default_factory=dict)
    was: Entity | None = None
    changed: bool = False
    was_on: str | None = None  # the day that a visit stood on

    def values(self) -> Mapping[str, Any]:
        """The field values; raises AttributeError for an entity that does not exist."""
        assert self.entity is not None
        return self.entity.values


# Statements of every exchange are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_SETTINGS = select(Setting.key, Setting.value).where(
    Setting.org_id == bindparam("org"), Setting.archived.is_(False)
)
_VISIT_KINDS = select(VisitKind.code, VisitKind.min_minutes).where(VisitKind.org_id == bindparam("org"))
_ZONE = select(Organisation.time_zone).where(Organisation.id == bindparam("org"))
_POSITIONS_OF = select(func.sum(RepDay.in_person), func.sum(RepDay.no_position)).where(
    RepDay.org_id == bindparam("org"),
    RepDay.rep_id == bindparam("rep"),
    RepDay.day >= bindparam("since"),
    RepDay.day < bindparam("day"),
)
_BARE_DAYS = select(RepDay.day).where(
    RepDay.org_id == bindparam("org"),
    RepDay.rep_id == bindparam("rep"),
    RepDay.day > bindparam("first"),
    RepDay.day <= bindparam("last"),
    RepDay.no_position > 0,
)
_UNPLACED = select(Visit.id).where(
    Visit.org_id == bindparam("org"),
    Visit.rep_id == bindparam("rep"),
    Visit.day.in_(bindparam("days", expanding=True)),
    Visit.trust.in_(("unverified", "review")),
)
_TOLD = select(Position.scope, Position.kind, Position.id).where(
    Position.org_id == bindparam("org"),
    Position.kind.in_(bindparam("kinds", expanding=True)),
    Position.id.in_(bindparam("ids", expanding=True)),
    Position.removed_at.is_(None),
)

_BATCH = select(Batch.__table__).where(
    Batch.org_id == bindparam("org"), Batch.version == bindparam("version")
)
_SUGGESTED = select(Suggestion.__table__).where(
    Suggestion.org_id == bindparam("org"),
    or_(
        Suggestion.customer_id.in_(bindparam("ids", expanding=True)),
        Suggestion.into.in_(bindparam("ids", expanding=True)),
    ),
)

_MERGED = select(Customer.id).where(
    Customer.org_id == bindparam("org"), Customer.merged_into.in_(bindparam("ids", expanding=True))
)

_DECISIONS = select(Decision.id, Decision.on_id, Decision.author_id).where(
    Decision.org_id == bindparam("org"), Decision.on_id.in_(bindparam("ids", expanding=True))
)

_COMMENTS = select(Comment.id, Comment.on_kind, Comment.on_id, Comment.created_by).where(
    Comment.org_id == bindparam("org"), Comment.on_id.in_(bindparam("ids", expanding=True))
)

_UNNAMED = (
    delete(VisitPhoto)
    .where(
        VisitPhoto.org_id == bindparam("org"),
        VisitPhoto.sha256 == bindparam("photo"),
        VisitPhoto.visit_id == bindparam("visit"),
    )
    .execution_options(synchronize_session=False)
)


@cache
def _entities(name: str) -> Any:
    table: Any = WRITABLE[name].model.__table__
    return select(table).where(
        table.c.org_id == bindparam("org"), table.c.id.in_(bindparam("ids", expanding=True))
    )


class Work:
    """The unit of work of one exchange. Everything is read under the organisation's lock."""

    def __init__(
        self,
        connection: Connection,
        actor: Actor,
        author: Author,
        version: int,
        received_at: datetime,
        sent: Moment,
    ) -> None:
        self.connection = connection
        self.actor = actor
        self.author = author
        self.org_id = actor.org_id
        self.version = version
        self.now = received_at  # when this transaction began; the two below are of what is being settled
        self.received_at = received_at
        self.sent = sent
        self.backer: Actor | None = None  # who lends the actor their rights
        self.rows: dict[tuple[str, str], Row] = {}
        self.made: dict[tuple[str, str], dict[str, Any]] = {}  # parked, conflicts, suggestions, as rows
        self._things: dict[tuple[str, str], dict[str, Any] | None] = {}  # of the same, what is stored
        self.rep_days: set[tuple[str, str]] = set()
        self.promise_days: set[tuple[str, str]] = set()  # (owner, day) that a changed follow-up stood on
        self.entry = 0  # number of the journal entry that is being settled
        self.cause: dict[str, str] | None = None  # the decision by which something else takes effect
        self.revisions: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.placed: set[str] = set()  # customers that are new, or have another name or place
        self.handed: dict[str, list[tuple[datetime, str | None]]] = {}  # customer -> since when whose own
        self.named: dict[str, str] = {}  # visit -> the merged customer it was said to be at
        self.people_changed = False
        self.team_moves: dict[str, tuple[str | None, str | None]] = {}  # person -> team before, team now
        self.sharing_changed = False
        self._scopes: dict[str, frozenset[str]] = {}
        self._held_once: dict[tuple[str | None, str], bool] = {}
        self._batches: dict[int, Mapping[str, Any] | None] = {}
        self._positions_of: dict[tuple[str, str], tuple[int, int]] = {}
        self._zone: str | None = None
        self._settings: dict[str, Any] | None = None
        self._visit_kinds: dict[str, Mapping[str, Any]] | None = None
        self._stored_parents: dict[str, str | None] | None = None
        self._holders: dict[tuple[str, str], str | None] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def load(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Bring these entities in, one statement a kind; what does not exist is remembered as missing."""
        by_kind: dict[str, set[str]] = {}
        for name, entity in wanted:
            if name in WRITABLE and (name, entity) not in self.rows:
                by_kind.setdefault(name, set()).add(entity)
        for name, ids in by_kind.items():
            kind = WRITABLE[name]
            for row in self.connection.execute(
                _entities(name), {"org": self.org_id, "ids": list(ids)}
            ).mappings():
                self.rows[name, row["id"]] = Row(
                    kind,
                    row["id"],
                    entity_of(kind, row),
                    {column: row[column] for column in kind.columns},
                    was=entity_of(kind, row),
                    was_on=row["day"] if name == "visit" else None,
                )
            for missing in ids:
                self.rows.setdefault((name, missing), Row(kind, missing, None))

    def row(self, kind: str, entity: str) -> Row:
        """The entity, loaded now if it was not yet; its `entity` is None where there is none."""
        if (kind, entity) not in self.rows:
            self.load([(kind, entity)])
        return self.rows[kind, entity]

    @contextmanager
    def acting(
        self, actor: Actor, author: Author, received_at: datetime, sent: Moment, backer: Actor | None
    ) -> Iterator[None]:
        """Settle in the name of somebody else what came in then, `backer` lending them rights."""
        mine = self.actor, self.author, self.received_at, self.sent, self.backer
        self.actor, self.author, self.received_at, self.sent, self.backer = (
            *(actor, author, received_at, sent),
            backer,
        )
        try:
            yield
        finally:
            self.actor, self.author, self.received_at, self.sent, self.backer = mine

    def batch(self, version: int) -> Mapping[str, Any] | None:
        """What is known of the transaction that made this version: a row of `batch`."""
        if version not in self._batches:
            about = {"org": self.org_id, "version": version}
            found = self.connection.execute(_BATCH, about).mappings().one_or_none()
            self._batches[version] = dict(found) if found else None
        return self._batches[version]

    def batch_of(self, version: int) -> Mapping[str, Any]:
        """The same of what came in with that transaction, or with this one."""
        found = None if version == self.version else self.batch(version)
        if found is not None:
            return found
        sent = self.sent
        told = {"wall": sent.wall.isoformat(), "mono_ms": sent.mono_ms, "life": sent.life}
        return {
            "root": self.author.chain,
            "role": self.actor.role,
            "team_id": self.actor.team_id,
            "active": self.actor.active,
            "received_at": self.received_at,
            "sent": told | {"offset_ms": sent.offset_ms, "zone": sent.zone},
        }

    def thing(self, kind: str, identity: str) -> dict[str, Any] | None:
        """A parked mutation, a conflict or a suggestion, as it is now."""
        key = (kind, identity)
        if key not in self.made and key not in self._things:
            table: Any = MADE[kind].model.__table__
            found = self.connection.execute(
                select(table).where(table.c.org_id == self.org_id, table.c.id == identity)
            ).mappings()
            row = found.one_or_none()
            self._things[key] = dict(row) if row else None
        return self.made.get(key) or self._things[key]

    def verdict_on(self, kind: str, identity: str) -> tuple[str | None, str | None, datetime | None]:
        """What was decided on something that awaited it, by whom and when; a visit that was asked about still waits."""
        facts: Mapping[str, Any] | None
        if kind == "visit":
            facts = (self.row(kind, identity).columns.get("clock") or {}).get("decided") or {}
            at = datetime.fromisoformat(facts["at"]) if facts else None
            return (
                (None, None, None)
                if facts.get("verdict") in {None, "ask"}
                else (facts["verdict"], facts["by"], at)
            )
        facts = self.row(kind, identity).columns if kind in WRITABLE else self.thing(kind, identity)
        if not facts or facts["status"] == "open":
            return None, None, None
        return facts["verdict"], facts["decided_by"], facts["decided_at"]

    def followers(self, parked: str) -> list[dict[str, Any]]:
        """What is parked behind this parked mutation, in the order in which it came."""
        stored = self.connection.execute(
            select(Parked.__table__).where(Parked.org_id == self.org_id, Parked.behind == parked)
        ).mappings()
        found: dict[str, dict[str, Any]] = {row["id"]: dict(row) for row in stored}
        for (kind, identity), row in self.made.items():
            if kind == "parked":
                found.pop(identity, None)
                if row["behind"] == parked:
                    found[identity] = row
        return sorted(found.values(), key=lambda row: row["entry"])

    def told(self, kind: str, identity: str) -> set[str]:
        """The scopes that something that waits for a decision is in."""
        if kind in WRITABLE:
            row = self.row(kind, identity)
            return self.audience(row) if row.entity is not None else set()
        if kind == "suggestion":  # its customer may have changed hands in this very transaction
            suggestion = self.thing(kind, identity)
            return self._asked(suggestion) if suggestion else set()
        key = (kind, identity)
        if key in self.made and self._things.get(key) is None:
            return self._concerns(kind, self.made[key])
        about = {"org": self.org_id, "kinds": [kind], "ids": [identity]}
        return {scope for scope, _, _ in self.connection.execute(_TOLD, about)}

    @property
    def scopes(self) -> frozenset[str]:
        """The audiences the actor belongs to now."""
        return self.scopes_of(self.actor)

    def scopes_of(self, actor: Actor) -> frozenset[str]:
        """The audiences somebody who acts here belongs to now."""
        if actor.id is None:
            return frozenset()
        if actor.id not in self._scopes:
            self._scopes[actor.id] = held(self.connection, self.org_id, actor.id)
        return self._scopes[actor.id]

    @property
    def settings(self) -> dict[str, Any]:
        """The organisation's settings."""
        if self._settings is None:
            rows = self.connection.execute(_SETTINGS, {"org": self.org_id})
            self._settings = {row.key: row.value for row in rows}
        return self._settings

    @property
    def shares_customers(self) -> bool:
        """Whether the members of a team see the customers of its other members."""
        return self.settings.get(SHARING, True) is not False

    def visit_kind(self, code: str | None) -> Mapping[str, Any] | None:
        """The minimum minutes of a visit kind by mode, None for an unknown one."""
        if self._visit_kinds is None:
            rows = self.connection.execute(_VISIT_KINDS, {"org": self.org_id})
            self._visit_kinds = {row.code: row.min_minutes for row in rows}
        return self._visit_kinds.get(code) if code else None

    def positions_before(self, rep_id: str, day: str) -> tuple[int, int]:
        """A rep's visits in person of the 30 days before a day, and how many of them have no position: what is stored, and
        what this exchange makes of it. So it is the same whether the days came one by one or all at once."""
        since = _days_from(day, -30)
        if (rep_id, day) not in self._positions_of:
            about = {"org": self.org_id, "rep": rep_id, "since": since, "day": day}
            found = self.connection.execute(_POSITIONS_OF, about).one()
            self._positions_of[rep_id, day] = (int(found[0] or 0), int(found[1] or 0))
        in_person, without = self._positions_of[rep_id, day]
        for (rep, on), (more, more_without) in self._position_changes():
            if rep == rep_id and since <= on < day:
                in_person, without = in_person + more, without + more_without
        return in_person, without

    def _position_changes(self) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
        """(rep, day) and what a visit of this exchange adds there or takes away: one in person, one without a position."""
        for (kind, _), row in self.rows.items():
            if kind != "visit" or not row.changed:
                continue
            for entity, on, sign in ((row.entity, row.columns.get("day"), 1), (row.was, row.was_on, -1)):
                if entity is not None and on and _in_person(entity.values):
                    yield (entity.values["rep_id"], on), (sign, sign * _without_position(entity.values))

    def changed_positions(self) -> dict[str, set[str]]:
        """Rep -> the days on which there are more or fewer visits in person now, or of those without a position."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for key, (more, without) in self._position_changes():
            before = sums.get(key, (0, 0))
            sums[key] = (before[0] + more, before[1] + without)
        found: dict[str, set[str]] = {}
        for (rep, day), sum_ in sums.items():
            if any(sum_):
                found.setdefault(rep, set()).add(day)
        return found

    def without_position_after(self, days: Mapping[str, set[str]]) -> Iterator[Row]:
        """The visits in person without a position on the thirty days after each of these days of a rep."""
        for rep, changed in days.items():
            first, last = min(changed), _days_from(max(changed), 30)
            about: dict[str, Any] = {"org": self.org_id, "rep": rep, "first": first, "last": last}
            known = [on for (on,) in self.connection.execute(_BARE_DAYS, about)]
            if known:
                ids = self.connection.execute(_UNPLACED, about | {"days": known}).scalars()
                self.load([("visit", identity) for identity in ids])
            after = [(day, _days_from(day, 30)) for day in changed]
            for (kind, _), row in list(self.rows.items()):
                if kind != "visit" or row.entity is None or row.values()["rep_id"] != rep:
                    continue
                on = row.columns.get("day") or ""
                if (
                    any(day < on <= until for day, until in after)
                    and _in_person(row.values())
                    and _without_position(row.values())
                ):
                    yield row

    def organisation_zone(self) -> str:
        """The organisation's own time zone."""
        if self._zone is None:
            self._zone = self.connection.execute(_ZONE, {"org": self.org_id}).scalar_one()
        return self._zone

    def team_of(self, person_id: str | None) -> str | None:
        """The team of a person, None for nobody."""
        if person_id is None:
            return None
        if person_id == self.actor.id:
            return self.actor.team_id
        person = self.row("person", person_id).entity
        return None if person is None else person.values.get("team_id")

    def team_parents(self) -> dict[str, str | None]:
        """The team tree as it will stand: what is stored under what this transaction changes."""
        if self._stored_parents is None:
            self._stored_parents = parents_of(self.connection, self.org_id)
        parents = dict(self._stored_parents)
        for (kind, team), row in self.rows.items():
            if kind == "team" and row.entity is not None:
                parents[team] = row.entity.values.get("parent_id")
        return parents

    def root_team(self) -> str | None:
        """A team without a parent, if there is one."""
        return min((team for team, parent in self.team_parents().items() if parent is None), default=None)

    @property
    def active(self) -> bool:
        """Whether who acts still belongs to the organisation, or has somebody behind them who does."""
        return self.actor.active or self.backer is not None

    def acts_as(self, role: str) -> bool:
        """Whether the actor, or who lends them rights, has this role."""
        return self.actor.role == role or (self.backer is not None and self.backer.role == role)

    def leads(self, team_id: str | None) -> bool:
        """Whether the actor, or who lends them rights, leads this team."""
        return any(self._leads(one, team_id) for one in (self.actor, self.backer) if one is not None)

    def _leads(self, actor: Actor, team_id: str | None) -> bool:
        if actor.role == "administrator":
            return True
        return actor.role in LEADERS and team_id is not None and f"lead:{team_id}" in self.scopes_of(actor)

    def held_lately(self, customer_id: str, kind: str = "customer") -> bool:
        """Whether the actor held a scope of the customer at any time in the evidence window before receipt."""
        key = (self.actor.id, customer_id)
        if key not in self._held_once:
            since = self.received_at - EVIDENCE_WINDOW
            found = self.connection.execute(
                select(Position.id)
                .join(Grant, (Grant.org_id == Position.org_id) & (Grant.scope == Position.scope))
                .where(
                    Position.org_id == self.org_id,
                    Position.kind == kind,
                    Position.id.in_(self._merged_into(customer_id) if kind == "customer" else [customer_id]),
                    Grant.person_id == self.actor.id,
                    or_(Grant.until.is_(None), Grant.until > since),
                    or_(Position.removed_at.is_(None), Position.removed_at > since),
                )
                .limit(1)
            ).first()
            self._held_once[key] = found is not None
        return self._held_once[key]

    def _merged_into(self, customer_id: str) -> list[str]:
        """A customer and every one that was merged into it: whoever held one of them held it."""
        found, newest = [customer_id], [customer_id]
        while newest:
            about = {"org": self.org_id, "ids": newest}
            newest = [one for (one,) in self.connection.execute(_MERGED, about) if one not in found]
            found += newest
        return found

    def parked_creation(self, ids: Iterable[str]) -> tuple[str, str] | None:
        """(parked id, entity) of the parked creation of one of these entities by the actor, if there is one.

        One that was discarded counts too: it may be brought back.
        """
        wanted = set(ids)
        for (kind, _), row in self.made.items():
            if kind == "parked" and row["verb"] == "create" and row["entity"] in wanted:
                if row["author_id"] == self.actor.id:
                    return row["id"], row["entity"]
        found = self.connection.execute(
            select(Parked.id, Parked.entity)
            .where(
                Parked.org_id == self.org_id,
                Parked.entity.in_(wanted),
                Parked.verb == "create",
                Parked.author_id == self.actor.id,
            )
            .order_by(Parked.entry)
        ).first()
        return (found[0], found[1]) if found else None

    def look_up_holders(self, kind: Kind, values: Iterable[str]) -> None:
        """Find out, in one statement, who is stored with these values of the kind's unique field."""
        wanted = {value for value in values if (kind.name, value) not in self._holders}
        if kind.unique is None or not wanted:
            return
        table: Any = kind.model.__table__
        unique = table.c[kind.unique]
        self._holders |= dict.fromkeys((kind.name, value) for value in wanted)
        for value, entity in self.connection.execute(
            select(unique, table.c.id).where(
                table.c.org_id == self.org_id,
                unique.in_(wanted),
                # What was merged keeps its code to be known by, and leaves it to whoever wants it.
                *([table.c.merged_into.is_(None)] if kind.name == "customer" else ()),
            )
        ):
            self._holders[kind.name, value] = entity

    def holder(self, kind: Kind, value: str) -> str | None:
        """Which entity is stored with this value of the kind's unique field, if any."""
        self.look_up_holders(kind, [value])
        return self._holders.get((kind.name, value))

    def writer_of(self, row: Row, field: str) -> tuple[str | None, datetime | None]:
        """Who last wrote a field of an entity, and when, by the stamp it carries; None for what is not known.

        For `archived`, which carries none, who last archived it, by the journal.
        """
        if row.entity is None:
            return None, None
        if field == "archived":
            return self._shelver_of(row)
        stamp = row.entity.stamps.get(field) or row.entity.stamps.get("*")
        if not isinstance(stamp, list):
            return None, None
        version, chain = stamp[0], stamp[1]
        if version == self.version:
            return (self.actor.id if chain == self.author.chain else self._person_of(chain)), self.now
        batch = self.batch(version)
        if batch is None:
            return self._person_of(chain), None
        person = batch["person_id"] if batch["root"] == chain else self._person_of(chain)
        return person, self._written(batch, row.id, field)

    def _written(self, batch: Mapping[str, Any], entity: str, field: str) -> datetime:
        """When what a transaction made of a field was written, by best time.

        The receipt of that transaction where it was brought about by something else, such as a decision.
        """
        payloads = self.connection.execute(
            select(Journal.payload)
            .where(
                Journal.org_id == self.org_id,
                Journal.entity == entity,
                Journal.version == batch["version"],
                Journal.status.in_(("applied", "merged")),
                Journal.payload.is_not(None),
            )
            .order_by(Journal.n.desc())
        )
        for (payload,) in payloads:
            assert payload is not None  # as the statement asks
            told = json.loads(payload)
            whole = told["verb"] == "create" or (told["verb"] == "archive" and field == "archived")
            if whole or any(op.get("field") == field for op in told["ops"]):
                at, sent = moment_of(told["at"]), moment_of(batch["sent"])
                return written_at(at, sent, batch["received_at"])
        received: datetime = batch["received_at"]
        return received

    def _person_of(self, chain: str) -> str | None:
        """Whose chain of clients this is."""
        found = self.connection.execute(
            select(Client.person_id).where(Client.org_id == self.org_id, Client.root == chain).limit(1)
        ).first()
        return found[0] if found else None

    def _shelver_of(self, row: Row) -> tuple[str | None, datetime | None]:
        found = self.connection.execute(
            select(Journal.version)
            .where(
                Journal.org_id == self.org_id,
                Journal.entity == row.id,
                Journal.verb == "archive",
                Journal.status == "applied",
            )
            .order_by(Journal.n.desc())
            .limit(1)
        ).first()
        if found is None:  # in this very transaction
            return self.actor.id, self.now
        batch = self.batch(found[0])
        return (batch["person_id"], self._written(batch, row.id, "archived")) if batch else (None, None)

    def written(self, mutation: Mutation) -> datetime:
        """When the mutation that is being settled was written."""
        return written_at(mutation.at, self.sent, self.received_at)

    # -- writing ---------------------------------------------------------------------------------------------------

    def put(self, row: Row, entity: Entity) -> None:
        """Take the new state of an entity, and note what that changes of it."""
        if row.entity is not None:
            self.revise(row, _changes(row.entity, entity))
        elif self.cause is not None:  # not by its own creation: its history would not tell what it began with
            self.revise(row, {name: [None, value] for name, value in entity.values.items() if value})
        row.entity = entity
        row.changed = True
        if row.kind.name == "setting":
            shared = self.shares_customers
            self.settings[entity.values["key"]] = entity.values.get("value")
            if entity.archived:
                del self.settings[entity.values["key"]]
            self.sharing_changed |= shared != self.shares_customers

    def remake(self, kind: str, row: Mapping[str, Any], **values: Any) -> dict[str, Any]:
        """Take the new state of a parked mutation, a conflict or a suggestion."""
        made = {**row, **values, "version": self.version}
        self.made[kind, row["id"]] = made
        return made

    def revise(self, row: Row, changes: Mapping[str, list[Any]]) -> None:
        """Note what the journal entry in hand changes of an entity: field -> [before, after]."""
        if not changes:
            return
        key = (row.kind.name, row.id, self.entry)
        noted = self.revisions.setdefault(key, {"changes": {}, "cause": self.cause})["changes"]
        for name, (before, after) in changes.items():
            noted[name] = [noted[name][0] if name in noted else before, after]

    def flush(self) -> None:
        """Write the changed entities, what was parked and the conflicts, and where all of them now are told."""
        for name in WRITABLE:
            changed = [row for (kind, _), row in self.rows.items() if kind == name and row.changed]
            if name == "team":  # a parent before its children
                changed.sort(key=lambda row: len(above(self.team_parents(), row.id)))
            elif name == "customer":  # one that is merged leaves its code before another takes it
                changed.sort(key=lambda row: not row.columns.get("merged_into"))
            upsert(WRITABLE[name].model, self.connection, [self._columns(row) for row in changed])
            if name == "visit":
                self._name_photos(changed)
        for name in MADE:
            upsert(
                MADE[name].model,
                self.connection,
                [row for (kind, _), row in self.made.items() if kind == name],
            )
        upsert(
            Revision,
            self.connection,
            [
                {"org_id": self.org_id, "kind": kind, "entity": entity, "n": n} | revision
                for (kind, entity, n), revision in self.revisions.items()
                if revision["changes"]
            ],
        )
        if self.sharing_changed:
            self._redraw_sharing()
        self._tell()
        schedule.keep(self)

    def _name_photos(self, visits: Iterable[Row]) -> None:
        """Keep the way from a photo to the visits that name it; nothing is asked where no visit's photos changed."""
        added: list[dict[str, str]] = []
        gone: list[dict[str, str]] = []
        for row in visits:
            now = set(row.values().get("photos") or ())
            was = set((row.was.values.get("photos") if row.was else None) or ())
            if now != was:
                added += [{"org_id": self.org_id, "sha256": one, "visit_id": row.id} for one in now - was]
                gone += [{"org": self.org_id, "photo": one, "visit": row.id} for one in was - now]
        upsert(VisitPhoto, self.connection, sorted(added, key=lambda one: (one["visit_id"], one["sha256"])))
        if gone:
            self.connection.execute(_UNNAMED, gone)

    def _columns(self, row: Row) -> dict[str, Any]:
        entity = row.entity
        assert entity is not None
        columns: dict[str, Any] = {"org_id": self.org_id, "id": row.id}
        for name, known in row.kind.fields.items():
            if known.kind != "readonly":
                value = entity.values.get(name)
                columns[name] = [] if value is None and known.kind == "set" else value
        return (
            columns
            | row.columns
            | {
                "version": self.version,
                "created_by": entity.created_by,
                "archived": entity.archived,
                "extra": entity.extra,
                "stamps": entity.stamps,
            }
        )

    def audience(self, row: Row) -> set[str]:
        """The scopes an entity belongs to (PROTOCOL, Pull)."""
        if row.kind.org_wide:
            return {"org"}
        values = row.values()
        if row.kind.name == "customer":
            scopes = set()
            if values.get("owner_id"):
                scopes.add(f"person:{values['owner_id']}")
            if values.get("team_id"):
                scopes.add(
                    f"team:{values['team_id']}" if self.shares_customers else f"lead:{values['team_id']}"
                )
            return scopes
        if row.kind.name == "comment":
            on = self.row(values["on_kind"], values["on_id"])
            about = self.audience(on) if on.entity is not None else set()
            entity = row.entity
            return about | {f"person:{entity.created_by}"} if entity and entity.created_by else about
        if row.kind.name == "decision":
            author = row.columns.get("author_id")
            about = self.told(values["on_kind"], values["on_id"])
            return about | {f"person:{author}"} if author else about
        if row.kind.name == "amendment":
            values = self.row("visit", values["visit_id"]).values()
            team = self.team_of(values["rep_id"])
            return {f"person:{values['rep_id']}", *([f"lead:{team}"] if team else [])}
        if row.kind.name in {"notice", "closing"}:
            return {f"person:{values['person_id']}"}
        if row.kind.name in goals.GOALS:
            return goals.audience(self, row)
        promised = row.kind.name == "follow_up"
        person = values["owner_id" if promised else "rep_id"]
        scopes = {f"person:{person}"}
        awaited = values["status"] == "open" if promised else row.columns.get("trust") == "review"
        if awaited and (team := self.team_of(person)):
            scopes.add(f"lead:{team}")
        return scopes

    def _tell(self) -> None:
        """Move the positions of what changed to this version; what left a scope stays there as a tombstone."""
        changed = [row for row in self.rows.values() if row.changed]
        known: dict[tuple[str, str], set[str]] = {}
        old = [row.id for row in changed if row.was is not None]
        if old:
            kinds = list({row.kind.name for row in changed})
            rows = self.connection.execute(_TOLD, {"org": self.org_id, "kinds": kinds, "ids": old})
            for scope, kind, entity in rows:
                known.setdefault((kind, entity), set()).add(scope)
        positions = []
        moved: dict[str, set[str]] = {}
        for row in changed:
            now_in = self.audience(row)
            before = known.get((row.kind.name, row.id), set())
            day = row.columns.get("day") if row.values().get("status") not in UNDER_WAY else None
            for scope in now_in | before:
                positions.append(self._position(scope, row.kind.name, row.id, scope not in now_in, day))
            if row.was is not None and now_in != before and row.kind.name in COMMENT.on:
                moved.setdefault(row.kind.name, set()).add(row.id)
        if moved:
            positions += self._comments_on(moved)
        positions += self._made_known()
        positions += self._suggestions_on([row for row in changed if row.kind.name == "customer"])
        upsert(Position, self.connection, positions)

    def _made_known(self) -> list[dict[str, Any]]:
        """Positions of what the server made or changed of its own: of what was there already, where it is told."""
        positions = []
        for (kind, entity), made in self.made.items():
            if kind == "suggestion" and self._things.get((kind, entity)):
                positions += self._tell_of_suggestions([made], whole=True)
                continue
            told = self._concerns(kind, made) if self._things.get((kind, entity)) is None else None
            scopes = self.told(kind, entity) if told is None else told
            positions += [self._position(scope, kind, entity, False, None) for scope in sorted(scopes)]
        return positions

    def _concerns(self, kind: str, made: Mapping[str, Any]) -> set[str]:
        """Who is to see what the server made: its author, whoever was overruled, and who is to decide about it."""
        if kind == "suggestion":
            return self._asked(made)
        author = made["author_id"]
        people = {author}
        if kind == "conflict" and made["kept_by"] == "incoming":
            people.add(made["lost_author_id"])
        scopes = {f"person:{person}" for person in people if person}
        if team := self.team_of(author):
            scopes.add(f"lead:{team}")
        return scopes if author else scopes | self._concerned(made)

    def _asked(self, suggestion: Mapping[str, Any]) -> set[str]:
        """Who is to see a suggestion: its author, the customer's owner of now, and who leads its team."""
        if suggestion["purpose"] == "merge":
            return self.seen_by_both(*(self.row("customer", suggestion[name]) for name in ("entity", "into")))
        customer = self.row("customer", suggestion["customer_id"])
        about = customer.values() if customer.entity is not None else {}
        scopes = {f"person:{one}" for one in (suggestion["author_id"], about.get("owner_id")) if one}
        return scopes | {f"lead:{about['team_id']}"} if about.get("team_id") else scopes

    def seen_by_both(self, one: Row, other: Row) -> set[str]:
        """The audiences of those who may see two customers both: owners, and who leads the team above their teams."""
        scopes = set()
        teams = [row.values().get("team_id") for row in (one, other)]
        if None not in teams:
            lines = [[team, *above(self.team_parents(), team)] for team in teams]
            common = next((team for team in lines[0] if team in lines[1]), None)
            scopes |= {f"lead:{common}"} if common else set()
        for mine, theirs in ((one, other), (other, one)):
            owner = mine.values().get("owner_id")
            team = theirs.values().get("team_id")
            shared = self.shares_customers and team is not None and self.team_of(owner) == team
            if owner and (shared or theirs.values().get("owner_id") == owner):
                scopes.add(f"person:{owner}")
        return scopes

    def _suggestions_on(self, customers: Iterable[Row]) -> list[dict[str, Any]]:
        """Positions of the suggestions about customers that changed hands: they go to whom they await now."""
        moved = [
            row.id
            for row in customers
            if row.was is not None
            and any(row.was.values.get(name) != row.values().get(name) for name in ("owner_id", "team_id"))
        ]
        if not moved:
            return []
        stored = self.connection.execute(_SUGGESTED, {"org": self.org_id, "ids": moved}).mappings()
        return self._tell_of_suggestions(
            [dict(row) for row in stored if ("suggestion", row["id"]) not in self.made]
        )

    def _tell_of_suggestions(
        self, suggestions: Collection[Mapping[str, Any]], *, whole: bool = False
    ) -> list[dict[str, Any]]:
        """Positions of stored suggestions, and of what was decided about them, in the audiences they enter and leave.

        `whole`: the suggestions changed, so those who go on seeing them are told, too.
        """
        if not suggestions:
            return []
        ids = [row["id"] for row in suggestions]
        told: dict[str, set[str]] = {}
        about = {"org": self.org_id, "kinds": ["suggestion"], "ids": ids}
        for scope, _, entity in self.connection.execute(_TOLD, about):
            told.setdefault(entity, set()).add(scope)
        said: dict[str, list[tuple[str, str]]] = {}
        for entity, on, author in self.connection.execute(_DECISIONS, {"org": self.org_id, "ids": ids}):
            if not self._is_changed("decision", entity):
                said.setdefault(on, []).append((entity, f"person:{author}"))
        positions = []
        for row in suggestions:
            now_in, before = self._asked(row), told.get(row["id"], set())
            for scope in sorted(now_in | before if whole else now_in ^ before):
                positions.append(self._position(scope, "suggestion", row["id"], scope not in now_in, None))
            for entity, author in said.get(row["id"], ()):
                for scope in sorted((now_in ^ before) - {author}):
                    positions.append(self._position(scope, "decision", entity, scope not in now_in, None))
        return positions

    def _comments_on(self, moved: Mapping[str, set[str]]) -> list[dict[str, Any]]:
        """Positions of the comments on what is now told to others: they go where it goes.

        Those written in this transaction are not among them: they are told as everything new is.
        """
        ids = [entity for entities in moved.values() for entity in entities]
        about = {"org": self.org_id, "ids": ids}
        comments = {
            row["id"]: row
            for row in self.connection.execute(_COMMENTS, about).mappings()
            if row["on_id"] in moved.get(row["on_kind"], ()) and not self._is_changed("comment", row["id"])
        }
        told: dict[str, set[str]] = {}
        if comments:
            about = {"org": self.org_id, "kinds": ["comment"], "ids": list(comments)}
            for scope, _, entity in self.connection.execute(_TOLD, about):
                told.setdefault(entity, set()).add(scope)
        positions = []
        for entity, row in comments.items():
            now_in = self.audience(self.row(row["on_kind"], row["on_id"]))
            if row["created_by"]:
                now_in |= {f"person:{row['created_by']}"}
            for scope in sorted(now_in ^ told.get(entity, set())):
                positions.append(self._position(scope, "comment", entity, scope not in now_in, None))
        return positions

    def _is_changed(self, kind: str, entity: str) -> bool:
        row = self.rows.get((kind, entity))
        return row is not None and row.changed

    def _redraw_sharing(self) -> None:
        """Whether teams share their customers was changed: tell each to the team's members, or to its leads alone."""
        now, before = ("team", "lead") if self.shares_customers else ("lead", "team")
        customers = self.connection.execute(
            select(Customer.id, Customer.team_id).where(
                Customer.org_id == self.org_id, Customer.team_id.is_not(None)
            )
        )
        positions = []
        for customer, team in customers:
            positions.append(self._position(f"{now}:{team}", "customer", customer, False, None))
            positions.append(self._position(f"{before}:{team}", "customer", customer, True, None))
        comments = self.connection.execute(
            select(Comment.id, Customer.team_id)
            .join(Customer, (Customer.org_id == Comment.org_id) & (Customer.id == Comment.on_id))
            .where(
                Comment.org_id == self.org_id, Comment.on_kind == "customer", Customer.team_id.is_not(None)
            )
        )
        for comment, team in comments:
            positions.append(self._position(f"{now}:{team}", "comment", comment, False, None))
            positions.append(self._position(f"{before}:{team}", "comment", comment, True, None))
        merges = self.connection.execute(
            select(Suggestion.__table__).where(
                Suggestion.org_id == self.org_id, Suggestion.purpose == "merge"
            )
        ).mappings()
        positions += self._tell_of_suggestions([dict(row) for row in merges])
        upsert(Position, self.connection, positions)

    def _concerned(self, made: Mapping[str, Any]) -> set[str]:
        """Who must see what an import ran into, for it has no author: whose entity it is, and their leads."""
        row = self.rows.get((made["kind"], made["entity"]))
        if row is None or row.entity is None or row.kind.org_wide:
            return set()
        return {scope.replace("team:", "lead:") for scope in self.audience(row)}

    def _position(self, scope: str, kind: str, entity: str, removed: bool, day: str | None) -> dict[str, Any]:
        return {
            "org_id": self.org_id,
            "scope": scope,
            "kind": kind,
            "id": entity,
            "version": self.version,
            "removed_at": self.received_at if removed else None,
            "day": day,
        }


def _changes(before: Entity, after: Entity) -> dict[str, list[Any]]:
    """What is different of an entity, by field: [before, after]."""
    found = {
        name: [before.values.get(name), value]
        for name, value in after.values.items()
        if before.values.get(name) != value
    }
    if before.extra != after.extra:
        for name in dict.fromkeys([*before.extra, *after.extra]):
            if before.extra.get(name) != after.extra.get(name):
                found[name] = [before.extra.get(name), after.extra.get(name)]
    if before.archived != after.archived:
        found["archived"] = [before.archived, after.archived]
    return found


def _days_from(day: str, days: int) -> str:
    """The day so many days later, or earlier; the calendar's end where that is beyond it."""
    first = date.fromisoformat(day)
    try:
        return (first + timedelta(days=days)).isoformat()
    except OverflowError:
        return (date.max if days > 0 else date.min).isoformat()


def _in_person(visit: Mapping[str, Any]) -> bool:
    """Whether a visit took place, or takes place, in person."""
    return visit.get("mode") == "in_person" and visit.get("status") in {"open", "done"}


def _without_position(visit: Mapping[str, Any]) -> bool:
    return not any(map(is_position, (visit.get("check_in_fix"), visit.get("check_in_best_fix"))))


def written_at(at: Moment, sent: Moment, received_at: datetime) -> datetime:
    """When a mutation was written: by best time; what writes without a clock of its own, when it came in."""
    return received_at if at.life == SERVERS_LIFE else best_time(at, sent, received_at)


def entity_of(kind: Kind, row: Mapping[Any, Any]) -> Entity:
    """A table row as the pure core sees it."""
    return Entity(
        values={name: row[name] for name, known in kind.fields.items() if known.kind != "readonly"},
        extra=row["extra"] or {},
        stamps=row["stamps"] or {},
        archived=row["archived"],
        created_by=row["created_by"],
        version=row["version"],
    )
