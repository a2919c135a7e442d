"""An app that brings its dependencies sees no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.devhost.app_packages import ForeignModules, check_origins, isolate
from tests.meta.sources import ROOT

ISOLATED = """
import sys
from pathlib import Path
from sandbox.devhost.app_packages import check_origins, isolate
app = Path(sys.argv[1])
assert isolate(app)
import brought, shared
print(brought.WORD, shared.WORD)
try:
    import httpx
except ModuleNotFoundError:
    print("no httpx")
import click
print(check_origins(app))
"""


def run(code: str, app: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(app)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    packages = tmp_path / ".python_packages/lib/site-packages"
    packages.mkdir(parents=True)
    (packages / "brought.py").write_text("WORD = 'mine'\n", encoding="utf-8")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/__init__.py").write_text("WORD = 'too'\n", encoding="utf-8")
    return tmp_path


def test_only_what_the_app_brings_is_found(app: Path) -> None:
    """With dependencies in the app's folder, its modules and theirs come from there, and this environment has none."""
    done = run(ISOLATED, app)
    assert done.stdout.splitlines() == ["mine too", "no httpx", "2"], done.stderr


def test_a_module_from_elsewhere_is_reported(app: Path) -> None:
    """A module that was loaded from this environment before is named."""
    done = run(ISOLATED.replace("import sys\n", "import sys, httpx\n", 1), app)
    assert f"{ForeignModules.__name__}: not from {app}: " in done.stderr
    assert "httpx from " in done.stderr


def test_an_app_without_dependencies_uses_this_environment(tmp_path: Path) -> None:
    """An app whose folder holds no dependencies is run with those of this environment."""
    before = list(sys.path)
    assert not isolate(tmp_path)
    assert sys.path == before
    with pytest.raises(ForeignModules):
        check_origins(tmp_path)
