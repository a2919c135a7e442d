"""The pages of Entra on which people decide; Microsoft's own are told apart by "(simulated)" in their titles."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import HTMLResponse

from sandbox.graphsim.pages.layout import page

if TYPE_CHECKING:
    from sandbox.graphsim.store import User
    from sandbox.graphsim.world import World

ASKS = {
    "User.Read": "Read your name and address",
    "Mail.Read": "Read your mail",
    "Mail.ReadWrite": "Read and write your mail, and make drafts",
    "Mail.Send": "Send mail as you",
    "offline_access": "Keep access while you are away",
}


class AuthorizePageError(Exception):
    """An error that is shown on Microsoft's page and not sent to the application."""


def account_page(world: World, query: dict[str, str]) -> HTMLResponse:
    """The page where the person picks an account; accounts have no passwords."""
    hint = query.get("login_hint", "").lower()
    users = sorted(
        world.store.users.values(), key=lambda user: (user.address.lower() != hint, user.display_name)
    )
    rows = "".join(
        f'<li><a class="account" data-testid="account-{html.escape(user.address)}" '
        f'href="?{html.escape(urlencode({**query, "account": user.address}))}">'
        f"<strong>{html.escape(user.display_name)}</strong><span>{html.escape(user.address)}</span></a></li>"
        for user in users
    )
    note = '<p class="dim">This imitates Microsoft\'s sign-in; no password is needed.</p>'
    body = f'<h1>Pick an account</h1>{note}<ul class="accounts">{rows}</ul>{decline_form(query, "")}'
    return HTMLResponse(page("Sign in (simulated)", body, narrow=True))


def consent_page(world: World, query: dict[str, str], user: User) -> HTMLResponse:
    """The page that asks for consent to the application's permissions."""
    application = world.entra.applications[query["client_id"]]
    items = "".join(f"<li>{html.escape(text)}</li>" for text in asked_texts(query["scope"]))
    body = (
        f"<h1>Permissions requested</h1><p><strong>{html.escape(application.display_name)}</strong> would like to, "
        f"for <strong>{html.escape(user.address)}</strong>:</p><ul>{items}</ul>"
        f'<form method="post" class="row">{hidden(query)}'
        '<button name="decision" value="accept" class="main" data-testid="consent-accept">Accept</button>'
        '<button name="decision" value="decline" data-testid="consent-decline">Cancel</button></form>'
    )
    return HTMLResponse(page("Permissions (simulated)", body, narrow=True))


def asked_texts(scope: str) -> list[str]:
    """What these scopes allow, in words."""
    names = scope.replace("https://graph.microsoft.com/", "").split()
    return [text for name, text in ASKS.items() if name in names]


def approval_needed_page(world: World, query: dict[str, str], user: User) -> HTMLResponse:
    """The page that stops people whose organisation lets only administrators consent."""
    application = world.entra.applications[query["client_id"]]
    body = (
        f"<h1>Need admin approval</h1><p><strong>{html.escape(application.display_name)}</strong> needs permission to "
        "access resources in your organisation that only an admin can grant. Ask an admin to grant permission to this "
        f'app before you can use it.</p><p class="dim">{html.escape(user.address)}</p>'
        f'<form method="post" class="row">{hidden(query)}<button name="decision" value="accept" '
        'data-testid="return-without">Return to the application without granting consent</button></form>'
    )
    return HTMLResponse(page("Need admin approval (simulated)", body, narrow=True))


def sorry(error: AuthorizePageError) -> HTMLResponse:
    """Microsoft's own page for an error that the application is not told."""
    body = f"<h1>We couldn't sign you in</h1><p>{html.escape(str(error))}</p>"
    return HTMLResponse(page("Sorry", body, narrow=True), 400)


def decline_form(query: dict[str, str], account: str) -> str:
    """The button with which the person goes back without signing in."""
    return (
        f'<form method="post">{hidden({**query, "account": account})}'
        '<button name="decision" value="decline" data-testid="sign-in-cancel">Cancel</button></form>'
    )


def hidden(query: dict[str, str]) -> str:
    """The parameters of a page, for the form on it."""
    text = html.escape(urlencode(query))
    return f'<input type="hidden" name="query" value="{text}">'
