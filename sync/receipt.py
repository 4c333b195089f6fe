"""What became of a mutation, as the phone is told. It is stored in every case: none is refused and dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["applied", "merged", "noop", "parked"]
"""applied: as asked. merged: beside somebody else's change, with a code. noop: it changed nothing.
parked: stored, not applied, somebody must decide."""

# Codes of merged, in the order in which the first one names a mutation that has several.
FIELD_CONFLICT = "FIELD_CONFLICT"
TEXT_KEPT_BOTH = "TEXT_KEPT_BOTH"
STATE_CONFLICT = "STATE_CONFLICT"
EDIT_ARCHIVED = "EDIT_ARCHIVED"
UNIQUE_TAKEN = "UNIQUE_TAKEN"

# Codes of parked.
INVALID = "INVALID"
FORBIDDEN = "FORBIDDEN"
SCOPE_LOST = "SCOPE_LOST"
PARENT_PARKED = "PARENT_PARKED"
UNKNOWN_OP = "UNKNOWN_OP"
INTERNAL = "INTERNAL"

MERGED_CODES = (FIELD_CONFLICT, TEXT_KEPT_BOTH, STATE_CONFLICT, EDIT_ARCHIVED, UNIQUE_TAKEN)
PARKED_CODES = (INVALID, FORBIDDEN, SCOPE_LOST, PARENT_PARKED, UNKNOWN_OP, INTERNAL)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one mutation.

    seq, id: the mutation's own; version: the organisation's head at which it was stored;
    conflicts: ids of the conflicts it made; detail: for a person, such as the field of an ``INVALID``.
    """

    seq: int
    id: str
    status: Status
    code: str | None = None
    version: int = 0
    conflicts: list[str] = field(default_factory=list)
    detail: str | None = None
