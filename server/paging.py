"""Lists by keyset: `{"items": [], "next": cursor or null}`; the cursor is opaque to whoever holds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from server.errors import Problem


def page(
    rows: Sequence[Any], limit: int, document: Callable[[Any], dict[str, Any]], key: Callable[[Any], tuple[str, ...]]
) -> dict[str, Any]:
    """The first `limit` of `rows` (of which one more was asked for), and where the list goes on."""
    more = len(rows) > limit
    kept = rows[:limit]
    return {"items": [document(row) for row in kept], "next": _cursor(key(kept[-1])) if more else None}


def after(cursor: str | None, parts: int) -> list[str] | None:
    """The key in a cursor; 422 INVALID for one that was not given out here."""
    if not cursor:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, UnicodeError):
        key = None
    if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
        raise Problem(422, "INVALID", "This cursor is none of this list.", {"cursor": ["is unknown"]})
    return key


def _cursor(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")
