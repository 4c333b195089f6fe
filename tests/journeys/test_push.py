"""A reminder reaches a closed app: a stock Chromium, a push service on this machine, server and ticker as they run."""

from __future__ import annotations

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
from server.people.model import Login
from server.people.session import hash_password
from server.push.model import Attempt, Delivery, Notice, Subscription
from server.reminders.model import Wish
from tests import world as worlds
from tests.browserpush import PREFERENCES, BrowserPush
from tests.conftest import SECRET
from tests.journeys.conftest import NOON, PASSWORD
from tests.live import LiveServer
from tests.world import World

LONG_MS = 30_000
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map((one) => ({ title: one.title, body: one.body, tag: one.tag }))"""
CLICK = """async () => {
    const [notification] = await self.registration.getNotifications();
    const waits = [];
    const event = new NotificationEvent('notificationclick', { notification });
    event.waitUntil = (work) => waits.push(work);
    self.dispatchEvent(event);
    await Promise.allSettled(waits);
}"""


@pytest.fixture
def post(tmp_path: Path) -> Iterator[BrowserPush]:
    """What the browser is led to instead of its maker's servers."""
    made = BrowserPush(tmp_path)
    yield made
    made.close()


@pytest.fixture
def office(
    post: BrowserPush, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, LiveServer]]:
    """A server, its ticker, and an organisation in which rob may sign in; nobody there has quiet hours."""
    server = LiveServer(sqlite_url, tmp_path / "state", ROUNDS_PUSH_LOOPBACK="1", ROUNDS_PUSH_VIA=post.base)
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


def test_a_reminder_reaches_the_closed_app_once_and_a_tap_opens_what_is_due(
    office: tuple[World, LiveServer], post: BrowserPush, open_browser: Callable[..., Any], tmp_path: Path
) -> None:
    world, server = office
    profile = tmp_path / "profiles" / "rob" / "Default"
    profile.mkdir(parents=True)
    (profile / "Preferences").write_text(PREFERENCES)
    browser = open_browser(
        "rob",
        time_zone=NOON,
        permissions=None,
        switches=post.switches,
        ignore_default_args=["--disable-background-networking"],
    )
    page = browser.page
    page.goto(f"{server.url}/")
    page.get_by_label("E-mail").fill("rob@acme.test")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible(timeout=LONG_MS)
    page.goto(f"{server.url}/me/reminders")
    # On a busy machine the browser may take longer than the app waits; it then says so, and is asked once more.
    button = page.get_by_role("button", name="Remind me on this device")
    reached = page.get_by_text("Reminders reach this device")
    until(lambda: reached.is_visible() or (button.is_visible() and button.click()), page)
    expect(page.get_by_text("nothing sent yet")).to_be_visible(timeout=LONG_MS)
    page.goto("about:blank")  # the app is closed: none of its pages is open

    local = datetime.now(ZoneInfo(NOON)) + timedelta(minutes=30)  # rob is told an hour before: now
    rob = world.phone("rob")
    promise = rob.create(
        "follow_up",
        customer_id=world.ids["Fennimore’s"],
        subject="Send the quote",
        due_date=local.date().isoformat(),
        due_time=local.strftime("%H:%M"),
        due_zone=NOON,
    )
    assert rob.push(promise)[0]["status"] == "applied"
    until(lambda: [one for one in rows(world, Subscription) if one["shown_at"]], page)
    (notice,) = rows(world, Notice)
    assert notice["rule"] == "follow_up_due"
    (delivery,) = rows(world, Delivery)
    assert delivery["state"] == "sent" and delivery["shown_at"]
    assert post.taken == 1

    # A sender that died before it could write down that it had sent: the same is sent again, and replaces itself.
    with world.app.app_context(), writing() as connection:
        connection.execute(update(Delivery).values(state="waiting", due_at=datetime.now(UTC), shown_at=None))
        connection.execute(update(Attempt).values(outcome=None))
    until(lambda: rows(world, Delivery)[0]["shown_at"], page)
    assert post.taken == 2
    assert len(rows(world, Notice)) == 1

    (worker,) = browser.context.service_workers
    shown = worker.evaluate(
        SHOWN.replace("navigator.serviceWorker.ready", "self").replace("(await self)", "self.registration")
    )
    assert [one["tag"] for one in shown] == [notice["id"]]
    assert shown[0]["title"] == "Send the quote"
    assert shown[0]["body"].startswith("Fennimore’s · due ")
    assert not rows(world, Subscription)[0]["opened_at"]

    # The window that is open goes to what is due; a real tap on a system notification is out of a driver's reach.
    page.goto(f"{server.url}/inbox")
    expect(page.get_by_role("link", name="Send the quote")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("img", name="Unread")).to_have_count(1, timeout=LONG_MS)
    worker.evaluate(CLICK)
    page.wait_for_url(f"**/follow-ups/{promise['entity']}")
    expect(page.get_by_text("Send the quote").first).to_be_visible(timeout=LONG_MS)
    until(lambda: rows(world, Subscription)[0]["opened_at"], page)
    until(lambda: rows(world, Notice)[0]["status"] == "read", page)
    assert worker.evaluate("async () => (await self.registration.getNotifications()).length") == 0

    server.stop()  # what was told is on the phone
    page.goto(f"{server.url}/inbox")
    expect(page.get_by_role("link", name="Send the quote")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("img", name="Unread")).to_have_count(0, timeout=LONG_MS)
