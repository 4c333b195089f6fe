"""What changed for a client since its token: rows of its scopes, page by page, over one snapshot."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, and_, exists, func, or_, select, update

from server.db import behind, reading, writing
from server.exchange.documents import too_deep
from server.exchange.kinds import READABLE, Kind
from server.exchange.model import Client, Journal, Position
from server.people.model import Head
from sync import scopes
from sync.scopes import Cursor, Plan, Token

WINDOW = timedelta(days=180)
"""How far back a phone that reads anew holds own visits that are over."""

MOST_ROWS = 1000
FEWEST_ROWS = 10
RESTORED_JUMP = 1_000_000
_MOST_SCOPES_OF_AN_ENTITY = 16


def pull(
    connection: Connection,
    org_id: str,
    client: str,
    granted: Collection[str],
    token_text: str | None,
    limit: int,
    secret: bytes,
    now: datetime,
) -> dict[str, Any]:
    """One page for `client`, which is granted these scopes, as PROTOCOL's `pull` document."""
    head = connection.execute(select(Head.__table__).where(Head.org_id == org_id)).mappings().one()
    token = scopes.unseal(token_text, secret) if token_text else None
    forget = bool(token_text) and (token is None or token.organisation != org_id or token.client != client)
    if token is not None and token.organisation != org_id:
        token = None  # what is in it is nobody's business here
    if token is not None and not forget:
        forget = not _is_ours(connection, org_id, token, head["entries"])
    plan = scopes.plan(token, granted, head["version"], head["floor"], forget=forget)
    limit = max(FEWEST_ROWS, min(limit, MOST_ROWS))
    entities, more = _page(connection, org_id, plan, limit, now)
    rows = _rows(connection, org_id, entities)
    last: Cursor | None = entities[-1][0] if entities else plan.cursor
    seen = (head["entries"], head["chain"])
    after = scopes.advance(plan, last, more=more, organisation=org_id, client=client, seen=seen)
    acked = _acked(connection, org_id, client, plan.upto, head["version"])
    return {
        "rows": rows,
        "drop": plan.drop,
        "reset": plan.reset,
        "acked_seq": acked or 0,
        "more": more or plan.waiting,
        "token": scopes.seal(after, secret),
    }


def _acked(connection: Connection, org_id: str, client: str, upto: int, head: int) -> int | None:
    """The client's last number up to which all it wrote is in this scan.

    What it wrote since the scan began is not, nor what somebody changed since: that row comes with the next scan.
    """
    mine = (Journal.org_id == org_id, Journal.client_id == client, Journal.version <= upto)
    if upto < head:
        moved = exists().where(
            Position.org_id == org_id,
            Position.kind == Journal.kind,
            Position.id == Journal.entity,
            Position.version > upto,
        )
        first = connection.execute(select(func.min(Journal.seq)).where(*mine, moved)).scalar_one()
        if first is not None:
            return int(first) - 1
        statement: Any = select(func.max(Journal.seq)).where(*mine)
    else:
        statement = select(Client.last_seq).where(Client.org_id == org_id, Client.id == client)
    return connection.execute(statement).scalar_one_or_none()


def notice_restore(org_id: str, client: str, token_text: str, secret: bytes) -> None:
    """Let the head jump where the client has seen more of this database than there is: a backup was put back.

    Asked before anything is written, so that what is written meets no version that was given away before.
    """
    token = scopes.unseal(token_text, secret)
    if token is None or (token.organisation, token.client) != (org_id, client):
        return
    known = max([token.upto or 0, *token.positions.values()])
    with reading() as connection:
        head = connection.execute(select(Head.version).where(Head.org_id == org_id)).scalar_one()
    if head < known:
        jump(org_id, known)


def jump(org_id: str, known: int) -> None:
    """After a restore: put the head beyond every version that was ever given away, so that none is used twice."""
    with writing() as connection:
        head = connection.execute(
            select(Head.version).where(Head.org_id == org_id).with_for_update()
        ).scalar_one()
        if head < known:
            connection.execute(
                update(Head).where(Head.org_id == org_id).values(version=max(head, known) + RESTORED_JUMP)
            )


