"""The Bicep files through Microsoft's own tool, where it is there."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.cli import MADE_UP, needs_cli, run
from tests.infra.installation import HERE, SETS
from tests.meta.sources import ROOT, name

pytestmark = needs_cli()

MAIN = ROOT / "infra/main.bicep"
FILES = sorted((ROOT / "infra").rglob("*.bicep"))
CONFIG = json.loads((ROOT / "infra/bicepconfig.json").read_text(encoding="utf-8"))


@cache
def template() -> dict[str, Any]:
    """The compiled template."""
    built = run("build", MAIN, "--stdout")
    assert built.stderr == ""
    found = json.loads(built.stdout)
    assert isinstance(found, dict)
    return found


def module(symbol: str) -> dict[str, Any]:
    """The template of one of its modules."""
    found = template()["resources"][symbol]["properties"]["template"]
    assert isinstance(found, dict)
    return found


def test_it_builds_without_a_finding() -> None:
    """Every property, type and version is known to the tool: it says nothing at all."""
    assert template()["$schema"].endswith("subscriptionDeploymentTemplate.json#")


def test_it_lints_without_a_finding() -> None:
    """No rule of the linter has anything to say, with the rules raised to errors."""
    linted = run("lint", MAIN)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
    rules = CONFIG["analyzers"]["core"]["rules"]
    off = {rule for rule, level in rules.items() if level["level"] != "error"}
    assert off == {"use-recent-api-versions"}  # newer ones are taken deliberately, not by the calendar


def test_the_rules_are_really_on(tmp_path: Path) -> None:
    """A file with an unused parameter and a fixed address of the cloud is refused by these rules."""
    bad = tmp_path / "bad.bicep"
    bad.write_text(
        "param unused string\noutput a string = 'https://x.blob.core.windows.net'\n", encoding="utf-8"
    )
    (tmp_path / "bicepconfig.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    linted = run("lint", bad)
    assert linted.returncode != 0
    assert "Error no-unused-params" in linted.stdout + linted.stderr
    assert "Error no-hardcoded-env-urls" in linted.stdout + linted.stderr


@pytest.mark.parametrize("file", FILES, ids=name)
def test_files_are_formatted(file: Path) -> None:
    """Each file is laid out as the tool lays it out."""
    assert run("format", file, "--stdout").stdout == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("parameters", SETS)
def test_snapshots_are_what_would_be_deployed(parameters: str) -> None:
    """The committed snapshot is what these files and parameters evaluate to."""
    validated = run("snapshot", HERE / f"{parameters}.bicepparam", "--mode=validate", *MADE_UP)
    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_roles_come_before_settings_and_after_everything_else() -> None:
    """The app's module waits for the roles, and these wait for all that they are given on."""
    resources = template()["resources"]
    assert "rbac" in resources["api"]["dependsOn"]
    wanted = {"identity", "hostStorage", "dataStorage", "keyVault", "monitoring"}
    assert wanted <= set(resources["rbac"]["dependsOn"])


def test_generated_values_go_nowhere_but_into_secrets() -> None:
    """A fresh GUID is kept as a secure value all the way: no history, output or other resource can show it."""
    text = json.dumps(template())
    fresh = {key for key, parameter in template()["parameters"].items() if "newGuid" in json.dumps(parameter)}
    assert len(fresh) == 4
    assert {template()["parameters"][key]["type"] for key in fresh} == {"securestring"}
    assert text.count("newGuid()") == 2 * len(fresh)
    handed = template()["resources"]["keyVault"]["properties"]["parameters"]["secretValues"]["value"]
    assert sorted(handed.values()) == sorted(f"[parameters('{key}')]" for key in fresh)
    assert all(text.count(f"parameters('{key}')") == 1 for key in fresh)
    vault = module("keyVault")
    assert vault["parameters"]["secretValues"]["type"] == "secureObject"
    secret = vault["resources"]["secrets"]
    assert "parameters('secretValues')" in secret["properties"]["value"]
    assert json.dumps(vault).count("parameters('secretValues')") == 1
    assert "outputs" not in vault


def test_generated_values_are_used_at_the_first_deployment_only() -> None:
    """Resource Manager is told to leave an existing secret alone."""
    assert "onlyIfNotExists" in module("keyVault")["resources"]["secrets"]["@options"]


def test_no_key_is_asked_for() -> None:
    """The template calls no function that lists keys, tokens or secrets."""
    assert re.findall(r"\blist[A-Z]\w*\(", json.dumps(template())) == []


def test_nothing_is_fetched() -> None:
    """The files use plain resources: no registry module, no extension, no script that would run in the deployment."""
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"'(?:br|ts)[:/].*'|^extension |deploymentScripts", text, re.MULTILINE) == []
    assert {file.name for file in FILES if "#disable" in file.read_text(encoding="utf-8")} == {
        "function.bicep"
    }


def test_nothing_is_deployed_without_an_app_registration(tmp_path: Path) -> None:
    """Without the id of the app registration the deployment fails in words, before anything is made."""
    parameters = tmp_path / "none.bicepparam"
    main = os.path.relpath(MAIN, tmp_path)
    parameters.write_text(
        f"using '{main}'\nparam environmentName = 'none'\nparam location = 'westeurope'\n", encoding="utf-8"
    )
    evaluated = run("snapshot", parameters, "--mode=overwrite", *MADE_UP)
    snapshot = tmp_path / "none.snapshot.json"
    said = evaluated.stdout + evaluated.stderr + (snapshot.read_text("utf-8") if snapshot.exists() else "")
    assert "entraClientId is empty: see docs/deploy.md" in said
