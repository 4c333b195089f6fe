"""What the tests on real data start from."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.world import World

Table = Callable[[str], list[dict[str, str]]]


@pytest.fixture
def world(app: Any) -> World:
    """A small organisation on either database."""
    return World(app)


@pytest.fixture(scope="session")
def table(shared_data: Path) -> Table:
    """Reads a file of the real data, by its path there, as rows of text."""

    def read(name: str) -> list[dict[str, str]]:
        path = shared_data / name
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="") as file:
            return list(csv.DictReader(file))

    return read
