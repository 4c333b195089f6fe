"""Two edits of one text: what is merged silently, what stays side by side, and the laws of both."""

import re
import time
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.text import _says, _tokens, merge

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
COUPLE = "\U0001f468\u200d\U0001f469"
GERMANY, FRANCE = "\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"
TEXT = st.text("abc é字. \n-", max_size=14)


def words(text: str) -> set[str]:
    return {token for token in _tokens(text) if _says(token)}


SILENT = {
    "one side only": ("Met Anna.", "Met Anna. Wants 5.", "Met Anna.", "Met Anna. Wants 5."),
    "different words": (
        "Opens at 9, closes at 17.",
        "Opens at 8, closes at 17.",
        "Opens at 9, closes at 18.",
        "Opens at 8, closes at 18.",
    ),
    "before and inside": ("Met Anna.", "Met Ben.", "Monday: Met Anna. Late.", "Monday: Met Ben. Late."),
    "an own text that was merged": (
        "Mine.",
        "Mine. More.",
        "Theirs.\n\nMine.",
        "Theirs.\n\nMine. More.",
    ),
    "the same change": ("at nine", "at ten", "at ten", "at ten"),
    "the same change and another": ("a b c d e", "A b c d e", "A b c d E", "A b c d E"),
    "a word taken out and one put in": (
        "red green blue",
        "red blue",
        "red green blue black",
        "red blue black",
    ),
    "lines": (
        "- milk\n- tea\n- salt\n",
        "- milk\n- green tea\n- salt\n",
        "- milk\n- tea\n- salt\n- sugar\n",
        "- milk\n- green tea\n- salt\n- sugar\n",
    ),
    "a ticked line and a new one": (
        "- [ ] call\n- [ ] send offer",
        "- [x] call\n- [ ] send offer",
        "- [ ] call\n- [ ] send offer\n- [ ] thank",
        "- [x] call\n- [ ] send offer\n- [ ] thank",
    ),
    "Chinese": (
        "见了老板要五百元货",
        "见了张老板要五百元货",
        "见了老板要五百元货，急",
        "见了张老板要五百元货，急",
    ),
    "Hebrew": ("שלום עולם טוב", "שלום עולם גדול", "היי עולם טוב", "היי עולם גדול"),
    "a directed line and another": (
        "\u2067עולם\u2069 12\nnext",
        "\u2067עולם\u2069 13\nnext",
        "\u2067עולם\u2069 12\nnext day",
        "\u2067עולם\u2069 13\nnext day",
    ),
    "one holds the other": ("", "见了老板", "见了老板要货", "见了老板要货"),
    "nothing left of one": ("Met Anna.", "", "Met Anna. Late.", " Late."),
}


@pytest.mark.parametrize("name", SILENT)
def test_edits_that_do_not_meet_are_both_taken_silently(name):
    base, mine, theirs, merged = SILENT[name]
    assert merge(base, mine, theirs) == (merged, False)
    assert merge(base, theirs, mine) == (merged, False)


