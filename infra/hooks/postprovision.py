"""azd's hook after `azd provision`: the app registration's addresses and credential, storage, Key Vault references."""

from __future__ import annotations

import sys

from deployment import azure
from deployment.console import Stop
from deployment.entra import Entra
from deployment.registration import Present, Wanted, by_hand, consent_link, decide_changes
from deployment.run import Hook, run
from preprovision import is_by_hand


def after_provision(hook: Hook) -> None:
    """Bring the app registration up to date, then wait until storage and Key Vault references work."""
    client_id, tenant, base, principal, blob_uri, subscription, group, site = hook.needed(
        "ENTRA_CLIENT_ID",
        "AZURE_TENANT_ID",
        "PUBLIC_BASE_URL",
        "IDENTITY_PRINCIPAL_ID",
        "DATA_STORAGE_BLOB_URI",
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_RESOURCE_GROUP",
        "SERVICE_API_NAME",
    )
    azure.signed_in(hook.tools, subscription)
    wanted = Wanted(base, tenant, principal, hook.environ.get("ENTRA_SIGN_IN_AUDIENCE") or None)
    hook.console.step("app registration in Microsoft Entra")
    _registration(hook, client_id, wanted)
    hook.console.say(
        "    optional: an administrator may approve the app for a whole organisation in advance:"
    )
    hook.console.say(f"      {consent_link(client_id, wanted)}")
    hook.console.step("storage: your own right to write")
    deployer = hook.environ.get("AZURE_PRINCIPAL_ID") or "deployer"
    azure.wait_for_blob_write(hook.tools, hook.console, hook.sleep, blob_uri, deployer)
    hook.console.step("Key Vault references of the function app")
    azure.wait_for_references(hook.tools, hook.console, hook.sleep, azure.site_url(subscription, group, site))


def _registration(hook: Hook, client_id: str, wanted: Wanted) -> None:
    entra = Entra(hook.tools, hook.console, hook.sleep)
    if is_by_hand(hook.environ):
        _registration_by_hand(hook, entra, client_id, wanted)
        return
    present = entra.present(client_id)
    if present is None:
        if not hook.tools.dry_run:
            raise Stop(
                f"There is no app registration {client_id} in tenant {wanted.tenant_id}. If it was deleted, run"
                " `azd provision` again: the hook before it makes a new one."
            )
        present = Present({"id": "<object id>", "appId": client_id})
    changes = decide_changes(present, wanted)
    for change in changes:
        entra.apply(change)
    if not changes:
        hook.console.say("    it has everything already")


def _registration_by_hand(hook: Hook, entra: Entra, client_id: str, wanted: Wanted) -> None:
    """Say what is missing where that can be read; where not, everything that must stand there. Nothing is written."""
    try:
        present = entra.present(client_id)
    except Stop:
        present = None
    changes = decide_changes(present, wanted) if present else None
    if changes == []:
        hook.console.say("    it is kept by hand, and has everything")
        return
    hook.console.say(f"    {client_id} is kept by hand, so nothing is written.")
    if changes is None:
        hook.console.say("    It could not be read from here. Its administrator makes sure that it has:")
    else:
        hook.console.say(
            "    Until its administrator has done this, nobody can connect a mailbox; the deployment goes on:"
        )
        for change in changes:
            hook.console.say(f"      - {change.words}")
        hook.console.say("    so that it has:")
    hook.console.say(by_hand(wanted))


if __name__ == "__main__":
    sys.exit(run("postprovision", after_provision))
