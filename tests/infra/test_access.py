"""Who may do what, and what can be reached from outside: read from the committed snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.expressions import PRINCIPAL_ID
from tests.infra.installation import SETS, Resource, installation

both = pytest.mark.parametrize("name", SETS)

# Microsoft, "Azure built-in roles".
ROLE_IDS = {
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603": "Key Vault Crypto Officer",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
}
OF_THE_APP = {
    "storageAccounts/sthost*": {"Storage Blob Data Owner", "Storage Table Data Contributor"},
    "storageAccounts/stdata*": {
        "Storage Blob Data Contributor",
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    },
    "vaults/kv-*/keys/data-keys": {"Key Vault Crypto Service Encryption User"},
    "vaults/kv-*/secrets/api-key-pepper": {"Key Vault Secrets User"},
    "vaults/kv-*/secrets/client-state-keys": {"Key Vault Secrets User"},
    "vaults/kv-*/secrets/graph-webhook-secret": {"Key Vault Secrets User"},
    "vaults/kv-*/secrets/link-signing-keys": {"Key Vault Secrets User"},
    "components/appi-*": {"Monitoring Metrics Publisher"},
}
OF_THE_CERTIFICATE = {"vaults/kv-*/secrets/entra-client": {"Key Vault Secrets User"}}
OF_THE_DEPLOYER = {
    "storageAccounts/sthost*": {"Storage Blob Data Contributor"},
    "storageAccounts/stdata*": {
        "Storage Blob Data Contributor",
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    },
    "vaults/kv-*": {"Key Vault Crypto Officer", "Key Vault Secrets Officer"},
}
DEPLOYERS = {
    "check": ("00000000-0000-0000-0000-0000000000d1", "User"),
    "full": ("00000000-0000-0000-0000-0000000000d2", "ServicePrincipal"),
}
# What answers on the internet. Each but the site asks for an Entra token; the site is what people, CRM and Graph call.
PUBLIC = {"storageAccounts/sthost*", "storageAccounts/stdata*", "vaults/kv-*", "sites/func-*"}
SECRET_MARKS = (
    "AccountKey=",
    "SharedAccessSignature",
    "listKeys",
    "listAccountSas",
    "listSecrets",
    "InstrumentationKey",
)


def told(name: str, path: str) -> str:
    """A path with the installation's own token left out."""
    token = installation(name).one("vaults").name.removeprefix("kv-")
    return path.replace(token, "*")


def roles(name: str, principal: str) -> dict[str, set[str]]:
    """The roles of this principal by the resource on which it has them."""
    found: dict[str, set[str]] = {}
    for assignment in installation(name).all("roleAssignments"):
        if assignment.properties["principalId"] == principal:
            role = ROLE_IDS[assignment.properties["roleDefinitionId"].rsplit("/", 1)[-1]]
            found.setdefault(told(name, assignment.path), set()).add(role)
    return found


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value, path)
    else:
        yield path.lstrip("."), tree


def public(resource: Resource) -> bool:
    """Whether anything of it says that it can be reached from outside."""
    return any(
        (path.rsplit(".", 1)[-1], value) in {("publicNetworkAccess", "Enabled"), ("defaultAction", "Allow")}
        for path, value in leaves(resource.body)
    )


@both
def test_the_app_has_the_roles_it_needs_and_no_other(name: str) -> None:
    """The app's identity has just the listed roles, each on one resource: its accounts, one key, single secrets."""
    expected = OF_THE_APP | (OF_THE_CERTIFICATE if name == "full" else {})
    assert roles(name, PRINCIPAL_ID) == expected


@both
def test_the_deployer_has_data_roles_and_no_other(name: str) -> None:
    """Whoever deploys gets the listed data and vault roles and no other."""
    assert roles(name, DEPLOYERS[name][0]) == OF_THE_DEPLOYER


@both
def test_roles_are_given_to_nobody_else(name: str) -> None:
    """Every assignment is for the app's identity or for the deployer, and says of which kind that is."""
    kinds = {
        (assignment.properties["principalId"], assignment.properties["principalType"])
        for assignment in installation(name).all("roleAssignments")
    }
    assert kinds == {(PRINCIPAL_ID, "ServicePrincipal"), DEPLOYERS[name]}


@both
def test_roles_are_described_by_their_own_names(name: str) -> None:
    """The name that an assignment shows to people is the name of the role it gives."""
    for assignment in installation(name).all("roleAssignments"):
        role = assignment.properties["roleDefinitionId"].rsplit("/", 1)[-1]
        assert assignment.properties["description"] == ROLE_IDS[role]


