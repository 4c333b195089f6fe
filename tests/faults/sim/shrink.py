"""Delta debugging: the shortest list of steps that still breaks a law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

One = TypeVar("One")


def shrink(steps: Sequence[One], fails: Callable[[Sequence[One]], bool], most: int = 400) -> list[One]:
    """A sub-list of `steps` that still fails and, within `most` trials, from which no step can be left out.

    `fails(steps)` must be true; pieces are taken away, halves first, then ever smaller ones, to single steps.
    """
    left = list(steps)
    size = max(1, len(left) // 2)
    trials = 0
    while trials < most:
        taken = False
        at = 0
        while at < len(left) and trials < most:
            candidate = left[:at] + left[at + size :]
            trials += 1
            if candidate and fails(candidate):
                left, taken = candidate, True
            else:
                at += size
        if size > 1:
            size = max(1, size // 2)
        elif not taken:
            break
    return left
