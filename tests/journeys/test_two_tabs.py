"""One person, one phone, two tabs; and what becomes of the phone when it is signed out from the office."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.world import World

ROWS = """
async () => {
  const { name } = (await indexedDB.databases()).find((one) => one.name.startsWith('rounds-replica'));
  const db = await new Promise((done) => (indexedDB.open(name).onsuccess = (event) => done(event.target.result)));
  const at = db.transaction(['rows', 'sheaves']);
  const counts = ['rows', 'sheaves'].map((name) => new Promise((done) => {
    at.objectStore(name).count().onsuccess = (event) => done(event.target.result);
  }));
  const [loose, bound] = await Promise.all(counts);
  db.close();
  return loose + bound;
}
"""
WORDS = "Noor tried the lemon oil"


def test_two_tabs_show_the_same_and_a_revoked_phone_sends_its_work_before_it_forgets(
    beat: World, live_server: Any, on_the_beat: Callable[..., Page], sqlite_url: str
) -> None:
    one = on_the_beat()
    two = one.context.new_page()
    two.goto(f"{live_server.url}/me/device")
    expect(two.get_by_text("Rounds is open in another tab too")).to_be_visible()

    # What is tapped in one is seen in the other, without a server between them.
    live_server.stop()
    one.get_by_role("link", name="Customers").first.click()
    one.get_by_text("Fennimore’s").first.click()
    one.get_by_role("button", name="Check in").first.click()
    expect(one.get_by_role("button", name="Check out")).to_be_visible()
    expect(two.get_by_text("Fennimore’s").first).to_be_visible()
    field = one.get_by_label("Minutes")
    field.fill(WORDS)
    field.blur()
    one.get_by_role("button", name="Check out").click()
    expect(two.get_by_role("listitem").filter(has_text="New visit")).to_be_visible()
    assert two.evaluate(ROWS) > 0

    (device,) = json.loads(live_server.rounds("device", "list", "--json"))
    live_server.rounds("device", "revoke", device["id"])
    live_server.start()
    two.get_by_role("button", name="Send now").click()
    expect(two.get_by_text("What it held of the server is gone from this device.")).to_be_visible(
        timeout=60_000
    )
    assert two.evaluate(ROWS) == 0
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        assert database.execute("SELECT minutes FROM visit").fetchall() == [(WORDS,)]
    one.close()
    expect(two.get_by_text("Rounds is open in another tab too")).to_be_hidden(timeout=60_000)
