"""HTTP of scores: a table of people, one person's, what stands behind a reading, a period as CSV. Reading only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from server import auth
from server.answers import as_json
from server.auth import Principal, for_roles
from server.db import reading
from server.errors import Problem
from server.fields import Text
from server.indicators import scores
from server.indicators.case import BadCase, scheme_of
from server.indicators.periods import PERIODS

blueprint = Blueprint(
    "scores",
    __name__,
    url_prefix="/api/scores",
    description="Readings and totals of people and teams, and what stands behind them",
)


class PeriodQuery(Schema):
    """Which period: its kind and a day in it (default: the organisation's today)."""

    period = Text(load_default="month", validate=validate.OneOf(PERIODS))
    starts_on = fields.Date(load_default=None)


class ScoresQuery(PeriodQuery):
    """The same, of one team's subtree (default: of all whose scores one may see)."""

    team = fields.UUID(load_default=None)


class EvidenceQuery(PeriodQuery):
    """The same, of one reading."""

    indicator = Text(required=True, validate=validate.Length(1, 64))


class Trial(ScoresQuery):
    """A scheme's indicators and cap, as its proposal has them, and the period and team to try it on."""

    indicators = fields.List(fields.Dict(keys=Text()), required=True)
    cap = Text(load_default=None, allow_none=True)


SCORE = (
    '{"person", "period", "scheme", "readings", "reasons", "total", "grade", "state", "closing"}; state is `open`, '
    "`closed`, `reopened`, or `none` where no scheme holds"
)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ScoresQuery, location="query")
@blueprint.response(
    200,
    description='{"period", "team", "scores": [score without evidence], "team_score", "grades", "usual", "rank", '
    '"leaderboard", "honours": [{honour, people: [{id, name}]}]}; rank {rank, of} is a rep\'s own place, leaderboard '
    "[{person, rank, total}] that of everybody in their team, each null where it is not shown; for who leads, a score has "
    "also `quadrant` {quadrant, result, quality} or null; a score is " + SCORE,
)
@blueprint.alt_response(404, description="NOT_FOUND: no such team, or not the reader's")
@for_roles("rep", "manager", "administrator")
def score_table(principal: Principal, asked: dict[str, Any]) -> Response:
    """Scores of a period: a rep's own, a manager's people's, an administrator's all."""
    with reading() as connection:
        return as_json(_found("team", scores.table, connection, principal, *_of_team(asked)))


@blueprint.route("/export", methods=["GET"])
@blueprint.arguments(ScoresQuery, location="query")
@blueprint.response(200, content_type="text/csv", description="One line a reading, the header first")
@blueprint.alt_response(404, description="NOT_FOUND: no such team, or not the reader's")
@for_roles("rep", "manager", "administrator")
def export(principal: Principal, asked: dict[str, Any]) -> Response:
    """Scores of a period as CSV."""
    with reading() as connection:
        found = _found("team", scores.table, connection, principal, *_of_team(asked))
    period = found["period"]
    name = f"scores-{period['kind']}-{period['starts_on']}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("".join(scores.csv_lines(found)), headers=headers, content_type="text/csv; charset=utf-8")


@blueprint.route("/funnel", methods=["GET"])
@blueprint.arguments(ScoresQuery, location="query")
@blueprint.response(
    200, description='{"period", "team", "planned", "visited", "followed", "outcome"}: visits'
)
@blueprint.alt_response(404, description="NOT_FOUND: no such team, or not the reader's")
@for_roles("rep", "manager", "administrator")
def from_plan_to_outcome(principal: Principal, asked: dict[str, Any]) -> Response:
    """How many visits were planned, made, left a follow-up behind, brought an outcome."""
    with reading() as connection:
        return as_json(_found("team", scores.funnel, connection, principal, *_of_team(asked)))


@blueprint.route("/trial", methods=["POST"])
@blueprint.arguments(Trial)
@blueprint.response(
    200,
    description='{"period", "team", "people", "unscored", "lowest", "highest", "grades": {grade: people}, "usual"}; people '
    "have a total by this scheme, unscored have none",
)
@blueprint.alt_response(404, description="NOT_FOUND: no such team, or not the reader's")
@for_roles("manager", "administrator")
def try_scheme(principal: Principal, asked: dict[str, Any]) -> Response:
    """How the grades of a period would fall by a scheme that nobody proposed yet; nothing is kept"""
    try:
        scheme = scheme_of({"indicators": asked["indicators"], "cap": asked["cap"]})
    except BadCase as error:
        raise Problem(422, "INVALID", str(error), {error.path: [error.detail]}) from None
    with reading() as connection:
        return as_json(_found("team", scores.trial, connection, principal, scheme, *_of_team(asked)))


@blueprint.route("/closings/<uuid:identity>", methods=["GET"])
@blueprint.response(
    200,
    description=SCORE + '; without evidence; "state" is "closed" or "reopened"',
)
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def closing(principal: Principal, identity: Any) -> Response:
    """The figures of one closing, as an appeal names it."""
    with reading() as connection:
        found = scores.closing(connection, principal, str(identity))
    if found is None:
        raise Problem(404, detail="There is no such closing.")
    return as_json(found)


@blueprint.route("/<uuid:person>", methods=["GET"])
@blueprint.arguments(PeriodQuery, location="query")
@blueprint.response(
    200, description=SCORE + "; each reading with the ids of what counted and what did not, and why"
)
@blueprint.alt_response(404, description="NOT_FOUND: unknown and not yours answer alike")
@for_roles("rep", "manager", "administrator")
def score(principal: Principal, asked: dict[str, Any], person: Any) -> Response:
    """One person's score of a period."""
    with reading() as connection:
        return as_json(_found("person", scores.one, connection, principal, str(person), *_when(asked)))


@blueprint.route("/<uuid:person>/evidence", methods=["GET"])
@blueprint.arguments(EvidenceQuery, location="query")
@blueprint.response(
    200,
    description='{"reading", "kind", "counted": [thing], "not_counted": [thing with "code"]}; a thing has its id, its day '
    "and its customer",
)
@blueprint.alt_response(
    404,
    description="NOT_FOUND: unknown and not yours answer alike, and so does an indicator "
    "that the score has not",
)
@for_roles("rep", "manager", "administrator")
def evidence(principal: Principal, asked: dict[str, Any], person: Any) -> Response:
    """What stands behind one reading of one person."""
    with reading() as connection:
        found = _found("person", scores.one, connection, principal, str(person), *_when(asked))
        told = scores.evidence(connection, found, asked["indicator"], principal.org_id)
    if told is None:
        raise Problem(404, detail="The score has no such indicator.")
    return as_json(told)


def _when(asked: dict[str, Any]) -> tuple[Any, ...]:
    return asked["period"], asked["starts_on"], auth.now()


def _of_team(asked: dict[str, Any]) -> tuple[Any, ...]:
    period, day, now = _when(asked)
    return period, day, str(asked["team"]) if asked["team"] else None, now


def _found(what: str, read: Callable[..., dict[str, Any] | None], *asked: Any) -> dict[str, Any]:
    """What there is to be read of a period; of a `what` that is not there, or not the reader's, 404."""
    try:
        found = read(*asked)
    except (OverflowError, ValueError):
        raise Problem(422, detail="The period lies beyond the calendar.") from None
    if found is None:
        raise Problem(404, detail=f"There is no such {what}.")
    return found
