"""Commands about people: init, person, team, token, device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import click

from server.cli.common import (
    attended,
    database,
    json_option,
    now,
    organisation_option,
    plainly,
    qr,
    say_json,
    table,
    within,
)
from server.config import from_environment
from server.indicators.begin import first_scheme
from server.people import admin
from server.people.admin import Refused
from server.people.found import WEEKDAYS, FirstAdministrator, found, slug_of
from server.people.rules import ROLES
from server.push import keys

LANGUAGES = {"en": "en", "zh": "zh-Hans", "zh-hans": "zh-Hans", "zh-Hans": "zh-Hans"}
language_option = click.option(
    "--language",
    type=click.Choice(["en", "zh-Hans", "zh"]),
    help="Language of the pages: en or zh-Hans (zh).",
)


# -- init --------------------------------------------------------------------------------------------------------------


@click.command("init")
@click.option("--name", help="Its name, as people read it.")
@click.option("--slug", help="Its short name for signing in and for commands: a-z, 0-9 and dashes.")
@click.option("--zone", help="Time zone, an IANA name such as Europe/London or Asia/Shanghai.")
@click.option(
    "--week-start", type=click.Choice(["monday", "saturday", "sunday"]), help="First day of the week."
)
@language_option
@click.option("--admin-name", help="Name of the first administrator.")
@click.option("--admin-email", help="With this address they sign in.")
@click.option("--password", help="Their password; asked for, or made and shown once, where it is left out.")
@json_option
@plainly
def init_command(
    name: str | None,
    slug: str | None,
    zone: str | None,
    week_start: str | None,
    language: str | None,
    admin_name: str | None,
    admin_email: str | None,
    password: str | None,
    as_json: bool,
) -> None:
    """Make an organisation with its first administrator.

    Asks for what no option says. Makes the database where there is none, one team to begin with, visit kinds and
    outcomes with English and Chinese names, and the settings. Several organisations may share a server: run it again
    with another slug.
    """
    name = name or _asked("Name of the organisation")
    slug = slug or _asked("Short name (a-z, 0-9, dashes)", slug_of(name) or "rounds")
    zone = zone or _asked("Time zone", _zone_here())
    week_start = week_start or _asked(
        "First day of the week", "monday", click.Choice(["monday", "saturday", "sunday"])
    )
    language = language or _asked("Language", "en", click.Choice(["en", "zh-Hans"]))
    admin.checked_zone(zone)
    admin_name = admin_name or _asked("First administrator's name")
    admin_email = admin_email or _asked("First administrator's e-mail")
    admin.checked_email(admin_email)
    made = None
    if password is None and attended():
        password = click.prompt(
            "Password (empty: one is made)",
            default="",
            hide_input=True,
            confirmation_prompt=True,
            show_default=False,
        )
    if not password:
        password = made = admin.new_password()
    with database(make=True) as config:
        keys.current(config.state_dir)
        begins = now()
        org_id = found(
            name=name,
            slug=slug,
            time_zone=zone,
            week_start=WEEKDAYS.index(week_start),
            locale=LANGUAGES[language],
            administrator=FirstAdministrator(admin_name, admin_email, password),
            now=begins,
            begun_with=[first_scheme(zone, begins)],
        )
    if as_json:
        say_json({"id": org_id, "slug": slug, "admin_email": admin_email, "password": made})
        return
    click.echo(f"{name} is ready. {admin_name} administers it and signs in as {admin_email}.")
    if made:
        click.echo(f"Password, shown this once: {made}")
    click.echo(
        "Next: rounds team add NAME, rounds person add, rounds import customers FILE.csv, rounds serve"
    )


def _asked(question: str, default: str | None = None, kind: Any = None) -> str:
    """What somebody answers; the default where nobody is there to answer."""
    try:
        answer: str = click.prompt(question, default=default, type=kind, err=True)
    except click.Abort:
        if attended():
            raise
        if default is None:
            raise Refused(f"Nobody answered: {question}? See `rounds init --help` for the option.") from None
        click.echo(default, err=True)
        return default
    return answer


def _zone_here() -> str:
    """The time zone of this machine, where it can be told."""
    told = os.environ.get("TZ", "").removeprefix(":")
    if not told:
        link = str(Path("/etc/localtime").resolve())
        told = link.partition("/zoneinfo/")[2]
    return told if told in available_timezones() else "UTC"


# -- person ------------------------------------------------------------------------------------------------------------


@click.group("person")
def person_command() -> None:
    """People of an organisation: add, list, invite, deactivate, activate."""


@person_command.command("add")
@click.option("--name", prompt="Name", help="As colleagues know them.")
@click.option("--email", prompt="E-mail", help="With this address they sign in.")
@click.option("--role", type=click.Choice(ROLES), help="rep where nothing is said.")
@click.option("--team", help="Team, by name or id; may be left out where there is one.")
@click.option("--password", help="Their password. Without it they are invited: a one-time link is printed.")
@click.option("--zone", help="Time zone, where it is not the organisation's.")
@language_option
@click.option("--url", help="Address of the app, for the link; else the first of ROUNDS_ORIGINS.")
@organisation_option
@json_option
@plainly
def person_add(
    name: str,
    email: str,
    role: str | None,
    team: str | None,
    password: str | None,
    zone: str | None,
    language: str | None,
    url: str | None,
    slug: str | None,
    as_json: bool,
) -> None:
    """Add somebody. Without --password a one-time link is printed with which they choose one themselves."""
    if role is None:
        role = click.prompt("Role", type=click.Choice(ROLES), default="rep") if attended() else "rep"
    locale = LANGUAGES[language] if language else None
    with within(slug) as of:
        person_id = admin.add_person(
            of, admin.NewPerson(name, email, role, team, password, zone, locale), now()
        )
        secret = None if password else admin.invite(of["id"], email, now())
        link = _link(url, secret) if secret else None
    if as_json:
        say_json({"id": person_id, "email": email, "role": role, "invite": link})
        return
    click.echo(f"Added {name} ({role}), who signs in as {email}.")
    if link:
        _say_link(link, admin.INVITE_DAYS)


@person_command.command("list")
@organisation_option
@json_option
@plainly
def person_list(slug: str | None, as_json: bool) -> None:
    """List people: name, e-mail, role, team, and whether they can sign in."""
    with within(slug) as of:
        people = admin.people(of["id"])
    if as_json:
        say_json(people)
        return
    rows = [("NAME", "E-MAIL", "ROLE", "TEAM", "")]
    for each in people:
        state = "deactivated" if not each["active"] else "" if each["has_password"] else "invited"
        rows.append((each["name"], each["email"] or "", each["role"], each["team"] or "", state))
    table(rows)


@person_command.command("invite")
@click.option("--email", prompt="E-mail", help="Whom to invite.")
@click.option(
    "--url", help="Address of the app, such as https://rounds.example; else the first of ROUNDS_ORIGINS."
)
@click.option(
    "--days", default=admin.INVITE_DAYS, show_default=True, type=click.IntRange(1, 90), help="Valid for."
)
@click.option("--no-qr", is_flag=True, help="No QR code.")
@organisation_option
@json_option
@plainly
def person_invite(
    email: str, url: str | None, days: int, no_qr: bool, slug: str | None, as_json: bool
) -> None:
    """Print a one-time link, and its QR code, with which somebody chooses a password. Needs no mail.

    Also for a forgotten password. An earlier link of the same person ends.
    """
    with within(slug) as of:
        link = _link(url, admin.invite(of["id"], email, now(), days))
    if as_json:
        say_json({"email": email, "invite": link, "days": days})
        return
    _say_link(link, days, code=not no_qr)


@person_command.command("upload-link")
@click.argument("email")
@click.option("--url", help="Address of the app, for the link; else the first of ROUNDS_ORIGINS.")
@click.option(
    "--days", default=admin.INVITE_DAYS, show_default=True, type=click.IntRange(1, 90), help="Valid for."
)
@organisation_option
@json_option
@plainly
def person_upload_link(email: str, url: str | None, days: int, slug: str | None, as_json: bool) -> None:
    """Print a one-time link with which a closed account's phone uploads what it still holds.

    For a phone whose session is gone, too; opened on it, it sends, and reads nothing. What comes in thus is looked
    at by the lead.
    """
    with within(slug) as of:
        secret = admin.invite(of["id"], email, now(), days, uploads=True)
    link = _link(url, f"upload/{secret}")
    if as_json:
        say_json({"email": email, "link": link, "days": days})
        return
    _say_link(link, days)


@person_command.command("change")
@click.option("--email", prompt="E-mail", help="Whom to change.")
@click.option("--name", help="Their name from now on.")
@click.option("--role", type=click.Choice(ROLES), help="Their role from now on.")
@click.option("--team", help="Their team from now on, by name or id.")
@click.option("--zone", help="Their time zone from now on.")
@language_option
@organisation_option
@plainly
def person_change(
    email: str,
    name: str | None,
    role: str | None,
    team: str | None,
    zone: str | None,
    language: str | None,
    slug: str | None,
) -> None:
    """Change somebody's name, role, team, time zone or language. What they logged stays theirs."""
    told = {
        "name": name,
        "role": role,
        "time_zone": zone,
        "locale": LANGUAGES[language] if language else None,
    }
    with within(slug) as of:
        changed = admin.change_person(of["id"], email, told, team, now())
    click.echo(f"Changed {', '.join(changed)} of {email}." if changed else f"{email} is like that already.")


