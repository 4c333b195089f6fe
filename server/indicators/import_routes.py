"""HTTP of imports: a table of values, a table of targets, each row told what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from server import auth
from server.answers import as_json
from server.auth import Principal, for_roles
from server.customers.table import open_sheet
from server.db import reading
from server.errors import Problem
from server.exchange.door import client_of
from server.exchange.routes import actor_of
from server.fields import Text
from server.indicators import importing
from server.people.admin import Refused

MOST_ROWS = 2_000
"""Rows of one request; the command line takes more."""

values_blueprint = Blueprint(
    "values", __name__, url_prefix="/api/values", description="Numbers that no visit tells, with their source"
)
targets_blueprint = Blueprint(
    "targets", __name__, url_prefix="/api/targets", description="What is wanted of people and teams"
)

TOLD = (
    '{"done", "created", "updated", "unchanged", "failed", "errors": [{"line", "column", "code", "why", "cells"}]}; '
    "rows with an error are left out and told in full, all others are taken; codes: "
) + ", ".join(importing.CODES)


class Import(Schema):
    """A CSV table with a header, as text. `columns` maps fields to headers; `decimal` and `dates` say how numbers and days
    are written where that is not certain; `dry_run` only tells what would happen."""

    csv = Text(required=True, validate=validate.Length(1, 2_000_000))
    columns = fields.Dict(
        keys=Text(validate=validate.Length(max=64)),
        values=Text(validate=validate.Length(max=200)),
        load_default=dict,
    )
    source = Text(load_default="API", validate=validate.Length(1, 200))
    indicator = Text(load_default=None, allow_none=True, validate=validate.Length(max=200))
    decimal = Text(load_default="", validate=validate.OneOf(["", ".", ","]))
    dates = Text(load_default="ymd", validate=validate.OneOf(["ymd", "mdy", "dmy"]))
    dry_run = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class ImportValues(Import):
    """The same of values: `status` tells how far they are approved; only reviewed ones count."""

    status = Text(load_default="entered", validate=validate.OneOf(["entered", "confirmed", "reviewed"]))


@values_blueprint.route("/import", methods=["POST"])
@values_blueprint.arguments(ImportValues)
@values_blueprint.response(200, description=TOLD)
@for_roles("administrator")
def import_values(principal: Principal, asked: dict[str, Any]) -> Response:
    """Values out of a table: person, indicator, on, amount; source, note, and a key by which a row is known again."""
    return _imported(principal, asked, "value")


@targets_blueprint.route("/import", methods=["POST"])
@targets_blueprint.arguments(Import)
@targets_blueprint.response(200, description=TOLD)
@for_roles("administrator")
def import_targets(principal: Principal, asked: dict[str, Any]) -> Response:
    """Targets out of a table: person or team, indicator, period (2026, 2026-Q1, 2026-03, 2026-W10, a day), amount."""
    return _imported(principal, asked | {"status": "held"}, "target")


def _imported(principal: Principal, asked: dict[str, Any], kind: str) -> Response:
    standing = importing.Standing(
        asked["source"], asked["indicator"], asked["status"], asked["decimal"], asked["dates"]
    )
    known, needed = importing.TABLES[kind]
    try:
        sheet = open_sheet(asked["csv"].encode(), "utf-8")
        where = importing.columns(sheet.header, asked["columns"], known, needed)
    except Refused as error:
        raise Problem(422, "INVALID", str(error), {"csv": [str(error)]}) from None
    if len(sheet.rows) > MOST_ROWS:
        said = f"{len(sheet.rows):,} rows; at most {MOST_ROWS:,} at once."
        raise Problem(422, "INVALID", said, {"csv": [said]})
    with reading() as connection:
        plan_of = importing.plan_values if kind == "value" else importing.plan_targets
        plan = plan_of(connection, principal.org_id, sheet, where, standing)
    report = importing.Report()
    if not asked["dry_run"]:
        actor = replace(actor_of(principal), via="rest")
        client = client_of(principal.org_id, f"rest:{principal.person_id}")
        report = importing.carry_out(actor, client, plan.steps, auth.now())
    failed = [*plan.failed, *report.failed]
    told = {
        "done": not asked["dry_run"],
        "created": report.created,
        "updated": report.updated,
        "unchanged": plan.unchanged + report.unchanged,
        "to_write": len(plan.steps),
        "failed": len(failed),
        "errors": [importing.error(trouble) for trouble in failed],
    }
    return as_json(told)
