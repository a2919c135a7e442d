"""What the settings page shows and tells beyond the status: names, rules, times, threads, its height, the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.product import APP, CRM, MAILBOX, Product, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ANOTHER = "https://another.example"
BACK = "https://crm.example/me"


def thread(number: int, status: str = "syncing") -> dict[str, Any]:
    return {
        "id": f"thr_{number}",
        "subject": f"Offer <{number}>",
        "people": ["bea@fabrikam.example", "cy@fabrikam.example"],
        "status": status,
        "stopped_at": "2026-03-02T09:00:00Z" if status == "stopped" else None,
        "last_activity_at": "2026-03-02T08:00:00Z",
    }


async def replaced_link(page: Page, token: str) -> None:
    """The CRM puts a fresh link into the page that is open."""
    await page.evaluate("(token) => { location.hash = token; }", token)


async def test_the_product_is_named_beside_the_account(person: BrowserContext, product: Product) -> None:
    """The page says whose settings it shows, and calls the CRM as its users know it."""
    product.tenant |= {"product_name": "Acme CRM"}
    page = await opened(person)
    await expect(page.locator("#whose")).to_have_text("Ann <Archer> · Acme CRM · Northwind")
    await expect(page.locator("#views")).to_contain_text("send mails from Acme CRM", use_inner_text=True)
    await expect(page.get_by_role("heading", level=1)).to_have_text(["Email (2-way sync)"])


@pytest.mark.parametrize("status", ["not_connected", "connected"])
async def test_the_rules_are_on_the_page(person: BrowserContext, product: Product, status: str) -> None:
    """Size, types and whose threads sync are said before and after connecting."""
    product.status, product.mailbox = status, MAILBOX if status == "connected" else None
    page = await opened(person)
    rules = page.get_by_test_id("rules")
    await expect(rules).to_contain_text("first mail you send from Northwind")
    await expect(rules).to_contain_text("Not a thread that was begun in your mailbox.")
    types = "JPG, JPEG, PNG, MP4, MPEG, ZIP, RAR, PDF, DOC, DOCX and TXT"
    await expect(rules).to_contain_text(f"up to 3 MB each, of the types {types}")


async def test_times_and_reasons_are_said_when_they_are_known(
    person: BrowserContext, product: Product
) -> None:
    """When mail last synced, and why it is late; without either the page says what it always said."""
    product.status, product.mailbox = "degraded", MAILBOX
    page = await opened(person)
    await expect(page.locator("[data-testid=reason]:visible")).to_contain_text("Microsoft tells us late")
    await expect(page.locator("[data-testid=last-synced]:visible")).to_have_count(0)
    at = (datetime.now(UTC) - timedelta(seconds=150)).isoformat()
    reason = {"code": "a_reason_of_tomorrow", "detail": "Microsoft is on holiday."}
    product.more = {"last_synced_at": at, "reason": reason}
    page = await opened(person)
    await expect(page.locator("[data-testid=last-synced]:visible")).to_have_text(
        "Last mail synced 2 minutes ago."
    )
    await expect(page.locator("[data-testid=reason]:visible")).to_have_text(reason["detail"])
    product.more = {
        "last_synced_at": at,
        "reason": {"code": "microsoft_does_not_answer", "detail": "Of the user's mailbox."},
    }
    page = await opened(person)
    await expect(page.locator("[data-testid=reason]:visible")).to_contain_text("has not answered for an hour")
    product.status, product.more = "reconnect_required", {"last_synced_at": None, "reason": None}
    page = await opened(person)
    await expect(page.locator("[data-testid=last-synced]:visible")).to_have_text("No mail has synced yet.")
    await expect(page.locator("[data-testid=reason]:visible")).to_contain_text("no longer accepts")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((41, 41, 0), "Northwind knows all 41 mails of your active threads."),
        ((1, 1, 0), "Northwind knows the one mail of your active threads."),
        (
            (41, 41, 2),
            "Northwind knows all 41 mails of your active threads. 2 of them did not sync.",
        ),
        (
            (41, 40, 0),
            "Northwind knows 40 of 41 mails of your active threads. The rest is looked at again by itself.",
        ),
    ],
)
async def test_what_the_audit_found_is_said(
    person: BrowserContext, product: Product, counts: tuple[int, int, int], said: str
) -> None:
    """The completeness figure is said in words once there is one; before the first audit there is no line."""
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    line = page.locator("[data-testid=completeness]:visible")
    await expect(line).to_have_count(0)
    at = (datetime.now(UTC) - timedelta(hours=3, minutes=5)).isoformat()
    in_mailbox, told, not_synced = counts
    figure = {
        "audited_at": at,
        "threads": 7,
        "in_mailbox": in_mailbox,
        "told": told,
        "not_synced": not_synced,
        "found_late": 0,
    }
    product.more = {"completeness": figure}
    page = await opened(person)
    await expect(page.locator("[data-testid=completeness]:visible")).to_have_text(
        f"Checked 3 hours ago: {said}"
    )


async def test_a_fresh_link_in_an_open_page(person: BrowserContext, product: Product) -> None:
    """The old session ends first, then the new link is exchanged; neither token stays in the address bar."""
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    address = page.locator("[data-testid=mailbox-address]:visible")
    await expect(address).to_have_text("ann@northwind.example")
    product.calls.clear()
    product.mailbox = {"id": "mbx_2", "address": "bob@northwind.example"}
    await replaced_link(page, "another")
    await expect(address).to_have_text("bob@northwind.example")
    assert page.url == f"{APP}/api/settings?tenant=ten_1"
    sessions = [(call[0], call[3], call[2].get("authorization")) for call in product.called("session")]
    assert sessions == [
        ("DELETE", None, "Bearer s3cret"),
        ("POST", '{"token":"another","tenant":"ten_1"}', None),
    ]


async def test_a_fresh_link_that_is_refused_leaves_no_data(person: BrowserContext, product: Product) -> None:
    """Where the new link opens nothing, nothing of the former user is left on the page."""
    product.status, product.mailbox = "connected", MAILBOX
    product.threads = [thread(1)]
    page = await opened(person)
    await page.get_by_test_id("threads").locator("summary").click()
    await expect(page.get_by_test_id("thread")).to_have_count(1)
    product.answers["session"] = 409
    await replaced_link(page, "another")
    await expect(page.locator("body")).to_have_attribute("data-state", "link_unusable")
    text = await page.evaluate("document.documentElement.innerHTML")
    for word in ("ann@northwind.example", "Ann", "Northwind", "fabrikam", "Offer", "2 March"):
        assert word not in text


async def test_the_height_is_told_to_registered_origins_only(
    person: BrowserContext, product: Product
) -> None:
    """The frame's parent learns the height, again when it changes; a parent that is not registered learns nothing."""
    crm = await person.new_page()
    await crm.goto(f"{CRM}/settings")
    frame = crm.frame_locator("iframe")
    await expect(frame.locator("[data-testid=connect]:visible")).to_be_visible()
    height = await frame.locator("html").evaluate("node => Math.ceil(node.getBoundingClientRect().height)")
    await crm.wait_for_function(f"told.length && told.at(-1)[1].height === {height}")
    told = await crm.evaluate("told")
    assert {origin for origin, _ in told} == {APP}
    assert {frozenset(data) for _, data in told} == {frozenset({"type", "height"})}
    assert {data["type"] for _, data in told} == {"postbraid:height"}
    product.tenant |= {"frame_origins": [ANOTHER]}
    await crm.reload()
    await expect(frame.locator("[data-testid=connect]:visible")).to_be_visible()
    await crm.wait_for_timeout(500)
    assert await crm.evaluate("told") == []


