"""HTTP of follow-ups: a list by keyset, and one. Reading only: writing is the exchange's."""

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
from server.followups import query

blueprint = Blueprint(
    "follow_ups", __name__, url_prefix="/api/follow-ups", description="What was promised, and until when"
)


class FollowUpQuery(Schema):
    """Which follow-ups; `due_before` is a day, itself not included."""

    owner = fields.UUID(load_default=None)
    customer = fields.UUID(load_default=None)
    status = Text(load_default=None, validate=validate.OneOf(["open", "done", "cancelled"]))
    due_before = fields.Date(load_default=None)
    cursor = Text(load_default=None, validate=validate.Length(max=200))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


@blueprint.route("", methods=["GET"])
@blueprint.arguments(FollowUpQuery, location="query")
@blueprint.response(200, description='{"items": [follow-up], "next": cursor or null}, the first due first')
@for_roles("rep", "manager", "administrator")
def follow_ups(principal: Principal, asked: dict[str, Any]) -> Response:
    """Follow-ups that one may see: one's own, a manager's people's."""
    with reading() as connection:
        return as_json(query.follow_ups(connection, principal, asked))


@blueprint.route("/<uuid:follow_up>", methods=["GET"])
@blueprint.response(200, description="The follow-up, with the instant until which it is owed")
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def follow_up(principal: Principal, follow_up: Any) -> Response:
    """One follow-up."""
    with reading() as connection:
        found = query.follow_up(connection, principal, str(follow_up))
    if found is None:
        raise Problem(404, detail="There is no such follow-up.")
    return as_json(found)
