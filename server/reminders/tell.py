"""Tell people what is due: reminders that fell due become notices, one a person, and deliveries to their devices.

All of it is one transaction under the organisation's lock: a reminder is told in the very commit that writes its notice
into the inbox, so nothing is told twice and nothing is forgotten, whoever is killed whenever. Reaching the devices
comes after, from the deliveries written here (`server.push.deliver`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, bindparam, func, insert, select, update

from server.customers.model import Customer
from server.db import is_busy, reading, upsert, writing
from server.exchange.apply import lock_head
from server.exchange.door import Change, client_of, write_within
from server.exchange.kinds import CLOSING
from server.exchange.model import Client
from server.exchange.work import Actor
from server.followups.model import Comment, FollowUp
from server.followups.rules import due_at
from server.people.grant import parents_of
from server.people.model import Organisation, Person
from server.people.rules import above, below
from server.push.compose import compose
from server.push.deliver import reachable
from server.push.model import Delivery, Notice, Subscription
from server.reminders import rules
from server.reminders.model import Reminder, Wish
from server.reminders.reach import Reader, owe
from server.reminders.rules import RULES, Wishes
from server.reminders.schedule import BEATS, beats_of
from server.reminders.series import go_on
from server.visits.model import RepDay, Visit
from server.visits.rules import zone_of
from sync.mutation import instant_text

log = logging.getLogger("rounds")

MOST_AT_ONCE = 500
PUT_OFF = timedelta(hours=1)
"""What cannot be told is tried again after this, so that it holds nothing else up."""

A_DAY = timedelta(days=1)
SOON = timedelta(minutes=5)
"""What falls due this soon after something that is told now is told with it: one notice instead of two."""

TOO_LATE = timedelta(hours=2)
"""A digest that nobody was there to tell for so long is left to the next one: nobody wants the morning's in the evening."""

