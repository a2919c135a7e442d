"""The layout of the simulator's pages."""

from __future__ import annotations

import html
from pathlib import Path

STYLE = (Path(__file__).parent / "static" / "layout.css").read_text(encoding="utf-8")
"""Included in each page, so that it needs no other file."""


def page(title: str, body: str, *, narrow: bool = False, head: str = "") -> str:
    """A page as HTML. `title` is plain text, `body` and `head` are HTML."""
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
