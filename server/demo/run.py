"""Prepare the demo: found the invented company, live its last sixty days, and on a later start the days since.

Everything is written through the door, as phones and the command line write it, and each mutation has an id that follows
from the seed: what is in the journal already is not written again, so an interrupted start is simply taken up.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from server.config import Config
from server.db import db, engine_options, is_busy, migrate, reading, writing
from server.demo.days import DAY_MINUTES, FORMER, Act, Clock, Days
from server.demo.town import Person, Town, build, identity
from server.demo.words import Words, load
from server.exchange.apply import Submission, apply
from server.exchange.documents import MOST_MUTATIONS, Device, item_of
from server.exchange.door import Change, client_of, write
from server.exchange.model import Batch, Client, Journal
from server.exchange.work import Actor
from server.people.admin import login_of, new_password, system
from server.people.found import found
from server.people.model import Login, Organisation, Team
from sync.mutation import SCHEMA, moment_of

DAYS = 60
SEED = "rounds"
LATENCY = timedelta(milliseconds=350)
TOGETHER = timedelta(seconds=45)
"""What the network brings within this time comes as one batch."""

LOOK_BACK = timedelta(days=4)
"""Nothing the demo writes is on its way for longer."""

LIVE_DAYS = 1
CLOSE_DAYS = 6
"""Older days than `LIVE_DAYS` are sent every few hours only, older than `CLOSE_DAYS` in the evening: nobody looks so closely
any more, and the first start takes a third of the time."""

SCHEME = (
    {"code": "valid_visits", "weight": "30"},
    {"code": "customers_visited", "weight": "20"},
    {"code": "time_with_customers", "weight": "15"},
    {"code": "coverage", "weight": "10", "target": "0.8"},
    {"code": "plans_kept", "weight": "15", "target": "0.9"},
    {"code": "logged_on_spot", "weight": "10", "target": "0.95"},
)
"""What the demo measures its reps by."""

TARGETS = {"valid_visits": 100, "customers_visited": 40, "time_with_customers": 60}
"""What a rep is to do in a month, give or take a tenth."""

APP = "0.1.0"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SignIn:
    """With this somebody can sign in."""

    role: str
    email: str
    password: str


@dataclass(slots=True)
class Memory:
    """What the demo keeps beside the database, readable by its owner alone: passwords, and how far days were moved."""

    path: Path
    passwords: dict[str, str]
    shifts: dict[date, int]

    @classmethod
    def of(cls, config: Config, slug: str) -> Memory:
        """What was kept; nothing on the first start."""
        path = config.state_dir / f"demo-{slug}.json"
        kept = json.loads(path.read_text()) if path.exists() else {"passwords": {}, "shifts": {}}
        return cls(
            path, kept["passwords"], {date.fromisoformat(day): shift for day, shift in kept["shifts"].items()}
        )

    def keep(self) -> None:
        """Write it down, all or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        shifts = {day.isoformat(): shift for day, shift in sorted(self.shifts.items())[-30:]}
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"passwords": self.passwords, "shifts": shifts}, file, indent=1)
        os.replace(new, self.path)


def prepare(
    config: Config,
    language: str = "en",
    *,
    now: datetime | None = None,
    seed: str = SEED,
    progress: Progress | None = None,
) -> list[SignIn]:
    """Make the demo ready to be looked at, and return who may sign in: a rep, the manager who leads them, an administrator.

    `language` is en or zh (KeyError for another one); each has its own company, and both may live in one database.
    The first start makes everything; a later one adds what happened since, up to `now`, and touches nothing that
    people logged: on a day on which somebody used a rep's account themselves, that rep's phone writes no more.
    `progress(done, of)` is told how many mutations are written.
    """
    now = now or datetime.now(UTC)
    words = load(language)
    path = config.database_url.removeprefix("sqlite:///")
    if path != config.database_url and not Path(path).exists():
        return _prepare_aside(config, Path(path), words, now, seed, progress)
    migrate(config)
    with _open(config):
        return _prepare(config, words, now, seed, progress)


def accompany(config: Config, language: str = "en") -> None:
    """Let the demo live on while it is looked at: a process of its own, which ends with this one, writes what happens."""
    parent = os.getpid()
    get_context("spawn").Process(target=_companion, args=(config, language, parent), daemon=True).start()