MOST_LINES = 5
MOST_BODY = 160


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person who may be told something."""

    id: str
    name: str
    role: str
    team_id: str | None
    locale: str
    zone: tzinfo
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class Told:
    """One reminder as its reader will hear it."""

    reminder: str
    rule: str
    about: dict[str, str]
    words: dict[str, Any]


def tell_due(
    org_id: str,
    now: datetime,
    most: int = MOST_AT_ONCE,
    offered: Callable[[str], Sequence[str]] | None = None,
) -> int:
    """Tell what is due in an organisation; returns how many reminders were dealt with.

    What fails is tried with fewer at once; one that fails alone is put off, and the others are told.

    `offered` says for the short name of an organisation which other channels there are (`reminders.channels`).
    """
    with reading() as connection:
        if not _due(connection, org_id, now, 1):
            return 0
    try:
        with writing() as connection:
            lock_head(connection, org_id)
            return tell_within(connection, org_id, now, most, offered)
    except Exception as error:
        if is_busy(error):
            raise
        if most > 1:
            return tell_due(org_id, now, most // 2, offered)
        log.error("a reminder of organisation %s cannot be told", org_id, exc_info=error)
        _put_off(org_id, now)
        return 1


def tell_within(
    connection: Connection,
    org_id: str,
    now: datetime,
    most: int,
    offered: Callable[[str], Sequence[str]] | None = None,
) -> int:
    """As `tell_due`, in a transaction of the caller's that holds the organisation's lock."""
    found = _due(connection, org_id, now, most)
    if not found:
        return 0
    own = [row for row in found if row["rule"] in rules.SERVERS_OWN]
    if own:
        wait = go_on(connection, org_id, own, now)
        _mark_told(connection, org_id, dict.fromkeys(row["id"] for row in own if row["id"] not in wait))
        _look_again(connection, org_id, dict.fromkeys(wait, now + A_DAY))
    due = [row for row in found if row["rule"] not in rules.SERVERS_OWN]
    if not due:
        return len(found)
    people = People(connection, org_id)
    owners = {row["person_id"] for row in due}
    if most > 1:
        due += _due_soon(connection, org_id, now, owners, {row["id"] for row in due})
    people.load(owners)
    facts = Facts(connection, org_id, due)
    later: dict[str, datetime] = {}
    told: dict[str, list[Told]] = {}
    done: set[str] = set()
    for row in due:
        readers = people.readers(row)
        put_off = [rules.disturb_at(now, reader.wishes, reader.zone, row["rule"]) for reader in readers]
        if readers and min(put_off) > now:
            later[row["id"]] = min(put_off)
            continue
        done.add(row["id"])
        words = facts.words(row, now, people)
        for reader in readers:
            if words is not None and row["rule"] not in reader.wishes.off:
                about = {"kind": row["about_kind"], "id": row["about_id"]}
                told.setdefault(reader.id, []).append(Told(row["id"], row["rule"], about, words))
    notices = {reader: notice_of(org_id, reader, each, now) for reader, each in told.items()}
    _write(connection, org_id, list(notices.values()), now)
    # Of several readers of one reminder some may be asleep: it stands in their inbox, and shows itself in the morning.
    shown = {
        reader: min(
            rules.disturb_at(now, people[reader].wishes, people[reader].zone, rule) for rule in _rules(some)
        )
        for reader, some in told.items()
    }
    _owe(connection, org_id, notices, people, shown, now)
    if offered is not None and notices:
        slug = connection.execute(select(Organisation.slug).where(Organisation.id == org_id)).scalar_one()
        if names := offered(slug):
            readers_of = {
                reader: (notice, Reader(people[reader].wishes, people[reader].zone, _rules(told[reader])))
                for reader, notice in notices.items()
            }
            owe(connection, org_id, readers_of, names, now)
    of_reminder = {each.reminder: notices[reader].entity for reader, some in told.items() for each in some}
    _mark_told(connection, org_id, {reminder: of_reminder.get(reminder) for reminder in done})
    _look_again(connection, org_id, later)
    return len(due) + len(own)


def _rules(told: list[Told]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.rule for each in told))


def _mark_told(connection: Connection, org_id: str, notices: Mapping[str, str | None]) -> None:
    """These reminders were told, in these notices (None: nobody had to hear of it)."""
    if not notices:
        return
    connection.execute(
        update(Reminder)
        .where(Reminder.org_id == org_id, Reminder.id == bindparam("reminder"))
        .values(state="told", notice_id=bindparam("notice"))
        .execution_options(synchronize_session=False),
        [{"reminder": reminder, "notice": notice} for reminder, notice in sorted(notices.items())],
    )


def _look_again(connection: Connection, org_id: str, later: Mapping[str, datetime]) -> None:
    """These reminders are looked at again at these instants."""
    if not later:
        return
    connection.execute(
        update(Reminder)
        .where(Reminder.org_id == org_id, Reminder.id == bindparam("reminder"))
        .values(due_at=bindparam("at"))
        .execution_options(synchronize_session=False),
        [{"reminder": reminder, "at": at} for reminder, at in sorted(later.items())],
    )


def _put_off(org_id: str, now: datetime) -> None:
    """Look at the first that is due again later."""
    with writing() as connection:
        lock_head(connection, org_id)
        for row in _due(connection, org_id, now, 1):
            _look_again(connection, org_id, {row["id"]: now + PUT_OFF})


def _due(connection: Connection, org_id: str, now: datetime, most: int) -> list[dict[str, Any]]:
    statement = (
        select(Reminder.__table__)
        .where(Reminder.org_id == org_id, Reminder.state == "waiting", Reminder.due_at <= now)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(most)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def _due_soon(
    connection: Connection, org_id: str, now: datetime, owners: Collection[str], known: Collection[str]
) -> list[dict[str, Any]]:
    """What these people would hear of in a moment: told now, it needs no second notice."""
    statement = select(Reminder.__table__).where(
        Reminder.org_id == org_id,
        Reminder.state == "waiting",
        Reminder.due_at > now,
        Reminder.due_at <= now + SOON,
        Reminder.person_id.in_(owners),
        Reminder.rule.in_(["follow_up_due", "plan_not_started"]),
    )
    rows = connection.execute(statement.order_by(Reminder.due_at, Reminder.id)).mappings()
    return [dict(row) for row in rows if row["id"] not in known]


def notice_of(org_id: str, reader: str, told: list[Told], now: datetime) -> Change:
    """One notice for all that a person is told at once; its id follows from what it tells."""
    identity = str(
        uuid5(NAMESPACE_OID, " ".join(["notice", org_id, reader, *(each.reminder for each in told)]))
    )
    if len(told) == 1:
        rule, words = told[0].rule, told[0].words
    else:
        rule = "group"
        lines = [{"rule": each.rule, "words": each.words, "about": each.about} for each in told[:MOST_LINES]]
        words = {"count": len(told), "lines": lines}
    return Change(
        "notice",
        identity,
        "create",
        {
            "person_id": reader,
            "rule": rule,
            "about": [each.about for each in told[:50]],
            "words": words,
            "at": instant_text(now),
            "status": "unread",
        },
    )


def _write(connection: Connection, org_id: str, notices: list[Change], now: datetime) -> None:
    actor = Actor(org_id, None, "administrator", None, via="ticker")
    for start in range(0, len(notices), 200):
        part = notices[start : start + 200]
        receipts = write_within(connection, actor, client_of(org_id, "ticker"), part, now)
        wrong = [receipt for receipt in receipts if receipt["status"] not in {"applied", "noop"}]
        if wrong:
            raise RuntimeError(f"a notice was not taken: {wrong[0]}")


def _owe(
    connection: Connection,
    org_id: str,
    notices: Mapping[str, Change],
    people: People,
    shown: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Owe each notice to each device of its reader that is still heard of, not before it may be `shown`."""
    devices = connection.execute(
        select(Subscription.id, Subscription.person_id, Subscription.rest_until).where(
            reachable(org_id), Subscription.person_id.in_(list(notices))
        )
    ).all()
    unread = dict(
        connection.execute(
            select(Notice.person_id, func.count())
            .where(Notice.org_id == org_id, Notice.person_id.in_(list(notices)), Notice.status == "unread")
            .group_by(Notice.person_id)
        ).all()
    )
    rows = []
    for device, reader, rest_until in devices:
        notice, somebody = notices[reader], people[reader]
        rule = RULES.get(notice.new["rule"], RULES["follow_up_due"])
        rows.append(
            {
                "org_id": org_id,
                "notice_id": notice.entity,
                "subscription_id": device,
                "payload": payload_of(notice, somebody, unread.get(reader, 1)),
                "urgency": rule.urgency,
                "due_at": max(shown[reader], rest_until or now),
                "ends_at": shown[reader] + rule.lasts,
                "state": "waiting",
                "attempts": 0,
            }
        )
    if rows:
        connection.execute(insert(Delivery), rows)


