"""A phone as PROTOCOL describes it: an outbox that outlives everything, a disposable replica, an exchange between.

What is durable lies in `Outbox` and `Replica` and changes in whole transactions only; `Phone.storage` counts these, so
that a death or a full disk can be put before any of them. Everything else dies with the page.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.exchange.kinds import WRITABLE
from sync.mutation import instant_text
from tests.faults.sim.house import ZONE, identity

KEEP = timedelta(days=30)
MOST_FORKS = 3
MOST_IN_A_BATCH = 200
MOST_BYTES = 256 * 1024
VIEW_DAYS = 180


class Offline(Exception):
    """No whole answer came back."""


class StorageFailed(Exception):
    """A transaction of the phone's failed: no room, or a handle that is dead."""


class Died(Exception):
    """The page died before the next transaction."""


@dataclass
class Saved:
    """A mutation in an outbox. `n` is the order of saving; `settled`: the replica is known to contain it."""

    n: int
    id: str
    client: str
    seq: int
    body: dict[str, Any]
    saved_at: datetime
    state: str = "unsent"
    settled: bool = False
    acked_at: datetime | None = None
    receipt: dict[str, Any] | None = None
    voided: dict[str, Any] | None = None
    again: bool = False
    """It was acknowledged before and is only asked about once more."""

    def wire(self) -> dict[str, Any]:
        """As it is sent."""
        return {"seq": self.seq, "id": self.id} | self.body


@dataclass
class Outbox:
    """The database that outlives everything else on the device."""

    client: str
    predecessor: str | None = None
    next_seq: int = 1
    known: bool = False
    acked: int = 0
    rows: list[Saved] = field(default_factory=list)
    next_n: int = 1
    born: str = ""

    def __post_init__(self) -> None:
        """Remember the first client id: by it one outbox is told from the next."""
        self.born = self.born or self.client

    def unsent(self) -> list[Saved]:
        """What nobody has confirmed, in the order of its numbers."""
        rows = [row for row in self.rows if row.state == "unsent" and row.client == self.client]
        return sorted(rows, key=lambda row: row.seq)

    def due(self, asked: set[str]) -> list[Saved]:
        """What goes next, without a gap: what is unsent, and before it what was confirmed and never seen in the
        replica, unless it was `asked` about: the server may have lost it since, and nothing else would show it."""
        rows = sorted(
            (
                row
                for row in self.rows
                if row.client == self.client
                and (row.state == "unsent" or not (row.settled or row.id in asked))
            ),
            key=lambda row: row.seq,
        )
        return [row for place, row in enumerate(rows) if row.seq == rows[0].seq + place]


@dataclass
class Held:
    """A row of the replica. A scope with `~` before it waits for confirmation."""

    version: int
    scopes: set[str]
    data: dict[str, Any]


@dataclass
class Replica:
    """The copy of what the server lets its person see."""

    rows: dict[tuple[str, str], Held] = field(default_factory=dict)
    token: str | None = None
    resting: bool = True
    complete: bool = False


@dataclass
class Ended:
    """How an exchange ended: `done offline sign-in too-old busy stopped`."""

    how: str


Exchange = Generator[dict[str, Any], tuple[int, dict[str, Any]], Ended]


