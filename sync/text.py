"""Two edits of one text, made without knowing of each other: merged by words, and no word of either is lost.

Three ways: what each side did to the text both started from is laid side by side. Edits that do not meet are both
taken, silently. Where both touched the same words both passages stay, next to each other and only there, for a person
to look at.

A text is read as *tokens*: words, punctuation at a word's ends, blanks, line breaks. A number, a date or an address is
one token, so no merge makes a third number of two. Scripts written without blanks go by character; what a reader sees
as one character (combining marks, joined emoji, flags) is never cut, and neither is a line whose direction is set by
bidirectional controls. An edit of one side is a *hunk* ``(start, end, tokens)``: these tokens in the place of
``base[start:end]``.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

EFFORT = 600_000
"""The most steps one comparison may take, by an estimate from above; what would need more counts as rewritten."""

NEAR = 3
"""Words between a disputed passage and another edit in its line, from which on they are told apart."""

MOST_STEPS = 64
"""How far, in tokens, an edit is moved to where it reads best."""

Hunk = tuple[int, int, list[str]]
Tokens = Sequence[Hashable]
Pair = tuple[int, int]

_CHUNK = re.compile(r"\r\n|[\r\n]|[^\S\r\n]+|\S+")
_LINE = re.compile(r"\r\n|[\r\n]|[^\r\n]+")
_DIRECTED = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LIST_MARK = re.compile(r"\s*(?:[-*+\u2022]|[0-9]{1,9}[.)])\s+(?:\[[ xX]\]\s+)?")
_INSIDE = frozenset("%#@-+")  # punctuation that belongs to the word it stands at: -5, 10%, #12
# Chinese and Japanese, Thai, Lao, Tibetan, Burmese, Khmer.
_BLANKLESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_JOINERS = frozenset("\u200d\u1039\u17d2")
_TRAILERS = frozenset("\u0e33\u0eb3")


class Merged(NamedTuple):
    """The merged text, and whether passages were kept side by side (``TEXT_KEPT_BOTH``)."""

    text: str
    kept_both: bool


def merge(base: str, mine: str, theirs: str) -> Merged:
    """Merge two edits of ``base``: ``theirs`` stands already, ``mine`` comes in.

    A word that one side added is in the result, and so is a word of ``base`` that both sides kept. Merging ``mine``
    into the result again changes nothing. Swapped, the sides give the same words, but for some that one of them took
    out. Any texts are answered.
    """
    if theirs in (base, mine):
        return Merged(mine, False)
    if mine == base:
        return Merged(theirs, False)
    start = _tokens(base)
    one, other = _Side(start, _tokens(mine)), _Side(start, _tokens(theirs))
    if _stands_in(start, one, other):
        return Merged(theirs, False)
    apart = f"\n\n{mine}"
    if theirs.endswith(apart):  # whole beside whole, see below
        before = _Side(start, _tokens(theirs.removesuffix(apart)))
        if not _rests(start, one, before):
            return Merged(theirs, False)
    if _rests(start, one, other):
        woven = _combine(start, one.hunks, other.hunks)
        return Merged(woven.text, woven.kept_both)
    return Merged(theirs + apart, True)


class _Side:
    """A text, and what it did to the base."""

    __slots__ = ("hunks", "tokens")

    def __init__(self, base: list[str], tokens: list[str]) -> None:
        self.tokens = tokens
        self.hunks = _hunks(base, tokens)

    def undone(self, base: list[str]) -> list[Hunk]:
        """The hunks that make the base of this text."""
        hunks: list[Hunk] = []
        moved = 0
        for start, end, tokens in self.hunks:
            hunks.append((start + moved, start + moved + len(tokens), base[start:end]))
            moved += len(tokens) - (end - start)
        return hunks


def _stands_in(base: list[str], mine: _Side, whole: _Side) -> bool:
    """Whether ``whole`` has the edit of ``mine`` already: to make it, or to undo it and make it again, changes nothing."""
    if _combine(base, mine.hunks, whole.hunks).tokens == whole.tokens:
        return True
    without = _combine(mine.tokens, mine.undone(base), _hunks(mine.tokens, whole.tokens)).tokens
    if without == whole.tokens:
        return False
    return _combine(base, mine.hunks, _hunks(base, without)).tokens == whole.tokens


def _rests(base: list[str], mine: _Side, theirs: _Side) -> bool:
    """Whether both edits, made in either order, are found in what they make: then merging again changes nothing.

    Where words repeat so much that nobody can tell which is which, they are not; such texts are kept whole.
    """
    one = _Side(base, _tokens(_combine(base, mine.hunks, theirs.hunks).text))
    if not _stands_in(base, mine, one):
        return False
    other = _Side(base, _tokens(_combine(base, theirs.hunks, mine.hunks).text))
    return _stands_in(base, theirs, other)


# --- what each side did ----------------------------------------------------------------------------------------------


def _hunks(base: list[str], side: list[str]) -> list[Hunk]:
    """What ``side`` did to ``base``, in order; between two hunks there is always a token that was kept."""
    hunks: list[Hunk] = []
    at = to = 0
    for i, j, size in [*_kept(base, side), (len(base), len(side), 0)]:
        if i > at or j > to:
            floor = hunks[-1][1] + 1 if hunks else 0
            last = (i + size, j + size) == (len(base), len(side))
            hunks.append(_placed(base, (at, i, side[to:j]), floor, i + size if last else i + size - 1))
        at, to = i + size, j + size
    return hunks


def _placed(base: list[str], hunk: Hunk, floor: int, ceiling: int) -> Hunk:
    """The same edit where a person would see it, between ``floor`` and ``ceiling``.

    ``- b`` put between ``- a`` and ``- c`` can be read as one line put in or as ``b``, break and ``- `` put into the
    next line. Whichever of these the comparison came upon: whole lines first, then what begins with a blank.
    """
    start, end, tokens = hunk
    if start < end and tokens:
        return hunk
    moving = deque(tokens or base[start:end])
    for _ in range(MOST_STEPS):
        if start <= floor or base[start - 1] != moving[-1]:
            break
        moving.rotate(1)
        start, end = start - 1, end - 1
    best, best_look = (start, list(moving)), _look(base, start, end, moving)
    for _ in range(2 * MOST_STEPS):
        if end >= ceiling or base[end] != moving[0]:
            break
        moving.rotate(-1)
        start, end = start + 1, end + 1
        look = _look(base, start, end, moving)
        if look > best_look:
            best, best_look = (start, list(moving)), look
    start, place = best
    return (start, start, place) if tokens else (start, start + len(place), [])


def _look(base: list[str], start: int, end: int, moving: deque[str]) -> int:
    if (start == 0 or _breaks(base[start - 1])) and _breaks(moving[-1]):
        return 3
    if (end == len(base) or _breaks(base[end])) and _breaks(moving[0]):
        return 2
    return int(moving[0].isspace())


def _kept(base: list[str], side: list[str]) -> list[tuple[int, int, int]]:
    """``(i, j, size)``: ``base[i:i + size]`` stands as ``side[j:j + size]``; in order, none touching the next.

    Whole lines first, so that the lines of a list stay whole; what lies between two of them by words.
    """
    lines, their_lines = _lines(base), _lines(side)
    pairs = _aligned([line for _, line in lines], [line for _, line in their_lines], EFFORT)
    found: list[Pair] = []
    at = to = 0
    for i, j in [*pairs, (len(lines), len(their_lines))]:
        last = i == len(lines)
        begin = (len(base), len(side)) if last else (lines[i][0], their_lines[j][0])
        share = EFFORT * (begin[0] - at + begin[1] - to) / (len(base) + len(side))
        gap = _matches(base[at : begin[0]], side[to : begin[1]], share)
        found += [(at + x, to + y) for x, y in gap]
        if not last:
            size = len(lines[i][1])
            found += [(begin[0] + step, begin[1] + step) for step in range(size)]
            at, to = begin[0] + size, begin[1] + size
    blocks: list[tuple[int, int, int]] = []
    for i, j in found:
        if blocks and blocks[-1][0] + blocks[-1][2] == i and blocks[-1][1] + blocks[-1][2] == j:
            blocks[-1] = (blocks[-1][0], blocks[-1][1], blocks[-1][2] + 1)
        else:
            blocks.append((i, j, 1))
    return blocks


def _lines(tokens: list[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Each line that says something, as its place and its tokens without the break."""
    lines: list[tuple[int, tuple[str, ...]]] = []
    start = 0
    for end in [*(i for i, token in enumerate(tokens) if _breaks(token)), len(tokens)]:
        line = tuple(tokens[start:end])
        if any(map(_says, line)):
            lines.append((start, line))
        start = end + 1
    return lines