@person_command.command("deactivate")
@click.option("--email", prompt="E-mail", help="Whom to deactivate.")
@organisation_option
@plainly
def person_deactivate(email: str, slug: str | None) -> None:
    """Deactivate somebody: they can no longer sign in or read; what their phone still holds may be uploaded."""
    with within(slug) as of:
        changed = admin.set_active(of["id"], email, False, now())
    click.echo(f"Deactivated {email}." if changed else f"{email} was deactivated already.")


@person_command.command("activate")
@click.option("--email", prompt="E-mail", help="Whom to take back.")
@organisation_option
@plainly
def person_activate(email: str, slug: str | None) -> None:
    """Take a deactivated person back, with their old password."""
    with within(slug) as of:
        changed = admin.set_active(of["id"], email, True, now())
    click.echo(f"{email} is active again." if changed else f"{email} was active already.")


def _link(url: str | None, secret: str) -> str:
    base = (
        url
        or min(from_environment().origins, key=lambda each: (not each.startswith("https"), each), default="")
        or "http://localhost:8080"
    )
    return f"{base.rstrip('/')}/invite/{secret}"


def _say_link(link: str, days: int, *, code: bool = True) -> None:
    click.echo(f"One-time link, valid {days} days, shown this once:")
    click.echo(link)
    if link.startswith("http://localhost"):
        click.echo(
            "(Say --url https://… or set ROUNDS_ORIGINS for an address that a phone can reach.)", err=True
        )
    elif code:
        qr(link)


