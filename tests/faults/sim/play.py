"""Plays steps (the words of `tests/faults/vectors/README.md`) against the server and its phones, and watches.

Everything that happens follows from the steps alone, so the same steps end the same way; a step that cannot be taken
because another was left out is left out too.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from server.db import writing
from server.exchange.kinds import WRITABLE
from server.exchange.model import Journal
from server.people.model import Device, Head, Session
from server.tidy import TOMBSTONES_LIVE, collect
from sync.mutation import instant_text
from sync.scopes import unseal
from tests.faults.sim.house import CUSTOMERS, ORG, PEOPLE, PLACE, SECRET, Crash, House, Rows, identity
from tests.faults.sim.phone import VIEW_DAYS, Died, Ended, Exchange, Offline, Phone, StorageFailed
from tests.faults.sim.watch import Flaw, Watch

WORLD = ("root", "north", "south", *PEOPLE, *CUSTOMERS, "sales_call", "order")
MOST_ROUNDS = 14
LOST = {"request lost", "answer lost", "late", "crash before commit", "crash after commit"}

Step = dict[str, Any]


@dataclass
class Entry:
    """A mutation that somebody was told is saved: what it said, on which phone, what became of it."""

    id: str
    phone: str
    n: int
    outbox: str
    body: dict[str, Any]
    step: int
    acked: bool = False
    undone: bool = False
    """A server that was put back no longer had it."""
    gone: bool = False
    """The outbox that held it was lost, or let go of it after its 30 days."""
    moved: bool = False
    """It went from one outbox to another in a rescue file, or an outbox was copied: its order is no longer one phone's."""
    statuses: set[tuple[str, str | None]] = field(default_factory=set)


