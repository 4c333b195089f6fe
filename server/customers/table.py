"""Reading a table of customers: what a CSV file says, before any database is asked. Pure but for the bytes it is given."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from server.people.admin import Refused

DELIMITERS = ",;\t|"
LARGEST_CELL = 1_000_000

FIELDS = (
    "rounds_id",
    "code",
    "name",
    "address",
    "lat",
    "lon",
    "radius_m",
    "owner_email",
    "team",
    "grade",
    "lifecycle",
    "phone",
    "contact",
    "tags",
    "note",
)
"""What a column may be mapped to: the fields of a customer; owner by e-mail address, team by name or id."""

PARTS = ("street", "housenumber", "postcode", "city")
"""Further columns that are joined into the address."""

_KNOWN_AS: dict[str, tuple[str, ...]] = {
    "code": (
        "customer_code",
        "external_code",
        "customer_no",
        "customer_number",
        "编号",
        "客户编号",
        "客户编码",
    ),
    "name": ("customer", "customer_name", "company", "名称", "客户", "客户名称"),
    "address": ("full_address", "addr", "地址", "客户地址"),
    "lat": ("latitude", "纬度"),
    "lon": ("longitude", "lng", "long", "经度"),
    "radius_m": ("radius", "半径"),
    "owner_email": ("owner", "rep", "rep_email", "负责人", "业务员"),
    "team": ("team_name", "团队"),
    "grade": ("class", "abc", "等级", "级别"),
    "lifecycle": ("stage", "阶段"),
    "phone": ("telephone", "tel", "phone_number", "mobile", "电话", "手机"),
    "contact": ("contact_name", "contact_person", "联系人"),
    "tags": ("labels", "标签"),
    "note": ("notes", "remark", "remarks", "comment", "备注"),
    "street": ("addr:street", "street_name"),
    "housenumber": ("addr:housenumber", "house_number"),
    "postcode": ("addr:postcode", "postal_code", "zip", "zip_code", "邮编"),
    "city": ("addr:city", "town", "城市"),
}
"""Headers that are understood without being told, besides the field's own name."""