# -- team --------------------------------------------------------------------------------------------------------------


@click.group("team")
def team_command() -> None:
    """The tree of teams: add, list."""


@team_command.command("add")
@click.argument("name")
@click.option("--under", help="The team above it, by name or id; the topmost one is the default.")
@click.option("--top", is_flag=True, help="Put it at the top, beside what is there.")
@organisation_option
@json_option
@plainly
def team_add(name: str, under: str | None, top: bool, slug: str | None, as_json: bool) -> None:
    """Add a team. A manager leads the team they are in and all below it."""
    if under and top:
        raise click.UsageError("--under and --top exclude each other.")
    with within(slug) as of:
        team_id = admin.add_team(of["id"], name, under, now(), top=top)
    if as_json:
        say_json({"id": team_id, "name": name})
    else:
        click.echo(f"Added team {name}.")


@team_command.command("list")
@organisation_option
@json_option
@plainly
def team_list(slug: str | None, as_json: bool) -> None:
    """List the tree of teams with the number of people directly in each."""
    with within(slug) as of:
        found = admin.teams(of["id"])
    if as_json:
        say_json(found)
        return
    table(
        [
            ("TEAM", "PEOPLE", "ID"),
            *(("  " * each["depth"] + each["name"], str(each["people"]), each["id"]) for each in found),
        ]
    )