def _companion(config: Config, language: str, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, whose end is ours
    keep_living(config, language, lambda: os.getppid() == parent)


def keep_living(
    config: Config,
    language: str,
    goes_on: Callable[[], bool],
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause_s: float = 60,
) -> None:
    """Prepare again and again, as long as `goes_on` says so; a database that is busy just then is asked a pause later."""
    time.sleep(pause_s)
    while goes_on():
        try:
            prepare(config, language, now=clock())
        except DBAPIError as error:
            if not is_busy(error):
                raise
        time.sleep(pause_s)


def _prepare_aside(
    config: Config, path: Path, words: Words, now: datetime, seed: str, progress: Progress | None
) -> list[SignIn]:
    """Build a new database beside its place and move it there when it is whole: a start that was cut off leaves none."""
    building = path.with_name(path.name + ".building")
    for leftover in building.parent.glob(building.name + "*"):
        leftover.unlink()
    aside = replace(config, database_url=f"sqlite:///{building}")
    migrate(aside)
    with _open(aside):
        # A power failure costs no more than starting over.
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        sign_ins = _prepare(aside, words, now, seed, progress)
        with db.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
    os.replace(building, path)
    return sign_ins


@contextmanager
def _open(config: Config) -> Iterator[None]:
    app = Flask("rounds")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(config)
    )
    db.init_app(app)
    with app.app_context():
        try:
            yield
        finally:
            db.engine.dispose()


def _prepare(
    config: Config, words: Words, now: datetime, seed: str, progress: Progress | None
) -> list[SignIn]:
    zone = ZoneInfo(words.town.time_zone)
    today = now.astimezone(zone).date()
    memory = Memory.of(config, words.town.slug)
    town = build(f"{seed}:{words.town.slug}", words)
    org_id, founded = _company(words, today, zone)
    if today not in memory.shifts:
        memory.shifts[today] = _shift(now.astimezone(zone))
        memory.keep()
    days = Days(town, founded, memory.shifts)
    demo = Demo(org_id, town, days, now, today)
    demo.settle()
    demo.live(progress)
    return demo.sign_ins(memory)


def _company(words: Words, today: date, zone: ZoneInfo) -> tuple[str, date]:
    """The company's id and its first day."""
    with reading() as connection:
        known = connection.execute(
            select(Organisation.id, Organisation.created_at).where(Organisation.slug == words.town.slug)
        ).first()
    if known is not None:
        return known.id, known.created_at.astimezone(zone).date() + timedelta(days=1)
    first = today - timedelta(days=DAYS)
    town = words.town
    org_id = found(
        name=town.organisation,
        slug=town.slug,
        time_zone=town.time_zone,
        administrator=None,
        now=_evening_before(first, zone),
        locale=town.locale,
        root_team=town.root,
    )
    return org_id, first


def _evening_before(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, 18, tzinfo=zone).astimezone(UTC) - timedelta(days=1)