BESIDE = {
    "one word": ("Opens at 9 daily", "Opens at 10 daily", "Opens at 11 daily", "Opens at 11 / 10 daily"),
    "a number is one word": (
        "Wants 3,500 boxes",
        "Wants 4,500 boxes",
        "Wants 3,600 boxes",
        "Wants 3,600 / 4,500 boxes",
    ),
    "words close by": (
        "Opens at 9 on Monday, ring twice",
        "Opens at 10 on Tuesday, ring twice",
        "Opens at 11 on Friday, ring twice",
        "Opens at 11 on Friday / 10 on Tuesday, ring twice",
    ),
    "only around it": (
        "First line.\nOpens at 9.\nLast line.",
        "First line.\nOpens at ten.\nLast line!",
        "1st line.\nOpens at noon.\nLast line.",
        "1st line.\nOpens at noon / ten.\nLast line!",
    ),
    "all words of a line": (
        "Intro.\nOld.\nEnd.",
        "Intro.\nMine is here.\nEnd.",
        "Intro.\nTheirs.\nEnd.",
        "Intro.\nTheirs.\nMine is here.\nEnd.",
    ),
    "a whole text": ("Opens.", "Closed on Mondays.", "Ring twice.", "Ring twice.\n\nClosed on Mondays."),
    "an empty one": ("", "Call him.", "Call himself.", "Call himself.\n\nCall him."),
    "both went on": (
        "Met Anna.",
        "Met Anna. Wants 5.",
        "Met Anna. Late.",
        "Met Anna. Late. Wants 5.",
    ),
    "both put in a line": (
        "- milk\n- salt",
        "- milk\n- tea\n- salt",
        "- milk\n- rum\n- salt",
        "- milk\n- rum\n- tea\n- salt",
    ),
    "both changed a line": (
        "- milk\n- tea\n- salt",
        "- milk\n- green tea\n- salt",
        "- milk\n- black tea\n- salt",
        "- milk\n- black / green tea\n- salt",
    ),
    "both changed all of a line": (
        "- milk\n- tea\n- salt",
        "- milk\n- rum\n- salt",
        "- milk\n- gin\n- salt",
        "- milk\n- gin\n- rum\n- salt",
    ),
    "a numbered line": ("1. a\n2. b\n", "1. a\n2. c\n", "1. a\n2. d\n", "1. a\n2. d\n2. c\n"),
    "Chinese": ("要500元货", "要600元货", "要700元货", "要700 / 600元货"),
    "Thai": ("พบเขา", "พบเธอ", "พบมัน", "พบมัน / เธอ"),
    "a composed letter is not a plain one": ("", "cafe", "cafe\u0301", "cafe\u0301\n\ncafe"),
    "a family is one sign": ("x " + COUPLE, "x " + FAMILY, "x", "x " + FAMILY),
    "flags": (
        GERMANY + FRANCE,
        GERMANY + "\U0001f1ec\U0001f1e7",
        GERMANY + "\U0001f1ee\U0001f1f9",
        GERMANY + "\U0001f1ee\U0001f1f9 / \U0001f1ec\U0001f1e7",
    ),
    "a directed line": (
        "\u2067עולם 1\u2069",
        "\u2067עולם 2\u2069",
        "\u2067עולם 3\u2069",
        "\u2067עולם 3\u2069\n\n\u2067עולם 2\u2069",
    ),
}
ONE_LEFT = {"a family is one sign"}


@pytest.mark.parametrize("name", BESIDE)
def test_where_both_touched_the_same_words_both_passages_stay(name):
    base, mine, theirs, merged = BESIDE[name]
    assert merge(base, mine, theirs) == (merged, name not in ONE_LEFT)


# --- laws ------------------------------------------------------------------------------------------------------------

ANY = st.one_of(TEXT, st.text(max_size=10), st.text("a \n", max_size=12))


@given(ANY, ANY)
def test_an_edit_that_meets_nothing_is_the_result(base, edit):
    assert merge(base, edit, base) == (edit, False)
    assert merge(base, base, edit) == (edit, False)
    assert merge(base, edit, edit) == (edit, False)


@given(ANY, ANY, ANY)
def test_any_texts_are_merged_and_always_alike(base, mine, theirs):
    once = merge(base, mine, theirs)
    assert once == merge(base, mine, theirs)
    assert not once.kept_both or once.text != theirs


@example("a-", "c", "a-b")
@given(ANY, ANY, ANY)
def test_merging_the_same_edit_again_changes_nothing(base, mine, theirs):
    once = merge(base, mine, theirs).text
    if mine != base and once != base:
        assert merge(base, mine, once) == (once, False)


