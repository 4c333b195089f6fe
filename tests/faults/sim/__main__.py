"""`make faults N=… SEED=… DB=sqlite|postgres STEPS=…`: random histories, with a progress bar and a printed seed."""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from server.config import Config
from server.db import migrate
from tests.faults.sim.histories import by_chance, in_words, shortest
from tests.faults.sim.house import SECRET, House, house_on


def main() -> int:
    """Run; 1 where a law did not hold."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="how many histories")
    parser.add_argument("--seed", default=None, help="what all chance follows from")
    parser.add_argument("--db", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--steps", type=int, default=30, help="steps of a history")
    parser.add_argument("--replay", type=int, default=1, help="replay the journal of one history in so many")
    parser.add_argument("--stories", type=int, default=1, help="end with so many failures, each told short")
    parser.add_argument("--keep-going", action="store_true", help="then count on to the end")
    asked = parser.parse_args()
    seed = asked.seed or str(random.SystemRandom().randrange(10**9))
    print(f"seed {seed}, {asked.n} histories of {asked.steps} steps on {asked.db}")
    logging.disable(logging.CRITICAL)
    played = operations = mutations = failed = 0
    faults: Counter[str] = Counter()
    # Whoever is tired of waiting is told what was played so far.
    with _house(asked.db) as house, contextlib.suppress(KeyboardInterrupt):
        bar = tqdm(range(asked.n), unit="history", smoothing=0.05, disable=None)
        for number in bar:
            told = by_chance(house, f"{seed}:{number}", asked.steps, replay=number % asked.replay == 0)
            played += 1
            operations, mutations = operations + told.operations, mutations + told.mutations
            faults += told.faults
            bar.set_postfix(operations=operations, refresh=False)
            if told.flaws:
                failed += 1
                bar.write(f"\nHistory {number} broke a law: {told.flaws[0]}")
                if failed <= asked.stories:
                    bar.write("Looking for the shortest that does ...")
                    bar.write(in_words(shortest(house, told)))
                if failed >= asked.stories and not asked.keep_going:
                    break
    many = f"{operations} operations, {mutations} mutations, {sum(faults.values())} faults"
    print(f"{played} histories, {many}, {failed} failed (seed {seed})")
    print(", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    return 1 if failed else 0


@contextlib.contextmanager
def _house(name: str) -> Iterator[House]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rounds-faults-")))
        url = f"sqlite:///{folder / 'rounds.db'}"
        if name == "postgres":
            from tests.postgres import cluster

            url = stack.enter_context(stack.enter_context(cluster()).database())
        migrate(Config(database_url=url, secret=SECRET))
        yield stack.enter_context(house_on(url, folder / "state"))


if __name__ == "__main__":
    sys.exit(main())
