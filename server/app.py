"""The app factory: everything is put together here, and nobody knows this module but the command line and tests."""

from __future__ import annotations

import json
import logging
import mimetypes
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import flask_smorest
from flask import Blueprint, Flask, Response, current_app, g, request, send_from_directory
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy import select, text
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from server import errors
from server.auth import config, open_to_all
from server.blobs.routes import blueprint as blobs
from server.board.routes import blueprint as board
from server.calendar.routes import blueprint as calendar
from server.config import Config, from_environment
from server.customers.routes import blueprint as customers
from server.db import db, engine_options, reading
from server.docs import page
from server.errors import Problem
from server.exchange.contract import components
from server.exchange.documents import MOST_BYTES
from server.exchange.routes import blueprint as exchange
from server.followups.routes import blueprint as follow_ups
from server.indicators.import_routes import targets_blueprint, values_blueprint
from server.indicators.routes import blueprint as scores
from server.packing import pack, pack_file
from server.people.model import Head
from server.people.routes import blueprint as people
from server.push.routes import blueprint as push
from server.reminders.routes import blueprint as reminders
from server.visits.routes import blueprint as visits

log = logging.getLogger("rounds")

BLUEPRINTS = (
    *(people, exchange, board, customers, visits, follow_ups, blobs, push, reminders, calendar, scores),
    *(values_blueprint, targets_blueprint),
)

CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(self), camera=(self), microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
}

INVITE = "invite/"
"""Where an invitation's address begins."""

SECRETS = (f"/{INVITE}", "/api/calendar/")
"""Paths behind which a secret stands."""

site = Blueprint("site", __name__)


class Api(flask_smorest.Api):
    """OpenAPI without error handlers of its own: `server.errors` answers everything in one shape."""

    ERROR_SCHEMA = errors.ErrorSchema

    def _register_error_handlers(self) -> None:
        pass


def create_app(settings: Config | None = None) -> Flask:
    """The WSGI app for these settings (default: of the environment)."""
    settings = settings or from_environment()
    app = Flask("rounds", static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        MAX_CONTENT_LENGTH=MOST_BYTES + 64 * 1024,
        API_TITLE="Rounds",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
        JSON_SORT_KEYS=False,
    )
    app.extensions["rounds"] = settings
    app.extensions["rounds_metrics"] = Metrics()
    db.init_app(app)
    errors.register(app)
    api = Api(
        app,
        spec_kwargs={
            "info": {"description": "Field activity, self-hosted. See /api/schema for the exchange."}
        },
    )
    for name, schema in components().items():
        api.spec.components.schema(name, component=schema)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.extensions["rounds_spec"] = api.spec.to_dict
    published = app.view_functions["api-docs.openapi_json"]
    app.view_functions["api-docs.openapi_json"] = open_to_all(lambda: published())
    app.register_blueprint(site)
    app.before_request(_begin)
    app.after_request(_end)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


class Metrics:
    """Counters of this worker, for /metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rounds_requests", "Requests answered", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "rounds_request_seconds", "Time to answer", ["endpoint"], registry=self.registry
        )


def _begin() -> None:
    g.request_id = str(uuid4())
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Request-Id"] = g.get("request_id", "")
    took = time.perf_counter() - g.get("began", time.perf_counter())
    metrics: Metrics = _metrics()
    endpoint = request.endpoint or "none"
    metrics.requests.labels(endpoint, response.status_code).inc()
    metrics.seconds.labels(endpoint).observe(took)
    response = pack(request, response)
    log.info(
        "request",
        extra={
            "request_id": g.get("request_id"),
            "method": request.method,
            "path": _without_secret(request.path),
            "status": response.status_code,
            "ms": round(took * 1000, 1),
        },
    )
    return response


def _without_secret(path: str) -> str:
    """A path as the log may keep it: an invitation's and a calendar's are secrets."""
    return next((f"{begins}…" for begins in SECRETS if path.startswith(begins)), path)


def _metrics() -> Metrics:
    found: Metrics = current_app.extensions["rounds_metrics"]
    return found


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and what was added to the record."""

    _KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in self._KNOWN}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json(level: str = "INFO") -> None:
    """Write this process's log as JSON lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


# -- what is no API ----------------------------------------------------------------------------------------------------


@site.route("/healthz")
@open_to_all
def healthz() -> Response:
    """The process answers."""
    return Response("ok\n", content_type="text/plain")


@site.route("/readyz")
@open_to_all
def readyz() -> Response:
    """The database answers and has the tables; 503 BUSY otherwise."""
    try:
        with reading() as connection:
            connection.execute(text("select 1"))
            connection.execute(select(Head.version).limit(1)).first()
    except Exception as error:
        raise Problem(503, "BUSY", "The database is not ready.", headers={"Retry-After": "5"}) from error
    return Response("ready\n", content_type="text/plain")


@site.route("/metrics")
@open_to_all
def metrics() -> Response:
    """Counters in Prometheus' text format, of the worker that answers."""
    return Response(generate_latest(_metrics().registry), content_type=CONTENT_TYPE_LATEST)


@site.route("/api/docs")
@open_to_all
def docs() -> Response:
    """The API on one page, without a line from elsewhere."""
    return Response(page(current_app.extensions["rounds_spec"]()), content_type="text/html; charset=utf-8")


@site.route("/", defaults={"path": ""})
@site.route("/<path:path>")
@open_to_all
def pwa(path: str) -> Response:
    """The app: its files, and its page for every address inside it."""
    if path.startswith("api/"):
        raise NotFound
    root = config().pwa_dir
    try:
        response = pack_file(
            request, send_from_directory(root, path or "index.html"), root / (path or "index.html")
        )
    except HTTPException:
        if "." in path.rsplit("/", 1)[-1] and not path.startswith(INVITE):
            raise
        try:
            response = send_from_directory(root, "index.html")
        except HTTPException as error:
            raise Problem(404, "NOT_BUILT", "The app is not built: `make build`.") from error
    named_by_content = path.startswith("assets/")
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if named_by_content else "no-cache"
    )
    return response


mimetypes.add_type("application/manifest+json", ".webmanifest")
