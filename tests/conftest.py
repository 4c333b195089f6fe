"""What every test may ask for: a database on either engine, the app on it, a running server, a phone, the real data."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.machine import chromium, missing, postgres_programs
from tests.postgres import Cluster, cluster

REPOSITORY = Path(__file__).parent.parent
SECRET = b"only-for-tests-" * 3

# No test is judged by a stopwatch: two shared cores say nothing about the code.
settings.register_profile(
    "rounds", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("rounds")


LONGEST_FIRST = ("tests/faults", "tests/journeys", "tests/server/demo", "tests/server/test_serve.py")
"""What takes minutes begins first, so that no worker is left alone with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest first; otherwise the order stays."""

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(REPOSITORY).as_posix()
        return next((n for n, each in enumerate(LONGEST_FIRST) if name.startswith(each)), len(LONGEST_FIRST))

    items.sort(key=place)


# --- databases ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One private PostgreSQL cluster for the whole run."""
    if postgres_programs() is None:
        missing("PostgreSQL's programs are not on this machine", "REQUIRE_PG")
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def _postgres_template(postgres: Cluster) -> str:
    from server.config import Config
    from server.db import migrate

    migrate(Config(database_url=postgres.create("template_rounds"), secret=SECRET))
    return "template_rounds"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from server.config import Config
    from server.db import migrate

    path = tmp_path_factory.mktemp("template") / "rounds.db"
    migrate(Config(database_url=f"sqlite:///{path}", secret=SECRET))
    connection = sqlite3.connect(path)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of this test's own."""
    path = tmp_path / "rounds.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: Cluster, _postgres_template: str) -> Iterator[str]:
    """A migrated, empty PostgreSQL database of this test's own."""
    with postgres.database(_postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of this test's own; the test runs once on each engine."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table, on each engine: for what migration itself does."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


# --- the app -----------------------------------------------------------------------------------------------------


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Any:
    """The settings of a server on this test's database."""
    from server.config import Config

    return Config(database_url=database_url, secret=SECRET, state_dir=tmp_path / "state")


@pytest.fixture
def app(config: Any) -> Iterator[Any]:
    """The Flask app on this test's database."""
    from server.app import create_app
    from server.db import db

    app = create_app(config)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Any) -> Any:
    """Flask's test client, signed in as nobody."""
    return app.test_client()


# --- a real server and a real phone --------------------------------------------------------------------------------


@pytest.fixture
def live_server(sqlite_url: str, tmp_path: Path) -> Iterator[Any]:
    """A production server on an SQLite database of its own, in its own process; see `tests.live.LiveServer`."""
    from tests.live import LiveServer

    server = LiveServer(database_url=sqlite_url, state_dir=tmp_path / "state")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def proxied_server(live_server: Any) -> Iterator[Any]:
    """A `tests.proxy.Proxy` in front of `live_server`: what a phone connects to when the network is to fail."""
    from tests.proxy import Proxy

    proxy = Proxy(live_server.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def _playwright() -> Iterator[Any]:
    if chromium() is None:
        missing("no Chromium is on this machine", "REQUIRE_BROWSER")
    from playwright.sync_api import expect, sync_playwright

    # What is awaited comes at once or, on two busy cores, after a while; five seconds judge the machine.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def open_browser(_playwright: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a `tests.phone.Browser`: `open_browser(name="rep", phone=True, locale="en-GB", **options)`.

    The same name opens the same profile again, so what was stored there is there.
    """
    from tests.phone import Browser

    opened: list[Browser] = []

    def open_one(name: str = "rep", **options: Any) -> Browser:
        browser = Browser(_playwright, tmp_path / "profiles" / name, **options)
        opened.append(browser)
        return browser

    yield open_one
    for browser in opened:
        browser.close()


@pytest.fixture
def browser_context(open_browser: Callable[..., Any]) -> Any:
    """A phone's persistent browser context, allowed to locate itself."""
    return open_browser().context


# --- real data -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that lies beside the repository (or where ROUNDS_TEST_DATA says)."""
    path = Path(os.environ.get("ROUNDS_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"the real data is not here: {path.name} (name its folder in ROUNDS_TEST_DATA)")
    return path
