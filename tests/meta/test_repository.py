"""What must not be in the repository, and what must be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, name, tracked

# Written in pieces, so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"(work|root|opt)/\w",
            "/" + "tmp/brief",
            "/home/" + r"\w+/",
            "/Users/" + r"\w+/",
            r"\.pyenv/versions/\d+\.\d+\.\d+",
        ]
    )
)
REGISTRIES = re.compile(
    r"pypi\." + r"org/simple|files\.python" + r"hosted|registry\.npm" + "js|--index" + "-url"
)
SECRETS = re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")
BINARY = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".pdf", ".zip", ".mp4", ".rar", ".doc", ".docx", ".woff2"}
TEXTS = [path for path in tracked() if path.suffix.lower() not in BINARY]


def _hits(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name(path)}: {hit.group()}" for hit in pattern.finditer(text)]
    return found


def test_no_machine_is_written_down() -> None:
    """No file of the repository names a path of the machine on which it was written."""
    assert _hits(MACHINE_PATHS) == []


def test_no_package_index_is_written_down() -> None:
    """No file of the repository names a package index."""
    assert _hits(REGISTRIES) == []


def test_no_private_key_is_kept() -> None:
    """No file of the repository holds a private key."""
    assert _hits(SECRETS) == []


@pytest.mark.parametrize("lock", [lock.name for lock in sorted(ROOT.glob("requirements*.txt"))])
def test_locks_pin_with_hashes(lock: str) -> None:
    """Every locked package has one version and at least one hash."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = re.findall(r"^([a-z0-9][\w.-]*)(.*)$", text, re.MULTILINE)
    assert packages
    assert [
        package for package, rest in packages if not rest.startswith("==") or not rest.endswith("\\")
    ] == []


def test_npm_lock_pins_with_hashes() -> None:
    """The npm lock has an integrity hash for each package and says no address to fetch it from."""
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity"') >= text.count('"node_modules/') > 0


def test_scripts_can_be_run() -> None:
    """Shell scripts are executable and stop at the first error they do not handle."""
    scripts = [path for path in tracked() if path.suffix == ".sh" or path == ROOT / ".ci/run"]
    assert [name(path) for path in scripts if not _is_sound(path)] == []


def _is_sound(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return bool(path.stat().st_mode & 0o111) and text.startswith("#!/usr/bin/env bash\n") and "set -" in text
