"""Random histories for the test suite: half of them in each of two files, so that two workers share them."""

from tests.faults.sim.histories import by_chance, in_words, shortest
from tests.faults.sim.house import House

SEED = "always the same"
HALF = 150
STEPS = 10


def no_law_breaks(house: House, first: int) -> None:
    """Play the histories `first` to `first + HALF`; the first that fails is told as the shortest story."""
    for number in range(first, first + HALF):
        told = by_chance(house, f"{SEED}:{number}", STEPS, replay=number % 5 == 0)
        if told.flaws:
            raise AssertionError("\n" + in_words(shortest(house, told)))
