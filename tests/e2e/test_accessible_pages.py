"""No page of the product breaks a rule of axe: every view, light and dark."""

from __future__ import annotations

from string import Template

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from functions.outcomes import EITHER, WORDS
from functions.results import ALONE, result_page
from shared.domain.model import CrmUser, Tenant
from shared.sync.connect.results import ShownResult
from tests.e2e.accessible import faults
from tests.e2e.product import APP, MAILBOX, PAGES, Product, opened
from tests.e2e.test_settings_contents import BACK, thread

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TENANT = Tenant("ten_1", "Northwind", "https://crm.example/hook", product_name="Acme CRM", return_url=BACK)
LINK = "https://login.example/organizations/v2.0/adminconsent?client_id=c"
NAMES = {
    "address": MAILBOX["address"],
    "user": "Ann",
    "tenant": "Northwind",
    "product": "Acme CRM",
    "whose": "Ann · Acme CRM · Northwind",
    "warning": "Your CRM does not know this address as one of Ann's.",
    "csrf_token": "c",
    "url": "/api/settings",
}


async def judged(page: Page) -> None:
    """In both colour schemes the page breaks no rule, and wide or narrow it fits its window."""
    for width in (1280, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await faults(page) == [], scheme


async def test_a_rule_that_is_broken_is_found(person: BrowserContext) -> None:
    """A picture without words and a text that hardly differs from its ground are named."""
    page = await shown(person, '<img src="settings.css"><font color="#eeeeee">Hello</font>')
    found = " ".join(await faults(page))
    for rule in ("image-alt", "color-contrast", "document-title"):
        assert rule in found


@pytest.mark.parametrize(
    "status", ["not_connected", "connected", "degraded", "reconnect_required", "disconnected"]
)
async def test_each_status_of_the_settings_page(
    person: BrowserContext, product: Product, status: str
) -> None:
    """Every status, with its threads open where it has some."""
    product.status, product.mailbox = status, None if status == "not_connected" else MAILBOX
    product.threads = [thread(1), thread(2, "stopped"), thread(3)]
    product.tenant |= {"product_name": "Acme CRM", "return_url": BACK}
    page = await opened(person)
    await expect(page.locator("body")).to_have_attribute("data-state", status)
    if status in ("connected", "degraded"):
        await page.get_by_test_id("threads").locator("summary").click()
        await expect(page.get_by_test_id("thread")).to_have_count(2)
    await judged(page)


@pytest.mark.parametrize(
    "view", ["connecting", "disconnecting", "session_over", "link_unusable", "unreachable"]
)
async def test_each_other_view_of_the_settings_page(
    person: BrowserContext, product: Product, view: str
) -> None:
    """While another window is open, and when there is nothing to show."""
    product.status, product.mailbox = "connected", MAILBOX
    product.tenant |= {"return_url": BACK}
    product.unreachable = view == "unreachable"
    page = await opened(person, "" if view == "link_unusable" else "#token")
    if view == "session_over":
        product.answers["session/start-tickets"] = 401
    if view in ("connecting", "session_over"):
        await page.locator("[data-testid=update-email]:visible").click()
    if view == "disconnecting":
        await page.locator("[data-testid=disconnect]:visible").click()
    await expect(page.locator("body")).to_have_attribute("data-state", view)
    await page.bring_to_front()
    await judged(page)


async def shown(person: BrowserContext, html: str) -> Page:
    """A page of ours that is not the settings page."""

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name == "shown":
            headers = {"content-security-policy": ALONE}
            await route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=headers)
        else:
            await route.fulfill(body=(PAGES / name).read_bytes(), content_type="text/css")

    await person.route(f"{APP}/**", answer)
    page = await person.new_page()
    await page.goto(f"{APP}/api/shown")
    return page


@pytest.mark.parametrize(
    "name", ["confirm.html", "disconnect.html", "admin_consent.html", "oauth_opening.html"]
)
async def test_the_pages_that_ask(person: BrowserContext, name: str) -> None:
    """Confirm, disconnect, the page after an administrator's approval, and the one that leads on at once."""
    html = Template((PAGES / name).read_text(encoding="utf-8")).substitute(NAMES)
    await judged(await shown(person, html.replace('http-equiv="refresh"', 'name="refresh"')))


RESULTS = [(purpose, outcome) for purpose, words in WORDS.items() for outcome in words]


@pytest.mark.parametrize(("purpose", "outcome"), RESULTS)
async def test_the_pages_that_tell(person: BrowserContext, purpose: str, outcome: str) -> None:
    """Every outcome of a sign-in and of a disconnect."""
    link = LINK if outcome == "admin_consent_required" else ""
    detail = "This mailbox cannot be connected here." if outcome == "taken" else MAILBOX["address"]
    known = ShownResult(TENANT, CrmUser("u_ann", "Ann"), purpose, outcome, detail, link)
    html = result_page(purpose, outcome, detail, None if purpose == EITHER else known).get_body().decode()
    await judged(await shown(person, html))
