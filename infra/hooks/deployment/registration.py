"""What an app registration must look like, and what is to be changed about it: pure, nothing is called here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

GRAPH: Final = "https://graph.microsoft.com/v1.0"
LOGIN: Final = "https://login.microsoftonline.com"
EXCHANGE_AUDIENCE: Final = "api://AzureADTokenExchange"
CREDENTIAL_NAME: Final = "postbraid-managed-identity"
DEFAULT_AUDIENCE: Final = "AzureADMultipleOrgs"
# Microsoft Graph refuses AzureADandPersonalMicrosoftAccount with another version; with every audience 2 is right.
TOKEN_VERSION: Final = {"requestedAccessTokenVersion": 2}
CALLBACK: Final = "/api/oauth/callback"
ADMIN_CONSENT: Final = "/api/oauth/admin-consent"
# The app id of Microsoft Graph and the ids of its delegated permissions. Source: "Microsoft Graph permissions
# reference" (learn.microsoft.com/graph/permissions-reference); they are the same in every tenant.
MICROSOFT_GRAPH: Final = "00000003-0000-0000-c000-000000000000"
PERMISSIONS: Final = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
    "Mail.Read": "570282fd-fa5c-430d-a7fd-fc8dc98a9dca",
    "Mail.ReadWrite": "024d486e-b451-40bb-833d-3e66d98c5c73",
    "Mail.Send": "e383f46e-2787-4529-855e-0e479a3ffac0",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the registration must have. `audience` is None where whatever stands there is right."""

    public_base_url: str
    tenant_id: str
    identity_principal_id: str
    audience: str | None = None

    @property
    def redirect_uris(self) -> tuple[str, str]:
        """Where Microsoft's sign-in and its page for administrators lead back to."""
        base = self.public_base_url.rstrip("/")
        return base + CALLBACK, base + ADMIN_CONSENT

    @property
    def issuer(self) -> str:
        """Who issues the identity's token: the tenant in which it lives."""
        return f"{LOGIN}/{self.tenant_id}/v2.0"

    @property
    def credential(self) -> dict[str, Any]:
        """The federated credential: this app trusts the managed identity's token.

        Source: "Configure an application to trust a managed identity" (Microsoft Entra): issuer, subject (the
        identity's principal id) and audience must match the token exactly.
        """
        return {
            "name": CREDENTIAL_NAME,
            "issuer": self.issuer,
            "subject": self.identity_principal_id,
            "audiences": [EXCHANGE_AUDIENCE],
            "description": "The managed identity of the function app; there is no client secret.",
        }


