"""HTTP of photos: how far an upload is, the next piece of it, and the photo for who may see a visit that names it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from flask import Response, current_app, request
from flask_smorest import Blueprint
from marshmallow import Schema, validate
from sqlalchemy import Connection, select
from werkzeug.exceptions import ClientDisconnected

from server import auth
from server.answers import as_json
from server.auth import Principal, for_roles
from server.blobs import photo
from server.blobs.model import BlobHolder
from server.blobs.rules import may_begin, most_bytes
from server.blobs.store import Misplaced, Store, Unavailable, WrongHash, note, row, store_of
from server.db import reading
from server.errors import Problem, body
from server.fields import Text
from server.people.model import Setting
from server.visits.model import Visit, VisitPhoto
from server.visits.query import seen_by
from sync.policy import is_digest

blueprint = Blueprint(
    "blobs", __name__, url_prefix="/api/blobs", description="Photos, by the SHA-256 of their bytes"
)

PIECE = 64 * 1024
"""Bytes that are written at once: so much at most is lost when a connection is cut."""

FOR_A_YEAR = "private, max-age=31536000, immutable"
SANDBOX = "default-src 'none'; sandbox"
REFUSED = {
    "NOT_A_PHOTO": (415, "Only photos are taken: JPEG, PNG, WebP, one picture each."),
    "TOO_MANY_PIXELS": (422, "This picture has too many pixels."),
    "PHOTO_HAS_PLACE": (422, "This photo tells where it was taken; take that out first."),
}


@blueprint.errorhandler(Unavailable)
def _unavailable(_error: Unavailable) -> Any:
    document = body("BUSY", "The store of photos does not answer; try again.")
    return document, 503, {"Retry-After": "30"}


class BlobQuery(Schema):
    """Which size of a photo."""

    size = Text(load_default="full", validate=validate.OneOf(["full", "thumb"]))


@blueprint.route("/<string:sha256>", methods=["GET"])
@blueprint.arguments(BlobQuery, location="query")
@blueprint.response(
    200,
    description="GET: the photo, or with size=thumb a small JPEG of it. HEAD: Upload-Offset, where an upload of one's "
    "own goes on; Upload-Complete: ?1 once it is stored.",
)
@blueprint.alt_response(
    404,
    description="NOT_FOUND: unknown and not yours answer alike. NOT_STORED: a visit names it, its bytes are to come",
)
@for_roles(uploads=True)
def blob(principal: Principal, asked: dict[str, Any], sha256: str) -> Response:
    """A photo that a visit one may see names; HEAD tells its uploader how far it is."""
    _known_address(sha256)
    if request.method == "HEAD":
        return _how_far(principal, sha256)
    if principal.upload_only:
        raise Problem(401, "SIGN_IN_REQUIRED", "Sign in first.", reason=principal.upload_only)
    with reading() as connection:
        visible = _is_visible(connection, principal, sha256)
        known = row(connection, principal.org_id, sha256) if visible else None
    if not visible:
        raise Problem(404, detail="There is no such photo.")
    store = _store()
    small = asked["size"] == "thumb"
    data = store.thumb(principal.org_id, sha256) if small and known else store.read(principal.org_id, sha256)
    if data is None:
        raise Problem(404, "NOT_STORED", "This photo has not come in yet.")
    if known is None:  # a crash, or a database put back to a backup: the file is here and lacks its row
        found = photo.look(data)
        note(principal.org_id, sha256, len(data), found, auth.now(), None)
        kind, data = (found.type, data) if not small else ("image/jpeg", photo.thumb(data))
    else:
        kind = "image/jpeg" if small else known["type"]
    response = Response(data, content_type=kind)
    name = f"{sha256[:12]}{'-small' if small else ''}.{kind.removeprefix('image/')}"
    response.headers |= {
        "Content-Disposition": f'inline; filename="{name}"',
        "Content-Security-Policy": SANDBOX,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": FOR_A_YEAR,
        "Vary": "Cookie, Authorization",  # whoever signs in next on this device asks anew
    }
    response.set_etag(f"{sha256[:32]}{'-small' if small else ''}")
    response.make_conditional(request)
    return response


@blueprint.route("/<string:sha256>", methods=["PUT"])
@blueprint.doc(
    parameters=[
        {"in": "header", "name": "Upload-Offset", "schema": {"type": "integer", "default": 0}},
        {"in": "header", "name": "Upload-Length", "schema": {"type": "integer"}},
    ],
    requestBody={"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
)
@blueprint.response(
    200,
    description='{"status": "stored"}: all is here and has this hash. {"status": "partial", "offset"}: there is more to '
    "come. Without Upload-Length (bytes of the whole) the body is all the rest.",
)
@blueprint.alt_response(409, description="UPLOAD_OFFSET with `offset` and header: the upload stands there")
@blueprint.alt_response(411, description="LENGTH_REQUIRED: neither Upload-Length nor Content-Length")
@blueprint.alt_response(413, description="TOO_LARGE with `most`, bytes")
@blueprint.alt_response(415, description="NOT_A_PHOTO: JPEG, PNG and WebP are taken, told by their content")
@blueprint.alt_response(
    422, description="HASH_MISMATCH, TOO_MANY_PIXELS, PHOTO_HAS_PLACE: the upload is thrown away; INVALID"
)
@for_roles(uploads=True)
def put_blob(principal: Principal, sha256: str) -> Response:
    """The next piece of a photo, or all of it. What has arrived when a connection is cut is kept."""
    _known_address(sha256)
    store, mine = _store(), (principal.org_id, sha256, principal.person_id)
    with reading() as connection:
        if _is_held(connection, principal, sha256) and store.has(principal.org_id, sha256):
            return _stored()
        most = most_bytes(_setting(connection, principal.org_id, "photo_max_bytes"))
    offset, total = _extent(most)
    there = store.offset(*mine)
    if there != offset:
        raise _misplaced(there)
    try:
        for piece in _pieces():
            if offset + len(piece) > total:
                raise Problem(422, "INVALID", "More bytes than were announced.")
            if offset == 0 and not may_begin(piece):
                raise photo.Unfit("NOT_A_PHOTO")
            offset = store.append(*mine, offset, piece)
        if offset < total:
            return as_json({"status": "partial", "offset": offset}, {"Upload-Offset": str(offset)})
        store.finish(*mine, total, auth.now())
    except Misplaced as error:  # somebody else, another tab perhaps, sends the same: it may even be done
        with reading() as connection:
            if _is_held(connection, principal, sha256):
                return _stored()
        raise _misplaced(error.offset) from error
    except WrongHash as error:
        raise Problem(422, "HASH_MISMATCH", "These bytes have another hash; send them anew.") from error
    except photo.Unfit as error:
        status, detail = REFUSED[error.code]
        raise Problem(status, error.code, detail) from error
    except ClientDisconnected as error:
        raise Problem(400, "CUT_OFF", "The rest did not arrive.") from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise Problem(
            503, "BUSY", "There is no room at the moment.", headers={"Retry-After": "300"}
        ) from error
    return _stored()


def _known_address(sha256: str) -> None:
    if not is_digest(sha256):
        raise Problem(404, detail="There is no such photo.")


def _how_far(principal: Principal, sha256: str) -> Response:
    """Where an upload of one's own stands. That others have stored it is told only to who may see it anyway."""
    store = _store()
    with reading() as connection:
        told = _is_held(connection, principal, sha256) or (
            not principal.upload_only and _is_visible(connection, principal, sha256)
        )
        known = row(connection, principal.org_id, sha256) if told else None
    if known is not None and store.has(principal.org_id, sha256):
        return _stored(known["bytes"])
    offset = store.offset(principal.org_id, sha256, principal.person_id)
    return Response(headers={"Upload-Offset": str(offset), "Upload-Complete": "?0"})


