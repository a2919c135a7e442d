"""The parameters: what azd passes, what is made up at each deployment, and what must not lie beside them."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.meta.sources import ROOT, name, tracked

MAIN = (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
PARAMETER = re.compile(r"^((?:@.*\n(?:[^@\n].*\n)*?)*)param (\w+) (.+?)(?: = (.+))?$", re.MULTILINE)
# `${NAME}` or `${NAME=default}`: what azd replaces from its environment.
AZD = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?:=([^}]*))?\}")
# Made at each deployment, so no file may hold them.
MADE_ANEW = {"graphWebhookSecret", "clientStateKeys", "apiKeyPepper", "linkSigningKeys", "budgetStartDate"}
REQUIRED = {"environmentName", "location"}


def parameters() -> dict[str, tuple[str, str, str | None]]:
    """Decorators, type and default of each parameter of main.bicep."""
    found = {match[2]: (match[1], match[3], match[4] or None) for match in PARAMETER.finditer(MAIN)}
    assert len(found) == len(re.findall(r"^param ", MAIN, re.MULTILINE))
    return found


def passed() -> dict[str, Any]:
    """What main.parameters.json gives each parameter."""
    file = json.loads((ROOT / "infra/main.parameters.json").read_text(encoding="utf-8"))
    return {key: given["value"] for key, given in file["parameters"].items()}


def test_azd_passes_every_parameter() -> None:
    """main.parameters.json names exactly the parameters of main.bicep, apart from those made at each deployment."""
    assert set(passed()) == set(parameters()) - MADE_ANEW


def test_each_value_comes_from_azd_s_environment() -> None:
    """Each value is one variable of azd's environment, each its own, with the default that main.bicep has."""
    variables = []
    for parameter, value in passed().items():
        match = AZD.fullmatch(value)
        assert match, parameter
        variables.append(match[1])
        default = parameters()[parameter][2]
        if parameter in REQUIRED:
            assert default is None, parameter
            assert match[2] is None, parameter
        else:
            assert (match[2] or "") == str(default).strip("'"), parameter
    assert len(variables) == len(set(variables))


def test_variables_have_the_names_that_azd_and_the_hooks_use() -> None:
    """What azd or a hook sets arrives: region, deployer, app registration, a vault to bring back."""
    assert (
        passed()
        | {
            "environmentName": "${AZURE_ENV_NAME}",
            "location": "${AZURE_LOCATION}",
            "principalId": "${AZURE_PRINCIPAL_ID}",
            "principalType": "${AZURE_PRINCIPAL_TYPE=User}",
            "entraClientId": "${ENTRA_CLIENT_ID}",
            "recoverKeyVault": "${KEY_VAULT_RECOVER=false}",
        }
        == passed()
    )


def test_no_other_file_of_parameters_takes_precedence() -> None:
    """No .bicepparam lies in infra/: azd would take it and silently drop main.parameters.json."""
    assert [name(path) for path in tracked() if path.match("infra/**/*.bicepparam")] == []
    assert not (ROOT / "infra/main.bicepparam").exists()


def test_generated_values_are_secure() -> None:
    """Each parameter with a fresh GUID is secure, has two of them, and is no other kind of default."""
    fresh = {key: given for key, given in parameters().items() if "newGuid" in (given[2] or "")}
    assert set(fresh) == MADE_ANEW - {"budgetStartDate"}
    for decorators, kind, default in fresh.values():
        assert "@secure()" in decorators
        assert kind == "string"
        assert default == "'${newGuid()}-${newGuid()}'"


def test_generated_values_are_used_once() -> None:
    """A secret that exists is left alone at the next deployment; so is a budget."""
    vault = (ROOT / "infra/app/key-vault.bicep").read_text(encoding="utf-8")
    assert "@onlyIfNotExists()\nresource secrets 'Microsoft.KeyVault/vaults/secrets@" in vault
    assert "@secure()\nparam secretValues object\n" in vault
    budget = (ROOT / "infra/app/budget.bicep").read_text(encoding="utf-8")
    assert "@onlyIfNotExists()\nresource budget " in budget


def test_every_parameter_is_described() -> None:
    """Each parameter of each Bicep file has a description."""
    for path in tracked():
        if path.match("infra/**/*.bicep"):
            text = path.read_text(encoding="utf-8")
            found = list(PARAMETER.finditer(text))
            assert len(found) == len(re.findall(r"^param ", text, re.MULTILINE)), name(path)
            assert [match[2] for match in found if "@description(" not in match[1]] == [], name(path)
