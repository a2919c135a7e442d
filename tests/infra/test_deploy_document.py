"""docs/deploy.md, the runbook's commands for Azure and the workflow name what there is."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import ops
from tests.infra.hook_runner import HOOKS, PROVISIONED, Cloud, load
from tests.meta.sources import ROOT
from tests.meta.tables import rows, section

DEPLOY = "docs/deploy.md"
RUNBOOK_SECTION = ("docs/runbook.md", "### Changing secrets on Azure")
PARAMETERS = ROOT / "infra/main.parameters.json"
BICEP = ROOT / "infra/main.bicep"
AZURE_YAML = ROOT / "azure.yaml"
WORKFLOW = ROOT / ".github/workflows/azure-dev.yml"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Made apart from the hooks; as long as they are not in the checkout the tests that compare with them say so.
ELSEWHERE = (
    () if BICEP.exists() and AZURE_YAML.exists() else ("infra/main.", "infra/app/", "scripts/package.py")
)
HERE_DOCUMENT = re.compile(r"<<'END'\n.*?\nEND$", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?<![\w./-])(?:infra|scripts|docs|shared|functions|tests|\.github)/[\w./-]*\w")
OUTPUTS = {**PROVISIONED, "KEY_VAULT_URI": "https://kv-abc.vault.azure.net"}
VARIABLE = re.compile(r"\$\{(\w+)(?:=[^}]*)?\}")
# Set by azd itself ("Environment variables provided by azd"), beside the outputs of main.bicep.
BY_AZD = {
    "AZURE_ENV_NAME",
    "AZURE_LOCATION",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_PRINCIPAL_ID",
    "AZURE_TENANT_ID",
}

registration = load("deployment.registration")

with_parameters = pytest.mark.skipif(
    not PARAMETERS.exists(),
    reason="infra/main.parameters.json is not in this checkout; with it this runs by itself",
)
with_bicep = pytest.mark.skipif(
    not BICEP.exists(), reason="infra/main.bicep is not in this checkout; with it this runs by itself"
)
with_azure_yaml = pytest.mark.skipif(
    not AZURE_YAML.exists(), reason="azure.yaml is not in this checkout; with it this runs by itself"
)


def text() -> str:
    return section(DEPLOY)


def commands() -> list[list[str]]:
    """Every command of the document's blocks, as words."""
    blocks = [HERE_DOCUMENT.sub("", block) for kind, block in FENCED.findall(text()) if kind == "sh"]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def spans() -> list[str]:
    """Everything that the document writes as code within a line."""
    return IN_LINE.findall(FENCED.sub("", text()))


def parameters() -> dict[str, str]:
    """Parameter of main.bicep by the variable from which azd fills it."""
    values = json.loads(PARAMETERS.read_text(encoding="utf-8"))["parameters"]
    return {
        found[1]: name for name, given in values.items() if (found := VARIABLE.fullmatch(str(given["value"])))
    }


def outputs() -> set[str]:
    return set(re.findall(r"^output (\w+) ", BICEP.read_text(encoding="utf-8"), re.MULTILINE))


def rows_below(heading: str) -> dict[str, list[str]]:
    """The rows of the first table below a heading or sentence: first cell without quotes, then the others."""
    below = text().split(heading, 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]
    return {first.strip("`"): rest for first, *rest in cells}


def test_files_exist() -> None:
    """Every file and folder of the repository that the document names exists."""
    named = set(FILE.findall(text()))
    missing = {path for path in named if not (ROOT / path).exists()}
    assert {path for path in missing if not path.startswith(ELSEWHERE)} == set()
    assert {f"infra/hooks/{name}.py" for name in ("preprovision", "postprovision", "postdeploy")} <= named


@with_parameters
def test_parameters_are_rows_below() -> None:
    """The document's table has every variable that fills a parameter of main.bicep, with its name, and no other."""
    assert {name: cells[0].strip("`") for name, cells in rows_below("## Parameters").items()} == parameters()


