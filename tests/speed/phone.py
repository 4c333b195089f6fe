"""Phone: Chromium with its processor slowed four times, 5,000 customers and 2,000 visits on the phone, no server.

ROUNDS_PWA_BEFORE names another build, measured in turns with this one in the same run; each figure then tells both.
"""

import os
import shutil
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from playwright.sync_api import Playwright, expect, sync_playwright
from sqlalchemy import create_engine, insert

from server.app import create_app
from server.config import Config
from server.db import db
from server.exchange.door import Change, client_of, write
from server.indicators.templates import TEMPLATES
from server.people.admin import system
from server.people.model import Login
from server.people.session import hash_password
from tests.live import LiveServer
from tests.pages import built_pages, scripts_of_the_first_load
from tests.phone import Browser
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import post

CUSTOMERS, VISITS, THIS_MONTH, SLOWER, ROUNDS = 5000, 2000, 120, 4, 5
EMAIL, PASSWORD = "rep@speed.test", "a password to measure with"
# What one round measures on each build, and what is wanted of it, in ms.
FIGURES = (
    ("cold", "cold start without network", "under 1,500"),
    ("stroke", "a keystroke in the search", "under 50"),
    ("saved", "tap on check-in to saved", "under 150"),
    ("open", "… to the running visit", ""),
    ("score", "tap on Score to its number", "under 300"),
)
# Notes when what it is told to look for is first painted. The clock is the page's: it starts with the navigation.
WATCH = """
(() => {
  const seen = (window.__seen = {});
  const looks = {
    today: () => document.querySelector('h1') && document.querySelector('main button, main li, .dock button'),
    saved: () => [...document.querySelectorAll('[role=status]')].some((s) => s.textContent.includes('Saved on')),
    open: () => [...document.querySelectorAll('button')].some((b) => b.textContent.includes('Check out')),
    score: () => /[0-9]/.test(document.querySelector('.total')?.textContent ?? ''),
  };
  const look = () => {
    for (const [name, look] of Object.entries(looks))
      if (!(name in seen) && look()) {
        seen[name] = NaN;
        // Right after the paint, before any timer that the page may have set for then.
        const note = () => (seen[name] = performance.now());
        requestAnimationFrame(() => scheduler.postTask(note, { priority: 'user-blocking' }));
      }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
  addEventListener('click', () => (window.__tapped = performance.now()), true);
  window.__inputs = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (entry.name === 'input' || entry.name === 'keydown') __inputs.push(entry.duration);
  }).observe({ type: 'event', durationThreshold: 16 });
})();
"""
# How many rows lie on the phone once the first reading has come to rest; 0 before.
ROWS = """
async () => {
  const name = (await indexedDB.databases()).map((d) => d.name).find((n) => n.startsWith('rounds-replica'));
  if (!name) return 0;
  const done = (ask) => new Promise((yes, no) => {
    ask.onsuccess = () => yes(ask.result);
    ask.onerror = () => no(ask.error);
  });
  const db = await done(indexedDB.open(name));
  const at = db.transaction(['kv', 'rows', 'sheaves']);
  const [pull, loose, bound] = await Promise.all([
    done(at.objectStore('kv').get('pull')),
    done(at.objectStore('rows').count()),
    done(at.objectStore('sheaves').index('ids').count()),
  ]);
  db.close();
  return pull?.value.complete ? loose + bound : 0;
}
"""