def _matches(one: list[str], other: list[str], effort: float) -> list[Pair]:
    """Pairs of places with equal tokens, rising on both sides: words by `_aligned`, the rest where it touches them."""
    mine = [i for i, token in enumerate(one) if _says(token)]
    theirs = [j for j, token in enumerate(other) if _says(token)]
    words = _aligned([one[i] for i in mine], [other[j] for j in theirs], effort)
    pairs: list[Pair] = []
    i = j = 0
    for at, to in [*((mine[at], theirs[to]) for at, to in words), (len(one), len(other))]:
        head, tail = _ends_alike(one[i:at], other[j:to])
        pairs += [(i + step, j + step) for step in range(head)]
        pairs += [(at - step, to - step) for step in range(tail, 0, -1)]
        if at < len(one):
            pairs.append((at, to))
        i, j = at + 1, to + 1
    return pairs


def _ends_alike(one: Tokens, other: Tokens) -> tuple[int, int]:
    """How many tokens two texts have in common at their beginnings, and of the rest at their ends."""
    least = min(len(one), len(other))
    head = 0
    while head < least and one[head] == other[head]:
        head += 1
    tail = 0
    while tail < least - head and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    return head, tail


def _aligned(one: Tokens, other: Tokens, effort: float, deep: int = 8) -> list[Pair]:
    """Pairs of equal words, rising on both sides, as many as the effort allows.

    Common ends first, the middle by `difflib`. Where that would take too long, words that stand once on each side cut
    the middle into smaller parts.
    """
    head, tail = _ends_alike(one, other)
    pairs = [(i, i) for i in range(head)]
    here, there = one[head : len(one) - tail], other[head : len(other) - tail]
    if here and there:
        pairs += [(head + i, head + j) for i, j in _compared(here, there, effort, deep)]
    return pairs + [(len(one) - i, len(other) - i) for i in range(tail, 0, -1)]


