"""How far a person is from a customer, and whether two customers are probably one place."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

# WGS 84: semi-major axis in metres and squared eccentricity.
_AXIS_M = 6_378_137.0
_E2 = 0.006_694_379_990_141_3
_NEAR_M = 5_000.0
_POLAR = 80.0


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The geodesic distance on WGS 84 in metres. Degrees; latitudes from -90 to 90, else ValueError.

    Up to 5 km, outside the polar caps, by the mid-latitude formula (Gauss): the way along the meridian and the way
    along the parallel through the middle, each by the ellipsoid's radius of curvature there. It is within a
    centimetre of the geodesic and a hundred times faster, which counts where check-ins arrive by the thousand.
    Everything else, across the date line too, by geopy (Karney's algorithm).
    """
    if -_POLAR <= lat1 <= _POLAR and -_POLAR <= lat2 <= _POLAR:
        middle = math.radians((lat1 + lat2) / 2)
        bent = 1 - _E2 * math.sin(middle) ** 2
        prime_vertical = _AXIS_M / math.sqrt(bent)
        meridian = prime_vertical * (1 - _E2) / bent
        north = meridian * math.radians(lat2 - lat1)
        east = prime_vertical * math.cos(middle) * math.radians(lon2 - lon1)
        near = math.hypot(north, east)
        if near <= _NEAR_M:
            return near
    if not (-90 <= lat1 <= 90 and -90 <= lat2 <= 90):
        raise ValueError("a latitude beyond the poles")
    return _geodesic_m(lat1, lon1, lat2, lon2)


@lru_cache(maxsize=4096)
def _geodesic_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    # Loaded when first needed: with it come geopy's geocoders and an HTTP client, a fifth of the time a process starts in.
    from geopy.distance import geodesic

    return float(geodesic((lat1, lon1), (lat2, lon2)).meters)


# -- probable duplicates ------------------------------------------------------------------------------------------------

CLOSE_M = 100.0
"""So near, two customers are one place if their names are much alike: two people stand at one door."""

SAME_NAME_M = 500.0
"""Up to here they are if their names are the same; beyond it they are two branches."""

ALIKE = 0.8
"""Of names at one door: a letter or two, a word that says little."""

ALIKE_IN_SYLLABLES = 0.9
"""The same where a sign is a syllable or a word: another sign is another name, as of the baker Lü and the baker Zhang."""

SAME = 0.95
"""Of names further apart: a slip of the hand in a long one, no more."""

ALIKE_ADDRESS = 0.7
"""Of addresses under one name: `High St.` is the High Street; the house number has to agree anyway."""

MOST_KEY = 100
"""So many characters make a key: an index does not take any length."""