def payload_of(notice: Change, reader: Somebody, unread: int) -> dict[str, Any]:
    """What travels to a device: no more than its lock screen may show, and where a tap leads."""
    words, about = notice.new["words"], notice.new["about"]
    title, body = compose(
        notice.new["rule"], words, reader.locale, reader.zone, discreet=reader.wishes.discreet
    )
    single = about[0] if len(about) == 1 else None
    payload: dict[str, Any] = {
        "notice": notice.entity,
        "tag": notice.entity,
        "title": title,
        "body": body,
        "rule": notice.new["rule"],
        "about": single,
        "badge": unread,
        "at": notice.new["at"],
    }
    if single and single["kind"] == "follow_up" and words.get("phone") and not reader.wishes.discreet:
        payload["phone"] = words["phone"]
    if single and single["kind"] == "closing":
        payload |= {"month": words["month"], "owner_id": words["owner_id"]}
    return payload


class People:
    """People of an organisation as far as they are needed: who may be told, how, and who leads whom."""

    def __init__(self, connection: Connection, org_id: str) -> None:
        self._connection = connection
        self._org_id = org_id
        self._known: dict[str, Somebody | None] = {}
        self._parents: dict[str, str | None] | None = None
        self._managers: dict[str, list[str]] | None = None

    def load(self, ids: Iterable[str]) -> None:
        """Bring these people in; whoever is gone or closed is remembered as nobody."""
        wanted = {each for each in ids if each not in self._known}
        if not wanted:
            return
        self._known |= dict.fromkeys(wanted)
        rows = self._connection.execute(
            select(
                Person.id,
                Person.name,
                Person.role,
                Person.team_id,
                Person.locale,
                Person.time_zone,
                Wish.document,
            )
            .outerjoin(Wish, (Wish.org_id == Person.org_id) & (Wish.person_id == Person.id))
            .where(Person.org_id == self._org_id, Person.id.in_(wanted), Person.active)
        )
        for identity, name, role, team, locale, zone, wishes in rows:
            self._known[identity] = Somebody(
                identity, name, role, team, locale, zone_of(zone) or UTC, rules.wishes_of(wishes)
            )

    def __getitem__(self, person: str) -> Somebody:
        found = self.get(person)
        if found is None:
            raise KeyError(person)
        return found

    def get(self, person: str) -> Somebody | None:
        """Somebody active, or None."""
        self.load([person])
        return self._known[person]

    def readers(self, row: Mapping[str, Any]) -> list[Somebody]:
        """Who hears of a reminder: the person it is for, or their managers where it escalates."""
        if row["rule"] not in {"escalation", "low_twice"}:
            found = self.get(row["person_id"])
            return [found] if found else []
        owner = self.get(row["person_id"])
        team = owner.team_id if owner else None
        return [
            each for each in map(self.get, self.managers_of(team)) if each and each.id != row["person_id"]
        ]

    def managers_of(self, team: str | None) -> list[str]:
        """The managers of a team, or of the nearest one above it that has any."""
        if team is None:
            return []
        if self._managers is None:
            self._managers = {}
            rows = self._connection.execute(
                select(Person.team_id, Person.id)
                .where(Person.org_id == self._org_id, Person.role == "manager", Person.active)
                .order_by(Person.id)
            )
            for of, manager in rows:
                if of is not None:
                    self._managers.setdefault(of, []).append(manager)
        return next(
            (self._managers[each] for each in [team, *above(self.parents, team)] if each in self._managers),
            [],
        )

    @property
    def parents(self) -> dict[str, str | None]:
        """The team tree."""
        if self._parents is None:
            self._parents = parents_of(self._connection, self._org_id)
        return self._parents