def _compared(one: Tokens, other: Tokens, effort: float, deep: int) -> Iterator[Pair]:
    counts, others = Counter(one), Counter(other)
    # difflib goes to each equal of each word, once for each block that it finds.
    steps = len(one) + sum(count * others[word] for word, count in counts.items())
    if steps * min(len(one), len(other)) <= effort:
        for i, j, size in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks():
            yield from zip(range(i, i + size), range(j, j + size), strict=True)
        return
    places = {word: j for j, word in enumerate(other) if others[word] == 1 == counts[word]}
    anchors = _rising([(i, places[word]) for i, word in enumerate(one) if word in places]) if deep else []
    if not anchors:
        return
    i = j = 0
    for at, to in [*anchors, (len(one), len(other))]:
        share = effort * (at - i + to - j) / (len(one) + len(other))
        for x, y in _aligned(one[i:at], other[j:to], share, deep - 1):
            yield i + x, j + y
        if at < len(one):
            yield at, to
        i, j = at + 1, to + 1


def _rising(pairs: list[Pair]) -> list[Pair]:
    """The longest run of pairs that rises on both sides; they come rising on the first. (Patience sorting.)"""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        pile = bisect_left(ends, j)
        before.append(last[pile - 1] if pile else -1)
        if pile == len(ends):
            ends.append(j)
            last.append(number)
        else:
            ends[pile], last[pile] = j, number
    run = []
    number = last[-1] if last else -1
    while number >= 0:
        run.append(pairs[number])
        number = before[number]
    return run[::-1]


# --- both together ---------------------------------------------------------------------------------------------------


class _Woven(NamedTuple):
    tokens: list[str]
    kept_both: bool

    @property
    def text(self) -> str:
        return "".join(self.tokens)


