"""Make the README's picture of the demo: the CRM and the simulated Outlook of a new world, side by side in a PNG.

python -m scripts.picture_demo [docs/images/demo.png]
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from sandbox.story import acts
from sandbox.story.connecting import connect
from sandbox.story.playing import staged
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, Stage
from sandbox.world import World, WorldOptions

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "demo.png"
WIDTH, HEIGHT = 640, 900
SUBJECT = "Offer for the garden room"
FRAMES = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; display: inline-flex; gap: 20px; padding: 20px; background: #dfe4e2; }
figure { margin: 0; border-radius: 10px; overflow: hidden; box-shadow: 0 6px 20px rgb(36 49 44 / 0.16); }
figcaption { padding: 8px 14px; font: 600 15px system-ui, sans-serif; color: #fff; background: #33413b; }
img { display: block; width: %(width)dpx; height: %(height)dpx; }
</style>
<body><figure><figcaption>The CRM</figcaption><img src="%(crm)s"></figure>
<figure><figcaption>Ann's Outlook, simulated</figcaption><img src="%(outlook)s"></figure></body>"""


async def main(output: Path) -> None:
    """Play a conversation, take a screenshot of both pages, join them."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    async with World.start(WorldOptions()) as world, async_playwright() as playwright:
        async with staged(world) as stage:
            conversation = await _play_conversation(stage)
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        crm = await _take_screenshot(browser, f"{world.crm_url}/conversations/{conversation}", "in Outlook")
        outlook = await _take_screenshot(
            browser, f"{world.sim_http_url}/outlook/{ANN_ADDRESS}", SUBJECT, click=True
        )
        await _join_pictures(browser, crm, outlook, output)
        await browser.close()


async def _play_conversation(stage: Stage) -> str:
    """The CRM writes, Carla answers with a picture, Ann answers from Outlook; return the CRM's conversation id."""
    await acts.seed(stage)
    await connect(stage)
    pdf = {"name": "offer.pdf", "content_type": "application/pdf", "content_base64": _base64(acts.PDF)}
    words = "<p>Dear Carla,</p><p>here is our offer for the garden room, as we talked about it.</p>"
    sent = await stage.of_crm(
        "POST", "/api/messages", user_id=ANN, to=CARLA, subject=SUBJECT, html=words, attachments=[pdf]
    )
    await _wait_until_shown(stage, "garden room", "sent")
    mail = (await stage.outside(CARLA))[0]
    png = {"name": "garden.png", "content_type": "image/png", "content_base64": _base64(acts.PNG)}
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=mail["internet_message_id"],
        html="<p>Thank you, Ann! Can the door be on the left side, as in the picture?</p>",
        attachments=[png],
    )
    await _wait_until_shown(stage, "left side", "received")
    inbox = [mail for mail in await stage.mailbox() if mail["folder"] == "inbox"]
    await stage.control(
        "POST",
        f"mailboxes/{ANN_ADDRESS}/compose",
        action="reply",
        graph_message_id=inbox[-1]["id"],
        html="<p>Yes, it can. I am writing from Outlook, on the train.</p>",
    )
    await _wait_until_shown(stage, "on the train", "sent")
    return str((await stage.of_crm("GET", f"/api/messages/{sent['id']}"))["conversation_id"])


async def _wait_until_shown(stage: Stage, words: str, status: str) -> None:
    async def find() -> object:
        messages = await stage.crm_messages()
        return [
            message
            for message in messages
            if words in (message["html"] or "") and message["status"] == status
        ]

    await stage.wait_until(f"the CRM shows: {words}", find)


async def _take_screenshot(browser: Browser, address: str, wanted: str, *, click: bool = False) -> bytes:
    """A screenshot of a page, once it shows the message with the wanted text."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.25, locale="en-GB"
    )
    page = await context.new_page()
    await page.goto(address, wait_until="networkidle")
    place = page.get_by_test_id("message").filter(has_text=wanted).last
    await place.wait_for()
    if click:
        await place.click()
        await page.frame_locator("[data-testid=message-body]").get_by_text("Ann").first.wait_for()
        await page.evaluate("scrollTo(0, 0)")
    picture = await page.screenshot()
    await context.close()
    return picture


async def _join_pictures(browser: Browser, crm: bytes, outlook: bytes, output: Path) -> None:
    page = await browser.new_page(viewport={"width": 2 * WIDTH + 60, "height": 100}, device_scale_factor=1.25)
    pictures = {"crm": _data(crm), "outlook": _data(outlook), "width": WIDTH, "height": HEIGHT}
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.html"
        frames.write_text(FRAMES % pictures, encoding="utf-8")
        await page.goto(frames.as_uri())
        output.parent.mkdir(parents=True, exist_ok=True)
        await page.locator("body").screenshot(path=output)


def _data(picture: bytes) -> str:
    return f"data:image/png;base64,{_base64(picture)}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else OUTPUT
    asyncio.run(main(target))
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB")