_NUMBERS = {"lat", "lon", "radius_m"}
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as a table: its header, and rows with the line each begins on. `said` is what a person should know."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    encoding: str
    delimiter: str
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something about one row: its line in the file, the column, and why."""

    line: int
    column: str
    why: str

    def __str__(self) -> str:
        return (
            f"line {self.line}, {self.column}: {self.why}" if self.column else f"line {self.line}: {self.why}"
        )


@dataclass(slots=True)
class Entry:
    """What one row says, by field; an empty cell says nothing. `headers`: field -> column."""

    line: int
    headers: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    errors: list[Trouble] = field(default_factory=list)
    warnings: list[Trouble] = field(default_factory=list)


def open_sheet(
    data: bytes, encoding: str | None = None, delimiter: str | None = None, fallback: str = "cp1252"
) -> Sheet:
    """The table in a CSV file; raises `Refused` for bytes that are none.

    UTF-8 with or without its mark and UTF-16 with it are recognised; other bytes are read as `fallback`, and that is
    said. The delimiter is the sign of `,;\\t|` that stands most often in the header.
    """
    said: list[str] = []
    text, encoding = _decoded(data, encoding, fallback, said)
    text = text.removeprefix("\ufeff")  # the mark stays where somebody said that it is UTF-8
    lines = text.lstrip("\r\n")
    skipped = text[: len(text) - len(lines)].count("\n")
    if not lines.strip():
        raise Refused("The file is empty.")
    delimiter = delimiter or _delimiter(lines)
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        header = [cell.strip() for cell in next(reader)]
        line = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((line + skipped, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise Refused(f"The file is no CSV from line {reader.line_num + skipped} on: {error}.") from error
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise Refused(f"The header has {', '.join(doubled)} more than once; name each column differently.")
    return Sheet(header, rows, encoding, delimiter, said)


def _decoded(data: bytes, encoding: str | None, fallback: str, said: list[str]) -> tuple[str, str]:
    if encoding is None and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:
        return data.decode(encoding or "utf-8-sig"), encoding or "utf-8"
    except LookupError:
        raise Refused(
            f"There is no encoding {encoding}. Known are utf-8, utf-16, cp1252, gb18030 and more."
        ) from None
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = data[:at].count(b"\n") + 1
        if encoding is not None:
            raise Refused(
                f"The file is not {encoding}: line {line} cannot be read. Say another --encoding."
            ) from None
    try:
        text = data.decode(fallback)
    except UnicodeError:
        raise Refused(
            f"The file is not UTF-8 (see line {line}). Say its --encoding, such as cp1252 or gb18030."
        ) from None
    said.append(
        f"Not UTF-8 (see line {line}): read as {fallback}. If names look wrong, say the right --encoding."
    )
    return text, fallback


def _delimiter(text: str) -> str:
    first, quoted = "", False
    for sign in text:
        if sign == '"':
            quoted = not quoted
        elif sign in "\r\n" and not quoted:
            break
        elif not quoted:
            first += sign
    return max(DELIMITERS, key=lambda sign: (first.count(sign), -DELIMITERS.index(sign)))


def columns(header: Sequence[str], told: Mapping[str, str]) -> dict[str, int]:
    """Which column holds which field: what was `told` (field -> header, "" for none), then what headers suggest.

    Raises `Refused` for an unknown field or header, or where no column holds a name.
    """
    by_name = {_plain(name): at for at, name in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for target, source in told.items():
        if target not in (*FIELDS, *PARTS):
            raise Refused(f"There is no field {target!r}. There is: {', '.join((*FIELDS, *PARTS))}.")
        if source and _plain(source) not in by_name:
            near = get_close_matches(source, header, 3, 0.4)
            raise Refused(
                f"The file has no column {source!r}. {'Did you mean' if near else 'It has'}: {', '.join(near or header)}."
            )
        if source:
            found[target] = by_name[_plain(source)]
    taken = set(found.values())
    for target in (*FIELDS, *PARTS):
        if target in told:
            continue
        for name in (target, *_KNOWN_AS.get(target, ())):
            at = by_name.get(_plain(name))
            if at is not None and at not in taken:
                found[target] = at
                taken.add(at)
                break
    if "name" not in found:
        raise Refused(
            f"No column holds the customer's name. Say which with --map name=COLUMN; there is: {', '.join(header)}."
        )
    return found


def _plain(header: str) -> str:
    return re.sub(r"[\s_-]+", "_", header.strip().casefold())


def entries(sheet: Sheet, where: Mapping[str, int], *, clear: bool = False) -> Iterator[Entry]:
    """What each row says, with what is wrong with it. `clear`: an empty cell says that there is nothing."""
    headers = {name: sheet.header[at] for name, at in where.items()}
    if "address" not in headers and (parts := [headers[part] for part in PARTS if part in headers]):
        headers["address"] = "+".join(parts)
    for line, cells in sheet.rows:
        entry = Entry(line, headers)
        if len(cells) > len(sheet.header) and any(cell.strip() for cell in cells[len(sheet.header) :]):
            entry.errors.append(
                Trouble(
                    line, "", f"has {len(cells)} cells, the header {len(sheet.header)}; is a quote missing?"
                )
            )
            yield entry
            continue
        said = {name: _cell(cells, at, name) for name, at in where.items()}
        _address(said, where)
        for name in FIELDS:
            if name not in said:
                continue
            if said[name] == "":
                if clear and name not in {"rounds_id", "name"}:
                    entry.values[name] = [] if name == "tags" else None
            else:
                _take(entry, name, said[name])
        _place(entry)
        if not entry.values.get("name") and not entry.errors:
            entry.errors.append(Trouble(line, headers["name"], "a customer needs a name"))
        yield entry


def _cell(cells: Sequence[str], at: int, name: str) -> str:
    cell = cells[at] if at < len(cells) else ""
    if _GUARDED.match(cell):
        cell = cell[1:]  # a spreadsheet's guard against formulas, and our own
    return cell.strip() if name != "note" or not cell.strip() else cell


def _address(said: dict[str, str], where: Mapping[str, int]) -> None:
    """Join the parts of an address: "street number, postcode city"; what stands in it already is not said twice."""
    if not any(part in where for part in PARTS):
        return
    street = " ".join(filter(None, (said.pop("street", ""), said.pop("housenumber", ""))))
    lines = [line for line in (said.get("address", ""), street) if line]
    joined = ", ".join(dict.fromkeys(lines))
    rest = [part for part in (said.pop("postcode", ""), said.pop("city", "")) if part]
    missing = " ".join(part for part in rest if part.casefold() not in joined.casefold())
    said["address"] = ", ".join(filter(None, (joined, missing)))


def _take(entry: Entry, name: str, cell: str) -> None:
    if name in _NUMBERS:
        try:
            entry.values[name] = float(cell if "." in cell else cell.replace(",", "."))
        except ValueError:
            if name == "radius_m":
                entry.errors.append(
                    Trouble(entry.line, entry.headers[name], f"{_short(cell)} is no number of metres")
                )
            else:
                entry.values[name] = float("nan")
    elif name == "tags":
        entry.values[name] = _tags(cell)
    elif name == "grade":
        entry.values[name] = cell.upper()
    elif name == "lifecycle":
        entry.values[name] = cell.lower()
    else:
        entry.values[name] = cell


def _place(entry: Entry) -> None:
    """A place is both coordinates on Earth, or none: a nonsensical one is said, and the row comes in without it."""
    lat, lon = (entry.values.get(name) for name in ("lat", "lon"))
    if lat is None and lon is None:
        return
    column = entry.headers.get("lat") or entry.headers["lon"]
    if lat is None or lon is None:
        why = "one coordinate without the other"
    elif not (-90 <= lat <= 90 and -180 <= lon <= 180):
        why = "no such place on Earth"
    elif lat == lon == 0:
        why = "0, 0 lies in the sea and means that nothing is known"
    else:
        return
    entry.values.pop("lat", None)
    entry.values.pop("lon", None)
    entry.warnings.append(Trouble(entry.line, column, f"{why}; taken without a place"))


def _tags(cell: str) -> list[str]:
    """Tags by ; or , or as a JSON list of words."""
    if cell.startswith("["):
        try:
            listed = json.loads(cell)
        except ValueError:
            listed = None
        if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed):
            return list(dict.fromkeys(listed))
    parts = cell.split(";") if ";" in cell else re.split("[,，；]", cell)
    return list(dict.fromkeys(filter(None, (part.strip() for part in parts))))


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")