def _shift(local: datetime) -> int:
    """By how many minutes to move today's work, so that it began 3½ hours ago or more and goes on for 1½ or more."""
    now, usual = local.hour * 60 + local.minute, 8 * 60
    begins = min(usual, max(30, now - 210)) if now < usual + 210 else max(usual, now - DAY_MINUTES + 90)
    return begins - usual


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one phone sends at once, or, without acts, that it was heard of."""

    at: datetime
    author: str
    acts: Sequence[Act]
    unsent: int = 0
    oldest: datetime | None = None


class Demo:
    """One company at one moment."""

    def __init__(self, org_id: str, town: Town, days: Days, now: datetime, today: date) -> None:
        self.org_id, self.town, self.days, self.now, self.today = org_id, town, days, now, today
        self.zone = days.zone
        self.system = system(org_id)
        self.people = {person.key: person for person in (*(rep.person for rep in town.reps), *town.managers)}
        self.numbers = {rep.person.key: number for number, rep in enumerate(town.reps)}
        self.clients = {key: identity(town.seed, "client", key) for key in self.people}
        self.left_at = days.begins(days.last_of_former) + timedelta(minutes=300)

    # -- who and what there is -------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Teams, people, customers, and who may sign in."""
        with reading() as connection:
            root = connection.execute(
                select(Team.id).where(Team.org_id == self.org_id, Team.parent_id.is_(None))
            ).scalar_one()
        town, place = (
            self.town.words.town,
            {"time_zone": self.town.words.town.time_zone, "locale": self.town.words.town.locale},
        )
        assert self.town.administrator is not None
        everybody = [*self.people.values(), self.town.administrator]
        changes = [
            self._create("team", self._team(number), {"name": name, "parent_id": root})
            for number, name in enumerate(town.teams)
        ]
        for person in everybody:
            team = None if person.team is None else self._team(person.team)
            about = {"name": person.name, "role": person.role, "team_id": team} | place
            changes.append(self._create("person", person.id, about))
        for customer in self.town.customers:
            owner = self.people[customer.owner] if customer.owner else None
            number = 0 if owner is None or owner.team is None else owner.team
            fields: dict[str, Any] = customer.fields | {
                "team_id": self._team(number),
                "owner_id": owner.id if owner else None,
            }
            changes.append(
                self._create(
                    "customer",
                    customer.id,
                    {name: value for name, value in fields.items() if value is not None},
                )
            )
        self._write(changes, _evening_before(self.days.first, self.zone))
        wanted = self._wanted()
        begun = bool(self._known([wanted[0].id or ""]))
        self._write(wanted, self.now if begun else _evening_before(self.days.first, self.zone))
        logins = [login_of(self.org_id, person.id, person.email, None) for person in everybody]
        with writing() as connection:
            known = set(
                connection.execute(select(Login.person_id).where(Login.org_id == self.org_id)).scalars()
            )
            new = [login for login in logins if login["person_id"] not in known]
            if new:
                connection.execute(insert(Login), new)

    def _wanted(self) -> list[Change]:
        """A scheme for the reps, and what each of them is to do in each month so far, by how they usually work."""
        scheme = {
            "name": "Field",
            "name_zh": "外勤考核",
            "role": "rep",
            "valid_from": self.days.first.replace(day=1).isoformat(),
            "indicators": list(SCHEME),
            "status": "approved",
        }
        changes = [self._create("scheme", identity(self.town.seed, "scheme"), scheme)]
        month = self.days.first.replace(day=1)
        while month <= self.today:
            for rep, number in self.numbers.items():
                for code, amount in TARGETS.items():
                    about = {
                        "indicator": code,
                        "person_id": self.people[rep].id,
                        "period": "month",
                        "starts_on": month.isoformat(),
                        "amount": str(amount + amount * (number % 5 - 2) // 20),
                        "status": "held",
                    }
                    changes.append(
                        self._create("target", identity(self.town.seed, "target", rep, code, month), about)
                    )
            month = (month + timedelta(days=32)).replace(day=1)
        return changes

    def sign_ins(self, memory: Memory) -> list[SignIn]:
        """The three accounts that are shown, each with a password made once."""
        assert self.town.administrator is not None
        shown = [self.town.reps[0].person, self.town.managers[0], self.town.administrator]
        for person in shown:
            if person.role not in memory.passwords:
                memory.passwords[person.role] = new_password()
                memory.keep()
                self._set_password(person, memory.passwords[person.role])
        with reading() as connection:
            rows = connection.execute(
                select(Login.person_id, Login.password_hash).where(Login.org_id == self.org_id)
            )
            hashes = {row.person_id: row.password_hash for row in rows}
        for person in shown:
            if hashes[person.id] is None:  # the database is younger than what was kept beside it
                self._set_password(person, memory.passwords[person.role])
        return [SignIn(person.role, person.email, memory.passwords[person.role]) for person in shown]

    def _set_password(self, person: Person, password: str) -> None:
        hashed = login_of(self.org_id, person.id, person.email, password)["password_hash"]
        with writing() as connection:
            of_person = (Login.org_id == self.org_id, Login.person_id == person.id)
            connection.execute(update(Login).where(*of_person).values(password_hash=hashed))

    def _team(self, number: int) -> str:
        return identity(self.town.seed, "team", number)

    def _create(self, kind: str, entity: str, fields: dict[str, Any]) -> Change:
        return Change(kind, entity, "create", fields, id=identity(self.town.seed, "create", entity))

    def _write(self, changes: Sequence[Change], at: datetime) -> None:
        known = self._known([change.id or "" for change in changes])
        new = [change for change in changes if change.id not in known]
        for receipt in write(self.system, client_of(self.org_id, "cli"), new, at):
            if receipt["status"] != "applied":
                raise RuntimeError(f"the demo is not what the door takes: {receipt}")

    def _known(self, ids: Sequence[str]) -> set[str]:
        """Those of these mutations that are in the journal."""
        found: set[str] = set()
        with reading() as connection:
            for start in range(0, len(ids), 500):
                some = Journal.mutation_id.in_(ids[start : start + 500])
                found |= set(
                    connection.execute(
                        select(Journal.mutation_id).where(Journal.org_id == self.org_id, some)
                    ).scalars()
                )
        return found

    # -- what happens ----------------------------------------------------------------------------------------------

    def live(self, progress: Progress | None) -> None:
        """Send everything that happened until now and is not sent yet, in the order in which it reached the server."""
        with reading() as connection:
            of_phones = (Batch.org_id == self.org_id, Batch.client_id.in_(self.clients.values()))
            last = connection.execute(select(func.max(Batch.received_at)).where(*of_phones)).scalar_one()
            clients = connection.execute(
                select(Client.id, Client.last_seq, Client.contact_at).where(Client.org_id == self.org_id)
            ).all()
        first = (
            self.days.first
            if last is None
            else max(self.days.first, last.astimezone(self.zone).date() - LOOK_BACK)
        )
        numbers = {row.id: row.last_seq for row in clients}
        heard = {row.id: row.contact_at for row in clients}
        parcels = self._due(first)
        total, done = sum(len(parcel.acts) for parcel in parcels), 0
        gone = False
        for parcel in parcels:
            if not gone and parcel.at >= self.left_at:
                self._part()
                gone = True
            client = self.clients[parcel.author]
            if not parcel.acts and heard.get(client) and heard[client] >= parcel.at:
                continue
            self._send(parcel, client, numbers)
            heard[client] = parcel.at
            done += len(parcel.acts)
            if progress and parcel.acts:
                progress(done, total)

    def _due(self, first: date) -> list[Parcel]:
        """Parcels of these days that have arrived by now and are not known yet, in the order of their arrival."""
        arrived: dict[str, list[tuple[datetime, Act]]] = {}
        reached: dict[str, datetime] = {}
        day = first
        while day <= self.today:
            for act in self.days.acts(day):
                at = max(self._reaches(act, day), reached.get(act.author, act.at))
                reached[act.author] = at
                arrived.setdefault(act.author, []).append((at, act))
            day += timedelta(days=1)
        arrived[self.town.reps[0].person.key] = self._without_open_visit(
            arrived.get(self.town.reps[0].person.key, [])
        )
        due = {author: [(at, act) for at, act in acts if at <= self.now] for author, acts in arrived.items()}
        known = self._known([act.id for acts in due.values() for _, act in acts])
        taken = self._taken_over()
        parcels: list[Parcel] = []
        for author, acts in due.items():
            left = [
                (at, act) for at, act in acts
                if act.id not in known and (author, act.at.astimezone(self.zone).date()) not in taken
            ]  # fmt: skip
            parcels += _parcels(author, left)
        parcels += self._signs_of_life()
        return sorted(parcels, key=lambda parcel: (parcel.at, parcel.author))

    def _reaches(self, act: Act, day: date) -> datetime:
        """When a mutation reaches the server."""
        at = act.at + timedelta(seconds=act.wait_s)
        begins = self.days.begins(day)
        if act.author == f"rep:{self.days.silent(day)}" and at > self.days.silent_from(day):
            next_morning = self.days.begins(day + timedelta(days=1)) - timedelta(minutes=10)
            return max(at, next_morning)
        age = (self.today - day).days
        if age > LIVE_DAYS:
            window = timedelta(minutes=150 if age <= CLOSE_DAYS else DAY_MINUTES + 30)
            return max(at, begins + window * ((at - begins) // window + 1))
        return at

    def _without_open_visit(self, acts: list[tuple[datetime, Act]]) -> list[tuple[datetime, Act]]:
        """Whoever looks at the demo as this rep shall be free to check in: of a visit under way only the plan is told."""
        ends = {act.entity: at for at, act in acts}
        under_way = {entity for entity, at in ends.items() if at > self.now}
        return [
            (at, act) for at, act in acts
            if act.entity not in under_way or (act.verb == "create" and any(op["new"] == "planned" for op in act.ops))
        ]  # fmt: skip

    def _taken_over(self) -> set[tuple[str, date]]:
        """On which days somebody wrote as one of the demo's people themselves."""
        keys = {person.id: key for key, person in self.people.items()}
        with reading() as connection:
            rows = connection.execute(
                select(Batch.person_id, Batch.received_at).where(
                    Batch.org_id == self.org_id,
                    Batch.person_id.is_not(None),
                    Batch.client_id.not_in(self.clients.values()),
                )
            ).all()
        return {
            (keys[row.person_id], row.received_at.astimezone(self.zone).date())
            for row in rows
            if row.person_id in keys
        }

    def _signs_of_life(self) -> Iterator[Parcel]:
        """Phones that were heard of today without anything to say, and the one that was not since the morning."""
        begins = self.days.begins(self.today)
        ends = begins + timedelta(minutes=DAY_MINUTES + 60)
        for author, number in self.numbers.items():
            if number == FORMER:
                continue
            if number == self.days.silent(self.today):
                at = self.days.silent_from(self.today)
                if at <= self.now:
                    yield Parcel(at, author, (), unsent=4, oldest=at - timedelta(minutes=19))
                continue
            quarter = timedelta(minutes=15)
            opened = begins - timedelta(minutes=20 - number % 15)
            until = min(self.now, ends)
            if opened <= until:
                yield Parcel(opened + quarter * ((until - opened) // quarter), author, ())

    def _part(self) -> None:
        """Somebody leaves: the account ends, the customers go to colleagues."""
        former = self.town.reps[FORMER]
        team = [
            rep.person
            for rep in self.town.reps
            if rep.person.team == former.person.team and rep is not former
        ]
        changes = []
        for number, customer in enumerate(former.customers):
            changes.append(
                Change(
                    "customer",
                    customer.id,
                    "update",
                    {"owner_id": team[number % len(team)].id},
                    {"owner_id": former.person.id},
                    id=identity(self.town.seed, "handed over", customer.id),
                )
            )
        left = identity(self.town.seed, "left", former.person.id)
        changes.append(
            Change("person", former.person.id, "update", {"active": False}, {"active": True}, id=left)
        )
        self._write(changes, self.left_at)

    def _send(self, parcel: Parcel, client: str, numbers: dict[str, int]) -> None:
        """One exchange of a phone with the server, at its time."""
        person = self.people[parcel.author]
        clock = self._clock(parcel.author, parcel.at.astimezone(self.zone).date())
        active = person.key != f"rep:{FORMER}" or parcel.at < self.left_at
        team = None if person.team is None else self._team(person.team)
        seq = numbers.get(client, 0)
        items = []
        for number, act in enumerate(parcel.acts, seq + 1):
            own = self._clock(parcel.author, act.at.astimezone(self.zone).date())
            raw = {
                "seq": number,
                "id": act.id,
                "schema": SCHEMA,
                "kind": act.kind,
                "entity": act.entity,
                "verb": act.verb,
                "base": 0,
                "at": own.moment(act.at),
                "ops": act.ops,
            }
            items.append(item_of(raw, client))
        answer = apply(
            Submission(
                actor=Actor(self.org_id, person.id, person.role, team, active),
                client=client,
                predecessor=None,
                sent=moment_of(clock.moment(parcel.at - LATENCY)),
                received_at=parcel.at,
                items=items,
                device=Device(parcel.unsent, parcel.oldest, APP, True, "default"),
            )
        )
        if answer.refused:
            raise RuntimeError(f"the demo's phone is out of step: {answer.refused} at {answer.at}")
        numbers[client] = answer.last_seq

    def _clock(self, author: str, day: date) -> Clock:
        if author in self.numbers:
            return self.days.clock(self.numbers[author], day)
        life = identity(self.town.seed, "life", author, day)
        return Clock(life, self.days.begins(day) - timedelta(minutes=60), self.zone.key, 0, 0.0)


def _parcels(author: str, acts: Sequence[tuple[datetime, Act]]) -> Iterator[Parcel]:
    """Acts that arrive nearly at once, together; 200 at most."""
    together: list[Act] = []
    last: datetime | None = None
    for at, act in acts:
        if together and last is not None and (at - last > TOGETHER or len(together) == MOST_MUTATIONS):
            yield Parcel(last, author, tuple(together))
            together = []
        together.append(act)
        last = at
    if together and last is not None:
        yield Parcel(last, author, tuple(together))
