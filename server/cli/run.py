"""Commands that keep running: serve, demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
from sqlalchemy import select

from server.cli.common import database, now, plainly, qr
from server.config import Config, from_environment
from server.db import reading
from server.lan import addresses as lan_addresses
from server.lan import offer, papers
from server.people.admin import Refused
from server.people.model import Organisation
from server.serve import MOST_WORKERS, Serving, check_port, ready, run, serve

LANGUAGES = ("en", "zh")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help=f"Processes; one a core is the default, {MOST_WORKERS} at most.",
)
@click.option(
    "--tls-cert", type=FILE, help="Certificate chain (PEM); with --tls-key the server speaks https."
)
@click.option("--tls-key", type=FILE, help="Its private key (PEM).")
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0, 10),
    help="How many reverse proxies in front are believed (X-Forwarded-*); else ROUNDS_TRUSTED_PROXIES.",
)
@click.option(
    "--ticker/--no-ticker",
    default=True,
    help="A ticker beside it, for reminders; `rounds ticker` runs one alone.",
)
def serve_command(
    host: str,
    port: int,
    workers: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    trusted_proxies: int | None,
    ticker: bool,
) -> None:
    """Serve the app and its API until SIGTERM or Ctrl-C.

    Brings the database up to date first. Logs are JSON lines on standard error.
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both or neither.")
    serve(Serving(host, port, workers, tls_cert, tls_key, trusted_proxies, ticker))


@click.command("demo")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65534))
@click.option("--language", "--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option(
    "--lan", is_flag=True, help="For a phone in this network: https by a small authority, QR codes."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; as for serve.")
@plainly
def demo_command(host: str, port: int, language: str, lan: bool, workers: int | None) -> None:
    """Try Rounds: a made-up organisation with 24 reps and 60 days of visits, in English or Chinese.

    Prints the address and three sign-ins (role, e-mail, password), then serves. Lives in var/demo, or where
    ROUNDS_STATE says; a second start is quick, brings the days up to today and keeps what was logged.
    """
    from server.demo.run import accompany, prepare  # noqa: PLC0415 - only the demo needs it

    os.environ.setdefault("ROUNDS_STATE", str(Path("var") / "demo"))
    serving = Serving("0.0.0.0" if lan else host, port, workers)
    phone = _open_to_the_network(serving) if lan else None
    serving = phone.serving if phone else serving
    config = ready(serving)
    _only_demos(config)
    sign_ins = prepare(config, language, progress=_progress())
    click.echo(f"Rounds is at {phone.address if phone else serving.url}")
    for each in sign_ins:
        click.echo(f"{each.role:<14} {each.email:<32} {each.password}")
    if phone:
        _say_how(phone)
    accompany(config, language)
    run(serving)


def _only_demos(config: Config) -> None:
    """Keep made-up visits out of a database in which somebody works."""
    from server.demo.words import load  # noqa: PLC0415

    path = config.database_url.removeprefix("sqlite:///")
    if path != config.database_url and not Path(path).exists():
        return
    with database(config, make=True), reading() as connection:
        slugs = set(connection.scalars(select(Organisation.slug)))
    if real := sorted(slugs - {load(language).town.slug for language in LANGUAGES}):
        raise Refused(
            f"The database holds {', '.join(real)}, which is no demo. Unset ROUNDS_DATABASE_URL and ROUNDS_STATE, "
            "or point them elsewhere."
        )


def _progress() -> Callable[[int, int], None] | None:
    """A bar on a terminal for the first start, which writes thousands of visits."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm  # noqa: PLC0415

    bar = tqdm(desc="Making the demo", unit=" changes", leave=False, file=sys.stderr)

    def tell(done: int, of: int) -> None:
        bar.total = of
        bar.update(done - bar.n)
        if done >= of:
            bar.close()

    return tell


# -- a phone in the same network -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Phone:
    """How a phone reaches this machine: the https address, and the page from which it takes the authority."""

    serving: Serving
    address: str
    trust: str


def _open_to_the_network(serving: Serving) -> Phone:
    found = lan_addresses()
    if not found:
        raise Refused("This machine has no address in a network. Connect it, or leave --lan away.")
    state = from_environment().state_dir / "lan"
    try:
        made = papers(state, found, now())
    except OSError as error:
        raise Refused(f"{state} cannot be written: {error.strerror}.") from error
    address, trust = f"https://{found[0]}:{serving.port}", f"http://{found[0]}:{serving.port + 1}"
    check_port(serving.host, serving.port + 1)
    offer(made, serving.host, serving.port + 1, address)
    return Phone(replace(serving, tls_cert=made.certificate, tls_key=made.key), address, trust)


def _say_how(phone: Phone) -> None:
    click.echo(f"\n1. On the phone, once: {phone.trust} tells how to trust this machine's certificate.")
    qr(phone.trust)
    click.echo(f"2. Then open {phone.address} and add it to the home screen.")
    qr(phone.address)
