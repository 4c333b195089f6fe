"""What no file of the project may hold: a path of one machine, a package index, a licence that binds what it touches."""

import json
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# Written apart, so that this file does not hold them itself.
HOME_OF_ONE = re.compile(
    "|".join(
        ["/wo" + r"rk/", "/ro" + r"ot\b", "/ho" + r"me/(?!runner)\w", "/Us" + r"ers/\w", r"/tmp/ba" + "sh"]
    )
)
INDEX = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "pythonho" + "sted",
            r"registry\.npm" + "js",
            r"npmm" + "irror",
            r"deb\.deb" + "ian",
        ]
    )
)
# LGPL code is used as a library, unchanged and replaceable: allowed by name, never by surprise.
LGPL_ALLOWED = {"psycopg", "psycopg-binary"}
GPL = re.compile(r"\bA?GPL|Affero|GNU General Public", re.IGNORECASE)
LGPL = re.compile(r"\bLGPL|Lesser General Public|Library General Public", re.IGNORECASE)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [REPOSITORY / name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


@pytest.mark.parametrize("forbidden", [HOME_OF_ONE, INDEX], ids=["a path of one machine", "a package index"])
def test_no_file_names(forbidden: re.Pattern[str]):
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path.relative_to(REPOSITORY)}: {hit.group()}" for hit in forbidden.finditer(text)]
    assert found == []


def test_no_python_distribution_is_under_the_gpl():
    offenders = []
    for distribution in distributions():
        metadata = distribution.metadata
        said = metadata.get_all("License-Expression") or [
            *metadata.get_all("License", [])[:1],
            *(entry for entry in metadata.get_all("Classifier", []) if entry.startswith("License")),
        ]
        # Some put the whole text into the field; its first line is the name.
        words = " ".join(entry.strip().splitlines()[0] for entry in said if entry.strip())
        lesser = LGPL.search(words)
        if (GPL.search(LGPL.sub("", words))) or (lesser and metadata["Name"].lower() not in LGPL_ALLOWED):
            offenders.append(f"{metadata['Name']}: {words}")
    assert offenders == []


def test_no_node_package_is_under_the_gpl():
    packages = json.loads((REPOSITORY / "pwa" / "package-lock.json").read_text())["packages"]
    licences = {path: str(entry.get("license", "")) for path, entry in packages.items() if path}
    assert {path: name for path, name in licences.items() if "GPL" in name and " OR " not in name} == {}
    assert [path for path, name in licences.items() if not name] == []
