"""The app's own engine (`pwa/src/data`) plays the scenarios of the vectors against the server.

On SQLite: what differs between the databases is the server's, and the model of the phone asks that of both.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.exchange import documents, door
from sync import reconcile as reconcile_module
from sync.migrate import upcast
from tests.faults.served import served
from tests.faults.sim.chance import PHONES
from tests.faults.sim.histories import by_chance, names_of
from tests.faults.sim.house import House, house_on

REPOSITORY = Path(__file__).parents[2]
VITEST = REPOSITORY / "pwa" / "node_modules" / ".bin" / "vitest"


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    """A server in this process on a database of its own."""
    with house_on(sqlite_url, tmp_path / "state") as house:
        yield house


def play(house: House, file: str, named: str, **more: str) -> None:
    """Run a test file of the pages against the house, whose address it finds under a name."""
    if not VITEST.exists():
        pytest.skip("the pages' packages are not installed: make build")
    with served(house) as url:
        path = f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        played = subprocess.run(
            [VITEST, "run", f"tests/{file}", "--no-color"],
            cwd=REPOSITORY / "pwa",
            env=os.environ | {"PATH": path, named: url} | more,
            capture_output=True,
            text=True,
            timeout=3600,
        )
    assert played.returncode == 0, played.stdout[-20_000:] + played.stderr[-5_000:]
    assert " passed" in played.stdout and "skipped" not in played.stdout, played.stdout[-2_000:]


def test_the_engine_of_the_app_ends_each_story_as_it_says(house: House, tmp_path: Path) -> None:
    """And histories by chance, which the model of the phone has played before it: ENGINE=100 plays more of them."""
    histories = []
    for number in range(int(os.environ.get("ENGINE", "3"))):
        seed = f"engine:{number}"
        phones = {name: PHONES[name] for name in names_of(seed)}
        steps = by_chance(house, seed, 40, replay=False).steps
        histories.append({"name": seed, "phones": phones, "steps": steps})
    path = tmp_path / "histories.json"
    path.write_text(json.dumps(histories))
    play(house, "vectors.test.ts", "ROUNDS_HOUSE", ROUNDS_HISTORIES=str(path))


def test_a_stored_outbox_of_the_first_schema_is_understood_by_a_server_of_the_next(house: House) -> None:
    """There is no schema 2 yet; this one is made up, and its step adds a word to every visit that begins."""

    def step(raw: dict[str, Any]) -> dict[str, Any]:
        if (raw["kind"], raw["verb"]) != ("visit", "create"):
            return raw
        word = {"field": "late_reason", "op": "set", "old": None, "new": "told in schema 1"}
        return raw | {"ops": [*raw["ops"], word]}

    house.put(documents, "upcast", lambda raw: upcast(raw, {1: step}, today=2))
    house.put(reconcile_module, "SCHEMA", 2)
    house.put(door, "SCHEMA", 2)
    play(house, "golden.test.ts", "ROUNDS_NEWER_HOUSE")
