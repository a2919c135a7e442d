"""axe-core, run on a page as it stands: what would keep people from using it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.async_api import Frame, Page

AXE: Final = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RUN: Final = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"], iframes: false });
  return found.violations.map((rule) => `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.html).join(" ")}`);
}"""


async def faults(place: Page | Frame) -> list[str]:
    """Every rule that a page or a frame breaks, with the elements that break it.

    The script comes in by the devtools protocol, so that no policy of the page has to let it in.
    """
    if not await place.evaluate("'axe' in window"):
        await place.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await place.evaluate(RUN)
    return found