# Words that tell one place from another no better than their absence does.
_SAYING_LITTLE = frozenset(
    "the a an and of at le la les el los las il lo der die das den und et y de du des "
    "inn pub bar tavern hotel restaurant cafe shop store "
    "ltd limited plc inc llc co company corp gmbh ag kg sa srl spa oy ab bv".split()
)
_COMPANY = re.compile("(?:股份|责任)?有限(?:责任)?公司$")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})
_ACCENTS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_BETWEEN = re.compile(r"[\W_]+")
_NUMBERS = re.compile("[0-9]+|[一二三四五六七八九十百]+")
_SYLLABLES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CELL_DEGREES = SAME_NAME_M / 111_000
"""Height of a cell: no less than `SAME_NAME_M` of latitude, so that the next cells hold all that is so near."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a customer that tells whether it is another one. Degrees WGS 84; None where not known."""

    name: str
    lat: float | None = None
    lon: float | None = None
    address: str | None = None
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A name as it is compared: its telling words in order, their letters, pairs of letters, and its numbers."""

    key: str
    letters: str
    pairs: frozenset[str]
    numbers: tuple[str, ...]


def alike_key(name: str) -> str:
    """A name without what people write differently: case, width, accents, punctuation, articles, order of words.

    `The Crown`, `CROWN INN` and `Crown` have one key; so have `Café Müller` and `Muller`.
    """
    return _sketch(name).key


def likeness(one: str, other: str) -> float:
    """How alike two names are, from 0 to 1 (the same key). Names with different numbers in them are not alike at all.

    Of the letters of the keys, by the longest passages they share (Ratcliff and Obershelp, as in difflib): it needs no
    spaces between words, so Chinese is no special case.
    """
    a, b = _sketch(one), _sketch(other)
    if a.key == b.key:
        return 1.0
    if a.numbers != b.numbers:
        return 0.0
    shared = 2 * len(a.pairs & b.pairs) / max(len(a.pairs) + len(b.pairs), 1)
    if shared < 0.5:  # cannot come to much, and most names of a street are told apart here
        return min(shared, 0.5)
    low, high = sorted((a.letters, b.letters))  # the measure depends on the order, the answer must not
    return SequenceMatcher(None, low, high, autojunk=False).ratio()


def probably_same(one: Place, other: Place) -> float:
    """How likely two customers are one place: 0 for no, else their likeness. A guess that a person has to confirm.

    Where either has no coordinates the names must be the same, and the addresses alike; with an address missing,
    they must at least belong to one team.
    """
    if one.lat is not None and one.lon is not None and other.lat is not None and other.lon is not None:
        if abs(one.lat - other.lat) > 2 * _CELL_DEGREES:
            return 0.0
        like = likeness(one.name, other.name)
        if like < (ALIKE_IN_SYLLABLES if _SYLLABLES.search(one.name) else ALIKE):
            return 0.0
        apart = distance_m(one.lat, one.lon, other.lat, other.lon)
        return like if apart <= (SAME_NAME_M if like >= SAME else CLOSE_M) else 0.0
    if alike_key(one.name) != alike_key(other.name):
        return 0.0
    if one.address and other.address:
        return SAME if likeness(one.address, other.address) >= ALIKE_ADDRESS else 0.0
    return ALIKE if one.team_id is not None and one.team_id == other.team_id else 0.0


def cell_of(lat: float | None, lon: float | None) -> str | None:
    """The cell of a grid, some 500 m wide and high, that a place lies in; None without coordinates."""
    if lat is None or lon is None:
        return None
    band = math.floor(lat / _CELL_DEGREES)
    return f"{band}:{_column(band, lon)}"


_LAST = 180 - 1e-9
"""A longitude within a millimetre of the date line."""


def cells_near(lat: float, lon: float) -> frozenset[str]:
    """The cells that hold every place within `SAME_NAME_M`, across the date line too."""
    own = math.floor(lat / _CELL_DEGREES)
    found = set()
    for band in (own - 1, own, own + 1):
        width = _width(band)
        for east in (-width, 0.0, width):
            found.add(f"{band}:{_column(band, (lon + east + 180) % 360 - 180)}")
        if abs(lon) + width >= 180:  # the last cell before the date line may be narrower than a step
            found |= {f"{band}:0", f"{band}:{_column(band, _LAST)}"}
    return frozenset(found)


def _width(band: int) -> float:
    """Degrees of longitude that a cell of this band is wide; the bands differ, so that their cells are alike in metres."""
    return _CELL_DEGREES / max(math.cos(math.radians((abs(band) + 1.5) * _CELL_DEGREES)), 0.01)


def _column(band: int, lon: float) -> int:
    return math.floor(((lon + 180) % 360) / _width(band))


@lru_cache(maxsize=16_384)
def _sketch(name: str) -> _Sketch:
    text = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    words = _BETWEEN.sub(" ", _APOSTROPHES.sub("", text)).split()
    words = [_COMPANY.sub("", word) or word for word in words]
    telling = [word for word in words if word not in _SAYING_LITTLE] or words or [text]
    letters = "".join(sorted(telling))
    pairs = frozenset(letters[at : at + 2] for at in range(len(letters) - 1)) or frozenset([letters])
    return _Sketch(
        " ".join(sorted(telling))[:MOST_KEY], letters, pairs, tuple(sorted(_NUMBERS.findall(text)))
    )
