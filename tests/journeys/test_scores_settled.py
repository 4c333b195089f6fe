"""What people settle about scores with each other, by screen: appeals and reopening, targets, places, schemes.

One server and one browser for all of them, with a rep on a phone, who leads them and an administrator at desks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select, update

from server.app import create_app
from server.config import Config
from server.db import db, reading, writing
from server.exchange.apply import lock_head
from server.indicators.close import adjust_within, close_within, closing_id
from server.indicators.explain import explain
from server.indicators.model import IndicatorScheme
from server.indicators.periods import Period, before, period_of
from server.people.model import Login, Setting
from server.people.session import hash_password
from tests.conftest import SECRET
from tests.journeys.conftest import NOON, PASSWORD, faults
from tests.journeys.test_follow_ups import until
from tests.journeys.test_score import sentences
from tests.live import LiveServer
from tests.machine import chromium
from tests.phone import SWITCHES
from tests.world import World

TODAY = datetime.now(UTC).astimezone(ZoneInfo(NOON)).date()
MONTH = period_of("month", TODAY)
LAST = before(MONTH)
DESK = {"width": 1280, "height": 900}


class Settling:
    """The organisation with Rob's phone, and Mia's and Ada's desks, signed in and never loaded again."""

    def __init__(self, world: World, url: str, pages: dict[str, Page]) -> None:
        self.world = world
        self.url = url
        self.rob, self.mia, self.ada = (pages[who] for who in ("rob", "mia", "admin"))

    def close(self, period: Period) -> None:
        """Close a period for Rob, as the ticker does; tell what came later where it is closed already."""
        with self.world.app.app_context(), writing() as connection:
            lock_head(connection, self.world.org)
            now = datetime.now(UTC)
            if not close_within(connection, self.world.org, period, [self.world.ids["rob"]], now):
                identity = closing_id(self.world.org, self.world.ids["rob"], period)
                assert adjust_within(connection, self.world.org, [identity], now) == 1

    def setting(self, key: str) -> Any:
        """What the organisation has set."""
        with self.world.app.app_context(), reading() as connection:
            return connection.execute(select(Setting.value).where(Setting.key == key)).scalar()

    def scheme(self, name: str) -> str | None:
        """The status of a scheme."""
        wanted = select(IndicatorScheme.status).where(IndicatorScheme.name == name)
        with self.world.app.app_context(), reading() as connection:
            return connection.execute(wanted).scalar()

    def visit(self, customer: str, day: date) -> None:
        """A visit of Rob's that counts, at noon of a day."""
        phone = self.world.phone("rob")
        at = datetime.combine(day, time(12), ZoneInfo(NOON)).astimezone(UTC)
        begun = phone.check_in(customer, at)
        receipts = phone.push(begun, phone.check_out(begun["entity"], at + timedelta(minutes=40)))
        assert [one["status"] for one in receipts] == ["applied", "applied"], receipts


def heard(page: Page, what: Locator) -> None:
    """Waits for something that somebody else did, asking the server as a page does when it comes into sight."""
    for _ in range(100):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        try:
            expect(what).to_be_visible(timeout=300)
            return
        except AssertionError:
            continue
    expect(what).to_be_visible()


