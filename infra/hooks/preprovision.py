"""azd's hook before `azd provision`: sign-in and rights, a soft-deleted vault, the app registration."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from deployment import azure
from deployment.entra import Entra
from deployment.registration import DEFAULT_AUDIENCE, unique_name
from deployment.run import Hook, run

RECOVER = "KEY_VAULT_RECOVER"


def is_by_hand(environ: Mapping[str, str]) -> bool:
    """Whether somebody else keeps the app registration: said so, or its id was set by hand."""
    kept = environ.get("ENTRA_REGISTRATION")
    return kept == "by-hand" or (bool(environ.get("ENTRA_CLIENT_ID")) and kept != "hook")


def before_provision(hook: Hook) -> None:
    """Check account and rights, recognise a soft-deleted vault, find or create the app registration."""
    (environment,) = hook.needed("AZURE_ENV_NAME")
    hook.console.step("account and rights")
    account = azure.signed_in(hook.tools, hook.environ.get("AZURE_SUBSCRIPTION_ID"))
    subscription = hook.environ.get("AZURE_SUBSCRIPTION_ID") or (account or {}).get("id", "")
    if account:
        azure.check_rights(hook.tools, hook.console, subscription)
    hook.console.step("soft-deleted vault")
    _vault(hook, environment)
    hook.console.step("app registration in Microsoft Entra")
    _registration(hook, environment, subscription)


def _vault(hook: Hook, environment: str) -> None:
    """Recover this environment's vault when it is soft-deleted: its name is taken, and it cannot be purged."""
    location = hook.environ.get("AZURE_LOCATION", "")
    subscription = hook.environ.get("AZURE_SUBSCRIPTION_ID")
    vault = azure.find_deleted_vault(hook.tools, hook.console, environment, location, subscription)
    wanted = "true" if vault else "false"
    if vault:
        hook.console.say(f"    {vault} is soft-deleted (after `azd down`); the deployment recovers it")
    else:
        hook.console.say("    none of this environment")
    if hook.environ.get(RECOVER, "false") != wanted:
        hook.tools.set_variable(RECOVER, wanted)


def _registration(hook: Hook, environment: str, subscription: str) -> None:
    client_id = hook.environ.get("ENTRA_CLIENT_ID", "")
    if is_by_hand(hook.environ):
        hook.console.say(f"    ENTRA_CLIENT_ID was set by hand ({client_id or 'still empty'}): left alone")
        hook.needed("ENTRA_CLIENT_ID")
        return
    entra = Entra(hook.tools, hook.console, hook.sleep)
    name = hook.environ.get("ENTRA_UNIQUE_NAME") or unique_name(environment, subscription)
    application = entra.find(name)
    if application:
        hook.console.say(f"    found {application['displayName']} ({application['appId']}), named {name}")
        found = str(application["appId"])
    else:
        display_name = hook.environ.get("ENTRA_DISPLAY_NAME") or f"Postbraid ({environment})"
        hook.console.say(f"    creating {display_name}, named {name}")
        audience = hook.environ.get("ENTRA_SIGN_IN_AUDIENCE") or DEFAULT_AUDIENCE
        found = entra.create(name, display_name, audience)
        hook.console.say(f"    its application (client) id: {found}")
    for variable, value in (
        ("ENTRA_CLIENT_ID", found),
        ("ENTRA_UNIQUE_NAME", name),
        ("ENTRA_REGISTRATION", "hook"),
    ):
        if hook.environ.get(variable) != value:
            hook.tools.set_variable(variable, value)


if __name__ == "__main__":
    sys.exit(run("preprovision", before_provision))