@given(ANY, ANY, ANY)
def test_no_word_that_one_side_added_is_lost(base, mine, theirs):
    merged = _tokens(merge(base, mine, theirs).text)
    for added in (mine, theirs):
        for word in words(added) - words(base):
            assert any(word in token for token in merged), word


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, str, str]:
    """A text of words that all differ, and two edits of it, each with words of its own."""
    blank = st.sampled_from([" ", " ", " ", ", ", ". ", "\n", "\n\n", "\n- "])
    start = [(f"w{number}", draw(blank)) for number in range(draw(st.integers(0, 12)))]

    def edited(name: str) -> str:
        text = list(start)
        for number in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(text)))
            until = min(len(text), at + draw(st.integers(0, 3)))
            count = draw(st.integers(0, 3))
            text[at:until] = [(f"{name}{number}{step}", draw(blank)) for step in range(count)]
        return "".join(map("".join, text))

    return "".join(map("".join, start)), edited("m"), edited("t")


def said(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


@given(stories())
def test_each_word_stays_that_a_side_added_or_both_left_in(story):
    base, mine, theirs = story
    merged = said(merge(base, mine, theirs).text)
    b, m, t = said(base), said(mine), said(theirs)
    assert m.keys() - b.keys() <= merged.keys()
    assert t.keys() - b.keys() <= merged.keys()
    assert m.keys() & t.keys() <= merged.keys()
    assert merged.keys() <= m.keys() | t.keys()


@given(stories())
def test_swapped_sides_keep_the_same_words_but_for_some_that_one_took_out(story):
    base, mine, theirs = story
    one, other = said(merge(base, mine, theirs).text), said(merge(base, theirs, mine).text)
    taken_out = said(mine).keys() ^ said(theirs).keys()
    assert one.keys() ^ other.keys() <= said(base).keys() & taken_out


@given(stories())
def test_what_stands_once_is_not_doubled_by_a_silent_merge(story):
    base, mine, theirs = story
    merged = merge(base, mine, theirs)
    if not merged.kept_both:
        assert set(said(merged.text).values()) <= {1}


SIGNS = [
    "e\u0301",
    "字",
    FAMILY,
    GERMANY,
    FRANCE,
    "\U0001f44d\U0001f3fd",
    "ก็",
    "เ",
    "a",
    " ",
    "\n",
    "שלום",
    "ב\u200f",
    ".",
]
MADE = st.lists(st.sampled_from(SIGNS), max_size=8).map("".join)


@given(MADE, MADE, MADE)
def test_what_is_read_as_one_character_is_never_cut(base, mine, theirs):
    merged = merge(base, mine, theirs).text
    whole = "|".join(sorted(map(re.escape, [*SIGNS, " / ", "\n\n"]), key=len, reverse=True))
    assert re.fullmatch(f"(?:{whole})*", merged)
    assert "".join(_tokens(merged)) == merged
    for token in _tokens(merged):
        assert not unicodedata.category(token[0]).startswith("M") or token == merged[: len(token)]


@given(st.text())
def test_the_tokens_of_a_text_are_the_text(text):
    assert "".join(_tokens(text)) == text


@pytest.mark.parametrize("unit", ["the cat {} sat. ", "a ", "的老板{}", "- item {}\n", "\n"])
def test_long_texts_are_merged_word_by_word_however_often_words_repeat(unit):
    base = "".join(unit.format(number) for number in range(20_000))[:20_000]
    tokens = _tokens(base)
    mine, theirs = list(tokens), list(tokens)
    mine[100] = mine[-100] = "mine"
    theirs[300] = theirs[-300] = "theirs"
    began = time.process_time()
    merged = merge(base, "".join(mine), "".join(theirs)).text
    assert time.process_time() - began < 20, "not bounded"
    assert merged.count("mine") >= 2 and merged.count("theirs") >= 2


def test_a_long_text_that_both_wrote_anew_is_kept_whole_twice():
    base, mine, theirs = (
        " ".join(f"{name}{number % 97}" for number in range(3_000)) for name in ("b", "m", "t")
    )
    merged = merge(base, mine, theirs)
    assert merged.kept_both and mine in merged.text and theirs in merged.text
