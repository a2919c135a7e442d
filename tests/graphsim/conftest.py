"""A simulated Microsoft 365 in this process, under a clock that stands still, and an app that speaks raw HTTP to it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from sandbox.clock import VirtualClock
from sandbox.graphsim.app import Simulator, build_simulator
from sandbox.graphsim.config import Application, SimulatorConfig
from tests.graphsim import openapi

CLIENT, SECRET = "0a1b2c3d-1111-4222-8333-444455556666", "the-secret-of-the-app"
REDIRECT = "https://app.example/callback"
HTTP, HTTPS = "http://localhost:7444", "https://localhost:7443"
ANN, BEN, CAT = "ann@northwind.example", "ben@northwind.example", "cat@fabrikam.example"
SCOPES = "User.Read Mail.Read Mail.ReadWrite Mail.Send"
VERIFIER = "a-verifier-of-forty-three-characters-or-more~"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
MARK = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Mark"
HOOK, LIFE = "https://app.example/hook", "https://app.example/life"
Json = dict[str, Any]


class Checked(httpx.ASGITransport):
    """The way into the app; what Microsoft's description forbids fails the test that caused it."""

    violations: list[str]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        await answer.aread()
        answer.request = request
        self.violations += [
            f"{request.method} {request.url}: {violation}"
            for violation in openapi.violations(request, answer)
        ]
        return answer


@dataclass(slots=True)
class Endpoint:
    """Whoever takes notifications: `answer` decides, everything that came is kept."""

    posts: list[httpx.Request] = field(default_factory=list)
    handshakes: list[httpx.Request] = field(default_factory=list)
    answer: Callable[[httpx.Request], httpx.Response] | None = None
    handshake: Callable[[str], httpx.Response] = lambda token: httpx.Response(200, text=token)

    def serve(self, request: httpx.Request) -> httpx.Response:
        if token := request.url.params.get("validationToken"):
            self.handshakes.append(request)
            return self.handshake(token)
        self.posts.append(request)
        return self.answer(request) if self.answer else httpx.Response(202)

    def items(self, path: str = "/hook") -> list[Json]:
        """Every notification that was posted to that path."""
        return [
            item for post in self.posts if post.url.path == path for item in json.loads(post.content)["value"]
        ]


@dataclass(slots=True)
class App:
    """An application signed in as one person."""

    http: httpx.AsyncClient
    token: str

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request below /v1.0; header names are written with underscores."""
        given = {"Authorization": f"Bearer {self.token}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"{HTTPS}/v1.0/{path}", json=body, headers=given)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Json:
        answer = await self(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Status and `error.code`."""
        answer = await self(method, path, body, **headers)
        assert not answer.is_success, answer.text
        return answer.status_code, answer.json()["error"]["code"]


