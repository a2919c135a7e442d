"""The hook before `azd provision`: sign-in, rights, a soft-deleted vault, the app registration."""

from __future__ import annotations

import pytest

from tests.infra.hook_runner import Cloud, load

azure = load("deployment.azure")
registration = load("deployment.registration")
preprovision = load("preprovision")


def test_the_first_run_makes_the_registration_and_keeps_its_id(cloud: Cloud) -> None:
    """The first run creates one app registration for accounts of any organisation and keeps its client id."""
    assert cloud.run("preprovision") == 0
    (application,) = cloud.state["applications"]
    assert application["signInAudience"] == "AzureADMultipleOrgs"
    assert application["displayName"] == "Postbraid (dev)"
    assert cloud.state["variables"] == {
        "ENTRA_CLIENT_ID": application["appId"],
        "ENTRA_UNIQUE_NAME": application["uniqueName"],
        "ENTRA_REGISTRATION": "hook",
    }


def test_a_second_run_changes_nothing_and_says_so(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run finds the registration, writes nothing anywhere, and says that nothing was changed."""
    cloud.run("preprovision")
    capsys.readouterr()
    with cloud.writes() as written:
        assert cloud.run("preprovision") == 0
    assert written == []
    assert "nothing was changed" in capsys.readouterr().out


def test_a_lost_environment_finds_the_registration_again(cloud: Cloud) -> None:
    """Somebody else's checkout, or one whose azd environment was lost, comes to the same registration."""
    cloud.run("preprovision")
    first = cloud.state["variables"]
    cloud.set(variables={})
    assert cloud.run("preprovision") == 0
    assert cloud.state["variables"] == first
    assert len(cloud.state["applications"]) == 1


def test_a_deleted_registration_is_made_again(cloud: Cloud) -> None:
    """When the hook's own registration was deleted, the next run makes another and keeps the new id."""
    cloud.run("preprovision")
    first = cloud.state["variables"]["ENTRA_CLIENT_ID"]
    cloud.set(applications=[])
    assert cloud.run("preprovision") == 0
    assert cloud.state["variables"]["ENTRA_CLIENT_ID"] not in {"", first}


def test_name_and_audience_are_parameters(cloud: Cloud) -> None:
    """Display name and sign-in audience of a new registration come from the azd environment."""
    cloud.environ |= {"ENTRA_DISPLAY_NAME": "Acme mail sync", "ENTRA_SIGN_IN_AUDIENCE": "AzureADMyOrg"}
    cloud.run("preprovision")
    (application,) = cloud.state["applications"]
    assert (application["displayName"], application["signInAudience"]) == ("Acme mail sync", "AzureADMyOrg")


@pytest.mark.parametrize("extra", [{}, {"ENTRA_REGISTRATION": "by-hand"}])
def test_an_id_set_by_hand_is_left_alone(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], extra: dict[str, str]
) -> None:
    """With ENTRA_CLIENT_ID set by hand Entra is not even asked, and the hook says that it leaves it alone."""
    cloud.set(entra="denied")
    cloud.environ |= {"ENTRA_CLIENT_ID": "55555555-5555-5555-5555-555555555555", **extra}
    assert cloud.run("preprovision") == 0
    assert "set by hand" in capsys.readouterr().out
    assert cloud.state["writes"] == []
    assert not any("graph.microsoft.com" in " ".join(call) for call in cloud.state["calls"])


