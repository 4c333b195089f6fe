"""The built pages: which scripts a phone reads before it shows its first screen."""

import gzip
import os
import re
from pathlib import Path

from tests.conftest import REPOSITORY


def scripts_of_the_first_load() -> dict[str, int]:
    """Each script that `index.html` asks for, with its bytes when gzipped. ROUNDS_PWA names another build."""
    pages = Path(os.environ.get("ROUNDS_PWA", REPOSITORY / "pwa" / "dist"))
    named = re.findall(r'(?:src|modulepreload"[^>]*href)="(/[^"]+\.js)"', (pages / "index.html").read_text())
    return {name: len(gzip.compress((pages / name.lstrip("/")).read_bytes(), 6)) for name in named}
