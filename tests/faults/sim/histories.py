"""Random histories: made from a seed, judged, and shrunk to a short story where a law does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.sim.chance import PHONES, Chance
from tests.faults.sim.house import House
from tests.faults.sim.laws import broken
from tests.faults.sim.play import Play, Step
from tests.faults.sim.shrink import shrink
from tests.faults.sim.story import story
from tests.faults.sim.watch import Flaw


@dataclass
class Told:
    """What became of a history: its steps, what was wrong at the end, how much happened."""

    seed: str
    steps: list[Step]
    flaws: list[str]
    operations: int = 0
    mutations: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def by_chance(house: House, seed: str, length: int, *, replay: bool = True) -> Told:
    """A history of so many steps by this seed."""
    chance = Chance(seed)
    # Seldom all six: few phones meet each other more often.
    names = chance.random.sample(sorted(PHONES), chance.random.choice((2, 3, 3, 4, 6)))
    return _told(house, seed, names, length, replay, chance=chance)


def again(
    house: House, seed: str, names: Sequence[str], steps: Sequence[Step], *, replay: bool = True
) -> Told:
    """The same steps once more."""
    return _told(house, seed, names, len(steps), replay, steps=steps)


def _told(
    house: House,
    seed: str,
    names: Sequence[str],
    length: int,
    replay: bool,
    chance: Chance | None = None,
    steps: Sequence[Step] = (),
) -> Told:
    taken: list[Step] = []
    play: Play | None = None
    flaws: list[str] = []
    try:
        play = Play(house, {name: PHONES[name] for name in names})
        for number in range(length):
            step = chance.next(play) if chance else steps[number]
            taken.append(step)
            play.step(step)
        play.rest()
        flaws = broken(play, replay=replay)
    except Flaw as flaw:
        flaws = [str(flaw)]
    except Exception as error:  # a history that breaks the simulator or the server is a finding, too
        flaws = [f"{type(error).__name__}: {error}"]
    told = Told(seed, taken, flaws)
    if play is not None:
        told.operations, told.mutations = play.operations, len(play.ledger)
        told.faults.update(play.faults)
    return told


def names_of(seed: str) -> list[str]:
    """The phones of a history by this seed."""
    chance = Chance(seed)
    return chance.random.sample(sorted(PHONES), chance.random.choice((2, 3, 3, 4, 6)))


def shortest(house: House, told: Told, most: int = 300) -> Told:
    """The shortest history that breaks a law in the same way."""
    names = names_of(told.seed)

    def fails(steps: Sequence[Step]) -> bool:
        flaws = again(house, told.seed, names, steps, replay=_of_replay(told.flaws)).flaws
        return any(_alike(one, other) for one in flaws for other in told.flaws)

    steps = shrink(told.steps, fails, most)
    return again(house, told.seed, names, steps)


def in_words(told: Told) -> str:
    """A history that failed, for a reader."""
    wrong = "\n".join(f"  - {flaw}" for flaw in told.flaws[:8])
    return f"seed {told.seed}, phones {', '.join(names_of(told.seed))}\n{story(told.steps)}\nWhat is wrong:\n{wrong}"


def _alike(one: str, other: str) -> bool:
    """Whether two flaws are of one sort: the same sentence but for what it is about."""
    return _sort(one) == _sort(other)


def _sort(flaw: str) -> str:
    words = [word for word in flaw.split() if word.isalpha() and word.islower()]
    return " ".join(words[:8])


def _of_replay(flaws: Sequence[str]) -> bool:
    return any("replay" in flaw for flaw in flaws)
