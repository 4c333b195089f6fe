"""Phone: Chromium with its processor slowed four times, 5,000 customers and 2,000 visits on the phone, no server."""

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright
from sqlalchemy import create_engine, insert

from server.people.model import Login
from server.people.session import hash_password
from tests.live import LiveServer
from tests.pages import scripts_of_the_first_load
from tests.phone import Browser
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import post

CUSTOMERS, VISITS, SLOWER, STARTS = 5000, 2000, 4, 5
EMAIL, PASSWORD = "rep@speed.test", "a password to measure with"
# Notes when what it is told to look for is first painted. The clock is the page's: it starts with the navigation.
WATCH = """
(() => {
  const seen = (window.__seen = {});
  const looks = {
    today: () => document.querySelector('h1') && document.querySelector('main button, main li, .dock button'),
    checkedIn: () => [...document.querySelectorAll('button')].some((b) => b.textContent.includes('Check out')),
  };
  const look = () => {
    for (const [name, look] of Object.entries(looks))
      if (!(name in seen) && look()) {
        seen[name] = NaN;
        requestAnimationFrame(() => setTimeout(() => (seen[name] = performance.now())));
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
    yield f"JavaScript of the first load  {sum(scripts_of_the_first_load().values()) / 1024:9.1f} KB gzip wanted: under 100"
    url = f"sqlite:///{folder / 'phone.db'}"
    (rep,) = seed.organisation(url, 1, CUSTOMERS)
    _let_in(url, rep)
    server = LiveServer(url, folder, ROUNDS_SECRET=seed.SECRET.decode())
    server.start()
    bodies = [rep.exchange(rep.creates(50, 14, datetime.now(UTC))) for _ in range(VISITS // 50)]
    post(server.port, "/api/sync", [bodies], [[rep.headers] * len(bodies)], keep=False)
    place = {"latitude": rep.customers[0][1], "longitude": rep.customers[0][2], "accuracy": 9.0}
    with sync_playwright() as playwright:

        def take_out() -> Browser:
            browser = Browser(playwright, folder / "profile", geolocation=place)
            browser.context.add_init_script(WATCH)
            return browser

        browser = take_out()
        page = browser.page
        page.goto(server.url)
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        while page.evaluate(ROWS) < CUSTOMERS + VISITS:
            page.wait_for_timeout(200)
        browser.close()
        server.stop()

        starts = []
        for _ in range(STARTS):
            browser = take_out()
            _slow(browser)
            browser.page.goto(server.url, wait_until="commit")
            starts.append(_seen(browser.page, "today"))
            if len(starts) < STARTS:
                browser.close()
        yield f"cold start without network    {statistics.median(starts):9.0f} ms wanted: under 1,500"

        page = browser.page
        page.goto(f"{server.url}/customers", wait_until="commit")
        box = page.get_by_role("searchbox")
        box.click()
        page.evaluate("__inputs.length = 0")
        box.press_sequentially("moon & king 4", delay=120)
        expect(page.locator("main a").first).to_be_visible()
        page.wait_for_timeout(500)
        strokes = page.evaluate("__inputs") or [16]
        slowest = f"(slowest {max(strokes):.0f} ms)"
        yield f"a keystroke in the search     {statistics.median(strokes):9.0f} ms wanted: under 50 {slowest}"

        page.locator("main a").first.click()
        button = page.get_by_role("button", name="Check in").first
        expect(button).to_be_visible()
        page.evaluate("delete __seen.checkedIn")
        button.click()
        saved = _seen(page, "checkedIn") - page.evaluate("__tapped")
        yield f"tap on check-in to saved      {saved:9.0f} ms wanted: under 150"
        browser.close()


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


def _slow(browser: Browser) -> None:
    session = browser.context.new_cdp_session(browser.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})


def _seen(page: Any, what: str) -> float:
    """When the page first painted it, in ms of its own clock."""
    page.wait_for_function("(name) => window.__seen?.[name] > 0", arg=what, timeout=60_000)
    return float(page.evaluate("(name) => __seen[name]", what))
