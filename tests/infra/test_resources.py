"""What is deployed is what the code calls: read from the committed snapshots, so no tool is needed."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

from shared import azd
from shared.state import keys
from tests.infra.installation import DIGEST, SETS, digests, installation
from tests.meta.test_runbook import written_lines
from tests.meta.triggers import QUEUES

both = pytest.mark.parametrize("name", SETS)


def test_snapshots_are_of_these_sources() -> None:
    """The snapshots were taken of the Bicep files and parameters as they are: `make snapshots` takes them anew."""
    assert DIGEST.read_text(encoding="utf-8") == digests()


@both
def test_everything_could_be_evaluated(name: str) -> None:
    """The snapshot has no diagnostics, and no two resources are the same."""
    found = installation(name)
    assert found.diagnostics == []
    ids = [resource.body["id"] for resource in found.resources]
    assert len(ids) == len(set(ids))


@both
def test_tables_queues_and_containers_are_those_of_the_code(name: str) -> None:
    """The data account has what shared/state/keys.py names, a poison queue for each queue, and nothing more."""
    found = installation(name)
    declared = {
        kind: sorted(resource.last_name for resource in found.all(kind) if resource.name.startswith("stdata"))
        for kind in (
            "storageAccounts/tableServices/tables",
            "storageAccounts/blobServices/containers",
            "storageAccounts/queueServices/queues",
        )
    }
    assert declared == {
        "storageAccounts/tableServices/tables": sorted(keys.TABLES),
        "storageAccounts/blobServices/containers": sorted(keys.CONTAINERS),
        "storageAccounts/queueServices/queues": sorted(
            [*keys.QUEUES, *(f"{queue}-poison" for queue in keys.QUEUES)]
        ),
    }


@both
def test_the_host_has_an_account_of_its_own(name: str) -> None:
    """The host's account holds the package's container and nothing else that is declared; the app is deployed there."""
    found = installation(name)
    account = found.one("storageAccounts", "sthost").name
    declared = [resource.last_name for resource in found.resources if resource.name.startswith(account)]
    assert sorted(declared) == ["default", "default", "default", "package", account]
    storage = found.one("sites").properties["functionAppConfig"]["deployment"]["storage"]
    assert storage["type"] == "blobContainer"
    assert storage["value"] == f"https://{account}.blob.core.windows.net/package"
    assert storage["authentication"] == {
        "type": "UserAssignedIdentity",
        "userAssignedIdentityResourceId": found.one("userAssignedIdentities").body["id"],
    }


@both
def test_every_queue_trigger_has_its_queue_and_its_connection(name: str) -> None:
    """Each queue trigger's connection is set for the host and its scale controller, at an account with that queue."""
    found = installation(name)
    settings = found.settings()
    assert QUEUES
    declared = {resource.name for resource in found.all("storageAccounts/queueServices/queues")}
    for queue, connection in QUEUES.values():
        account = urlsplit(settings[f"{connection}__queueServiceUri"]).netloc.partition(".")[0]
        assert {f"{account}/default/{queue}", f"{account}/default/{queue}-poison"} <= declared
        assert settings[f"{connection}__credential"] == "managedidentity"
        assert settings[f"{connection}__clientId"] == settings["AZURE_CLIENT_ID"]
        assert connection not in settings  # as a setting of that name it would be a connection string


@both
def test_what_stays_in_staging_goes_after_35_days(name: str) -> None:
    """The data account deletes blobs in staging 35 days after they were written; what is deleted is not kept."""
    found = installation(name)
    (rule,) = found.one("storageAccounts/managementPolicies").properties["policy"]["rules"]
    assert rule["definition"]["filters"] == {
        "blobTypes": ["blockBlob"],
        "prefixMatch": [f"{keys.STAGING}/"],
    }
    assert rule["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 35}}}
    blobs = found.one("storageAccounts/blobServices", "stdata").properties
    assert blobs == {"deleteRetentionPolicy": {"enabled": False}, "isVersioningEnabled": False}


def test_the_app_is_on_flex_consumption() -> None:
    """Without anything set the app has Python 3.13, one core, 40 instances at most, and none that waits."""
    found = installation("check")
    assert found.one("serverfarms").body["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    config = found.one("sites").properties["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"] == {
        "alwaysReady": [],
        "instanceMemoryMB": 2048,
        "maximumInstanceCount": 40,
        "triggers": {"http": {"perInstanceConcurrency": 16}},
    }
    assert "siteUpdateStrategy" not in config
    assert found.one("sites").body["tags"] == {"azd-env-name": "check", "azd-service-name": "api"}


def test_every_parameter_arrives() -> None:
    """Python, memory, instances, rolling updates, storage, logs and recovery follow their parameters."""
    found = installation("full")
    config = found.one("sites").properties["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.14"}
    assert config["scaleAndConcurrency"] == {
        "alwaysReady": [{"name": "http", "instanceCount": 2}],
        "instanceMemoryMB": 4096,
        "maximumInstanceCount": 100,
        "triggers": {"http": {"perInstanceConcurrency": 32}},
    }
    assert config["siteUpdateStrategy"] == {"type": "RollingUpdate"}
    assert found.one("storageAccounts", "stdata").body["sku"] == {"name": "Standard_ZRS"}
    assert found.one("workspaces").properties["retentionInDays"] == 90
    assert found.one("vaults").properties["createMode"] == "recover"
    assert installation("check").one("vaults").properties["createMode"] == "default"


def test_a_budget_is_made_when_asked_for() -> None:
    """There is a budget only with an amount; its mails go to the addresses given and to the owners."""
    assert installation("check").all("budgets") == []
    budget = installation("full").one("budgets").properties
    assert budget["amount"] == 50
    assert budget["timePeriod"] == {"startDate": "2026-11-01"}
    for notification in budget["notifications"].values():
        assert notification["contactEmails"] == ["ops@example.com", "cost@example.com"]
        assert notification["contactRoles"] == ["Owner"]


@both
def test_alerts_ask_for_lines_that_are_written(name: str) -> None:
    """Each alert asks for lines of the log that the code writes, and the workbook asks the same and for the audits."""
    found = installation(name)
    queries = [rule.properties["criteria"]["allOf"][0]["query"] for rule in found.all("scheduledQueryRules")]
    assert len(queries) == 8
    known = set(written_lines())
    for query in queries:
        asked = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)?)"', query.split("extend event", 1)[1]))
        functions = {"enqueue_due_work", "function"}
        assert asked - functions, query
        assert asked - functions <= known, query
    (workbook,) = found.all("workbooks")
    items = json.loads(workbook.properties["serializedData"])["items"]
    shown = [item["content"].get("query", "") for item in items]
    assert all(any(query in text for text in shown) for query in queries)
    assert any("audit.finished" in text and "arg_max" in text for text in shown)


