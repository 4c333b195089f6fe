"""The invented town: streets, customers along them, and the people who share them out. Pure: a seed in, data out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from uuid import UUID, uuid5

from server.demo.words import Words

REPS = 24
CUSTOMERS = 800
LEADS = 12
"""Customers that reps find by themselves during the first weeks; the others are there from the start."""

WITHOUT_PLACE = 15
WITHOUT_OWNER = 13
MOVED_IN = 6
"""The rep one of whose shops has moved; of the printed manager's team, so that they have something to look at."""

METRES_A_DEGREE = 111_320.0
_NAMESPACE = UUID("5b0f4d86-6f0e-4c38-9d1f-6d8f5f0c7f11")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo. `team` counts from 0; None stands above all teams."""

    key: str
    id: str
    name: str
    role: str
    team: int | None
    email: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A shop. `x`, `y` metres east and north of the town's centre: where it is, whatever the map says.

    `fields` is what the organisation knows of it, by wire name; it may lack a place, or hold an old one.
    """

    id: str
    x: float
    y: float
    grade: str
    contact: str
    fields: dict[str, Any]
    owner: str | None


@dataclass(frozen=True, slots=True)
class Rep:
    """A rep and how they work: `customers` in the order of a good round, the rest explained where it is used."""

    person: Person
    customers: tuple[Customer, ...]
    pace: float
    tidy: float
    accuracy_m: float
    denied: bool = False
    clock_fast_ms: int = 0
    back_fills: bool = False