@pytest.fixture(scope="module")
def settling(
    _sqlite_template: Path, _playwright: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settling]:
    folder = tmp_path_factory.mktemp("settling")
    url = f"sqlite:///{folder / 'rounds.db'}"
    shutil.copyfile(_sqlite_template, folder / "rounds.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.world.ZONE", NOON)
        world = World(create_app(Config(database_url=url, secret=SECRET, state_dir=folder / "state")))
        for name in ("ned", "nia"):
            world.person(name, "rep", "north")
        with world.app.app_context(), writing() as connection:
            for who in ("rob", "mia", "admin"):
                login = update(Login).where(Login.person_id == world.ids[who])
                connection.execute(
                    login.values(email=f"{who}@acme.test", password_hash=hash_password(PASSWORD))
                )
        # Theirs for as long as the scheme is: whose a customer was is known from the day on which it came in.
        with time_machine.travel(datetime.combine(LAST.starts_on, time(12), UTC)):
            world.customer("Shop")
            world.customer("Arcade")
        world.create(
            "scheme",
            "field",
            name="Field",
            role="rep",
            valid_from=LAST.starts_on.isoformat(),
            indicators=[
                {"code": "valid_visits", "weight": "80", "target": "2"},
                {"code": "coverage", "weight": "20"},
            ],
            status="approved",
        )
        server = LiveServer(url, folder / "state")
        server.start()
        browser = _playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        phone = {k: v for k, v in _playwright.devices["Pixel 7"].items() if k != "default_browser_type"}
        pages = {}
        for who in ("rob", "mia", "admin"):
            shape = phone if who == "rob" else {"viewport": DESK}
            page = browser.new_context(locale="en-GB", timezone_id=NOON, **shape).new_page()
            page.goto(f"{server.url}/sign-in")
            page.get_by_label("E-mail").fill(f"{who}@acme.test")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("link", name="Score", exact=True).last.click()
            expect(page.get_by_role("button", name="Month")).to_be_visible()
            pages[who] = page
        settled = Settling(world, server.url, pages)
        yield settled
        browser.close()
        server.stop()
        with world.app.app_context():
            db.engine.dispose()


def test_an_appeal_is_answered_and_the_month_opened_with_a_reason_and_closed_with_what_came_late(
    settling: Settling,
) -> None:
    world, rob, mia, ada = settling.world, settling.rob, settling.mia, settling.ada
    shop = world.ids["Shop"]
    settling.visit(shop, LAST.starts_on + timedelta(days=9))
    settling.close(LAST)
    settling.visit(shop, LAST.starts_on + timedelta(days=11))
    settling.close(LAST)

    # The closed figure stands; what came later is told beside it, with what caused it.
    rob.get_by_role("button", name="Earlier period").click()
    heard(rob, rob.get_by_text("Closed: it does not change any more"))
    heard(rob, rob.get_by_text("50.00 → 100.00"))
    expect(rob.get_by_role("link", name="A visit that came later")).to_have_count(1)
    rob.get_by_role("button", name="Appeal").click()
    dialog = rob.get_by_role("dialog")
    dialog.get_by_label("Say what should be looked at again").fill("The visit of the 12th was made in time.")
    assert faults(rob) == []
    dialog.get_by_role("button", name="Appeal").click()
    expect(rob.get_by_text("An appeal waits for an answer.")).to_be_visible()

    # Who leads sees it without having to look for it, with the figures it is about, and answers once.
    open_ = mia.get_by_role("listitem").filter(has_text="The visit of the 12th was made in time.")
    heard(mia, open_)
    expect(open_).to_contain_text("Closed with 50.00")
    open_.get_by_role("button", name="Answer").click()
    dialog = mia.get_by_role("dialog")
    expect(dialog.get_by_text("Valid visits: 1 of 2")).to_be_visible()
    expect(dialog.get_by_role("button", name="Uphold")).to_be_disabled()
    dialog.get_by_label("Your answer").fill("It was. The figure is opened again.")
    assert faults(mia) == []
    dialog.get_by_role("button", name="Uphold").click()
    expect(mia.get_by_role("heading", name="Appeals that wait for an answer")).to_have_count(0)
    heard(rob, rob.get_by_role("heading", name="Answer of Mia"))
    expect(rob.get_by_text("It was. The figure is opened again.")).to_be_visible()
    expect(rob.get_by_text("50.00", exact=True)).to_be_visible()
    assert faults(rob) == []

    # Only an administrator opens it, and only with a reason.
    ada.get_by_role("button", name="Earlier period").click()
    ada.get_by_role("row", name="Rob").get_by_role("link", name="Rob").click()
    ada.get_by_role("button", name="Reopen").click()
    dialog = ada.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Reopen")).to_be_disabled()
    dialog.get_by_label("Why").fill("A visit came late.")
    assert faults(ada) == []
    dialog.get_by_role("button", name="Reopen").click()
    expect(ada.get_by_text("Reopened: A visit came late.")).to_be_visible()
    heard(rob, rob.get_by_text("Reopened: A visit came late."))
    expect(rob.get_by_text("100.00", exact=True)).to_be_visible()
    settling.close(LAST)
    heard(rob, rob.get_by_text("Closed: it does not change any more"))
    expect(rob.get_by_text("100.00", exact=True)).to_be_visible()
    expect(rob.get_by_text("It was. The figure is opened again.")).to_be_visible()