def test_the_hooks_variables_are_rows_below() -> None:
    """The document lists every variable that the hooks read and that is neither an output nor azd's own."""
    read = {
        name
        for path in HOOKS.rglob("*.py")
        for name in re.findall(r'"((?:ENTRA|HOOKS|KEY_VAULT)_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    hooks_only = set(rows_below("Read by the hooks only:"))
    assert hooks_only | {"ENTRA_CLIENT_ID", "KEY_VAULT_RECOVER"} == read


def test_variables_that_are_set_exist() -> None:
    """Every `azd env set` names a variable of the tables, or azd's own."""
    known = set(rows_below("## Parameters")) | set(rows_below("Read by the hooks only:")) | BY_AZD
    said = "\n".join([" ".join(words) for words in commands()] + spans())
    named = set(re.findall(r"azd env set +(\w+)", said))
    assert named
    assert named - known == set()


@with_bicep
def test_values_that_are_read_exist() -> None:
    """Every `azd env get-value`, and every variable that a hook needs, is an output, a parameter or azd's own."""
    said = "\n".join([" ".join(words) for words in commands()] + spans())
    named = set(re.findall(r"azd env get-value (\w+)", said))
    assert named
    known = outputs() | set(rows_below("## Parameters")) | BY_AZD
    assert named - known == set()
    assert set(PROVISIONED) - outputs() - BY_AZD == set()


@with_azure_yaml
def test_hooks_stand_in_azure_yaml() -> None:
    """azure.yaml runs the three hooks as Python, and shows their lines as they come."""
    hooks = yaml.safe_load(AZURE_YAML.read_text(encoding="utf-8"))["hooks"]
    for name in ("preprovision", "postprovision", "postdeploy"):
        hook = hooks[name]
        assert (hook["run"].removeprefix("./"), hook["kind"]) == (f"infra/hooks/{name}.py", "python")
        assert hook.get("interactive") is True, "without it azd shows only the last lines while a hook runs"
        assert not hook.get("continueOnError", False)
        assert "dir" not in hook, "azd would look for requirements.txt there"


def test_operators_commands_parse() -> None:
    """Every call of `shared.ops` in the document has options that the command knows."""
    calls = [words[words.index("shared.ops") + 1 :] for words in commands() if "shared.ops" in words]
    assert calls
    choosing = [a for a in ops._parser()._actions if isinstance(a, argparse._SubParsersAction)]
    known = {name for action in choosing for name in action.choices}
    for call in calls:
        if call[0] in known:
            ops._parser().parse_args(call)
        else:
            assert call == ["rewrap-keys"], call  # explained in docs/runbook.md with the others


def test_commands_start_with_programs_that_are_asked_for() -> None:
    """The document's commands need only what it asks the reader to install, and what every system has."""
    starts = {words[0] for words in commands() if not words[0].startswith("VAULT=")}
    assert starts - {"az", "azd", "gh", "python3", ".venv/bin/python", "cat"} == set()


def test_the_steps_by_hand_are_the_hooks_own() -> None:
    """What an administrator sets by hand is what the hooks set: permissions, credential, redirect URIs."""
    by_hand = text().split("## Without rights in Entra", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"([0-9a-f-]{36})=Scope", by_hand)) == set(registration.PERMISSIONS.values())
    wanted = registration.Wanted("PUBLIC_BASE_URL", "AZURE_TENANT_ID", "IDENTITY_PRINCIPAL_ID")
    (credential,) = re.findall(r"<<'END'\n(\{.*?\})\nEND", by_hand, re.DOTALL)
    described = {key: value for key, value in wanted.credential.items() if key != "description"}
    assert json.loads(credential) == described
    assert all(uri in by_hand for uri in wanted.redirect_uris)
    assert all(name in by_hand for name in registration.PERMISSIONS)
    assert registration.MICROSOFT_GRAPH in by_hand


@pytest.mark.parametrize("heading", ["Without rights in Entra", "When something does not work"])
def test_headings_that_the_hooks_name_exist(heading: str) -> None:
    """Every heading of the document to which a hook sends its reader exists."""
    said = " ".join(path.read_text(encoding="utf-8") for path in HOOKS.rglob("*.py"))
    assert f"docs/deploy.md {heading}" in re.sub(r"[\"'\\,\s]+", " ", said)
    assert f"\n## {heading}\n" in text()


def workflow() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return read


@with_parameters
def test_the_workflow_hands_on_every_parameter() -> None:
    """Each variable that fills a parameter reaches azd in the pipeline, those apart that azd and the hook set there."""
    assert set(parameters()) - set(workflow()["env"]) == {"AZURE_PRINCIPAL_ID", "KEY_VAULT_RECOVER"}


def test_the_workflow_keeps_no_secret() -> None:
    """The workflow reads no secret: it signs in by OIDC, with the rights to read the code and to get a token."""
    raw = WORKFLOW.read_text(encoding="utf-8")
    assert "secrets." not in raw
    assert workflow()["permissions"] == {"contents": "read", "id-token": "write"}
    assert raw.count("--federated-credential-provider github") == 2


def test_pull_requests_only_look() -> None:
    """In a pull request only the what-if runs, and only for branches of the repository itself."""
    jobs = workflow()["jobs"]
    steps = " ".join(step.get("run", "") for step in jobs["what-if"]["steps"])
    assert "azd provision --preview" in steps
    assert re.findall(r"azd (?:up|deploy|provision)(?! --preview)", steps) == []
    assert "head.repo.full_name == github.repository" in jobs["what-if"]["if"]
    assert "github.event_name != 'pull_request'" in jobs["deploy"]["if"]


def test_every_step_of_the_workflow_uses_a_fixed_major_version() -> None:
    """Each action that the workflow uses names a version."""
    uses = [step["uses"] for job in workflow()["jobs"].values() for step in job["steps"] if "uses" in step]
    assert uses
    assert [action for action in uses if not re.fullmatch(r"[\w./-]+@v\d+", action)] == []


def run_in_shell(cloud: Cloud, script: str) -> subprocess.CompletedProcess[str]:
    """A script as somebody types it, without any of the shell's stricter modes."""
    return subprocess.run(
        [shutil.which("bash") or "/bin/bash", "-c", script],
        env=cloud.variables(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_rotations_name_the_secrets_there_are() -> None:
    """The runbook says how each of the four generated secrets is changed."""
    assert set(rows(*RUNBOOK_SECTION)) == {
        "link-signing-keys",
        "client-state-keys",
        "graph-webhook-secret",
        "api-key-pepper",
    }


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("add link-signing-keys", r"[0-9a-f]{64},former"),
        ("drop link-signing-keys", r"former"),
        ("change graph-webhook-secret", r"[0-9a-f]{64}"),
    ],
)
def test_rotations_work_and_print_nothing(cloud: Cloud, command: str, pattern: str) -> None:
    """The runbook's functions for the shell change the secret, refresh the references, restart, and print no value."""
    name = command.split()[1]
    cloud.set(secrets={name: "former,older"}, variables=OUTPUTS)
    (block,) = [found for _, found in FENCED.findall(section(*RUNBOOK_SECTION)) if "keep()" in found]
    done = run_in_shell(cloud, block + command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert re.fullmatch(pattern, cloud.state["secrets"][name])
    assert [write[0] for write in cloud.state["writes"]] == [f"secret {name}", "refresh", "restart func-abc"]


@pytest.mark.parametrize("command", ["add link-signing-keys", "drop link-signing-keys"])
def test_a_secret_that_cannot_be_read_is_not_overwritten(cloud: Cloud, command: str) -> None:
    """When the present value cannot be read, the runbook's functions write nothing in its place."""
    cloud.set(variables=OUTPUTS)  # the fake vault has no such secret, so `az` fails
    (block,) = [found for _, found in FENCED.findall(section(*RUNBOOK_SECTION)) if "keep()" in found]
    done = run_in_shell(cloud, block + command)
    assert done.returncode != 0
    assert cloud.state["writes"] == []


def test_the_document_is_found_from_the_readme() -> None:
    """The README leads to the document under a heading of its own."""
    assert "](docs/deploy.md)" in section("README.md", "## Deploy it")
    assert Path(ROOT / DEPLOY).exists()
