"""The article lived in a browser: demo CRM, settings page, Microsoft's pages and Outlook, on real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, FrameLocator, Locator, Page, expect

from sandbox.story.connecting import connect
from sandbox.story.playing import staged
from sandbox.world import World, WorldOptions

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

ANN = "ann@northwind.example"
BOB = "bob@northwind.example"
CARLA = "carla@contoso-customer.example"
DEV = "dev@fabrikam-customer.example"
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + b"\0" * 64
THREE_MB = 3_145_728
SYNCED_MS = 45_000
"""How long a mail may take from one side to the other on a busy machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """A world with two mailboxes at Microsoft and two contacts elsewhere; nobody is connected."""
    async with World.start(WorldOptions()) as world, staged(world) as stage:
        await stage.control("POST", "users", address=ANN, display_name="Ann Archer")
        await stage.control("POST", "users", address=BOB, display_name="Bob Baker")
        await stage.control("POST", "contacts", address=CARLA, name="Carla Cliente")
        await stage.control("POST", "contacts", address=DEV, name="Dev Das")
        yield world


async def test_connect_write_and_see_both_sides_answer(world: World, person: BrowserContext) -> None:
    """After a user has connected, what contact, user and CRM write appears on all sides by itself."""
    crm = await person.new_page()
    await _connect(world, crm, person)

    await _write(crm, CARLA, "Offer for spring", "Dear Carla, here is our offer.", ("offer.pdf", PDF))
    ours = crm.get_by_test_id("message")
    await expect(ours).to_have_attribute("data-status", "sent", timeout=SYNCED_MS)
    await crm.evaluate("window.sameDocument = true")

    carla = await _mail_program(person, f"{world.sim_http_url}/outlook/outside/{CARLA}")
    await carla.get_by_test_id("message").filter(has_text="Offer for spring").click()
    await expect(carla.get_by_text("offer.pdf")).to_be_visible()
    await expect(_text(carla)).to_contain_text("here is our offer")
    await _answer(carla, "Thank you, one question.", ("plan.png", PNG))
    theirs = crm.locator("[data-testid=message][data-direction=inbound]")
    await expect(_text(theirs)).to_contain_text("one question", timeout=SYNCED_MS)
    await crm.bring_to_front()
    async with crm.expect_download() as download:
        await theirs.get_by_test_id("attachment").click()
    assert (await (await download.value).path()).read_bytes() == PNG

    ann = await _mail_program(person, f"{world.sim_http_url}/outlook/{ANN}")
    await ann.get_by_test_id("message").filter(has_text="one question").click()
    await _answer(ann, "Answered from Outlook.")
    from_outlook = crm.get_by_test_id("message").filter(has_text="in Outlook")
    await expect(_text(from_outlook)).to_contain_text("Answered from Outlook.", timeout=SYNCED_MS)
    await expect(from_outlook).to_have_attribute("data-direction", "outbound")

    await expect(crm.get_by_test_id("message")).to_have_count(3)
    assert await crm.evaluate("window.sameDocument"), "everything appeared without loading the page again"

    await crm.bring_to_front()
    await crm.get_by_test_id("reply-body").fill("One more thing from the CRM.")
    await crm.get_by_test_id("reply-send").click()
    newest = carla.get_by_test_id("message").filter(has_text="One more thing from the CRM.")
    await expect(newest).to_have_count(1, timeout=SYNCED_MS)


async def test_saying_no_to_microsoft_connects_nothing(world: World, person: BrowserContext) -> None:
    """A person who declines at Microsoft reads that nothing was connected, and can stop waiting in the CRM."""
    crm = await person.new_page()
    await crm.goto(world.crm_url)
    await crm.get_by_test_id("user-menu").click()
    await crm.get_by_role("button", name="Switch to Bob Baker").click()
    settings = await _open_settings(crm)
    async with person.expect_page() as opening:
        await settings.locator("[data-testid=connect]:visible").click()
    window = await opening.value
    await window.get_by_test_id(f"account-{BOB}").click()
    await window.get_by_test_id("consent-decline").click()
    await expect(window.get_by_test_id("result-title")).to_have_text("Nothing was connected")
    await settings.get_by_test_id("stop-waiting").click()
    await expect(settings.get_by_test_id("status")).to_have_text("Not connected")
    await expect(crm.get_by_test_id("connection-status")).to_have_text("Not connected")