class _Group:
    """Hunks that have to be looked at together: of one side, or of both where they met."""

    __slots__ = ("end", "mine", "start", "theirs")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.mine: list[Hunk] = []
        self.theirs: list[Hunk] = []

    @property
    def disputed(self) -> bool:
        return bool(self.mine and self.theirs) and self.mine != self.theirs

    def take(self, other: _Group) -> None:
        """Take in the group that comes next."""
        self.end = max(self.end, other.end)
        self.mine += other.mine
        self.theirs += other.theirs


def _combine(base: list[str], mine: list[Hunk], theirs: list[Hunk]) -> _Woven:
    """``base`` with the hunks of both sides."""
    merged: list[str] = []
    both = False
    at = 0
    for group in _groups(base, mine, theirs):
        start, end, whole = group.start, group.end, False
        if group.disputed:
            start, end, whole = _to_line_ends(base, start, end)
        merged += base[at:start]
        ours = _passage(base, start, end, group.mine) if group.mine else None
        other = _passage(base, start, end, group.theirs) if group.theirs else None
        if ours is None or other is None or ours == other or _holds(other, ours):
            merged += other if other is not None else ours or []
        elif _holds(ours, other):
            merged += ours
        else:
            merged += _side_by_side(base, start, end, other, ours, whole)
            both = True
        at = end
    return _Woven(merged + base[at:], both)


def _groups(base: list[str], mine: list[Hunk], theirs: list[Hunk]) -> list[_Group]:
    """All hunks in order; those that met together, and with them what stands in the same line close by."""
    hunks = sorted(
        [(start, end, 0, tokens) for start, end, tokens in mine]
        + [(start, end, 1, tokens) for start, end, tokens in theirs]
    )
    met: list[_Group] = []
    for start, end, side, tokens in hunks:
        others = (met[-1].mine if side else met[-1].theirs) if met else []
        group = _Group(start, end)
        (group.theirs if side else group.mine).append((start, end, tokens))
        if others and _meet(base, others[-1], (start, end, tokens)):
            met[-1].take(group)
        else:
            met.append(group)
    groups: list[_Group] = []
    for group in met:
        near = bool(groups) and _near(base[groups[-1].end : group.start])
        if near and (groups[-1].disputed or group.disputed):
            groups[-1].take(group)
        else:
            groups.append(group)
            continue
        while len(groups) > 1 and _near(base[groups[-2].end : groups[-1].start]):
            last = groups.pop()
            groups[-1].take(last)
    return groups


def _meet(base: list[str], first: Hunk, second: Hunk) -> bool:
    """Whether two hunks of different sides, the first starting no later, touched the same words or the same place."""
    start, end, tokens = first
    begin, until, others = second
    if begin < end or (start, end) == (begin, until):
        return True
    if begin > end:
        return False
    if end > start and until > begin:  # one ends where the other begins; is that within a word?
        return _says(base[end - 1]) and _says(base[begin])
    if end == start:  # put in before what the other replaced
        return bool(tokens) and _says(tokens[-1])
    return bool(others) and _says(others[0])


def _near(between: list[str]) -> bool:
    return not any(map(_breaks, between)) and sum(map(_says, between)) < NEAR


def _to_line_ends(base: list[str], start: int, end: int) -> tuple[int, int, bool]:
    """The passage with what stands beside it in its lines, if no word does; and whether it then is whole lines."""
    left, right = start, end
    while left and not _breaks(base[left - 1]):
        left -= 1
    while right < len(base) and not _breaks(base[right]):
        right += 1
    before, after = base[left:start], base[end:right]
    mark = _LIST_MARK.fullmatch("".join(before))
    if any(map(_says, after)) or (any(map(_says, before)) and not mark):
        return start, end, False
    return left, right, True


def _passage(base: list[str], start: int, end: int, hunks: list[Hunk]) -> list[str]:
    tokens: list[str] = []
    for begin, until, new in hunks:
        tokens += base[start:begin] + new
        start = until
    return tokens + base[start:end]


def _holds(passage: list[str], other: list[str]) -> bool:
    """Whether the words of ``other`` stand in ``passage``, in one run."""
    words = _trimmed(other)
    return not words or _run(words) in _run(passage)


def _run(tokens: list[str]) -> str:
    return "\0".join(["", *tokens, ""])


