"""HTTP of the board: GET /api/board, reread cheaply by ETag."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC
from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from server import auth
from server.answers import as_json
from server.auth import Principal, for_roles
from server.board import day
from server.db import reading
from server.errors import Problem
from server.people.grant import parents_of
from server.people.rules import below, led_by
from server.visits.rules import day_of, zone_of
from sync.mutation import instant_text

blueprint = Blueprint("board", __name__, url_prefix="/api", description="The manager's day")


class BoardQuery(Schema):
    """Which day (default: today in the reader's zone) and which team's subtree (default: all the reader leads)."""

    date = fields.Date(load_default=None)
    team = fields.UUID(load_default=None)


@blueprint.route("/board", methods=["GET"])
@blueprint.arguments(BoardQuery, location="query")
@blueprint.response(200, description="One line a rep: what they did, what is known of their phone")
@blueprint.alt_response(304, description="Nothing changed since the ETag in If-None-Match")
@blueprint.alt_response(404, description="NOT_FOUND: no such team, or not the reader's")
@for_roles("manager", "administrator")
def board(principal: Principal, asked: dict[str, Any]) -> Response:
    """The day of every rep in a team's subtree."""
    now = auth.now()
    date = asked["date"].isoformat() if asked["date"] else day_of(now, zone_of(principal.time_zone) or UTC)
    with reading() as connection:
        parents = parents_of(connection, principal.org_id)
        teams = led_by(principal.role, principal.team_id, parents)
        team = str(asked["team"]) if asked["team"] else None
        if team is not None:
            if team not in teams:
                raise Problem(404, detail="There is no such team.")
            teams = below(parents, team)
        everybody = principal.role == "administrator" and team is None
        reps = day.read(connection, principal.org_id, date, teams, everybody=everybody)
    content = {"date": date, "team": team, "reps": reps}
    tag = hashlib.sha256(orjson.dumps(content)).hexdigest()[:32]
    known = re.findall(r'"([^"]*)"', request.headers.get("If-None-Match", ""))
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if tag in known:
        return Response(status=304, headers=headers)
    told = {"date": date, "team": team, "generated_at": instant_text(now), "reps": reps}
    return as_json(told, headers)
