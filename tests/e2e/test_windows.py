"""The windows of sign-in and disconnect on a whole world of processes, and axe on every page of that world."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, FrameLocator, Page, expect

from sandbox.story.beginning import play
from sandbox.story.playing import staged
from sandbox.world import World, WorldOptions
from tests.e2e.accessible import faults

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

ANN = "ann@northwind.example"
BOB = "bob@northwind.example"
CARLA = "carla@contoso-customer.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """Ann is connected and has a thread with Carla; Bob is not connected."""
    async with World.start(WorldOptions()) as world:
        await play(world)
        yield world


async def judged(page: Page) -> None:
    """The page breaks no rule, light or dark; mails in it are their senders' and are left out."""
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await faults(page) == [], (page.url, scheme)


async def as_bob(world: World, person: BrowserContext) -> tuple[Page, FrameLocator]:
    """Bob's profile in the CRM, with the settings page in its frame."""
    crm = await person.new_page()
    await crm.goto(world.crm_url)
    await crm.get_by_test_id("user-menu").click()
    switch = crm.get_by_role("button", name="Switch to Bob Baker")
    if await switch.count():
        await switch.click()
    await crm.goto(f"{world.crm_url}/settings/profile")
    await crm.get_by_test_id("provider-outlook").click()
    return crm, crm.frame_locator("[data-testid=settings-frame]")


async def pressed(person: BrowserContext, settings: FrameLocator, button: str) -> Page:
    """The window that a button of the settings page opens."""
    async with person.expect_page() as opening:
        await settings.locator(f"[data-testid={button}]:visible").click()
    return await opening.value


async def outcome(window: Page, said: str) -> None:
    await expect(window.get_by_test_id("result-title")).to_have_attribute("data-outcome", said)


async def test_an_administrator_approves_for_the_organisation(world: World, person: BrowserContext) -> None:
    """Bob is stopped, hands the link on, an administrator approves, and Bob connects without being asked again."""
    async with staged(world) as stage:
        await stage.sim.put("/__control/user-consent", json={"allowed": False})
    _, settings = await as_bob(world, person)
    window = await pressed(person, settings, "connect")
    await expect(window.get_by_test_id(f"account-{BOB}")).to_be_visible()
    await judged(window)
    await window.get_by_test_id(f"account-{BOB}").click()
    await expect(window.get_by_text("Need admin approval").first).to_be_visible()
    await judged(window)
    await window.get_by_test_id("return-without").click()
    await outcome(window, "admin_consent_required")
    await judged(window)
    await expect(settings.get_by_test_id("notice")).to_contain_text("only administrators approve this")
    link = await window.get_by_test_id("consent-address").input_value()
    assert "state" not in link
    assert BOB not in link

    administrator = await person.browser.new_context()  # type: ignore[union-attr]  # launched by us
    page = await administrator.new_page()
    await page.goto(link)
    await page.get_by_test_id(f"account-{ANN}").click()
    await expect(page.get_by_test_id("approve")).to_be_visible()
    await judged(page)
    await page.get_by_test_id("approve").click()
    await expect(page.get_by_text("If you approved")).to_be_visible()
    await judged(page)
    await administrator.close()

    await window.close()
    window = await pressed(person, settings, "connect")
    await window.get_by_test_id(f"account-{BOB}").click()
    await expect(window.get_by_test_id("confirm-address")).to_have_text(BOB)
    await expect(window.get_by_test_id("whose")).to_have_text("Bob Baker · Fernhill · Northwind")
    await judged(window)


async def test_another_account_a_second_look_and_the_way_back(world: World, person: BrowserContext) -> None:
    """Bob picks the wrong account first; the result survives F5, the back button and a second tab, and leads back."""
    async with staged(world) as stage:
        await stage.sim.put("/__control/user-consent", json={"allowed": True})
        await stage.control("POST", "users", address="old.bob@northwind.example", display_name="Old Bob")
    crm, settings = await as_bob(world, person)
    window = await pressed(person, settings, "connect")
    await window.get_by_test_id("account-old.bob@northwind.example").click()
    await window.get_by_test_id("consent-accept").click()
    await expect(window.get_by_test_id("confirm-warning")).to_contain_text("does not know this address")
    await window.get_by_test_id("confirm-another").click()
    await window.get_by_test_id(f"account-{BOB}").click()
    await window.get_by_test_id("consent-accept").click()
    await expect(window.get_by_test_id("confirm-address")).to_have_text(BOB)
    await window.get_by_test_id("confirm-connect").click()
    await outcome(window, "connected")
    address = window.url
    assert address.endswith("/api/oauth/result")
    await window.reload()
    await outcome(window, "connected")
    await window.go_back()
    await outcome(window, "connected")
    second = await person.new_page()
    await second.goto(address)
    await outcome(second, "connected")
    await second.get_by_test_id("back").click()
    await expect(second).to_have_url(f"{world.crm_url}/settings/profile")
    await expect(settings.locator("[data-testid=mailbox-address]:visible")).to_have_text(BOB)

    await crm.bring_to_front()
    window = await pressed(person, settings, "disconnect")
    await expect(window.get_by_test_id("confirm-disconnect")).to_be_visible()
    await judged(window)
    await window.get_by_test_id("confirm-disconnect").click()
    await outcome(window, "disconnected")
    await judged(window)
    await window.reload()
    await outcome(window, "disconnected")
    await expect(settings.get_by_test_id("status")).to_have_text("Not connected")