def _trimmed(tokens: list[str]) -> list[str]:
    start, end = 0, len(tokens)
    while start < end and tokens[start].isspace():
        start += 1
    while end > start and tokens[end - 1].isspace():
        end -= 1
    return tokens[start:end]


def _side_by_side(
    base: list[str], start: int, end: int, theirs: list[str], mine: list[str], whole: bool
) -> list[str]:
    """Both passages, one after the other."""
    first, second = theirs, mine
    if (_breaks(mine[-1]) and not _breaks(theirs[-1])) or (_breaks(theirs[0]) and not _breaks(mine[0])):
        first, second = mine, theirs
    if _breaks(first[-1]) or _breaks(second[0]):
        return first + second
    if whole or any(map(_breaks, first)) or any(map(_breaks, second)):
        alone = not any(map(_says, base[max(start - 2, 0) : start] + base[end : end + 2]))
        listed = any(_LIST_MARK.match("".join(passage)) for passage in (first, second))
        return [*first, "\n\n" if alone and not listed else "\n", *second]
    if any(map(_says, base[start:end])) or _says_on(base, end):
        left, right = ("" if first[-1].isspace() else " "), ("" if second[0].isspace() else " ")
        return [*first, f"{left}/{right}", *second]
    apart = first[-1].isspace() or second[0].isspace() or not _says(second[0])
    if apart or _BLANKLESS.search(first[-1][-1] + second[0][0]):
        return first + second
    return [*first, " ", *second]


def _says_on(base: list[str], at: int) -> bool:
    """Whether the line goes on with words."""
    for token in base[at:]:
        if _breaks(token) or _says(token):
            return _says(token)
    return False


# --- tokens ----------------------------------------------------------------------------------------------------------


def _tokens(text: str) -> list[str]:
    """The tokens of a text; put together they are the text."""
    if _DIRECTED.search(text):
        return [
            token
            for line in _LINE.findall(text)
            for token in ([line] if _DIRECTED.search(line) else _tokens(line))
        ]
    tokens: list[str] = []
    for chunk in _CHUNK.findall(text):
        if chunk.isspace():
            tokens.append(chunk)
        else:
            tokens += _parts(chunk)
    return tokens


@lru_cache(4096)
def _parts(chunk: str) -> tuple[str, ...]:
    """What stands between two blanks: single characters of blankless scripts, words, punctuation at their ends."""
    parts: list[str] = []
    word: list[str] = []
    for cluster in chunk if chunk.isascii() else _clusters(chunk):
        if _alone(cluster):
            parts += _bare(word)
            parts.append(cluster)
            word = []
        else:
            word.append(cluster)
    return (*parts, *_bare(word))


def _clusters(chunk: str) -> Iterator[str]:
    """What a reader sees as one character each."""
    cluster = ""
    for char in chunk:
        if cluster and not _joins(cluster, char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _joins(cluster: str, char: str) -> bool:
    """Whether ``char`` is seen as part of the character before it."""
    category = unicodedata.category(char)
    if category[0] == "M" or category == "Cf" or char in _TRAILERS or cluster[-1] in _JOINERS:
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff":
        return True
    if _is_flag(char):
        return len(cluster) == 1 and _is_flag(cluster)
    return all(unicodedata.category(one) == "Cf" for one in cluster)


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _alone(cluster: str) -> bool:
    """Whether it is a word by itself: a character of a script without blanks, or a picture."""
    return not cluster.isascii() and (
        _BLANKLESS.match(cluster) is not None or unicodedata.category(cluster[0]) == "So"
    )


def _bare(word: list[str]) -> Iterator[str]:
    """A word, and before and after it the punctuation at its ends, each by itself."""
    start, end = 0, len(word)
    while start < end and _ends(word[start]):
        start += 1
    while end > start and _ends(word[end - 1]):
        end -= 1
    yield from word[:start]
    if start < end:
        yield "".join(word[start:end])
    yield from word[end:]


def _ends(cluster: str) -> bool:
    return cluster not in _INSIDE and unicodedata.category(cluster[0])[0] == "P"


def _breaks(token: str) -> bool:
    return token[0] in "\r\n"


@lru_cache(16384)
def _says(token: str) -> bool:
    """Whether a token is a word rather than a blank, a break or punctuation."""
    return any(unicodedata.category(char)[0] in "LNS" for char in token)
