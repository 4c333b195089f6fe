"""A rep with a password behind a live server, for the journeys through the rep's screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import update

from server.config import Config
from server.db import writing
from server.people.model import Login
from server.people.session import hash_password
from tests.conftest import SECRET, app_on
from tests.phone import LONDON
from tests.world import World

PASSWORD = "rob walks the north"
# A zone in which it is past noon just now: "an hour ago" is today there, whenever the tests run.
NOON = f"Etc/GMT{datetime.now(UTC).hour - 13:+d}".replace("+0", "")
LONG = ("Ein sehr langer Name " * 9).strip()
SHOP = "Fennimore’s"
RIGHT_TO_LEFT = "مخبز السلام للحلويات"


def let_in(world: World, who: str) -> str:
    """Give somebody the password; returns the address that they sign in with."""
    email = f"{who}@acme.test"
    with world.app.app_context(), writing() as connection:
        login = update(Login).where(Login.org_id == world.org, Login.person_id == world.ids[who])
        connection.execute(login.values(email=email, password_hash=hash_password(PASSWORD)))
    return email


def sign_in(page: Page, url: str, email: str) -> None:
    """Sign in on this page, until the app is there."""
    page.goto(url)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation").first).to_be_visible()


def faults(page: Page) -> list[str]:
    """What axe reports, each with the element it means: in light colours everything, in dark ones what cannot be read."""
    found = []
    for scheme, wanted in (("dark", {"runOnly": ["color-contrast"]}), ("light", None)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.evaluate("Promise.all(document.getAnimations().map(a => a.finished)).then(() => true)")
        found += [(scheme, each) for each in Axe().run(page, options=wanted).response["violations"]]
    return [
        f"{scheme} {each['id']}: {node['html'][:200]} {node['any'][:1]}"
        for scheme, each in found
        for node in each["nodes"]
    ]


def go_to_the_shop(page: Page, url: str) -> None:
    """Open the first customer, once the app is there without a network, too."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{url}/customers")
    page.get_by_role("link", name=SHOP).first.click()
    expect(page.get_by_role("heading", name=SHOP, level=1)).to_be_visible()


@pytest.fixture
def beat(live_server: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The organisation behind the live server. Rob has three customers: here, one kilometre and two away."""
    monkeypatch.setattr("tests.world.ZONE", NOON)
    config = Config(database_url=sqlite_url, secret=SECRET, state_dir=live_server.state_dir)
    with app_on(config) as app:
        world = World(app)
        let_in(world, "rob")
        here = {"lat": LONDON["latitude"], "lon": LONDON["longitude"]}
        world.customer(SHOP, grade="A", phone="+44 20 7946 0000", note="Ring twice.", **here)
        world.customer(LONG, grade="B", lat=here["lat"] + 0.01, lon=here["lon"])
        world.customer(RIGHT_TO_LEFT, grade="C", lat=here["lat"] + 0.02, lon=here["lon"])
        yield world


@pytest.fixture
def on_the_beat(beat: World, live_server: Any, open_browser: Callable[..., Any]) -> Callable[..., Page]:
    """Opens the app as Rob on a phone and signs him in: `on_the_beat()`; options go to the browser."""

    def open_app(**options: Any) -> Page:
        page: Page = open_browser("rob", time_zone=NOON, **options).page
        sign_in(page, f"{live_server.url}/", "rob@acme.test")
        expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
        return page

    return open_app
