"""A rep's phone without signal, in a real Chromium: what is logged there reaches the server once, whatever is killed."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from server.config import Config
from server.db import db, writing
from server.people.model import Login
from server.people.session import hash_password
from tests.conftest import REPOSITORY, SECRET, app_on
from tests.live import LiveServer
from tests.world import World

PASSWORD = "let rob see his customers"
PLACE = {"latitude": 51.5, "longitude": -0.12, "accuracy": 9.0}
SHOPS = ("Anchor Stores", "Bell & Daughters", "Corner Café", "Dray Inn", "Empire Grill")
SLACK = timedelta(seconds=5)
# A zone in which it is past noon just now: a run around midnight does not cross a day.
NOON = f"Etc/GMT{datetime.now(UTC).hour - 13:+d}".replace("+0", "")


class Rep:
    """Rob with his phone: what a thumb does, one tap after the other."""

    def __init__(self, open_browser: Callable[..., Any], url: str, profile: str = "rob") -> None:
        self.open_browser = open_browser
        self.url = url
        self.profile = profile
        self.browser: Any = None

    @property
    def page(self) -> Page:
        page: Page = self.browser.page
        return page

    def open(self, path: str = "/", wrong: timedelta | None = None) -> None:
        """Takes the phone out: the same profile as before. `wrong` is by how much its clock is ahead of the world."""
        self.browser = self.open_browser(self.profile, geolocation=PLACE, time_zone=NOON)
        if wrong:
            self.browser.context.clock.install(time=datetime.now(UTC) + wrong)
        self.page.goto(self.url + path)

    def sign_in(self) -> None:
        self.page.get_by_label("E-mail").fill("rob@acme.test")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Today")).to_be_visible()

    def is_ready_for_no_signal(self) -> None:
        """The app itself and the customers are on the phone, and the browser has put its cookie on the disk."""
        self.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        self.page.goto(f"{self.url}/customers")
        for shop in SHOPS:
            expect(self.page.get_by_text(shop).first).to_be_visible()
        self.browser.close()

    def visit(self, shop: str) -> None:
        """A whole visit, from the list of customers back to the day."""
        self.check_in(shop)
        self.check_out()
        self.say_what_happened(f"Talked about the shelf at {shop}.")

    def is_sent(self) -> None:
        """Everything on the phone is on the server, says the phone."""
        self.page.goto(f"{self.url}/visits")
        expect(self.page.get_by_role("link", name="Log a past visit")).to_be_visible()
        expect(self.page.get_by_role("button", name="On this phone")).to_have_count(0, timeout=30_000)

    def check_in(self, shop: str) -> None:
        self.page.goto(f"{self.url}/customers")
        self.page.get_by_role("link", name=shop).first.click()
        self.page.get_by_role("button", name="Check in").first.click()
        expect(self.page.get_by_role("button", name="Check out")).to_be_visible()

    def check_out(self) -> None:
        self.page.get_by_role("button", name="Check out").click()
        expect(self.page.get_by_role("heading", name="Saved on this phone")).to_be_visible()

    def say_what_happened(self, minutes: str) -> None:
        self.page.get_by_role("radio", name="Order").or_(
            self.page.get_by_role("button", name="Order")
        ).first.click()
        self.page.get_by_label("Minutes").last.fill(minutes)
        self.page.get_by_role("button", name="Done").click()
        expect(self.page.get_by_role("heading", name="Today")).to_be_visible()


@pytest.fixture
def world(sqlite_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An organisation in which rob owns five customers and has a password; mia leads him."""
    monkeypatch.setattr("tests.world.ZONE", NOON)
    config = Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "state")
    with app_on(config) as app:
        world = World(app)
        login = update(Login).where(Login.person_id == world.ids["rob"])
        with app.app_context(), writing() as connection:
            connection.execute(login.values(email="rob@acme.test", password_hash=hash_password(PASSWORD)))
        for shop in SHOPS:
            world.customer(shop)
        yield world


@pytest.fixture
def rob(world: World, proxied_server: Any, open_browser: Callable[..., Any]) -> Rep:
    """Rob, signed in, with everything on his phone, the phone in his pocket."""
    rep = Rep(open_browser, proxied_server.url)
    rep.open()
    rep.sign_in()
    rep.is_ready_for_no_signal()
    return rep


