"""Twenty kinds of mail look the same before and after they are cleaned for leaving (R15)."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw
from playwright.async_api import Browser, Page, Route

from shared.html import LEAVING, clean_html
from tests.e2e.conftest import PICTURES

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATTERNS = sorted((Path(__file__).parent / "patterns").glob("*.html"))
WIDTH = 640
MOST_DIFFERENT = 0.002  # of all pixels
SEEN_FROM = 24  # of 255: less is a trace of smoothing
_SIZE = re.compile(r"/(\d+)(?:x(\d+))?$")


async def _answer(route: Route) -> None:
    """A picture of the size that its address names; nothing else is there."""
    size = _SIZE.search(route.request.url)
    if size is None:
        await route.abort()
        return
    picture = Image.new("RGB", (int(size[1]), int(size[2] or size[1])), "#b8860b")
    ImageDraw.Draw(picture).ellipse((4, 4, picture.width - 5, picture.height - 5), fill="#fff4d6")
    written = io.BytesIO()
    picture.save(written, "PNG")
    await route.fulfill(body=written.getvalue(), content_type="image/png")


async def _look(page: Page, html: str) -> Image.Image:
    await page.set_content(html)
    return Image.open(io.BytesIO(await page.screenshot(full_page=True))).convert("RGB")


def difference(before: Image.Image, after: Image.Image) -> float:
    """The share of pixels that somebody would see to be another; 1 where the heights differ by more than a line."""
    if abs(before.height - after.height) > 2:
        return 1.0
    height = min(before.height, after.height)
    both = [picture.crop((0, 0, WIDTH, height)) for picture in (before, after)]
    seen = ImageChops.difference(*both).convert("L").point(lambda value: 255 if value >= SEEN_FROM else 0)
    return float(seen.histogram()[255] / (WIDTH * height))


async def test_mails_look_the_same(chromium: Browser) -> None:
    """Before and after, each kind of mail is the same picture at 640 pixels within a small tolerance.

    The margin around is the mail program's: there it is the same.
    """
    page = await chromium.new_page(viewport={"width": WIDTH, "height": 60}, java_script_enabled=True)
    await page.route("**/*", _answer)
    different = {}
    assert len(PATTERNS) == 20
    for path in PATTERNS:
        written = path.read_text(encoding="utf-8")
        before = await _look(page, written)
        margin = await page.evaluate("() => getComputedStyle(document.body).margin")
        doctype = "<!DOCTYPE html>" if written.startswith("<!DOCTYPE") else ""
        cleaned = clean_html(written, LEAVING).html
        after = await _look(page, f'{doctype}<body style="margin:{margin}">{cleaned}</body>')
        share = difference(before, after)
        if share > MOST_DIFFERENT:
            different[path.stem] = round(share, 4)
            _keep(path.stem, before, after)
    await page.close()
    assert different == {}


def _keep(name: str, before: Image.Image, after: Image.Image) -> None:
    """Both side by side, where the other pictures of failed tests lie."""
    both = Image.new("RGB", (WIDTH * 2 + 8, max(before.height, after.height)), "#f0f")
    both.paste(before, (0, 0))
    both.paste(after, (WIDTH + 8, 0))
    PICTURES.mkdir(parents=True, exist_ok=True)
    both.save(PICTURES / f"look-{name}.png")
