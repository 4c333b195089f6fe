"""The day board in a real Chromium, read from a production server: what a manager is told, and what they are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from server.config import Config
from server.db import writing
from server.exchange.model import Client
from server.people.model import Login
from server.people.session import hash_password
from tests.conftest import SECRET, app_on
from tests.journeys.conftest import faults
from tests.world import World, ago, fix, text

PASSWORD = "let mia see the north"
PHONE = {"width": 412, "height": 839}
DESKTOP = {"width": 1280, "height": 800}
# The board rereads every 30 seconds.
REREAD_MS = 31_000


# A zone in which it is past noon just now: "forty minutes ago" is today there, whenever the tests run.
NOON = f"Etc/GMT{datetime.now(UTC).hour - 13:+d}".replace("+0", "")


@pytest.fixture
def north(live_server: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The organisation behind the live server; its manager mia leads rob and ria, and has a password."""
    monkeypatch.setattr("tests.world.ZONE", NOON)
    config = Config(database_url=sqlite_url, secret=SECRET, state_dir=live_server.state_dir)
    with app_on(config) as app:
        world = World(app)
        login = update(Login).where(Login.person_id == world.ids["mia"])
        with app.app_context(), writing() as connection:
            connection.execute(login.values(email="mia@acme.test", password_hash=hash_password(PASSWORD)))
        world.customer("Fennimore’s")
        yield world


@pytest.fixture
def board(north: World, live_server: Any, open_browser: Callable[..., Any]) -> Callable[..., Page]:
    """Opens the board as mia: `board()` on a phone, `board(desktop=True)`; `at` is a query to open it with."""

    def open_board(at: str = "", *, desktop: bool = False, **options: Any) -> Page:
        page: Page = open_browser("mia", phone=not desktop, **options).page
        page.set_viewport_size(DESKTOP if desktop else PHONE)  # type: ignore[arg-type]
        page.goto(f"{live_server.url}/sign-in")
        page.get_by_label("E-mail").fill("mia@acme.test")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(row(page, "Ria")).to_be_visible()
        if at:
            page.goto(f"{live_server.url}/board{at}")
            expect(page.locator("[data-rep]").first).to_be_visible()
        return page

    return open_board


def row(page: Page, name: str) -> Any:
    """A rep's row of the board."""
    return page.locator("main li", has=page.get_by_role("button", name=name, exact=True)).first


def day_field(page: Page) -> Any:
    """The field in which any day can be chosen."""
    return page.get_by_role("textbox", name="Day", exact=True)


def today() -> str:
    """The day it is in the organisation's zone."""
    return datetime.now(ZoneInfo(NOON)).date().isoformat()


def visited(world: World, who: str, **how: Any) -> str:
    """A finished visit of forty minutes that ended a minute ago; returns its id."""
    phone = world.phone(who)
    begin = ago(minutes=41)
    check_in = phone.check_in(world.ids["Fennimore’s"], begin, **how)
    check_out = phone.check_out(check_in["entity"], begin + timedelta(minutes=40))
    assert [receipt["status"] for receipt in phone.push(check_in, check_out)] == ["applied", "applied"]
    return str(check_in["entity"])


def unheard_since(world: World, who: str, at: datetime, unsent: int) -> None:
    """A phone that spoke last at `at` and held `unsent` changes then."""
    device = {"unsent": unsent, "oldest": text(at), "app": "1.0.0", "persisted": True, "push": "default"}
    world.phone(who).send(device=device)
    with world.app.app_context(), writing() as connection:
        connection.execute(update(Client).where(Client.person_id == world.ids[who]).values(contact_at=at))


def test_a_rep_who_has_not_synced_comes_first_and_is_hatched_and_never_a_zero(
    north: World, board: Callable[..., Page]
) -> None:
    visited(north, "ria")
    since = ago(minutes=50)
    unheard_since(north, "rob", since, 4)
    page = board()
    names = page.locator("[data-rep]").all_inner_texts()
    assert names == ["Rob", "Ria"]
    clock = since.astimezone(ZoneInfo(NOON)).strftime("%H:%M")
    rob = row(page, "Rob")
    expect(rob).to_contain_text("Not synced since")
    expect(rob).to_contain_text("4 were waiting on the phone at")
    expect(rob).to_contain_text(clock)
    expect(rob.locator(".hatched")).to_have_count(1)
    expect(rob.locator(".figures b")).to_have_count(0)
    ria = row(page, "Ria")
    expect(ria).to_contain_text("1 visit · 1 valid")
    expect(ria.locator(".hatched")).to_have_count(0)
    expect(page.get_by_label("The day in figures")).to_contain_text(re.compile("rep not synced ?1"))


