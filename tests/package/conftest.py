"""The package, built once from a copy of the repository in which much lies around that must not be deployed."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.meta.sources import ROOT, name, tracked

sys.path.insert(0, str(ROOT / "scripts"))
import package
import package_tools

JUNK = (
    ".azure/dev/.env",
    ".env",
    ".git/config",
    ".sandbox/world/keys/sealing.key",
    ".venv/pyvenv.cfg",
    ".venv313/lib/python3.13/site-packages/x.py",
    "functions/.env",
    "functions/__pycache__/health.cpython-311.pyc",
    "functions/credentials.json",
    "functions/pages/.settings.html.swp",
    "id_rsa",
    "keys/sealing.key",
    "local.settings.json",
    "node_modules/azurite/package.json",
    "package_env/pyvenv.cfg",
    "server.pem",
    "shared/.secrets/key.py",
    "shared/id_rsa",
    "shared/keys/client.pem",
    "shared/local.settings.json",
)
"""Files as they lie around on people's machines; none of them may be deployed."""

JUNK_BESIDE_THE_PACKAGE = (
    *(each for each in JUNK if not each.startswith(("functions/", "shared/"))),
    "shared/ops.py",
    "shared/ops_work.py",
    "shared/storage/testing/blobs.py",
)
"""What .funcignore must keep out where it lies in the package's own folder."""


@dataclass(frozen=True)
class Workshop:
    """The repository's copy, the installed wheels, and the built package."""

    root: Path
    wheels: Path
    built: package.Built
    python: list[str] | None

    def build_again(self, out: Path, **options: Any) -> package.Built:
        """The same package in another folder."""
        return package.build(self.root, out, python=self.python, wheels=self.wheels, **options)


def scatter(folder: Path, names: tuple[str, ...] = JUNK) -> None:
    """Make files of these names below a folder."""
    for each in names:
        path = folder / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("must not be deployed", encoding="utf-8")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("workshop")
    root, wheels = folder / "repository", folder / "wheels"
    for path in tracked():
        if path.relative_to(ROOT).parts[0] in {"functions", "shared"} or path.parent == ROOT:
            target = root / name(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    scatter(root)
    package.install(root, wheels)
    python = package_tools.find_python(package.PYTHON, os.environ.get("PYTHON313"))
    built = package.build(root, folder / "dist", python=python, wheels=wheels)
    return Workshop(root, wheels, built, python)


@pytest.fixture
def python313(workshop: Workshop) -> list[str]:
    if workshop.python is None:
        pytest.skip("no Python 3.13 here: the package was built and is not run")
    return workshop.python
