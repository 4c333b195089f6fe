"""Words and moments in a rep's hands: what is typed survives a flat battery, what is tapped can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.journeys.conftest import NOON, PASSWORD, RIGHT_TO_LEFT
from tests.world import World

WORDS = "Noor tried the lemon oil with two customers"


def signed_in_phone(open_browser: Callable[..., Any], url: str) -> Any:
    """Rob's phone with the app on it, closed once in good order: its cookie is on the disk like all else."""
    browser = open_browser("rob", time_zone=NOON)
    page: Page = browser.page
    page.goto(f"{url}/")
    page.get_by_label("E-mail").fill("rob@acme.test")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    browser.close()
    return open_browser("rob", time_zone=NOON)


def begin(page: Page, url: str, world: World, customer: str) -> None:
    """Check in at a customer from their card."""
    page.goto(f"{url}/customers/{world.ids[customer]}")
    page.get_by_role("button", name="Check in").click()
    expect(page.get_by_role("button", name="Check out")).to_be_visible()


def kept(page: Page) -> None:
    """Wait until the field says that what was typed is durable."""
    expect(page.get_by_text("kept ")).to_be_visible()


def test_a_killed_browser_reopens_in_the_visit_with_the_text_and_the_caret(
    beat: World, live_server: Any, open_browser: Callable[..., Any]
) -> None:
    browser = signed_in_phone(open_browser, live_server.url)
    page: Page = browser.page
    begin(page, live_server.url, beat, "Fennimore’s")
    field = page.get_by_label("Minutes")
    field.press_sequentially(WORDS)
    for _ in range(9):
        field.press("ArrowLeft")
    field.press_sequentially("good ")
    kept(page)
    # The next key is newer than what the field says is kept: wait for what the promise allows.
    page.evaluate("new Promise(resolve => setTimeout(resolve, 300))")
    browser.kill()

    page = open_browser("rob", time_zone=NOON).page
    page.goto(f"{live_server.url}/")
    field = page.get_by_label("Minutes")
    expect(field).to_have_value(WORDS[:-9] + "good " + WORDS[-9:])
    expect(field).to_be_focused()
    assert field.evaluate("field => field.selectionStart") == len(WORDS) - 9 + len("good ")


def test_a_browser_killed_over_the_check_out_sheet_comes_back_to_it_with_every_word(
    beat: World, live_server: Any, open_browser: Callable[..., Any]
) -> None:
    browser = signed_in_phone(open_browser, live_server.url)
    page: Page = browser.page
    begin(page, live_server.url, beat, "Fennimore’s")
    page.get_by_role("button", name="Check out").click()
    page.get_by_role("dialog").get_by_label("Minutes").press_sequentially(WORDS)
    page.evaluate("new Promise(resolve => setTimeout(resolve, 500))")
    browser.kill()

    page = open_browser("rob", time_zone=NOON).page
    page.goto(f"{live_server.url}/")
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_label("Minutes")).to_have_value(WORDS)
    expect(sheet.get_by_role("button", name="Undo")).to_have_count(0)
    sheet.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    expect(page.get_by_text("On this phone", exact=True)).to_have_count(0)
    visits = beat.get("rob", "/api/visits").json["items"]
    assert [(visit["status"], visit["minutes"]) for visit in visits] == [("done", WORDS)]


def test_a_check_out_taken_back_in_time_leaves_the_visit_running(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    begin(page, live_server.url, beat, "Fennimore’s")
    page.get_by_role("button", name="Check out").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Check out")).to_be_enabled()
    page.get_by_role("button", name="Check out").click()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    expect(page.get_by_text("On this phone", exact=True)).to_have_count(0)
    assert [visit["status"] for visit in beat.get("rob", "/api/visits").json["items"]] == ["done"]


def test_a_forgotten_check_out_is_asked_for_at_the_next_check_in_and_marked(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    begin(page, live_server.url, beat, "Fennimore’s")
    page.goto(f"{live_server.url}/customers/{beat.ids[RIGHT_TO_LEFT]}")
    page.get_by_role("button", name="Check in").click()
    expect(page.get_by_role("heading", name="Still at Fennimore’s?")).to_be_visible()
    page.get_by_role("button", name="Save when I left, then check in").click()
    expect(page.get_by_role("heading", name=RIGHT_TO_LEFT)).to_be_visible()
    expect(page.get_by_role("button", name="Check out")).to_be_visible()
    page.goto(f"{live_server.url}/visits")
    expect(page.get_by_text("Everything is on the server")).to_be_visible()
    states = {v["customer"]["name"]: v for v in beat.get("rob", "/api/visits").json["items"]}
    assert states["Fennimore’s"]["status"] == "done"
    assert states["Fennimore’s"]["late_reason"]
    assert states[RIGHT_TO_LEFT]["status"] == "open"


def test_where_are_you_keeps_the_moment_of_the_tap_and_offers_the_nearest(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat()
    page.get_by_role("button", name="Check in").click()
    expect(page.get_by_text("Time and place kept")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Fennimore’s").click()
    expect(page.get_by_role("button", name="Check out")).to_be_visible()
    expect(page.get_by_text("0 m from the customer, ±12 m")).to_be_visible()


def test_a_phone_that_may_not_locate_itself_still_checks_in_and_says_so(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page]
) -> None:
    page = on_the_beat(permissions=())
    begin(page, live_server.url, beat, "Fennimore’s")
    expect(page.get_by_text("Unverified: position not allowed")).to_be_visible()
    expect(page.get_by_text("The visit is saved all the same.")).to_be_visible()
