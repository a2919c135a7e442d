"""The settings page alone in a real browser, its API answered here: every state a person can meet."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import BrowserContext, expect

from tests.e2e.product import APP, CRM, MAILBOX, MICROSOFT, Product, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_the_token_leaves_the_address_bar(person: BrowserContext, product: Product) -> None:
    """The link's token is taken out of the address at once and exchanged by a POST, never sent in an address."""
    page = await opened(person)
    await expect(page.get_by_test_id("connect").locator("visible=true")).to_be_visible()
    assert page.url == f"{APP}/api/settings?tenant=ten_1"
    ((method, _, headers, body),) = product.called("session")
    assert (method, json.loads(body or "")) == ("POST", {"token": "token", "tenant": "ten_1"})
    assert headers["content-type"] == "application/json"
    assert product.called("session/connection")[0][2]["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    ("status", "mailbox", "words"),
    [
        ("not_connected", None, "Connect your Outlook mailbox to send mails from Northwind"),
        ("connected", MAILBOX, "ann@northwind.example since 2 March 2026"),
        ("degraded", MAILBOX, "Microsoft tells us late about new mail"),
        ("reconnect_required", MAILBOX, "Mails wait until you sign in again."),
        ("disconnected", MAILBOX, "No mailbox is connected."),
    ],
)
async def test_each_status_in_plain_words(
    person: BrowserContext,
    product: Product,
    status: str,
    mailbox: dict[str, str] | None,
    words: str,
    width: int,
) -> None:
    """Every status of a connection has its own words on the settings page, at every width, with names as text."""
    product.status, product.mailbox = status, mailbox
    page = await opened(person)
    await page.set_viewport_size({"width": width, "height": 700})
    await expect(page.locator("body")).to_have_attribute("data-state", status)
    await expect(page.locator("#views")).to_contain_text(words, use_inner_text=True)
    await expect(page.locator("#whose")).to_have_text("Ann <Archer> · Northwind")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_connecting_in_another_window(person: BrowserContext, product: Product) -> None:
    """Connect opens Microsoft in a window of its own with a fresh ticket, and the frame notices the result."""
    crm = await person.new_page()
    await crm.goto(f"{CRM}/settings")
    frame = crm.frame_locator("iframe")
    async with person.expect_page() as opening:
        await frame.locator("[data-testid=connect]:visible").click()
    window = await opening.value
    await window.wait_for_url("http://localhost:7444/**")
    assert window.url == MICROSOFT
    assert await window.evaluate("window.opener") is None
    ((method, _, _, body),) = product.called("oauth/start")
    assert (method, body) == ("POST", "ticket=t1cket")
    await expect(frame.get_by_text("Go on in the other window.")).to_be_visible()
    product.status, product.mailbox = "connected", MAILBOX
    await expect(frame.locator("[data-testid=mailbox-address]:visible")).to_have_text("ann@northwind.example")
    await expect(frame.get_by_test_id("status")).to_have_text("Connected")


async def test_disconnecting_in_another_window(person: BrowserContext, product: Product) -> None:
    """Disconnect opens a window of its own that names mailbox and user, and the frame notices the result (W-6)."""
    product.status, product.mailbox = "connected", MAILBOX
    crm = await person.new_page()
    await crm.goto(f"{CRM}/settings")
    frame = crm.frame_locator("iframe")
    async with person.expect_page() as opening:
        await frame.locator("[data-testid=disconnect]:visible").click()
    window = await opening.value
    await expect(window.get_by_test_id("disconnect-address")).to_have_text("ann@northwind.example")
    assert await window.evaluate("window.opener") is None
    ((method, _, _, body),) = product.called("disconnect/start")
    assert (method, body) == ("POST", "ticket=t2cket")
    await expect(frame.get_by_text("Another window asks whether to disconnect.")).to_be_visible()
    product.status = "disconnected"
    await expect(frame.get_by_test_id("status")).to_have_text("Not connected")


