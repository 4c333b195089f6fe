"""How the fields of one kind settle, and which values they take: data, written once by whoever owns the kind.

A :class:`Check` is a plain test of one JSON value together with the JSON Schema that says the same, so that what
is published and what is enforced cannot drift apart. Checks see only the value: whether an id exists or a code is
known is asked where the rows are. None never reaches a check: ``Field.required`` decides about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date as calendar_date
from datetime import datetime
from typing import Any, Literal

from sync.recurrence import MOST_CHARS, PATTERN, is_rule

Kind = Literal["value", "text", "set", "evidence", "state", "readonly"]
Authority = Literal["manager", "rep"]


@dataclass(frozen=True, slots=True)
class Check:
    """A test of a JSON value other than null, and the same as JSON Schema."""

    test: Callable[[Any], bool]
    schema: dict[str, Any]

    def __call__(self, value: Any) -> bool:
        """Whether the value has the right shape and range."""
        return self.test(value)


def well_formed(value: str) -> bool:
    """Whether text can be stored by every database: no NUL, no half of a surrogate pair."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def anything() -> Check:
    """Any JSON value."""
    return Check(lambda value: True, {})


def flag() -> Check:
    """true or false."""
    return Check(lambda value: type(value) is bool, {"type": "boolean"})


def text(most: int, least: int = 0) -> Check:
    """Well-formed text of ``least`` to ``most`` characters (code points); outer blanks do not count for ``least``."""

    def test(value: Any) -> bool:
        if type(value) is not str or not least <= len(value) <= most or not well_formed(value):
            return False
        return not least or len(value.strip()) >= least

    return Check(test, {"type": "string", "minLength": least, "maxLength": most})


def number(low: float, high: float) -> Check:
    """A finite number from ``low`` to ``high``, both included. true and false are no numbers."""

    def test(value: Any) -> bool:
        return (type(value) is float or type(value) is int) and low <= value <= high

    return Check(test, {"type": "number", "minimum": low, "maximum": high})


def whole(low: int, high: int) -> Check:
    """An integer from ``low`` to ``high``, both included."""

    def test(value: Any) -> bool:
        return type(value) is int and low <= value <= high

    return Check(test, {"type": "integer", "minimum": low, "maximum": high})


def choice(*words: str) -> Check:
    """One of the given words."""
    known = frozenset(words)
    return Check(lambda value: type(value) is str and value in known, {"type": "string", "enum": list(words)})


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?").fullmatch
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z").fullmatch
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*").fullmatch


def is_uuid(value: Any) -> bool:
    """Whether it is a UUID in canonical lower case: one form only, because ids are compared as text."""
    return type(value) is str and _UUID(value) is not None


def is_date(value: Any) -> bool:
    """Whether it is a day of the calendar, ``YYYY-MM-DD``."""
    if type(value) is not str or _DATE(value) is None:
        return False
    try:
        calendar_date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_time(value: Any) -> bool:
    """Whether it is a time of day, ``HH:MM`` or ``HH:MM:SS``."""
    return type(value) is str and _TIME(value) is not None