class Facts:
    """What these reminders are about, as it is now; read in one statement a kind."""

    def __init__(self, connection: Connection, org_id: str, due: list[dict[str, Any]]) -> None:
        self._connection = connection
        self._org_id = org_id
        self._follow_ups = self._rows(FollowUp, due, "follow_up")
        self._visits = self._rows(Visit, due, "visit")
        self._comments = self._rows(Comment, due, "comment")
        self._notices = self._rows(Notice, due, "notice")
        self._closings = self._rows(CLOSING.model, due, "closing")
        customers = {row["customer_id"] for row in [*self._follow_ups.values(), *self._visits.values()]}
        self._customers = self._by_id(Customer, customers)

    def _rows(self, model: Any, due: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
        return self._by_id(model, {row["about_id"] for row in due if row["about_kind"] == kind})

    def _by_id(self, model: Any, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        if not ids:
            return {}
        found = select(model.__table__).where(model.org_id == self._org_id, model.id.in_(ids))
        return {row["id"]: dict(row) for row in self._connection.execute(found).mappings()}

    def words(self, row: Mapping[str, Any], now: datetime, people: People) -> dict[str, Any] | None:
        """What a reminder says; None where there is nothing (left) to say."""
        rule, about = row["rule"], row["about_id"]
        if row["about_kind"] == "follow_up":
            promise = self._follow_ups.get(about)
            if rule == "follow_up_assigned" and promise and promise["owner_id"] != row["person_id"]:
                return None  # it went on to somebody else
            return self._of_follow_up(promise, people)
        if row["about_kind"] == "visit":
            return self._of_visit(rule, self._visits.get(about))
        if row["about_kind"] == "closing":
            return self._of_closing(self._closings.get(about), people)
        if rule == "comment":
            return self._of_comment(self._comments.get(about), people)
        if rule == "snoozed":
            notice = self._notices.get(about)
            return None if notice is None else {"of": notice["rule"]} | notice["words"]
        somebody = people.get(row["person_id"])
        if somebody is None or now - row["due_at"] > TOO_LATE:
            return None
        digest = {"morning": self._morning, "day_end": self._day_end, "team_day_end": self._team_day_end}.get(
            rule
        )
        said = digest(somebody, now, people) if digest else {}
        return said or None

    def _customer(self, identity: str) -> dict[str, Any]:
        return self._customers.get(identity) or {"name": "", "phone": None}

    def _of_follow_up(self, found: Mapping[str, Any] | None, people: People) -> dict[str, Any] | None:
        if found is None or found["status"] != "open" or found["archived"]:
            return None
        owner = people.get(found["owner_id"])
        zone = zone_of(found["due_zone"]) or (owner.zone if owner else UTC)
        due = due_at(found["due_date"], found["due_time"], zone)
        if due is not None and found["due_time"] is None:
            due -= timedelta(seconds=1)  # the day itself, and not the midnight that ends it
        customer = self._customer(found["customer_id"])
        return {
            "subject": found["subject"],
            "customer": customer["name"],
            "phone": customer["phone"],
            "owner": owner.name if owner else "",
            "due_at": instant_text(due) if due else None,
            "all_day": found["due_time"] is None,
        }

    def _of_visit(self, rule: str, found: Mapping[str, Any] | None) -> dict[str, Any] | None:
        wanted = {"plan_not_started": "planned", "visit_open": "open"}.get(rule)
        if found is None or found["status"] != wanted:
            return None
        name = self._customer(found["customer_id"])["name"]
        if rule == "plan_not_started":
            return {"customer": name, "time": (found["planned_time"] or "")[:5]}
        return {"customer": name, "since": found["server"].get("check_in_at")}

    def _of_closing(self, found: Mapping[str, Any] | None, people: People) -> dict[str, Any] | None:
        owner = people.get(found["person_id"]) if found else None
        if found is None or owner is None or found["status"] != "closed":
            return None
        return {
            "owner": owner.name,
            "owner_id": owner.id,
            "month": found["starts_on"][:7],
            "total": found["total"] or "",
            "grade": found["grade"] or "",
        }

    def _of_comment(self, found: Mapping[str, Any] | None, people: People) -> dict[str, Any] | None:
        if found is None:
            return None
        author = people.get(found["created_by"]) if found["created_by"] else None
        body = " ".join(found["body"].split())[:MOST_BODY]
        return {
            "author": author.name if author else "",
            "customer": self._name_on(found),
            "body": body,
            "on_kind": found["on_kind"],
            "on_id": found["on_id"],
        }

    def _name_on(self, comment: Mapping[str, Any]) -> str:
        """The name of the customer that a comment is about, straight or by a visit or a follow-up."""
        model: Any = {"visit": Visit, "follow_up": FollowUp}.get(comment["on_kind"])
        customer = comment["on_id"]
        if model is not None:
            of = select(model.customer_id).where(model.org_id == self._org_id, model.id == comment["on_id"])
            customer = of.scalar_subquery()
        name = select(Customer.name).where(Customer.org_id == self._org_id, Customer.id == customer)
        return str(self._connection.execute(name).scalar_one_or_none() or "")

    # -- digests -------------------------------------------------------------------------------------------------------

    def _overdue(self, owners: Collection[str], today: str) -> int:
        found = select(func.count()).where(
            FollowUp.org_id == self._org_id,
            FollowUp.owner_id.in_(owners),
            FollowUp.status == "open",
            FollowUp.archived.is_(False),
            FollowUp.due_date < today,
        )
        return int(self._connection.execute(found).scalar_one())

    def _morning(self, somebody: Somebody, now: datetime, _people: People) -> dict[str, Any]:
        today = now.astimezone(somebody.zone).date()
        last = (
            select(Visit.customer_id, func.max(Visit.day).label("day"))
            .where(Visit.org_id == self._org_id, Visit.rep_id == somebody.id, Visit.status == "done")
            .group_by(Visit.customer_id)
            .subquery()
        )
        rows = self._connection.execute(
            select(Customer.name, Customer.grade, last.c.day)
            .join(last, last.c.customer_id == Customer.id)
            .where(
                Customer.org_id == self._org_id,
                Customer.owner_id == somebody.id,
                Customer.archived.is_(False),
                Customer.grade.in_(list(rules.NOT_VISITED_DAYS)),
            )
            .order_by(Customer.grade, last.c.day, Customer.id)
        )
        waiting = [
            name
            for name, grade, day in rows
            if day and rules.not_visited(grade, datetime.fromisoformat(day).date(), today)
        ]
        return _said(overdue=self._overdue([somebody.id], today.isoformat()), not_visited=waiting[:50])

    def _day_end(self, somebody: Somebody, now: datetime, _people: People) -> dict[str, Any]:
        today = now.astimezone(somebody.zone).date().isoformat()
        mine = (Visit.org_id == self._org_id, Visit.rep_id == somebody.id)
        without = select(func.count()).where(
            *mine,
            Visit.day == today,
            Visit.status == "done",
            func.coalesce(func.trim(Visit.minutes), "") == "",
        )
        running = select(func.count()).where(*mine, Visit.status == "open")
        unsent = select(func.coalesce(func.sum(Client.unsent), 0)).where(
            Client.org_id == self._org_id, Client.person_id == somebody.id, Client.superseded.is_(False)
        )
        counted = [int(self._connection.execute(each).scalar_one()) for each in (without, unsent, running)]
        return _said(minutes=counted[0], unsent=counted[1], open=counted[2])

    def _team_day_end(self, somebody: Somebody, now: datetime, people: People) -> dict[str, Any]:
        today = now.astimezone(somebody.zone).date()
        teams = below(people.parents, somebody.team_id) if somebody.team_id else frozenset()
        reps = list(
            self._connection.execute(
                select(Person.id).where(
                    Person.org_id == self._org_id,
                    Person.role == "rep",
                    Person.active,
                    Person.team_id.in_(teams),
                )
            ).scalars()
        )
        if not reps:
            return {}
        visits, valid = self._connection.execute(
            select(
                func.coalesce(func.sum(RepDay.visits), 0), func.coalesce(func.sum(RepDay.valid_visits), 0)
            ).where(RepDay.org_id == self._org_id, RepDay.day == today.isoformat(), RepDay.rep_id.in_(reps))
        ).one()
        heard = set(
            self._connection.execute(
                select(Client.person_id).where(
                    Client.org_id == self._org_id,
                    Client.person_id.in_(reps),
                    Client.contact_at >= rules.wall(today, "00:00", somebody.zone),
                )
            ).scalars()
        )
        said = _said(
            valid=int(valid), overdue=self._overdue(reps, today.isoformat()), silent=len(set(reps) - heard)
        )
        return {"visits": int(visits), **said}


def _said(**counted: Any) -> dict[str, Any]:
    return {name: value for name, value in counted.items() if value}


# -- beats -----------------------------------------------------------------------------------------------------------------


def keep_beats(org_id: str, now: datetime) -> int:
    """See to it that each person's next daily digests stand in the schedule; returns how many were put there.

    A digest missed while nothing ran is not told late: the next one says it all.
    """
    with reading() as connection:
        people = connection.execute(
            select(Person.id, Person.role, Person.time_zone, Wish.document)
            .outerjoin(Wish, (Wish.org_id == Person.org_id) & (Wish.person_id == Person.id))
            .where(Person.org_id == org_id, Person.active, Person.role.in_(["rep", "manager"]))
        ).all()
        stand = set(
            connection.execute(
                select(Reminder.person_id, Reminder.rule).where(
                    Reminder.org_id == org_id, Reminder.state == "waiting", Reminder.rule.in_(BEATS)
                )
            ).all()
        )
    rows = [
        row
        for person, role, zone, document in people
        for row in beats_of(org_id, person, role, rules.wishes_of(document), zone_of(zone) or UTC, now)
        if (person, row["rule"]) not in stand
    ]
    if rows:
        with writing() as connection:
            upsert(Reminder, connection, rows)
    return len(rows)