def test_by_hand_without_an_id_stops(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Kept by hand, but without its id: the hook stops with 2 and names the variable."""
    cloud.environ["ENTRA_REGISTRATION"] = "by-hand"
    assert cloud.run("preprovision") == 2
    assert "ENTRA_CLIENT_ID" in capsys.readouterr().out


@pytest.mark.parametrize("entra", ["denied", "read"])
def test_missing_rights_in_entra_are_told_plainly(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], entra: str
) -> None:
    """Without rights in Entra the hook stops with 1 and says which role, whom to ask and how to go on by hand."""
    cloud.set(entra=entra)
    assert cloud.run("preprovision") == 1
    said = " ".join(capsys.readouterr().out.split())
    for words in ("Application Developer", "administrator", "azd env set ENTRA_CLIENT_ID", "docs/deploy.md"):
        assert words in said
    assert "Authorization_RequestDenied" not in said
    assert cloud.state["variables"] == {}


def test_not_signed_in_is_told_plainly(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a sign-in the hook stops with 1 and says which command to run."""
    cloud.set(logged_in=False)
    assert cloud.run("preprovision") == 1
    assert "Run `az login`" in capsys.readouterr().out


def test_another_tenant_is_refused(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """When `az` works in another tenant than the subscription's, no registration is made there."""
    cloud.set(default_tenant="99999999-9999-9999-9999-999999999999")
    assert cloud.run("preprovision") == 1
    assert "az account set" in capsys.readouterr().out
    assert cloud.state["writes"] == []


def test_programs_that_are_missing_are_named(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `az` on the PATH the hook stops with 2 and says where to get it."""
    (cloud.folder / "az").unlink()
    cloud.environ["PATH"] = str(cloud.folder)
    start = load("deployment.run")
    environ = {**cloud.variables(), "PATH": str(cloud.folder)}
    assert start.run("preprovision", preprovision.before_provision, [], environ=environ) == 2
    assert "`az` was not found" in capsys.readouterr().out


def test_a_soft_deleted_vault_is_recovered(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """This environment's soft-deleted vault sets the recover parameter; once it is back, the parameter goes back."""
    mine = {"name": "kv-abc", "properties": {"tags": {"azd-env-name": "dev"}, "location": "westeurope"}}
    other = {"name": "kv-other", "properties": {"tags": None}}
    cloud.set(deleted_vaults=[other, mine])
    assert cloud.run("preprovision") == 0
    assert cloud.state["variables"][preprovision.RECOVER] == "true"
    assert "kv-abc is soft-deleted" in capsys.readouterr().out
    cloud.set(deleted_vaults=[other])
    assert cloud.run("preprovision") == 0
    assert cloud.state["variables"][preprovision.RECOVER] == "false"


@pytest.mark.parametrize(
    ("location", "found"), [("West Europe", "kv-abc"), ("", "kv-abc"), ("northeurope", None)]
)
def test_a_vault_of_another_region_is_not_in_the_way(location: str, found: str | None) -> None:
    """A vault's name depends on the region, so only one of the same region is recovered."""
    vault = {"name": "kv-abc", "properties": {"tags": {"azd-env-name": "dev"}, "location": "westeurope"}}
    assert azure.deleted_vault([vault], "dev", location) == found
    assert azure.deleted_vault([vault], "prod", location) is None


def test_vaults_that_cannot_be_listed_stop_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the right to list soft-deleted vaults the hook goes on and says where to look later."""
    cloud.set(may_list_deleted=False)
    assert cloud.run("preprovision") == 0
    assert "could not be listed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        ([{"actions": ["*"], "notActions": []}], []),
        (
            [{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}],
            ["Role Based Access Control Administrator"],
        ),
        (
            [
                {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]},
                {"actions": ["Microsoft.Authorization/roleAssignments/write"], "notActions": []},
            ],
            [],
        ),
        (
            [{"actions": ["*/read"], "notActions": []}],
            ["Contributor", "Role Based Access Control Administrator"],
        ),
        ([], ["Contributor", "Role Based Access Control Administrator"]),
    ],
    ids=["owner", "contributor", "contributor and RBAC administrator", "reader", "nothing"],
)
def test_missing_roles_follow_from_effective_permissions(
    permissions: list[dict[str, list[str]]], missing: list[str]
) -> None:
    """Which roles are missing follows from actions and notActions, with wildcards and in any case of letters."""
    assert azure.missing_rights(permissions) == missing


def test_missing_roles_warn_and_stop_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A Contributor is warned before the deployment that role assignments will be refused."""
    cloud.set(permissions=[{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}])
    assert cloud.run("preprovision") == 0
    assert "WARNING: you seem to lack Role Based Access Control Administrator" in capsys.readouterr().out


def test_environments_of_different_subscriptions_have_different_names() -> None:
    """The registration's name depends on environment and subscription, so two people's `dev` do not meet."""
    names = {
        registration.unique_name(environment, subscription)
        for environment in ("dev", "prod")
        for subscription in ("a", "b")
    }
    assert len(names) == 4
