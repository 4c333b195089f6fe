"""Pure rules of push: which endpoints a message may go to, how long to wait after a refusal, what a lock screen may show."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal
from urllib.parse import urlsplit

Urgency = Literal["very-low", "low", "normal", "high"]

MOST_ENDPOINT = 2048
GONE = frozenset({404, 410})
"""Answers after which a subscription will never be heard of again (RFC 8030, section 7.3)."""

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MOST_WAIT_ASKED = timedelta(hours=6)
"""A push service that asks for more than this is asked again all the same: its notice would be of no use any more."""


def fault_of_endpoint(endpoint: str, *, loopback: bool = False) -> str | None:
    """Why a message may not go there, in a sentence; None where it may.

    Only https to a name or a public address, on the usual port, without sign-in data. `loopback` opens this machine's own
    addresses, plain http included, for tests. Which address a name stands for is asked when it is called.
    """
    if len(endpoint) > MOST_ENDPOINT or not endpoint.isascii() or not endpoint.isprintable():
        return "An endpoint is an address of at most 2,048 ASCII characters."
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return "The endpoint is no address."
    host = parts.hostname
    if not host or parts.username is not None or parts.password is not None:
        return "The endpoint names no host, or carries sign-in data."
    number = _number(host)
    if loopback and (host == "localhost" or (number is not None and number.is_loopback)):
        return None if parts.scheme in {"http", "https"} else "The endpoint is no address of the web."
    if parts.scheme != "https" or port not in (None, 443):
        return "The endpoint is not https on its usual port."
    if number is not None and not is_public(host):
        return "The endpoint is no public address."
    if number is None and (
        "." not in host.rstrip(".") or host.rstrip(".").endswith((".local", ".internal", ".localhost"))
    ):
        return "The endpoint is no public name."
    return None


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the public network; what it wraps (IPv4 in IPv6, 6to4) is looked into."""
    found = _number(address)
    if found is None:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def _number(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def asked_to_wait(header: str | None, now: datetime) -> timedelta | None:
    """What a `Retry-After` header asks for: seconds or a date; None where there is none that makes sense."""
    if not header:
        return None
    text = header.strip()
    if text.isdecimal() and len(text) < 10:
        wait = timedelta(seconds=int(text))
    else:
        try:
            wait = parsedate_to_datetime(text) - now
        except (ValueError, TypeError):
            return None
    return min(max(wait, timedelta(0)), MOST_WAIT_ASKED)


def wait_before(attempt: int, asked: timedelta | None, share: float) -> timedelta:
    """How long to leave a subscription alone after its `attempt`-th refusal in a row (1 the first).

    Doubles from half a minute to an hour, spread by `share` (0 to 1, drawn by the caller) over its upper half so that
    not all come back at once; never sooner than the push service asked for.
    """
    longest: timedelta = min(FIRST_WAIT * 2 ** min(max(attempt, 1) - 1, 12), LONGEST_WAIT)
    wait = longest / 2 + longest / 2 * share
    return max(wait, asked) if asked is not None else wait
