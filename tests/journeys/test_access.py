"""Every screen of a rep's day as axe, a keyboard, a narrow window and another language meet it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import LONG, NOON, RIGHT_TO_LEFT, faults
from tests.world import World, ago


@pytest.fixture
def worked(beat: World) -> World:
    """The same with a day behind it: a visit that counts, one without minutes, one planned, one change parked."""
    phone = beat.phone("rob")
    customer = beat.ids["Fennimore’s"]
    begun = ago(minutes=41)
    day = datetime.now(ZoneInfo(NOON)).date().isoformat()
    # In the order in which they are written: each takes the next number.
    counted = phone.check_in(customer, begun - timedelta(minutes=60))
    counted_out = phone.check_out(counted["entity"], begun - timedelta(minutes=20))
    wordless = phone.check_in(beat.ids[RIGHT_TO_LEFT], begun)
    receipts = phone.push(
        counted,
        counted_out,
        wordless,
        phone.check_out(wordless["entity"], begun + timedelta(minutes=40), minutes=""),
        phone.create(
            "visit",
            str(uuid4()),
            customer_id=beat.ids[LONG],
            mode="in_person",
            kind="sales_call",
            status="planned",
            planned_date=day,
            planned_time="23:30",
        ),
        phone.mutation(
            "customer", customer, "update", [{"field": "phone", "op": "set", "old": None, "new": 7}]
        ),
    )
    assert [receipt["status"] for receipt in receipts] == ["applied"] * 5 + ["parked"]
    return beat


def to(page: Page, live_server: Any, path: str, heading: str) -> None:
    """Opens a deep link and waits for its heading."""
    page.goto(f"{live_server.url}{path}")
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def test_axe_finds_nothing_from_signing_in_to_the_end_of_a_visit(
    worked: World,
    live_server: Any,
    open_browser: Callable[..., Any],
    on_the_beat: Callable[..., Page],
) -> None:
    stranger: Page = open_browser("nobody").page
    stranger.goto(f"{live_server.url}/")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_text("Write your e-mail.")).to_be_visible()
    assert faults(stranger) == []
    stranger.context.close()

    page = on_the_beat()
    expect(page.get_by_text("Write minutes so it counts")).to_be_visible()
    assert faults(page) == []

    page.get_by_role("button", name="Nearby").click()
    expect(page.get_by_text("Near enough to check in")).to_be_visible()
    assert faults(page) == []

    page.get_by_role("link", name="Fennimore’s").click()
    expect(page.get_by_role("heading", name="Fennimore’s", level=1)).to_be_visible()
    assert faults(page) == []

    page.get_by_role("button", name="Check in").click()
    expect(page.get_by_label("Minutes")).to_be_visible()
    assert faults(page) == []

    page.get_by_role("button", name="Check out").click()
    expect(page.get_by_role("button", name="Done")).to_be_visible()
    page.get_by_role("button", name="Order").click()
    assert faults(page) == []
    page.get_by_role("button", name="Done").click()

    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    page.get_by_role("link", name="Visits", exact=True).click()
    expect(page.get_by_role("link", name="Change of a customer not taken over yet")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("link", name="Change of a customer not taken over yet").click()
    expect(page.get_by_text("A value was not one the server accepts.")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Back").click()

    page.get_by_role("link", name="Fennimore’s").last.click()
    expect(page.get_by_role("heading", name="How it was captured")).to_be_visible()
    page.get_by_role("button", name="History").click()
    expect(page.get_by_text("You made it")).to_be_visible()
    assert faults(page) == []


def test_axe_finds_nothing_on_the_forms_and_on_the_page_about_oneself(
    worked: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    for path, heading in [
        ("/me", "Me"),
        ("/me/device", "This phone"),
        ("/visits/past", "Log a past visit"),
        ("/visits/plan", "Plan a visit"),
        ("/customers/new", "New customer"),
        ("/nowhere", "Rounds"),
    ]:
        to(page, live_server, path, heading)
        assert faults(page) == [], path
    to(page, live_server, "/visits/past", "Log a past visit")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Choose a customer.")).to_be_visible()
    page.get_by_role("button", name="Choose a customer").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults(page) == []


def test_axe_finds_nothing_on_empty_screens(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    expect(page.get_by_text("No visits yet today")).to_be_visible()
    assert faults(page) == []
    to(page, live_server, "/visits", "My visits")
    expect(page.get_by_text("No visits yet.")).to_be_visible()
    assert faults(page) == []
    to(page, live_server, "/customers", "Customers")
    page.get_by_label("Search customers").fill("nobody of that name")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    assert faults(page) == []


def test_nothing_lies_beyond_the_edge_of_a_narrow_phone_even_with_large_text(
    worked: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    page.set_viewport_size({"width": 320, "height": 640})
    customer = worked.ids[LONG]
    for path in [
        "/today",
        "/customers",
        f"/customers/{customer}",
        f"/customers/{worked.ids[RIGHT_TO_LEFT]}",
        "/visits",
        "/visits/past",
        "/visits/plan",
        "/customers/new",
        "/me",
        "/me/device",
    ]:
        page.goto(f"{live_server.url}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for size in ("100%", "200%"):
            page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, f"{path} at {size}"


def test_whatever_can_be_tapped_is_large_enough_for_a_thumb(
    worked: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    # What a chip shows is smaller than what it takes: its ::after belongs to it.
    measure = """() => [...document.querySelectorAll('a[href], button, input:not([hidden]), select, textarea')]
      .filter(e => e.checkVisibility() && !e.closest('.skip'))
      .map(e => ({ box: e.getBoundingClientRect(), more: parseFloat(getComputedStyle(e, '::after').top) || 0, e }))
      .filter(({ box, more }) => box.height - 2 * Math.min(0, more) < 48 || box.width < 32)
      .map(({ box, e }) => `${e.outerHTML.slice(0, 120)} ${box.width}x${box.height}`)"""
    for path, heading in [
        ("/today", "Today"),
        ("/customers", "Customers"),
        ("/visits", "My visits"),
        ("/me", "Me"),
        ("/me/device", "This phone"),
        (f"/customers/{worked.ids[LONG]}", LONG),
    ]:
        to(page, live_server, path, heading)
        assert page.evaluate(measure) == [], path


def test_a_sheet_keeps_the_keyboard_and_gives_it_back(
    worked: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    to(page, live_server, "/visits/plan", "Plan a visit")
    opener = page.get_by_role("button", name="Choose a customer")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_language_is_chosen_once_and_told_to_whoever_reads_aloud(
    worked: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    to(page, live_server, "/me", "Me")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="我", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.goto(f"{live_server.url}/today")
    expect(page.get_by_role("heading", name="今天", exact=True)).to_be_visible()
    expect(page.get_by_text("补写小结后计入")).to_be_visible()
    assert faults(page) == []


def test_an_insecure_address_explains_itself_instead_of_staying_blank(
    live_server: Any, open_browser: Callable[..., Any]
) -> None:
    page: Page = open_browser("insecure", switches=("--host-resolver-rules=MAP rounds.test 127.0.0.1",)).page
    page.goto(f"http://rounds.test:{live_server.port}/")
    expect(page.get_by_role("heading", name="This address is not secure")).to_be_visible()
    expect(page.get_by_text(f"http://rounds.test:{live_server.port}")).to_be_visible()
    assert faults(page) == []
