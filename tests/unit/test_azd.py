"""On an operator's machine the settings come from azd's environment."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from shared.azd import OUTPUTS, SECRETS, VAULT, find_deployment

VALUES = {VAULT: "https://northwind.vault.azure.net", "PUBLIC_BASE_URL": "https://postbraid.example", "N": 1}


def fake_azd(folder: Path, script: str) -> None:
    """An `azd` that runs this shell script."""
    program = folder / "azd"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_azd_is_asked_for_the_deployment(path: Path) -> None:
    """Without PROFILE the deployment is what azd's environment in this folder says."""
    fake_azd(path, f"test \"$*\" = 'env get-values --output json' && echo '{json.dumps(VALUES)}'")
    found = find_deployment({})
    assert found is not None
    assert found[VAULT] == VALUES[VAULT]
    assert found["N"] == "1"


def test_a_hook_has_the_deployment_in_its_environment(path: Path) -> None:
    """Inside azd's hooks, where its values are variables already, azd is not asked."""
    fake_azd(path, "exit 9")
    assert find_deployment({VAULT: "https://v.vault.azure.net", "X": "y"}) == {
        VAULT: "https://v.vault.azure.net",
        "X": "y",
    }


def test_the_apps_own_settings_win(path: Path) -> None:
    """Where the environment has the app's settings, azd is not asked."""
    fake_azd(path, f"echo '{json.dumps(VALUES)}'")
    assert find_deployment({"PROFILE": "local", VAULT: "x"}) is None


@pytest.mark.parametrize(
    "script", ["exit 1", "echo no json", "echo '[]'", "echo '{}'", 'echo \'{"KEY_VAULT_URI": ""}\'']
)
def test_no_deployment_is_no_error(path: Path, script: str) -> None:
    """Where azd knows of no deployment, the app's own settings are asked for, and named when they are missing."""
    fake_azd(path, script)
    assert find_deployment({}) is None


def test_without_azd_there_is_no_deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where azd is not installed, the app's own settings are asked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_deployment({}) is None


def test_no_secret_comes_from_the_environment_of_azd() -> None:
    """The four secrets are read from the vault alone."""
    assert not set(OUTPUTS) & set(SECRETS)