@dataclass(frozen=True, slots=True)
class Present:
    """What Microsoft Graph says of the registration now; JSON objects as it sends them."""

    application: Mapping[str, Any]
    credentials: Sequence[Mapping[str, Any]] = ()
    has_service_principal: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A request of Microsoft Graph, and what it is for in words."""

    words: str
    method: str
    url: str
    body: Mapping[str, Any]


def unique_name(environment: str, subscription_id: str) -> str:
    """A name by which the registration is found again: the same for the same azd environment and subscription.

    Microsoft Graph keeps it as the application's `uniqueName`, an alternate key that cannot be changed.
    """
    return f"postbraid-{environment}-{hashlib.sha256(subscription_id.encode()).hexdigest()[:8]}"


def by_unique_name(name: str) -> str:
    """The address of the application with this unique name."""
    return f"{GRAPH}/applications(uniqueName='{quote(name)}')"


def by_client_id(client_id: str, kind: str = "applications") -> str:
    """The address of the application (or service principal) with this client id."""
    return f"{GRAPH}/{kind}(appId='{quote(client_id)}')"


def decide_changes(present: Present, wanted: Wanted) -> list[Change]:
    """What is missing at the registration, in the order in which it is to be written; empty when all is there.

    Whatever somebody else has added stays: other redirect URIs, permissions and credentials.
    """
    here = f"{GRAPH}/applications/{present.application['id']}"
    found = [
        _redirect_uris(present.application, wanted, here),
        _permissions(present.application, here),
        _audience(present.application, wanted, here),
        _credential(present.credentials, wanted, here),
    ]
    changes = [change for change in found if change]
    if not present.has_service_principal:
        words = "add the service principal, without which nobody of your own organisation can sign in"
        body = {"appId": present.application["appId"]}
        changes.append(Change(words, "post", f"{GRAPH}/servicePrincipals", body))
    return changes


def _redirect_uris(application: Mapping[str, Any], wanted: Wanted, here: str) -> Change | None:
    present = list((application.get("web") or {}).get("redirectUris") or [])
    missing = [uri for uri in wanted.redirect_uris if uri not in present]
    if not missing:
        return None
    words = f"add the redirect URI {' and '.join(missing)}"
    return Change(words, "patch", here, {"web": {"redirectUris": present + missing}})


def _permissions(application: Mapping[str, Any], here: str) -> Change | None:
    resources = list(application.get("requiredResourceAccess") or [])
    of_graph = [res for res in resources if res.get("resourceAppId") == MICROSOFT_GRAPH]
    access = [item for resource in of_graph for item in resource.get("resourceAccess") or []]
    scopes = {item["id"] for item in access if item.get("type") == "Scope"}
    missing = [name for name, scope in PERMISSIONS.items() if scope not in scopes]
    if not missing:
        return None
    added = [{"id": PERMISSIONS[name], "type": "Scope"} for name in missing]
    others = [res for res in resources if res.get("resourceAppId") != MICROSOFT_GRAPH]
    graph = {"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": access + added}
    words = f"add the delegated permissions {', '.join(missing)}"
    return Change(words, "patch", here, {"requiredResourceAccess": [*others, graph]})


def _audience(application: Mapping[str, Any], wanted: Wanted, here: str) -> Change | None:
    if wanted.audience is None or application.get("signInAudience") == wanted.audience:
        return None
    words = f"let accounts of {wanted.audience} sign in (until now {application.get('signInAudience')})"
    return Change(words, "patch", here, {"signInAudience": wanted.audience, "api": TOKEN_VERSION})


def _credential(credentials: Sequence[Mapping[str, Any]], wanted: Wanted, here: str) -> Change | None:
    """Ours is found by its content, or by its name: after `azd down` the identity is another one."""
    fields = ("issuer", "subject", "audiences")
    if any(all(item.get(key) == wanted.credential[key] for key in fields) for item in credentials):
        return None
    for item in credentials:
        if item.get("name") == CREDENTIAL_NAME:
            words = "let the federated credential trust the present managed identity"
            body = {key: wanted.credential[key] for key in fields}
            return Change(words, "patch", f"{here}/federatedIdentityCredentials/{item['id']}", body)
    words = "add the federated credential that trusts the managed identity"
    return Change(words, "post", f"{here}/federatedIdentityCredentials", wanted.credential)


def consent_link(client_id: str, wanted: Wanted) -> str:
    """The address at which an administrator approves the app for a whole organisation (docs/runbook.md)."""
    query = urlencode(
        {
            "client_id": client_id,
            "redirect_uri": wanted.redirect_uris[1],
            "scope": " ".join(PERMISSIONS),
        },
        quote_via=quote,
    )
    return f"{LOGIN}/organizations/v2.0/adminconsent?{query}"


def by_hand(wanted: Wanted) -> str:
    """What an administrator has to set at the registration, as lines of text."""
    callback, admin = wanted.redirect_uris
    return "\n".join(
        [
            "  Authentication, platform Web, redirect URIs:",
            f"    {callback}",
            f"    {admin}",
            "  API permissions, Microsoft Graph, delegated:",
            f"    {', '.join(PERMISSIONS)}",
            "  Certificates & secrets, federated credentials, scenario Other issuer (or Managed identity):",
            f"    issuer    {wanted.issuer}",
            f"    subject   {wanted.identity_principal_id}",
            f"    audience  {EXCHANGE_AUDIENCE}",
        ]
    )
