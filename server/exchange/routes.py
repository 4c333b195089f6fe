"""HTTP of the exchange: POST /api/sync, the history of what it wrote, and the contract itself at GET /api/schema."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from server import auth
from server.auth import Principal, for_roles, open_to_all
from server.db import is_busy, reading
from server.errors import Problem, body
from server.exchange import documents, pull
from server.exchange.apply import CLIENT_FORKED, Answer, Submission, apply
from server.exchange.contract import contract
from server.exchange.history import history as read_history
from server.exchange.model import Client
from server.exchange.work import Actor
from server.fields import Text
from server.people import grant
from sync.mutation import instant_text

log = logging.getLogger("rounds")

blueprint = Blueprint("exchange", __name__, url_prefix="/api", description="What phones send and receive")

PROTOCOL = 1


def actor_of(principal: Principal) -> Actor:
    """The signed-in person as the door knows them: who may only upload is nobody who still works here."""
    active = principal.upload_only is None
    return Actor(principal.org_id, principal.person_id, principal.role, principal.team_id, active)


@blueprint.route("/sync", methods=["POST"])
@blueprint.doc(
    requestBody={
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/exchange"}}},
        "required": True,
    }
)
@blueprint.response(200, description="Receipts, and a page of what changed")
@blueprint.alt_response(
    409, description="CLIENT_FORKED with `from`, SEQ_GAP with `expected`; the prefix is kept"
)
@blueprint.alt_response(413, description="TOO_LARGE: halve the batch")
@blueprint.alt_response(422, description="INVALID: the envelope itself cannot be read")
@blueprint.alt_response(503, description="BUSY: try again after Retry-After")
@for_roles(uploads=True)
def sync(principal: Principal) -> Response:
    """Push mutations, get receipts, pull what changed."""
    received_at = auth.now()
    raw = documents.unpack(request.get_data(cache=False), request.headers.get("Content-Encoding"))
    envelope, items = documents.read(raw)
    if envelope.protocol != PROTOCOL and not items:
        raise Problem(426, "TOO_OLD", "This app is too old to pull; what it pushes is still taken.")
    client = str(envelope.client)
    submission = Submission(
        actor=actor_of(principal),
        client=client,
        predecessor=str(envelope.predecessor) if envelope.predecessor else None,
        sent=envelope.sent,
        received_at=received_at,
        items=items,
        device=documents.device_of(envelope),
    )
    try:
        if envelope.pull is not None and envelope.pull.token:
            pull.notice_restore(principal.org_id, client, envelope.pull.token, auth.config().secret)
        answer = apply(submission)
    except Exception as error:
        if not is_busy(error):
            raise
        log.warning("database busy", exc_info=error)
        raise _busy(principal, client) from error
    told: dict[str, Any] = {
        "received_at": instant_text(received_at),
        "last_seq": answer.last_seq,
        "receipts": answer.receipts,
        "pull": None,
    }
    if answer.refused:
        return _answer(409, _refusal(answer) | {"received_at": told["received_at"]})
    if principal.upload_only:
        told["upload_only"] = principal.upload_only
    elif envelope.pull is not None and envelope.protocol == PROTOCOL:
        told["pull"] = _pull(principal, client, envelope.pull, received_at)
    return _answer(200, told)


def _busy(principal: Principal, client: str) -> Problem:
    """503 with how far the client is known to be, where even that can be read."""
    try:
        with reading() as connection:
            mine = (
                Client.org_id == principal.org_id,
                Client.id == client,
                Client.person_id == principal.person_id,
            )
            last_seq = connection.execute(select(Client.last_seq).where(*mine)).scalar_one_or_none() or 0
    except SQLAlchemyError:
        last_seq = None
    detail = "The database is busy; try again."
    return Problem(503, "BUSY", detail, headers={"Retry-After": "2"}, last_seq=last_seq, receipts=[])


def _refusal(answer: Answer) -> dict[str, Any]:
    forked = answer.refused == CLIENT_FORKED
    detail = (
        "Another outbox writes under this client id." if forked else "Mutations are missing before these."
    )
    place = {"from" if forked else "expected": answer.at}
    return (
        body(answer.refused or "", detail)
        | {"last_seq": answer.last_seq, "receipts": answer.receipts}
        | place
    )


def _pull(principal: Principal, client: str, wish: documents.PullWish, now: Any) -> dict[str, Any]:
    with reading() as connection:
        granted = grant.held(connection, principal.org_id, principal.person_id)
        secret = auth.config().secret
        return pull.pull(connection, principal.org_id, client, granted, wish.token, wish.limit, secret, now)


def _answer(status: int, document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), status, content_type="application/json")


class Page(Schema):
    """Where a list goes on."""

    cursor = Text(load_default=None, validate=validate.Length(max=200))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


@blueprint.route("/history/<kind>/<uuid:entity>", methods=["GET"])
@blueprint.arguments(Page, location="query")
@blueprint.response(200, description='{"items": [change], "next"}, oldest first')
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def history(principal: Principal, asked: dict[str, Any], kind: str, entity: Any) -> Response:
    """Who changed what of an entity, when, by which device, and what became of it; what was decided is among it."""
    with reading() as connection:
        told = read_history(connection, principal, kind, str(entity), asked["cursor"], asked["limit"])
    if told is None:
        raise Problem(404, detail="There is no such thing.")
    return _answer(200, told)


@blueprint.route("/schema", methods=["GET"])
@blueprint.response(200, description="JSON Schema of the exchange")
@open_to_all
def schema() -> Response:
    """The contract as JSON Schema, made from the tables that the server itself uses."""
    response = _answer(200, contract())
    response.add_etag()
    response.make_conditional(request)
    return response
