"""Pure rules of photos: how large one may be, and where its bytes lie."""

from __future__ import annotations

MOST_PIXELS = 24_000_000
"""Width x height; decoded, such a picture takes about 72 MB."""

MOST_BYTES = 5 * 1024 * 1024
"""Of one photo; no setting goes above this."""

DEFAULT_BYTES = 3 * 1024 * 1024
"""Of one photo, where the organisation has no `photo_max_bytes`; a phone sends some hundred KB."""

THUMB_SIDE = 320
"""Longest side of a thumbnail, in pixels."""

BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
"""How JPEG, PNG and WebP begin."""


def most_bytes(setting: object) -> int:
    """The largest photo an organisation takes, from its setting `photo_max_bytes`; nonsense counts as not set."""
    if isinstance(setting, bool) or not isinstance(setting, int) or setting < 1:
        return DEFAULT_BYTES
    return min(setting, MOST_BYTES)


def may_begin(head: bytes) -> bool:
    """Whether a photo may begin with these bytes: all others are refused before the rest of them has travelled."""
    return any(head.startswith(one[: len(head)]) for one in BEGINNINGS)


def key_of(org_id: str, sha256: str) -> str:
    """Where a photo lies: by organisation, in folders small enough to list."""
    return f"{org_id}/{sha256[:2]}/{sha256}"
