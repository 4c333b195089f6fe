"""Histories by chance: from a seed the next step, chosen by what the phones show at that moment.

What is chosen is written out as a step, so that the history can be played again without any chance in it.
"""

from __future__ import annotations

import random
from typing import Any

from server.exchange.kinds import VERDICTS
from tests.faults.sim.phone import Phone
from tests.faults.sim.play import Play, Step

PHONES = {"rob1": "rob", "ria1": "ria", "sam1": "sam", "mia1": "mia", "boss1": "boss", "admin1": "admin"}
REPS = ("rob", "ria", "sam")
TEAMS = ("north", "south")

BROKEN_LINES = ("request lost", "answer lost", "twice", "late", "busy", "dies", "dies after receipts")
CRASHES = ("crash before commit", "crash after commit")
POISONS: tuple[dict[str, Any], ...] = (
    {"kind": "unheard_of"},
    {"verb": "explode"},
    {"schema": 7},
    {"ops": [{"field": "name", "op": "set", "old": None, "new": "a\x00b"}]},
    {"ops": [{"field": "name", "op": "set", "old": None, "new": "\ud83d"}]},
    {"ops": [{"field": "name", "op": "set", "old": None, "new": 17}]},
    {"ops": [{"field": "name", "op": "set", "old": None, "new": None}]},
    {"ops": [{"field": "name", "op": "sing", "old": None, "new": "x"}]},
    {"ops": "nothing"},
    {"ops": None},
    {"base": -1},
    {"base": 2**62},
    {"at": {"wall": "never"}},
    {"entity": "no id"},
    {"verb": "update"},
    {"verb": "archive"},
    {"kind": "person", "ops": [{"field": "role", "op": "set", "old": None, "new": "administrator"}]},
    {"ops": [{"field": "shoe_size", "op": "set", "old": None, "new": {"eu": [1, 2, {"x": None}]}}]},
    {"ops": [{"field": "owner_id", "op": "set", "old": None, "new": "00000000-0000-4000-8000-000000000000"}]},
)


