"""People, teams and tokens from the command line, on either database."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from server.cli import main
from server.db import reading
from server.exchange.check import check
from server.exchange.model import Journal
from server.indicators.model import IndicatorScheme
from server.people import found as founding
from server.people.defaults import OUTCOMES, SETTINGS, VISIT_KINDS
from server.people.model import Head, Login, Organisation, Person, Setting, Team
from server.visits.model import Outcome, VisitKind
from tests.commands import Commands


@pytest.fixture
def rounds(database_url: str, tmp_path: Path) -> Commands:
    """The command line on an empty, migrated database."""
    return Commands(database_url, tmp_path / "state")


def counted(app: Any, table: Any) -> int:
    with app.app_context(), reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def sign_in(app: Any, email: str, password: str, **more: str) -> Any:
    device = {"client": str(uuid4()), "name": "test"}
    return app.test_client().post(
        "/api/session", json={"email": email, "password": password, "device": device} | more
    )


def walk(command: click.Command, name: str = "rounds") -> list[tuple[str, click.Command]]:
    found = [(name, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            known = command.get_command(context, child)
            assert known is not None
            found += walk(known, f"{name} {child}")
    return found


@pytest.mark.parametrize(
    ("name", "command"), walk(main), ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_command_explains_itself_and_its_options(name: str, command: click.Command):
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help or option.show_default, f"{name} {option.name}"
    assert "Usage: " in CliRunner().invoke(main, [*name.split()[1:], "--help"]).output


# -- init --------------------------------------------------------------------------------------------------------------


def test_init_makes_an_organisation_with_what_it_needs_to_begin(rounds: Commands, app: Any):
    made = rounds.init()
    assert made["password"] is None
    for table, number in (
        (VisitKind, len(VISIT_KINDS)),
        (Outcome, len(OUTCOMES)),
        (Setting, len(SETTINGS)),
        (Team, 1),
    ):
        assert counted(app, table) == number
    with app.app_context(), reading() as connection:
        kinds = {row.code: row for row in connection.execute(select(VisitKind.__table__))}
        assert kinds["store_call"].min_minutes == {"in_person": 10, "online": 10, "phone": 0}
        assert kinds["sales_call"].min_minutes["in_person"] == 30
        assert all(row.name_zh for row in kinds.values())
        (scheme,) = connection.execute(select(IndicatorScheme.__table__))
        assert (scheme.template, scheme.status, scheme.role) == ("field_only", "approved", None)
        assert check(connection, made["id"]) == []
    answer = sign_in(app, "Admin@acme.test", "correct horse")
    assert answer.status_code == 200
    assert answer.json["person"]["role"] == "administrator"
    assert answer.json["organisation"]["time_zone"] == "Europe/London"


def test_init_makes_the_database_where_there_is_none(bare_database_url: str, tmp_path: Path):
    rounds = Commands(bare_database_url, tmp_path)
    assert "rounds init" in rounds("person", "list", code=1).output
    rounds.init()
    assert [each["name"] for each in rounds.json("person", "list")] == ["Ada"]


def test_init_asks_for_what_no_option_says(rounds: Commands, app: Any):
    result = rounds("init", typed="蓝湾商贸\nlanwan\nAsia/Shanghai\nsunday\nzh-Hans\n林\nlin@lanwan.test\n")
    password = re.search(r"shown this once: (\S+)", result.output)
    assert password
    answer = sign_in(app, "lin@lanwan.test", password[1])
    assert answer.json["organisation"] | {"id": ""} == {
        "id": "",
        "slug": "lanwan",
        "name": "蓝湾商贸",
        "time_zone": "Asia/Shanghai",
        "week_start": 6,
        "locale": "zh-Hans",
    }


def test_a_second_organisation_of_the_same_slug_is_refused_and_leaves_nothing(rounds: Commands, app: Any):
    rounds.init()
    before = {table: counted(app, table) for table in (Organisation, Head, Person, Login, Journal)}
    result = rounds(
        "init", "--name", "Other", "--slug", "acme", "--zone", "UTC", "--week-start", "monday", "--language", "en",
        "--admin-name", "Eve", "--admin-email", "eve@acme.test", "--password", "correct horse", code=1,
    )  # fmt: skip
    assert "already" in result.output and "another slug" in result.output
    assert {table: counted(app, table) for table in before} == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Europe/Londn"}, "Europe/London"),
        ({"zone": "../etc/passwd"}, "no time zone"),
        ({"slug": "Über uns"}, "no slug"),
        ({"admin-email": "nobody"}, "no e-mail address"),
        ({"password": "short"}, "at least 10"),
        ({"admin-name": " "}, "not acceptable"),
        ({"name": " "}, "needs a name"),
        ({"name": "a\0b"}, "needs a name"),
    ],
)
def test_init_names_what_is_wrong_and_makes_nothing(
    rounds: Commands, app: Any, wrong: dict[str, str], said: str
):
    told = {
        "name": "Acme", "slug": "acme", "zone": "UTC", "week-start": "monday", "language": "en",
        "admin-name": "Ada", "admin-email": "ada@acme.test", "password": "correct horse",
    } | wrong  # fmt: skip
    result = rounds("init", *(word for name, value in told.items() for word in (f"--{name}", value)), code=1)
    assert said in result.output
    assert counted(app, Organisation) == counted(app, Person) == 0


def test_an_organisation_is_founded_whole_or_not_at_all(
    rounds: Commands, app: Any, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(founding, "login_of", interrupted)
    rounds(
        "init", "--name", "Acme", "--slug", "acme", "--zone", "UTC", "--week-start", "monday", "--language", "en",
        "--admin-name", "Ada", "--admin-email", "ada@acme.test", "--password", "correct horse", code=1,
    )  # fmt: skip
    assert [counted(app, table) for table in (Organisation, Head, Person, Team, Journal)] == [0] * 5


# -- people ------------------------------------------------------------------------------------------------------------


def test_an_invited_person_chooses_a_password_once(rounds: Commands, app: Any):
    rounds.init()
    rounds("team", "add", "North")
    added = rounds.json("person", "add", "--name", "Bo", "--email", "Bo@acme.test", "--team", "north")
    link = rounds.json("person", "invite", "--email", "bo@acme.test", "--url", "https://rounds.test/")[
        "invite"
    ]
    base, _, secret = link.rpartition("/")
    assert base == "https://rounds.test/invite"
    device = {"client": str(uuid4()), "name": "phone"}
    accept = {"password": "a phone in the rain", "device": device}
    client = app.test_client()
    earlier = client.post("/api/session/invite", json=accept | {"invite": added["invite"].rpartition("/")[2]})
    assert earlier.status_code == 401
    assert client.post("/api/session/invite", json=accept | {"invite": secret}).status_code == 200
    assert client.post("/api/session/invite", json=accept | {"invite": secret}).status_code == 401
    assert sign_in(app, "bo@acme.test", "a phone in the rain").json["person"]["role"] == "rep"
    (bo,) = [each for each in rounds.json("person", "list") if each["name"] == "Bo"]
    assert bo["team"] == "North" and bo["has_password"]


def test_an_invitation_opens_the_app_and_stays_out_of_the_log(
    rounds: Commands, app: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    rounds.init()
    invite = rounds.json("person", "invite", "--email", "admin@acme.test")["invite"]
    path = "/" + invite.split("/", 3)[3]
    with caplog.at_level("INFO", "rounds"):
        answer = app.test_client().get(path)
    assert answer.status_code == 200 or answer.json["code"] == "NOT_BUILT"
    assert all(path.rpartition("/")[2] not in str(vars(record)) for record in caplog.records)


def test_an_invitation_is_printed_with_its_qr_code(rounds: Commands):
    rounds.init()
    said = rounds("person", "invite", "--email", "admin@acme.test", "--url", "https://rounds.test").output
    assert "https://rounds.test/invite/" in said
    assert said.count("█") > 200
    said = rounds(
        "person", "invite", "--email", "admin@acme.test", "--url", "https://r.test", "--no-qr"
    ).output
    assert "█" not in said


def test_a_person_needs_an_address_of_their_own_a_team_and_a_zone_that_exists(rounds: Commands, app: Any):
    rounds.init()
    rounds("team", "add", "North")
    before = counted(app, Journal)
    add = ("person", "add", "--name", "Bo", "--email")
    assert "Ada's address already" in rounds(*add, "ADMIN@acme.test", "--role", "finance", code=1).output
    assert "needs a team" in rounds(*add, "bo@acme.test", code=1).output
    assert "no team South" in rounds(*add, "bo@acme.test", "--team", "South", code=1).output
    assert "no time zone" in rounds(*add, "bo@acme.test", "--team", "North", "--zone", "Mars", code=1).output
    assert "not one of" in rounds(*add, "bo@acme.test", "--role", "boss", code=2).output
    assert "at least 10" in rounds(*add, "bo@acme.test", "--team", "North", "--password", "x", code=1).output
    assert counted(app, Journal) == before and counted(app, Login) == 1


def test_a_deactivated_person_cannot_sign_in_and_the_journal_says_when(rounds: Commands, app: Any):
    org = rounds.init()["id"]
    rounds("person", "add", "--name", "Bo", "--email", "bo@acme.test", "--password", "correct horse")
    invited = rounds.json("person", "invite", "--email", "bo@acme.test")["invite"].rpartition("/")[2]
    assert sign_in(app, "bo@acme.test", "correct horse").status_code == 200
    rounds("person", "deactivate", "--email", "bo@acme.test")
    assert "already" in rounds("person", "deactivate", "--email", "bo@acme.test").output
    assert sign_in(app, "bo@acme.test", "correct horse").status_code == 401
    accept = {"invite": invited, "password": "correct horse", "device": {"client": str(uuid4()), "name": ""}}
    assert app.test_client().post("/api/session/invite", json=accept).status_code == 401
    assert "deactivated" in rounds("token", "create", "--email", "bo@acme.test", code=1).output
    assert "deactivated" in rounds("person", "invite", "--email", "bo@acme.test", code=1).output
    rounds("person", "activate", "--email", "bo@acme.test")
    assert sign_in(app, "bo@acme.test", "correct horse").status_code == 200
    with app.app_context(), reading() as connection:
        verbs = connection.scalars(
            select(Journal.verb).where(Journal.kind == "person").order_by(Journal.n)
        ).all()
        assert check(connection, org) == []
    assert verbs == ["create", "create", "update", "update"]


def test_a_person_changes_team_and_role_and_reads_accordingly(rounds: Commands, app: Any):
    rounds.init()
    rounds("team", "add", "North")
    rounds("person", "add", "--name", "Bo", "--email", "bo@acme.test", "--team", "Everybody")
    secret = rounds("token", "create", "--email", "bo@acme.test").stdout.strip()
    change = ("person", "change", "--email", "bo@acme.test")
    said = rounds(
        *change, "--team", "North", "--role", "manager", "--name", "Bo B.", "--language", "zh"
    ).output
    assert "name, role, locale, team" in said
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {secret}"}).json
    assert (me["person"]["name"], me["person"]["role"], me["person"]["locale"]) == (
        "Bo B.",
        "manager",
        "zh-Hans",
    )
    assert [team["name"] for team in me["teams"]] == ["North"]
    assert "already" in rounds(*change, "--team", "North").output
    assert "no time zone" in rounds(*change, "--zone", "Mars", code=1).output
    admin = ("person", "change", "--email", "admin@acme.test")
    assert "only administrator" in rounds(*admin, "--role", "finance", code=1).output


def test_the_last_administrator_stays(rounds: Commands):
    rounds.init()
    deactivate = ("person", "deactivate", "--email", "admin@acme.test")
    assert "only administrator" in rounds(*deactivate, code=1).output
    rounds("person", "add", "--name", "Bo", "--email", "bo@acme.test", "--role", "administrator")
    rounds(*deactivate)


# -- teams -------------------------------------------------------------------------------------------------------------


def test_teams_form_a_tree(rounds: Commands):
    rounds.init()
    rounds("team", "add", "North")
    rounds("team", "add", "Harbour", "--under", "north")
    rounds("team", "add", "Abroad", "--top")
    rounds("person", "add", "--name", "Bo", "--email", "bo@acme.test", "--team", "Harbour")
    found = [(each["depth"], each["name"], each["people"]) for each in rounds.json("team", "list")]
    assert found == [(0, "Abroad", 0), (0, "Everybody", 0), (1, "North", 0), (2, "Harbour", 1)]
    assert "several teams at the top" in rounds("team", "add", "South", code=1).output
    assert "there already" in rounds("team", "add", "North", "--under", "Everybody", code=1).output
    rounds("team", "add", "Harbour", "--under", "Abroad")
    ambiguous = rounds("team", "add", "Pier", "--under", "Harbour", code=1).output
    one = next(each["id"] for each in rounds.json("team", "list") if each["name"] == "Harbour")
    assert "2 teams Harbour" in ambiguous and one in ambiguous
    rounds("team", "add", "Pier", "--under", one)


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_is_printed_once_works_and_can_be_revoked(rounds: Commands, app: Any):
    rounds.init()
    secret = rounds("token", "create", "--email", "admin@acme.test", "--name", "till").stdout.strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert app.test_client().get("/api/me", headers=headers).json["person"]["name"] == "Ada"
    listed = rounds("token", "list").output
    assert "till" in listed and secret not in listed and secret.partition(".")[2] not in listed
    (token,) = rounds.json("token", "list")
    assert "no token" in rounds("token", "revoke", token["id"][:3], code=1).output
    rounds("token", "revoke", token["id"][:8])
    assert app.test_client().get("/api/me", headers=headers).status_code == 401
    assert "revoked" in rounds("token", "list").output


def test_a_lost_phone_can_be_listed_and_its_sessions_ended(rounds: Commands, app: Any):
    rounds.init()
    phone = app.test_client()
    device = {"client": "7d1c0d5e-3f58-4f5c-9a53-6a2f7f6f1c11", "name": "Pixel of the till"}
    asked = {"email": "admin@acme.test", "password": "correct horse", "device": device}
    assert phone.post("/api/session", json=asked).status_code == 200
    assert phone.get("/api/me").status_code == 200
    assert "Pixel of the till" in rounds("device", "list").output
    (listed,) = rounds.json("device", "list")
    assert "no device" in rounds("device", "revoke", "0000", code=1).output
    rounds("device", "revoke", listed["id"][:8])
    assert phone.get("/api/me").status_code == 401
    assert "revoked" in rounds("device", "list").output


# -- several organisations -----------------------------------------------------------------------------------------------


def test_where_there_are_several_organisations_one_is_named(rounds: Commands):
    assert "rounds init" in rounds("team", "list", code=1).output
    rounds.init()
    rounds.init("other")
    said = rounds("person", "list", code=1).output
    assert "acme, other" in said and "--organisation" in said
    assert "no organisation third" in rounds("person", "list", "--organisation", "third", code=1).output
    (only,) = rounds.json("person", "list", "--organisation", "other")
    assert only["email"] == "admin@other.test"
    assert "Nobody here" in rounds(
        "token", "create", "--email", "admin@acme.test", "--organisation", "other", code=1
    ).output  # fmt: skip


# -- what is wrong with the settings -------------------------------------------------------------------------------------


def test_a_command_without_a_database_says_where_it_looked_and_makes_none(tmp_path: Path):
    rounds = Commands(f"sqlite:///{tmp_path / 'nowhere.db'}", tmp_path)
    said = rounds("person", "list", code=1).output
    assert "nowhere.db" in said and "rounds init" in said and "ROUNDS_DATABASE_URL" in said
    assert not (tmp_path / "nowhere.db").exists()


def test_a_bad_setting_is_named(tmp_path: Path):
    rounds = Commands("mysql://somewhere", tmp_path)
    assert "ROUNDS_DATABASE_URL" in rounds("team", "list", code=1).output
    rounds.environment["ROUNDS_SECRET"] = "short"
    assert "ROUNDS_SECRET" in rounds("serve", code=1).output
    rounds.environment |= {"ROUNDS_SECRET": None, "ROUNDS_TRUSTED_PROXIES": "many"}
    assert "ROUNDS_TRUSTED_PROXIES" in rounds("serve", code=1).output


def test_what_is_not_understood_ends_with_2(tmp_path: Path):
    rounds = Commands(f"sqlite:///{tmp_path / 'rounds.db'}", tmp_path)
    rounds("fly", code=2)
    rounds("person", "add", "--height", "3", code=2)
    rounds("serve", "--port", "99999", code=2)
    rounds("export", "visits", "--from", "yesterday", code=2)
