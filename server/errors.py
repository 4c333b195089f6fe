"""Every error in one JSON shape with a stable code: {"code", "detail", "fields", "request_id"}."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, g, jsonify
from marshmallow import INCLUDE, Schema, fields
from werkzeug.exceptions import HTTPException

from server.db import is_busy

log = logging.getLogger("rounds")

CODES = {
    400: "BAD_REQUEST",
    401: "SIGN_IN_REQUIRED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INVALID",
    429: "TOO_MANY_ATTEMPTS",
    503: "BUSY",
}


class ErrorSchema(Schema):
    """An error as it travels; some carry further members, such as `last_seq`."""

    class Meta:
        unknown = INCLUDE

    code = fields.String(required=True)
    detail = fields.String(required=True)
    fields_ = fields.Dict(required=True, data_key="fields")
    request_id = fields.String(required=True, allow_none=True)


class Problem(Exception):
    """An answer that is an error: HTTP status, stable code, a sentence, the fields it concerns, further members."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        detail: str = "",
        fields: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code or CODES.get(status, "ERROR")
        self.detail = detail
        self.fields = fields or {}
        self.headers = headers or {}
        self.members = members


def body(code: str, detail: str = "", fields: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """The error document."""
    return {
        "code": code,
        "detail": detail,
        "fields": fields or {},
        "request_id": getattr(g, "request_id", None),
        **members,
    }


def register(app: Flask) -> None:
    """Make every error of `app` answer in the one shape; nothing of the inside is shown."""

    @app.errorhandler(Problem)
    def _problem(error: Problem) -> tuple[Response, int, dict[str, str]]:
        return (
            jsonify(body(error.code, error.detail, error.fields, **error.members)),
            error.status,
            error.headers,
        )

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
        status = error.code or 500
        data = getattr(error, "data", None) or {}
        headers = dict(data.get("headers") or {})
        if status == 405 and getattr(error, "valid_methods", None):
            headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
        fields = data.get("messages") or {}
        return jsonify(body(CODES.get(status, "ERROR"), error.description or "", fields)), status, headers

    @app.errorhandler(Exception)
    def _other(error: Exception) -> tuple[Response, int, dict[str, str]]:
        if is_busy(error):
            log.warning("database busy", exc_info=error)
            return jsonify(body("BUSY", "The database is busy; try again.")), 503, {"Retry-After": "2"}
        log.error("unexpected", exc_info=error)
        return jsonify(body("INTERNAL", "Something unexpected happened; it is in the log.")), 500, {}
