"""The overview page: what was sent and asked lately, and buttons that disturb, each one call of the control API."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from sandbox.graphsim.pages.layout import page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandbox.graphsim.deliveries import Delivery
    from sandbox.graphsim.requestlog import Entry
    from sandbox.graphsim.world import World

SHOWN = 40
PAUSE_SECONDS = 600
FORWARD_SECONDS = 900
ON_TIME_SECONDS = 10.0
"""A notification that left within this time after its change is not called late."""
KINDS = {"change": "Notification", "lifecycle": "Lifecycle", "handshake": "Handshake"}
DELIVERY_COLUMNS = ("At", "What", "Answer", "Outcome", "Mailbox", "To")
CALL_COLUMNS = ("At", "Operation", "Answer", "What it was", "Reads", "Mailbox")
HEAD = (
    '<link rel="stylesheet" href="/outlook/static/overview.css">'
    '<script src="/outlook/static/overview.js" defer></script>'
)


def overview_page(world: World) -> str:
    """The page as HTML; its script fetches it again and replaces the parts marked as live."""
    deliveries = [_delivery_row(entry) for entry in list(world.notifier.log.entries)[-SHOWN:][::-1]]
    calls = [_call_row(entry) for entry in list(world.log.entries)[-SHOWN:][::-1]]
    subscriptions = [
        tuple(html.escape(cell) for cell in (item.user.address, item.resource, _spoken(item.expires_at)))
        for item in world.subscriptions.items.values()
    ]
    body = (
        '<main class="overview"><div class="card"><h1>What happens in here</h1>'
        f'<p class="dim" data-live="time">The time is {_spoken(world.now())}, in all programs of this world.</p>'
        f"{_buttons(world)}</div>"
        f'<div class="beside"><div class="card">{_table("Sent to applications", DELIVERY_COLUMNS, deliveries)}</div>'
        f'<div class="card">{_table("Asked of Graph", CALL_COLUMNS, calls)}</div></div>'
        f'<div class="card">{_table("Subscriptions", ("Mailbox", "Resource", "Until"), subscriptions)}</div></main>'
    )
    return page("Overview (simulated)", body, head=HEAD)


def _buttons(world: World) -> str:
    to_lose = sum(order.left for order in world.notifier.controls if order.action == "drop")
    whats = "notification" if to_lose == 1 else f"{to_lose} notifications"
    state = f"The next {whats} will be lost." if to_lose else ""
    lose = _button("Lose the next notification", "lose", "", "POST", "notifications", action="drop", count=1)
    forward = _button("+15 minutes", "forward", "", "POST", "clock", advance_seconds=FORWARD_SECONDS)
    mailboxes = "".join(_mailbox(world, user.address) for user in world.store.users.values())
    return (
        f'<h2>Disturb it</h2><p class="row">{lose}{forward}</p><p class="dim" data-live="lose">{state}</p>'
        '<p role="status" id="said" data-testid="said"></p>'
        f'<ul class="mailboxes" data-live="mailboxes">{mailboxes or "<li>No mailboxes yet.</li>"}</ul>'
    )


def _mailbox(world: World, address: str) -> str:
    """A mailbox with its state and its buttons."""
    order = world.throttle.in_force(address, world.now())
    path, shown = quote(address, safe="@"), html.escape(address)
    revoke = _button("Revoke the consent", "revoke", address, "POST", f"users/{path}/revoke")
    begin = _button(
        "Pause 10 minutes", "pause", address, "POST", "throttle",
        address=address, seconds=PAUSE_SECONDS, retry_after=PAUSE_SECONDS,
    )  # fmt: skip
    end = _button("End the pause", "resume", address, "DELETE", f"throttle/{path}")
    state = ""
    if order is not None:
        until = f"until {order.until:%H:%M:%S}" if order.until else f"for {order.left} more requests"
        state = _mark(f"paused {until}", "late")
    return (
        f'<li><strong>{shown}</strong> {state}<span class="row">{revoke}{end if order else begin}</span></li>'
    )


def _button(words: str, key: str, whose: str, method: str, path: str, **body: Any) -> str:
    """A button that makes a call of the control API; `key` chooses the sentence that says what it did."""
    call = html.escape(json.dumps({"method": method, "path": path, "body": body}))
    shown = html.escape(whose)
    label = f' aria-label="{words}: {shown}"' if whose else ""
    return (
        f'<button data-key="{key}:{shown}" data-call="{call}" data-whose="{shown}" data-testid="{key}"{label}>'
        f"{words}</button>"
    )


def _delivery_row(entry: Delivery) -> tuple[str, ...]:
    counts = {word: entry.what.count(word) for word in entry.what}
    about = ", ".join(word if count == 1 else f"{count} {word}" for word, count in counts.items())
    what = KINDS[entry.kind] if entry.kind == "handshake" else f"{KINDS[entry.kind]}: {about}"
    answer = {None: "not sent", 0: "none"}.get(entry.status, str(entry.status))
    return (
        _clock_time(entry.at),
        html.escape(what),
        "…" if entry.outcome == "under way" else answer,
        _delivery_marks(entry),
        html.escape(entry.address),
        f'<span class="to">{html.escape(urlsplit(entry.url).path)}</span>',
    )


def _delivery_marks(entry: Delivery) -> str:
    """The outcome and everything unusual about it."""
    bad = {"lost": "bad", "given up": "bad", "refused": "bad", "tried again": "late"}
    marks = [_mark(entry.outcome, bad.get(entry.outcome, ""))]
    if entry.duplicates:
        marks.append(_mark("duplicate", "note"))
    if entry.attempt > 1:
        marks.append(_mark(f"attempt {entry.attempt}", "late"))
    if entry.late_seconds >= ON_TIME_SECONDS:
        minutes, seconds = divmod(round(entry.late_seconds), 60)
        marks.append(_mark(f"{minutes} min late" if minutes else f"{seconds} s late", "late"))
    return " ".join(marks)


def _call_row(entry: Entry) -> tuple[str, ...]:
    meaning = entry.meaning
    kind = "bad" if meaning in {"failed", "refused"} else "note" if meaning else ""
    reads = [word for word, read in (("body", entry.reads_body), ("files", entry.reads_attachments)) if read]
    return (
        _clock_time(entry.at),
        html.escape(entry.operation),
        str(entry.status or "none"),
        _mark(meaning or "call", kind),
        " and ".join(reads),
        html.escape(entry.address or ""),
    )


def _mark(words: str, kind: str) -> str:
    return f'<span class="mark {kind}">{html.escape(words)}</span>' if kind else html.escape(words)


def _table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table that scrolls by itself on narrow screens; its cells are HTML."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    none = f'<tr><td colspan="{len(names)}">None yet.</td></tr>'
    return (
        f'<h2>{title}</h2><div class="wide" tabindex="0" role="region" aria-label="{title}">'
        f'<table><thead><tr>{head}</tr></thead><tbody data-live="{title}">{body or none}</tbody></table></div>'
    )


def _clock_time(at: str) -> str:
    """The hour of a time of the logs, such as 2026-03-02T09:00:05Z."""
    return at.partition("T")[2].rstrip("Z")


def _spoken(moment: datetime) -> str:
    """A time as text for a page."""
    return f"{moment:%-d %b %Y, %H:%M:%S} UTC"
