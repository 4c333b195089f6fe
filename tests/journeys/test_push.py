"""A reminder reaches a closed app: a stock Chromium, a push service and a desktop on this machine, server and ticker as
they run. The notices are clicked where a person clicks them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, select, update

from server.app import create_app
from server.config import Config
from server.db import db, reading, writing
from server.exchange.model import Journal
from server.followups.model import FollowUp
from server.people.model import Login
from server.people.session import hash_password
from server.push.model import Attempt, Delivery, Notice, Subscription
from server.reminders.model import Reminder, Wish
from server.reminders.tell import tell_due
from tests import world as worlds
from tests.browserpush import PREFERENCES, BrowserPush
from tests.conftest import SECRET
from tests.desktop import Desktop, Shown
from tests.firefox import Autopush, Firefox, program
from tests.journeys.conftest import NOON, PASSWORD
from tests.live import LiveServer
from tests.machine import missing
from tests.world import World

LONG_MS = 30_000


@pytest.fixture
def post(tmp_path: Path) -> Iterator[BrowserPush]:
    """What the browser is led to instead of its maker's servers."""
    made = BrowserPush(tmp_path)
    yield made
    made.close()


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    """Where the browser shows its notices."""
    made = Desktop(tmp_path)
    yield made
    made.close()


@pytest.fixture
def office(
    request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, LiveServer]]:
    """A server, its ticker, and an organisation in which rob may sign in; nobody there has quiet hours."""
    # What Chromium hands out names its maker; Firefox takes the address that its push service says.
    via = {"ROUNDS_PUSH_VIA": request.getfixturevalue("post").base} if "post" in request.fixturenames else {}
    server = LiveServer(sqlite_url, tmp_path / "state", ROUNDS_PUSH_LOOPBACK="1", **via)
    server.start()
    app = create_app(Config(database_url=sqlite_url, secret=SECRET, state_dir=tmp_path / "state"))
    monkeypatch.setattr(worlds, "ZONE", NOON)
    world = World(app)
    world.customer("Fennimore’s", phone="+44 20 7946 0000")
    with app.app_context(), writing() as connection:
        login = update(Login).where(Login.person_id == world.ids["rob"])
        connection.execute(login.values(email="rob@acme.test", password_hash=hash_password(PASSWORD)))
        wish = {"quiet_from": "00:00", "quiet_to": "00:00", "lead_min": 60}
        connection.execute(
            insert(Wish), [{"org_id": world.org, "person_id": world.ids["rob"], "document": wish}]
        )
    ticker = subprocess.Popen(
        [sys.executable, "-m", "server.ticker"], env=server.environment, stdin=subprocess.DEVNULL
    )
    try:
        yield world, server
    finally:
        ticker.terminate()
        ticker.wait(15)
        server.stop()
        with app.app_context():
            db.engine.dispose()


def rows(world: World, model: Any) -> list[dict[str, Any]]:
    with world.app.app_context(), reading() as connection:
        return [
            dict(row)
            for row in connection.execute(select(model.__table__).where(model.org_id == world.org)).mappings()
        ]