# -- token -------------------------------------------------------------------------------------------------------------


@click.group("token")
def token_command() -> None:
    """Bearer tokens for integrations: create, list, revoke."""


@token_command.command("create")
@click.option("--email", prompt="E-mail", help="The person the token acts as; it may do what they may.")
@click.option("--name", default="", help="What it is for; shown in the list.")
@organisation_option
@json_option
@plainly
def token_create(email: str, name: str, slug: str | None, as_json: bool) -> None:
    """Print a bearer token once. Standard output holds the token alone, so that a script can keep it."""
    with within(slug) as of:
        token_id, secret = admin.create_token(of["id"], email, name, now())
    if as_json:
        say_json({"id": token_id, "token": secret})
        return
    click.echo(f"Token {token_id[:8]} of {email}; keep it, it is not shown again:", err=True)
    click.echo(secret)


@token_command.command("list")
@organisation_option
@json_option
@plainly
def token_list(slug: str | None, as_json: bool) -> None:
    """List tokens: id, whose, what for, since when, and whether revoked."""
    with within(slug) as of:
        found = admin.tokens(of["id"])
    if as_json:
        say_json(found)
        return
    rows = [("ID", "E-MAIL", "NAME", "CREATED", "")]
    for each in found:
        state = "revoked" if each["revoked_at"] else ""
        rows.append(
            (
                each["id"][:8],
                each["email"] or "",
                each["name"],
                each["created_at"].strftime("%Y-%m-%d"),
                state,
            )
        )
    table(rows)


@token_command.command("revoke")
@click.argument("token_id")
@organisation_option
@plainly
def token_revoke(token_id: str, slug: str | None) -> None:
    """Revoke a token by its id, or the beginning of it; it stops working at once."""
    with within(slug) as of:
        found = admin.revoke_token(of["id"], token_id, now())
    click.echo(f"Revoked token {found['id'][:8]} of {found['email']}.")


# -- device ------------------------------------------------------------------------------------------------------------


@click.group("device")
def device_command() -> None:
    """Phones and browsers that people signed in on: list, revoke."""


@device_command.command("list")
@organisation_option
@json_option
@plainly
def device_list(slug: str | None, as_json: bool) -> None:
    """List devices: id, whose, what, since when, last contact, what it then held unsent, and whether revoked."""
    with within(slug) as of:
        found = admin.devices(of["id"])
    if as_json:
        say_json(found)
        return
    rows = [("ID", "E-MAIL", "NAME", "SIGNED IN", "LAST CONTACT", "UNSENT", "")]
    for each in found:
        contact = each["contact_at"].strftime("%Y-%m-%d %H:%MZ") if each["contact_at"] else "never"
        rows.append(
            (
                each["id"][:8],
                each["email"] or "",
                each["name"],
                each["created_at"].strftime("%Y-%m-%d"),
                contact,
                str(each["unsent"] or 0),
                "revoked" if each["revoked_at"] else "",
            )
        )
    table(rows)


@device_command.command("revoke")
@click.argument("device_id")
@organisation_option
@plainly
def device_revoke(device_id: str, slug: str | None) -> None:
    """Revoke a device by its id, or the beginning of it: it reads nothing more; what it still holds is taken."""
    with within(slug) as of:
        found = admin.revoke_device(of["id"], device_id, now())
    click.echo(f"Revoked device {found['id'][:8]} of {found['email']}.")
    if found["unsent"]:
        click.echo(f"It held {found['unsent']} unsent; they are taken when it next sends.")
