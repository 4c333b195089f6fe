"""Payloads of older apps -> today's. Every schema number that was ever shipped is accepted for ever.

An upcaster is pure and takes one step: the raw mutation of its schema in, the one of the next schema out, its
argument unchanged. Each comes with a golden payload in the tests, which is never edited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync.mutation import SCHEMA

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[int, Upcaster] = {}
"""schema -> the step to schema + 1. Empty as long as only schema 1 has been shipped."""


def upcast(
    raw: dict[str, Any], upcasters: Mapping[int, Upcaster] = UPCASTERS, today: int = SCHEMA
) -> dict[str, Any]:
    """The raw mutation in today's schema.

    A schema that is no known number is returned as it came: it is parked as ``UNKNOWN_OP`` with its content, and taken
    up again once a release knows it.
    The digest that recognises a repeated mutation is taken of what was received, before this.
    """
    schema = raw.get("schema")
    while type(schema) is int and schema < today and schema in upcasters:
        raw = {**upcasters[schema](raw), "schema": schema + 1}
        schema += 1
    return raw


def is_newer(raw: Mapping[str, Any], today: int = SCHEMA) -> bool:
    """Whether a raw mutation was written in a schema that only later releases know: its shape says nothing here."""
    schema = raw.get("schema")
    return type(schema) is int and schema > today
