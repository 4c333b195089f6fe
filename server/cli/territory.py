"""Commands about whose customers are whose."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from server.cli.common import attended, json_option, now, organisation_option, plainly, say_json, within
from server.customers.reassign import owned, party, reassign
from server.db import reading
from server.exchange.door import client_of
from server.people.admin import Refused, person_of, system


@click.group("customers")
def customers_command() -> None:
    """Customers: give them to somebody else."""


@customers_command.command("reassign")
@click.option("--from", "giver_email", required=True, metavar="EMAIL", help="Whose they are.")
@click.option("--to", "taker_email", required=True, metavar="EMAIL", help="Whose they become.")
@click.option(
    "--customer", "wanted", multiple=True, metavar="CODE", help="Only this one, by code or id; many times."
)
@click.option("--keep-plans", is_flag=True, help="Leave planned visits and open follow-ups where they are.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@organisation_option
@json_option
@plainly
def customers_reassign(
    giver_email: str,
    taker_email: str,
    wanted: Sequence[str],
    keep_plans: bool,
    yes: bool,
    slug: str | None,
    as_json: bool,
) -> None:
    """Give customers of one person to another: all of them, or those named.

    The visits planned there from today on and the open follow-ups go along, and the customers' team becomes the new
    owner's. Phones in the field are told at their next exchange; what they hold unsent is still taken. A few customers
    at a time, so that nobody waits. For a territory that goes to several people, import a table with an owner column.
    """
    with within(slug) as of:
        with reading() as connection:
            both = [person_of(connection, of["id"], email)["id"] for email in (giver_email, taker_email)]
            giver = party(connection, of["id"], both[0], taking=False)
            taker = party(connection, of["id"], both[1], taking=True)
            if giver.id == taker.id:
                raise Refused("They are theirs already.")
            rows = owned(connection, of["id"], giver.id, wanted or None)
        if not yes:
            question = f"Give {len(rows)} customers of {giver.name} to {taker.name}?"
            if not attended() or not click.confirm(question, err=True):
                raise Refused(f"Nothing was done. --yes gives {len(rows)} customers to {taker.name}.")
        from tqdm import tqdm  # noqa: PLC0415 - only where something takes time

        silent = as_json or not sys.stderr.isatty()
        with tqdm(total=len(rows), unit=" customers", disable=silent, leave=False, file=sys.stderr) as bar:
            moved = reassign(
                system(of["id"]),
                client_of(of["id"], "cli"),
                giver,
                taker,
                rows,
                now(),
                with_plans=not keep_plans,
                done=bar.update,
            )
    if as_json:
        say_json(
            {
                "customers": moved.customers,
                "visits": moved.plans,
                "follow_ups": moved.follow_ups,
                "refused": [{"id": entity, "code": code} for entity, code in moved.left],
            }
        )
    else:
        click.echo(
            f"{taker.name} has {moved.customers:,} customers more, {moved.plans:,} planned visits and "
            f"{moved.follow_ups:,} follow-ups with them."
        )
        for entity, code in moved.left:
            click.echo(f"  not moved: {entity} ({code})")
    if moved.left:
        sys.exit(1)
