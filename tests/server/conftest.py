"""What tests of the server start from."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import SECRET, app_on
from tests.world import World


@pytest.fixture
def world(app: Any) -> World:
    """A small organisation on either database."""
    return World(app)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One app for all tests of a module, once on each engine; they keep apart by organisation, as tenants do."""
    from server.config import Config

    folder: Path = tmp_path_factory.mktemp("shared")
    with ExitStack() as stack:
        if request.param == "sqlite":
            shutil.copyfile(request.getfixturevalue("_sqlite_template"), folder / "rounds.db")
            url = f"sqlite:///{folder / 'rounds.db'}"
        else:
            template = request.getfixturevalue("_postgres_template")
            url = stack.enter_context(request.getfixturevalue("postgres").database(template))
        config = Config(database_url=url, secret=SECRET, state_dir=folder / "state", lock_timeout_ms=20_000)
        yield stack.enter_context(app_on(config))


@pytest.fixture
def shared_world(shared_app: Any) -> World:
    """A small organisation of this test's own in the database of its module."""
    return World(shared_app, f"acme-{uuid4().hex[:12]}")
