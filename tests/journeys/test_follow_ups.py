"""A promise made at a check-out without signal: it is on the list, with whoever leads, and gone once it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.journeys.conftest import NOON, SHOP, faults, go_to_the_shop, let_in, sign_in
from tests.world import World


def of_rob(world: World, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.get("mia", f"/api/follow-ups?status={status}").json["items"]
    return items


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Waits for something outside the page, while the page lives on."""
    while not holds():
        page.wait_for_timeout(50)


def test_a_promise_made_and_kept_without_signal_comes_to_the_lead_and_goes_again(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page], open_browser: Callable[..., Any]
) -> None:
    lead, rob = let_in(beat, "mia"), on_the_beat()
    go_to_the_shop(rob, live_server.url)

    # Promised where the visit ends; what is owed is the text beside it.
    rob.context.set_offline(True)
    rob.get_by_role("button", name="Check in").first.click()
    rob.get_by_role("button", name="Check out").click()
    rob.get_by_role("button", name="Tomorrow 09:00").click()
    expect(rob.get_by_text("Follow-up:", exact=False).first).to_be_visible()
    rob.get_by_label("What comes next").fill("Send the quote for 24 cases")
    rob.get_by_role("button", name="Done", exact=True).click()
    expect(rob.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    rob.get_by_role("link", name="Follow-ups").last.click()
    expect(rob.get_by_role("heading", name="Tomorrow")).to_be_visible()
    expect(rob.get_by_role("link", name="Send the quote for 24 cases")).to_contain_text(SHOP)
    assert of_rob(beat, "open") == []
    rob.context.set_offline(False)
    until(rob, lambda: len(of_rob(beat, "open")) == 1)
    (owed,) = of_rob(beat, "open")
    assert owed["subject"] == "Send the quote for 24 cases"
    assert owed["due_time"][:5] == "09:00"
    assert owed["visit_id"] is not None

    mia: Page = open_browser("mia", phone=False, time_zone=NOON).page
    sign_in(mia, f"{live_server.url}/sign-in", lead)
    mia.get_by_role("link", name="Follow-ups").first.click()
    expect(mia.get_by_role("heading", name="Rob")).to_contain_text("1 open")
    expect(mia.get_by_role("link", name="Send the quote for 24 cases")).to_be_visible()
    assert faults(mia) == []
    mia.get_by_role("button", name="Change: Send the quote for 24 cases").click()
    mia.get_by_label("Owner").select_option(label="Ria")
    assert faults(mia) == []
    mia.get_by_role("button", name="Close").click()

    # Kept without signal, taken back, kept again; the row stays where it was while one looks.
    rob.context.set_offline(True)
    kept = rob.get_by_role("checkbox", name="Done: Send the quote for 24 cases")
    kept.click()
    expect(kept).to_be_checked()
    rob.get_by_role("button", name="Undo").click()
    expect(kept).not_to_be_checked()
    kept.click()
    expect(kept).to_be_checked()
    assert faults(rob) == []
    assert len(of_rob(beat, "open")) == 1
    rob.context.set_offline(False)
    until(rob, lambda: len(of_rob(beat, "done")) == 1)
    mia.reload()
    expect(mia.get_by_text("Nobody in your teams owes anything.")).to_be_visible()

    # A notice's "done" is carried out as the page opens, once.
    rob.goto(f"{live_server.url}/follow-ups/{owed['id']}")
    rob.get_by_role("button", name="Open again").click()
    expect(rob.get_by_role("button", name="Done", exact=True)).to_be_visible()
    rob.goto(f"{live_server.url}/follow-ups/{owed['id']}?do=done")
    expect(rob.get_by_role("button", name="Open again")).to_be_visible()
    expect(rob).to_have_url(f"{live_server.url}/follow-ups/{owed['id']}")
    expect(rob.get_by_role("button", name="Undo")).to_be_visible()
    assert faults(rob) == []
    rob.goto(f"{live_server.url}/follow-ups/{owed['id']}?do=call")
    rob.get_by_role("button", name="Open again").click()
    expect(rob.get_by_role("link", name=f"Call {SHOP}")).to_have_attribute("href", "tel:+442079460000")
