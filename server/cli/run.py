"""Commands that keep running: serve."""

from __future__ import annotations

from pathlib import Path

import click

from server.serve import MOST_WORKERS, Serving, serve

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
def serve_command(
    host: str,
    port: int,
    workers: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    trusted_proxies: int | None,
) -> None:
    """Serve the app and its API until SIGTERM or Ctrl-C.

    Brings the database up to date first. Logs are JSON lines on standard error.
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both or neither.")
    serve(Serving(host, port, workers, tls_cert, tls_key, trusted_proxies))


@click.command("demo")
def demo_command() -> None:
    """Try Rounds with made-up data."""
