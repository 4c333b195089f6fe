"""Lists by keyset: `{"items": [], "next": cursor or null}`; the cursor is opaque to whoever holds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from uuid import UUID

from server.errors import Problem
from sync.policy import well_formed


def page(
    rows: Sequence[Any],
    limit: int,
    document: Callable[[Any], dict[str, Any]],
    key: Callable[[Any], tuple[str, ...]],
) -> dict[str, Any]:
    """The first `limit` of `rows` (of which one more was asked for), and where the list goes on."""
    more = len(rows) > limit
    kept = rows[:limit]
    return {"items": [document(row) for row in kept], "next": _cursor(key(kept[-1])) if more else None}


def after(cursor: str | None, *parts: Callable[[str], Any]) -> list[Any] | None:
    """The key in a cursor, each part read by its own reader; 422 INVALID for one that was not given out here."""
    if not cursor:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        if isinstance(key, list) and all(isinstance(part, str) for part in key):
            return [read(part) for read, part in zip(parts, key, strict=True)]
    except (ValueError, OverflowError, RecursionError):
        pass
    raise Problem(422, "INVALID", "This cursor is none of this list.", {"cursor": ["is unknown"]})


def instant(text: str) -> datetime:
    """An instant with its zone, of a cursor."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("no zone")
    return value.astimezone(UTC)


def identity(text: str) -> str:
    """An id, of a cursor."""
    return str(UUID(text))


def words(text: str) -> str:
    """Text that a database takes, of a cursor."""
    if not well_formed(text):
        raise ValueError("not well-formed")
    return text


def number(text: str) -> float:
    """A finite number, of a cursor."""
    value = float(text)
    if not isfinite(value):
        raise ValueError("not finite")
    return value


def whole(text: str) -> int:
    """A count that fits a database's integer, of a cursor."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise ValueError("out of range")
    return value


def _cursor(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")
