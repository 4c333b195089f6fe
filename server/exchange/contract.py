"""PROTOCOL as JSON Schema, generated from the table of kinds: what is published and what is enforced cannot differ."""

from __future__ import annotations

from functools import cache
from typing import Any

from server.exchange.documents import MOST_MUTATIONS
from server.exchange.kinds import READABLE, WRITABLE, Kind
from sync import policy, receipt
from sync.mutation import OPS, SCHEMA, VERBS

_UUID = policy.uuid().schema
_INSTANT = policy.instant().schema


@cache
def contract() -> dict[str, Any]:
    """The document of GET /api/schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rounds exchange",
        "schema": SCHEMA,
        "codes": {"merged": list(receipt.MERGED_CODES), "parked": list(receipt.PARKED_CODES)},
        "kinds": {name: _kind(kind) for name, kind in READABLE.items()},
        "$defs": {
            "moment": policy.moment().schema,
            "fix": policy.fix().schema,
            "op": {
                "type": "object",
                "required": ["field", "op"],
                "properties": {
                    "field": {"type": "string"},
                    "op": {"enum": sorted(OPS)},
                    "old": {},
                    "new": {},
                    "values": {"type": "array"},
                },
            },
            "mutation": {
                "type": "object",
                "required": ["seq", "id", "schema", "kind", "entity", "verb", "base", "at", "ops"],
                "properties": {
                    "seq": {"type": "integer", "minimum": 1},
                    "id": _UUID,
                    "schema": {"type": "integer"},
                    "kind": {"enum": list(WRITABLE)},
                    "entity": _UUID,
                    "verb": {"enum": sorted(VERBS)},
                    "base": {"type": "integer", "minimum": 0},
                    "at": {"$ref": "#/$defs/moment"},
                    "ops": {"type": "array", "items": {"$ref": "#/$defs/op"}},
                },
            },
            "receipt": {
                "type": "object",
                "required": ["seq", "id", "status", "code", "version", "conflicts", "detail"],
                "properties": {
                    "seq": {"type": "integer"},
                    "id": {},
                    "status": {"enum": ["applied", "merged", "noop", "parked"]},
                    "code": {"type": ["string", "null"]},
                    "version": {"type": "integer"},
                    "conflicts": {"type": "array", "items": _UUID},
                    "detail": {"type": ["object", "null"]},
                },
            },
            "exchange": {
                "type": "object",
                "required": ["protocol", "client", "sent"],
                "properties": {
                    "protocol": {"const": 1},
                    "client": _UUID,
                    "predecessor": {"type": ["string", "null"]},
                    "sent": {"$ref": "#/$defs/moment"},
                    "device": {
                        "type": ["object", "null"],
                        "properties": {
                            "unsent": {"type": "integer", "minimum": 0},
                            "oldest": {"anyOf": [_INSTANT, {"type": "null"}]},
                            "app": {"type": ["string", "null"]},
                            "persisted": {"type": ["boolean", "null"]},
                            "push": {"type": ["string", "null"]},
                        },
                    },
                    "mutations": {
                        "type": "array",
                        "maxItems": MOST_MUTATIONS,
                        "items": {"$ref": "#/$defs/mutation"},
                    },
                    "pull": {
                        "type": ["object", "null"],
                        "properties": {"token": {"type": ["string", "null"]}, "limit": {"type": "integer"}},
                    },
                },
            },
        },
    }


def components() -> dict[str, Any]:
    """The same definitions as OpenAPI wants them, so that its document refers to nothing outside itself."""
    found: dict[str, Any] = _moved(contract()["$defs"])
    return found


def _moved(document: Any) -> Any:
    if isinstance(document, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(value)
            for key, value in document.items()
        }
    return [_moved(one) for one in document] if isinstance(document, list) else document


def _kind(kind: Kind) -> dict[str, Any]:
    rules = kind.policy
    return {
        "writable": kind.name in WRITABLE,
        "fields": {
            name: {
                "settles": field.kind,
                "schema": field.check.schema,
                "required": field.required and name not in kind.completed and name not in kind.defaults,
                "authority": field.authority,
                "written_by": sorted(kind.rights.get(name, kind.other)),
            }
            for name, field in rules.fields.items()
        },
        "created_by": sorted(kind.create),
        "archived_by": sorted(kind.archive),
        "states": {
            "initial": sorted(rules.initial),
            "steps": {state: sorted(steps) for state, steps in rules.steps.items()},
            "rank": dict(rules.rank),
        }
        if rules.state
        else None,
    }
