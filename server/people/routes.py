"""HTTP of people: sign in, sign out, who am I."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, make_response, request
from flask_smorest import Blueprint
from sqlalchemy import select

from server import auth
from server.auth import Principal, for_roles, open_to_all
from server.db import reading
from server.people import session
from server.people.grant import parents_of
from server.people.model import Organisation, Person, Team
from server.people.rules import led_by
from server.people.schema import Accept, Me, SignedIn, SignIn, Upload
from sync.mutation import instant_text

blueprint = Blueprint("people", __name__, url_prefix="/api", description="Signing in; who one is")


@blueprint.route("/session", methods=["POST"])
@open_to_all
@blueprint.arguments(SignIn)
@blueprint.alt_response(401, description="SIGN_IN_FAILED, for every reason alike")
@blueprint.alt_response(429, description="TOO_MANY_ATTEMPTS")
@blueprint.response(200, SignedIn)
def sign_in(asked: dict[str, Any]) -> Response:
    """Sign in on a device; the session is an HttpOnly cookie."""
    auth.check_origin()
    return _with_cookie(session.sign_in(auth.config(), asked, request.remote_addr or "", auth.now()))


@blueprint.route("/session/invite", methods=["POST"])
@open_to_all
@blueprint.arguments(Accept)
@blueprint.response(200, SignedIn)
def accept(asked: dict[str, Any]) -> Response:
    """Take a one-time invitation: choose a password and be signed in."""
    auth.check_origin()
    return _with_cookie(session.accept_invite(auth.config(), asked, auth.now()))


@blueprint.route("/session/upload", methods=["POST"])
@open_to_all
@blueprint.arguments(Upload)
@blueprint.alt_response(401, description="SIGN_IN_FAILED, for every reason alike")
@blueprint.response(200, SignedIn)
def upload(asked: dict[str, Any]) -> Response:
    """Take a one-time upload link of a closed account: what this phone holds may be sent, and nothing read."""
    auth.check_origin()
    return _with_cookie(session.accept_upload(auth.config(), asked, auth.now()))


@blueprint.route("/session", methods=["DELETE"])
@blueprint.response(204)
@for_roles(uploads=True)
def sign_out(principal: Principal) -> Response:
    """Sign this device out."""
    if principal.device_id is not None:
        session.sign_out(principal.org_id, principal.device_id, auth.now())
    response = make_response("", 204)
    response.delete_cookie(auth.COOKIE, path="/")
    return response


@blueprint.route("/me", methods=["GET"])
@blueprint.response(200, Me)
@for_roles()
def me(principal: Principal) -> Response:
    """Who is signed in, their organisation, the teams they may ask about, and the server's time."""
    with reading() as connection:
        parents = parents_of(connection, principal.org_id)
        mine = led_by(principal.role, principal.team_id, parents) or {principal.team_id}
        teams = connection.execute(
            select(Team.id, Team.name, Team.parent_id)
            .where(Team.org_id == principal.org_id, Team.id.in_([team for team in mine if team]))
            .order_by(Team.name, Team.id)
        ).mappings()
        told = _who(connection, principal.org_id, principal.person_id)
        told["teams"] = [dict(team) for team in teams]
    told["server_time"] = instant_text(auth.now())
    return jsonify(told)


def _with_cookie(opened: session.NewSession) -> Response:
    with reading() as connection:
        response = jsonify(_who(connection, opened.org_id, opened.person_id))
    response.set_cookie(
        auth.COOKIE,
        opened.secret,
        expires=opened.expires_at,
        httponly=True,
        samesite="Lax",
        secure=auth.config().secure_cookie or request.is_secure,
        path="/",
    )
    return response


def _who(connection: Any, org_id: str, person_id: str) -> dict[str, Any]:
    person = (
        connection.execute(select(Person.__table__).where(Person.org_id == org_id, Person.id == person_id))
        .mappings()
        .one()
    )
    organisation = (
        connection.execute(select(Organisation.__table__).where(Organisation.id == org_id)).mappings().one()
    )
    return {
        "person": {
            "id": person["id"],
            "name": person["name"],
            "role": person["role"],
            "team": person["team_id"],
            "locale": person["locale"],
            "time_zone": person["time_zone"],
        },
        "organisation": {
            name: organisation[name] for name in ("id", "slug", "name", "time_zone", "week_start", "locale")
        },
    }
