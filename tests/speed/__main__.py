"""`make speed`: prints how fast it is, as ratios within this run; `make speed SPEED="push pull"` runs some of it.

Two shared cores say little about seconds, so nothing here passes or fails; what is wanted stands beside what was
measured.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.postgres import Cluster, cluster
from tests.speed import board, facts, first, merge, phone, pull, push, reassign, reminders, scores

PARTS: dict[str, Callable[[Cluster, Path], Iterator[str]]] = {
    "merge": merge.run,
    "push": push.run,
    "pull": pull.run,
    "reassign": reassign.run,
    "board": board.run,
    "phone": phone.run,
    "first": first.run,
    "scores": scores.run,
    "facts": facts.run,
    "reminders": reminders.run,
}
# What a careful administrator would run: nothing acknowledged is lost in a power failure.
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "jit": "off",
}


def main(names: list[str]) -> int:
    unknown = set(names) - set(PARTS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        part = PARTS[name]
        print(
            f"\n{name}: {(sys.modules[part.__module__].__doc__ or '').splitlines()[0].partition(': ')[2]}",
            flush=True,
        )
        with cluster(**DURABLE) as running, tempfile.TemporaryDirectory(prefix="rounds-speed-") as folder:
            for line in part(running, Path(folder)):
                print(f"  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