def _is_ours(connection: Connection, org_id: str, token: Token, entries: int) -> bool:
    number, chain = token.seen
    if number == 0:
        return True
    if number > entries:
        return False
    found = connection.execute(
        select(Journal.chain).where(Journal.org_id == org_id, Journal.n == number)
    ).scalar_one_or_none()
    return found == chain


def _page(
    connection: Connection, org_id: str, plan: Plan, limit: int, now: datetime
) -> tuple[list[tuple[Cursor, dict[str, int]]], bool]:
    """Up to `limit` entities after the plan's cursor, each with its scopes, and whether there are more."""
    if not plan.positions:
        return [], False
    by_position: dict[int, list[str]] = {}
    for scope, position in plan.positions.items():
        by_position.setdefault(position, []).append(scope)
    place: Any = (Position.version, Position.kind, Position.id)
    since = (now - WINDOW).date().isoformat()
    # What was never sent need not be taken back, and what is old need not be sent; but who may hold it by now is told of
    # every change of it.
    anew = (Position.removed_at.is_(None), or_(Position.day.is_(None), Position.day >= since))
    statement = (
        select(Position.version, Position.kind, Position.id, Position.scope, Position.removed_at)
        .where(
            Position.org_id == org_id,
            Position.version <= plan.upto,
            or_(
                *(
                    and_(
                        Position.scope.in_(names),
                        Position.version > position,
                        *(anew if position == 0 else ()),
                    )
                    for position, names in by_position.items()
                )
            ),
        )
        .order_by(*place)
        .limit(limit + _MOST_SCOPES_OF_AN_ENTITY)
    )
    if plan.cursor is not None:
        statement = statement.where(behind(place, plan.cursor))
    found = connection.execute(statement).all()
    entities: list[tuple[Cursor, dict[str, int]]] = []
    for version, kind, entity, scope, removed_at in found:
        cursor = (version, kind, entity)
        if not entities or entities[-1][0] != cursor:
            entities.append((cursor, {}))
        entities[-1][1][scope] = int(removed_at is None)
    full = len(found) == limit + _MOST_SCOPES_OF_AN_ENTITY
    if full:  # the last entity may go on behind the edge
        entities.pop()
    more = full or len(entities) > limit
    return entities[:limit], more


def _rows(
    connection: Connection, org_id: str, entities: list[tuple[Cursor, dict[str, int]]]
) -> list[dict[str, Any]]:
    wanted: dict[str, set[str]] = {}
    for (_, kind, entity), told in entities:
        if any(told.values()):
            wanted.setdefault(kind, set()).add(entity)
    documents = {name: _documents(connection, org_id, READABLE[name], ids) for name, ids in wanted.items()}
    rows = []
    for (version, kind, entity), told in entities:
        row: dict[str, Any] = {"kind": kind, "id": entity, "version": version, "scopes": told}
        if any(told.values()):
            row["data"] = documents[kind][entity]
        rows.append(row)
    return rows


def _documents(
    connection: Connection, org_id: str, kind: Kind, ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    table: Any = kind.model.__table__
    rows = connection.execute(select(table).where(table.c.org_id == org_id, table.c.id.in_(ids))).mappings()
    if kind.name == "parked":
        return {row["id"]: _parked(kind.document(row)) for row in rows}
    return {row["id"]: kind.document(row) for row in rows}


def _parked(document: dict[str, Any]) -> dict[str, Any]:
    """A parked mutation with what was tried: the mutation itself, or its text where no strict reader takes it."""
    raw = document.pop("raw")
    try:
        document["mutation"] = None if too_deep(raw.encode()) else orjson.loads(raw)
    except json.JSONDecodeError:
        document["mutation"] = None
    if document["mutation"] is None:
        document["mutation"] = raw
    return document
