"""What every test may ask for: a database on either engine, the app on it, a running server, a phone, the real data."""

import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import event, make_url

from tests.machine import chromium, missing, postgres_programs
from tests.postgres import Cluster, cluster

REPOSITORY = Path(__file__).parent.parent
SECRET = b"only-for-tests-" * 3

# No test is judged by a stopwatch: two shared cores say nothing about the code.
settings.register_profile(
    "rounds", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("rounds")


# All these modules and their tests stay; looking through them for garbage again and again is a tenth of what a test costs.
gc.set_threshold(200_000, 50, 100)


def pytest_collection_finish() -> None:
    """What is there once all tests are known stays to the end."""
    gc.collect()
    gc.freeze()


LONGEST_FIRST = (
    "tests/faults",
    "tests/journeys",
    "tests/server/demo/test_run.py",
    "tests/realdata",
    "tests/server/exchange/test_contract.py",
    "tests/server/exchange/test_rights.py",
    "tests/server/test_serve.py",
    "tests/server/exchange/test_check.py",
    "tests/server/customers/test_import.py",
    "tests/server/test_routes.py",
    "tests/server/exchange",
)
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
def sqlite_url(request: pytest.FixtureRequest, _sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of this test's own; with `live_server`, that server's."""
    if "live_server" in request.fixturenames:
        url: str = request.getfixturevalue("_kept_server").database_url
        _empty(Path(url.removeprefix("sqlite:///")))
        return url
    path = tmp_path / "rounds.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


def _empty(database: Path) -> None:
    """Take all rows out of a migrated database that a server may have open."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("pragma foreign_keys = off")
        connection.execute("begin immediate")
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            if name != "alembic_version":
                connection.execute(f'delete from "{name}"')
        connection.execute("commit")


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


@contextmanager
def app_on(config: Any) -> Iterator[Any]:
    """The Flask app on the database of `config`, to be read and written one test, or one module, long.

    An app is made once for each kind of settings and turned to one database after the other: making it, and compiling
    its statements for an engine of its own, is most of what a short test would do.
    """
    from server.app import Metrics, create_app
    from server.db import db

    kind = repr(
        replace(config, database_url=config.database_url.partition(":")[0] + ":///", state_dir=Path())
    )
    free = _kept_apps.setdefault(kind, [])
    app = free.pop() if free else create_app(config)
    app.extensions["rounds"] = config
    app.extensions["rounds_metrics"] = Metrics()
    app.extensions.pop("rounds_blobs", None)
    with app.app_context():
        engine = db.engine
    engine.url = make_url(config.database_url)

    def there(dialect: Any, _record: Any, arguments: list[Any], named: dict[str, Any]) -> None:
        given, also = dialect.create_connect_args(engine.url)
        arguments[:] = given
        named.update(also)

    event.listen(engine, "do_connect", there)
    try:
        yield app
    finally:
        event.remove(engine, "do_connect", there)
        engine.dispose()
        free.append(app)


_kept_apps: dict[str, list[Any]] = {}


@pytest.fixture
def app(config: Any) -> Iterator[Any]:
    """The Flask app on this test's database."""
    with app_on(config) as app:
        yield app


@pytest.fixture
def client(app: Any) -> Any:
    """Flask's test client, signed in as nobody."""
    return app.test_client()


# --- a real server and a real phone --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _kept_server(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.live import LiveServer

    folder = tmp_path_factory.mktemp("live")
    shutil.copyfile(_sqlite_template, folder / "rounds.db")
    server = LiveServer(database_url=f"sqlite:///{folder / 'rounds.db'}", state_dir=folder / "state")
    yield server
    server.stop()


@pytest.fixture
def live_server(sqlite_url: str, _kept_server: Any) -> Any:
    """A production server on an empty SQLite database, in its own process; see `tests.live.LiveServer`.

    One serves a worker's tests in turn. A test may stop or kill it: for the next one it is started again.
    """
    if not _kept_server.running:
        _kept_server.start()
    return _kept_server


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
