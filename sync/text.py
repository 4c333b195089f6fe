"""Two edits of one text, made without knowing of each other: no word of either is lost.

What is certain is merged silently: one side holds the other, or one side only added around what both started from.
Everything else stays as two passages, one after the other, for a person to look at.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class Merged(NamedTuple):
    """The merged text, and whether both passages were kept side by side (``TEXT_KEPT_BOTH``)."""

    text: str
    kept_both: bool


def merge(base: str, mine: str, theirs: str) -> Merged:
    """Merge two edits of ``base``: ``theirs`` stands already, ``mine`` comes in.

    Every word of ``mine`` is in the result, and every word of ``theirs`` but those of ``base`` that ``mine`` took out.
    Merging ``mine`` into the result again changes nothing.
    """
    if not mine.strip() or _find(theirs, mine) >= 0:
        return Merged(theirs, False)
    if not theirs.strip() or _find(mine, theirs) >= 0:
        return Merged(mine, False)
    spliced = _splice(base, mine, theirs)
    if spliced is not None:
        return Merged(spliced, False)
    return Merged(f"{theirs.rstrip()}\n\n{mine}", True)


def _splice(base: str, mine: str, theirs: str) -> str | None:
    """``theirs`` with ``mine`` in the place of ``base``, if ``theirs`` holds it untouched exactly once."""
    at = _find(theirs, base) if base.strip() else -1
    if at < 0 or theirs.count(base) > 1:
        return None
    before, after = theirs[:at], theirs[at + len(base) :]
    if _glued(before, mine) or _glued(mine, after):
        return None
    return before + mine + after


def _find(text: str, passage: str) -> int:
    """Where ``text`` holds ``passage`` with no word cut in two at its ends; -1 if nowhere."""
    at = text.find(passage)
    while at >= 0:
        end = at + len(passage)
        if not _glued(text[max(at - 1, 0) : at], passage) and not _glued(passage, text[end : end + 1]):
            return at
        at = text.find(passage, at + 1)
    return -1


def _glued(left: str, right: str) -> bool:
    """Whether the end of ``left`` and the beginning of ``right`` would read as one word."""
    return bool(left and right) and _of_word(left[-1]) and _of_word(right[0])


def _of_word(char: str) -> bool:
    # Letters, digits and their marks; from the CJK blocks on, where words are written without blanks, each
    # character counts as a word of its own.
    return unicodedata.category(char)[0] in "LNM" and not "\u2e80" <= char < "\ud800"