async def test_a_thread_is_stopped_and_resumed_on_the_page(world: World, person: BrowserContext) -> None:
    """Ann finds her thread with Carla by subject and people, stops it and lets it go on."""
    crm = await person.new_page()
    await crm.goto(f"{world.crm_url}/settings/profile")
    await crm.get_by_test_id("provider-outlook").click()
    settings = crm.frame_locator("[data-testid=settings-frame]")
    await expect(settings.locator("[data-testid=last-synced]:visible")).to_contain_text("Last mail synced")
    await settings.get_by_test_id("threads").locator("summary").click()
    row = settings.get_by_test_id("thread").first
    await expect(row).to_contain_text(CARLA)
    await expect(settings.get_by_test_id("rules")).to_be_visible()
    fits = "node => node.scrollHeight <= window.innerHeight && node.scrollHeight > 500"
    await settings.locator("html").evaluate(
        f"async (node) => {{ while (!({fits})(node)) await new Promise(requestAnimationFrame); }}"
    )
    await row.get_by_role("button", name="Stop syncing").click()
    await expect(row).to_have_attribute("data-status", "stopped")
    await row.get_by_role("button", name="Resume").click()
    await expect(row).to_have_attribute("data-status", "syncing")


async def test_the_offer_is_shown_as_it_was_written(world: World, person: BrowserContext) -> None:
    """Carla's Outlook and the CRM show the offer with its logo, its button and its signature."""
    page = await person.new_page()
    places = {
        f"{world.crm_url}/conversations": ("conversation", "[data-testid=message-body]"),
        f"{world.sim_http_url}/outlook/outside/{CARLA}": ("message", "[data-testid=message-body]"),
    }
    for address, (row, frame) in places.items():
        await page.goto(address)
        await page.get_by_test_id(row).first.click()
        if row == "message":
            await page.get_by_test_id("message").filter(has_text="here is our offer").last.click()
        mail = page.frame_locator(frame).first
        await expect(mail.get_by_role("link", name="Accept the offer")).to_have_css(
            "background-color", "rgb(31, 107, 88)"
        )
        await expect(mail.get_by_text("Northwind Traders")).to_be_visible()
        logo = mail.get_by_role("img", name="Northwind")
        await expect(logo).to_have_js_property("complete", value=True)
        assert await logo.evaluate("picture => picture.naturalWidth") == 112


async def test_no_page_of_the_world_breaks_a_rule(world: World, person: BrowserContext) -> None:
    """The demo CRM's pages, its settings with the frame, and the simulated Microsoft 365, with a mail open."""
    page = await person.new_page()
    for path in ("/contacts", "/conversations", "/conversations/new", "/activity", "/nowhere"):
        await page.goto(f"{world.crm_url}{path}")
        await judged(page)
    await page.goto(f"{world.crm_url}/conversations")
    await page.get_by_test_id("conversation").first.click()
    await expect(page.get_by_test_id("message").first).to_be_visible()
    await judged(page)
    await page.goto(f"{world.crm_url}/settings/profile")
    await page.get_by_test_id("provider-outlook").click()
    await expect(page.frame_locator("[data-testid=settings-frame]").get_by_test_id("status")).to_be_visible()
    await judged(page)
    for path in ("/outlook", "/overview", "/outlook/nobody@x.example"):
        await page.goto(f"{world.sim_http_url}{path}")
        await judged(page)
    for path in (f"/outlook/{ANN}", f"/outlook/outside/{CARLA}"):
        await page.goto(f"{world.sim_http_url}{path}")
        await page.get_by_test_id("message").first.click()
        await expect(page.get_by_test_id("reply")).to_be_visible()
        await judged(page)
        await page.get_by_test_id("reply").click()
        await judged(page)
