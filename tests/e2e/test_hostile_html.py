"""What hostile HTML becomes runs nothing and asks for nothing in a browser, whichever way a page shows it (H-1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Error, Page, Route

from shared.html import LEAVING, SHOWN_WITHOUT_REMOTE, Policy, clean_html
from tests.hostile_html import LOADED, PAYLOADS, hostile_html

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "http://localhost:7499/"
SAMPLES = 250
AT_ONCE = 50

# In every frame before anything else: whatever could call home or tell somebody says so.
CANARY = """
const told = (what) => (...more) => { console.error('canary ' + what + ' ' + String(more[0]).slice(0, 80)); };
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open', 'fetch'])
  window[name] = told(name);
for (const name of ['XMLHttpRequest', 'WebSocket', 'EventSource', 'Worker', 'RTCPeerConnection'])
  window[name] = class { constructor(...more) { told(name)(...more); } };
navigator.sendBeacon = told('sendBeacon');
window.addEventListener('error', (event) => told('error')(event.message));
"""
# Three ways: by the parser of a document, by innerHTML, and by innerHTML of what that was read as.
SHOW = """
(texts) => Promise.all(texts.map(async (text) => {
  const frame = document.createElement('iframe');
  const loaded = new Promise((done) => { frame.onload = done; });
  frame.srcdoc = text;
  const first = document.createElement('div'), second = document.createElement('div');
  document.body.append(frame, first, second);
  first.innerHTML = text;
  second.innerHTML = first.innerHTML;
  await loaded;
  const roots = [frame.contentDocument ? frame.contentDocument.body : null, first, second];
  const bad = [];
  for (const root of roots) for (const element of root ? root.querySelectorAll('*') : []) {
    for (const {name} of element.attributes)
      if (/^on|^(srcset|action|formaction|ping|xlink:href|srcdoc)$/.test(name)) bad.push(name);
    if (element.namespaceURI !== 'http://www.w3.org/1999/xhtml') bad.push(element.namespaceURI);
    if (element.href !== undefined && element.getAttribute('href') !== null
        && !['http:', 'https:', 'mailto:', 'tel:', 'cid:'].includes(element.protocol)) bad.push(element.href);
    if (/script|style|frame|object|embed|form|input|meta|link|base|template/i.test(element.localName))
      bad.push(element.localName);
    for (const kind of ['click', 'mouseover', 'focus', 'error', 'toggle', 'animationstart'])
      element.dispatchEvent(new Event(kind, {cancelable: true}));
    if (/url|image|position|var|env|expression|[@{}\\\\]/i.test(element.getAttribute('style') || '')) bad.push('style');
  }
  return bad;
}))
"""


@dataclass
class Watched:
    """A page and everything that it ran, asked for or became."""

    page: Page
    heard: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    async def answer(self, route: Route) -> None:
        """The empty page; any other request is noted and goes nowhere."""
        request = route.request
        if request.url == HOST:
            await route.fulfill(body="<!DOCTYPE html><body></body>", content_type="text/html")
            return
        (self.pictures if request.resource_type == "image" else self.asked).append(request.url)
        await route.abort()

    async def shows(self, texts: Sequence[str]) -> list[list[str]]:
        """Show them all on a fresh page; what was found in each that should not be there."""
        await self.page.goto(HOST)
        found: list[list[str]] = await self.page.evaluate(SHOW, list(texts))
        await self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)))"
        )
        return found


async def watch(person: BrowserContext) -> Watched:
    await person.add_init_script(CANARY)
    page = await person.new_page()
    watched = Watched(page)
    await person.route("**/*", watched.answer)
    page.on("console", lambda message: watched.heard.append(message.text))
    page.on("dialog", lambda dialog: watched.heard.append(f"dialog {dialog.message}"))
    page.on("pageerror", lambda error: watched.heard.append(f"error {error}"))
    page.on("popup", lambda popup: watched.heard.append(f"popup {popup.url}"))
    page.on("download", lambda download: watched.heard.append(f"download {download.url}"))
    page.on("framenavigated", lambda frame: _note_place(watched, frame.url))
    return watched


def _note_place(watched: Watched, url: str) -> None:
    if url not in {HOST, "about:blank", "about:srcdoc"}:
        watched.heard.append(f"went to {url}")


def _is_told(text: str) -> bool:
    """A picture that did not load is said on the console by the browser itself."""
    return "Failed to load resource" not in text


async def test_the_canary_hears(person: BrowserContext) -> None:
    """Shown as they are, nearly all samples run, load or are what no mail is made of: the other tests would notice."""
    watched = await watch(person)
    silent = []
    for payload in PAYLOADS[::4]:
        before = len(watched.heard) + len(watched.asked) + len(watched.pictures)
        try:
            found = await watched.shows([f"<body>{payload}"])
        except Error:  # it led the page somewhere else
            continue
        if len(watched.heard) + len(watched.asked) + len(watched.pictures) == before and found == [[]]:
            silent.append(payload)
    assert len(silent) <= 2, silent  # a scheme that needs a click, a browser that is no browser any more
    assert any("canary alert" in text for text in watched.heard)
    assert any(url.startswith(LOADED) for url in (*watched.asked, *watched.pictures))


@pytest.mark.parametrize("policy", [LEAVING, SHOWN_WITHOUT_REMOTE], ids=["leaving", "shown without pictures"])
async def test_nothing_runs_and_nothing_is_asked_for(person: BrowserContext, policy: Policy) -> None:
    """Nothing of the cleaned samples runs, moves the page, asks for anything or is what no mail is made of.

    Pictures of an `<img>` are the exception where the policy keeps them.
    """
    watched = await watch(person)
    texts = [clean_html(raw, policy).html for raw in hostile_html(SAMPLES)]
    for start in range(0, len(texts), AT_ONCE):
        batch = texts[start : start + AT_ONCE]
        found = await watched.shows(batch)
        assert [(text, bad) for text, bad in zip(batch, found, strict=True) if bad] == []
        assert [text for text in watched.heard if _is_told(text)] == []
    assert watched.asked == []
    allowed: Any = (
        []
        if not policy.remote_pictures
        else [url for url in set(watched.pictures) if any(f'src="{escape(url)}"' in text for text in texts)]
    )
    assert sorted(set(watched.pictures)) == sorted(allowed)
