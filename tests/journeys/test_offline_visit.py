"""A rep's phone without signal, in a real Chromium: what is logged there reaches the server once, whatever is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from server.app import create_app
from server.config import Config
from server.db import db, writing
from server.people.model import Login
from server.people.session import hash_password
from tests.conftest import SECRET
from tests.world import World

PASSWORD = "let rob see his customers"
PLACE = {"latitude": 51.5, "longitude": -0.12, "accuracy": 9.0}
SHOPS = ("Anchor Stores", "Bell & Daughters", "Corner Café", "Dray Inn", "Empire Grill")
# A zone in which it is past noon just now: a run around midnight does not cross a day.
NOON = f"Etc/GMT{datetime.now(UTC).hour - 13:+d}".replace("+0", "")


class Rep:
    """Rob with his phone: what a thumb does, one tap after the other."""

    def __init__(self, open_browser: Callable[..., Any], url: str) -> None:
        self.open_browser = open_browser
        self.url = url
        self.browser: Any = None

    @property
    def page(self) -> Page:
        page: Page = self.browser.page
        return page

    def open(self, path: str = "/", **options: Any) -> None:
        """Takes the phone out: the same profile as before."""
        self.browser = self.open_browser("rob", geolocation=PLACE, time_zone=NOON, **options)
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
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "state"))
    world = World(app)
    login = update(Login).where(Login.person_id == world.ids["rob"])
    with app.app_context(), writing() as connection:
        connection.execute(login.values(email="rob@acme.test", password_hash=hash_password(PASSWORD)))
    for shop in SHOPS:
        world.customer(shop)
    yield world
    with app.app_context():
        db.engine.dispose()


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
        rob.check_in(shop)
        rob.check_out()
        rob.say_what_happened(f"Talked about the shelf at {shop}.")

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
        rob.check_in(shop)
        rob.check_out()
        rob.say_what_happened(f"Talked about the shelf at {shop}.")
    rob.page.goto(f"{rob.url}/visits")
    for shop in SHOPS:
        expect(rob.page.get_by_text(shop).first).to_be_visible()
    expect(rob.page.get_by_role("button", name="On this phone 5")).to_be_visible()

    # The server is back, takes everything, and its first answer is cut off after the commit.
    live_server.start()
    proxied_server.set("lose_answers", losing=lambda request: b"/api/sync" in request)
    rob.page.reload()
    while proxied_server.answers_lost == 0:
        rob.page.wait_for_timeout(50)
    assert len(visits_of(world)) == 5
    expect(rob.page.get_by_role("button", name="On this phone 5")).to_be_visible()
    proxied_server.set("pass")
    rob.page.reload()
    expect(rob.page.get_by_role("button", name="On this phone")).to_have_count(0, timeout=30_000)

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
