"""Channels beside push: a person's own mail, and what the administrator listed (WeCom, DingTalk, Slack, a webhook ...).

Only who runs the server says where a channel leads (`ROUNDS_MAIL`, `ROUNDS_CHANNELS`): people choose among the names, and
mail goes to the address they sign in with. Addresses of channels carry secrets: they are in no answer, log or error.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

MAIL = "mail"

# They name addresses; at no level is that to be seen.
logging.getLogger("apprise").addFilter(lambda record: False)
logging.getLogger("urllib3").setLevel(logging.INFO)


def offered(channels: Mapping[str, str], mail: str | None, slug: str) -> list[str]:
    """The names that somebody of this organisation may choose, `mail` first; `slug/name` is one organisation's alone."""
    names = [MAIL] if mail else []
    for name in channels:
        organisation, slash, own = name.partition("/")
        if not slash or organisation == slug:
            names.append(own if slash else name)
    return list(dict.fromkeys(names))


def address_of(
    channels: Mapping[str, str], mail: str | None, slug: str, name: str, email: str | None
) -> str | None:
    """Where a channel leads for somebody with this e-mail address; None where there is no such channel for them."""
    if name == MAIL and mail:
        return _to(mail, email) if email else None
    return channels.get(f"{slug}/{name}") or channels.get(name)


def _to(mail: str, email: str) -> str:
    """The address of the mail server with one recipient, whatever recipients it named itself."""
    parts = urlsplit(mail)
    told = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"to", "cc", "bcc"}]
    query = urlencode(told, quote_via=quote)
    to = f"to={quote(email, safe='@')}"
    return urlunsplit(parts._replace(path="", query=f"{query}&{to}" if query else to))


def send(address: str, title: str, body: str) -> bool:
    """Send a message there; whether it was taken. Nothing is raised, and nothing is said of where it went."""
    try:
        apprise = _apprise()
        made = apprise.Apprise(asset=_asset())
        if not made.add(address):
            return False
        return bool(made.notify(body=body or title, title=title, body_format=apprise.NotifyFormat.TEXT))
    except Exception as error:  # a channel is somebody else's program; its error may name the address
        logging.getLogger("rounds").warning("a channel failed: %s", type(error).__name__)
        return False


def is_address(address: str) -> bool:
    """Whether this is an address that Apprise knows what to do with."""
    try:
        return _apprise().Apprise.instantiate(address, asset=_asset()) is not None
    except Exception:
        return False


def _apprise() -> Any:
    import apprise  # noqa: PLC0415 - slow to load, and only a ticker with channels needs it

    return apprise


@cache
def _asset() -> Any:
    apprise = _apprise()
    return apprise.AppriseAsset(
        app_id="Rounds",
        app_desc="Rounds",
        app_url="",
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        plugin_paths=[],
    )
