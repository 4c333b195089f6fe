"""First: 20,000 visits come to an empty phone, a Chromium with its processor slowed four times, over HTTP with gzip."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.live import LiveServer
from tests.phone import Browser
from tests.postgres import Cluster
from tests.speed import seed
from tests.speed.load import post
from tests.speed.phone import EMAIL, PASSWORD, ROWS, _let_in, _slow

CUSTOMERS, VISITS, PER_DAY = 400, 20_000, 120  # so many a day that all lie within the 180 days a phone holds
# The longest time for which the page was too busy for a tap, once the sign-in was tapped: is the screen alive? (A loop of
# animation frames would tell it too, but make a page paint that has nothing to paint.)
ALIVE = """
(() => {
  window.__still = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.__still = Math.max(window.__still, now - last - 50);
    last = now;
  }, 50);
})();
"""


def run(_: Cluster, folder: Path) -> Iterator[str]:
    """Yields lines of the report."""
    url = f"sqlite:///{folder / 'first.db'}"
    (rep,) = seed.organisation(url, 1, CUSTOMERS)
    _let_in(url, rep)
    server = LiveServer(url, folder, ROUNDS_SECRET=seed.SECRET.decode())
    server.start()
    now = datetime.now(UTC)
    bodies = [rep.exchange(rep.creates(50, PER_DAY, now)) for _ in range(VISITS // 50)]
    post(server.port, "/api/sync", [bodies], [[rep.headers] * len(bodies)], keep=False)
    with sync_playwright() as playwright:
        browser = Browser(playwright, folder / "profile")
        page, session = browser.page, browser.context.new_cdp_session(browser.page)
        page.goto(server.url)
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        answers: list[tuple[float, str]] = []
        encodings: dict[str, str] = {}
        session.send("Network.enable")

        def answered(event: dict) -> None:  # type: ignore[type-arg]
            if event["response"]["url"].endswith("/api/sync"):
                headers = {name.lower(): value for name, value in event["response"]["headers"].items()}
                encodings[event["requestId"]] = headers.get("content-encoding", "none")

        def finished(event: dict) -> None:  # type: ignore[type-arg]
            if event["requestId"] in encodings:
                answers.append((event["encodedDataLength"], encodings[event["requestId"]]))

        session.on("Network.responseReceived", answered)
        session.on("Network.loadingFinished", finished)
        _slow(browser)
        page.evaluate(ALIVE)
        session.send("Performance.enable")
        before = _busy(session)
        begun = time.perf_counter()
        page.get_by_role("button", name="Sign in").click()
        while page.evaluate(ROWS) < CUSTOMERS + VISITS:
            page.wait_for_timeout(500)
        seconds = time.perf_counter() - begun
        busy = _busy(session) - before
        still = page.evaluate("__still")
        browser.close()
    server.stop()
    size = sum(size for size, _ in answers)
    packed = {encoding for size, encoding in answers if size > 2000}
    yield f"20,000 visits on the phone    {seconds:9.1f} s  wanted: under 15"
    yield f"of it the page was at work    {busy:9.1f} s  (slowed as it is; the rest is waiting)"
    yield f"longest a tap would wait      {still:9.0f} ms (the screen alive)"
    yield f"on the wire                   {size / 1024:9.0f} KB, {size / VISITS:.0f} bytes a visit, {', '.join(packed)}"


def _busy(session: Any) -> float:
    """Seconds for which the page's main thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")
