"""A rep's phone whose browser is killed at random moments of a day: what its screen called saved is on the server, once.

The browser is a real Chromium on a profile that lasts, ended with SIGKILL; between it and the server stands a network that
is often cut. Each round is a day of four visits, a new lead and an edit, with two kills. ROUNDS_FAULT_ROUNDS makes it
longer (1), ROUNDS_FAULT_SEED repeats what a run printed, as far as two clocks beside each other can be repeated.
"""

from __future__ import annotations

import os
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Locator, Page, expect
from sqlalchemy import select, update

from server.app import create_app
from server.config import Config
from server.db import reading, writing
from server.exchange.check import check
from server.exchange.model import Journal
from server.people.model import Login
from server.people.session import hash_password
from tests.conftest import SECRET
from tests.faults.afterwards import let_go, rows
from tests.journeys.conftest import NOON, PASSWORD
from tests.world import World

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROUNDS = int(os.environ.get("ROUNDS_FAULT_ROUNDS", "1"))
VISITS = 4
KILLS = 2
STEPS = 45
"""A day has at least so many steps (a tap, a word typed, a page opened), killed or not."""
WAYS = ("tap", "meanwhile", "word", "answer")
"""Right after a tap; up to a second later; as something is called saved; as the server has answered, unheard."""
WEATHERS = ("pass", "pass", "pass", "refuse", "silence", "lose_answers", "no signal")
PATIENCE_MS = 60_000

MUTATIONS = """async person => {
  const asked = indexedDB.open(`rounds-outbox-${person}`);
  const database = await new Promise((yes, no) => {
    asked.onsuccess = () => yes(asked.result);
    asked.onerror = () => no(asked.error);
  });
  const all = database.transaction('mutations').objectStore('mutations').getAll();
  const found = await new Promise((yes, no) => {
    all.onsuccess = () => yes(all.result);
    all.onerror = () => no(all.error);
  });
  database.close();
  return found.map(({ id, client, state }) => ({ id, client, state }));
}"""
"""What the phone keeps in its outbox, sent or not: every mutation it ever called saved."""


@dataclass
class Stop:
    """A visit to be made. `said` is what the screen has called saved: in, out, outcome, whole; `kept` the words of it."""

    shop: str
    minutes: str
    next_step: str
    said: set[str] = field(default_factory=set)
    kept: str = ""


@dataclass
class Errand:
    """A lead to be made (`name`) or a customer's note to be changed, and whether the screen has called it saved."""

    name: str
    note: str
    said: set[str] = field(default_factory=set)


class Struck(Exception):
    """The browser was killed between two steps."""


