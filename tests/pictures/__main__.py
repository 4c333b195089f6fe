"""Takes the pictures of docs/pictures from the demo: `python -m tests.pictures [part of a name …]`.

Not a test: whoever changes a screen runs it and looks. The demo is started twice, in English and in Chinese.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import update

from server.app import create_app
from server.config import Config
from server.db import migrate, writing
from server.people.model import Login
from server.people.session import hash_password
from tests import disputes
from tests.conftest import REPOSITORY
from tests.live import PROGRAM, LiveServer, free_port
from tests.phone import Browser
from tests.world import ZONE, World

PICTURES = REPOSITORY / "docs" / "pictures"
PHONE = {"width": 412, "height": 839}
DESKTOP = {"width": 1280, "height": 800}
# Pictures that the demo is not started for.
QUARRELS = ("needs-you", "conflict", "decide", "visit-waiting", "correction", "history", "device", "review")
WORDS = {
    "en": {
        "sign_in": "Sign in",
        "email": "E-mail",
        "password": "Password",
        "today": "Today",
        "customers": "Customers",
        "visits": "Visits",
        "check_in": "Check in",
        "check_out": "Check out",
        "minutes": "Minutes",
        "done": "Done",
        "verified": "Verified",
        "nearby": "Nearby",
        "near": "Near enough to check in",
        "save": "Save",
        "address": "Address",
        "history": "History",
        "correction": "Ask for a correction",
        "note": "Tried the lemon oil with two customers, both bought. A small display by the till before the weekend.",
    },
    "zh": {
        "sign_in": "登录",
        "email": "邮箱",
        "password": "密码",
        "today": "今天",
        "customers": "客户",
        "visits": "拜访",
        "check_in": "签到",
        "check_out": "签退",
        "minutes": "拜访小结",
        "done": "完成",
        "verified": "已核实",
        "nearby": "附近",
        "near": "近到可以签到",
        "save": "保存",
        "address": "地址",
        "history": "修改记录",
        "correction": "申请更正",
        "note": "请两位客人试了柠檬油，都买了。希望周末前在收银台旁放一个小陈列。",
    },
}


class Demo:
    """A running demo: where it is, who may sign in, and the place of a customer of its rep."""

    def __init__(self, url: str, people: dict[str, tuple[str, str]]) -> None:
        self.url = url
        self.people = people


@contextmanager
def demo(language: str, state: Path) -> Iterator[Demo]:
    """The demo in a language, on data of its own."""
    port = free_port()
    environment = {**os.environ, "ROUNDS_STATE": str(state)}
    command = [str(PROGRAM), "demo", "--port", str(port), "--lang", language, "--workers", "1"]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        people = {}
        for line in process.stdout:
            parts = line.split()
            if len(parts) == 3 and "@" in parts[1]:
                people[parts[0]] = (parts[1], parts[2])
            if len(people) == 3:
                break
        url = f"http://127.0.0.1:{port}"
        ready(url)
        yield Demo(url, people)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def odds(language: str, state: Path) -> Iterator[tuple[Demo, dict[str, str]]]:
    """A small team at odds with itself, for what the demo's people agree on; with ids by what they are."""
    database = f"sqlite:///{state / 'odds.db'}"
    state.mkdir(parents=True, exist_ok=True)
    secret = "only-for-tests-" * 3
    config = Config(database_url=database, secret=secret.encode(), state_dir=state)
    migrate(config)
    world = World(create_app(config))
    people = {"rob": "rob@acme.test", "mia": "mia@acme.test"}
    with world.app.app_context(), writing() as connection:
        for who, email in people.items():
            login = update(Login).where(Login.person_id == world.ids[who])
            connection.execute(login.values(email=email, password_hash=hash_password(secret)))
    if language == "zh":
        for who in people:
            world.change("person", who, locale="zh-Hans")
    ids = disputes.disagree(world, language)
    ids["lead"] = disputes.lead_without_a_team(world, language)
    ids["rob"] = world.ids["rob"]
    ids["twin"] = disputes.twin(world)
    server = LiveServer(database, state / "live", ROUNDS_SECRET=secret)
    server.start()
    try:
        yield Demo(server.url, {who: (email, secret) for who, email in people.items()}), ids
    finally:
        server.stop()