def until(true: Callable[[], Any], page: Page | None = None, seconds: float = 60) -> Any:
    """What `true` answers as soon as it is more than nothing; fails when that does not come."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen"
        if page:
            page.wait_for_timeout(50)
        else:
            time.sleep(0.05)
    return found


class Rob:
    """Rob: what the server knows of him, and the browser on which he is told."""

    def __init__(self, world: World, start: Callable[[], Any]) -> None:
        self.world = world
        self._start = start
        self._phone = world.phone("rob")
        self.browser: Any = None

    def start(self) -> Page:
        """Start the browser, with no page of the app in it."""
        self.browser = self._start()
        page: Page = self.browser.page
        return page

    def promises(self, subject: str, minutes: int = 30) -> str:
        """Something he owes in so many minutes, written on another phone of his; he is told an hour before."""
        due = datetime.now(ZoneInfo(NOON)) + timedelta(minutes=minutes)
        made = self._phone.create(
            "follow_up",
            customer_id=self.world.ids["Fennimore’s"],
            subject=subject,
            due_date=due.date().isoformat(),
            due_time=due.strftime("%H:%M"),
            due_zone=NOON,
        )
        assert self._phone.push(made)[0]["status"] == "applied"
        return str(made["entity"])

    def row(self, model: Any, identity: str) -> dict[str, Any]:
        """What the server has under this id."""
        return next(row for row in rows(self.world, model) if row["id"] == identity)

    def writings(self, entity: str) -> int:
        """How many mutations of a phone stand in the journal about this."""
        return len([row for row in rows(self.world, Journal) if row["entity"] == entity])


def entitled(desktop: Desktop, title: str, page: Page) -> Shown:
    """The notice of this title, once it stands on the desktop; a browser that is driven lives while its page is asked."""
    found: Shown = until(lambda: next((one for one in desktop.shown if one.title == title), None), page)
    return found


def test_a_reminder_reaches_the_closed_app_once_and_its_buttons_do_what_they_say(
    office: tuple[World, LiveServer],
    post: BrowserPush,
    desktop: Desktop,
    open_browser: Callable[..., Any],
    tmp_path: Path,
) -> None:
    world, server = office
    profile = tmp_path / "profiles" / "rob" / "Default"
    profile.mkdir(parents=True)
    (profile / "Preferences").write_text(PREFERENCES)
    rob = Rob(
        world,
        lambda: open_browser(
            "rob",
            time_zone=NOON,
            permissions=None,
            switches=post.switches,
            ignore_default_args=["--disable-background-networking"],
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": desktop.address},
        ),
    )
    rob.promises("Ring back", 120)  # the moment to ask whether he wants to be told
    page = rob.start()
    page.goto(f"{server.url}/")
    page.get_by_label("E-mail").fill("rob@acme.test")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Remind me on this device").click(timeout=LONG_MS)
    # The app waits so long for the browser; one that answers later is heard of all the same.
    until(lambda: rows(world, Subscription), page, 120)
    expect(page.get_by_role("button", name="Remind me on this device")).to_have_count(0, timeout=LONG_MS)

    # The browser is away when the reminder comes, and no page of the app is open when it is back.
    rob.browser.close()
    quote = rob.promises("Send the quote")
    until(lambda: post.taken)
    page = rob.start()
    shown = entitled(desktop, "Send the quote", page)
    assert "Fennimore’s · due " in shown.body
    until(lambda: rows(world, Delivery)[0]["shown_at"], page)
    notice = next(row for row in rows(world, Notice) if row["about"][0]["id"] == quote)
    assert notice["rule"] == "follow_up_due"
    assert post.taken == 1

    # A sender that died before it could write down that it had sent: the same is sent again, and replaces itself.
    with world.app.app_context(), writing() as connection:
        connection.execute(update(Delivery).values(state="waiting", due_at=datetime.now(UTC), shown_at=None))
        connection.execute(update(Attempt).values(outcome=None))
    until(lambda: rows(world, Delivery)[0]["shown_at"], page)
    assert post.taken == 2
    shown = entitled(desktop, "Send the quote", page)
    assert [one.title for one in desktop.shown] == ["Send the quote"]
    assert rows(world, Notice)[0]["id"] and not rows(world, Subscription)[0]["opened_at"]

    # A tap opens the app at what is due, with the telephone at hand.
    with rob.browser.context.expect_page(timeout=LONG_MS) as opening:
        desktop.click(shown)
    app: Page = opening.value
    app.wait_for_url(f"**/follow-ups/{quote}", timeout=LONG_MS)
    expect(app.get_by_role("heading", name="Send the quote")).to_be_visible(timeout=LONG_MS)
    expect(app.get_by_role("link", name="+44 20 7946 0000")).to_be_visible()
    until(lambda: rows(world, Subscription)[0]["opened_at"], page)
    until(lambda: rob.row(Notice, notice["id"])["status"] == "read", app)

    # Where the app is open already, that window is taken.
    call = rob.promises("Call the chef")
    desktop.click(entitled(desktop, "Call the chef", page))
    app.wait_for_url(f"**/follow-ups/{call}", timeout=LONG_MS)
    expect(app.get_by_role("heading", name="Call the chef")).to_be_visible(timeout=LONG_MS)
    assert len(rob.browser.context.pages) == 2

    # Kept without signal: once it is sent nobody is reminded of it, of the other one they are.
    kept, owed = rob.promises("Bring samples", 300), rob.promises("Bring the menu", 300)
    app.goto(f"{server.url}/follow-ups")
    box = app.get_by_role("checkbox", name="Done: Bring samples")
    expect(box).to_be_visible(timeout=LONG_MS)
    rob.browser.context.set_offline(True)
    box.click()
    expect(box).to_be_checked()
    assert rob.row(FollowUp, kept)["status"] == "open"
    app.close()

    # Done and snoozed on the lock screen: no page opens for it, and without signal it waits for it.
    done = rob.promises("Post the contract")
    desktop.click(entitled(desktop, "Post the contract", page), "Done")
    later = rob.promises("Ask for the order")
    desktop.click(entitled(desktop, "Ask for the order", page), "In 1 hour")
    until(lambda: not desktop.shown, page)
    assert rob.row(FollowUp, done)["status"] == "open"
    rob.browser.kill()
    page = rob.start()
    assert [one.url for one in rob.browser.context.pages] == ["about:blank"]
    page.goto(f"{server.url}/follow-ups")
    until(lambda: rob.row(FollowUp, done)["status"] == "done", page)
    until(lambda: rob.row(FollowUp, kept)["status"] == "done", page)
    about = {row["about"][0]["id"]: row for row in rows(world, Notice)}
    until(lambda: rob.row(Notice, about[later]["id"])["snoozed_until"], page)
    assert rob.row(FollowUp, later)["status"] == "open"
    assert rob.writings(done) == 2  # made, and done once
    page.goto("about:blank")

    # With signal it is sent at once, from the worker alone.
    sent = rob.promises("Thank them")
    desktop.click(entitled(desktop, "Thank them", page), "Done")
    until(lambda: rob.row(FollowUp, sent)["status"] == "done", page)
    assert rob.writings(sent) == 2
    assert [one.url for one in rob.browser.context.pages] == ["about:blank"]

    # A browser gives its subscription up: the worker renews it by itself; where even that was missed, the next start does.
    (worker,) = rob.browser.context.service_workers
    worker.evaluate(CHANGED)
    assert len(rows(world, Subscription)) == 2
    assert [one["ended_why"] for one in rows(world, Subscription) if one["ended_at"]] == ["replaced"]
    worker.evaluate("async () => (await self.registration.pushManager.getSubscription()).unsubscribe()")
    page.goto(f"{server.url}/me/reminders")
    until(lambda: len(rows(world, Subscription)) == 3, page)
    expect(page.get_by_text("Reminders reach this device")).to_be_visible(timeout=LONG_MS)

    with world.app.app_context():
        while tell_due(world.org, datetime.now(UTC) + timedelta(minutes=260)):
            pass
    told = [row["about"] for row in rows(world, Notice)]
    assert any({"kind": "follow_up", "id": owed} in about for about in told)
    assert not any({"kind": "follow_up", "id": kept} in about for about in told)
    assert not [
        row
        for row in rows(world, Reminder)
        if row["about_id"] in (kept, done, sent) and row["state"] != "told"
    ]
    again = [
        row
        for row in rows(world, Notice)
        if {"kind": "notice", "id": rob.row(Notice, about[later]["id"])["id"]} in row["about"]
    ]
    assert len(again) == 1


# The browser's own announcement of a changed subscription cannot be brought about; what the worker does with it can.
CHANGED = """async () => {
    const old = await self.registration.pushManager.getSubscription();
    await old.unsubscribe();
    const waits = [];
    const event = Object.assign(new Event('pushsubscriptionchange'), { oldSubscription: old });
    event.waitUntil = (work) => waits.push(work);
    self.dispatchEvent(event);
    await Promise.all(waits);
}"""
ALERT = """
    const [alert] = [...Services.wm.getEnumerator("alert:alert")];
    return alert?.document.getElementById("alertTitleLabel")?.value ?? "";  // a window may be there before its page is