class Phone:
    """One browser profile in the hands of one person."""

    def __init__(self, name: str, person: str, clock: Any) -> None:
        self.name = name
        self.person = person
        self.clock = clock
        self.device = identity(f"device:{name}")
        self.cookie: str | None = None
        self.made = 0
        self.minutes_off = 0.0
        self.offset_ms: float | None = None
        self.lives = 1
        self.born = clock.now
        self.protocol = 1
        self.breath: int | None = None
        self.last_words: type[Exception] = Died
        self.outbox = Outbox(self.new_id())
        self.replica = Replica()
        self.clients = 1
        self.ended: Ended | None = None
        self.upload_only = False
        self.astray = False  # a tab waits for an answer that a server gave before it was put back
        self.met: set[str] = set()  # what it ever held a row of
        self.blind: set[str] = set()  # what was unsent when the replica was lost

    def new_id(self) -> str:
        """The next id this phone makes."""
        self.made += 1
        return identity(f"{self.name}:{self.made}")

    # -- time ------------------------------------------------------------------------------------------------

    def wall(self, minutes: float = 0) -> datetime:
        """What this phone's clock shows, so many minutes from now."""
        return self.clock.now + timedelta(minutes=self.minutes_off + minutes)

    def moment(self, minutes: float = 0) -> dict[str, Any]:
        """A moment as this phone tells it."""
        return {
            "wall": instant_text(self.wall(minutes)),
            "mono_ms": max(0.0, (self.clock.now - self.born).total_seconds() * 1000 + minutes * 60_000),
            "life": identity(f"life:{self.name}:{self.lives}"),
            "offset_ms": self.offset_ms,
            "zone": ZONE,
        }

    # -- storage ---------------------------------------------------------------------------------------------

    def storage(self) -> None:
        """A transaction begins; where the phone was to die or to fail, nothing of it happens."""
        if self.breath is not None:
            if self.breath == 0:
                self.breath = None
                raise self.last_words
            self.breath -= 1

    def restart(self) -> None:
        """The page dies and is opened again; old things are forgotten as at every start."""
        self.lives += 1
        self.born = self.clock.now
        self.offset_ms = None
        self.protocol = 1
        self.breath = None
        self.prune()

    def prune(self) -> None:
        """Forget what was confirmed more than 30 days ago, but nothing that still needs somebody."""
        before = self.wall() - KEEP
        self.outbox.rows = [
            row
            for row in self.outbox.rows
            if row.acked_at is None
            or row.acked_at >= before
            or not row.settled
            or row.voided
            or (row.receipt or {}).get("status") == "parked"
        ]

    def lose_outbox(self) -> None:
        """The browser threw the outbox away; another begins."""
        self.outbox = Outbox(self.new_id())

    def copy_as(self, name: str) -> Phone:
        """A copy of this profile that lives on by itself."""
        other = Phone(name, self.person, self.clock)
        other.outbox, other.replica = copy.deepcopy(self.outbox), copy.deepcopy(self.replica)
        other.cookie, other.device = self.cookie, self.device
        other.met, other.blind = set(self.met), set(self.blind)
        other.minutes_off, other.astray = self.minutes_off, self.astray
        return other

    # -- writing ---------------------------------------------------------------------------------------------

    def save(self, wanted: dict[str, Any]) -> Saved:
        """Seal one mutation and give it its number, in one transaction."""
        self.storage()
        box = self.outbox
        body = json.loads(json.dumps({"schema": 1} | wanted))
        row = Saved(box.next_n, self.new_id(), box.client, box.next_seq, body, self.wall())
        box.next_n += 1
        box.next_seq += 1
        box.rows.append(row)
        return row

    def take_in(self, rows: list[Saved]) -> int:
        """Take mutations of a rescue file in, as new ones with their old ids; returns how many were new."""
        self.storage()
        box, added = self.outbox, 0
        known = {row.id for row in box.rows}
        for row in sorted(rows, key=lambda one: one.n):
            if row.id not in known:
                box.rows.append(
                    Saved(
                        box.next_n,
                        row.id,
                        box.client,
                        box.next_seq,
                        row.body,
                        row.saved_at,
                        voided=row.voided,
                    )
                )
                box.next_n += 1
                box.next_seq += 1
                added += 1
        return added

    # -- what the screens show -------------------------------------------------------------------------------

    def shown(self, kind: str, entity: str) -> dict[str, Any] | None:
        """The record as the screens show it: the replica with the outbox laid over it; None for an unknown one."""
        held = self.replica.rows.get((kind, entity))
        data = dict(held.data) if held else None
        for row in self.outbox.rows:
            if not row.settled and row.body.get("kind") == kind and row.body.get("entity") == entity:
                data = _laid_over(data, row.voided or row.body)
        return data

    def version_of(self, kind: str, entity: str) -> int:
        """The version of the row that is held, 0 for none."""
        held = self.replica.rows.get((kind, entity))
        return held.version if held else 0

    def known(self, kind: str) -> list[str]:
        """The ids of all records of a kind that the screens show, in a fixed order."""
        ids = {entity for (name, entity) in self.replica.rows if name == kind}
        ids |= {
            row.body["entity"]
            for row in self.outbox.rows
            if not row.settled and row.body.get("kind") == kind and row.body.get("verb") == "create"
        }
        return sorted(ids)

    # -- the exchange ----------------------------------------------------------------------------------------

    def exchange(self, limit: int = 1000) -> Exchange:
        """One whole exchange: yields requests, is sent (status, body), or is thrown `Offline`."""
        most, forks, lacked, pulling = MOST_IN_A_BATCH, 0, 0, True
        asked: set[str] = set()  # what this exchange has carried: it need not be asked about again
        while True:
            box = self.outbox
            self._void_what_is_too_large()
            batch = (box.due(asked) if pulling else box.unsent())[:most]
            again = {row.id: row.receipt for row in batch if row.state == "acked"}
            fresh = len(batch) - len(again)
            asked |= {row.id for row in batch}
            client, predecessor, acked = box.client, box.predecessor, box.acked
            token = self.replica.token
            sent_at = self.wall()
            request = {
                "protocol": self.protocol,
                "client": client,
                "predecessor": predecessor,
                "sent": self.moment(),
                "device": {
                    "unsent": len(box.unsent()) - fresh,
                    "oldest": None,
                    "app": "sim",
                    "persisted": True,
                    "push": "default",
                },
                "mutations": [row.wire() for row in batch],
                "pull": {"token": token, "limit": limit} if pulling else None,
            }
            try:
                status, body = yield request
            except Offline:
                return Ended("offline")
            if "received_at" in body:
                received = datetime.fromisoformat(body["received_at"])
                self.offset_ms = round((received - sent_at).total_seconds() * 1000)
            if body.get("receipts"):
                self.accept(client, body["receipts"], again)
            if status == 200:
                if not batch:
                    self.accept(client, [])
                lost = not batch and body["last_seq"] < acked
                if lost:
                    if not self.resend_from(body["last_seq"] + 1):
                        self.fork(client)
                    lacked += 1
                    if lacked > MOST_FORKS:
                        return Ended("stopped")
                self.upload_only = bool(body.get("upload_only"))
                more = False
                page = body["pull"]
                if page:
                    # Before the page and its token are kept: whoever dies in between would never hear of it again.
                    anew = token is None and acked > 0  # a lost replica could not notice what the server lost
                    if anew or _is_read_again(page):
                        self.resend_all()
                    applied = self.apply(page, token)
                    if applied and not page["more"] and not lost:
                        self.settle(client, page["acked_seq"], asked)
                    if not applied:
                        asked.clear()  # the token that is kept instead may be older than these receipts
                    more = page["more"] or not applied
                if more or lost or (self.outbox.due(asked) if pulling else self.outbox.unsent()):
                    continue
                return Ended("done")
            if status == 409:
                forks += 1
                if forks > MOST_FORKS:
                    return Ended("stopped")
                gap = body["code"] == "SEQ_GAP" and isinstance(body.get("expected"), int)
                if not (gap and self.resend_from(body["expected"])):
                    self.fork(client, None if gap else body["from"])
                    asked.clear()
                continue
            if status == 413 and batch:
                if len(batch) > 1:
                    most = (len(batch) + 1) // 2
                else:
                    self.void(batch[0])
                continue
            if status == 401:
                return Ended("sign-in")
            if status == 426:
                if not pulling or not fresh:
                    return Ended("too-old")
                pulling = False
                continue
            return Ended("busy" if status >= 500 or status == 429 else "stopped")

    def accept(
        self,
        client: str,
        receipts: list[dict[str, Any]],
        again: dict[str, dict[str, Any] | None] | None = None,
    ) -> None:
        """Note receipts given to `client`; one whose number or id is not ours changes nothing.

        Nor does one for what has a receipt, unless that was asked about `again` with this very receipt in hand.
        """
        self.storage()
        box = self.outbox
        by_id = {row.id: row for row in box.rows}
        for receipt in receipts:
            row = by_id.get(receipt["id"])
            if row is None or (row.client, row.seq) != (client, receipt["seq"]):
                continue
            if box.client == client:
                box.acked = max(box.acked, row.seq)
            if row.receipt is None or row.receipt == (again or {}).get(row.id):
                row.state, row.acked_at, row.receipt = "acked", self.wall(), receipt
        if box.client == client:
            box.known = True

    def settle(self, client: str, acked_seq: int, asked: set[str]) -> None:
        """A pull came to rest: what it contains, and was `asked` about, need no longer be laid over the replica."""
        self.storage()
        if self.outbox.client != client:
            return
        for row in self.outbox.rows:
            if row.state == "acked" and (row.client != client or (row.seq <= acked_seq and row.id in asked)):
                row.settled = True

    def resend_from(self, expected: int) -> bool:
        """Queue again, under the same numbers, what the server lacks; False where that cannot be supplied whole."""
        self.storage()
        box = self.outbox
        rows = sorted(
            (row for row in box.rows if row.client == box.client and row.seq >= expected),
            key=lambda row: row.seq,
        )
        box.acked = min(box.acked, expected - 1)
        for row in rows:
            _queue_again(row)
        return bool(rows) and [row.seq for row in rows] == list(range(expected, box.next_seq))

    def resend_all(self) -> None:
        """Queue again all that is kept: the server may have been put back. Its ids tell it what it still has.

        What went under an earlier client id has to come before what followed it, so a new client begins then.
        """
        self.storage()
        box = self.outbox
        rows = [row for row in box.rows if row.state == "acked"]
        for row in rows:
            _queue_again(row)
        if rows:
            box.acked = 0
        if any(row.client != box.client for row in rows):
            self._renumber()

    def fork(self, client: str, taken: int | None = None) -> None:
        """Take a new client id, the old one as its predecessor, and number anew what the replica may not hold.

        From the number `taken` on, others have the numbers: what was confirmed under them is not there any more.
        """
        self.storage()
        box = self.outbox
        if box.client != client:
            return
        for row in box.rows:
            if taken is not None and row.client == client and row.seq >= taken and not row.settled:
                _queue_again(row)
        self._renumber()

    def _renumber(self) -> None:
        box = self.outbox
        old = box.client
        box.predecessor = old if box.known else box.predecessor
        box.client, box.known, box.acked = self.new_id(), False, 0
        self.clients += 1
        rows = sorted((row for row in box.rows if not row.settled), key=lambda row: row.n)
        for number, row in enumerate(rows, 1):
            row.client, row.seq = box.client, number
        box.next_seq = len(rows) + 1

    def void(self, row: Saved) -> None:
        """What no server would take goes as a `void` under its number; its content stays here."""
        self.storage()
        if row.voided is None:
            row.voided = row.body
            row.body = row.body | {"verb": "void", "base": 0, "ops": []}

    def _void_what_is_too_large(self) -> None:
        for row in self.outbox.unsent():
            if row.voided is None and len(json.dumps(row.wire())) > MOST_BYTES:
                self.void(row)

    def apply(self, page: dict[str, Any], since: str | None) -> bool:
        """One page, its token and what it says of scopes, in one transaction; False where another tab was quicker."""
        self.storage()
        if self.replica.token != since:
            return False
        self._apply_rows(page)
        self._keep_token(page)
        self.astray = self.astray and not _is_read_again(page)
        return True

    def _keep_token(self, page: dict[str, Any]) -> None:
        self.replica.token = page["token"]
        self.replica.resting = not page["more"]
        self.replica.complete = self.replica.complete or not page["more"]

    def _apply_rows(self, page: dict[str, Any]) -> None:
        rows, needed = self.replica.rows, self.needed()
        for scope in page["drop"]:
            self._leave({scope, f"~{scope}"})
        for scope in page["reset"]:
            for held in rows.values():
                if scope in held.scopes:
                    held.scopes = held.scopes - {scope} | {f"~{scope}"}
                    held.version = 0  # the server may have been put back: whatever it sends now is right
        for wire in page["rows"]:
            key = (wire["kind"], wire["id"])
            held = rows.get(key)
            if held is None and "data" not in wire:
                continue
            if held is None:
                held = rows[key] = Held(0, set(), {})
                self.met.add(wire["id"])
            for scope, there in wire["scopes"].items():
                held.scopes.discard(f"~{scope}")
                (held.scopes.add if there else held.scopes.discard)(scope)
            if "data" in wire and wire["version"] >= held.version:
                held.data = wire["data"]
            held.version = max(held.version, wire["version"])
            if not held.scopes and key not in needed:
                del rows[key]
        if not page["more"]:
            marks = {scope for held in rows.values() for scope in held.scopes if scope.startswith("~")}
            self._leave(marks)
            self.sweep()

    def _leave(self, names: set[str]) -> None:
        needed = self.needed()
        for key, held in list(self.replica.rows.items()):
            if held.scopes & names:
                held.scopes = held.scopes - names
                if not held.scopes and key not in needed:
                    del self.replica.rows[key]

    def sweep(self) -> None:
        """Rows that no scope holds and nothing unacknowledged refers to any more."""
        needed = self.needed()
        for key, held in list(self.replica.rows.items()):
            if not held.scopes and key not in needed:
                del self.replica.rows[key]

    def needed(self) -> set[tuple[str, str]]:
        """Rows that what is unacknowledged touches or refers to."""
        wanted = set()
        for row in self.outbox.rows:
            if row.state == "unsent":
                wanted |= references(row.voided or row.body)
        return wanted