async def test_update_email_in_another_window(person: BrowserContext, product: Product) -> None:
    """Update email leads to Microsoft like Connect, and the frame shows the new address when it is there (R6)."""
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    async with person.expect_page() as opening:
        await page.locator("[data-testid=update-email]:visible").click()
    await (await opening.value).wait_for_url("http://localhost:7444/**")
    await expect(page.locator("body")).to_have_attribute("data-state", "connecting")
    product.mailbox = {"id": "mbx_2", "address": "ann.archer@northwind.example"}
    address = page.locator("[data-testid=mailbox-address]:visible")
    await expect(address).to_have_text("ann.archer@northwind.example")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("cancelled", "The sign-in was cancelled."),
        ("admin_consent_required", "the other window has a link for them"),
        ("mailbox_taken", "This mailbox cannot be connected here."),
        ("no_mailbox", "Microsoft offers no mailbox for this account"),
        ("abandoned", "The sign-in was not finished."),
    ],
)
async def test_the_page_learns_what_became_of_the_other_window(
    person: BrowserContext, product: Product, outcome: str, words: str
) -> None:
    """As soon as the sign-in in the other window has come to nothing, the page says why and offers Connect again."""
    product.sign_in = {"outcome": "cancelled", "at": "2026-03-02T08:00:00Z"}
    page = await opened(person)
    await page.locator("[data-testid=connect]:visible").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "connecting")
    product.sign_in = {"outcome": "under_way", "at": "2026-03-02T09:00:00Z"}
    await page.wait_for_timeout(1_700)
    await expect(page.locator("body")).to_have_attribute("data-state", "connecting")
    product.sign_in = {"outcome": outcome, "at": "2026-03-02T09:01:00Z"}
    await expect(page.get_by_test_id("notice")).to_contain_text(words)
    await expect(page.locator("body")).to_have_attribute("data-state", "not_connected")


async def test_signing_in_again_with_the_same_account_ends_the_waiting(
    person: BrowserContext, product: Product
) -> None:
    """A repair changes neither address nor time, and the page notices all the same."""
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    await page.locator("[data-testid=update-email]:visible").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "connecting")
    product.sign_in = {"outcome": "confirmed", "at": "2026-03-02T09:01:00Z"}
    await expect(page.locator("body")).to_have_attribute("data-state", "connected")


async def test_giving_up_waiting(person: BrowserContext, product: Product) -> None:
    """A person who stops waiting for Microsoft comes back to where they were."""
    page = await opened(person)
    await page.locator("[data-testid=connect]:visible").click()
    await page.get_by_test_id("stop-waiting").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "not_connected")


async def test_the_keyboard_goes_on_where_the_page_changed(person: BrowserContext, product: Product) -> None:
    """By keyboard the next Tab after Connect leads to what took its place, not back to the top."""
    page = await opened(person)
    connect = page.locator("[data-testid=connect]:visible")
    await expect(connect).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(connect).to_be_focused()
    async with person.expect_page():
        await page.keyboard.press("Enter")
    await page.bring_to_front()
    await expect(page.locator("[data-view=connecting]")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("connect-again")).to_be_focused()


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_a_used_link_says_so(person: BrowserContext, product: Product, status: int) -> None:
    """A settings link that was used or is too old is explained, with the way to a new one."""
    product.answers["session"] = status
    page = await opened(person)
    await expect(page.get_by_text("This link was used already or is too old.")).to_be_visible()


async def test_without_a_token(person: BrowserContext, product: Product) -> None:
    """Without a token (as after a reload) the page asks nothing and sends the person back to the CRM."""
    page = await opened(person, token="")
    await expect(page.get_by_text("Open the email settings in your CRM again.").first).to_be_visible()
    assert product.called("session") == []


async def test_a_session_that_ended(person: BrowserContext, product: Product) -> None:
    """When its session is over, the settings page says so instead of showing an old status."""
    page = await opened(person)
    product.answers["session/start-tickets"] = 401
    await page.locator("[data-testid=connect]:visible").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "session_over")
    await expect(page.get_by_test_id("status")).to_be_hidden()


async def test_without_a_network(person: BrowserContext, product: Product) -> None:
    """When our side cannot be reached, the same settings link can be tried again."""
    product.unreachable = True
    page = await opened(person)
    await expect(page.get_by_test_id("try-again")).to_be_visible()
    product.unreachable = False
    await page.get_by_test_id("try-again").click()
    await expect(page.locator("[data-testid=connect]:visible")).to_be_visible()


async def test_a_fault_while_connecting_is_said(person: BrowserContext, product: Product) -> None:
    """When no start ticket can be had, no window opens, and the person is told and stays where they were."""
    page = await opened(person)
    product.answers["session/start-tickets"] = 503
    await page.locator("[data-testid=connect]:visible").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Try again in a minute")
    await expect(page.locator("body")).to_have_attribute("data-state", "not_connected")
    assert len(person.pages) == 1
