"""The CRM in this process, a stand-in for Postbraid behind its client, and webhooks signed by the public library."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook
from starlette.types import ASGIApp

from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, Crm, build_crm

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
APP = "http://localhost:7071"


@dataclass
class Clock:
    """A clock that a test moves; far from the machine's own time."""

    current: datetime = datetime(2031, 5, 6, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.current


@dataclass
class StandIn:
    """Postbraid's public API as far as the CRM calls it."""

    requests: list[httpx.Request] = field(default_factory=list)
    refuse_with: tuple[int, dict[str, Any]] | None = None
    unreachable: bool = False
    expired_links: set[str] = field(default_factory=set)
    missed: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_send: Any = None
    answers: dict[str, Any] = field(default_factory=dict)

    def sent(self) -> list[dict[str, Any]]:
        return [
            json.loads(request.content) for request in self.requests if request.url.path == "/api/v1/messages"
        ]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.unreachable:
            raise httpx.ConnectError("nobody there", request=request)
        if request.url.path.startswith("/api/files/"):
            gone = request.url.path in self.expired_links
            return httpx.Response(410) if gone else httpx.Response(200, content=b"%PDF-1.7 hello")
        if self.refuse_with:
            status, problem = self.refuse_with
            return httpx.Response(status, json=problem, headers={"content-type": "application/problem+json"})
        return getattr(self, "_" + request.method.lower())(request, request.url.path.removeprefix("/api/v1/"))

    def _post(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "session-links":
            return httpx.Response(
                201, json={"url": f"{APP}/api/settings#token", "expires_at": "2031-05-06T09:02:00Z"}
            )
        if path == "files":
            return httpx.Response(201, json={"id": f"fil_{len(self.requests)}"})
        if path.startswith("threads/"):
            stopped = path.endswith("/stop")
            return httpx.Response(200, json={"status": "stopped" if stopped else "syncing"})
        body = json.loads(request.content)
        if self.on_send:
            self.on_send(body)
        thread = body.get("thread_id") or f"thr_{body['crm_message_id']}"
        return httpx.Response(
            202,
            json={"id": f"msg_{body['crm_message_id']}", "thread_id": thread, "status": "accepted"}
            | self.answers,
        )

    def _get(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "events":
            start = int(request.url.params.get("after", "0"))
            page = self.missed[start : start + 2]
            after = start + len(page)
            more = after < len(self.missed)
            return httpx.Response(200, json={"events": page, "next": str(after), "has_more": more})
        return httpx.Response(200, json=self.messages[path.removeprefix("messages/")])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def product() -> StandIn:
    return StandIn()


@pytest.fixture
def crm(clock: Clock, product: StandIn) -> Crm:
    config = Config(api_key="psk_k1_secret", webhook_secret=SECRET)
    return build_crm(config, APP, clock, httpx.MockTransport(product))


class InProcess(httpx.BaseTransport):
    """Calls an ASGI app without a socket, one loop per request."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class Browser(httpx.Client):
    """A person's browser, or the story, at the CRM's address."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(transport=InProcess(app), base_url="http://127.0.0.1:7080", follow_redirects=True)


@pytest.fixture
def browser(crm: Crm) -> Iterator[Browser]:
    with Browser(build_app(crm)) as client:
        yield client
    crm.store.close()


@dataclass
class Postman:
    """Delivers webhooks as Postbraid does."""

    client: Browser
    clock: Clock
    number: int = 0

    def deliver(self, kind: str, data: Any, **changes: Any) -> httpx.Response:
        """POST one event; `changes` replace headers, the body, the secret or the attempt's time."""
        headers, content = self.signed(kind, data, **changes)
        return self.client.post("/webhooks/postbraid", content=content, headers=headers)

    def signed(self, kind: str, data: Any, **changes: Any) -> tuple[dict[str, str], bytes]:
        self.number += 1
        event_id = changes.get("event_id", f"evt_{self.number}")
        envelope = {"type": kind, "timestamp": self.clock.now().isoformat(), "data": data}
        body: str = changes.get("body") or json.dumps(envelope)
        at = self.clock.now() + timedelta(seconds=changes.get("late_seconds", 0))
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(changes.get("secret", SECRET)).sign(event_id, at, body),
            "content-type": "application/json",
        }
        headers |= changes.get("headers", {})
        content: bytes = changes.get("sent_body", body.encode())
        return {name: value for name, value in headers.items() if value is not None}, content


@pytest.fixture
def postman(browser: Browser, clock: Clock) -> Postman:
    return Postman(browser, clock)


def a_message(**changes: Any) -> dict[str, Any]:
    """`data` of a message event."""
    return {
        "id": "msg_1",
        "thread_id": "thr_1",
        "crm_thread_id": None,
        "crm_message_id": None,
        "user_id": "u_ann",
        "mailbox": {"id": "mbx_1", "address": "ann@northwind.example"},
        "direction": "inbound",
        "origin": "mailbox",
        "sequence": 2,
        "internet_message_id": "<1@contoso-customer.example>",
        "in_reply_to": None,
        "references": [],
        "subject": "Re: Offer",
        "from": {"name": "Carla Cliente", "address": "carla@contoso-customer.example"},
        "to": [{"name": "Ann Archer", "address": "ann@northwind.example"}],
        "cc": [],
        "bcc": [],
        "reply_to": [],
        "sent_at": "2031-05-06T09:00:05Z",
        "received_at": "2031-05-06T09:00:06Z",
        "snippet": "Yes, please",
        "body": {
            "html": "<p>Yes, please</p>",
            "text": "Yes, please",
            "truncated": False,
            "quoted_from": None,
        },
        "attachments": [],
        "automatic": False,
        "kind": "mail",
        "evidence": "in_reply_to",
        "crm_context": None,
        "contact_ids": [],
    } | changes