def test_a_rep_never_heard_of_is_told_apart_from_one_without_work(
    north: World, board: Callable[..., Page]
) -> None:
    north.phone("ria").send()
    page = board()
    rob, ria = row(page, "Rob"), row(page, "Ria")
    expect(rob).to_contain_text("No contact yet")
    expect(rob.locator(".figures b")).to_have_count(0)
    expect(ria.locator(".figures b")).to_have_text("0")
    expect(ria).to_contain_text("nothing unsent")


def test_a_visit_appears_without_a_reload_and_an_unchanged_board_costs_a_304(
    north: World, live_server: Any, board: Callable[..., Page]
) -> None:
    north.phone("ria").send()
    page = board()
    page.clock.install()
    page.goto(f"{live_server.url}/board")
    expect(row(page, "Ria")).to_contain_text("0")
    page.evaluate("window.sameDocument = true")
    with page.expect_response(lambda answer: "/api/board" in answer.url) as reread:
        page.clock.fast_forward(REREAD_MS)
    assert reread.value.status == 304
    assert reread.value.request.headers["if-none-match"]
    visited(north, "ria")
    page.clock.fast_forward(REREAD_MS)
    expect(row(page, "Ria")).to_contain_text("1 visit · 1 valid")
    expect(row(page, "Ria").locator(".piece.counts")).to_have_count(1)
    assert page.evaluate("window.sameDocument")


