"""HTTP: the page that tells what came of a sign-in or a disconnect, and the cookie that binds a window to it.

Whatever a person posts leads on to this page by a 303, so that loading it again repeats nothing. The outcome lies in a
row that only the browser's cookie finds; neither it nor an address ever stands in a URL.
"""

from __future__ import annotations

import re
from contextlib import suppress
from html import escape
from string import Template
from typing import Final
from urllib.parse import parse_qs

import azure.functions as func

from functions.boundary import SECURITY_HEADERS, page, public
from functions.outcomes import EITHER, WORDS, outcome_of
from functions.pages import template
from shared.bootstrap import services
from shared.domain.errors import InvalidRequest, LinkUnusable, PostbraidError
from shared.domain.model import CrmUser, Tenant
from shared.sync.connect.results import (
    UNDER_WAY,
    ShownResult,
    end_result,
    find_result,
    is_asked,
    wait_for_result,
)

bp = func.Blueprint()

COOKIE: Final = "__Host-oauth"
COOKIE_SECONDS: Final = 600
ALONE: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@bp.route(route="oauth/result", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def show_result(req: func.HttpRequest) -> func.HttpResponse:
    """What came of what this browser did last; loading it again shows the same."""
    secret = cookie_of(req)
    try:
        found = await wait_for_result(services(), secret)
        if found is None and await is_asked(services(), secret):
            return see_other("oauth/confirm")
    except PostbraidError as err:
        return outcome_page(EITHER, err)
    return result_page(found.purpose, found.outcome, found.detail, found, 200) if found else nothing_page()


@bp.route(route="oauth/admin-consent", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def show_admin_consent_page(req: func.HttpRequest) -> func.HttpResponse:
    """Where an administrator comes back to: a page that believes and changes nothing, whatever its query says."""
    del req
    return page(template("admin_consent.html"), ALONE)


async def told(purpose: str, secret: str | None, outcome: str, detail: str = "") -> func.HttpResponse:
    """Lead on to the page that tells this; where nothing of this browser is known or can be kept, tell it here."""
    with suppress(PostbraidError):
        if await end_result(services(), secret, outcome, detail):
            return see_result(secret)
    return result_page(purpose, outcome, detail)


async def refused(
    purpose: str, secret: str | None, err: PostbraidError, *, question_too: bool = False
) -> func.HttpResponse:
    """The same of an error; a second try of what was done already leads to what came of the first.

    `question_too`: or to the question that waits for an answer.
    """
    if isinstance(err, LinkUnusable):
        s = services()
        with suppress(PostbraidError):
            if await find_result(s, secret) or (question_too and await is_asked(s, secret)):
                return see_result(secret)
        return outcome_page(purpose, err)
    outcome = outcome_of(purpose, err)
    shown = await told(purpose, secret, outcome or "unclear", err.detail)
    if outcome is None:
        raise err
    return shown


def outcome_page(purpose: str, err: PostbraidError) -> func.HttpResponse:
    """What a person reads instead of a problem document; Microsoft's own texts are never shown (O-9)."""
    outcome = outcome_of(purpose, err)
    if outcome is None:
        raise err
    return result_page(purpose, outcome, err.detail)


def result_page(
    purpose: str, outcome: str, detail: str = "", known: ShownResult | None = None, status: int | None = None
) -> func.HttpResponse:
    """The page that says what came of it. `detail` is an address or a sentence of ours; `known`: whose it is."""
    words = WORDS[purpose][outcome]
    product = escape(known.tenant.product if known else "your CRM")
    values = {"detail": breakable(detail), "product": product}
    said = {
        name: Template(escape(text)).substitute(values)
        for name, text in (("title", words.title), ("text", words.text), ("onward", words.onward))
    }
    html = Template(template("result.html")).substitute(
        said,
        outcome=escape(outcome),
        whose=escape(whose(known.user, known.tenant)) if known else "",
        back=back_link(known.tenant) if known else "",
        consent=consent_block(known.consent_link) if known and known.consent_link else "",
        again=template("look_again.html") if outcome == UNDER_WAY else "",
    )
    return page(html, ALONE, status=status or words.status)


def consent_block(link: str) -> str:
    """A link that the person hands to an administrator, and what it grants."""
    return Template(template("consent_link.html")).substitute(link=escape(link))


def nothing_page() -> func.HttpResponse:
    """Nothing is known of this browser, or no longer."""
    return result_page(EITHER, "nothing_here")


def whose(user: CrmUser, tenant: Tenant) -> str:
    """The names of user, CRM and account."""
    names = (user.display_name or user.user_id, tenant.product_name, tenant.name)
    return " · ".join(dict.fromkeys(name for name in names if name))


def breakable(text: str) -> str:
    """An address as HTML in which a narrow line ends after a dot or the @, not in the middle of a word."""
    return re.sub(r"([@.])(?=\S)", r"\1<wbr>", escape(text))


def back_link(tenant: Tenant) -> str:
    """The link to the address that the tenant registered, if any; never to one of a request (O-5)."""
    if tenant.return_url is None:
        return ""
    return Template(template("back_link.html")).substitute(
        url=escape(tenant.return_url), product=escape(tenant.product)
    )


def see_result(secret: str | None) -> func.HttpResponse:
    """To the page that tells what came of it, which this browser may load for ten minutes more."""
    response = see_other("oauth/result")
    response.headers.add("Set-Cookie", set_cookie(secret or "", COOKIE_SECONDS))
    return response


def see_other(path: str) -> func.HttpResponse:
    """To another page of ours, by a GET."""
    headers = {**SECURITY_HEADERS, "Location": f"{services().addresses.api}/{path}"}
    return func.HttpResponse(status_code=303, headers=headers)


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
