"""The first half of 300 random histories: no law breaks (`make faults` plays as many as you like)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.drawn import no_law_breaks
from tests.faults.sim.house import House, house_on


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    """A server on an SQLite file of this test's own."""
    with house_on(sqlite_url, tmp_path / "state") as house:
        yield house


def test_no_law_breaks_in_the_first_half(house: House) -> None:
    no_law_breaks(house, 0)