def _is_read_again(page: dict[str, Any]) -> bool:
    return any(scope.startswith("person:") for scope in page["reset"])


def references(body: dict[str, Any]) -> set[tuple[str, str]]:
    """What a mutation touches or refers to, as (kind, id)."""
    found = {(str(body.get("kind")), str(body.get("entity")))}
    kind = WRITABLE.get(str(body.get("kind")))
    ops = body.get("ops")
    for op in ops if kind and isinstance(ops, list) else []:
        if isinstance(op, dict) and op.get("field") in kind.references and isinstance(op.get("new"), str):
            found.add((kind.references[op["field"]], op["new"]))
    return found


def _queue_again(row: Saved) -> None:
    if row.state == "acked":
        row.state, row.settled, row.receipt, row.acked_at = "unsent", False, None, None
        row.again = True


def _laid_over(data: dict[str, Any] | None, body: dict[str, Any]) -> dict[str, Any] | None:
    verb = body.get("verb")
    if verb == "create":
        data = dict(data or {})
    if data is None or verb not in {"create", "update", "archive", "restore"}:
        return data
    if verb in {"archive", "restore"}:
        return data | {"archived": verb == "archive"}
    data = dict(data)
    for op in body.get("ops") or []:
        if not isinstance(op, dict) or not isinstance(op.get("field"), str):
            continue
        name, word = op["field"], op.get("op")
        if word in {"set", "text", "go"}:
            data[name] = op.get("new")
        elif word in {"add", "remove"} and isinstance(op.get("values"), list):
            there = [one for one in data.get(name) or [] if one not in op["values"]]
            data[name] = there + op["values"] if word == "add" else there
    return data
