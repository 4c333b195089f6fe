"""From bytes to mutations: everything that can be told of an exchange before a row is read or a lock is taken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
import orjson

from server.errors import Problem
from sync.migrate import is_newer, upcast
from sync.mutation import Moment, Mutation, canonical
from sync.policy import well_formed

MOST_BYTES = 5 * 1024 * 1024
MOST_MUTATIONS = 200
MOST_MUTATION_BYTES = 256 * 1024
MOST_WORD = 200
DEEPEST = 64
"""Levels of lists and objects in a mutation; whatever we write ourselves stays under ten."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PATH = re.compile(r"\$\.?(.*)$")


@dataclass(frozen=True, slots=True)
class Device:
    """What the phone says of itself; shown on the board, never decides anything."""

    unsent: int = 0
    oldest: datetime | None = None
    app: str | None = None
    persisted: bool | None = None
    push: str | None = None


@dataclass(frozen=True, slots=True)
class PullWish:
    """How far the client is, and how many rows it takes at once."""

    token: str | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One mutation of a batch, as far as it could be read.

    `mutation` is None where its shape is wrong; `field` then names what is. `id` and `entity` are canonical UUIDs even
    then (derived where the client's were none), `newer` tells that it could not, because a later release wrote it in a
    schema of its own; `payload` is the document as canonical JSON, without its number.
    """

    seq: int | None
    sent_id: Any
    id: str
    entity: str
    kind: str
    verb: str
    mutation: Mutation | None
    field: str | None
    payload: bytes
    digest: str
    newer: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """An exchange as asked for. `mutations` still are raw documents."""

    protocol: int
    client: UUID
    sent: Moment
    predecessor: UUID | None = None
    device: Any = None
    mutations: list[Any] = field(default_factory=list)
    pull: PullWish | None = None


def device_of(envelope: Envelope) -> Device | None:
    """What the phone says of itself, or None where that makes no sense: a report never blocks an exchange."""
    try:
        device = msgspec.convert(envelope.device, Device | None)
    except msgspec.ValidationError:
        return None
    if device is None or not 0 <= device.unsent < 2**31:
        return None
    if not all(len(word) <= MOST_WORD and well_formed(word) for word in (device.app, device.push) if word):
        return None
    if device.oldest is None:
        return device
    if device.oldest.tzinfo is None:
        return None
    try:
        return replace(device, oldest=device.oldest.astimezone(UTC))
    except OverflowError:  # within a day of the calendar's ends
        return None


def unpack(body: bytes, encoding: str | None) -> bytes:
    """The body without its gzip; 413 above 5 MiB decompressed, 400 for a broken one, 415 for another encoding."""
    encoding = (encoding or "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise Problem(415, detail="An exchange may come as it is, or in gzip.")
    if encoding != "identity":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                body = file.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Problem(400, "BAD_ENCODING", "The body is no gzip.") from error
    if len(body) > MOST_BYTES:
        raise Problem(413, detail="An exchange may hold 5 MiB.")
    return body


def read(body: bytes) -> tuple[Envelope, list[Item]]:
    """The exchange in `body`; 400 BAD_JSON, 413 TOO_LARGE, 422 INVALID for what is wrong with the whole of it."""
    tolerant = False
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        tolerant = True
        try:
            document = json.loads(body.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError) as error:
            raise Problem(400, "BAD_JSON", "The body is no JSON.") from error
    try:
        envelope = msgspec.convert(document, Envelope)
    except msgspec.ValidationError as error:
        field = _field_of(error)
        raise Problem(422, "INVALID", str(error), {field: ["is not what PROTOCOL asks for"]}) from None
    if len(envelope.mutations) > MOST_MUTATIONS:
        raise Problem(413, detail=f"An exchange may hold {MOST_MUTATIONS} mutations.")
    if not _is_sound(envelope.sent):
        raise Problem(422, "INVALID", "This is no exchange.", {"sent": ["is not what PROTOCOL asks for"]})
    suspect = tolerant or b"\\u0000" in body
    client = str(envelope.client)
    return envelope, [item_of(raw, client, suspect=suspect) for raw in envelope.mutations]


def _is_sound(sent: Moment) -> bool:
    """Whether the moment of sending can be stored: it is kept with the batch."""
    numbers, words = (sent.mono_ms, sent.offset_ms or 0), (sent.life, sent.zone)
    return all(map(isfinite, numbers)) and all(len(word) <= MOST_WORD and well_formed(word) for word in words)


def item_of(raw: Any, client: str, *, suspect: bool = False) -> Item:
    """One document of a batch, read as far as it can be; `suspect` looks for text that no database takes."""
    if not isinstance(raw, dict):
        raw = {"unreadable": raw}
    payload = _payload(raw)
    if len(payload) > MOST_MUTATION_BYTES:
        raise Problem(413, detail="A mutation may hold 256 KiB.", seq=raw.get("seq"))
    mutation: Mutation | None = None
    field: str | None = None
    if suspect and not _well_formed(raw):
        field = _culprit(raw, _well_formed)
    elif too_deep(payload):
        field = _culprit(raw, lambda part: not too_deep(canonical(part)))
    else:
        try:
            mutation = msgspec.convert(upcast(raw), Mutation)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            field = _field_of(error)
    seq = raw.get("seq")
    seq = seq if isinstance(seq, int) and not isinstance(seq, bool) and 0 < seq < 2**53 else None
    fallback = uuid5(NAMESPACE_OID, f"{client}:{seq}")
    identity, entity = _uuid(raw.get("id")), _uuid(raw.get("entity"))
    if mutation is not None:
        if identity is None or entity is None:
            mutation, field = None, "id" if identity is None else "entity"
        elif identity != mutation.id or entity != mutation.entity:
            mutation = replace(mutation, id=identity, entity=entity)
    return Item(
        seq=seq,
        sent_id=raw.get("id"),
        id=identity or str(fallback),
        entity=entity or str(fallback),
        kind=_word(raw.get("kind")),
        verb=_word(raw.get("verb")),
        mutation=mutation,
        field=field,
        payload=payload,
        digest=hashlib.sha256(payload).hexdigest(),
        newer=mutation is None and is_newer(raw),
    )


def _payload(raw: dict[str, Any]) -> bytes:
    try:
        return canonical({key: value for key, value in raw.items() if key != "seq"})
    except RecursionError as error:
        raise Problem(400, "BAD_JSON", "The body is nested too deeply.") from error


def _field_of(error: Exception) -> str:
    found = _PATH.search(str(error).rsplit(" - at `", 1)[-1].rstrip("`"))
    if found and found.group(1):
        return found.group(1)
    named = re.search(r"field `(\w+)`", str(error))
    return named.group(1) if named else "mutation"


def _uuid(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if _UUID.fullmatch(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        return None


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text[:64].encode("ascii", "replace").decode().replace("\0", "?")


def _well_formed(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not _SURROGATE.search(value)
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, dict):
        return all(_well_formed(key) and _well_formed(child) for key, child in value.items())
    if isinstance(value, list):
        return all(map(_well_formed, value))
    return True


def too_deep(payload: bytes) -> bool:
    """Whether canonical JSON is nested deeper than what comes back out of the database could be written again."""
    if payload.count(b"[") + payload.count(b"{") <= DEEPEST:
        return False
    depth = deepest = 0
    for bracket in re.sub(rb'"(?:[^"\\]|\\.)*"|[^][{}]', b"", payload):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > DEEPEST


def _culprit(raw: dict[str, Any], sound: Callable[[Any], bool]) -> str:
    """The field whose op is not sound, or the member of the mutation."""
    ops = raw.get("ops")
    for op in ops if isinstance(ops, list) else []:
        if not sound(op):
            field = op.get("field") if isinstance(op, dict) else None
            return field if isinstance(field, str) and _well_formed(field) else "ops"
    return next((key for key, value in raw.items() if _well_formed(key) and not sound(value)), "mutation")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


def shown(payload: bytes) -> Any:
    """A stored mutation as a reader may be told of it, whatever it holds; None for one that is nested too deeply.

    Half of a surrogate pair becomes U+FFFD, and a number that is none becomes null when it is written.
    """
    if too_deep(payload):
        return None
    return json.loads(payload.decode("utf-8", "replace"), parse_int=_whole)