@dataclass(slots=True)
class Town:
    """Everybody and everything there, as on the first day. `seed` names it."""

    seed: str
    words: Words
    reps: list[Rep] = field(default_factory=list)
    managers: list[Person] = field(default_factory=list)
    administrator: Person | None = None
    customers: list[Customer] = field(default_factory=list)
    leads: list[Customer] = field(default_factory=list)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Latitude and longitude, degrees WGS 84, of metres east and north of the centre."""
        lat, lon = self.words.town.centre
        return (
            round(lat + y / METRES_A_DEGREE, 6),
            round(lon + x / (METRES_A_DEGREE * math.cos(math.radians(lat))), 6),
        )


def identity(seed: str, *parts: object) -> str:
    """The id of something of the demo: the same for the same seed."""
    return str(uuid5(_NAMESPACE, ":".join(map(str, (seed, *parts)))))


def build(seed: str, words: Words) -> Town:
    """The town of this seed."""
    rng = Random(f"town:{seed}")
    town = Town(seed, words)
    names = list(words.town.people)
    teams = [number % 3 for number in range(REPS)] + [2]  # the last one leaves the company on the way
    emails = ["rep", *(f"rep{number}" for number in range(2, REPS + 1)), "former"]
    people = [
        Person(
            f"rep:{number}",
            identity(seed, "rep", number),
            names[number],
            "rep",
            teams[number],
            f"{email}@{words.town.domain}",
        )
        for number, email in enumerate(emails)
    ]
    for number in range(3):
        email = f"manager{number + 1 if number else ''}@{words.town.domain}"
        key = f"manager:{number}"
        town.managers.append(
            Person(key, identity(seed, key), names[REPS + 1 + number], "manager", number, email)
        )
    town.administrator = Person(
        "administrator",
        identity(seed, "administrator"),
        names[REPS + 4],
        "administrator",
        None,
        f"administrator@{words.town.domain}",
    )
    makers = Makers(town, rng)
    shares = _shares(CUSTOMERS - LEADS - WITHOUT_OWNER, len(people))
    for number, person in enumerate(people):
        own = makers.territory(number, person, shares[number])
        if number == MOVED_IN:
            own[4] = replace(own[4], x=own[4].x + 900, y=own[4].y + 1000)  # the map still shows the old place
        town.customers += own
        town.reps.append(_rep(number, person, own, rng))
    for number in range(WITHOUT_OWNER):
        town.customers.append(makers.customer(makers.streets[number % len(makers.streets)], None, None))
    for number in range(LEADS):
        rep = town.reps[(number * 7 + 3) % REPS]
        town.leads.append(makers.lead(rep.person, number))
    return town


def _shares(total: int, among: int) -> list[int]:
    return [total // among + (number < total % among) for number in range(among)]


def _rep(number: int, person: Person, own: list[Customer], rng: Random) -> Rep:
    return Rep(
        person=person,
        customers=_round(own),
        pace=rng.uniform(5.6, 7.8),
        tidy=rng.uniform(0.88, 0.99) if number else 0.97,
        accuracy_m=rng.choice([8.0, 10.0, 12.0, 18.0, 25.0]),
        denied=number == 7,
        clock_fast_ms=420_000 if number == 5 else 0,
        back_fills=number in {10, 14, 20},
    )


def _round(customers: list[Customer]) -> tuple[Customer, ...]:
    """Customers in the order in which somebody who dislikes driving would call on them."""
    left = list(customers)
    ordered = [left.pop(0)] if left else []
    while left:
        here = ordered[-1]
        nearest = min(left, key=lambda one: math.hypot(one.x - here.x, one.y - here.y))
        left.remove(nearest)
        ordered.append(nearest)
    return tuple(ordered)


@dataclass(slots=True)
class Street:
    """A straight street: it begins at `x`, `y` and runs in direction `turn` (radians)."""

    name: str
    x: float
    y: float
    turn: float
    number: int = 1
    along: float = 0.0


class Makers:
    """Makes customers, each on a street, none called like another."""

    def __init__(self, town: Town, rng: Random) -> None:
        self.town, self.rng, self.words = town, rng, town.words
        self.streets: list[Street] = []
        self._names: set[str] = set()
        self._count = 0
        patterns = [pattern.format(name) for pattern in self.words.street for name in self.words.streets]
        self._street_names = rng.sample(patterns, len(patterns))

    def territory(self, number: int, person: Person, share: int) -> list[Customer]:
        """The customers of one rep, along some streets of one quarter."""
        rng, team = self.rng, person.team or 0
        quarter = ((-300, -1000), (-2100, 1300), (2200, 1100))[team]
        around = 2 * math.pi * (number // 3) / 8
        reach = 450 + 650 * (number // 3 % 2)
        x, y = quarter[0] + reach * math.cos(around), quarter[1] + 0.8 * reach * math.sin(around)
        streets = [
            Street(
                self._street_names.pop(),
                x + rng.gauss(0, 180),
                y + rng.gauss(0, 160),
                rng.uniform(0, 2 * math.pi),
            )
            for _ in range(5)
        ]
        self.streets += streets
        return [self.customer(rng.choice(streets), person, team) for _ in range(share)]

    def lead(self, person: Person, number: int) -> Customer:
        """A shop nobody knew: its finder tells what they see, no more."""
        found = self.customer(self.rng.choice(self.streets), person, person.team)
        told = {"name", "address", "lat", "lon", "contact"}
        known = {name: value for name, value in found.fields.items() if name in told}
        return Customer(
            identity(self.town.seed, "lead", number), found.x, found.y, "C", found.contact, known, person.key
        )

    def customer(self, street: Street, owner: Person | None, team: int | None) -> Customer:
        """One more customer at the next doors of a street."""
        rng, words = self.rng, self.words
        street.along += rng.uniform(18, 70)
        street.number += rng.choice([1, 1, 2, 3, 4])
        side = rng.choice([-9, 9])
        x = street.x + street.along * math.cos(street.turn) - side * math.sin(street.turn)
        y = max(
            street.y + street.along * math.sin(street.turn) + side * math.cos(street.turn), words.town.shore_m
        )
        lat, lon = self.town.place(x, y)
        number, self._count = self._count, self._count + 1
        grade = rng.choices("ABC", (15, 35, 50))[0]
        contact = words.full_name.format(given=rng.choice(words.given), surname=rng.choice(words.surnames))
        fields: dict[str, Any] = {
            "name": self._name(street),
            "address": words.address.format(number=street.number, street=street.name),
            "code": f"S{number + 1:04d}",
            "grade": grade,
            "contact": contact,
            "phone": words.town.phone.format(number=number + 1) if rng.random() < 0.85 else None,
            "tags": rng.sample(words.tags, rng.choices((0, 1, 2), (55, 32, 13))[0]),
            "radius_m": rng.choices((None, 50, 100, 300, 500), (78, 5, 10, 5, 2))[0],
            "note": rng.choice(words.notes).format(who=contact, street=street.name)
            if rng.random() < 0.22
            else None,
            "lifecycle": rng.choices(("customer", "lead", "lost"), (92, 6, 2))[0],
        }
        if number % (CUSTOMERS // WITHOUT_PLACE) != 11:
            fields |= {"lat": lat, "lon": lon}
        given = {name: value for name, value in fields.items() if value not in (None, [])}
        return Customer(
            identity(self.town.seed, "customer", number),
            x,
            y,
            grade,
            contact,
            given,
            owner.key if owner else None,
        )

    def _name(self, street: Street) -> str:
        rng, words = self.rng, self.words
        while True:
            trade = rng.choice(rng.choice(words.trades))
            base = street.name.split(" ")[0] if " " in street.name else street.name[:2]
            name = rng.choice(words.shop).format(
                surname=rng.choice(words.surnames),
                surname2=rng.choice(words.surnames),
                given=rng.choice(words.given),
                street=base,
                fancy=rng.choice(words.fancy),
                thing=rng.choice(words.thing),
                trade=trade,
            )
            if name not in self._names:
                self._names.add(name)
                return name