def ready(url: str) -> None:
    """Waits until the server answers; the browser's own patience would be spent on its start."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the demo does not answer")


class Walk:
    """One person's way through the screens, a picture at each stop."""

    def __init__(
        self, playwright: Any, demo: Demo, language: str, role: str, wanted: list[str], **options: Any
    ) -> None:
        self.words = WORDS[language]
        self.demo = demo
        self.wanted = wanted
        self.folder = tempfile.TemporaryDirectory()
        self.suffix = "" if language == "en" else "-zh"
        tag = "zh-CN" if language == "zh" else "en-GB"
        scale = {"device_scale_factor": 1.5} if options.get("phone", True) else {}
        zone = "Asia/Shanghai" if language == "zh" else "Europe/London"
        self.browser = Browser(
            playwright,
            Path(self.folder.name),
            locale=tag,
            time_zone=options.pop("time_zone", zone),
            **{**scale, **options},
        )
        self.page: Page = self.browser.page
        self.page.set_viewport_size(PHONE if options.get("phone", True) else DESKTOP)  # type: ignore[arg-type]
        self.role = role

    def sign_in(self) -> None:
        email, password = self.demo.people[self.role]
        self.page.goto(f"{self.demo.url}/")
        self.page.get_by_label(self.words["email"]).fill(email)
        self.picture("sign-in")
        self.page.get_by_label(self.words["password"], exact=True).fill(password)
        self.page.get_by_role("button", name=self.words["sign_in"]).click()
        self.page.get_by_role("navigation").first.wait_for()
        self.settle()

    def settle(self) -> None:
        """Until everything asked for has come and what moves has come to rest."""
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate(
            "Promise.allSettled(document.getAnimations().map(a => a.finished)).then(() => true)"
        )

    def picture(self, name: str) -> None:
        """Saves what is in sight, unless other pictures are wanted."""
        full = f"{name}{self.suffix}"
        if self.wanted and not any(part in full for part in self.wanted):
            return
        self.page.locator(".toast").wait_for(state="detached")
        self.settle()
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{full}.png")
        print(f"{full}.png", flush=True)

    def tap(self, role: Any, name: str) -> None:
        self.page.get_by_role(role, name=self.words[name], exact=True).click()

    def close(self) -> None:
        self.browser.close()
        self.folder.cleanup()


def place_of_a_customer(walk: Walk) -> dict[str, float]:
    """Some steps beside a customer of this rep that has neighbours."""
    asked = "fetch('/api/customers?limit=100').then(r => r.json()).then(r => r.items)"
    places = [c for c in walk.page.evaluate(asked) if c["lat"] is not None]
    me = walk.page.evaluate("fetch('/api/me').then(r => r.json()).then(r => r.person.id)")
    own = [c for c in places if c["owner_id"] == me] or places

    def neighbours(one: dict[str, Any]) -> float:
        far = sorted((one["lat"] - o["lat"]) ** 2 + (one["lon"] - o["lon"]) ** 2 for o in own)
        return sum(far[:6])

    middle = min(own, key=neighbours)
    return {"latitude": middle["lat"] + 0.0002, "longitude": middle["lon"] + 0.0002, "accuracy": 12}


def rep(walk: Walk, *, offline: bool) -> None:
    """Today, a customer near by, a visit to its end, and what became of it."""
    walk.sign_in()
    page, words = walk.page, walk.words
    walk.browser.context.set_geolocation(place_of_a_customer(walk))  # type: ignore[arg-type]
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    walk.picture("today")
    page.goto(f"{walk.demo.url}/score")
    page.locator(".readings h3 button").first.click()
    # One's own place and the periods before are read once the rest is painted.
    page.locator(".rank").wait_for()
    walk.picture("score")
    page.goto(f"{walk.demo.url}/me/reminders")
    page.get_by_role("checkbox").first.wait_for()
    walk.picture("reminders")
    page.goto(f"{walk.demo.url}/today")
    if offline:
        walk.browser.context.set_offline(True)
    walk.tap("button", "nearby")
    page.get_by_text(words["near"]).wait_for()
    walk.picture("customers")
    page.locator("main li a").first.click()
    page.get_by_role("button", name=words["check_in"], exact=True).wait_for()
    walk.picture("customer")
    walk.tap("button", "check_in")
    page.get_by_label(words["minutes"]).fill(words["note"])
    # "kept 14:31:40", in either language.
    page.get_by_text(re.compile(r"\d\d:\d\d:\d\d")).wait_for()
    walk.picture("visit")
    walk.tap("button", "check_out")
    walk.settle()
    page.get_by_role("dialog").get_by_role("button").nth(1).click()
    # The click may have scrolled what is shown.
    page.locator("dialog[open] .body").evaluate("body => body.scrollTo(0, 0)")
    walk.picture("check-out")
    walk.tap("button", "done")
    page.get_by_role("heading", name=words["today"], exact=True).wait_for()
    if offline:
        walk.picture("today-offline")
    walk.tap("link", "visits")
    walk.picture("visits")
    page.locator("main ol a").filter(has_text=words["verified"]).last.click()
    page.get_by_role("heading", level=1).wait_for()
    walk.picture("visit-detail")
    page.goto(f"{walk.demo.url}/me")
    walk.picture("me")