class Day:
    """Rob's thumb, and what happens to his phone meanwhile.

    Every deed begins with what the screen shows and asks that the screen still shows what it had called saved; one that
    is cut off by a kill is begun again.
    """

    def __init__(
        self, world: World, proxy: Any, open_browser: Callable[..., Any], chance: random.Random
    ) -> None:
        self.world, self.proxy, self.open_browser, self.chance = world, proxy, open_browser, chance
        self.browser: Any = None
        self.taps = 0
        self.deaths: dict[int, str] = {}
        self.ways: list[str] = []
        self.at_next_word = False
        self.kills: list[str] = []
        self._struck = threading.Event()
        self._striking = threading.Lock()
        self._timer: threading.Timer | None = None
        self._weather = "pass"

    @property
    def page(self) -> Page:
        page: Page = self.browser.page
        return page

    # --- what happens to the phone

    def begin(self) -> None:
        """Draws the kills of a new day."""
        self.taps = 0
        self.deaths = {}
        for at in self.chance.sample(range(1, STEPS), KILLS):
            if not self.ways:
                self.ways = self.chance.sample(WAYS, len(WAYS))
            self.deaths[at] = self.ways.pop()
        print(f"killed at {self.deaths}")

    def step(self) -> None:
        """Before each tap: the network may change, and a death may be near."""
        self.taps += 1
        if self._struck.is_set():
            raise Struck
        if self.chance.random() < 0.2 and not self.armed:
            self.weather(self.chance.choice(WEATHERS))
        due = min(self.deaths, default=self.taps + 1)
        if due <= self.taps and not self.armed:
            self.arm(self.deaths.pop(due))

    @property
    def armed(self) -> bool:
        return self.at_next_word or self._timer is not None or self._weather == "deadly"

    def arm(self, how: str) -> None:
        """Lets it come in one of `WAYS`."""
        self.kills.append(how)
        if how == "word":
            self.at_next_word = True
        elif how == "answer":
            self.weather("pass")
            self._weather = "deadly"
            self.proxy.set("lose_answers", losing=self._deadly, cut=False)
        else:
            # A tap takes a few hundredths of a second to be felt.
            delay = self.chance.uniform(0, 0.15) if how == "tap" else self.chance.uniform(0.15, 1)
            self._timer = threading.Timer(delay, self.strike)
            self._timer.start()

    def _deadly(self, request: bytes) -> bool:
        if b"POST /api/sync" not in request:
            return False
        self.strike()
        return True

    def strike(self) -> None:
        """The battery is flat, now."""
        with self._striking:
            if not self._struck.is_set():
                self._struck.set()
                self.browser.kill()

    def weather(self, weather: str) -> None:
        self._weather = weather
        self.browser.context.set_offline(weather == "no signal")
        if weather == "lose_answers":
            self.proxy.set(weather, losing=lambda request: b"POST /api/sync" in request)
        else:
            self.proxy.set("pass" if weather == "no signal" else weather)

    def said(self, of: Stop | Errand, what: str) -> None:
        """The screen has called it saved."""
        of.said.add(what)
        if self.at_next_word:
            self.strike()

    def open(self) -> None:
        self.browser = self.open_browser("rob", time_zone=NOON)
        self.weather(self._weather if self._weather != "deadly" else "pass")

    def through(self, deed: Callable[..., None], *arguments: Any) -> None:
        """Does a deed, as often as it takes."""
        while True:
            try:
                if self.browser is None:
                    self.open()
                deed(*arguments)
                return
            except (Error, AssertionError, Struck):
                if not self._struck.is_set():
                    raise
                self.bury()

    def bury(self) -> None:
        with self._striking:
            self.browser.kill()
        with suppress(Error):
            self.browser.context.close()
        self.browser, self._timer, self.at_next_word = None, None, False
        self._struck.clear()

    def rest(self) -> None:
        """The network is there to stay; a death that has not come yet comes while the rest is being sent."""
        if not self.armed and self.deaths:
            self.arm(self.deaths.popitem()[1])
        if self._weather != "deadly":
            self.weather("pass")
        self.page.goto(f"{self.proxy.url}/visits")
        expect(self.page.get_by_text("Everything is on the server")).to_be_visible(timeout=PATIENCE_MS)
        expect(self.page.get_by_role("button", name="On this phone")).to_have_count(0, timeout=PATIENCE_MS)
        if self.at_next_word:
            self.strike()
        if self.armed:
            assert self._struck.wait(PATIENCE_MS / 1000)
            raise Struck

    # --- what the thumb does

    def sign_in(self) -> None:
        """Everything is on the phone, and the browser has been closed in good order once: its cookie is on the disk."""
        self.open()
        self.page.goto(f"{self.proxy.url}/")
        self.page.get_by_label("E-mail").fill("rob@acme.test")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
        self.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        self.browser.close()
        self.browser = None

    def start(self) -> str:
        """Opens the app and tells where it leads: `today`, `open`, `sheet` (over a check-out) or `over`."""
        self.step()
        page = self.page
        page.goto(f"{self.proxy.url}/")
        page.wait_for_url(re.compile(r"/(today|visits/[0-9a-f-]+)$"))
        return self.place()

    def place(self) -> str:
        page = self.page
        signs = {
            "sheet": page.get_by_role("heading", name="Saved on this phone"),
            "open": page.get_by_role("button", name="Check out", disabled=False),
            "over": page.get_by_role("button", name="Change").or_(
                page.get_by_role("button", name="Save", exact=True)
            ),
            "today": page.get_by_role("heading", name="Today", exact=True),
        }
        anything = page.get_by_role("heading", name="Saved on this phone")
        for sign in signs.values():
            anything = anything.or_(sign)
        expect(anything.first).to_be_visible()
        return next(name for name, sign in signs.items() if sign.count())

    def tap(self, what: Locator) -> None:
        self.step()
        what.first.click()

    def visit(self, stop: Stop) -> None:
        """A whole visit, from where the screen stands to the day."""
        page, at = self.page, self.start()
        if at == "today":
            if "in" in stop.said:
                # It is not running any more, so it was ended; whatever else, it is in the day.
                self.tap(page.get_by_role("link", name=stop.shop))
                page.wait_for_url(re.compile(r"/visits/[0-9a-f-]+$"))
                at = self.place()
                if at == "sheet":
                    # Killed before it was noted as open: it shows as long as the check-out may be taken back.
                    gone = page.get_by_role("heading", name="Saved on this phone")
                    expect(gone).to_have_count(0, timeout=PATIENCE_MS)
                    at = self.place()
                assert at == "over"
            else:
                self.step()
                page.goto(f"{self.proxy.url}/customers/{self.world.ids[stop.shop]}")
                self.tap(page.get_by_role("button", name="Check in"))
                expect(page.get_by_role("button", name="Check out")).to_be_visible()
                at = "open"
        expect(page.get_by_role("heading", name=stop.shop, level=1)).to_have_count(1)
        self.said(stop, "in")
        if at == "open":
            assert "out" not in stop.said, "a visit that was ended runs on"
            self.write(stop)
            self.tap(page.get_by_role("button", name="Check out"))
            expect(page.get_by_role("heading", name="Saved on this phone")).to_be_visible()
            self.said(stop, "out")
        stop.said.add("out")
        self.tell(stop, at)

    def write(self, stop: Stop) -> None:
        """Types what is missing of the minutes. What the field had called kept must stand there."""
        minutes = self.page.get_by_label("Minutes").last
        there = minutes.input_value()
        assert there.startswith(stop.kept), f"{stop.kept!r} was kept, {there!r} is there"
        assert stop.minutes.startswith(there)
        if not there:
            self.step()
            begun = stop.minutes[: len(stop.minutes) // 2]
            minutes.fill(begun)
            expect(self.page.get_by_text("kept ")).to_be_visible()
            stop.kept = there = begun
            self.said(stop, "words")
        self.step()
        minutes.press("Control+End")
        minutes.press_sequentially(stop.minutes[len(there) :])

    def tell(self, stop: Stop, at: str) -> None:
        """What happened and what comes next, on the sheet or, where that was lost, on the visit's own page."""
        page = self.page
        order = page.get_by_role("button", name="Order", exact=True)
        if at == "over":
            minutes = page.get_by_label("Minutes")
            if not minutes.count():
                self.tap(page.get_by_role("button", name="Change"))
        if "outcome" in stop.said:
            expect(order).to_have_attribute("aria-pressed", "true")
        elif order.get_attribute("aria-pressed") != "true":
            self.tap(order)
            expect(order).to_have_attribute("aria-pressed", "true")
        self.said(stop, "outcome")
        minutes = page.get_by_label("Minutes").last
        there = minutes.input_value()
        assert there.startswith(stop.kept), f"{stop.kept!r} was kept, {there!r} is there"
        self.step()
        minutes.fill(stop.minutes)
        self.step()
        page.get_by_label("What comes next").fill(stop.next_step)
        if at == "over":
            self.tap(page.get_by_role("button", name="Save", exact=True))
            expect(page.get_by_text("Saved on this phone")).to_be_visible()
        else:
            self.tap(page.get_by_role("button", name="Done"))
            expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
        stop.kept = stop.minutes
        self.said(stop, "whole")

    def lead(self, lead: Errand) -> None:
        """A new customer, unless the list has it."""
        self.start()
        page = self.page
        page.goto(f"{self.proxy.url}/customers")
        page.get_by_role("searchbox").fill(lead.name)
        found = page.get_by_role("link", name=lead.name)
        expect(found.or_(page.get_by_text("Nothing matches")).first).to_be_visible()
        if found.count():
            lead.said.add("saved")
            return
        assert not lead.said, "a lead that was called saved is not in the list"
        page.goto(f"{self.proxy.url}/customers/new")
        self.step()
        page.get_by_label("Name").fill(lead.name)
        self.step()
        page.get_by_label("Note").fill(lead.note)
        self.save(lead)

    def edit(self, edit: Errand) -> None:
        """Another note for a customer, unless it stands there."""
        self.start()
        page = self.page
        page.goto(f"{self.proxy.url}/customers/{self.world.ids[edit.name]}")
        expect(page.get_by_role("heading", name=edit.name, level=1)).to_be_visible()
        if edit.said or page.get_by_text(edit.note).count():
            expect(page.get_by_text(edit.note)).to_be_visible()
            edit.said.add("saved")
            return
        page.goto(f"{self.proxy.url}/customers/{self.world.ids[edit.name]}/edit")
        self.step()
        page.get_by_label("Note").fill(edit.note)
        self.save(edit)

    def save(self, errand: Errand) -> None:
        self.tap(self.page.get_by_role("button", name="Save", exact=True))
        expect(self.page.get_by_text("Customer saved on this phone")).to_be_visible()
        self.said(errand, "saved")


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An organisation in which rob has a password and a customer for each visit; mia leads him."""
    monkeypatch.setattr("tests.world.ZONE", NOON)
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "beside"))
    world = World(app)
    login = update(Login).where(Login.person_id == world.ids["rob"])
    with app.app_context(), writing() as connection:
        connection.execute(login.values(email="rob@acme.test", password_hash=hash_password(PASSWORD)))
    for number in range(ROUNDS * VISITS):
        world.customer(shop_of(number))
    yield world
    let_go(world)


def shop_of(number: int) -> str:
    return f"Anchor {number:03}"


def everything(world: World, path: str) -> list[dict[str, Any]]:
    """All items of a list, as mia reads it."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = world.get("mia", f"{path}?limit=100{cursor}").json
        items += answer["items"]
        if not answer.get("next"):
            return items
        cursor = f"&cursor={answer['next']}"


def is_there_once(
    world: World, day: Day, stops: list[Stop], leads: list[Errand], edits: list[Errand]
) -> None:
    """What the screen called saved is on the server, once, word for word, and nothing else is."""
    visits = everything(world, "/api/visits")
    assert Counter(visit["customer"]["name"] for visit in visits) == Counter(stop.shop for stop in stops)
    for visit in visits:
        (stop,) = (stop for stop in stops if stop.shop == visit["customer"]["name"])
        assert stop.said >= {"in", "out", "outcome", "whole"}
        assert (visit["status"], visit["outcome"]) == ("done", "order")
        assert (visit["minutes"], visit["next_step"]) == (stop.minutes, stop.next_step)
    names = Counter(customer["name"] for customer in everything(world, "/api/customers"))
    assert [names[lead.name] for lead in leads] == [1] * len(leads)
    for edit in edits:
        assert world.get("mia", f"/api/customers/{world.ids[edit.name]}").json["note"] == edit.note

    kept = day.page.evaluate(MUTATIONS, world.ids["rob"])
    assert {mutation["state"] for mutation in kept} == {"acked"}
    clients = {mutation["client"] for mutation in kept}
    written = rows(
        world,
        select(Journal.mutation_id, Journal.status).where(
            Journal.org_id == world.org, Journal.client_id.in_(clients)
        ),
    )
    assert Counter(identity for identity, _ in written) == Counter(mutation["id"] for mutation in kept)
    assert {status for _, status in written} == {"applied"}
    with world.app.app_context(), reading() as connection:
        assert check(connection, world.org) == []


def test_a_browser_killed_at_random_moments_of_a_day_keeps_what_it_called_saved_and_doubles_nothing(
    world: World, proxied_server: Any, open_browser: Callable[..., Any]
) -> None:
    seed = int(os.environ.get("ROUNDS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"ROUNDS_FAULT_SEED={seed}")
    day = Day(world, proxied_server, open_browser, random.Random(seed))
    day.sign_in()
    stops: list[Stop] = []
    leads: list[Errand] = []
    edits: list[Errand] = []
    for number in range(ROUNDS):
        day.begin()
        for place in range(VISITS):
            shop = shop_of(number * VISITS + place)
            minutes = f"Talked about the shelf at {shop}. The owner wants {place + 2} more crates by Friday."
            stops.append(Stop(shop, minutes, f"Send {shop} the quote"))
            day.through(day.visit, stops[-1])
            if place == 1:
                leads.append(Errand(f"Lead {number:03}", "Opens in spring."))
                day.through(day.lead, leads[-1])
            if place == 3:
                edits.append(Errand(shop, f"Ring twice at {shop}."))
                day.through(day.edit, edits[-1])
        day.through(day.rest)
        is_there_once(world, day, stops, leads, edits)
    print(f"killed {len(day.kills)} times: {Counter(day.kills)}")
    assert len(day.kills) == ROUNDS * KILLS
