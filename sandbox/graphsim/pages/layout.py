"""The frame of every page of the simulator."""

from __future__ import annotations

import html
from pathlib import Path

STYLE = (Path(__file__).parent / "static" / "layout.css").read_text(encoding="utf-8")
"""Within the page, so that a sign-in page stands by itself."""


def page(title: str, body: str, *, narrow: bool = False, head: str = "") -> str:
    """A whole page. `title` is plain text, `body` and `head` are HTML."""
    main = f'<main class="narrow"><div class="card">{body}</div></main>' if narrow else body
    bar = (
        '<header class="top"><strong>Simulated Microsoft 365</strong>'
        '<a href="/outlook">Mailboxes</a><a href="/overview">Overview</a></header>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{head}</head><body>{bar}{main}</body></html>"
    )
