"""A visit logged without signal is in the rep's score at once, down to itself, and in the lead's table once it is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from server.indicators.explain import explain
from tests.journeys.conftest import NOON, SHOP, faults, go_to_the_shop, let_in, sign_in
from tests.journeys.test_follow_ups import until
from tests.world import World


def sentences(page: Page) -> list[list[str]]:
    """Each reading, opened, in its sentences."""
    closed = page.locator("h3 button[aria-expanded=false]")
    while closed.count():
        closed.first.click()
    found: list[list[str]] = page.locator("ul.readings > li").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('.first > span:first-child, .said li')]"
        ".map(each => each.textContent.trim()))"
    )
    return found


def test_a_visit_without_signal_is_in_the_score_at_once_and_in_the_leads_table_once_it_is_sent(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page], open_browser: Callable[..., Any]
) -> None:
    month = datetime.now(UTC).astimezone(ZoneInfo(NOON)).date().replace(day=1).isoformat()
    beat.create(
        "visit_kind", "store_call", code="store_call", name="Store call", min_minutes={"in_person": 0}
    )
    indicators = [{"code": "valid_visits", "weight": "80"}, {"code": "coverage", "weight": "40"}]
    indicators.append(
        {"code": "orders", "name": "Orders", "kind": "result", "source": "values", "weight": "80"}
    )
    beat.create(
        "scheme",
        "field",
        name="Field",
        role="rep",
        valid_from=month,
        indicators=indicators,
        status="approved",
    )
    target = {"person_id": beat.ids["rob"], "period": "month", "starts_on": month, "status": "held"}
    beat.create("target", "visits", indicator="valid_visits", amount="2", **target)
    beat.person("fay", "finance", None)
    lead, reviewer, rob = let_in(beat, "mia"), let_in(beat, "fay"), on_the_beat()
    go_to_the_shop(rob, live_server.url)

    rob.context.set_offline(True)
    rob.get_by_role("button", name="Check in").first.click()
    rob.get_by_role("button", name="Check out").click()
    rob.get_by_label("Minutes").fill("They take twelve cases more.")
    rob.get_by_role("button", name="Done", exact=True).click()
    rob.get_by_role("link", name="Score").last.click()
    expect(rob.get_by_text("1 of 2.")).to_be_visible()
    expect(rob.get_by_text("50.00").first).to_be_visible()
    expect(rob.get_by_text("1 record in it is on this phone only")).to_be_visible()
    rob.get_by_role("button", name="Valid visits").click()
    expect(rob.get_by_text("100 × 1 ÷ 2 = 50.00 points.")).to_be_visible()
    assert faults(rob) == []
    rob.get_by_role("button", name="1 counts").click()
    behind = rob.get_by_role("dialog").get_by_role("link", name=SHOP)
    expect(behind).to_contain_text("on this phone")
    assert faults(rob) == []
    behind.click()
    expect(rob.get_by_role("heading", name=SHOP, level=1)).to_be_visible()

    rob.go_back()
    expect(rob.get_by_text("1 of 2.")).to_be_visible()
    here = sentences(rob)

    # Without signal there is nothing of it at the office; with it, the same number to the last digit.
    def of_rob() -> dict[str, Any]:
        found = beat.get("mia", f"/api/scores/{beat.ids['rob']}").json
        assert isinstance(found, dict)
        return found

    assert of_rob()["total"] == "0.00"
    rob.context.set_offline(False)
    until(rob, lambda: of_rob()["total"] == "50.00")
    rob.get_by_role("link", name="Score").last.click()
    expect(rob.get_by_text("1 of 2.")).to_be_visible()
    expect(rob.get_by_text("on this phone only")).to_have_count(0)
    expect(rob.get_by_text("50.00").first).to_be_visible()
    # What the phone said without signal is what the server says, sentence by sentence.
    found = of_rob()
    rows = {one["code"]: one for one in indicators}
    said = [
        explain(
            each,
            rows[each["indicator"]] | {"unit": each["unit"], "direction": each["direction"]},
            "1.5",
            "en",
        )
        for each in found["readings"]
    ]
    assert here == [
        each[:-1] for each in said
    ]  # the last of each is told by the groups of what stands behind it

    def codes() -> list[str]:
        found = beat.get("mia", f"/api/scores/{beat.ids['rob']}/evidence?indicator=orders").json
        return [one["code"] for one in found["not_counted"]]

    mia: Page = open_browser("mia", phone=False, time_zone=NOON).page
    sign_in(mia, f"{live_server.url}/sign-in", lead)
    mia.get_by_role("link", name="Score").first.click()
    row = mia.get_by_role("row", name="Rob")
    expect(row).to_contain_text("50.00")
    assert faults(mia) == []
    row.get_by_role("link", name="Rob").click()
    expect(mia.get_by_role("heading", name="Rob", level=1)).to_be_visible()
    mia.get_by_role("button", name="Valid visits").click()
    mia.get_by_role("button", name="1 counts").click()
    expect(mia.get_by_role("dialog").get_by_role("link", name=SHOP)).to_be_visible()
    assert faults(mia) == []

    # A number that no visit tells goes from the rep's hands to the lead's, and waits apart until it is reviewed.
    rob.get_by_role("button", name="Enter a value").click()
    dialog = rob.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("1200,5")
    dialog.get_by_label("Source").fill("Invoice 118")
    assert faults(rob) == []
    dialog.get_by_role("button", name="Save").click()
    expect(rob.get_by_text("waits for a manager")).to_be_visible()
    expect(rob.get_by_role("listitem").filter(has_text="Invoice 118")).to_contain_text("1,200.5")

    until(rob, lambda: codes() == ["ENTERED"])
    mia.goto(f"{live_server.url}/targets")
    entered = mia.get_by_role("listitem").filter(has_text="Invoice 118")
    expect(entered).to_contain_text("Orders 1,200.5")
    assert faults(mia) == []
    entered.get_by_role("button", name="Confirm").click()
    expect(entered).to_contain_text("waits for finance")
    until(rob, lambda: codes() == ["CONFIRMED"])
    rob.reload()
    expect(rob.get_by_text("waits for finance")).to_be_visible()
    expect(rob.get_by_text("50.00").first).to_be_visible()

    # Finance sees what waits for it and nothing else; once reviewed, it waits no more, and counts.
    fay: Page = open_browser("fay", phone=False, time_zone=NOON).page
    sign_in(fay, f"{live_server.url}/sign-in", reviewer)
    expect(fay.get_by_role("heading", name="Values", level=1)).to_be_visible()
    expect(fay.get_by_role("navigation").first.get_by_role("link")).to_have_text(["Values", "Me"])
    waiting = fay.get_by_role("listitem").filter(has_text="Invoice 118")
    expect(waiting).to_contain_text("Orders 1,200.5")
    assert faults(fay) == []
    waiting.get_by_role("button", name="Review").click()
    expect(fay.get_by_text("No value waits for you.")).to_be_visible()
    assert faults(fay) == []
    until(rob, lambda: codes() == [])