def board_of(world: World) -> Any:
    """Rob's row of the board, as mia reads it now."""
    (row,) = (r for r in world.get("mia", "/api/board").json["reps"] if r["person"]["name"] == "Rob")
    return row


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Waits for something outside the page, while the page lives on."""
    while not holds():
        page.wait_for_timeout(50)


def visits_of(world: World) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.get("mia", "/api/visits?limit=100").json["items"]
    return items


def test_five_visits_logged_without_a_server_and_through_a_killed_browser_are_on_the_board_once_each(
    world: World, rob: Rep, live_server: Any, proxied_server: Any
) -> None:
    live_server.stop()
    rob.open()
    expect(rob.page.get_by_role("heading", name="Today")).to_be_visible()

    for shop in SHOPS[:2]:
        rob.visit(shop)

    rob.check_in(SHOPS[2])
    rob.page.get_by_label("Minutes").last.fill("The owner wants two more crates")
    expect(rob.page.get_by_text("kept", exact=False).first).to_be_visible()
    rob.browser.kill()

    # It reopens in the visit, the words where they were.
    rob.open()
    expect(rob.page.get_by_role("heading", name=SHOPS[2])).to_be_visible()
    expect(rob.page.get_by_label("Minutes").last).to_have_value("The owner wants two more crates")
    rob.check_out()
    rob.say_what_happened("The owner wants two more crates by Friday.")
    for shop in SHOPS[3:]:
        rob.visit(shop)
    rob.page.goto(f"{rob.url}/visits")
    for shop in SHOPS:
        expect(rob.page.get_by_text(shop).first).to_be_visible()
    expect(rob.page.get_by_role("button", name="On this phone 5")).to_be_visible()

    # The server is back, takes everything, and its first answer is cut off after the commit.
    live_server.start()
    proxied_server.set("lose_answers", losing=lambda request: b"/api/sync" in request)
    rob.page.reload()
    until(rob.page, lambda: proxied_server.answers_lost > 0)
    assert len(visits_of(world)) == 5
    expect(rob.page.get_by_role("button", name="On this phone 5")).to_be_visible()
    proxied_server.set("pass")
    rob.is_sent()

    row = board_of(world)
    assert row["visits"] == 5
    assert sorted(stop["customer"] for stop in row["line"]) == sorted(SHOPS)
    assert row["unsent"] == 0
    assert {stop["trust"] for stop in row["line"]} == {"verified"}
    visits = visits_of(world)
    assert len(visits) == 5
    assert {visit["status"] for visit in visits} == {"done"}
    assert {visit["outcome"] for visit in visits} == {"order"}
    (third,) = (visit for visit in visits if visit["customer"]["name"] == SHOPS[2])
    assert third["minutes"] == "The owner wants two more crates by Friday."


@pytest.mark.parametrize("wrong", [timedelta(hours=2), timedelta(hours=-2)], ids=["fast", "slow"])
def test_a_clock_that_was_always_two_hours_wrong_gives_the_right_times(
    world: World, proxied_server: Any, live_server: Any, open_browser: Callable[..., Any], wrong: timedelta
) -> None:
    rob = Rep(open_browser, proxied_server.url)
    rob.open(wrong=wrong)
    rob.sign_in()
    rob.is_ready_for_no_signal()
    live_server.stop()
    rob.open(wrong=wrong)
    begun = datetime.now(UTC)
    rob.visit(SHOPS[0])
    ended = datetime.now(UTC)
    live_server.start()
    rob.is_sent()
    (stop,) = board_of(world)["line"]
    assert (
        begun - SLACK
        < datetime.fromisoformat(stop["from"])
        < datetime.fromisoformat(stop["to"])
        < ended + SLACK
    )
    (visit,) = visits_of(world)
    claimed = datetime.fromisoformat(visit["check_in"]["wall"])
    assert abs(claimed - wrong - begun) < timedelta(minutes=2)


@pytest.mark.parametrize("wrong", [timedelta(hours=2), timedelta(hours=-2)], ids=["forward", "back"])
def test_a_clock_moved_while_there_was_no_signal_leaves_its_doubt_on_the_visit(
    world: World, rob: Rep, live_server: Any, wrong: timedelta
) -> None:
    live_server.stop()
    rob.open(wrong=wrong)
    rob.visit(SHOPS[0])
    live_server.start()
    rob.is_sent()
    (visit,) = visits_of(world)
    assert visit["server"]["doubt_ms"] > 7_000_000
    assert visit["server"]["trust"] == "review"
    assert "CLOCK_OFF" in visit["server"]["trust_reasons"]


def test_a_session_that_ended_keeps_the_work_and_a_new_one_sends_it(
    world: World, rob: Rep, live_server: Any
) -> None:
    live_server.stop()
    rob.open()
    rob.visit(SHOPS[0])
    rob.browser.context.clear_cookies()
    live_server.start()
    rob.page.reload()
    again = (
        rob.page.get_by_role("link", name="Sign in").or_(rob.page.get_by_role("button", name="Sign in")).first
    )
    expect(again).to_be_visible()
    assert visits_of(world) == []
    if rob.page.get_by_label("Password", exact=True).count() == 0:
        again.click()
    rob.sign_in()
    rob.is_sent()
    (visit,) = visits_of(world)
    assert visit["customer"]["name"] == SHOPS[0]


def test_a_second_tab_shows_what_the_first_one_saves_and_it_arrives_once(world: World, rob: Rep) -> None:
    rob.open()
    second = rob.browser.context.new_page()
    second.goto(f"{rob.url}/visits")
    expect(second.get_by_role("link", name="Log a past visit")).to_be_visible()
    rob.visit(SHOPS[0])
    expect(second.get_by_role("link", name=SHOPS[0])).to_contain_text("Talked about the shelf")
    rob.is_sent()
    assert len(visits_of(world)) == 1


def test_a_copied_browser_profile_loses_nothing_and_doubles_nothing(
    world: World, rob: Rep, live_server: Any, open_browser: Callable[..., Any]
) -> None:
    live_server.stop()
    rob.open()
    rob.visit(SHOPS[0])
    rob.browser.close()
    copy = Rep(open_browser, rob.url, profile="copy")
    shutil.copytree(rob.browser.profile, rob.browser.profile.with_name("copy"))
    for phone, shop in ((rob, SHOPS[1]), (copy, SHOPS[2])):
        phone.open()
        phone.visit(shop)
    live_server.start()
    for phone in (rob, copy):
        phone.page.reload()
        phone.is_sent()
    assert sorted(stop["customer"] for stop in board_of(world)["line"]) == sorted(SHOPS[:3])
    assert len(visits_of(world)) == 3


def test_what_a_server_put_back_to_a_backup_has_lost_is_sent_again(
    world: World, rob: Rep, live_server: Any, sqlite_url: str, tmp_path: Path
) -> None:
    rob.open()
    rob.visit(SHOPS[0])
    rob.is_sent()
    live_server.stop()
    with world.app.app_context():
        db.engine.dispose()
    database = Path(sqlite_url.removeprefix("sqlite:///"))
    backup = tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("vacuum into ?", (str(backup),))
    live_server.start()
    rob.visit(SHOPS[1])
    rob.is_sent()
    assert len(visits_of(world)) == 2

    live_server.stop()
    with world.app.app_context():
        db.engine.dispose()
    for name in (database, database.with_name("rounds.db-wal"), database.with_name("rounds.db-shm")):
        name.unlink(missing_ok=True)
    shutil.copyfile(backup, database)
    live_server.start()
    assert len(visits_of(world)) == 1
    rob.page.reload()
    rob.page.get_by_role("link", name=SHOPS[1]).first.wait_for()
    until(rob.page, lambda: len(visits_of(world)) == 2)
    rob.is_sent()
    assert sorted(visit["customer"]["name"] for visit in visits_of(world)) == sorted(SHOPS[:2])


def test_a_new_version_waits_for_a_word_and_no_form_loses_one(
    world: World, sqlite_url: str, tmp_path: Path, open_browser: Callable[..., Any]
) -> None:
    pages = tmp_path / "pages"
    shutil.copytree(REPOSITORY / "pwa" / "dist", pages)
    server = LiveServer(sqlite_url, tmp_path / "state", ROUNDS_PWA=str(pages))
    server.start()
    try:
        rob = Rep(open_browser, server.url)
        rob.open()
        rob.sign_in()
        rob.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        rob.check_in(SHOPS[0])
        rob.page.get_by_label("Minutes").last.fill("Half a sentence that is not")
        worker = pages / "sw.js"
        worker.write_text(worker.read_text() + "\n// another version\n")
        rob.page.evaluate(
            "navigator.serviceWorker.getRegistration().then((r) => r.update()).then(() => true)"
        )
        rob.page.goto(f"{rob.url}/today")
        take_it = rob.page.get_by_role("button", name="Update")
        expect(take_it).to_be_visible()
        rob.page.evaluate("window.sameDocument = true")
        take_it.click()
        rob.page.wait_for_function("() => window.sameDocument === undefined")
        rob.page.get_by_role("link", name=SHOPS[0]).first.click()
        expect(rob.page.get_by_label("Minutes").last).to_have_value("Half a sentence that is not")
    finally:
        server.stop()


def test_an_invitation_leads_to_the_day_once(
    world: World, live_server: Any, open_browser: Callable[..., Any]
) -> None:
    email = f"ria@{world.org[:8]}.test"
    said = live_server.rounds("person", "invite", "--email", email, "--url", live_server.url, "--json")
    rep = Rep(open_browser, "", profile="ria")
    rep.open(json.loads(said)["invite"])
    rep.page.get_by_label("New password").fill("too short")
    rep.page.get_by_role("button", name="Begin").click()
    expect(rep.page.get_by_text("At least 10 characters.")).to_be_visible()
    rep.page.get_by_label("New password").fill("long enough for ria")
    rep.page.get_by_role("button", name="Begin").click()
    expect(rep.page.get_by_role("heading", name="Today")).to_be_visible()
    rep.browser.close()
    again = Rep(open_browser, "", profile="somebody else")
    again.open(json.loads(said)["invite"])
    again.page.get_by_label("New password").fill("long enough for anybody")
    again.page.get_by_role("button", name="Begin").click()
    expect(again.page.get_by_text("has been used or is too old")).to_be_visible()


def test_the_app_can_be_installed(rob: Rep) -> None:
    rob.open()
    rob.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    devtools = rob.browser.context.new_cdp_session(rob.page)
    assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    assert devtools.send("Page.getAppManifest")["errors"] == []
