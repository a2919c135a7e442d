"""A stand-in for the product behind the settings page, which answers as a test wants it to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import BrowserContext, Page, Route

PAGES = Path(__file__).parents[2] / "functions" / "pages"
APP = "http://localhost:7071"
CRM = "http://127.0.0.1:7080"
FRAME = (
    f'<!doctype html><html lang="en"><title>CRM</title><iframe src="{APP}/api/settings?tenant=ten_1#token" '
    'title="Email settings" width="700" height="340"></iframe>'
    "<script>window.told = []; addEventListener('message', (event) => told.push([event.origin, event.data]));"
    "</script></html>"
)
MICROSOFT = "http://localhost:7444/authorize?state=s&scope=a+b"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    f"form-action 'self'; base-uri 'none'; frame-ancestors {CRM}"
)
ALONE = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
TENANT = {"name": "Northwind", "product_name": None, "return_url": None, "frame_origins": [CRM]}
PAGE = 2
MAILBOX = {"id": "mbx_1", "address": "ann@northwind.example"}


@dataclass
class Product:
    """The routes that the page calls, and what a test wants them to answer."""

    status: str = "not_connected"
    mailbox: dict[str, str] | None = None
    sign_in: dict[str, str] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    tenant: dict[str, Any] = field(default_factory=lambda: dict(TENANT))
    threads: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    unreachable: bool = False
    calls: list[tuple[str, str, dict[str, str], str | None]] = field(default_factory=list)

    async def answer(self, route: Route) -> None:
        request = route.request
        path = request.url.split("#")[0].split("?")[0].partition("/api/")[2]
        self.calls.append((request.method, path, await request.all_headers(), request.post_data))
        if path.startswith("assets/"):
            file = PAGES / path.removeprefix("assets/")
            await route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        elif path == "settings":
            await self._page(route, "settings.html", POLICY)
        elif path == "oauth/start":
            await self._page(route, "oauth_opening.html", ALONE, url=MICROSOFT.replace("&", "&amp;"))
        elif path == "disconnect/start":
            names = {"address": "ann@northwind.example", "user": "Ann", "tenant": "Northwind"}
            names |= {"product": "Acme CRM", "whose": "Ann · Acme CRM · Northwind"}
            await self._page(route, "disconnect.html", ALONE, csrf_token="c", **names)
        elif self.unreachable:
            await route.abort()
        elif path in self.answers:
            problem = {"type": "x", "title": "No", "status": self.answers[path]}
            await route.fulfill(
                status=self.answers[path], json=problem, content_type="application/problem+json"
            )
        else:
            answer = (
                self._threads(request.url, path) if path.startswith("session/threads") else self._json(path)
            )
            await route.fulfill(status=201 if request.method == "POST" else 200, json=answer)

    def _threads(self, url: str, path: str) -> dict[str, Any]:
        """Two threads a page; a thread that is stopped or resumed is answered as the list has it."""
        _, _, thread_id, verb = [*path.split("/"), "", ""][:4]
        for thread in self.threads:
            if thread["id"] == thread_id:
                thread["status"] = "stopped" if verb == "stop" else "syncing"
                thread["stopped_at"] = "2026-03-02T09:00:00Z" if verb == "stop" else None
                return thread
        first = int(parse_qs(urlsplit(url).query).get("after", ["0"])[0])
        following = first + PAGE if first + PAGE < len(self.threads) else None
        items = self.threads[first : first + PAGE]
        return {"items": items, "next": following and str(following)}

    def _json(self, path: str) -> dict[str, Any]:
        user = {"id": "u_ann", "display_name": "Ann <Archer>"}
        return {
            "session": {"session_token": "s3cret", "user": user, "tenant": self.tenant},
            "session/connection": {
                "user_id": "u_ann",
                "status": self.status,
                "mailbox": self.mailbox,
                "connected_at": "2026-03-02T09:00:00Z" if self.mailbox else None,
                "crm_user": {"display_name": user["display_name"]},
                "tenant": self.tenant,
                "sign_in": self.sign_in,
                **self.more,
            },
            "session/start-tickets": {"ticket": "t1cket"},
            "session/disconnect-tickets": {"ticket": "t2cket"},
        }[path]

    async def _page(self, route: Route, name: str, policy: str, **values: str) -> None:
        html = Template((PAGES / name).read_text(encoding="utf-8")).substitute(values)
        await route.fulfill(body=html, content_type="text/html", headers={"content-security-policy": policy})

    def called(self, path: str) -> list[tuple[str, str, dict[str, str], str | None]]:
        return [call for call in self.calls if call[1] == path]


async def opened(person: BrowserContext, token: str = "#token") -> Page:
    page = await person.new_page()
    await page.goto(f"{APP}/api/settings?tenant=ten_1{token}")
    return page
