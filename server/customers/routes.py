"""HTTP of customers: GET /api/customers, by name or nearest first, and one."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate

from server.auth import Principal, for_roles
from server.customers import query
from server.db import reading
from server.errors import Problem
from server.fields import Text

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


@blueprint.route("", methods=["GET"])
@blueprint.arguments(CustomerQuery, location="query")
@blueprint.response(200, description='{"items": [customer], "next"}; with `near` each has `distance_m`')
@for_roles("rep", "manager", "administrator")
def customers(principal: Principal, asked: dict[str, Any]) -> Response:
    """Customers that one may see: one's own, one's team's where it shares them, a manager's teams'."""
    with reading() as connection:
        return Response(
            orjson.dumps(query.customers(connection, principal, asked)), content_type="application/json"
        )


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
    return Response(orjson.dumps(found), content_type="application/json")
