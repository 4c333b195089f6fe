"""The locks hold names, versions and hashes; they say nothing about where this or that machine fetched from."""

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PYTHON_LOCK = (REPOSITORY / "requirements.lock").read_text()
NODE_LOCK_TEXT = (REPOSITORY / "pwa" / "package-lock.json").read_text()
NODE_LOCK = json.loads(NODE_LOCK_TEXT)["packages"]


def test_the_python_lock_names_no_address():
    assert not re.search(r"https?:", PYTHON_LOCK)
    assert "file:" not in PYTHON_LOCK


def test_the_python_lock_carries_no_option_lines():
    assert [line for line in PYTHON_LOCK.splitlines() if line.startswith("-")] == []


def test_every_python_package_is_pinned_to_a_version_and_hashes():
    entries = re.split(r"\n(?=[a-z0-9])", PYTHON_LOCK)
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_node_lock_names_no_address():
    assert '"resolved"' not in NODE_LOCK_TEXT
    assert "registry." not in NODE_LOCK_TEXT


def test_every_node_package_is_pinned_by_its_integrity():
    for path, entry in NODE_LOCK.items():
        if path and not entry.get("link"):
            assert entry.get("integrity", "").startswith("sha512-"), path


def test_every_optional_node_package_has_its_own_entry():
    """npm leaves out platforms it cannot see without a word, and `npm ci` then refuses the lock elsewhere."""
    names = {path.rpartition("node_modules/")[2] for path in NODE_LOCK}
    for path, entry in NODE_LOCK.items():
        assert set(entry.get("optionalDependencies", {})) <= names, path


def test_npm_is_told_to_keep_addresses_out_of_the_lock():
    assert "omit-lockfile-registry-resolved=true" in (REPOSITORY / "pwa" / ".npmrc").read_text().split()