async def test_when_its_time_is_over_the_page_leads_back(person: BrowserContext, product: Product) -> None:
    """A session that ended leaves no address on the page, and a link to the registered address in the top window."""
    product.tenant |= {"return_url": BACK, "product_name": "Acme CRM"}
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    await expect(page.locator("[data-testid=mailbox-address]:visible")).to_be_visible()
    product.answers["session/start-tickets"] = 401
    await page.get_by_test_id("update-email").click()
    back = page.get_by_role("link", name="Back to Acme CRM")
    await expect(back).to_have_attribute("href", BACK)
    await expect(back).to_have_attribute("target", "_top")
    assert MAILBOX["address"] not in await page.evaluate("document.documentElement.innerHTML")


async def test_without_a_registered_address_nothing_leads_back(
    person: BrowserContext, product: Product
) -> None:
    """No address of a query or a referrer takes its place."""
    page = await opened(person)
    product.answers["session/start-tickets"] = 401
    await page.locator("[data-testid=connect]:visible").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "session_over")
    await expect(page.get_by_test_id("back")).to_be_hidden()


async def test_threads_are_listed_stopped_and_resumed(person: BrowserContext, product: Product) -> None:
    """The list opens on demand, page by page; a thread is stopped and resumed where it stands, by keyboard too."""
    product.status, product.mailbox = "connected", MAILBOX
    product.threads = [thread(1), thread(2, "stopped"), thread(3)]
    page = await opened(person)
    room, rows = page.get_by_test_id("threads"), page.get_by_test_id("thread")
    await expect(room.locator("summary")).to_be_visible()
    assert product.called("session/threads") == []
    await room.locator("summary").focus()
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text("Offer <1>")
    await expect(rows.nth(0)).to_contain_text("bea@fabrikam.example, cy@fabrikam.example")
    await expect(rows.nth(1)).to_contain_text("Stopped")
    await expect(room).to_contain_text("mail that was received in between stays out")
    stop = rows.nth(0).get_by_role("button", name="Stop syncing")
    await expect(stop).to_have_accessible_description("Offer <1>")
    await stop.focus()
    await page.keyboard.press("Enter")
    await expect(rows.nth(0)).to_have_attribute("data-status", "stopped")
    await expect(rows.nth(0).get_by_role("button", name="Resume")).to_be_focused()
    await rows.nth(1).get_by_role("button", name="Resume").click()
    await expect(rows.nth(1)).to_have_attribute("data-status", "syncing")
    await page.get_by_test_id("more-threads").click()
    await expect(rows).to_have_count(3)
    await expect(page.get_by_test_id("more-threads")).to_be_hidden()


async def test_no_threads_yet(person: BrowserContext, product: Product) -> None:
    """An empty list says how the first thread begins; one that cannot be loaded says so."""
    product.status, product.mailbox = "connected", MAILBOX
    page = await opened(person)
    await page.get_by_test_id("threads").locator("summary").click()
    await expect(page.get_by_test_id("no-threads")).to_contain_text("a mail that you send from Northwind")
    product.answers["session/threads"] = 503
    await page.get_by_test_id("threads").locator("summary").click()
    await page.get_by_test_id("threads").locator("summary").click()
    await expect(page.locator("#thread-problem")).to_contain_text("cannot be loaded now")
