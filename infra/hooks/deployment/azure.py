"""Azure itself, by `az`: account, rights, soft-deleted vaults, the storage probe, Key Vault references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from deployment.console import Console, Stop
from deployment.tools import CommandFailed, Refusal, Tools, plain
from deployment.waiting import Wait, wait

MANAGEMENT: Final = "https://management.azure.com"
REFERENCES_API: Final = "2022-03-01"
PERMISSIONS_API: Final = "2022-04-01"
STAGING: Final = "staging"
# What a deployment does that Contributor alone, or a reader, may not.
NEEDED_ACTIONS: Final = {
    "Microsoft.Resources/deployments/write": "Contributor",
    "Microsoft.Resources/subscriptions/resourceGroups/write": "Contributor",
    "Microsoft.Authorization/roleAssignments/write": "Role Based Access Control Administrator",
}
# A new role assignment takes effect within minutes (Azure RBAC, "troubleshooting": up to ten).
ROLE_SPREADS: Final = Wait(total_seconds=600, every_seconds=10)
REFERENCES_RESOLVE: Final = Wait(total_seconds=300, every_seconds=20)


def signed_in(tools: Tools, subscription_id: str | None) -> dict[str, Any] | None:
    """The account that `az` uses for this subscription, None in a dry run without one. Raises Stop."""
    chosen = ("--subscription", subscription_id) if subscription_id else ()
    try:
        account: dict[str, Any] | None = tools.read("az", "account", "show", *chosen)
        default: dict[str, Any] | None = tools.read("az", "account", "show") if subscription_id else account
    except CommandFailed as err:
        raise plain(err, "`az` does not know the subscription") from err
    if account and default and account["tenantId"] != default["tenantId"]:
        raise Stop(
            f"`az` is signed in to tenant {default['tenantId']}, the subscription belongs to {account['tenantId']};"
            f" the app registration would be made in the wrong tenant. Run\n"
            f"  az account set --subscription {subscription_id}"
        )
    return account


def missing_rights(permissions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which roles are missing, from the caller's effective permissions as Azure lists them."""

    def allowed(action: str) -> bool:
        def fits(patterns: Sequence[str]) -> bool:
            return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

        return any(
            fits(item.get("actions") or []) and not fits(item.get("notActions") or []) for item in permissions
        )

    return sorted({role for action, role in NEEDED_ACTIONS.items() if not allowed(action)})


def check_rights(tools: Tools, console: Console, subscription_id: str) -> None:
    """Say which rights seem to be missing. It stops nothing: Azure decides, and refuses before it creates anything."""
    url = f"{MANAGEMENT}/subscriptions/{subscription_id}/providers/Microsoft.Authorization/permissions"
    try:
        answer = tools.read("az", "rest", "--method", "get", "--url", f"{url}?api-version={PERMISSIONS_API}")
    except CommandFailed as err:
        if err.refusal is Refusal.NOT_LOGGED_IN:
            raise plain(err, "Your rights could not be read") from err
        answer = None
    if answer is None:
        console.say("    your rights in the subscription could not be read; the deployment will show")
        return
    missing = missing_rights(answer.get("value") or [])
    if missing:
        console.say(
            f"    WARNING: you seem to lack {' and '.join(missing)} (or Owner) on the subscription. Ask its owner"
            " for it; without it the deployment is refused with AuthorizationFailed."
        )
    else:
        console.say("    your rights in the subscription are enough")


def deleted_vault(vaults: Sequence[Mapping[str, Any]], environment: str, location: str) -> str | None:
    """The name of this environment's vault among the soft-deleted ones, found by azd's tag.

    Its name depends on the region too: one of another region ("" where that is not known) is not in the way.
    """
    for vault in vaults:
        properties = vault.get("properties") or {}
        region = str(properties.get("location", "")).replace(" ", "").lower()
        ours = (properties.get("tags") or {}).get("azd-env-name") == environment
        if ours and location.replace(" ", "").lower() in {"", region}:
            return str(vault["name"])
    return None