@both
def test_storage_knows_no_keys(name: str) -> None:
    """Both storage accounts take Entra tokens over TLS 1.2 only: no shared keys, no public blobs, no plain http."""
    accounts = installation(name).all("storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        wanted = {
            "allowBlobPublicAccess": False,
            "allowCrossTenantReplication": False,
            "allowSharedKeyAccess": False,
            "defaultToOAuthAuthentication": True,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
        }
        assert account.properties | wanted == account.properties
    containers = installation(name).all("storageAccounts/blobServices/containers")
    assert {container.properties["publicAccess"] for container in containers} == {"None"}


@both
def test_the_vault_goes_by_roles_and_cannot_be_purged(name: str) -> None:
    """The vault is governed by roles alone, and what is deleted can be brought back for 90 days."""
    vault = installation(name).one("vaults").properties
    assert vault["enableRbacAuthorization"] is True
    assert vault["enablePurgeProtection"] is True
    assert vault["enableSoftDelete"] is True
    assert vault["softDeleteRetentionInDays"] == 90
    assert "accessPolicies" not in vault
    assert [key for key, value in vault.items() if key.startswith("enabledFor") and value] == []


@both
def test_the_key_only_wraps(name: str) -> None:
    """The vault has one key, which can wrap and unwrap and nothing else."""
    key = installation(name).one("vaults/keys")
    assert key.properties == {"keyOps": ["wrapKey", "unwrapKey"], "keySize": 3072, "kty": "RSA"}


@both
def test_telemetry_takes_no_keys(name: str) -> None:
    """Application Insights and its workspace refuse instrumentation keys and shared keys."""
    found = installation(name)
    assert found.one("components").properties["DisableLocalAuth"] is True
    assert found.one("components").properties["WorkspaceResourceId"] == found.one("workspaces").body["id"]
    assert found.one("workspaces").properties["features"] == {"disableLocalAuth": True}


@both
def test_the_site_is_closed_but_for_https(name: str) -> None:
    """The site speaks https with TLS 1.2, no FTP, no remote debugging, and takes no publishing passwords."""
    found = installation(name)
    site = found.one("sites")
    assert site.properties["httpsOnly"] is True
    assert site.properties["siteConfig"] == {
        "ftpsState": "Disabled",
        "http20Enabled": True,
        "minTlsVersion": "1.2",
        "remoteDebuggingEnabled": False,
        "scmMinTlsVersion": "1.2",
    }
    policies = found.all("sites/basicPublishingCredentialsPolicies")
    assert {policy.last_name: policy.properties for policy in policies} == {
        "ftp": {"allow": False},
        "scm": {"allow": False},
    }


@both
def test_a_deleted_app_s_host_name_is_not_taken_over(name: str) -> None:
    """The host name, which is an OAuth redirect, can be used again by this tenant only."""
    assert installation(name).one("sites").properties["autoGeneratedDomainNameLabelScope"] == "TenantReuse"


@both
def test_the_site_is_one_identity(name: str) -> None:
    """The site has the one user-assigned identity, and reads Key Vault references with it."""
    found = installation(name)
    identity = found.one("userAssignedIdentities").body["id"]
    site = found.one("sites")
    assert site.body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    assert site.properties["keyVaultReferenceIdentity"] == identity


@both
def test_nothing_is_public_that_is_not_listed(name: str) -> None:
    """What can be reached from outside is the site, storage and the vault, and no resource names an address range."""
    found = {
        f"{resource.type.partition('/')[2]}/{told(name, resource.name)}"
        for resource in installation(name).resources
        if public(resource)
    }
    assert found == PUBLIC


@both
def test_no_key_and_no_secret_stands_in_a_resource(name: str) -> None:
    """No resource and no output holds a key, a connection string, or a generated value."""
    found = installation(name)
    for resource in found.resources:
        for path, value in leaves(resource.body):
            marks = [mark for mark in SECRET_MARKS if mark in str(value)]
            assert marks == [] or path == "properties.APPLICATIONINSIGHTS_CONNECTION_STRING", path
    assert [mark for mark in SECRET_MARKS if mark in json.dumps(found.outputs)] == []
    opened = {
        path
        for resource in found.resources
        for path, value in leaves(resource.body)
        if str(value).startswith("<")
    }
    assert opened == {"properties.value"}  # of the secrets: known to the deployment alone
    assert {str(value) for value in found.outputs.values() if "<" in str(value)} == set()
