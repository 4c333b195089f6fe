import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.text import merge

TEXT = st.text("abc é字. \n-", max_size=14)


def words(text: str) -> set[str]:
    return set(re.findall(r"字|[^\W字]+", text))


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ("a", "a", "b", "b\n\na"),
        ("Met Anna.", "Met Anna. Wants 5.", "Met Anna.", "Met Anna. Wants 5."),
        ("Met Anna.", "Met Anna.", "Met Anna. Wants 5.", "Met Anna. Wants 5."),
        ("Met Anna.", "Met Ben.", "Monday: Met Anna. Late.", "Monday: Met Ben. Late."),
        ("Met Anna.", "", "Met Anna. Late.", "Met Anna. Late."),
        ("Met Anna.", "Met Ben.", " ", "Met Ben."),
        ("", "Call him.", "Call himself.", "Call himself.\n\nCall him."),
        ("", "call him", "call himself", "call himself\n\ncall him"),
        ("", "见了老板", "见了老板要货", "见了老板要货"),
        ("no", "yes", "no and no", "no and no\n\nyes"),
        ("a-", "c", "a-b", "a-b\n\nc"),
        ("", "cafe", "cafe\u0301", "cafe\u0301\n\ncafe"),
    ],
)
def test_texts_merge(base, mine, theirs, merged):
    assert merge(base, mine, theirs).text == merged


def test_only_two_passages_side_by_side_are_flagged():
    assert merge("", "mine", "theirs").kept_both
    assert not merge("", "mine", "mine too").kept_both
    assert not merge("x y", "x z", "w x y").kept_both


@example("a-", "c", "a-b")
@given(TEXT, TEXT, TEXT)
def test_no_word_is_lost(base, mine, theirs):
    merged = merge(base, mine, theirs).text
    assert words(mine) <= words(merged)
    assert words(theirs) - words(base) <= words(merged)
    if mine == base or not mine.strip():
        assert words(theirs) <= words(merged)


@given(TEXT, TEXT, TEXT)
def test_merging_the_same_edit_again_changes_nothing(base, mine, theirs):
    once = merge(base, mine, theirs).text
    assert merge(base, mine, once) == (once, False)


@given(st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_any_text_can_be_merged(base, mine, theirs):
    merged = merge(base, mine, theirs).text
    assert mine.strip() in merged
    assert merge(base, mine, merged).text == merged
