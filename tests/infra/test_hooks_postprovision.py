"""The hook after `azd provision`: the registration's addresses and credential, storage, Key Vault references."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.graph.auth import CONSENT_SCOPES
from tests.infra.hook_runner import PROVISIONED, Cloud, load

registration = load("deployment.registration")
azure = load("deployment.azure")

BASE = PROVISIONED["PUBLIC_BASE_URL"]
URIS = [f"{BASE}/api/oauth/callback", f"{BASE}/api/oauth/admin-consent"]
WANTED = registration.Wanted(BASE, PROVISIONED["AZURE_TENANT_ID"], PROVISIONED["IDENTITY_PRINCIPAL_ID"])


def only_application(cloud: Cloud) -> dict[str, Any]:
    (application,) = cloud.state["applications"]
    return dict(application)


def test_the_first_run_completes_the_registration(provisioned: Cloud) -> None:
    """The first run sets both redirect URIs, the permissions, the federated credential and the service principal."""
    assert provisioned.run("postprovision") == 0
    application = only_application(provisioned)
    assert application["web"] == {"redirectUris": URIS}
    (resource,) = application["requiredResourceAccess"]
    assert {item["id"] for item in resource["resourceAccess"]} == set(registration.PERMISSIONS.values())
    assert {item["type"] for item in resource["resourceAccess"]} == {"Scope"}
    (credential,) = provisioned.state["credentials"][application["id"]]
    assert credential["issuer"] == f"https://login.microsoftonline.com/{PROVISIONED['AZURE_TENANT_ID']}/v2.0"
    assert credential["subject"] == PROVISIONED["IDENTITY_PRINCIPAL_ID"]
    assert credential["audiences"] == ["api://AzureADTokenExchange"]
    assert provisioned.state["principals"] == [application["appId"]]


def test_no_secret_is_made(provisioned: Cloud) -> None:
    """No request of the hooks adds a password or a key to the registration."""
    provisioned.run("postprovision")
    assert not any(
        "addPassword" in write[0] or "Credentials" in str(write[1]) for write in provisioned.state["writes"]
    )


def test_a_second_run_changes_nothing_and_says_so(
    provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run writes nothing anywhere and says that nothing was changed."""
    provisioned.run("postprovision")
    capsys.readouterr()
    with provisioned.writes() as written:
        assert provisioned.run("postprovision") == 0
    assert written == []
    assert "nothing was changed" in capsys.readouterr().out


def test_what_others_added_stays(provisioned: Cloud) -> None:
    """Redirect URIs, permissions, resources and credentials that somebody added are kept beside ours."""
    application = only_application(provisioned)
    foreign = {"resourceAppId": "other", "resourceAccess": [{"id": "x", "type": "Role"}]}
    role = {"id": "y", "type": "Role"}
    application |= {
        "web": {"redirectUris": ["https://other.example/callback"], "logoutUrl": "https://other.example/out"},
        "requiredResourceAccess": [
            foreign,
            {"resourceAppId": registration.MICROSOFT_GRAPH, "resourceAccess": [role]},
        ],
    }
    pipeline = {
        "id": "1",
        "name": "pipeline",
        "issuer": "https://token.example",
        "subject": "repo",
        "audiences": [],
    }
    provisioned.set(applications=[application], credentials={application["id"]: [pipeline]})
    assert provisioned.run("postprovision") == 0
    application = only_application(provisioned)
    assert application["web"]["redirectUris"] == ["https://other.example/callback", *URIS]
    others, graph = application["requiredResourceAccess"]
    assert others == foreign
    assert role in graph["resourceAccess"]
    assert pipeline in provisioned.state["credentials"][application["id"]]


def test_another_identity_replaces_the_credential(provisioned: Cloud) -> None:
    """After `azd down` and up again the identity is another one, and our credential follows it."""
    provisioned.run("postprovision")
    provisioned.environ["IDENTITY_PRINCIPAL_ID"] = "66666666-6666-6666-6666-666666666666"
    assert provisioned.run("postprovision") == 0
    (credential,) = provisioned.state["credentials"][only_application(provisioned)["id"]]
    assert credential["subject"] == "66666666-6666-6666-6666-666666666666"


@pytest.mark.parametrize(
    ("set_to", "becomes"), [("", "AzureADandPersonalMicrosoftAccount"), ("AzureADMyOrg", "AzureADMyOrg")]
)
def test_the_audience_changes_only_when_it_is_asked_for(
    provisioned: Cloud, set_to: str, becomes: str
) -> None:
    """An audience that somebody chose at the registration stays, unless ENTRA_SIGN_IN_AUDIENCE says another."""
    application = only_application(provisioned)
    provisioned.set(applications=[{**application, "signInAudience": "AzureADandPersonalMicrosoftAccount"}])
    provisioned.environ["ENTRA_SIGN_IN_AUDIENCE"] = set_to
    provisioned.run("postprovision")
    assert only_application(provisioned)["signInAudience"] == becomes


