"""What the tests need of the machine they run on: a Chromium, and PostgreSQL's own programs.

`python -m tests.machine` finds them and installs what is missing: from Debian's packages as root, otherwise the Chromium
that playwright knows. PostgreSQL is only installed when `REQUIRE_PG` is set: without it the suite runs on SQLite alone.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """The path of a Chromium: the one named by CHROME, the first one on PATH, or playwright's."""
    named = os.environ.get("CHROME")
    if named:
        return named
    for name in CHROMIUM_NAMES:
        found = shutil.which(name)
        if found:
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def postgres_programs() -> Path | None:
    """The folder that holds `initdb` and `pg_ctl`: PG_BINDIR, the newest Debian version, or the one on PATH."""
    on_path = shutil.which("initdb")
    candidates = [
        os.environ.get("PG_BINDIR"),
        *sorted(
            glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]), reverse=True
        ),
        os.path.dirname(os.path.realpath(on_path)) if on_path else None,
    ]
    for candidate in candidates:
        if candidate and os.access(os.path.join(candidate, "initdb"), os.X_OK):
            return Path(candidate)
    return None


def missing(what: str, required_by: str) -> None:
    """Skips with a word, or fails where the run has promised that nothing is skipped."""
    if os.environ.get(required_by):
        pytest.fail(f"{what}, and {required_by} is set")
    pytest.skip(what)


def _apt(*packages: str) -> bool:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        return False
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if (
        subprocess.run(install, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        == 0
    ):
        return True
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL)
    return subprocess.run(install, env=quiet, stdout=subprocess.DEVNULL).returncode == 0


def main() -> int:
    if chromium() is None:
        print("No Chromium was found; installing one for the tests ...", flush=True)
        if not _apt("chromium"):
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"])
        if chromium() is None:
            print("Please install Chromium, or name one: CHROME=/path/to/chromium make test", file=sys.stderr)
            return 1
    if os.environ.get("REQUIRE_PG") and postgres_programs() is None:
        print("PostgreSQL's programs were not found; installing them for the tests ...", flush=True)
        _apt("postgresql")
        if postgres_programs() is None:
            print(
                "Please install PostgreSQL's server programs, or name their folder in PG_BINDIR.",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
