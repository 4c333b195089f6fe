"""Answers that every room gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response


def as_json(document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A document as JSON: several times as fast as Flask's own way."""
    return Response(orjson.dumps(document), headers=headers, content_type="application/json")
