"""A reading explains itself: the sentences of the server, which the phone composes alike from the same lists."""

import json
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from server.indicators import catalogue
from server.indicators import explain as words
from server.indicators.case import case_of, plain, score_document
from server.indicators.explain import explain
from server.indicators.score import REASONS
from server.indicators.templates import TEMPLATES

FOLDER = Path(__file__).parent
GOLDEN, IN_WORDS = FOLDER / "golden.json", FOLDER / "golden_in_words.json"
LANGUAGES = (("en", "en"), ("zh-Hans", "zh"))
EXPLAINED = json.loads((Path(__file__).parent / "explained.json").read_text("utf-8"))


@pytest.mark.parametrize("case", EXPLAINED["cases"], ids=lambda case: case["name"])
@pytest.mark.parametrize(("locale", "language"), LANGUAGES)
def test_a_reading_explains_itself(case: dict[str, Any], locale: str, language: str):
    said = explain(case["reading"], case["indicator"], EXPLAINED["cap"], locale)
    assert said == case[language]


def test_the_cases_meet_every_reason_a_reading_may_carry():
    met = {code for case in EXPLAINED["cases"] for code in case["reading"]["reasons"]}
    assert met >= set(REASONS)


def golden_in_words() -> dict[str, dict[str, dict[str, list[str]]]]:
    """Each reading of each case of the golden table in both languages: case -> indicator -> language -> sentences."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for each in json.loads(GOLDEN.read_text("utf-8"), parse_float=Decimal)["cases"]:
        case = case_of(each)
        rows = {
            one.code: {"direction": one.direction, "weight": plain(one.weight), "unit": one.unit}
            | {"cap": plain(one.cap)}
            for one in case.scheme.indicators
        }
        found[case.name] = {
            reading["indicator"]: {
                language: explain(reading, rows[reading["indicator"]], plain(case.scheme.cap) or "", locale)
                for locale, language in LANGUAGES
            }
            for reading in score_document(case.run())["readings"]
        }
    return found


def test_every_reading_of_the_golden_table_is_told_as_it_is_written_down():
    """The phone, which scores and explains the same cases by itself, is held to the same file. To write it anew:
    `python -m tests.server.indicators.test_explain`."""
    assert json.loads(IN_WORDS.read_text("utf-8")) == golden_in_words()


def _leaves(tree: Any, path: str = "") -> dict[str, str]:
    if isinstance(tree, str):
        return {path: tree}
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {key: word for name, each in inside for key, word in _leaves(each, f"{path}.{name}").items()}


def test_both_languages_have_the_same_sentences_with_the_same_gaps():
    def gaps(word: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(word) if name}

    en, zh = _leaves(words._words("en")), _leaves(words._words("zh-Hans"))
    assert en.keys() == zh.keys()
    grammar = {"count", "do_not"}  # one and many, which Chinese does not tell apart
    unlike = {key for key in en if (gaps(en[key]) ^ gaps(zh[key])) - grammar}
    assert unlike == set()


def test_the_phone_is_told_the_catalogue_and_the_templates_as_they_are():
    room = Path(catalogue.__file__).parent
    fields = ("name", "name_zh", "unit", "evidence", "direction", "additive", "level")
    known = {
        code: {name: getattr(one, name) for name in fields}
        | {"target": None if one.target is None else str(one.target)}
        for code, one in catalogue.PROCESS.items()
    }
    assert json.loads((room / "catalogue.json").read_text("utf-8")) == known
    assert json.loads((room / "templates.json").read_text("utf-8")) == TEMPLATES


if __name__ == "__main__":
    IN_WORDS.write_text(json.dumps(golden_in_words(), ensure_ascii=False, indent=1) + "\n", "utf-8")
