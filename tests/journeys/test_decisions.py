"""What two people changed without knowing of each other, and what could not be taken: decided on real phones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from server.config import Config
from server.db import writing
from server.people.model import Login
from server.people.session import hash_password
from tests import disputes
from tests.conftest import SECRET, app_on
from tests.journeys.conftest import faults
from tests.world import World

PASSWORD = "let everybody decide"
DESKTOP = {"width": 1280, "height": 800}
# A zone in which it is past noon just now: "an hour ago" is today there, whenever the tests run.
NOON = f"Etc/GMT{datetime.now(UTC).hour - 13:+d}".replace("+0", "")
SHOP = "Fennimore’s"


@pytest.fixture
def north(live_server: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The organisation behind the live server. Rob owns a shop, Mia leads him; both have a password."""
    monkeypatch.setattr("tests.world.ZONE", NOON)
    config = Config(database_url=sqlite_url, secret=SECRET, state_dir=live_server.state_dir)
    with app_on(config) as app:
        world = World(app)
        with app.app_context(), writing() as connection:
            for who in ("rob", "mia"):
                login = update(Login).where(Login.person_id == world.ids[who])
                connection.execute(
                    login.values(email=f"{who}@acme.test", password_hash=hash_password(PASSWORD))
                )
        world.customer(SHOP, phone="0555 01 20 14", note="Ring twice.")
        yield world


@pytest.fixture
def signed_in(north: World, live_server: Any, open_browser: Callable[..., Any]) -> Callable[..., Page]:
    """Opens the app as somebody: `signed_in("rob")`, `signed_in("mia", desktop=True)`."""

    def open_app(who: str, *, desktop: bool = False) -> Page:
        page: Page = open_browser(who, phone=not desktop, time_zone=NOON).page
        if desktop:
            page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        page.goto(f"{live_server.url}/sign-in")
        page.get_by_label("E-mail").fill(f"{who}@acme.test")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation").first).to_be_visible()
        return page

    return open_app


def writes_without_signal(page: Page, url: str, phone: str) -> None:
    """Opens the shop, loses the signal, and changes its telephone number."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{url}/customers")
    page.get_by_role("link", name=SHOP).click()
    expect(page.get_by_role("heading", name=SHOP, level=1)).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Edit customer").click()
    page.get_by_label("Phone", exact=True).fill(phone)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Customer saved on this phone")).to_be_visible()


def shop_phone(world: World) -> Any:
    """The telephone number which the server holds."""
    return world.get("mia", f"/api/customers/{world.ids[SHOP]}").json["phone"]


def test_two_values_are_shown_to_who_wrote_one_taken_with_a_tap_taken_back_and_told_in_the_history(
    north: World, live_server: Any, signed_in: Callable[..., Page]
) -> None:
    rob, mia = signed_in("rob"), signed_in("mia")
    writes_without_signal(rob, live_server.url, "0555 01 20 41")
    writes_without_signal(mia, live_server.url, "0555 01 78 00")
    mia.context.set_offline(False)
    expect(mia.get_by_text("on this phone", exact=False).first).to_be_hidden(timeout=20_000)
    rob.context.set_offline(False)
    chip = rob.get_by_role("link", name="1 needs you")
    expect(chip).to_be_visible(timeout=20_000)

    chip.click()
    card = rob.get_by_role("link", name="Phone: two values")
    card.click()
    expect(rob.get_by_role("heading", name="Phone: which is right?")).to_be_visible()
    expect(rob.get_by_text("0555 01 20 41").first).to_be_visible()
    expect(rob.get_by_text("Mia, today")).to_be_visible()
    assert faults(rob) == []

    take = rob.get_by_role("button", name="Take Mia’s 0555 01 78 00")
    take.click()
    expect(card).to_have_count(0)
    rob.get_by_role("button", name="Undo").click()
    expect(rob.get_by_text("Taken back")).to_be_visible()
    card.click()
    take.click()
    expect(rob.get_by_role("button", name="Decided (1)")).to_be_visible()
    # Leaving the page records what could still be undone.
    rob.goto(f"{live_server.url}/customers/{north.ids[SHOP]}")
    expect(rob.get_by_text("0555 01 78 00")).to_be_visible(timeout=20_000)
    assert shop_phone(north) == "0555 01 78 00"

    rob.get_by_role("button", name="History").click()
    newest = rob.locator(".history ol > li").first
    expect(newest).to_contain_text("You changed it (by a decision)")
    expect(newest).to_contain_text("0555 01 20 41")
    assert faults(rob) == []
    newest.get_by_role("button", name="Restore").click()
    expect(rob.get_by_text("Restored, saved on this phone")).to_be_visible()
    expect(rob.locator("dd").get_by_text("0555 01 20 41")).to_be_visible()


def test_a_lead_that_was_not_taken_goes_through_with_its_visit_when_it_is_tried_again(
    north: World, live_server: Any, signed_in: Callable[..., Page]
) -> None:
    lead = disputes.lead_without_a_team(north)
    page = signed_in("rob")
    page.goto(f"{live_server.url}/visits")
    page.get_by_role("link", name="New customer not taken over yet").click()
    expect(page.get_by_role("heading", name="2 changes wait behind it")).to_be_visible()
    expect(page.get_by_text("Orchard Street Deli").first).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("It is tried again")).to_be_visible()
    page.goto(f"{live_server.url}/customers/{lead}")
    expect(page.get_by_role("heading", name="Orchard Street Deli", level=1)).to_be_visible(timeout=20_000)
    expect(page.get_by_text("They want twelve cases by Friday.")).to_be_visible()
    page.goto(f"{live_server.url}/visits")
    expect(page.get_by_role("button", name="Decided (3)")).to_be_visible()


def test_who_leads_sees_what_is_known_before_deciding_and_goes_through_it_with_keys(
    north: World, live_server: Any, signed_in: Callable[..., Page]
) -> None:
    ids = disputes.disagree(north)
    page = signed_in("mia", desktop=True)
    page.get_by_role("link", name="Review").click()
    page.get_by_role("button", name=disputes.CELLAR).click()
    pane = page.get_by_role("region", name=disputes.CELLAR)
    expect(pane.get_by_text("The position lies farther away than its accuracy explains.")).to_be_visible()
    expect(pane.get_by_text("I checked in on the stairs")).to_be_visible()
    assert faults(page) == []

    page.keyboard.press("d")
    expect(pane.get_by_text("Write a word first.")).to_be_visible()
    page.get_by_role("heading", name="Review", level=1).click()
    page.keyboard.press("a")
    expect(page.get_by_text("Accepted, it counts")).to_be_visible()
    expect(page.get_by_role("button", name=disputes.CELLAR)).to_have_count(0)

    page.get_by_role("button", name="Correction: Check-out").click()
    expect(page.get_by_text("Forgot to check out, left at half past.")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved", exact=True)).to_be_visible()
    page.goto(f"{live_server.url}/review")
    page.get_by_role("button", name="Decided 2").click()
    expect(page.get_by_text("Accepted by you")).to_be_visible()

    def judged() -> bool:
        visit, long = (
            north.get("mia", f"/api/visits/{ids[name]}").json["server"] for name in ("visit", "long")
        )
        # 110 minutes as captured, 38 as corrected.
        return bool(visit["accepted"] and visit["valid"] and long["duration_s"] < 3600)

    if not judged():
        page.wait_for_event("response", lambda _: judged(), timeout=20_000)
