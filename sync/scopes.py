"""Who is told: how far a client has read each of its audiences, carried in a token that only the server can write.

A scope is an audience; its position is the version up to which the client has everything of it. A token is never
believed further than the grants of the moment: `plan` compares the two and says what to drop, what to read again
and from where to go on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass, field

Cursor = tuple[int, str, str]
"""Version, kind, id of the last entity that was sent."""


@dataclass(frozen=True, slots=True)
class Token:
    """A client's place in its scopes.

    `positions` is complete up to each number. While a scan is under way it is bounded by `upto` (the head when it
    began) and has reached `cursor`, so that a pull comes to rest under constant writes. `seen` is the number and chain
    digest of the newest journal entry when the token was written: a server restored from a backup knows neither.
    """

    organisation: str
    client: str
    positions: dict[str, int] = field(default_factory=dict)
    seen: tuple[int, str] = (0, "")
    upto: int | None = None
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull has to do: scopes to `drop` and `reset`, and from which `positions` up to `upto`, after `cursor`."""

    drop: list[str]
    reset: list[str]
    positions: dict[str, int]
    waiting: bool
    upto: int
    cursor: Cursor | None


def seal(token: Token, secret: bytes) -> str:
    """The token as opaque text, authenticated with HMAC-SHA-256."""
    body = json.dumps(
        [token.organisation, token.client, token.positions, token.seen, token.upto, token.cursor],
        separators=(",", ":"),
    ).encode()
    mark = hmac.new(secret, b"pull token\0" + body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mark + body).decode().rstrip("=")


def unseal(text: str, secret: bytes) -> Token | None:
    """The token in `text`, or None for anything this server did not write."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        mark, body = raw[:32], raw[32:]
        if not hmac.compare_digest(mark, hmac.new(secret, b"pull token\0" + body, hashlib.sha256).digest()):
            return None
        organisation, client, positions, seen, upto, cursor = json.loads(body)
    except (ValueError, UnicodeError):
        return None
    return Token(
        organisation,
        client,
        positions,
        (seen[0], seen[1]),
        upto,
        (cursor[0], cursor[1], cursor[2]) if cursor else None,
    )


def plan(token: Token | None, granted: Collection[str], head: int, floor: int, *, forget: bool) -> Plan:
    """What to send to a client that holds `token` and is granted these scopes now.

    Without a token everything is read from 0. `forget` (an unreadable token, another client's, a restored server), or a
    position below `floor` (tombstones may be gone), makes a scope start again, named in `reset`; a scan that is past the
    floor has sent what was collected. A scope that is granted no more is dropped even then: whoever holds the token may
    hold its rows. A scope granted while a scan is under way waits for the next one.
    """
    drop = sorted(set(token.positions) - set(granted)) if token else []
    if token is None or forget:
        reset = sorted(granted) if forget else []
        return Plan(drop, reset, dict.fromkeys(granted, 0), False, head, None)
    reached = token.cursor[0] if token.upto is not None and token.cursor else 0
    stale = {
        scope
        for scope, position in token.positions.items()
        if 0 < position and max(position, reached) < floor and scope in granted
    }
    new = set(granted) - set(token.positions)
    kept = {scope: position for scope, position in token.positions.items() if scope in granted}
    if token.upto is not None and not stale:
        return Plan(drop, [], kept, bool(new), token.upto, token.cursor)
    positions = kept | dict.fromkeys(stale, 0) | dict.fromkeys(new, 0)
    return Plan(drop, sorted(stale), positions, False, head, None)


def advance(
    plan: Plan, last: Cursor | None, *, more: bool, organisation: str, client: str, seen: tuple[int, str]
) -> Token:
    """The token after a page that ended at `last`; without `more` the scan is over and every position is its bound."""
    if more:
        return Token(organisation, client, plan.positions, seen, plan.upto, last)
    done = {scope: max(position, plan.upto) for scope, position in plan.positions.items()}
    return Token(organisation, client, done, seen)
