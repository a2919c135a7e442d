"""What a person reads in the window of a sign-in or a disconnect, and the cookie that binds the window to it."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final
from urllib.parse import parse_qs

import azure.functions as func

from functions.boundary import page
from functions.pages import template
from shared.domain.errors import (
    Ambiguous,
    Conflict,
    ConnectionChanged,
    GrantDead,
    InvalidRequest,
    LinkUnusable,
    MailboxTaken,
    MailboxUnusable,
    MessageRefused,
    PostbraidError,
    ProviderUnavailable,
    RowChanged,
    RowExists,
    RowMissing,
    SignInFailed,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)

COOKIE: Final = "__Host-oauth"
ALONE: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# The first class that fits wins.
OUTCOMES: Final[dict[type[PostbraidError], str]] = {
    LinkUnusable: "link_unusable",
    **dict.fromkeys((MailboxTaken, ConnectionChanged), "taken"),
    MailboxUnusable: "unusable",
    ProviderUnavailable: "try_again",
    Throttled: "try_again",
    **dict.fromkeys((Unavailable, Ambiguous, RowChanged, RowExists, RowMissing), "unclear"),
    **dict.fromkeys((Conflict, InvalidRequest, GrantDead, MessageRefused, UpstreamSurprise), "failed"),
}

RESULTS: Final[dict[str, tuple[int, str, str]]] = {
    "connected": (200, "Mailbox connected", "$detail is connected. You can close this window."),
    "disconnected": (
        200,
        "Mailbox disconnected",
        "$detail no longer syncs. What synced before stays where it is. You can close this window.",
    ),
    "declined": (
        200,
        "Nothing was connected",
        "You said no, and nothing was changed. You can close this window.",
    ),
    "admin_consent_required": (
        200,
        "Your administrator has to agree first",
        "Your organisation lets only administrators approve this. Ask yours, then connect again.",
    ),
    "organisation_not_allowed": (
        409,
        "Not connected",
        "Mailboxes of this organisation cannot be connected here. Nothing was changed.",
    ),
    "taken": (409, "Not connected", "$detail Nothing was changed. You can close this window."),
    "unusable": (
        409,
        "Not connected",
        "Microsoft offers no mailbox for this account that a program may use. Nothing was changed.",
    ),
    "link_unusable": (
        410,
        "This link was used already or is too old",
        "Go back to your CRM's settings and press Connect again.",
    ),
    "try_again": (503, "Microsoft did not answer", "Nothing was changed. Press Connect again in a minute."),
    "unclear": (
        503,
        "That did not work just now",
        "Go back to your CRM's settings in a minute. If no mailbox is shown as connected there, press Connect again.",
    ),
    "failed": (
        400,
        "The sign-in did not complete",
        "Nothing was changed. Press Connect again in your CRM's settings.",
    ),
}


def outcome_page(err: PostbraidError) -> func.HttpResponse:
    """What a person reads instead of a problem document; Microsoft's own texts are never shown (O-9)."""
    if isinstance(err, SignInFailed):
        return result_page(err.reason if err.reason in RESULTS else "failed")
    for kind, outcome in OUTCOMES.items():
        if isinstance(err, kind):
            return result_page(outcome, err.detail)
    raise err


def result_page(outcome: str, detail: str = "") -> func.HttpResponse:
    """The page that says what came of it. `detail` is an address or a sentence of ours."""
    status, title, text = RESULTS[outcome]
    said = Template(text).substitute(detail=detail)
    html = Template(template("result.html")).substitute(
        outcome=escape(outcome), title=escape(title), text=escape(said)
    )
    return page(html, ALONE, status=status)


def read_form(req: func.HttpRequest) -> dict[str, str]:
    """A small form, each name once. Raises InvalidRequest."""
    try:
        fields = parse_qs(req.get_body().decode("ascii"), strict_parsing=True, max_num_fields=30)
    except (ValueError, UnicodeDecodeError) as err:
        raise InvalidRequest("This is not a form.") from err
    if any(len(values) > 1 for values in fields.values()):
        raise InvalidRequest("A field came twice.")
    return {name: values[0] for name, values in fields.items()}


def set_cookie(value: str, max_age_seconds: int) -> str:
    """Binds a browser to its sign-in; SameSite=None because the callback is a cross-site form_post (O-3)."""
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=None"


def cookie_of(req: func.HttpRequest) -> str | None:
    """Our own cookie, whatever else programs of this host have set; the platform joins several headers by commas."""
    for pair in (req.headers.get("cookie") or "").replace(",", ";").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None
