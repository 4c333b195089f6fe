"""An organisation to measure on: one team, its reps with a token each, their customers; and the words a phone would send."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, insert, select

from server.app import create_app
from server.auth import digest_of, new_secret
from server.config import Config
from server.customers.model import Customer
from server.db import db, migrate, writing
from server.exchange.model import Position
from server.people import grant
from server.people.model import ApiToken, Head, Organisation, Person, Team
from server.visits.model import Outcome, VisitKind

SECRET = b"only-for-measuring-" * 2
LIFE = "6f9b2c1e-6f0a-4a2b-9a52-6a5e0a5f0c11"
MINUTES = (
    "Spoke with the landlord about the autumn range. He keeps the two draught lines and wants the small keg back for "
    "the weekends; the cellar is dry again, the cooler was serviced in September. Sends the order on Thursday."
)

NAMES = (
    "Anchor",
    "Bell",
    "Crown",
    "Dolphin",
    "Eagle",
    "Falcon",
    "Grapes",
    "Hound",
    "Ivy",
    "Jug",
    "King",
    "Lamb",
    "Moon",
)


@dataclass
class Rep:
    """A rep as their phone knows them: `seq` is the last number used by the outbox `client`."""

    id: str
    token: str
    customers: list[tuple[str, float, float]]
    client: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: int = 0
    visits: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def exchange(self, mutations: list[dict[str, Any]], pull: dict[str, Any] | None = None) -> bytes:
        """The body of one exchange; numbers the mutations."""
        for mutation in mutations:
            self.seq += 1
            mutation["seq"] = self.seq
        return json.dumps(
            {
                "protocol": 1,
                "client": self.client,
                "predecessor": None,
                "sent": moment(datetime.now(UTC)),
                "device": {
                    "unsent": len(mutations),
                    "oldest": None,
                    "app": "1.0.0",
                    "persisted": True,
                    "push": "granted",
                },
                "mutations": mutations,
                "pull": pull,
            }
        ).encode()

    def creates(self, number: int, per_day: int, before: datetime) -> list[dict[str, Any]]:
        """`number` complete visits, `per_day` a day, walking backwards from the day before `before`."""
        made = []
        for _ in range(number):
            count = len(self.visits)
            day = before - timedelta(days=1 + count // per_day)
            begun = day.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(
                minutes=35 * (count % per_day) // 2
            )
            customer, lat, lon = self.customers[count % len(self.customers)]
            fields = {
                "customer_id": customer,
                "mode": "in_person",
                "kind": "regular",
                "status": "done",
                "check_in": moment(begun),
                "check_in_fix": fix(lat, lon, begun),
                "check_in_best_fix": fix(lat, lon, begun + timedelta(seconds=40)),
                "check_out": moment(begun + timedelta(minutes=34)),
                "check_out_fix": fix(lat, lon, begun + timedelta(minutes=34)),
                "outcome": "order",
                "minutes": MINUTES,
                "next_step": "Bring the price list for the small kegs.",
            }
            entity = str(uuid.uuid4())
            self.visits.append((entity, fields))
            ops = [{"field": name, "op": "set", "old": None, "new": value} for name, value in fields.items()]
            made.append(self._mutation(entity, "create", begun + timedelta(minutes=34), ops))
        return made

    def planned(self, customer: str, day: str, at: datetime) -> dict[str, Any]:
        """A visit planned for a day."""
        fields = {"customer_id": customer, "status": "planned", "planned_date": day}
        ops = [{"field": name, "op": "set", "old": None, "new": value} for name, value in fields.items()]
        return self._mutation(str(uuid.uuid4()), "create", at, ops)

    def second_thoughts(
        self, entities: list[tuple[str, int]], late: int, at: datetime
    ) -> list[dict[str, Any]]:
        """Another outcome for each of these visits (id, version), updated as `updates` does; the first `late` of them by
        somebody who had not seen that update."""
        made = []
        for number, (entity, version) in enumerate(entities):
            old, base = ("order", version - 1) if number < late else ("none", version)
            op = {"field": "outcome", "op": "set", "old": old, "new": "later"}
            made.append(self._mutation(entity, "update", at, [op]) | {"base": base})
        return made

    def updates(self, entities: list[tuple[str, dict[str, Any]]], at: datetime) -> list[dict[str, Any]]:
        """A later thought on each of these visits: another outcome, more words, a tag."""
        return [
            self._mutation(
                entity,
                "update",
                at,
                [
                    {"field": "outcome", "op": "set", "old": fields["outcome"], "new": "none"},
                    {
                        "field": "minutes",
                        "op": "text",
                        "old": MINUTES,
                        "new": MINUTES + " He rang to confirm.",
                    },
                    {"field": "tags", "op": "add", "values": ["confirmed"]},
                ],
            )
            for entity, fields in entities
        ]

    @staticmethod
    def _mutation(entity: str, verb: str, at: datetime, ops: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "seq": 0,
            "id": str(uuid.uuid4()),
            "schema": 1,
            "kind": "visit",
            "entity": entity,
            "verb": verb,
            "base": 0,
            "at": moment(at),
            "ops": ops,
        }


def name_of(lat: float, lon: float) -> str:
    """A name for the customer at a place; several share each word of it."""
    number = round(lat * 1000) * 7 + round(lon * 1000) * 13
    return f"The {NAMES[number % len(NAMES)]} & {NAMES[number // 7 % len(NAMES)]} {number % 997}"


def moment(at: datetime) -> dict[str, Any]:
    """A device's claim of a moment, by a clock that is right."""
    wall = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "wall": wall,
        "mono_ms": at.timestamp() * 1000 % 86_400_000,
        "life": LIFE,
        "offset_ms": 0,
        "zone": "Europe/London",
    }


