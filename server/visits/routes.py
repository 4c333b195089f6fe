"""HTTP of visits: lists by keyset, one visit, its history. Reading only: writing is the exchange's."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from server.answers import as_json
from server.auth import Principal, for_roles
from server.db import reading
from server.errors import Problem
from server.fields import Text
from server.visits import query

blueprint = Blueprint(
    "visits", __name__, url_prefix="/api/visits", description="What was done, where and when"
)


class VisitQuery(Schema):
    """Which visits; days are the visits' own (`from` and `to` included)."""

    rep = fields.UUID(load_default=None)
    customer = fields.UUID(load_default=None)
    team = fields.UUID(load_default=None)
    date = fields.Date(load_default=None)
    since = fields.Date(load_default=None, data_key="from")
    until = fields.Date(load_default=None, data_key="to")
    status = Text(
        load_default=None, validate=validate.OneOf(["planned", "open", "done", "missed", "cancelled"])
    )
    cursor = Text(load_default=None, validate=validate.Length(max=200))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class Page(Schema):
    """Where a list goes on."""

    cursor = Text(load_default=None, validate=validate.Length(max=200))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


@blueprint.route("", methods=["GET"])
@blueprint.arguments(VisitQuery, location="query")
@blueprint.response(200, description='{"items": [visit], "next": cursor or null}, newest first')
@for_roles("rep", "manager", "administrator")
def visits(principal: Principal, asked: dict[str, Any]) -> Response:
    """Visits that one may see: a rep's own, a manager's team and below."""
    with reading() as connection:
        return as_json(query.visits(connection, principal, asked))


@blueprint.route("/<uuid:visit>", methods=["GET"])
@blueprint.response(200, description="The visit, with what the server concludes from it")
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def visit(principal: Principal, visit: Any) -> Response:
    """One visit."""
    with reading() as connection:
        found = query.visit(connection, principal, str(visit))
    if found is None:
        raise Problem(404, detail="There is no such visit.")
    return as_json(found)


@blueprint.route("/<uuid:visit>/history", methods=["GET"])
@blueprint.arguments(Page, location="query")
@blueprint.response(200, description='{"items": [change], "next"}, oldest first')
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def history(principal: Principal, asked: dict[str, Any], visit: Any) -> Response:
    """Who changed what, when, by which device, and what became of it: read from the journal."""
    with reading() as connection:
        if query.visit(connection, principal, str(visit)) is None:
            raise Problem(404, detail="There is no such visit.")
        return as_json(query.history(connection, principal, str(visit), asked["cursor"], asked["limit"]))