def test_a_team_target_is_spread_and_a_rep_proposes_another_that_the_manager_takes_or_not(
    settling: Settling,
) -> None:
    rob, mia = settling.rob, settling.mia
    mia.get_by_role("link", name="Targets").click()
    mia.get_by_label("North, the team as one").fill("12")
    mia.get_by_role("button", name="Spread over 4 people").click()
    expect(mia.get_by_label("Rob", exact=True)).to_have_value("3")
    mia.get_by_role("button", name="Save").click()
    expect(mia.get_by_text("5 targets saved")).to_be_visible()
    assert faults(mia) == []

    rob.get_by_role("link", name="Score", exact=True).last.click()
    heard(rob, rob.get_by_text("of 3."))
    for wanted, deed, left in (("9", "Decline", "declined"), ("2", "Accept", None)):
        rob.get_by_role("button", name="Propose another target").click()
        dialog = rob.get_by_role("dialog")
        dialog.get_by_label("Amount").fill(wanted)
        dialog.get_by_label("Why").fill("Two weeks off.")
        dialog.get_by_role("button", name="Propose").click()
        expect(rob.get_by_text(f"Proposed: {wanted}, waits for a manager")).to_be_visible()
        proposal = mia.get_by_role("listitem").filter(has_text=f"Rob proposes {wanted}")
        heard(mia, proposal)
        expect(proposal).to_contain_text("Two weeks off.")
        proposal.get_by_role("button", name=deed).click()
        expect(proposal).to_have_count(0)
        if left:
            heard(rob, rob.get_by_text(f"Proposed: {wanted}, {left}"))
            assert faults(rob) == []
        else:
            heard(rob, rob.get_by_text(f"of {wanted}."))
    expect(mia.get_by_label("Rob", exact=True)).to_have_value("2")
    expect(mia.get_by_label("North, the team as one")).to_have_value("12")


def test_reps_see_of_places_what_the_administrator_lets_them(settling: Settling) -> None:
    rob, ada = settling.rob, settling.ada
    shown = ada.get_by_label("What reps see of places in their team")
    if not shown.is_visible():
        ada.get_by_role("link", name="Score", exact=True).last.click()
    ranks, board = rob.get_by_text("Rank 1 of 4"), rob.get_by_role("region", name="Leaderboard of the team")

    def look() -> None:
        """Asks for the places anew, as whoever turns to another period and back does."""
        rob.get_by_role("button", name="Week").click()
        rob.get_by_role("button", name="Month").click()

    def choose(what: str, word: str) -> None:
        shown.select_option(label=what)
        until(ada, lambda: settling.setting("leaderboard") == word)
        look()

    rob.get_by_role("link", name="Score", exact=True).last.click()
    look()
    expect(ranks).to_be_visible()
    expect(board).to_have_count(0)
    choose("Names, ranks and totals of all", "all")
    expect(board.get_by_role("row", name="Ned")).to_contain_text("0.00")
    expect(board.get_by_role("row", name="Rob (you)")).to_be_visible()
    assert faults(rob) == []
    choose("Nothing", "off")
    expect(board).to_have_count(0)
    expect(ranks).to_have_count(0)
    choose("Their own rank", "own")
    expect(ranks).to_be_visible()
    expect(board).to_have_count(0)


