"""azure.yaml, by azd's own schema and by what azd does with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.meta.sources import ROOT, imported

# Azure/azure-dev, schemas/v1.0/azure.yaml.json, kept beside the repository where it is developed.
SCHEMA = ROOT.parent / "shared" / "reference" / "azd-azure.yaml.schema.json"
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
SERVICE: dict[str, Any] = DOCUMENT["services"]["api"]
HOOKS: dict[str, dict[str, Any]] = {**DOCUMENT["hooks"], **SERVICE["hooks"]}


def test_azd_accepts_it() -> None:
    """azure.yaml is valid by azd's schema."""
    if not SCHEMA.exists():
        pytest.skip(f"azd's schema is not at ../{SCHEMA.relative_to(ROOT.parent).as_posix()}")
    jsonschema.validate(DOCUMENT, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_package_is_built_here() -> None:
    """The folder that scripts/package.py builds is what azd deploys, as it is, after it had the script run."""
    assert (SERVICE["project"], SERVICE["language"], SERVICE["host"]) == (".", "python", "function")
    assert SERVICE["remoteBuild"] is False
    assert SERVICE["dist"] == "dist/package"
    assert SERVICE["hooks"]["prepackage"]["run"] == "scripts/package.py"


def test_azd_is_new_enough() -> None:
    """An azd that knows no hooks in Python, or takes `!` in .funcignore for an exclusion, refuses to start."""
    wanted = str(DOCUMENT["requiredVersions"]["azd"]).removeprefix(">= ")
    assert tuple(int(part) for part in wanted.split(".")) >= (1, 24, 0)


@pytest.mark.parametrize("name", ["preprovision", "postprovision", "postdeploy", "prepackage"])
def test_hooks_are_there(name: str) -> None:
    """Each hook is a Python script of this repository."""
    hook = HOOKS[name]
    assert hook["kind"] == "python"
    assert (ROOT / hook["run"]).is_file()


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_hooks_install_nothing(name: str) -> None:
    """Beside each hook stands a requirements.txt that asks for nothing: azd installs what it finds first, going up."""
    path = ROOT / Path(HOOKS[name]["run"]).parent / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    assert not (path.parent / "pyproject.toml").exists()
    assert HOOKS[name]["config"] == {"virtualEnvName": ".venv"}


def test_the_package_script_needs_only_python() -> None:
    """scripts/package.py and what it imports of ours use the standard library alone."""
    allowed = set(sys.stdlib_module_names) | {"package_contents", "package_tools"}
    for name in ("package", "package_contents", "package_tools"):
        found = {each.split(".")[0] for each in imported(ROOT / "scripts" / f"{name}.py")}
        assert found <= allowed