def fix(lat: float, lon: float, at: datetime) -> dict[str, Any]:
    """A good fix on the spot."""
    return {"lat": lat, "lon": lon, "accuracy_m": 9.5, "taken_at": moment(at)["wall"]}


def organisation_of(url: str) -> str:
    """The id of the organisation in a database."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(select(Organisation.id)).scalar_one()
    engine.dispose()
    return found


def organisation(url: str, reps: int, customers_each: int) -> list[Rep]:
    """Migrates the database at `url` and puts an organisation of `reps` reps there."""
    config = Config(database_url=url, secret=SECRET)
    migrate(config)
    app = create_app(config)
    now = datetime.now(UTC)
    org, team = str(uuid.uuid4()), str(uuid.uuid4())
    made = [
        Rep(
            str(uuid.uuid4()),
            new_secret(org),
            [
                (str(uuid.uuid4()), 51.5 + index / 1000, -0.12 + other / 1000)
                for other in range(customers_each)
            ],
        )
        for index in range(reps)
    ]
    common = {"org_id": org, "version": 1, "created_by": "", "archived": False, "extra": {}, "stamps": {}}
    with app.app_context():
        with writing() as connection:
            connection.execute(
                insert(Organisation),
                [
                    {
                        "id": org,
                        "slug": "speed",
                        "name": "Speed",
                        "time_zone": "Europe/London",
                        "week_start": 0,
                        "locale": "en",
                        "created_at": now,
                    }
                ],
            )
            connection.execute(
                insert(Head), [{"org_id": org, "version": 1, "entries": 0, "chain": "", "floor": 0}]
            )
            connection.execute(insert(Team), [{**common, "id": team, "name": "All", "parent_id": None}])
            connection.execute(
                insert(Person),
                [
                    {
                        **common,
                        "id": rep.id,
                        "name": f"Rep {index}",
                        "role": "rep",
                        "team_id": team,
                        "active": True,
                        "locale": "en",
                        "time_zone": "Europe/London",
                    }
                    for index, rep in enumerate(made)
                ],
            )
            connection.execute(
                insert(ApiToken),
                [
                    {
                        "org_id": org,
                        "digest": digest_of(rep.token),
                        "id": str(uuid.uuid4()),
                        "person_id": rep.id,
                        "name": "speed",
                        "created_at": now,
                        "revoked_at": None,
                    }
                    for rep in made
                ],
            )
            connection.execute(
                insert(VisitKind),
                [
                    {
                        **common,
                        "id": str(uuid.uuid4()),
                        "code": "regular",
                        "name": "Regular",
                        "name_zh": None,
                        "min_minutes": {"in_person": 30, "online": 30, "phone": 0},
                    }
                ],
            )
            connection.execute(
                insert(Outcome),
                [
                    {
                        **common,
                        "id": str(uuid.uuid4()),
                        "code": code,
                        "name": code,
                        "name_zh": None,
                        "position": place,
                    }
                    for place, code in enumerate(("order", "none"))
                ],
            )
            placed = [(rep, *customer) for rep in made for customer in rep.customers]
            connection.execute(
                insert(Customer),
                [
                    {
                        **common,
                        "id": entity,
                        "name": name_of(lat, lon),
                        "lat": lat,
                        "lon": lon,
                        "radius_m": 200.0,
                        "owner_id": rep.id,
                        "team_id": team,
                        "lifecycle": "customer",
                        "tags": [],
                    }
                    for rep, entity, lat, lon in placed
                ],
            )
            connection.execute(
                insert(Position),
                [
                    {
                        "org_id": org,
                        "scope": f"person:{rep.id}",
                        "kind": "customer",
                        "id": entity,
                        "version": 1,
                        "removed_at": None,
                        "day": None,
                    }
                    for rep, entity, _, _ in placed
                ],
            )
            grant.refresh(connection, org, now)
        db.engine.dispose()
    return made