def test_a_scheme_out_of_a_template_is_seen_by_the_rep_before_it_holds(settling: Settling) -> None:
    rob, ada = settling.rob, settling.ada
    ada.get_by_role("link", name="Score", exact=True).last.click()
    ada.get_by_role("link", name="Schemes").click()
    ada.get_by_role("button", name="New scheme").click()
    ada.get_by_label("From a template").select_option(label="Balanced")
    ada.get_by_label("Name", exact=True).fill("From next month")
    ada.get_by_role("textbox", name="Weight of Valid visits").fill("25")
    ada.get_by_role("button", name="Bring to 100").click()
    expect(ada.get_by_text("Weights make 100.")).to_be_visible()
    assert faults(ada) == []
    # Tried before it is proposed: nobody has anything but visits, of which no target is set.
    ada.get_by_role("button", name="Try it on").click()
    expect(ada.get_by_role("heading", name="by this scheme")).to_be_visible()
    assert faults(ada) == []
    ada.get_by_role("button", name="Propose").click()
    entry = ada.get_by_role("listitem").filter(has_text="From next month")
    expect(entry).to_contain_text("proposed")

    # A rep reads of it at once, and is measured by it no sooner than said.
    rob.get_by_role("link", name="Score", exact=True).last.click()
    coming = rob.get_by_text("another scheme holds: From next month")
    heard(rob, coming)
    expect(rob.get_by_text("· Field")).to_be_visible()
    entry.get_by_role("button", name="Approve").click()
    expect(entry).to_contain_text("approved")
    expect(ada.get_by_role("listitem").filter(has_text="holds now")).to_contain_text("Field")
    until(ada, lambda: settling.scheme("From next month") == "approved")
    expect(coming).to_be_visible()
    assert faults(rob) == []


def test_a_day_that_is_over_goes_by_whose_customers_they_were_then_as_the_server_knows(
    settling: Settling,
) -> None:
    world, rob = settling.world, settling.rob
    yesterday = TODAY - timedelta(days=1)
    settling.visit(world.ids["Arcade"], yesterday)
    rob.get_by_role("link", name="Score", exact=True).last.click()
    rob.get_by_role("button", name="Day").click()
    rob.get_by_role("button", name="Coverage of own customers").click()
    heard(rob, rob.get_by_role("button", name="2 not visited"))
    world.change("customer", "Arcade", owner_id=world.ids["ria"])
    heard(rob, rob.get_by_role("button", name="1 not visited"))

    # One of two that were theirs: by whose they are today it would be none of one.
    rob.get_by_role("button", name="Earlier period").click()
    expect(rob.get_by_text("As the server has it")).to_be_visible()
    expect(rob.get_by_text("50 % so far")).to_be_visible()
    found = world.get("mia", f"/api/scores/{world.ids['rob']}?period=day&starts_on={yesterday}").json
    rows: dict[str, dict[str, Any]] = {
        each["indicator"]: {"weight": each["weight"], "unit": each["unit"], "direction": each["direction"]}
        for each in found["readings"]
    }
    said = [explain(each, rows[each["indicator"]], "1.5", "en")[:-1] for each in found["readings"]]
    assert sentences(rob) == said
    assert faults(rob) == []

    # Without the server its number is not known, and the page says what it shows instead.
    rob.context.set_offline(True)
    rob.get_by_role("button", name="Later period").click()
    rob.get_by_role("button", name="Earlier period").click()
    expect(rob.get_by_text("Here it goes by whose they are today.")).to_be_visible()
    expect(rob.get_by_text("0 % so far", exact=False).first).to_be_visible()
    expect(rob.get_by_text("50 % so far")).to_have_count(0)
    rob.context.set_offline(False)