async def test_a_file_that_is_too_large_is_named_with_its_reason(
    world: World, person: BrowserContext
) -> None:
    """A contact's mail with a file over 3 MB shows in the CRM as not synced, and says which file and why (R7)."""
    crm = await person.new_page()
    await _be_connected(world, crm)
    await _write(crm, DEV, "Your drawings", "Dear Dev, please send them.")
    await expect(crm.get_by_test_id("message")).to_have_attribute("data-status", "sent", timeout=SYNCED_MS)

    dev = await _mail_program(person, f"{world.sim_http_url}/outlook/outside/{DEV}")
    await dev.get_by_test_id("message").filter(has_text="Your drawings").click()
    await _answer(dev, "Secret words.", ("drawings.pdf", PDF + b"\0" * THREE_MB))
    refused = crm.locator("[data-testid=message][data-status=not_synced]")
    await expect(refused.get_by_test_id("message-status")).to_have_text("Not synced", timeout=SYNCED_MS)
    await expect(refused.get_by_test_id("message-reason")).to_contain_text("drawings.pdf")
    await expect(refused.get_by_test_id("message-reason")).to_contain_text("3 MB")
    await expect(refused.get_by_test_id("message-body")).to_have_count(0)
    await expect(crm.get_by_test_id("conversation").first).to_contain_text("Not synced")


async def test_a_lost_notification_is_found_by_moving_the_clock(world: World, person: BrowserContext) -> None:
    """A person loses a notification on the overview: the answer comes to the CRM only 15 minutes later."""
    crm = await person.new_page()
    await _be_connected(world, crm)
    await _write(crm, CARLA, "Colours", "Which colour shall it be?")
    await expect(crm.get_by_test_id("message")).to_have_attribute("data-status", "sent", timeout=SYNCED_MS)
    carla = await _mail_program(person, f"{world.sim_http_url}/outlook/outside/{CARLA}")
    await carla.get_by_test_id("message").filter(has_text="Colours").click()
    overview = await person.new_page()
    await overview.goto(f"{world.sim_http_url}/overview")
    await overview.get_by_test_id("lose").click()
    await expect(overview.get_by_test_id("said")).to_contain_text("will be lost")
    await carla.bring_to_front()
    await _answer(carla, "Green, as on the plan.", ("plan.png", PNG))
    await overview.bring_to_front()
    await expect(overview.get_by_text("not sent", exact=True)).to_be_visible()
    await expect(crm.get_by_test_id("message")).to_have_count(1)
    await overview.get_by_test_id("forward").click()
    await expect(overview.get_by_test_id("said")).to_contain_text("15 minutes ahead")
    await expect(crm.get_by_test_id("message")).to_have_count(2, timeout=SYNCED_MS)

    ann = await _mail_program(person, f"{world.sim_http_url}/outlook/{ANN}")
    await ann.get_by_test_id("message").filter(has_text="Colours").first.click()
    await ann.get_by_text("Details", exact=True).click()
    await expect(ann.get_by_test_id("fact-in-reply-to")).to_contain_text("@")
    async with ann.expect_download() as download:
        await ann.get_by_test_id("file").click()
    assert (await (await download.value).path()).read_bytes() == PNG


async def test_a_conversation_is_stopped_and_resumed(world: World, person: BrowserContext) -> None:
    """A conversation that was stopped in the CRM takes no reply until its button resumes it."""
    crm = await person.new_page()
    await _be_connected(world, crm)
    await _write(crm, DEV, "Measures", "Dear Dev, which measures?")
    await expect(crm.get_by_test_id("message")).to_have_attribute("data-status", "sent", timeout=SYNCED_MS)
    await crm.get_by_test_id("thread-stop").click()
    await expect(crm.get_by_test_id("thread-stopped")).to_be_visible()
    await expect(crm.get_by_test_id("reply-body")).to_have_count(0)
    await crm.get_by_test_id("thread-resume").click()
    await crm.get_by_test_id("reply-body").fill("One more question.")
    await crm.get_by_test_id("reply-send").click()
    await expect(crm.get_by_test_id("message").last).to_have_attribute(
        "data-status", "sent", timeout=SYNCED_MS
    )


