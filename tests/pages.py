"""The built pages: which scripts a phone reads before it shows its first screen."""

import gzip
import os
import re
from pathlib import Path

from tests.conftest import REPOSITORY


def built_pages() -> Path:
    """The folder of the build that is served: ROUNDS_PWA names another."""
    return Path(os.environ.get("ROUNDS_PWA", REPOSITORY / "pwa" / "dist"))


def scripts_of_the_first_load(pages: Path | None = None) -> dict[str, int]:
    """Each script that `index.html` of a build asks for, with its bytes when gzipped."""
    pages = pages or built_pages()
    named = re.findall(r'(?:src|modulepreload"[^>]*href)="(/[^"]+\.js)"', (pages / "index.html").read_text())
    return {name: len(gzip.compress((pages / name.lstrip("/")).read_bytes(), 6)) for name in named}
