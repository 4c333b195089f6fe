"""Customers in and out as CSV, on either database."""

import csv
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from server.customers import importing, table
from server.customers.exporting import Lines, joined, safe
from server.customers.model import Customer
from server.db import reading
from server.exchange.check import check
from server.exchange.door import Change, client_of, write
from server.exchange.model import Conflict, Journal, Suggestion
from server.people.admin import Refused, system
from tests.commands import Commands
from tests.world import World


@pytest.fixture
def rounds(database_url: str, tmp_path: Path) -> Commands:
    """The command line on an empty, migrated database."""
    return Commands(database_url, tmp_path / "state")


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a CSV file and returns its path."""

    def write(text: str, encoding: str = "utf-8", name: str = "customers.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def customers(app: Any, key: str = "code") -> dict[str, Any]:
    with app.app_context(), reading() as connection:
        return {row[key]: dict(row) for row in connection.execute(select(Customer.__table__)).mappings()}


def journal(app: Any) -> int:
    with app.app_context(), reading() as connection:
        return int(connection.execute(select(func.count()).select_from(Journal)).scalar_one())


# -- real files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "identity", "rows", "without_place"),
    [("pubs_london.csv", "id", 521, 73), ("osm_helsinki_poi.csv", "osm_node_id", 607, 0)],
)
def test_a_real_file_comes_in_whole_and_a_second_time_changes_nothing(
    rounds: Commands, app: Any, shared_data: Path, name: str, identity: str, rows: int, without_place: int
):
    org = rounds.init()["id"]
    path = shared_data / "places" / name
    command = ("import", "customers", path, "--map", f"code={identity}")
    looked = rounds(*command, "--dry-run").output
    assert f"{rows} rows: {rows} to create, 0 to update, 0 unchanged, 0 left out." in looked
    assert customers(app) == {}
    done = rounds.json(*command, "--yes")
    assert (done["created"], done["failed"], done["errors"], done["warnings"]) == (rows, 0, [], [])
    held = customers(app)
    with open(path, encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            kept = held.pop(row[identity])
            assert kept["name"] == row["name"].strip()
            place = (float(row["latitude"]), float(row["longitude"])) if row["latitude"] else (None, None)
            assert (kept["lat"], kept["lon"]) == place
            assert (row.get("postcode") or row.get("addr:postcode") or "") in (kept["address"] or "")
            assert kept["lifecycle"] == "customer" and kept["team_id"]
    assert held == {}
    assert sum(each["lat"] is None for each in customers(app).values()) == without_place
    written = journal(app)
    again = rounds.json(*command, "--yes")
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, rows)
    assert journal(app) == written
    with app.app_context(), reading() as connection:
        assert check(connection, org) == []


# -- row by row ----------------------------------------------------------------------------------------------------------

WRONG = """code,name,lat,lon,grade,radius_m,owner_email,team,note
1,Good,51.5,-0.1,a,300,ADMIN@acme.test,everybody,"two
lines"
2,,51.5,-0.1,,,,,
3,Bad grade,51.5,-0.1,D,,,,
4,Bad radius,51.5,-0.1,,5,,,
5,No metres,51.5,-0.1,,far,,,
6,Unknown owner,51.5,-0.1,,,nobody@acme.test,,
7,Unknown team,51.5,-0.1,,,,South,
8,Too many,51.5,-0.1,,,,,x,y,z
1,Said again,51.5,-0.1,,,,,
9,Nowhere,91,0,,,,,
10,Half a place,51.5,,,,,,
11,Null island,0,0,,,,,
12,No number,north,west,,,,,
13,{long},51.5,-0.1,,,,,
14,Also good,"51,5","-0,1",,,,,
""".replace("{long}", "x" * 201)


def test_wrong_rows_are_named_with_line_column_and_reason_and_the_others_come_in(
    rounds: Commands, app: Any, file: Any
):
    rounds.init()
    done = rounds.json("import", "customers", file(WRONG), "--yes", code=1)
    errors = {(each["line"], each["column"]) for each in done["errors"]}
    assert errors == {
        (4, "name"), (5, "grade"), (6, "radius_m"), (7, "radius_m"), (8, "owner_email"), (9, "team"), (10, ""),
        (11, "code"), (16, "name"),
    }  # fmt: skip
    assert {each["line"] for each in done["warnings"]} == {12, 13, 14, 15}
    assert done["created"] == 6 and done["failed"] == 9
    held = customers(app)
    assert set(held) == {"1", "9", "10", "11", "12", "14"}
    assert held["1"]["note"] == "two\nlines" and held["1"]["grade"] == "A" and held["1"]["owner_id"]
    assert all(held[code]["lat"] is held[code]["lon"] is None for code in ("9", "10", "11", "12"))
    assert (held["14"]["lat"], held["14"]["lon"]) == (51.5, -0.1)
    said = rounds("import", "customers", file(WRONG), "--dry-run", code=1).output
    assert "line 5, grade: is none of A, B, C" in said
    assert "line 8, owner_email: nobody here has the e-mail address nobody@acme.test" in said
    assert "line 11, code: the customer of line 2 again" in said


def test_nothing_is_imported_unless_somebody_says_so(rounds: Commands, app: Any, file: Any):
    rounds.init()
    path = file("code,name\n1,One\n")
    assert "--yes" in rounds("import", "customers", path, typed="", code=1).output
    assert "Nothing was imported" in rounds("import", "customers", path, typed="n\n", code=1).output
    rounds("import", "customers", path, "--dry-run")
    assert customers(app) == {}
    rounds("import", "customers", path, typed="y\n")
    assert set(customers(app)) == {"1"}


def test_a_file_may_come_by_standard_input(rounds: Commands, app: Any):
    rounds.init()
    rounds("import", "customers", "-", "--yes", typed="code,name\n1,One\n")
    assert "--yes" in rounds("import", "customers", "-", typed="code,name\n2,Two\n", code=1).output
    assert set(customers(app)) == {"1"}


# -- again and again -----------------------------------------------------------------------------------------------------


def test_a_changed_row_changes_only_what_differs(rounds: Commands, app: Any, file: Any):
    rounds.init()
    rounds("import", "customers", file("code,name,phone,tags\n1,One,111,a;b\n2,Two,222,\n"), "--yes")
    before = customers(app)
    changed = file("code,name,phone,tags\n1,One,112,b;c\n2,Two,222,\n")
    done = rounds.json("import", "customers", changed, "--yes")
    assert (done["updated"], done["unchanged"]) == (1, 1)
    after = customers(app)
    assert after["2"] == before["2"]
    assert (after["1"]["phone"], sorted(after["1"]["tags"])) == ("112", ["b", "c"])
    with app.app_context(), reading() as connection:
        payload = connection.scalars(select(Journal.payload).order_by(Journal.n.desc()).limit(1)).one()
    assert b'"field":"phone"' in payload and b'"old":"111"' in payload and b'"name"' not in payload


def test_a_row_that_goes_back_to_what_it_said_before_is_a_change_again(rounds: Commands, app: Any, file: Any):
    rounds.init()
    for phone in ("111", "222", "111", "222", "222"):
        rounds("import", "customers", file(f"code,name,phone\n1,One,{phone}\n"), "--yes")
        assert customers(app)["1"]["phone"] == phone
    assert [each["phone"] for each in customers(app).values()] == ["222"]


def test_what_people_wrote_meanwhile_stays_where_the_file_says_the_same_as_before(
    rounds: Commands, app: Any, world: World, file: Any
):
    email = f"rob@{world.org[:8]}.test"
    first = file(f"code,name,phone,grade,owner_email\n1,One,111,C,{email}\n")
    rounds("import", "customers", first, "--yes", "--team", "north")
    (one,) = customers(app).values()
    phone = world.phone("rob")
    edit = [{"field": "phone", "op": "set", "old": "111", "new": "999"}]
    (receipt,) = phone.push(phone.mutation("customer", one["id"], "update", edit, base=one["version"]))
    assert receipt["status"] == "applied"
    assert rounds.json("import", "customers", first, "--yes", "--team", "north")["unchanged"] == 1
    rounds("import", "customers", file(f"code,name,phone,grade,owner_email\n1,One,111,B,{email}\n"), "--yes")
    (one,) = customers(app).values()
    assert (one["phone"], one["grade"]) == ("999", "B")


def test_where_file_and_person_both_changed_a_field_the_loser_is_kept(
    rounds: Commands, app: Any, world: World, file: Any
):
    email = f"rob@{world.org[:8]}.test"
    rounds("import", "customers", file(f"code,name,phone,owner_email\n1,One,111,{email}\n"), "--yes")
    (one,) = customers(app).values()
    phone = world.phone("rob")
    edit = [{"field": "phone", "op": "set", "old": "111", "new": "999"}]
    phone.push(phone.mutation("customer", one["id"], "update", edit, base=one["version"]))
    done = rounds.json(
        "import", "customers", file(f"code,name,phone,owner_email\n1,One,222,{email}\n"), "--yes"
    )
    assert "FIELD_CONFLICT" in done["warnings"][0]["why"]
    with app.app_context(), reading() as connection:
        conflict = connection.execute(select(Conflict.__table__)).mappings().one()
    assert {conflict["kept"], conflict["lost"]} == {"999", "222"}
    phone.pull()
    assert phone.held("conflict")[conflict["id"]]["lost"] == conflict["lost"]
    assert customers(app)["1"]["phone"] == conflict["kept"]


def test_an_empty_cell_says_nothing_unless_told_that_it_clears(rounds: Commands, app: Any, file: Any):
    rounds.init()
    rounds("import", "customers", file("code,name,phone,tags,lat,lon\n1,One,111,a,51,0.5\n"), "--yes")
    empty = file("code,name,phone,tags,lat,lon\n1,One,,,,\n")
    assert rounds.json("import", "customers", empty, "--yes")["unchanged"] == 1
    assert rounds.json("import", "customers", empty, "--yes", "--empty-clears")["updated"] == 1
    one = customers(app)["1"]
    assert (one["phone"], one["tags"], one["lat"], one["lon"]) == (None, [], None, None)


def test_without_a_code_the_whole_row_is_the_identity(rounds: Commands, app: Any, file: Any):
    rounds.init()
    rounds("team", "add", "North")
    text = "name,address\nOne,1 High Street\nOne,1 High Street\nTwo,2 High Street\n"
    first = rounds.json("import", "customers", file(text), "--yes", "--team", "Everybody")
    assert (first["created"], first["unchanged"]) == (2, 1)
    again = rounds.json("import", "customers", file(text), "--yes", "--team", "Everybody")
    assert (again["created"], again["unchanged"]) == (0, 3)
    assert rounds.json("import", "customers", file(text), "--yes", "--team", "North")["updated"] == 2
    assert len(customers(app, "id")) == 2


def test_a_customer_that_a_rep_entered_with_the_code_is_the_same_customer(
    rounds: Commands, app: Any, world: World, file: Any
):
    world.customer("Corner Shop", code="K-1", phone="111")
    done = rounds.json("import", "customers", file("code,name,phone\nK-1,Corner Shop,222\n"), "--yes")
    assert (done["created"], done["updated"]) == (0, 1)
    assert customers(app)["K-1"]["phone"] == "222"
    assert customers(app)["K-1"]["id"] == world.ids["Corner Shop"]


def test_an_import_that_was_stopped_is_finished_by_the_same_command(
    rounds: Commands, app: Any, file: Any, monkeypatch: pytest.MonkeyPatch
):
    rounds.init()
    path = file("code,name\n" + "".join(f"{number},Customer {number}\n" for number in range(450)))
    send, sent = importing.write, []

    def stopped(*arguments: Any) -> Any:
        if sent:
            raise KeyboardInterrupt
        sent.append(1)
        return send(*arguments)

    monkeypatch.setattr(importing, "write", stopped)
    said = rounds("import", "customers", path, "--yes", code=1).output
    assert "50 of 450 rows are in" in said
    assert len(customers(app)) == 50
    monkeypatch.undo()
    done = rounds.json("import", "customers", path, "--yes")
    assert (done["created"], done["unchanged"]) == (400, 50)
    assert len(customers(app)) == 450


def test_two_imports_of_one_file_at_once_make_each_customer_once(rounds: Commands, app: Any, file: Any):
    org = rounds.init()["id"]
    sheet = table.open_sheet(b"code,name,phone\n1,One,1\n2,Two,2\n")
    with app.app_context():
        plans = []
        for _ in range(2):
            with reading() as connection:
                where = table.columns(sheet.header, {})
                plans.append(
                    importing.plan(connection, org, table.entries(sheet, where), importing.Standing())
                )
        from tests.world import ago

        reports = [importing.carry_out(org, plan.steps, ago(minutes=1)) for plan in plans]
    assert [report.failed for report in reports] == [[], []]
    assert len(customers(app)) == 2


# -- what a file may look like -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_recognised(encoding: str, delimiter: str):
    lines = [
        ["Customer No", "Company", "Adresse"],
        ["1", "Käsehaus, Zürich", "a;b"],
        ["2", "上海小店", 'x "y"'],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(lines)
    sheet = table.open_sheet(text.getvalue().encode(encoding))
    assert [row for _, row in sheet.rows] == lines[1:]
    assert sheet.said == []


def test_another_encoding_is_guessed_aloud_or_told():
    data = "name\nKäsehaus\n".encode("cp1252")
    sheet = table.open_sheet(data)
    assert sheet.rows == [(2, ["Käsehaus"])] and "line 2" in sheet.said[0] and "cp1252" in sheet.said[0]
    assert table.open_sheet("name\n上海小店\n".encode("gb18030"), fallback="gb18030").rows == [
        (2, ["上海小店"])
    ]
    assert table.open_sheet(data, "latin-1").said == []
    with pytest.raises(Refused, match="line 2"):
        table.open_sheet(data, "utf-8")
    with pytest.raises(Refused, match="no encoding klingon"):
        table.open_sheet(data, "klingon")


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"\xef\xbb\xbf\n", b'name\n"open', b"a,a\n1,2\n", b"name\n" + b"x" * 1_100_000]
)
def test_a_file_that_is_no_table_is_refused_in_words(data: bytes):
    try:
        sheet = table.open_sheet(data)
    except Refused as error:
        assert str(error)
    else:
        assert sheet.rows == [
            (2, ["open"])
        ]  # an open quote at the end is taken for closed, as spreadsheets do


def test_headers_are_understood_in_both_languages_or_told():
    assert table.columns(["客户编号", "客户名称", "地址", "纬度", "经度"], {}) == {
        "code": 0, "name": 1, "address": 2, "lat": 3, "lon": 4,
    }  # fmt: skip
    assert table.columns(["Shop", "Long", "LATITUDE", "E-mail"], {"name": "shop", "owner_email": "E-mail"}) == {
        "name": 0, "owner_email": 3, "lat": 2, "lon": 1,
    }  # fmt: skip
    assert table.columns(["name", "phone"], {"phone": ""}) == {"name": 0}
    with pytest.raises(Refused, match="No column holds the customer's name"):
        table.columns(["a", "b"], {})
    with pytest.raises(Refused, match=r"no column 'Nmae'.*name"):
        table.columns(["name"], {"name": "Nmae"})
    with pytest.raises(Refused, match="no field 'nickname'"):
        table.columns(["name"], {"nickname": "name"})


def test_the_parts_of_an_address_are_joined_and_nothing_is_said_twice():
    sheet = table.open_sheet(
        b"name,street,housenumber,postcode,city,address\n"
        b'A,High St,1,N1 1AA,London,\nB,,,N1 1AA,London,"2 Low St, London"\nC,,,,,\n'
    )
    said = [entry.values.get("address") for entry in table.entries(sheet, table.columns(sheet.header, {}))]
    assert said == ["High St 1, N1 1AA London", "2 Low St, London, N1 1AA", None]


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_but_in_words(data: bytes):
    try:
        sheet = table.open_sheet(data)
        where = table.columns(sheet.header, {"name": sheet.header[0]})
    except Refused:
        return
    for entry in table.entries(sheet, where):
        assert entry.errors or entry.values["name"]


# -- out and in again ----------------------------------------------------------------------------------------------------

ODD = [
    "=1+1", "+44 20 7946 0000", "-5", "@home", "'quoted'", "'=x", "''+y", "\tTab", 'say "hi", he said', "上海; 北京",
    "line\nbreak", "emoji 🙂", "[1]", "Ünïcode", "x" * 200,
]  # fmt: skip


def test_what_is_exported_comes_in_again_as_it_was(rounds: Commands, app: Any, world: World, tmp_path: Path):
    for number, text in enumerate(ODD):
        world.customer(
            text.strip(),
            code=f"K{number}" if number % 2 else None,
            address=text.strip(),
            contact=text.strip(),
            phone=text.strip()[:100],
            note=text,
            tags=[text.strip()[:50], "b"] if number % 3 else [],
            grade="ABC"[number % 3],
            radius_m=20 + number / 7,
            lat=-33.123456789 + number,
            lon=-0.000001 * number,
            lifecycle="lead" if number % 2 else "customer",
        )
    out = tmp_path / "out.csv"
    rounds("export", "customers", "--out", out)
    with open(out, encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            texts = (row[name] for name in ("name", "address", "phone", "contact", "note", "tags", "code"))
            assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r")) for text in texts)
    written = journal(app)
    assert rounds.json("import", "customers", out, "--yes")["unchanged"] == len(ODD)
    assert journal(app) == written

    rounds.init("other")
    for name in ("Root", "North"):
        rounds("team", "add", name, "--organisation", "other", "--top")
    rounds(
        "person", "add", "--name", "Rob", "--email", f"rob@{world.org[:8]}.test", "--team", "North",
        "--organisation", "other",
    )  # fmt: skip
    done = rounds.json("import", "customers", out, "--yes", "--organisation", "other")
    assert done["created"] == len(ODD)
    rounds("export", "customers", "--out", tmp_path / "again.csv", "--organisation", "other")
    assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()


@given(st.text(max_size=60))
def test_a_guarded_text_is_no_formula_and_is_read_as_it_was(text: str):
    guarded = safe(text)
    assert not guarded.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert table._cell([guarded], 0, "note") in (text, "") and (
        table._cell([guarded], 0, "note") or not text.strip()
    )


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=6))
def test_tags_survive_one_cell(tags: list[str]):
    tags = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    assert table._tags(joined(tags)) == tags if tags else joined(tags) == ""


def test_an_export_may_be_of_a_team_and_of_archived_customers(rounds: Commands, world: World):
    world.customer("Up")
    world.customer("Down", owner="sam", team="south")
    world.customer("Gone")
    from server.exchange.door import Change

    world.write(Change("customer", world.ids["Gone"], "archive"))

    def names(*options: str) -> set[str]:
        return {
            row["name"] for row in csv.DictReader(io.StringIO(rounds("export", "customers", *options).stdout))
        }

    assert names() == {"Up", "Down"}
    assert names("--team", "north") == {"Up"}
    assert names("--team", "root") == {"Up", "Down"}
    assert names("--archived") == {"Up", "Down", "Gone"}
    assert "no team East" in rounds("export", "customers", "--team", "East", code=1).output


def test_numbers_are_left_as_they_are():
    assert Lines().line([-0.1428, "=1", None, 3, "a,b"]) == '-0.1428,\'=1,,3,"a,b"\r\n'


# -- many ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_rows_come_in(rounds: Commands, app: Any, file: Any):
    rounds.init()
    chance = random.Random(7)
    lines = (
        f"{number},Customer {number},{number} High Street,{chance.uniform(-80, 80):.6f},{chance.uniform(-179, 179):.6f}\n"
        for number in range(10_000)
    )
    path = file("code,name,address,lat,lon\n" + "".join(lines))
    assert rounds.json("import", "customers", path, "--yes")["created"] == 10_000
    assert rounds.json("import", "customers", path, "--yes")["unchanged"] == 10_000


def test_a_file_that_still_has_both_of_a_merged_pair_changes_what_it_says_anew_at_the_one_that_stayed(
    rounds: Commands, app: Any, tmp_path: Path
) -> None:
    org = rounds.init()["id"]
    path = tmp_path / "pubs.csv"
    pubs = "code,name,lat,lon,phone\n1,The Crown,51.5,-0.1,020 1\n2,Crown Inn,51.5,-0.1,020 1\n"
    path.write_text(pubs)
    rounds.json("import", "customers", path, "--yes")
    with app.app_context():
        with reading() as connection:
            (suggestion,) = connection.execute(select(Suggestion.id)).scalars()
        decided = {"on_kind": "suggestion", "on_id": suggestion, "verdict": "approve"}
        (receipt,) = write(
            system(org),
            client_of(org, "cli"),
            [Change("decision", str(uuid4()), "create", decided)],
            datetime.now(UTC),
        )
        assert receipt["status"] == "applied"
    again = rounds.json("import", "customers", path, "--yes")
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    path.write_text(pubs.replace("Inn,51.5,-0.1,020 1", "Inn,51.5,-0.1,020 2"))
    changed = rounds.json("import", "customers", path, "--yes")
    assert (changed["created"], changed["updated"]) == (0, 1)
    live = [row for row in customers(app, "id").values() if not row["archived"]]
    assert [row["phone"] for row in live] == ["020 2"]