def test_alerts_go_to_the_addresses_given() -> None:
    """Without addresses nobody is mailed; with some all of them are, for every rule."""
    for name, addresses in (("check", []), ("full", ["ops@example.com", "night@example.com"])):
        found = installation(name)
        group = found.one("actionGroups")
        assert [each["emailAddress"] for each in group.properties["emailReceivers"]] == addresses
        for rule in found.all("scheduledQueryRules"):
            assert rule.properties["actions"]["actionGroups"] == [group.body["id"]]


def test_a_host_name_of_one_s_own_is_bound_with_its_certificate() -> None:
    """A custom domain is bound with its certificate, and becomes the app's public address."""
    assert installation("check").all("sites/hostNameBindings") == []
    found = installation("full")
    binding = found.one("sites/hostNameBindings")
    assert binding.last_name == "mail.example.com"
    assert binding.properties["sslState"] == "SniEnabled"
    assert found.settings()["PUBLIC_BASE_URL"] == "https://mail.example.com"


@both
def test_outputs_are_what_hooks_and_operators_read(name: str) -> None:
    """The outputs are exactly the variables that hooks and shared.ops read, and agree with the app's settings."""
    found = installation(name)
    settings = found.settings()
    outputs = dict(found.outputs)
    if name == "full":  # Azure's answer, which the snapshot does not have
        outputs["PUBLIC_BASE_URL"] = settings["PUBLIC_BASE_URL"]
    vault = found.one("vaults").name
    assert outputs == {
        "AZURE_LOCATION": found.one("resourceGroups").body["location"],
        "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000002",
        "AZURE_RESOURCE_GROUP": found.one("resourceGroups").name,
        "SERVICE_API_NAME": found.one("sites").name,
        "PUBLIC_BASE_URL": settings["PUBLIC_BASE_URL"],
        "IDENTITY_CLIENT_ID": settings["AZURE_CLIENT_ID"],
        "IDENTITY_PRINCIPAL_ID": "00000000-0000-0000-0000-0000000000f1",
        "KEY_VAULT_URI": f"https://{vault}.vault.azure.net",
        "KEY_ENCRYPTION_KEY": settings["KEY_ENCRYPTION_KEY"],
        "DATA_STORAGE_TABLE_URI": settings["DataStorage__tableServiceUri"],
        "DATA_STORAGE_QUEUE_URI": settings["DataStorage__queueServiceUri"],
        "DATA_STORAGE_BLOB_URI": settings["DataStorage__blobServiceUri"],
    }


@both
def test_operators_get_the_app_s_own_settings(name: str) -> None:
    """What shared.ops makes of the outputs and of the vault's secrets are the settings that the app has."""
    found = installation(name)
    settings = found.settings()
    outputs = {**found.outputs, "ENTRA_CLIENT_ID": settings["ENTRA_CLIENT_ID"]}
    outputs["PUBLIC_BASE_URL"] = settings["PUBLIC_BASE_URL"]  # Azure's answer: the test above
    assert {key: outputs[output] for key, output in azd.OUTPUTS.items()} == {
        key: settings[key] for key in azd.OUTPUTS
    }
    vault = outputs[azd.VAULT]
    for key, secret in azd.SECRETS.items():
        assert settings[key] == f"@Microsoft.KeyVault(SecretUri={vault}/secrets/{secret})"
    assert sorted(azd.SECRETS.values()) == sorted(
        resource.last_name for resource in found.all("vaults/secrets")
    )