class Play:
    """A house, its phones, what was typed, and what the network still holds."""

    def __init__(self, house: House, phones: dict[str, str], *, quick: bool = False) -> None:
        house.begin()
        self.house = house
        self.quick = quick
        self.phones: dict[str, Phone] = {}
        self.ids = {name: identity(name) for name in WORLD}
        self.names = {entity: name for name, entity in self.ids.items()}
        self.ledger: dict[str, Entry] = {}
        self.mutations: dict[str, str] = {}
        self.begun: dict[str, tuple[Phone, Exchange, Any, int, list[str]]] = {}
        self.on_the_way: dict[str, list[tuple[Phone, bytes]]] = {}
        self.saved_rows: Rows | None = None
        self.locks = 0
        self.watch = Watch()
        self.operations = 0
        self.at_step = 0
        self.faults: dict[str, int] = {}
        for name, person in phones.items():
            phone = self.add(name, person)
            if not house.furnish(phone):
                self._finish(phone, phone.exchange(), [])
                house.remember(phone)

    def add(self, name: str, person: str) -> Phone:
        """Another phone of somebody, signed in."""
        phone = self.phones[name] = Phone(name, identity(person), self.house)
        if not self.house.knows(phone):
            phone.cookie = self.house.sign_in(phone.person, phone.device)
        return phone

    # -- steps -----------------------------------------------------------------------------------------------

    def step(self, step: Step) -> bool:
        """Take one step; False where it cannot be taken here."""
        self.at_step += 1
        do = getattr(self, f"do_{step['do'].replace(' ', '_')}")
        names = [step[key] for key in ("phone", "from", "to") if key in step]
        if any(name not in self.phones for name in names):
            return False
        self.operations += 1
        taken = do(step)
        for phone in self.phones.values():
            self.watch.own_writes(phone)
        return taken is not False

    def do_save(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        body = self._body(phone, step)
        if body is None:
            return False
        return self._save(phone, body, step)

    def _save(self, phone: Phone, body: dict[str, Any], step: Step) -> bool:
        if step.get("storage") == "fails":
            phone.breath, phone.last_words = 0, StorageFailed
            self._fault("storage")
        try:
            row = phone.save(body)
        except StorageFailed:
            return True
        whose = f"{phone.name} {phone.outbox.born}"
        self.ledger[row.id] = Entry(row.id, phone.name, row.n, whose, row.body, self.at_step)
        if "name" in step:
            self.mutations[step["name"]] = row.id
        return True

    def _body(self, phone: Phone, step: Step) -> dict[str, Any] | None:
        kind, verb = step["kind"], step["verb"]
        known = WRITABLE.get(kind)
        entity = self._name(step["entity"], new=verb == "create")
        if known is None or entity is None:
            return None
        shown = phone.shown(kind, entity)
        if shown is None and verb != "create":
            return None
        ops: list[dict[str, Any]] = []
        for name, given in step.get("set", {}).items():
            value = self._value(phone, given, step.get("at", 0))
            if value is _UNKNOWN:
                return None
            settles = known.fields[name].kind if name in known.fields else "value"
            word = {"text": "text", "state": "go"}.get(settles, "set") if verb == "update" else "set"
            old = None if verb == "create" else (shown or {}).get(name)
            ops.append({"field": name, "op": word, "old": old, "new": value})
        for word in ("add", "remove"):
            ops += [
                {"field": name, "op": word, "values": values} for name, values in step.get(word, {}).items()
            ]
        body = {
            "kind": kind,
            "entity": entity,
            "verb": verb,
            "base": phone.version_of(kind, entity),
            "at": phone.moment(step.get("at", 0)),
            "ops": ops,
        }
        return body | step.get("raw", {})

    def do_exchange(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        if "storage" in step:
            phone.breath, phone.last_words = step["storage"], StorageFailed
            self._fault("storage")
        self._finish(phone, phone.exchange(step.get("limit", 1000)), list(step.get("network", [])))
        phone.breath = None
        return True

    def do_begin(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        if step["as"] in self.begun:
            return False
        self._fault("two tabs")
        going = phone.exchange(step.get("limit", 1000))
        network = list(step.get("network", []))
        reply = self._carry(phone, next(going), network)
        self.begun[step["as"]] = (phone, going, reply, phone.lives, network)
        return True

    def do_end(self, step: Step) -> bool:
        if step["of"] not in self.begun:
            return False
        phone, going, reply, life, network = self.begun.pop(step["of"])
        if phone.lives == life and self.phones.get(phone.name) is phone:
            self._finish(phone, going, network, reply)
        return True

    def do_overlap(self, step: Step) -> bool:
        """While this phone's transaction is about to begin or to commit, others exchange."""
        phone, moment = self.phones[step["phone"]], step["when"]
        others = [
            self.phones[name] for name in step["others"] if name in self.phones and name != step["phone"]
        ]
        self._fault("overlap")

        def meanwhile() -> None:
            for other in others:
                self._finish(other, other.exchange(), [])

        setattr(self.house, "before_begin" if moment == "begin" else "before_commit", meanwhile)
        self._finish(phone, phone.exchange(), [])
        self.house.before_begin = self.house.before_commit = None
        return True

    def do_arrive(self, step: Step) -> bool:
        waiting = self.on_the_way.pop(step["phone"], [])
        for phone, body in waiting:
            self._post(phone, body)
        return bool(waiting)

    def do_restart(self, step: Step) -> bool:
        self._restart(self.phones[step["phone"]])
        return True

    def _restart(self, phone: Phone) -> None:
        had = {row.id for row in phone.outbox.rows}
        phone.restart()
        self._let_go(had - {row.id for row in phone.outbox.rows})

    def do_clone(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        if step["as"] in self.phones:
            return False
        self.phones[step["as"]] = phone.copy_as(step["as"])
        for row in phone.outbox.rows:
            self.ledger[row.id].moved = True
        self._fault("cloned profile")
        return True

    def do_lose(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        self._fault(f"lost {step['what']}")
        if step["what"] == "replica":
            phone.replica = type(phone.replica)()
            phone.blind |= {str(row.body.get("entity")) for row in phone.outbox.rows}
        else:
            had = {row.id for row in phone.outbox.rows}
            phone.lose_outbox()
            self._let_go(had)
        self._restart(phone)
        return True

    def _let_go(self, ids: set[str]) -> None:
        for one in ids:
            self.ledger[one].gone = True

    def do_clock(self, step: Step) -> bool:
        self.phones[step["phone"]].minutes_off = step["minutes"]
        self._fault("clock")
        return True

    def do_old_page(self, step: Step) -> bool:
        self.phones[step["phone"]].protocol = 0
        self._fault("old page")
        return True

    def do_rescue(self, step: Step) -> bool:
        source, target = self.phones[step["from"]], self.phones[step["to"]]
        if source is target or source.person != target.person:
            return False
        target.take_in(source.outbox.rows)
        for row in source.outbox.rows:
            self.ledger[row.id].moved = True
        return True

    def do_settle(self, step: Step) -> bool:
        for name in step.get("phones") or list(self.phones):
            if name in self.phones:
                self._finish(self.phones[name], self.phones[name].exchange(), [])
        return True

    def do_backup(self, step: Step) -> bool:
        self.saved_rows = self.house.backup()
        return True

    def do_put_back(self, step: Step) -> bool:
        if self.saved_rows is None:
            return False
        self._fault("put back")
        there = self.journal_ids()
        self.house.put_back(self.saved_rows)
        for one in there - self.journal_ids():
            if one in self.ledger:
                self.ledger[one].undone = True
        # A copy of a profile may now take the numbers of what was lost, and what follows it goes first.
        born = Counter(phone.outbox.born for phone in self.phones.values())
        for phone in self.phones.values():
            for row in phone.outbox.rows if born[phone.outbox.born] > 1 else []:
                self.ledger[row.id].moved = True
        for phone, *_ in self.begun.values():
            phone.astray = True
        self.watch.put_back(self.house)
        return True

    def do_lock(self, step: Step) -> bool:
        self.locks = step["for"]
        self._fault("lock")
        return True

    def do_pass(self, step: Step) -> bool:
        self.house.now += timedelta(days=step.get("days", 0), minutes=step.get("minutes", 0))
        return True

    def do_expire(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        self._fault("expired sign-in")
        self._write(
            update(Session)
            .where(Session.org_id == ORG, Session.device_id == phone.device)
            .values(expires_at=self.house.now - timedelta(minutes=1))
        )
        return True

    def do_revoke(self, step: Step) -> bool:
        phone = self.phones[step["phone"]]
        self._fault("revoked device")
        self._write(
            update(Device)
            .where(Device.org_id == ORG, Device.id == phone.device)
            .values(revoked_at=self.house.now)
        )
        return True

    def do_collect(self, step: Step) -> bool:
        """Tombstones of more than 180 days are thrown away, and who has not asked since has to read anew."""
        self._fault("collection")
        with self.house.app.app_context():
            collect(ORG, self.house.now - TOMBSTONES_LIVE)
        return True

    def do_poison(self, step: Step) -> bool:
        """A mutation that no app would write."""
        self._fault("poison")
        phone = self.phones[step["phone"]]
        body = {
            "kind": "customer",
            "entity": identity(f"poison:{step['number']}"),
            "verb": "create",
            "base": 0,
            "at": phone.moment(),
            "ops": [{"field": "name", "op": "set", "old": None, "new": f"p{step['number']}x"}],
        }
        phone.blind.add(str((body | step["raw"])["entity"]))
        return self._save(phone, body | step["raw"], {})

    def do_stumble(self, step: Step) -> bool:
        """The server fails while it settles the next mutation of this phone, so many times; then it does not."""
        self._fault("transient error")
        phone = self.phones[step["phone"]]
        self.house.stumbles(step["times"])
        self._finish(phone, phone.exchange(), [])
        self.house.stumbles(0)
        return True

    def _write(self, statement: Any) -> None:
        with self.house.app.app_context(), writing() as connection:
            connection.execute(statement)

    def _fault(self, name: str) -> None:
        self.faults[name] = self.faults.get(name, 0) + 1

    # -- the network -----------------------------------------------------------------------------------------

    def _finish(self, phone: Phone, going: Exchange, network: list[str], reply: Any = None) -> None:
        """Carry an exchange to its end."""
        try:
            request = next(going) if reply is None else self._deliver(phone, going, reply)
            while True:
                self.watch.own_writes(phone)
                request = self._deliver(phone, going, self._carry(phone, request, network))
        except StopIteration as end:
            phone.ended = end.value
        except StorageFailed:
            phone.ended = Ended("stopped")
        except Died:
            self._restart(phone)
            phone.ended = Ended("stopped")

    @staticmethod
    def _deliver(phone: Phone, going: Exchange, reply: Any) -> dict[str, Any]:
        if isinstance(reply, Offline):
            return going.throw(reply)
        return going.send(reply)

    def _carry(self, phone: Phone, request: dict[str, Any], network: list[str]) -> Any:
        """One request and what becomes of it: (status, body), or `Offline`."""
        self.operations += 1
        fate = network.pop(0) if network else "fine"
        body = json.dumps(request).encode()
        if fate != "fine":
            self._fault(fate)
        if fate == "request lost":
            return Offline()
        if fate == "late":
            self.on_the_way.setdefault(phone.name, []).append((phone, body))
            return Offline()
        if fate == "busy":
            return 503, {"code": "BUSY", "last_seq": None, "receipts": []}
        if fate == "twice":
            self._post(phone, body)
        if fate.startswith("crash"):
            setattr(self.house, "before_commit" if "before" in fate else "after_commit", _crash)
        reply = self._post(phone, body)
        self.house.before_commit = self.house.after_commit = None
        if fate == "dies":
            phone.breath, phone.last_words = 0, Died
        if fate == "dies after receipts":
            phone.breath, phone.last_words = 1, Died
        return Offline() if fate in LOST or reply is None else reply

    def _post(self, phone: Phone, body: bytes) -> tuple[int, dict[str, Any]] | None:
        before = len(self.house.failures)
        try:
            if self.locks > 0:
                self.locks -= 1
                with self.house.locked():
                    status, told = self.house.post(phone.cookie or "", body)
            else:
                status, told = self.house.post(phone.cookie or "", body)
        except Crash:
            return None
        if len(self.house.failures) > before:
            raise Flaw(f"the server failed at {phone.name}'s request: {self.house.failures[-1]}")
        for receipt in told.get("receipts") or []:
            entry = self.ledger.get(receipt["id"])
            if entry is not None:
                self.watch.receipt(entry, receipt)
                entry.acked = True
        if told.get("pull"):
            self.watch.page(told["pull"])
        return status, told

    # -- at rest ---------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Everything that still is under way ends, the weather clears, and all exchange until nothing moves."""
        for name in list(self.begun):
            self.do_end({"of": name})
        for name in list(self.on_the_way):
            self.do_arrive({"phone": name})
        self.locks = 0
        for phone in self.phones.values():
            if phone.protocol != 1:
                self._restart(phone)
        for number in range(MOST_ROUNDS):
            for phone in self.phones.values():
                # Each asks once: the server may have been put back.
                if number > 0 and self.is_at_rest(phone) and self.has_read_all(phone):
                    continue
                self._finish(phone, phone.exchange(), [])
                if phone.ended and phone.ended.how == "sign-in" and not self.revoked(phone):
                    phone.cookie = self.house.sign_in(phone.person, phone.device)
            if all(self.is_at_rest(one) and self.has_read_all(one) for one in self.phones.values()):
                return
        restless = [
            f"{phone.name} ({len(phone.outbox.unsent())} unsent, {phone.ended})"
            for phone in self.phones.values()
            if not self.is_at_rest(phone)
        ]
        raise Flaw(f"no rest after {MOST_ROUNDS} rounds of exchanges: {', '.join(restless)}")

    def is_at_rest(self, phone: Phone) -> bool:
        """Nothing unsent and nothing more to read; a phone that is shut out waits as it is."""
        if phone.ended and phone.ended.how == "sign-in":
            return self.revoked(phone)
        return bool(phone.ended and phone.ended.how == "done") and not phone.outbox.unsent()

    def has_read_all(self, phone: Phone) -> bool:
        """Whether its last scan reached the head of now; one that was begun earlier ends before what came since."""
        token = unseal(phone.replica.token, SECRET) if phone.replica.token else None
        if token is None or phone.upload_only or (phone.ended and phone.ended.how == "sign-in"):
            return phone.upload_only or self.revoked(phone)
        return token.upto is None and min(token.positions.values(), default=0) >= self.head()

    def revoked(self, phone: Phone) -> bool:
        """Whether its device, or its person's account, was closed."""
        with self.house.looking() as connection:
            found = connection.execute(
                select(Device.revoked_at).where(Device.org_id == ORG, Device.id == phone.device)
            ).first()
        return bool(found and found[0])

    def is_shut_out(self, phone: Phone) -> bool:
        """Whether it is not even let in to send: revoked, and its session is over."""
        return bool(phone.ended and phone.ended.how == "sign-in") and self.revoked(phone)

    def oldest_day(self) -> str:
        """The first day of own visits that a phone still holds."""
        return (self.house.now - timedelta(days=VIEW_DAYS)).date().isoformat()

    def head(self) -> int:
        """The organisation's head."""
        with self.house.looking() as connection:
            return int(connection.execute(select(Head.version).where(Head.org_id == ORG)).scalar_one())

    def journal_ids(self) -> set[str]:
        """The mutations the server has."""
        with self.house.looking() as connection:
            found = connection.execute(select(Journal.mutation_id).where(Journal.org_id == ORG))
            return {one for (one,) in found}

    # -- names and values ------------------------------------------------------------------------------------

    def _name(self, name: str, *, new: bool = False) -> str | None:
        if name not in self.ids:
            if not new:
                return None
            self.ids[name] = identity(f"entity:{name}")
            self.names[self.ids[name]] = name
        return self.ids[name]

    def _value(self, phone: Phone, given: Any, at: float) -> Any:
        if isinstance(given, str) and given.startswith("@"):
            return self.ids.get(given[1:], _UNKNOWN)
        if isinstance(given, dict) and given.keys() == {"moment"}:
            return phone.moment(given["moment"])
        if isinstance(given, dict) and given.keys() == {"the"}:
            return self._the(phone, given["the"])
        if isinstance(given, dict) and given.keys() == {"fix"}:
            lat, lon = PLACE
            taken = instant_text(phone.wall(given["fix"]))
            return {"lat": lat, "lon": lon, "accuracy_m": 8, "taken_at": taken}
        return given

    def _the(self, phone: Phone, wanted: dict[str, Any]) -> Any:
        """The id of the first record that this phone holds with these members."""
        members = {
            name: self.ids.get(value) if name in {"entity", "visit_id"} else value
            for name, value in wanted.items()
        }
        kind = members.pop("kind")
        if "about" in members:
            members["kind"] = members.pop("about")
        for (known, one), held in sorted(phone.replica.rows.items()):
            if known == kind and members.items() <= held.data.items():
                return one
        return _UNKNOWN


_UNKNOWN = object()


def _crash() -> None:
    raise Crash