def test_the_consent_link_is_what_the_runbook_says(
    provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed link lets an administrator approve exactly what a sign-in asks for."""
    provisioned.run("postprovision")
    (link,) = [word for word in capsys.readouterr().out.split() if "/adminconsent?" in word]
    query = parse_qs(urlsplit(link).query)
    assert link.startswith("https://login.microsoftonline.com/organizations/v2.0/adminconsent?")
    assert query["client_id"] == [only_application(provisioned)["appId"]]
    assert query["redirect_uri"] == [URIS[1]]
    assert query["scope"] == [" ".join(CONSENT_SCOPES)]


def test_permissions_are_those_that_a_sign_in_asks_for() -> None:
    """The registration lists exactly the scopes that the product asks for."""
    assert tuple(registration.PERMISSIONS) == CONSENT_SCOPES


def test_missing_rights_are_told_plainly(provisioned: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who may not change the registration reads which role is needed and how to go on by hand."""
    provisioned.set(entra="read")
    assert provisioned.run("postprovision") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "may not change this app registration" in said
    assert "Cloud Application Administrator" in said
    assert "ENTRA_REGISTRATION by-hand" in said


@pytest.mark.parametrize("entra", ["allowed", "denied"])
def test_by_hand_prints_what_to_set_and_writes_nothing(
    provisioned: Cloud, capsys: pytest.CaptureFixture[str], entra: str
) -> None:
    """Kept by hand, the registration is not written; what must stand there is printed."""
    provisioned.set(entra=entra)
    provisioned.environ["ENTRA_REGISTRATION"] = "by-hand"
    provisioned.set(variables={"ENTRA_CLIENT_ID": provisioned.state["variables"]["ENTRA_CLIENT_ID"]})
    with provisioned.writes() as written:
        assert provisioned.run("postprovision") == 0
    assert not any("/applications" in write[0] or "/servicePrincipals" in write[0] for write in written)
    said = capsys.readouterr().out
    for words in (*URIS, WANTED.issuer, PROVISIONED["IDENTITY_PRINCIPAL_ID"], "api://AzureADTokenExchange"):
        assert words in said


def test_by_hand_and_complete_says_so(provisioned: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A registration kept by hand that has everything is said to have everything."""
    provisioned.run("postprovision")
    capsys.readouterr()
    provisioned.environ["ENTRA_REGISTRATION"] = "by-hand"
    provisioned.set(variables={"ENTRA_CLIENT_ID": only_application(provisioned)["appId"]})
    assert provisioned.run("postprovision") == 0
    assert "kept by hand, and has everything" in capsys.readouterr().out


def test_a_registration_that_is_gone_is_named(provisioned: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """When the registration is not there the hook stops and says how a new one is made."""
    provisioned.set(applications=[])
    assert provisioned.run("postprovision") == 1
    assert "azd provision" in capsys.readouterr().out


def test_the_wait_for_storage_goes_on_over_403(
    provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """The deployer's role is waited for with a line at each look, and the hook goes on once a blob was written."""
    provisioned.set(blob_denials=4)  # the first is for the look whether the blob is there
    assert provisioned.run("postprovision") == 0
    assert provisioned.slept == [10, 10, 10]
    assert capsys.readouterr().out.count("not yet (403)") == 3
    assert provisioned.state["blobs"] == [f"stdata/staging/deployer/{PROVISIONED['AZURE_PRINCIPAL_ID']}"]


def test_the_wait_for_storage_ends(provisioned: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """After ten minutes of 403 the hook stops with 1 and names the role, the account and what to do."""
    provisioned.set(blob_denials=1000)
    assert provisioned.run("postprovision") == 1
    assert sum(provisioned.slept) == azure.ROLE_SPREADS.total_seconds
    said = " ".join(capsys.readouterr().out.split())
    assert "Storage Blob Data Contributor" in said
    assert "stdata" in said


def test_references_are_refreshed_until_they_resolve(provisioned: Cloud) -> None:
    """Key Vault references that are not resolved are refreshed at each look, and no more once they are."""
    names = ("API_KEY_PEPPER", "CLIENT_STATE_KEYS")
    provisioned.set(references=dict.fromkeys(names, "AccessToKeyVaultDenied"), resolve_after=2)
    assert provisioned.run("postprovision") == 0
    assert [write[0] for write in provisioned.state["writes"]].count("refresh") == 2
    assert provisioned.slept == [20, 20]


def test_references_that_never_resolve_warn_only(
    provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """References still open after five minutes are named; the deployment goes on, for the app names them too."""
    provisioned.set(references={"API_KEY_PEPPER": "SecretNotFound"}, resolve_after=1000)
    assert provisioned.run("postprovision") == 0
    assert "still not resolved: API_KEY_PEPPER: SecretNotFound" in capsys.readouterr().out


def test_missing_variables_are_all_named(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Run without azd's variables the hook stops with 2 and names every one that is missing."""
    assert cloud.run("postprovision") == 2
    said = capsys.readouterr().out
    assert all(name in said for name in set(PROVISIONED) - {"AZURE_PRINCIPAL_ID"})
