"""The frame of every page of the simulator."""

from __future__ import annotations

import html

STYLE = """
:root{--ink:#1d2733;--dim:#5d6b7a;--line:#d9e0e7;--soft:#f4f6f8;--blue:#0b5cad;--pick:#e6f0fa}
*{box-sizing:border-box}body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--soft)}
header.top{display:flex;gap:1rem;align-items:center;padding:.6rem 1rem;background:#fff;border-bottom:1px solid var(--line)}
header.top a{color:var(--blue);text-decoration:none}header.top strong{margin-right:auto}
main{max-width:72rem;margin:1.2rem auto;padding:0 1rem}main.narrow{max-width:26rem;margin-top:8vh}
.card{background:#fff;border:1px solid var(--line);border-radius:10px;padding:1.2rem}
h1{font-size:1.25rem;margin:.1rem 0 .8rem}h2{font-size:1rem;margin:1.2rem 0 .4rem}p{margin:.4rem 0}
button,.button{font:inherit;padding:.4rem .9rem;border:1px solid var(--line);border-radius:7px;background:#fff;color:var(--ink);cursor:pointer;text-decoration:none}
button.main{background:var(--blue);border-color:var(--blue);color:#fff}button:focus-visible,a:focus-visible{outline:3px solid #8fc0f0;outline-offset:1px}
.row{display:flex;gap:.6rem;flex-wrap:wrap;align-items:center}.dim{color:var(--dim)}
ul.accounts{list-style:none;margin:0 0 1rem;padding:0}.account{display:flex;flex-direction:column;padding:.6rem .7rem;border-radius:8px;color:inherit;text-decoration:none;border:1px solid transparent}
.account:hover{background:var(--pick);border-color:var(--line)}.account span{color:var(--dim)}
table{width:100%;border-collapse:collapse;background:#fff}td,th{padding:.35rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;font-size:.9rem;overflow-wrap:anywhere}
"""


def page(title: str, body: str, *, narrow: bool = False, head: str = "") -> str:
    """A whole page. `title` is plain text, `body` and `head` are HTML."""
    main = f'<main class="narrow"><div class="card">{body}</div></main>' if narrow else body
    bar = (
        '<header class="top"><strong>Simulated Microsoft 365</strong>'
        '<a href="/outlook">Mailboxes</a><a href="/">Overview</a></header>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{head}</head><body>{bar}{main}</body></html>"
    )