def _stored(size: int | None = None) -> Response:
    headers = {"Upload-Complete": "?1"} | ({} if size is None else {"Upload-Offset": str(size)})
    return as_json({"status": "stored"}, headers)


def _misplaced(offset: int) -> Problem:
    headers = {"Upload-Offset": str(offset)}
    return Problem(409, "UPLOAD_OFFSET", "The upload goes on elsewhere.", headers=headers, offset=offset)


def _extent(most: int) -> tuple[int, int]:
    """Where this piece begins and how many bytes the whole has, as the headers say."""
    offset = _whole_number("Upload-Offset", 0)
    total = _whole_number("Upload-Length", None)
    if total is None:
        if request.content_length is None:
            raise Problem(411, "LENGTH_REQUIRED", "Say how long it is.")
        total = offset + request.content_length
    if total > most:
        raise Problem(413, "TOO_LARGE", f"A photo may have {most} bytes.", most=most)
    if not 0 < total or offset > total:
        raise Problem(422, "INVALID", "Offset and length do not fit.", {"Upload-Length": ["does not fit"]})
    return offset, total


def _whole_number(header: str, default: Any) -> Any:
    given = request.headers.get(header)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 12):
        raise Problem(422, "INVALID", "A whole number is wanted.", {header: ["is no whole number"]})
    return int(given)


def _pieces() -> Iterator[bytes]:
    while piece := request.stream.read(PIECE):
        yield piece


def _is_held(connection: Connection, principal: Principal, sha256: str) -> bool:
    mine = (
        BlobHolder.org_id == principal.org_id,
        BlobHolder.sha256 == sha256,
        BlobHolder.person_id == principal.person_id,
    )
    return connection.execute(select(BlobHolder.sha256).where(*mine)).first() is not None


def _is_visible(connection: Connection, principal: Principal, sha256: str) -> bool:
    """Whether a visit that this person may see names it. Finance sees no visits."""
    if principal.role == "finance":
        return False
    statement = seen_by(connection, principal, None).join(
        VisitPhoto, (VisitPhoto.org_id == Visit.org_id) & (VisitPhoto.visit_id == Visit.id)
    )
    named = statement.where(VisitPhoto.org_id == principal.org_id, VisitPhoto.sha256 == sha256)
    return connection.execute(named.with_only_columns(Visit.id).limit(1)).first() is not None


def _setting(connection: Connection, org_id: str, key: str) -> Any:
    wanted = select(Setting.value).where(
        Setting.org_id == org_id, Setting.key == key, Setting.archived.is_(False)
    )
    return connection.execute(wanted).scalar()


def _store() -> Store:
    found: Store | None = current_app.extensions.get("rounds_blobs")
    if found is None:
        found = current_app.extensions["rounds_blobs"] = store_of(auth.config())
    return found