def manager(walk: Walk, name: str) -> None:
    """The day board, and one rep's day on it."""
    walk.sign_in()
    rows = walk.page.locator("[data-rep]")
    rows.first.wait_for()
    walk.picture(name)
    rows.nth(2).click()
    walk.page.locator("ol li").first.wait_for()
    walk.picture(f"{name}-rep")
    walk.page.goto(f"{walk.demo.url}/scores")
    walk.page.locator("tbody tr").first.wait_for()
    walk.picture(name.replace("board", "scores"))
    walk.page.goto(f"{walk.demo.url}/schemes")
    walk.page.locator("main button").first.click()
    walk.page.locator("select").first.select_option(index=0)
    walk.picture(name.replace("board", "scheme"))


def decisions_of_a_rep(walk: Walk, ids: dict[str, str]) -> None:
    """What needs a rep, one thing after the other; a correction asked for; the page about the phone."""
    walk.sign_in()
    page, url = walk.page, walk.demo.url
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")

    def at(path: str, name: str) -> None:
        page.goto(f"{url}{path}")
        page.get_by_role("heading", level=1).wait_for()
        walk.picture(name)

    at("/visits", "needs-you")
    things = page.locator("a[href^='/decide/']")
    paths = [things.nth(i).get_attribute("href") for i in range(things.count())]
    at(f"/decide/{ids['phone']}", "conflict")
    at(f"/decide/{ids['note']}", "conflict-text")
    for number, path in enumerate(p for p in paths if p and ids["phone"] not in p and ids["note"] not in p):
        at(path, f"decide-{number + 1}")
    at(f"/visits/{ids['long']}", "visit-waiting")
    walk.tap("button", "correction")
    walk.picture("correction")
    page.goto(f"{url}/customers/{ids['shop']}")
    walk.tap("button", "history")
    page.locator(".history ol > li").first.wait_for()
    page.locator(".history").scroll_into_view_if_needed()
    walk.picture("history")
    walk.browser.context.set_offline(True)
    page.goto(f"{url}/customers/{ids['shop']}/edit")
    page.get_by_label(walk.words["address"]).fill("Quayside Arcade 7")
    walk.tap("button", "save")
    at("/me/device", "device")


def decisions_of_a_manager(walk: Walk, ids: dict[str, str], name: str) -> None:
    """The place of what waits for who leads, one of each sort, and customers who change hands."""
    walk.sign_in()
    page, url = walk.page, walk.demo.url

    def at(path: str, picture: str) -> None:
        page.goto(f"{url}{path}")
        page.get_by_role("heading", level=1).wait_for()
        walk.picture(f"{name}{picture}")

    at("/review", "")
    items = page.locator("[data-item]")
    items.first.wait_for()
    names = [items.nth(i).get_attribute("data-item") for i in range(items.count())]
    at(f"/review?at={ids['visit']}", "-visit")
    for number, item in enumerate(one for one in names if one != ids["visit"]):
        at(f"/review?at={item}", f"-{number + 1}")
    at(f"/customers/give?from={ids['rob']}", "-give")


def main(wanted: list[str]) -> None:
    ways: list[tuple[str, str, dict[str, Any], Callable[[Walk], None]]] = [
        ("en", "rep", {"color_scheme": "light"}, lambda walk: rep(walk, offline=False)),
        ("en", "manager", {"color_scheme": "light", "phone": False}, lambda walk: manager(walk, "board")),
        ("en", "manager", {"color_scheme": "light"}, lambda walk: manager(walk, "board-phone")),
        ("zh", "rep", {"color_scheme": "dark"}, lambda walk: rep(walk, offline=True)),
        ("zh", "manager", {"color_scheme": "dark", "phone": False}, lambda walk: manager(walk, "board")),
    ]
    quarrels: list[tuple[str, str, dict[str, Any], Callable[[Walk, dict[str, str]], None]]] = [
        ("en", "rob", {"color_scheme": "light"}, decisions_of_a_rep),
        (
            "en",
            "mia",
            {"color_scheme": "light", "phone": False},
            lambda walk, ids: decisions_of_a_manager(walk, ids, "review"),
        ),
        ("zh", "rob", {"color_scheme": "dark"}, decisions_of_a_rep),
        (
            "zh",
            "mia",
            {"color_scheme": "dark"},
            lambda walk, ids: decisions_of_a_manager(walk, ids, "review-phone"),
        ),
    ]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for language in ("en", "zh"):
            with odds(language, Path(folder) / f"odds-{language}") as (running, ids):
                for tongue, role, options, story in quarrels:
                    if tongue != language:
                        continue
                    walk = Walk(playwright, running, language, role, wanted, time_zone=ZONE, **options)
                    try:
                        story(walk, ids)
                    finally:
                        walk.close()
            if wanted and all(part.startswith(QUARRELS) for part in wanted):
                continue
            with demo(language, Path(folder) / language) as running:
                for tongue, role, options, way in ways:
                    if tongue != language:
                        continue
                    walk = Walk(playwright, running, language, role, wanted, **options)
                    try:
                        way(walk)
                    finally:
                        walk.close()


if __name__ == "__main__":
    main(sys.argv[1:])