def run(_: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    builds = {"now": built_pages()}
    if before := os.environ.get("ROUNDS_PWA_BEFORE"):
        builds = {"before": Path(before), **builds}
    sizes = {name: [sum(scripts_of_the_first_load(pages).values()) / 1024] for name, pages in builds.items()}
    yield _line("JavaScript of the first load", sizes, "KB", "under 100", places=1)
    url = f"sqlite:///{folder / 'phone.db'}"
    (rep,) = seed.organisation(url, 1, CUSTOMERS)
    _let_in(url, rep)
    _aim(url, rep)
    now = datetime.now(UTC)
    month = now.astimezone(ZoneInfo("Europe/London")).replace(day=1, hour=12)
    servers = {}
    for name, pages in builds.items():
        servers[name] = LiveServer(url, folder, ROUNDS_SECRET=seed.SECRET.decode(), ROUNDS_PWA=str(pages))
        servers[name].start()
    # The visits of this month on as many of its days as there have been, today included; all others before it.
    days = now.astimezone(month.tzinfo).day
    made = rep.creates(THIS_MONTH, -(-THIS_MONTH // days), now + timedelta(days=1))
    made += rep.creates(VISITS - THIS_MONTH, 14, month.astimezone(UTC))
    bodies = [rep.exchange(made[at : at + 50]) for at in range(0, VISITS, 50)]
    post(servers["now"].port, "/api/sync", [bodies], [[rep.headers] * len(bodies)], keep=False)
    place = {"latitude": rep.customers[0][1], "longitude": rep.customers[0][2], "accuracy": 9.0}
    with sync_playwright() as playwright:
        for name, server in servers.items():
            _fill(Browser(playwright, folder / name, geolocation=place), server.url)
        for server in servers.values():
            server.stop()
        found: dict[str, dict[str, list[float]]] = {
            figure: {name: [] for name in builds} for figure, *_ in FIGURES
        }
        for number in range(ROUNDS):
            for name in sorted(builds, reverse=bool(number % 2)):
                profile = folder / "profile"
                shutil.copytree(folder / name, profile, ignore=shutil.ignore_patterns("Singleton*"))
                for figure, took in _round(playwright, profile, servers[name].url, place).items():
                    found[figure][name].append(took)
                shutil.rmtree(profile)
    for figure, words, wanted in FIGURES:
        yield _line(words, found[figure], "ms", wanted)


def _line(words: str, found: dict[str, list[float]], unit: str, wanted: str, places: int = 0) -> str:
    middle = {name: statistics.median(each) for name, each in found.items()}
    more = f" ({min(found['now']):.0f} to {max(found['now']):.0f})" if len(found["now"]) > 1 else ""
    if "before" in middle:
        more += f"; before {middle['before']:.{places}f}, {middle['now'] / middle['before']:.2f} of it"
    if wanted:
        more = f" wanted: {wanted}{more}"
    return f"{words:30}{middle['now']:9.{places}f} {unit}{more}"


def _fill(browser: Browser, url: str) -> None:
    """Signs in, and closes the browser when all rows lie in its profile, and the app was opened once more: from the
    second opening on a browser has it compiled."""
    page = browser.page
    page.goto(url)
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    while page.evaluate(ROWS) < CUSTOMERS + VISITS:
        page.wait_for_timeout(200)
    page.reload()
    expect(page.locator("h1").first).to_be_visible()
    page.wait_for_timeout(5000)
    browser.close()


def _round(playwright: Playwright, profile: Path, url: str, place: dict[str, float]) -> dict[str, float]:
    """One start of the app and what is then done with it; ms by figure."""
    took: dict[str, float] = {}
    browser = Browser(playwright, profile, geolocation=place)
    browser.context.add_init_script(WATCH)
    _slow(browser)
    page = browser.page
    page.goto(url, wait_until="commit")
    took["cold"] = _seen(page, "today")

    # A hand that has looked at the first screen for a moment: what it may open next has been fetched.
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some((one) => /Score-/.test(one.name))"
    )
    page.wait_for_timeout(3000)
    page.get_by_role("link", name="Score").last.click()
    took["score"] = _seen(page, "score") - page.evaluate("__tapped")

    page.goto(f"{url}/customers", wait_until="commit")
    box = page.get_by_role("searchbox")
    box.click()
    page.evaluate("__inputs.length = 0")
    box.press_sequentially("moon & king 4", delay=120)
    expect(page.locator("main a").first).to_be_visible()
    page.wait_for_timeout(500)
    took["stroke"] = statistics.median(page.evaluate("__inputs") or [16])

    page.locator("main a").first.click()
    button = page.get_by_role("button", name="Check in").first
    expect(button).to_be_visible()
    button.click()
    for what in ("saved", "open"):
        took[what] = _seen(page, what) - page.evaluate("__tapped")
    browser.close()
    return took


def _let_in(url: str, rep: seed.Rep) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            insert(Login),
            [
                {
                    "org_id": seed.organisation_of(url),
                    "person_id": rep.id,
                    "email": EMAIL,
                    "password_hash": hash_password(PASSWORD),
                }
            ],
        )
    engine.dispose()


def _aim(url: str, rep: seed.Rep) -> None:
    """A scheme of all process indicators, and this month's targets."""
    now = datetime.now(UTC)
    month = now.astimezone(ZoneInfo("Europe/London")).date().replace(day=1).isoformat()
    scheme = {"name": "Field", "valid_from": "2000-01-01", "status": "approved"}
    scheme |= {"indicators": TEMPLATES["field_only"]}
    target = {"person_id": rep.id, "period": "month", "starts_on": month, "status": "held"}
    amounts = {"valid_visits": "140", "customers_visited": "100", "new_customers": "3"}
    changes = [Change("scheme", str(uuid4()), "create", scheme)]
    for code, amount in amounts.items():
        changes.append(
            Change("target", str(uuid4()), "create", target | {"indicator": code, "amount": amount})
        )
    with create_app(Config(database_url=url, secret=seed.SECRET)).app_context():
        org = seed.organisation_of(url)
        receipts = write(system(org), client_of(org, "speed"), changes, now)
        assert {receipt["status"] for receipt in receipts} == {"applied"}, receipts
        db.engine.dispose()


def _slow(browser: Browser) -> None:
    session = browser.context.new_cdp_session(browser.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})


def _seen(page: Any, what: str) -> float:
    """When the page first painted it, in ms of its own clock."""
    page.wait_for_function("(name) => window.__seen?.[name] > 0", arg=what, timeout=60_000)
    return float(page.evaluate("(name) => __seen[name]", what))
