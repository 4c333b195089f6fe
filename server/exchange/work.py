"""What one writing transaction knows and is about to write: entities by kind and id, loaded in a few wide reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from server.customers.model import Customer
from server.db import upsert
from server.exchange.kinds import COMMENT, MADE, WRITABLE, Kind
from server.exchange.model import Client, Parked, Position, Revision
from server.followups.model import Comment
from server.people.grant import held, parents_of
from server.people.model import Grant, Organisation, Setting
from server.people.rules import LEADERS, above
from server.visits.model import RepDay, VisitKind
from sync.mutation import Author, Moment
from sync.reconcile import Entity

EVIDENCE_WINDOW = timedelta(days=90)
"""How long after losing a customer what happened there is still taken from its author (PROTOCOL, Rights)."""


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

    def values(self) -> Mapping[str, Any]:
        """The field values; raises AttributeError for an entity that does not exist."""
        assert self.entity is not None
        return self.entity.values


# Statements of every exchange are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_SETTINGS = select(Setting.key, Setting.value).where(Setting.org_id == bindparam("org"))
_VISIT_KINDS = select(VisitKind.code, VisitKind.min_minutes).where(VisitKind.org_id == bindparam("org"))
_ZONE = select(Organisation.time_zone).where(Organisation.id == bindparam("org"))
_POSITIONS_OF = select(func.sum(RepDay.in_person), func.sum(RepDay.no_position)).where(
    RepDay.org_id == bindparam("org"), RepDay.rep_id == bindparam("rep"), RepDay.day >= bindparam("since")
)
_TOLD = select(Position.scope, Position.kind, Position.id).where(
    Position.org_id == bindparam("org"),
    Position.kind.in_(bindparam("kinds", expanding=True)),
    Position.id.in_(bindparam("ids", expanding=True)),
    Position.removed_at.is_(None),
)

_COMMENTS = select(Comment.id, Comment.on_kind, Comment.on_id, Comment.created_by).where(
    Comment.org_id == bindparam("org"), Comment.on_id.in_(bindparam("ids", expanding=True))
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
        self.received_at = received_at
        self.sent = sent
        self.rows: dict[tuple[str, str], Row] = {}
        self.made: dict[tuple[str, str], dict[str, Any]] = {}  # parked and conflicts, as rows
        self.overruled: dict[tuple[str, str], str | None] = {}  # conflict -> who wrote the value that lost
        self.rep_days: set[tuple[str, str]] = set()
        self.entry = 0  # number of the journal entry that is being settled
        self.cause: dict[str, str] | None = None  # the decision by which something else takes effect
        self.revisions: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.placed: set[str] = set()  # customers that are new, or have another name or place
        self.people_changed = False
        self.team_moves: dict[str, tuple[str | None, str | None]] = {}  # person -> team before, team now
        self.sharing_changed = False
        self._scopes: frozenset[str] | None = None
        self._held_once: dict[str, bool] = {}
        self._positions_of: dict[str, tuple[int, int]] = {}
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
                )
            for missing in ids:
                self.rows.setdefault((name, missing), Row(kind, missing, None))

    def row(self, kind: str, entity: str) -> Row:
        """The entity, loaded now if it was not yet; its `entity` is None where there is none."""
        if (kind, entity) not in self.rows:
            self.load([(kind, entity)])
        return self.rows[kind, entity]

    @property
    def scopes(self) -> frozenset[str]:
        """The audiences the actor belongs to now."""
        if self._scopes is None:
            if self.actor.id is None:
                self._scopes = frozenset()
            else:
                self._scopes = held(self.connection, self.org_id, self.actor.id)
        return self._scopes

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

    def positions_of(self, rep_id: str) -> tuple[int, int]:
        """A rep's visits in person of the last 30 days before receipt, and how many of them have no position."""
        if rep_id not in self._positions_of:
            since = (self.received_at - timedelta(days=30)).date().isoformat()
            about = {"org": self.org_id, "rep": rep_id, "since": since}
            found = self.connection.execute(_POSITIONS_OF, about).one()
            self._positions_of[rep_id] = (int(found[0] or 0), int(found[1] or 0))
        return self._positions_of[rep_id]

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

    def leads(self, team_id: str | None) -> bool:
        """Whether the actor leads this team."""
        if self.actor.role == "administrator":
            return True
        return self.actor.role in LEADERS and team_id is not None and f"lead:{team_id}" in self.scopes

    def held_lately(self, customer_id: str, kind: str = "customer") -> bool:
        """Whether the actor held a scope of the customer at any time in the evidence window before receipt."""
        if customer_id not in self._held_once:
            since = self.received_at - EVIDENCE_WINDOW
            found = self.connection.execute(
                select(Position.id)
                .join(Grant, (Grant.org_id == Position.org_id) & (Grant.scope == Position.scope))
                .where(
                    Position.org_id == self.org_id,
                    Position.kind == kind,
                    Position.id == customer_id,
                    Grant.person_id == self.actor.id,
                    or_(Grant.until.is_(None), Grant.until > since),
                    or_(Position.removed_at.is_(None), Position.removed_at > since),
                )
                .limit(1)
            ).first()
            self._held_once[customer_id] = found is not None
        return self._held_once[customer_id]

    def parked_creation(self, ids: Iterable[str]) -> tuple[str, str] | None:
        """(parked id, entity) of the parked creation of one of these entities by the actor, if there is one."""
        wanted = set(ids)
        for row in self.made.values():
            if row.get("verb") == "create" and row["entity"] in wanted:
                return row["id"], row["entity"]
        found = self.connection.execute(
            select(Parked.id, Parked.entity)
            .where(
                Parked.org_id == self.org_id,
                Parked.entity.in_(wanted),
                Parked.verb == "create",
                Parked.status == "open",
                Parked.author_id == self.actor.id,
            )
            .order_by(Parked.version, Parked.id)
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
            select(unique, table.c.id).where(table.c.org_id == self.org_id, unique.in_(wanted))
        ):
            self._holders[kind.name, value] = entity

    def holder(self, kind: Kind, value: str) -> str | None:
        """Which entity is stored with this value of the kind's unique field, if any."""
        self.look_up_holders(kind, [value])
        return self._holders.get((kind.name, value))

    def writer_of(self, entity: Entity, field: str) -> str | None:
        """Who last wrote a field of an entity, by the stamp it carries; None where no person did."""
        stamp = entity.stamps.get(field) or entity.stamps.get("*")
        if not isinstance(stamp, list):
            return None
        found = self.connection.execute(
            select(Client.person_id).where(Client.org_id == self.org_id, Client.root == stamp[1]).limit(1)
        ).first()
        return found[0] if found else None

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
            self.sharing_changed |= shared != self.shares_customers

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
            upsert(WRITABLE[name].model, self.connection, [self._columns(row) for row in changed])
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
            day = row.columns.get("day")
            for scope in now_in | before:
                positions.append(self._position(scope, row.kind.name, row.id, scope not in now_in, day))
            if row.was is not None and now_in != before and row.kind.name in COMMENT.on:
                moved.setdefault(row.kind.name, set()).add(row.id)
        if moved:
            positions += self._comments_on(moved)
        team = self.team_of(self.actor.id)
        for (kind, entity), made in self.made.items():
            people = {made["author_id"], self.overruled.get((kind, entity))} - {None}
            scopes = {f"person:{person}" for person in people}
            if team:
                scopes.add(f"lead:{team}")
            if not made["author_id"]:
                scopes |= self._concerned(made)
            positions += [self._position(scope, kind, entity, False, None) for scope in sorted(scopes)]
        upsert(Position, self.connection, positions)

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