async def test_working_in_the_simulated_outlook(world: World, person: BrowserContext) -> None:
    """A draft, a send, an answer, archiving and deleting in Outlook are each said there and shown in the CRM."""
    bob = await _mail_program(person, f"{world.sim_http_url}/outlook/{BOB}")
    said, mail = bob.get_by_test_id("said"), bob.get_by_test_id("message").filter(has_text="Lunch")
    await expect(bob.get_by_text("Nothing in this folder.")).to_be_visible()
    await bob.get_by_test_id("new-mail").click()
    await bob.get_by_test_id("compose-to").fill(DEV)
    await bob.get_by_test_id("compose-subject").fill("Lunch")
    await bob.get_by_test_id("compose-text").fill("At noon?")
    await bob.get_by_test_id("compose-draft").click()
    await expect(said).to_have_text("Kept in Drafts.")
    await bob.get_by_test_id("folder-drafts").click()
    await mail.click()
    await bob.get_by_test_id("send-draft").click()
    await expect(said).to_have_text("Sent.")

    dev = await _mail_program(person, f"{world.sim_http_url}/outlook/outside/{DEV}")
    await dev.get_by_test_id("message").filter(has_text="Lunch").click()
    await _answer(dev, "Yes.")
    await bob.bring_to_front()  # pages behind others are drawn once a second, and clicks wait for that
    await bob.get_by_test_id("folder-inbox").click()
    await expect(mail).to_contain_text("Dev Das")
    await mail.click()
    await expect(_text(bob)).to_contain_text("Yes.")
    await bob.get_by_test_id("archive").click()
    await expect(said).to_have_text("Moved to Archive.")
    await bob.get_by_test_id("folder-archive").click()
    await mail.click()
    await bob.get_by_test_id("delete").click()
    await expect(said).to_have_text("Deleted.")
    await bob.get_by_test_id("folder-deleteditems").click()
    await expect(mail).to_have_count(1)


async def _be_connected(world: World, crm: Page) -> None:
    """Connect Ann unless she is; afterwards the CRM's conversations are open."""
    async with staged(world) as stage:
        shown = (await stage.api("GET", "/v1/users/u_ann/connection")).json()
        if shown["status"] != "connected":
            await connect(stage)
    await crm.goto(world.crm_url)


async def _connect(world: World, crm: Page, person: BrowserContext) -> None:
    """From the CRM's settings through Microsoft's pages in a window of their own, and back."""
    await crm.goto(world.crm_url)
    settings = await _open_settings(crm)
    await expect(settings.get_by_test_id("status")).to_have_text("Not connected")
    async with person.expect_page() as opening:
        await settings.locator("[data-testid=connect]:visible").click()
    window = await opening.value
    await window.get_by_test_id(f"account-{ANN}").click()
    await expect(window.get_by_text("Send mail as you")).to_be_visible()
    await window.get_by_test_id("consent-accept").click()
    await expect(window.get_by_test_id("confirm-address")).to_have_text(ANN)
    await expect(window.get_by_test_id("confirm-user")).to_have_text("Ann Archer")
    await window.get_by_test_id("confirm-connect").click()
    await expect(window.get_by_test_id("result-title")).to_have_text("Mailbox connected")
    await window.close()
    await expect(settings.locator("[data-testid=mailbox-address]:visible")).to_have_text(ANN)
    await expect(settings.get_by_test_id("status")).to_have_text("Connected")
    await expect(crm.get_by_test_id("connection-address")).to_have_text(ANN)


async def _open_settings(crm: Page) -> FrameLocator:
    """Settings, Email (2-way sync), Outlook: the page in the CRM's frame."""
    await crm.get_by_test_id("user-menu").click()
    await crm.get_by_test_id("menu-profile").click()
    await expect(crm.get_by_role("heading", name="Email (2-way sync)")).to_be_visible()
    await crm.get_by_test_id("provider-outlook").click()
    return crm.frame_locator("[data-testid=settings-frame]")


async def _write(crm: Page, to: str, subject: str, text: str, file: tuple[str, bytes] | None = None) -> None:
    """A new message from the CRM; afterwards its conversation is open."""
    await crm.get_by_test_id("nav-conversations").click()
    await crm.get_by_test_id("new-message").click()
    await crm.get_by_test_id("compose-to").fill(to)
    await crm.get_by_test_id("compose-subject").fill(subject)
    await crm.get_by_test_id("compose-body").fill(text)
    if file:
        await crm.get_by_test_id("compose-files").set_input_files(_upload(*file))
    await crm.get_by_test_id("compose-send").click()
    await expect(crm.get_by_test_id("thread-subject")).to_have_text(subject)


async def _mail_program(person: BrowserContext, url: str) -> Page:
    page = await person.new_page()
    await page.goto(url)
    return page


async def _answer(program: Page, text: str, file: tuple[str, bytes] | None = None) -> None:
    """Reply in a mail program to the message that is open."""
    await program.get_by_test_id("reply").click()
    await program.get_by_test_id("compose-text").fill(text)
    if file:
        await program.get_by_test_id("compose-files").set_input_files(_upload(*file))
    await program.get_by_test_id("compose-send").click()
    await expect(program.get_by_test_id("compose")).to_be_hidden()


def _upload(name: str, content: bytes) -> dict[str, object]:
    kind = "application/pdf" if name.endswith(".pdf") else "image/png"
    return {"name": name, "mimeType": kind, "buffer": content}


def _text(place: Page | Locator) -> Locator:
    """The words of the one message shown there."""
    return place.frame_locator("[data-testid=message-body]").locator("body")