class Chance:
    """The next step of a history, by a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.count = 0
        self.tabs: list[str] = []

    def word(self) -> str:
        """A word that nobody typed before."""
        self.count += 1
        return f"w{self.count}x"

    def next(self, play: Play) -> Step:
        """A step that can be taken now."""
        phone = self.random.choice(list(play.phones.values()))
        while True:
            choose = self.random.choices(_WAYS, _WEIGHTS)[0]
            step = choose(self, play, phone)
            if step is not None:
                return step

    # -- what people do --------------------------------------------------------------------------------------------------

    def work(self, play: Play, phone: Phone) -> Step | None:
        """Somebody writes something."""
        role = play.names[phone.person]
        ways = [self.customer, self.visit, self.visit, self.follow_up, self.talk, self.decide]
        if role in {"mia", "boss", "admin", "max"}:
            ways = [
                self.customer,
                self.manage,
                self.visit,
                self.follow_up,
                self.talk,
                self.decide,
                self.decide,
            ]
        if role == "admin":
            ways = [self.manage, self.people, self.customer, self.decide]
        step = self.random.choice(ways)(play, phone)
        if step is None:
            return None
        if self.random.random() < 0.03:
            step["storage"] = "fails"
        if self.random.random() < 0.1:
            step["at"] = -self.random.randrange(1, 2000)
        return {"do": "save", "phone": phone.name} | step

    def customer(self, play: Play, phone: Phone) -> Step | None:
        roll = self.random.random()
        if roll < 0.15:
            name = f"c{self.word()}"
            return {
                "kind": "customer",
                "entity": name,
                "verb": "create",
                "set": {"name": f"Lead {self.word()}"},
            }
        entity = self._one(play, phone, "customer")
        if entity is None:
            return None
        step: Step = {"kind": "customer", "entity": entity, "verb": "update"}
        field = self.random.choice(("name", "contact", "phone", "address", "note", "note", "tags", "tags"))
        if field == "tags":
            return step | self._tags(play, phone, entity)
        if field == "note":
            return step | {"set": {"note": self._text(play, phone, "customer", entity, "note")}}
        changes = {field: self.word()}
        if self.random.random() < 0.2:
            changes[self.random.choice(("contact", "phone"))] = self.word()
        return step | {"set": changes}

    def _tags(self, play: Play, phone: Phone, entity: str) -> Step:
        there = (phone.shown("customer", play.ids[entity]) or {}).get("tags") or []
        if there and self.random.random() < 0.5:
            return {"remove": {"tags": [self.random.choice(there)]}}
        return {"add": {"tags": [self.word()]}}

    def _text(self, play: Play, phone: Phone, kind: str, entity: str, name: str) -> str:
        """The text as the screen shows it, with something put before, behind, between or in its place."""
        now = (phone.shown(kind, play.ids[entity]) or {}).get(name) or ""
        new = self.word()
        roll = self.random.random()
        if not now or roll < 0.15:
            return f"{new} said."
        if roll < 0.55:
            return f"{now} {new}."
        if roll < 0.75:
            return f"{new}, {now}"
        words = now.split(" ")
        at = self.random.randrange(len(words))
        return " ".join([*words[:at], new, *words[at + (roll > 0.9) :]])

    def visit(self, play: Play, phone: Phone) -> Step | None:
        known = self._some(play, phone, "visit")
        roll = self.random.random()
        if not known or roll < 0.3:
            return self._new_visit(play, phone)
        entity = self.random.choice(known)
        shown = phone.shown("visit", play.ids[entity]) or {}
        step: Step = {"kind": "visit", "entity": entity, "verb": "update"}
        status = shown.get("status")
        if status == "planned" and roll < 0.6:
            if roll < 0.42:
                return step | {"set": {"planned_date": f"2026-03-{self.random.randrange(10, 29)}"}}
            if roll < 0.48:
                return step | {"set": {"status": "cancelled", "late_reason": self.word()}}
            return step | {"set": {"status": "open", "check_in": {"moment": -5}, "check_in_fix": {"fix": -5}}}
        if status == "open" and roll < 0.6:
            return step | {
                "set": {"status": "done", "check_out": {"moment": -1}, "outcome": self.word()}
                | ({"minutes": self._text(play, phone, "visit", entity, "minutes")} if roll < 0.5 else {})
            }
        if roll < 0.65:
            name = self.random.choice(("check_in", "check_out"))
            return step | {"set": {name: {"moment": -self.random.randrange(1, 90)}}}
        if roll < 0.68:
            return step | {"set": {"status": self.random.choice(("open", "done", "cancelled", "planned"))}}
        if roll < 0.75:
            return step | {"set": {"outcome": self.word()}}
        name = "minutes" if roll < 0.92 else "next_step"
        return step | {"set": {name: self._text(play, phone, "visit", entity, name)}}

    def _new_visit(self, play: Play, phone: Phone) -> Step | None:
        customer = self._one(play, phone, "customer")
        if customer is None:
            return None
        entity = f"v{self.word()}"
        about: dict[str, Any] = {"customer_id": f"@{customer}", "kind": "sales_call", "mode": "in_person"}
        roll = self.random.random()
        if play.names[phone.person] not in REPS:
            rep = self.random.choice(REPS)
            about |= {"status": "planned", "planned_date": "2026-03-05", "rep_id": f"@{rep}"}
        elif roll < 0.3:
            about |= {"status": "planned", "planned_date": "2026-03-05"}
        elif roll < 0.8:
            about |= {"status": "open", "check_in": {"moment": 0}}
            about["check_in_fix"] = self.random.choice(({"fix": 0}, {"none": "denied"}))
        else:
            about |= {"status": "done", "check_in": {"moment": -90}, "check_out": {"moment": -20}}
            about |= {"minutes": self.word()}
        return {"kind": "visit", "entity": entity, "verb": "create", "set": about}

    def follow_up(self, play: Play, phone: Phone) -> Step | None:
        known = self._some(play, phone, "follow_up")
        roll = self.random.random()
        if known and roll < 0.65:
            entity = self.random.choice(known)
            status = (phone.shown("follow_up", play.ids[entity]) or {}).get("status")
            step: Step = {"kind": "follow_up", "entity": entity, "verb": "update"}
            if roll < 0.15:
                return step | {"set": {"due_date": f"2026-03-{self.random.randrange(10, 29)}"}}
            if roll < 0.3:
                return step | {"set": {"note": self._text(play, phone, "follow_up", entity, "note")}}
            if roll < 0.36:
                return step | {"set": {"owner_id": f"@{self.random.choice(REPS)}"}}
            if status == "open":
                return step | {"set": {"status": "done", "done": {"moment": 0}}}
            return step | {"set": {"status": "open"}}
        customer = self._one(play, phone, "customer")
        if customer is None:
            return None
        owner = play.names[phone.person]
        about = {
            "customer_id": f"@{customer}",
            "subject": self.word(),
            "due_date": "2026-03-09",
            "status": "open",
        }
        if owner not in REPS:
            about["owner_id"] = f"@{self.random.choice(REPS)}"
        return {"kind": "follow_up", "entity": f"f{self.word()}", "verb": "create", "set": about}

    def talk(self, play: Play, phone: Phone) -> Step | None:
        """A comment on something, or the wish to correct a visit that is done."""
        if self.random.random() < 0.5:
            kind = self.random.choice(("customer", "visit", "follow_up"))
            entity = self._one(play, phone, kind)
            if entity is None:
                return None
            about = {"on_kind": kind, "on_id": f"@{entity}", "body": self.word()}
            return {"kind": "comment", "entity": f"t{self.word()}", "verb": "create", "set": about}
        visit = self._one(play, phone, "visit")
        if visit is None:
            return None
        changes = self.random.choice(({"outcome": self.word()}, {"minutes": self.word()}, {"mode": "phone"}))
        about = {"visit_id": f"@{visit}", "reason": self.word(), "changes": changes}
        return {"kind": "amendment", "entity": f"a{self.word()}", "verb": "create", "set": about}

    def decide(self, play: Play, phone: Phone) -> Step | None:
        """A word on something that awaits one, or on something decided before."""
        kind = self.random.choice(
            ("conflict", "conflict", "parked", "parked", "suggestion", "amendment", "visit")
        )
        known = sorted(one for one in phone.replica.rows if one[0] == kind)
        if not known:
            return None
        key = self.random.choice(known)
        data = phone.replica.rows[key].data
        the: dict[str, Any] = {"kind": kind}
        if kind == "visit":
            if key[1] not in play.names:
                return None
            about: Any = f"@{play.names[key[1]]}"
        else:
            which = "visit_id" if kind == "amendment" else "entity"
            if data.get(which) not in play.names:
                return None
            the |= {which: play.names[data[which]]}
            the |= {name: data[name] for name in ("field", "code", "reason") if data.get(name) is not None}
            about = {"the": the}
        verdict = self.random.choice(VERDICTS[kind])
        said = {"on_kind": kind, "on_id": about, "verdict": verdict, "word": self.word()}
        return {"kind": "decision", "entity": f"d{self.word()}", "verb": "create", "set": said}

    def manage(self, play: Play, phone: Phone) -> Step | None:
        entity = self._one(play, phone, "customer")
        if entity is None:
            return None
        step: Step = {"kind": "customer", "entity": entity, "verb": "update"}
        roll = self.random.random()
        if roll < 0.5:
            changes = {"owner_id": f"@{self.random.choice(REPS)}"}
            if self.random.random() < 0.5:
                changes["team_id"] = f"@{self.random.choice(TEAMS)}"
            return step | {"set": changes}
        if roll < 0.6:
            return step | {"set": {"grade": self.random.choice("ABC"), "code": self.word()}}
        if roll < 0.65:
            return step | {"set": {"code": f"code{self.random.randrange(3)}"}}
        if roll < 0.7:
            return step | {"set": {"lifecycle": self.random.choice(("customer", "lost"))}}
        archived = (phone.shown("customer", play.ids[entity]) or {}).get("archived")
        return {"kind": "customer", "entity": entity, "verb": "restore" if archived else "archive"}

    def people(self, play: Play, phone: Phone) -> Step | None:
        rep = self.random.choice((*REPS, "mia"))
        step: Step = {"kind": "person", "entity": rep, "verb": "update"}
        shown = phone.shown("person", play.ids[rep])
        if shown is None:
            return None
        if not shown.get("active"):
            return step | {"set": {"active": True}}
        if self.random.random() < 0.25:
            return step | {"set": {"active": False}}
        return step | {"set": {"team_id": f"@{self.random.choice(TEAMS)}"}}

    def _some(self, play: Play, phone: Phone, kind: str) -> list[str]:
        return [play.names[one] for one in phone.known(kind) if one in play.names]

    def _one(self, play: Play, phone: Phone, kind: str) -> str | None:
        known = self._some(play, phone, kind)
        return self.random.choice(known) if known else None

    # -- what happens to phones, network and server ------------------------------------------------------------------------

    def exchange(self, play: Play, phone: Phone) -> Step:
        step: Step = {"do": "exchange", "phone": phone.name}
        roll = self.random.random()
        if roll < 0.4:
            count = self.random.choice((1, 1, 1, 2, 3))
            step["network"] = [self.random.choice((*BROKEN_LINES, "fine")) for _ in range(count)]
        elif roll < 0.48:
            step["network"] = [self.random.choice(CRASHES)]
        elif roll < 0.53:
            step["storage"] = self.random.randrange(4)
        if self.random.random() < 0.3:
            step["limit"] = self.random.choice((1, 2, 3, 5, 8))
        return step

    def tab(self, play: Play, phone: Phone) -> Step:
        if play.begun and self.random.random() < 0.6:
            return {"do": "end", "of": self.random.choice(list(play.begun))}
        step: Step = {"do": "begin", "phone": phone.name, "as": f"tab{self.word()}"}
        if self.random.random() < 0.4:
            step["limit"] = self.random.choice((1, 3, 8))
        return step

    def overlap(self, play: Play, phone: Phone) -> Step | None:
        if not phone.outbox.unsent():
            return None
        others = self.random.sample(sorted(play.phones), min(2, len(play.phones)))
        when = self.random.choice(("begin", "commit"))
        return {"do": "overlap", "phone": phone.name, "others": others, "when": when}

    def fault(self, play: Play, phone: Phone) -> Step | None:
        name = phone.name
        kind = self.random.choices(
            ("restart", "arrive", "clone", "lose", "clock", "pass", "backup", "put back", "lock", "expire",
             "poison", "stumble", "old page", "rescue", "revoke", "collect"),
            (6, 6, 2, 3, 3, 4, 4, 3, 3, 2, 6, 3, 1, 1, 1, 1),
        )[0]  # fmt: skip
        if kind == "arrive":
            return {"do": "arrive", "phone": name} if name in play.on_the_way else None
        if kind == "clone":
            return (
                {"do": "clone", "phone": name, "as": f"{name[:-1]}{len(play.phones) + 1}"}
                if (len(play.phones) < 8)
                else None
            )
        if kind == "lose":
            return {"do": "lose", "phone": name, "what": self.random.choice(("replica", "replica", "outbox"))}
        if kind == "clock":
            minutes = self.random.choice((0, -7, 90, 60 * 24 * 400, -60 * 24 * 800))
            return {"do": "clock", "phone": name, "minutes": minutes}
        if kind == "pass":
            return {"do": "pass", "days": self.random.choice((0, 0, 1, 1, 31, 190)), "minutes": 20}
        if kind == "put back" and play.saved_rows is None:
            return {"do": "backup"}
        if kind == "lock":
            return {"do": "lock", "for": self.random.randrange(1, 4)}
        if kind == "poison":
            number = self.random.randrange(len(POISONS))
            self.count += 1
            return {"do": "poison", "phone": name, "raw": POISONS[number], "number": self.count}
        if kind == "stumble":
            return {"do": "stumble", "phone": name, "times": self.random.randrange(1, 5)}
        if kind == "rescue":
            other = self.random.choice(list(play.phones))
            return {"do": "rescue", "from": name, "to": other} if other != name else None
        if kind in {"backup", "put back", "collect"}:
            return {"do": kind}
        return {"do": kind, "phone": name}


_WAYS = (Chance.work, Chance.exchange, Chance.tab, Chance.overlap, Chance.fault)
_WEIGHTS = (44, 32, 4, 3, 17)
