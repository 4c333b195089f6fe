"""HTTP of customers: GET /api/customers, by name or nearest first, and one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate

from server import auth
from server.answers import as_json
from server.auth import Principal, for_roles
from server.customers import query
from server.customers.reassign import owned, party, reassign
from server.db import reading
from server.errors import Problem
from server.exchange.door import client_of
from server.exchange.routes import actor_of
from server.fields import Text
from server.people.admin import Refused
from server.people.grant import parents_of
from server.people.rules import led_by

MOST_AT_ONCE = 1000
"""So many customers one request may name."""

MOST_READ = 1000
"""So many customers one request looks at, where all are to be moved."""

REASSIGNING_S = 1.0
"""How long one request goes on moving customers, so that whoever asked sees it move."""

blueprint = Blueprint(
    "customers", __name__, url_prefix="/api/customers", description="Places, and whose they are"
)


class Near(fields.Field[tuple[float, float]]):
    """`lat,lon` in degrees."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> tuple[float, float]:
        try:
            lat, lon = (float(part) for part in str(value).split(","))
        except ValueError:
            raise ValidationError("lat,lon is wanted") from None
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise ValidationError("no such place")
        return lat, lon


class CustomerQuery(Schema):
    """Which customers; `near` orders them by distance."""

    q = Text(load_default=None, validate=validate.Length(max=200))
    owner = fields.UUID(load_default=None)
    team = fields.UUID(load_default=None)
    grade = Text(load_default=None, validate=validate.OneOf(["A", "B", "C"]))
    lifecycle = Text(load_default=None, validate=validate.OneOf(["lead", "customer", "lost"]))
    code = Text(load_default=None, validate=validate.Length(max=100))
    near = Near(load_default=None, metadata={"type": "string", "example": "51.5,-0.12"})
    cursor = Text(load_default=None, validate=validate.Length(max=600))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class Reassign(Schema):
    """Whose customers go to whom: all of them, or the named ones; `with_plans`: with what was planned and promised there."""

    giver = fields.UUID(required=True, data_key="from")
    taker = fields.UUID(required=True, data_key="to")
    customers = fields.List(
        fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, MOST_AT_ONCE)
    )
    with_plans = fields.Boolean(load_default=True)


@blueprint.route("/reassign", methods=["POST"])
@blueprint.arguments(Reassign)
@blueprint.response(
    200,
    description='{"customers", "visits", "follow_ups": how many moved, "refused": [{"id", "code"}], '
    '"more": whether some are left}',
)
@blueprint.alt_response(
    403, description="FORBIDDEN: a manager moves customers between people of their own teams"
)
@blueprint.alt_response(422, description="INVALID: nobody there, or not a customer of theirs")
@for_roles("manager", "administrator")
def reassign_customers(principal: Principal, asked: dict[str, Any]) -> Response:
    """Give customers of one person to another, with the visits planned from today on and the open follow-ups.

    A request moves a few; while the answer says `more`, the same request goes on.
    """
    wanted = None if asked["customers"] is None else [str(one) for one in asked["customers"]]
    with reading() as connection:
        try:
            giver = party(connection, principal.org_id, str(asked["giver"]), taking=False)
            taker = party(connection, principal.org_id, str(asked["taker"]), taking=True)
            rows = owned(connection, principal.org_id, giver.id, wanted, given_to=taker.id, most=MOST_READ)
        except Refused as error:
            raise Problem(422, "INVALID", str(error)) from None
        led = led_by(principal.role, principal.team_id, parents_of(connection, principal.org_id))
    if principal.role != "administrator" and not {giver.team_id, taker.team_id} <= led:
        raise Problem(403, "FORBIDDEN", "Both have to be in a team of yours.")
    if giver.id == taker.id:
        raise Problem(422, "INVALID", "They are theirs already.", {"to": ["is the same person"]})
    moved = reassign(
        replace(actor_of(principal), via="rest"),
        client_of(principal.org_id, f"rest:{principal.person_id}"),
        giver,
        taker,
        rows,
        auth.now(),
        with_plans=asked["with_plans"],
        seconds=REASSIGNING_S,
    )
    told = {
        "customers": moved.customers,
        "visits": moved.plans,
        "follow_ups": moved.follow_ups,
        "refused": [{"id": entity, "code": code} for entity, code in moved.left],
        "more": moved.more or (wanted is None and len(rows) == MOST_READ),
    }
    return as_json(told)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(CustomerQuery, location="query")
@blueprint.response(200, description='{"items": [customer], "next"}; with `near` each has `distance_m`')
@for_roles("rep", "manager", "administrator")
def customers(principal: Principal, asked: dict[str, Any]) -> Response:
    """Customers that one may see: one's own, one's team's where it shares them, a manager's teams'."""
    with reading() as connection:
        return as_json(query.customers(connection, principal, asked))


@blueprint.route("/<uuid:customer>", methods=["GET"])
@blueprint.response(
    200, description="The customer; of one that was merged into another, that other with its own id"
)
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def customer(principal: Principal, customer: Any) -> Response:
    """One customer."""
    with reading() as connection:
        found = query.customer(connection, principal, str(customer))
    if found is None:
        raise Problem(404, detail="There is no such customer.")
    return as_json(found)