def test_a_board_nobody_looks_at_asks_nothing_and_reads_again_when_it_is_looked_at(
    north: World, live_server: Any, board: Callable[..., Page]
) -> None:
    north.phone("ria").send()
    page = board()
    page.clock.install()
    page.goto(f"{live_server.url}/board")
    expect(row(page, "Ria")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/board" in request.url else None)
    turn = """state => {
        Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(turn, "hidden")
    page.clock.fast_forward(10 * REREAD_MS)
    assert asked == []
    with page.expect_response(lambda answer: "/api/board" in answer.url):
        page.evaluate(turn, "visible")


def test_a_past_day_can_be_gone_to_and_linked(
    north: World, live_server: Any, board: Callable[..., Page]
) -> None:
    phone = north.phone("rob")
    begin = datetime.now(ZoneInfo(NOON)).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(
        days=1
    )
    check_in = phone.check_in(north.ids["Fennimore’s"], begin.astimezone(UTC))
    phone.push(check_in, phone.check_out(check_in["entity"], (begin + timedelta(minutes=35)).astimezone(UTC)))
    page = board()
    expect(row(page, "Rob")).to_contain_text("0")
    page.get_by_role("button", name="Previous day").click()
    expect(row(page, "Rob")).to_contain_text("1 visit · 1 valid")
    expect(row(page, "Rob")).to_contain_text("12:00 – 12:35")
    yesterday = begin.date().isoformat()
    assert f"date={yesterday}" in page.url
    assert day_field(page).input_value() == yesterday
    page.reload()
    expect(row(page, "Rob")).to_contain_text("1 visit · 1 valid")
    day_field(page).fill(today())
    expect(row(page, "Rob")).to_contain_text("0")
    assert "date=" not in page.url


def test_a_rep_opens_to_visits_with_their_evidence_plan_and_history(
    north: World, board: Callable[..., Page]
) -> None:
    far = fix(ago(minutes=41), lat=51.51)
    visited(north, "ria", check_in_fix=far)
    page = board()
    page.get_by_role("button", name="Ria", exact=True).click()
    stop = page.get_by_role("list", name="Visits of Ria").get_by_role("listitem").first
    expect(stop).to_contain_text("Fennimore’s")
    expect(stop).to_contain_text("Review · another place")
    expect(stop).to_contain_text("1.1 km, ±8 m")
    expect(page.get_by_text("Places of taps. Between them nothing is recorded.")).to_be_visible()
    expect(page.locator(".plan .mark")).to_have_count(1)
    plan = page.get_by_role("application")
    whole = plan.inner_text()
    plan.press("+")
    everything = page.get_by_role("button", name="Show all places")
    expect(everything).to_be_visible()
    page.get_by_role("button", name="Closer").click()
    assert plan.inner_text() != whole
    plan.press("0")
    expect(everything).to_have_count(0)
    assert plan.inner_text() == whole
    stop.get_by_role("button", name="Fennimore’s").click()
    expect(stop).to_contain_text("The position lies farther away than its accuracy explains.")
    expect(stop).to_contain_text("Logged on the spot")
    expect(stop).to_contain_text("The phone’s clock agreed")
    expect(stop).to_contain_text("They want twelve cases by Friday.")
    stop.get_by_text("History").click()
    expect(stop).to_contain_text("Ria made it")
    expect(stop).to_contain_text("Open now → Done")


def test_a_running_visit_shows_its_minutes_and_a_silent_phone_does_not_pretend_it_runs(
    north: World, board: Callable[..., Page]
) -> None:
    for who in ("rob", "ria"):
        phone = north.phone(who)
        phone.push(phone.check_in(north.ids["Fennimore’s"], ago(minutes=45)))
    unheard_since(north, "rob", ago(minutes=40), 1)
    page = board()
    expect(row(page, "Ria")).to_contain_text(re.compile(r"Now at Fennimore’s, 4\d min"))
    expect(row(page, "Ria").locator(".piece.open")).to_have_count(1)
    expect(row(page, "Rob")).to_contain_text("Open at Fennimore’s since")
    expect(row(page, "Rob")).not_to_contain_text("Now at")


def test_j_and_k_go_through_the_reps_beside_the_pane_and_not_while_typing(
    north: World, board: Callable[..., Page]
) -> None:
    visited(north, "ria")
    north.phone("rob").send()
    page = board(desktop=True)
    pane = page.get_by_role("region")
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", name="Ria")).to_be_visible()
    assert f"rep={north.ids['ria']}" in page.url
    expect(page.get_by_role("button", name="Ria", exact=True)).to_be_focused()
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", name="Rob")).to_be_visible()
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", name="Rob")).to_be_visible()
    page.keyboard.press("k")
    expect(pane.get_by_role("heading", name="Ria")).to_be_visible()
    day_field(page).focus()
    page.keyboard.press("j")
    expect(pane.get_by_role("heading", name="Ria")).to_be_visible()


def test_without_the_server_the_last_board_seen_stays_and_says_how_old_it_is(
    north: World, live_server: Any, board: Callable[..., Page]
) -> None:
    visited(north, "ria")
    page = board()
    expect(row(page, "Ria")).to_contain_text("1 visit · 1 valid")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    live_server.stop()
    page.goto(f"{live_server.url}/board")
    expect(row(page, "Ria")).to_contain_text("1 visit · 1 valid")
    expect(page.get_by_text("This is the board as read")).to_be_visible()
    page.get_by_role("button", name="Previous day").click()
    expect(page.get_by_text("none was seen on this device before")).to_be_visible()


def test_a_team_of_the_subtree_is_chosen_by_name_and_kept_in_the_address(
    north: World, live_server: Any, open_browser: Callable[..., Any]
) -> None:
    with north.app.app_context(), writing() as connection:
        connection.execute(
            update(Login)
            .where(Login.person_id == north.ids["boss"])
            .values(email="boss@acme.test", password_hash=hash_password(PASSWORD))
        )
    page: Page = open_browser("boss").page
    page.goto(f"{live_server.url}/sign-in")
    page.get_by_label("E-mail").fill("boss@acme.test")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Root")
    expect(page.locator("[data-rep]")).to_have_text(["Ria", "Rob", "Sam"])
    page.get_by_label("Team").select_option(north.ids["south"])
    expect(page.get_by_role("heading", level=1)).to_have_text("South")
    expect(page.locator("[data-rep]")).to_have_text(["Sam"])
    page.reload()
    expect(page.locator("[data-rep]")).to_have_text(["Sam"])


def test_a_team_that_is_not_the_readers_is_not_shown_and_a_way_back_is(
    north: World, live_server: Any, board: Callable[..., Page]
) -> None:
    page = board()
    page.goto(f"{live_server.url}/board?team={north.ids['south']}")
    expect(page.get_by_text("This board belongs to somebody else’s team.")).to_be_visible()
    expect(page.get_by_text("Sam")).to_have_count(0)
    page.get_by_role("button", name="See all teams").click()
    expect(row(page, "Ria")).to_be_visible()


@pytest.mark.parametrize("desktop", [False, True], ids=["phone", "desktop"])
def test_axe_finds_nothing_on_the_board(north: World, board: Callable[..., Page], desktop: bool) -> None:
    visited(north, "ria", check_in_fix=fix(ago(minutes=41), lat=51.51))
    unheard_since(north, "rob", ago(minutes=50), 2)
    page = board(desktop=desktop)
    page.get_by_role("button", name="Ria", exact=True).click()
    page.get_by_role("button", name="Fennimore’s").click()
    expect(page.get_by_text("Logged on the spot")).to_be_visible()
    assert faults(page) == []


def test_every_size_of_screen_and_text_fits_without_scrolling_sideways(
    north: World, board: Callable[..., Page]
) -> None:
    visited(north, "ria")
    unheard_since(north, "rob", ago(minutes=50), 2)
    page = board()
    page.get_by_role("button", name="Ria", exact=True).click()
    expect(page.get_by_role("list", name="Visits of Ria")).to_be_visible()
    for width, height, percent in ((320, 640, 100), (412, 839, 200), (839, 412, 100), (1280, 800, 200)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("percent => document.documentElement.style.fontSize = `${percent}%`", percent)
        expect(row(page, "Rob")).to_be_visible()
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, (width, height, percent)
