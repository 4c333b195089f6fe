"""Each scenario of the vectors ends as it says, on the real server, with the model of the phone."""

from collections.abc import Iterator

import pytest

from tests.faults.sim.house import House, house_on
from tests.faults.sim.vectors import play_scenario, scenarios

SCENARIOS = scenarios()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all scenarios, put back to its beginning for each."""
    folder = tmp_path_factory.mktemp("faults")
    if request.param == "sqlite":
        template = request.getfixturevalue("_sqlite_template")
        (folder / "rounds.db").write_bytes(template.read_bytes())
        with house_on(f"sqlite:///{folder / 'rounds.db'}", folder / "state") as house:
            yield house
    else:
        name = request.getfixturevalue("_postgres_template")
        with (
            request.getfixturevalue("postgres").database(name) as url,
            house_on(url, folder / "state") as house,
        ):
            yield house


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_story_ends_as_it_says(house: House, name: str) -> None:
    assert play_scenario(house, SCENARIOS[name]) == []