@dataclass(slots=True)
class Lab:
    clock: VirtualClock
    simulator: Simulator
    endpoint: Endpoint
    http: httpx.AsyncClient

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.http.request(method, f"{HTTP}/__control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def knobs(self, **values: str | float) -> None:
        await self.control("PUT", "knobs", values)

    async def pass_time(self, seconds: float = 60.0) -> None:
        """Let time go by, stopping wherever something is due."""
        end = self.clock.now().timestamp() + seconds
        await self.simulator.run_due()
        while (due := self.simulator.next_due_at()) is not None and due.timestamp() <= end:
            self.clock.advance(max(0.0, due.timestamp() - self.clock.now().timestamp()))
            await self.simulator.run_due()
        self.clock.advance(max(0.0, end - self.clock.now().timestamp()))
        await self.simulator.run_due()

    async def token(self, form: Json, tenant: str = "common", **headers: str) -> httpx.Response:
        return await self.http.post(f"{HTTPS}/{tenant}/oauth2/v2.0/token", data=form, headers=headers)

    async def code(self, address: str = ANN, scope: str = SCOPES, **changes: str | None) -> str:
        """The code that a person's approval brings back."""
        asked = authorize_query(scope=scope, **changes)
        back = await self.control(
            "POST", "authorize", {"url": f"{HTTP}/common/oauth2/v2.0/authorize?{asked}", "address": address}
        )
        return str(back["fields"]["code"])

    async def app(self, address: str = ANN, scope: str = SCOPES) -> App:
        answer = await self.token(code_form(await self.code(address, scope), scope=scope))
        return App(self.http, answer.json()["access_token"])

    async def mailbox(self, address: str = ANN) -> list[Json]:
        """Everything in a mailbox, as the controls see it."""
        found: list[Json] = (await self.control("GET", f"mailboxes/{address}/messages"))["messages"]
        return found

    async def outside(self, address: str = CAT) -> list[Json]:
        found: list[Json] = (await self.control("GET", f"outside/{address}/messages"))["messages"]
        return found

    async def arrives(self, **mail: Any) -> Json:
        """Cat's mail in Ann's inbox."""
        body = {"to": [ANN], "subject": "Quote", "html": "<p>Hello</p>", **mail}
        sent = await self.control("POST", f"outside/{CAT}/compose", body)
        await self.pass_time(5)
        return next(
            message
            for message in await self.mailbox(ANN)
            if message["internet_message_id"] == sent["internet_message_id"]
        )

    async def requests(self) -> list[Json]:
        found: list[Json] = (await self.control("GET", "requests"))["requests"]
        return found


def challenge(verifier: str = VERIFIER) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def authorize_query(**changes: str | None) -> str:
    query: dict[str, str | None] = {
        "client_id": CLIENT, "response_type": "code", "redirect_uri": REDIRECT, "scope": SCOPES, "state": "s-1",
        "response_mode": "form_post", "code_challenge": challenge(), "code_challenge_method": "S256",
    }  # fmt: skip
    query |= changes
    return urlencode({name: value for name, value in query.items() if value is not None})


def code_form(code: str, /, **changes: str | None) -> dict[str, str]:
    form: dict[str, str | None] = {
        "client_id": CLIENT, "client_secret": SECRET, "grant_type": "authorization_code", "code": code,
        "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
    }  # fmt: skip
    form |= changes
    return {name: value for name, value in form.items() if value is not None}


def refresh_form(token: str, **changes: str) -> dict[str, str]:
    form = {
        "client_id": CLIENT, "client_secret": SECRET, "grant_type": "refresh_token", "refresh_token": token,
    }  # fmt: skip
    return form | changes


def to(*addresses: str) -> list[Json]:
    return [{"emailAddress": {"address": address}} for address in addresses]


def draft(**changes: Any) -> Json:
    """A whole message for POST me/messages."""
    body = {"contentType": "html", "content": "<p>Hello</p>"}
    return {"subject": "Offer", "body": body, "toRecipients": to(CAT), **changes}


def file(name: str = "a.txt", content: bytes = b"hello", **changes: Any) -> Json:
    encoded = base64.b64encode(content).decode()
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": name,
        "contentBytes": encoded,
        **changes,
    }


def at(identifier: str) -> str:
    """The path of a message."""
    return f"me/messages/{quote(identifier, safe='')}"


def where(**options: str) -> str:
    """A query string; option names are written without the dollar."""
    return urlencode({f"${name}": value for name, value in options.items()}, quote_via=quote)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    clock, endpoint = VirtualClock(), Endpoint()
    application = Application(CLIENT, SECRET, (REDIRECT,), "An application")
    async with httpx.AsyncClient(transport=httpx.MockTransport(endpoint.serve)) as out:
        simulator = build_simulator(SimulatorConfig(applications=(application,)), clock, out)
        checked = Checked(app=simulator.app)
        checked.violations = []
        async with httpx.AsyncClient(transport=checked) as inside:
            made = Lab(clock, simulator, endpoint, inside)
            await made.control("POST", "users", {"address": ANN, "display_name": "Ann Archer"})
            await made.control("POST", "users", {"address": BEN, "display_name": "Ben Baker"})
            await made.control("POST", "contacts", {"address": CAT, "name": "Cat Clark"})
            yield made
        assert checked.violations == []


@pytest.fixture
async def app(lab: Lab) -> App:
    return await lab.app()