"""
PRESS = """
    const [alert] = [...Services.wm.getEnumerator("alert:alert")];
    alert.document.getElementById("alertBox").click();
"""


@pytest.fixture
def firefox_program() -> None:
    """Where REQUIRE_FIREFOX promises one, its absence fails."""
    if program() is None:
        missing("no Firefox is on this machine: name one in FIREFOX", "REQUIRE_FIREFOX")


@pytest.mark.slow
@pytest.mark.usefixtures("firefox_program")
def test_a_reminder_reaches_a_firefox_that_was_away_and_a_tap_opens_what_is_due(
    office: tuple[World, LiveServer], tmp_path: Path
) -> None:
    world, server = office
    push = Autopush()
    rob = Rob(world, lambda: Firefox(tmp_path / "firefox", push, time_zone=NOON))
    firefox = Firefox(tmp_path / "firefox", push, time_zone=NOON)
    try:
        firefox.go(f"{server.url}/")
        email, today = "//input[@type='email']", "//h1[.='Today']"
        until(lambda: firefox.run(f"return {_there(email)};"))
        firefox.type(email, "rob@acme.test")
        firefox.type("//input[@type='password']", PASSWORD)
        firefox.click("//button[normalize-space()='Sign in']")
        until(lambda: firefox.run(f"return {_there(today)};"))
        firefox.go(f"{server.url}/me/reminders")
        button = "//button[contains(., 'Remind me on this device')]"
        until(lambda: firefox.run(f"return {_there(button)};"))
        firefox.click(button)
        until(lambda: rows(world, Subscription))

        firefox.close()
        quote = rob.promises("Send the quote")
        until(lambda: push.taken)
        firefox = Firefox(tmp_path / "firefox", push, time_zone=NOON)
        until(lambda: firefox.run_in_browser(ALERT) == "Send the quote")
        until(lambda: push.shown)
        until(lambda: rows(world, Subscription)[0]["shown_at"])
        assert not any(one.startswith(server.url) for one in firefox.addresses())
        firefox.run_in_browser(PRESS)
        until(lambda: f"{server.url}/follow-ups/{quote}" in firefox.addresses())
        until(lambda: rows(world, Notice)[0]["status"] == "read")
        assert push.taken == 1
    finally:
        firefox.close()
        push.close()


def _there(path: str) -> str:
    """JavaScript that says whether an element is there."""
    return f"document.evaluate({path!r}, document, null, 9).singleNodeValue !== null"
