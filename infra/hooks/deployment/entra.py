"""The app registration in Microsoft Entra, by `az rest` on Microsoft Graph: find or create, read, bring up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from deployment.console import Console, Stop
from deployment.registration import (
    TOKEN_VERSION,
    Change,
    Present,
    by_client_id,
    by_unique_name,
)
from deployment.tools import CommandFailed, Refusal, Tools, plain
from deployment.waiting import Wait, wait

UNKNOWN_ID: Final = "(known once it exists)"
# A new directory object is not seen by every server at once (Microsoft Graph, "eventual consistency").
SPREADING: Final = Wait(total_seconds=60, every_seconds=5)
NO_RIGHTS: Final = (
    "Your account may not {what} in Microsoft Entra.\n"
    "To create one, the role Application Developer is enough (whoever creates it owns it). To change one that"
    " somebody else owns: ownership of it, or Cloud Application Administrator.\n"
    "Ask an administrator of your Microsoft Entra tenant for that role and run the same again. Or let the"
    ' administrator do it by hand: docs/deploy.md, "Without rights in Entra", has the exact steps; then\n'
    "  azd env set ENTRA_CLIENT_ID <application id>\n"
    "  azd env set ENTRA_REGISTRATION by-hand\n"
    "  azd up"
)


class Entra:
    """What the hooks ask of Microsoft Graph. Every method raises Stop with words a person can act on."""

    def __init__(self, tools: Tools, console: Console, sleep: Callable[[float], None]) -> None:
        self._tools = tools
        self._console = console
        self._sleep = sleep

    def find(self, name: str) -> dict[str, Any] | None:
        """The application with this unique name."""
        found: dict[str, Any] | None = self._get(
            by_unique_name(name) + "?$select=id,appId,displayName,signInAudience"
        )
        return found

    def create(self, name: str, display_name: str, audience: str) -> str:
        """Create the application unless it is there; its client id.

        Source: "Upsert application" (Microsoft Graph v1.0): PATCH on the alternate key with `create-if-missing`
        answers 201 with the new application, so two runs at once cannot make two of them.
        """
        made = self._write(
            "create an app registration",
            "patch",
            by_unique_name(name),
            {"displayName": display_name, "signInAudience": audience, "api": TOKEN_VERSION},
            ("--headers", "Prefer=create-if-missing", "Content-Type=application/json"),
        )
        if self._tools.dry_run:
            return UNKNOWN_ID
        found: list[str] = [made["appId"]] if made and made.get("appId") else []

        def look() -> str | None:
            application = self.find(name)
            found.extend([application["appId"]] if application else [])
            return None if application else "the new app registration is not seen yet"

        if wait(self._console, self._sleep, SPREADING, look) and not found:
            raise Stop(
                "The app registration was created, but cannot be read yet. Run the same again in a minute."
            )
        return found[0]

    def present(self, client_id: str) -> Present | None:
        """The registration with what belongs to it; None when this tenant has none with this client id."""
        fields = "id,appId,displayName,signInAudience,web,requiredResourceAccess"
        application = self._get(f"{by_client_id(client_id)}?$select={fields}")
        if application is None:
            return None
        path = f"{by_client_id(client_id)}/federatedIdentityCredentials"
        credentials = (self._get(path) or {}).get("value") or []
        principal = self._get(by_client_id(client_id, "servicePrincipals") + "?$select=id")
        return Present(application, credentials, has_service_principal=principal is not None)

    def apply(self, change: Change) -> None:
        """Carry out one change of the registration."""
        self._console.say(f"    {change.words}")
        self._write("change this app registration", change.method, change.url, dict(change.body), ())

    def _get(self, url: str) -> Any:
        try:
            return self._tools.read("az", "rest", "--method", "get", "--url", url)
        except CommandFailed as err:
            raise _explained(err, "read app registrations") from err

    def _write(self, what: str, method: str, url: str, body: Any, headers: tuple[str, ...]) -> Any:
        try:
            return self._tools.change("az", "rest", "--method", method, "--url", url, *headers, body=body)
        except CommandFailed as err:
            raise _explained(err, what) from err


def _explained(err: CommandFailed, what: str) -> Stop:
    if err.refusal is Refusal.DENIED:
        return Stop(NO_RIGHTS.format(what=what))
    return plain(err, f"It was not possible to {what}")