def find_deleted_vault(
    tools: Tools, console: Console, environment: str, location: str, subscription_id: str | None
) -> str | None:
    """The name of this environment's soft-deleted vault. Without the right to list them it says so: None."""
    chosen = ("--subscription", subscription_id) if subscription_id else ()
    try:
        vaults = tools.read("az", "keyvault", "list-deleted", "--resource-type", "vault", *chosen)
    except CommandFailed as err:
        if err.refusal is Refusal.NOT_LOGGED_IN:
            raise plain(err, "Soft-deleted vaults could not be listed") from err
        console.say(
            "    soft-deleted vaults could not be listed; if the deployment says that the vault's name is taken,"
        )
        console.say('    see docs/deploy.md, "When something does not work"')
        return None
    return deleted_vault(vaults or [], environment, location)


def wait_for_blob_write(
    tools: Tools, console: Console, sleep: Callable[[float], None], blob_uri: str, principal: str
) -> None:
    """Wait until the deployer may write a blob: the role was given minutes ago and spreads (azure-dev#8026).

    The blob stays (a few bytes in `staging`, whose lifecycle rule erases it after 35 days): a later run that finds
    it by the same right writes nothing. Raises Stop after ten minutes.
    """
    account = (urlsplit(blob_uri).hostname or blob_uri).split(".")[0]
    place = ("--account-name", account, "--container-name", STAGING, "--name", f"deployer/{principal}")
    signed = ("--auth-mode", "login")
    try:
        if (tools.read("az", "storage", "blob", "exists", *place, *signed) or {}).get("exists"):
            console.say("    you may write to the storage account already")
            return
    except CommandFailed as err:
        if err.refusal is not Refusal.DENIED:
            raise plain(err, "The storage account could not be reached") from err

    def look() -> str | None:
        try:
            tools.change(
                "az", "storage", "blob", "upload", *place, *signed, "--data", "deployed", "--overwrite"
            )
        except CommandFailed as err:
            if err.refusal is Refusal.DENIED:
                return "403"
            raise plain(err, "A blob could not be written") from err
        return None

    if wait(console, sleep, ROLE_SPREADS, look):
        raise Stop(
            f"After {ROLE_SPREADS.total_seconds // 60} minutes your account may still not write to the storage account"
            f" {account}. It needs Storage Blob Data Contributor there, which the deployment gives to the principal"
            " AZURE_PRINCIPAL_ID. Is that your account (`az ad signed-in-user show --query id`)? Then wait and run"
            " `azd provision` again; nothing is lost. Or a network rule keeps your address out; it answers the same."
        )
    if not tools.dry_run:
        console.say("    you may write to the storage account")


def site_url(subscription_id: str, group: str, site: str) -> str:
    """The function app's address at Azure Resource Manager."""
    return f"{MANAGEMENT}/subscriptions/{subscription_id}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}"


def unresolved(references: Mapping[str, Any] | None) -> list[str]:
    """The settings whose Key Vault reference is not resolved, each with the platform's word for why."""
    found = []
    for item in (references or {}).get("value") or []:
        status = (item.get("properties") or {}).get("status")
        if status != "Resolved":
            found.append(
                f"{item['id'].rsplit('/', 1)[-1] if '/' in item.get('id', '') else item.get('name')}: {status}"
            )
    return sorted(found)


def refresh_references(tools: Tools, site: str) -> None:
    """Let the platform read the Key Vault references again, which it does by itself only once a day.

    Source: "Use Key Vault references" (App Service), `config/configreferences/appsettings/refresh`. Raises Stop.
    """
    url = f"{site}/config/configreferences/appsettings/refresh?api-version={REFERENCES_API}"
    try:
        tools.change("az", "rest", "--method", "post", "--url", url)
    except CommandFailed as err:
        raise plain(err, "The Key Vault references could not be refreshed") from err


def wait_for_references(tools: Tools, console: Console, sleep: Callable[[float], None], site: str) -> bool:
    """Refresh Key Vault references until all are resolved; whether they are. Raises Stop where they cannot be read."""
    url = f"{site}/config/configreferences/appsettings?api-version={REFERENCES_API}"

    def look() -> str | None:
        try:
            open_ones = unresolved(tools.read("az", "rest", "--method", "get", "--url", url))
        except CommandFailed as err:
            raise plain(err, "The state of the Key Vault references could not be read") from err
        if not open_ones:
            return None
        refresh_references(tools, site)
        return ", ".join(open_ones)

    left = look() if tools.dry_run else wait(console, sleep, REFERENCES_RESOLVE, look)
    if tools.dry_run:
        return left is None
    if left:
        console.say(f"    WARNING: still not resolved: {left}. The hook after the deployment tries again.")
    else:
        console.say("    all Key Vault references are resolved")
    return left is None