def is_instant(value: Any) -> bool:
    """Whether it is an instant of RFC 3339 in UTC with ``Z``, to the microsecond at most."""
    if type(value) is not str or _INSTANT(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_zone(value: Any) -> bool:
    """Whether it is shaped like the IANA name of a zone. Which zones exist depends on the machine: not asked."""
    return type(value) is str and len(value) <= 64 and _ZONE(value) is not None


def uuid() -> Check:
    """A UUID, lower case with hyphens."""
    return Check(is_uuid, {"type": "string", "format": "uuid"})


def date() -> Check:
    """A day, ``YYYY-MM-DD``."""
    return Check(is_date, {"type": "string", "format": "date"})


def time() -> Check:
    """A time of day, ``HH:MM`` or ``HH:MM:SS``."""
    return Check(is_time, {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"})


def instant() -> Check:
    """An instant, RFC 3339 UTC with ``Z``."""
    return Check(is_instant, {"type": "string", "format": "date-time", "pattern": "Z$"})


def recurrence() -> Check:
    """A rule of repetition (:mod:`sync.recurrence`)."""
    return Check(is_rule, {"type": "string", "maxLength": MOST_CHARS, "pattern": PATTERN})


SERIES_KEYS = frozenset({"id", "n", "start", "on"})


def _is_series(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == SERIES_KEYS
        and is_uuid(value["id"])
        and type(value["n"]) is int
        and 1 <= value["n"] <= 100_000
        and is_date(value["start"])
        and is_date(value["on"])
    )


def series() -> Check:
    """Which of a series something is: ``{"id": of the first, "n": 1 the first, "start", "on"}``.

    ``start`` is the day the rule counts from, ``on`` the day it named, whatever day the thing was moved to since.
    """
    properties = {
        "id": uuid().schema,
        "n": whole(1, 100_000).schema,
        "start": date().schema,
        "on": date().schema,
    }
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(SERIES_KEYS),
        "properties": properties,
    }
    return Check(_is_series, schema)


def zone() -> Check:
    """The IANA name of a time zone, by its shape."""
    return Check(is_zone, {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z]"})


NO_FIX = ("denied", "timeout", "unavailable", "unsupported", "purged")
"""Why there is no position: the words a fix may carry as ``{"none": word}``."""

_latitude = number(-90, 90).test
_longitude = number(-180, 180).test
_accuracy = number(0, 1e8).test
_milliseconds = number(0, 1e13).test
_offset = number(-1e13, 1e13).test
_life = text(64, 1).test
_no_fix = frozenset(NO_FIX)
_moment_keys = frozenset({"wall", "mono_ms", "life", "offset_ms", "zone"})


def _is_fix(value: Any) -> bool:
    if type(value) is not dict:
        return False
    if "none" in value:
        none = value["none"]
        return len(value) == 1 and type(none) is str and none in _no_fix
    return (
        len(value) == 4
        and _latitude(value.get("lat"))
        and _longitude(value.get("lon"))
        and _accuracy(value.get("accuracy_m"))
        and is_instant(value.get("taken_at"))
    )


def _is_moment(value: Any) -> bool:
    if type(value) is not dict or not value.keys() <= _moment_keys:
        return False
    offset = value.get("offset_ms")
    return (
        is_instant(value.get("wall"))
        and _milliseconds(value.get("mono_ms"))
        and _life(value.get("life"))
        and (offset is None or _offset(offset))
        and is_zone(value.get("zone"))
    )


def fix() -> Check:
    """A position ``{"lat", "lon", "accuracy_m", "taken_at"}`` (degrees, WGS 84; metres) or ``{"none": why}``."""
    position = {
        "type": "object",
        "additionalProperties": False,
        "required": ["lat", "lon", "accuracy_m", "taken_at"],
        "properties": {
            "lat": number(-90, 90).schema,
            "lon": number(-180, 180).schema,
            "accuracy_m": number(0, 1e8).schema,
            "taken_at": instant().schema,
        },
    }
    absent = {
        "type": "object",
        "additionalProperties": False,
        "required": ["none"],
        "properties": {"none": choice(*NO_FIX).schema},
    }
    return Check(_is_fix, {"oneOf": [position, absent]})


def moment() -> Check:
    """A :class:`sync.mutation.Moment` as JSON; ``offset_ms`` may be null or left out."""
    properties = {
        "wall": instant().schema,
        "mono_ms": number(0, 1e13).schema,
        "life": text(64, 1).schema,
        "offset_ms": {"type": ["number", "null"], "minimum": -1e13, "maximum": 1e13},
        "zone": zone().schema,
    }
    required = ["wall", "mono_ms", "life", "zone"]
    schema = {"type": "object", "additionalProperties": False, "required": required, "properties": properties}
    return Check(_is_moment, schema)


def tags(most: int = 50, chars: int = 50) -> Check:
    """A set as JSON array: at most ``most`` words of 1 to ``chars`` characters each."""
    word = text(chars, 1)
    test_word = word.test

    def test(value: Any) -> bool:
        return type(value) is list and len(value) <= most and all(map(test_word, value))

    return Check(test, {"type": "array", "maxItems": most, "uniqueItems": True, "items": word.schema})


def digests(most: int = 50) -> Check:
    """A set as JSON array: at most ``most`` SHA-256 digests, each 64 lower-case hexadecimal digits."""

    def test(value: Any) -> bool:
        return type(value) is list and len(value) <= most and all(map(is_digest, value))

    item = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return Check(test, {"type": "array", "maxItems": most, "uniqueItems": True, "items": item})


def is_digest(value: Any) -> bool:
    """Whether this is a SHA-256 digest as the wire writes it."""
    return type(value) is str and len(value) == 64 and not value.strip("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Field:
    """How one field settles.

    kind: ``value`` (one wins, the other stays in a conflict), ``text`` (merged, no word lost), ``set`` (element
    by element), ``evidence`` (written once), ``state`` (by its policy's steps and rank), ``readonly`` (the
    server's own).
    check: shape and range of its values; for a set, of the whole list.
    authority: whose value stands in a conflict, ``manager`` (administrators too) or ``rep``; None: the incoming.
    required: null is refused, and a create must carry it.
    late: evidence only: the states in which nothing, or ``{"none": ...}``, may still become a real value, before
    or after the mutation that brings it; None: in every state.
    renewed: evidence only: states whose entering blanks it, because what it was evidence of has been taken back; it
    may then be written anew.
    """

    kind: Kind
    check: Check = field(default_factory=anything)
    authority: Authority | None = None
    required: bool = False
    late: frozenset[str] | None = None
    renewed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything :func:`sync.reconcile.reconcile` must know of one kind.

    fields: by wire name; at most one of kind ``state``.
    initial: states in which a create may start.
    steps: state -> states it may step to. rank: the higher one stands where no step is legal.
    flagged: legal steps (from, to) that are taken and shown to somebody.
    """

    kind: str
    fields: Mapping[str, Field]
    initial: frozenset[str] = frozenset()
    steps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rank: Mapping[str, int] = field(default_factory=dict)
    flagged: frozenset[tuple[str, str]] = frozenset()
    required: tuple[str, ...] = field(init=False, repr=False)
    state: str | None = field(init=False, repr=False)
    renewed: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Note the required fields and the state field. Raises ValueError for two state fields."""
        states = [name for name, one in self.fields.items() if one.kind == "state"]
        if len(states) > 1:
            raise ValueError(f"{self.kind}: more than one state field: {', '.join(states)}")
        required = tuple(name for name, one in self.fields.items() if one.required)
        object.__setattr__(self, "required", required)
        renewed = tuple(name for name, one in self.fields.items() if one.renewed)
        object.__setattr__(self, "renewed", renewed)
        object.__setattr__(self, "state", states[0] if states else None)
