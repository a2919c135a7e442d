"""One Chromium (`make browser`) for a module's tests; each test has its own context and, failing, leaves pictures."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.e2e.product import APP, CRM, FRAME, Product

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # nobody outside is ever called
]
PICTURES = Path(__file__).parents[2] / ".sandbox" / "pictures"
FAILED = pytest.StashKey[bool]()
PATIENCE_MS = 20_000  # a cold host on a busy machine

expect.set_options(timeout=PATIENCE_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def person(chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[BrowserContext]:
    """A fresh browser context; every page that is open when the test fails is pictured."""
    context = await chromium.new_context(
        viewport={"width": 1280, "height": 800}, timezone_id="UTC", locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context
    if request.node.stash.get(FAILED, False):
        PICTURES.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(context.pages):
            name = re.sub(r"[^\w.-]+", "_", request.node.name)
            await page.screenshot(path=PICTURES / f"{name}-{number}.png", full_page=True)
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def product(person: BrowserContext) -> AsyncIterator[Product]:
    """The stand-in; whatever a page wanted to load or run against its policy fails the test."""
    product = Product()
    said: list[str] = []
    person.on("console", lambda message: said.append(message.text))
    await person.route(f"{APP}/**", product.answer)
    await person.route(f"{CRM}/**", lambda route: route.fulfill(body=FRAME, content_type="text/html"))
    await person.route("http://localhost:7444/**", lambda route: route.fulfill(body="Microsoft"))
    yield product
    assert [text for text in said if "Content Security Policy" in text] == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell the fixtures whether the test itself failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
