"""After an upgrade: what phones sent that an older release did not understand is tried again."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from server.db import reading
from server.exchange.documents import item_of
from server.exchange.door import Change, client_of, write
from server.exchange.kinds import WRITABLE
from server.exchange.model import Parked
from server.exchange.settle import is_understood
from server.exchange.work import Actor
from server.people.model import Organisation
from sync import receipt as codes


def replan(now: datetime) -> dict[str, int]:
    """Retry, in every organisation, what is parked as UNKNOWN_OP and is understood by now: slug -> how many settled.

    A decision by nobody, through the door: each is settled as its author, with no rights but theirs.
    """
    with reading() as connection:
        rows = connection.execute(select(Organisation.slug, Organisation.id))
        slugs = {slug: org_id for slug, org_id in rows}  # noqa: C416 - a row is no pair to the type checker
        waiting = {slug: _understood(connection, org_id) for slug, org_id in slugs.items()}
    told = {}
    for slug, parked in waiting.items():
        if parked:
            org_id = slugs[slug]
            actor = Actor(org_id, None, "administrator", None, via="cli")
            write(actor, client_of(org_id, "replan"), [_retry(one) for one in parked], now)
            told[slug] = _settled(org_id, parked)
    return told


def _understood(connection: Connection, org_id: str) -> list[str]:
    rows = connection.execute(
        select(Parked.id, Parked.kind, Parked.raw)
        .where(Parked.org_id == org_id, Parked.status == "open", Parked.code == codes.UNKNOWN_OP)
        .order_by(Parked.entry)
    )
    # A decision on what was not understood is its author's to make again.
    return [row.id for row in rows if row.kind in WRITABLE.keys() - {"decision"} and _reads(row.raw)]


def _reads(raw: str) -> bool:
    document: Any = json.loads(raw)
    item = item_of(document | {"seq": 0} if isinstance(document, dict) else document, "", suspect=True)
    return is_understood(item)


def _retry(parked: str) -> Change:
    fields = {"on_kind": "parked", "on_id": parked, "verdict": "retry"}
    return Change("decision", str(uuid4()), "create", fields)


def _settled(org_id: str, parked: list[str]) -> int:
    with reading() as connection:
        rows = connection.execute(
            select(Parked.id).where(Parked.org_id == org_id, Parked.id.in_(parked), Parked.status != "open")
        )
        return len(rows.all())
