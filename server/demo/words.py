"""The words of the demo in its two languages. Towns, streets, shops and people are invented; telephone numbers lead nowhere.

In a template `{who}` is the contact, `{item}` and `{other}` are goods, `{n}` a number of cases, `{day}` a weekday.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Town:
    """Where and who. `centre` is latitude and longitude; south of `shore_m` metres below it lies water."""

    organisation: str
    slug: str
    domain: str
    time_zone: str
    locale: str
    centre: tuple[float, float]
    shore_m: float
    root: str
    teams: tuple[str, str, str]
    people: tuple[str, ...]
    phone: str


@dataclass(frozen=True, slots=True)
class Words:
    """What names and sentences are made of."""

    town: Town
    streets: tuple[str, ...]
    street: tuple[str, ...]
    address: str
    surnames: tuple[str, ...]
    given: tuple[str, ...]
    full_name: str
    trades: tuple[tuple[str, ...], ...]
    shop: tuple[str, ...]
    fancy: tuple[str, ...]
    thing: tuple[str, ...]
    tags: tuple[str, ...]
    notes: tuple[str, ...]
    goods: tuple[str, ...]
    days: tuple[str, ...]
    openings: dict[str, tuple[str, ...]]
    middles: tuple[str, ...]
    closings: tuple[str, ...]
    calls: tuple[str, ...]
    next_steps: tuple[str, ...]
    curt: tuple[str, ...]
    cancelled: tuple[str, ...]
    late: tuple[str, ...]
    moved: str
    joiner: str


def load(language: str) -> Words:
    """The words of en or zh (zh-Hans means the same); KeyError for another language."""
    name = {"en": "en", "zh": "zh", "zh-Hans": "zh"}[language]
    return msgspec.json.decode((Path(__file__).parent / f"words_{name}.json").read_bytes(), type=Words)
