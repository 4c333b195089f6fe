"""The app's own engine (`pwa/src/data`) plays the scenarios of the vectors against the server.

On SQLite: what differs between the databases is the server's, and the model of the phone asks that of both.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.served import served
from tests.faults.sim.house import House, house_on

REPOSITORY = Path(__file__).parents[2]
VITEST = REPOSITORY / "pwa" / "node_modules" / ".bin" / "vitest"


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    """A server in this process on a database of its own."""
    with house_on(sqlite_url, tmp_path / "state") as house:
        yield house


def test_the_engine_of_the_app_ends_each_story_as_it_says(house: House) -> None:
    if not VITEST.exists():
        pytest.skip("the pages' packages are not installed: make build")
    with served(house) as url:
        path = f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        played = subprocess.run(
            [VITEST, "run", "tests/vectors.test.ts", "--no-color"],
            cwd=REPOSITORY / "pwa",
            env=os.environ | {"PATH": path, "ROUNDS_HOUSE": url},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert played.returncode == 0, played.stdout[-20_000:] + played.stderr[-5_000:]
    assert " passed" in played.stdout and "skipped" not in played.stdout, played.stdout[-2_000:]
