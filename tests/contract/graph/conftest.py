"""The simulator in process, a signed-in mailbox, and somebody who takes its notifications."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sandbox.clock import VirtualClock
from sandbox.graphsim.app import Simulator, build_simulator
from sandbox.graphsim.config import Application, SimulatorConfig
from shared.domain.model import Grant
from shared.graph.auth import EntraSignIn
from shared.graph.notifications import Notifications, read_notifications
from shared.graph.provider import GraphMail
from shared.transport import Transport

CLIENT, SECRET = "6f3a5c1e-1111-4222-8333-944455556666", "the-secret-of-the-app"
REDIRECT = "https://app.example/api/oauth/callback"
SECURE = "https://localhost:7443"
BACK = "https://app.example/api/oauth/admin-consent"
HOOK = "https://app.example/api/graph/notifications/secret"
ANN, BEA = "ann@northwind.example", "bea@fabrikam.example"
STATE = "ours.1"


@dataclass(slots=True)
class Receiver:
    """Our address for notifications: answers handshakes while `reachable`, keeps what is posted."""

    reachable: bool = True
    bodies: list[bytes] = field(default_factory=list)

    def serve(self, request: httpx.Request) -> httpx.Response:
        if not self.reachable:
            raise httpx.ReadTimeout("", request=request)
        if token := request.url.params.get("validationToken"):
            return httpx.Response(200, text=token)
        self.bodies.append(request.content)
        return httpx.Response(202)

    def read(self) -> Notifications:
        """All that came, as the product reads it."""
        found = [
            read_notifications(body, lambda text: ("key", 1) if text == STATE else None)
            for body in self.bodies
        ]
        return Notifications(
            tuple(hint for notifications in found for hint in notifications.hints),
            tuple(why for notifications in found for why in notifications.dropped),
        )


@dataclass(slots=True)
class Office:
    """Microsoft 365 as far as a test needs it."""

    clock: VirtualClock
    simulator: Simulator
    receiver: Receiver
    controls: httpx.AsyncClient
    transport: Transport
    mark: int = 0

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.controls.request(method, f"/__control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def knobs(self, **values: str | float) -> None:
        await self.control("PUT", "knobs", values)

    async def pass_time(self, seconds: float = 60.0) -> None:
        """Let time go by and happen what is due in it."""
        for _ in range(20):
            self.clock.advance(seconds / 20)
            await self.simulator.run_due()

    async def mailbox(self, address: str = ANN) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.control("GET", f"mailboxes/{address}/messages"))["messages"]
        return found

    async def outside(self, address: str = BEA) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.control("GET", f"outside/{address}/messages"))["messages"]
        return found

    async def arrives(self, **mail: Any) -> str:
        """A mail from Bea lies in Ann's mailbox; returns its id."""
        body = {"to": [ANN], "subject": "Your offer", "html": "<p>Yes.</p>", **mail}
        body = {name: value for name, value in body.items() if value is not None}
        sent = await self.control("POST", f"outside/{BEA}/compose", body)
        await self.pass_time()
        return next(
            message["id"]
            for message in await self.mailbox()
            if message["internet_message_id"] == sent["internet_message_id"]
        )

    async def watch(self) -> None:
        """Begin to count requests."""
        self.mark = (await self.control("GET", f"requests?since={self.mark}"))["next"]

    async def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.control("GET", f"requests?since={self.mark}"))["requests"]
        return found

    async def operations(self) -> list[str]:
        return [request["operation"] for request in await self.requests()]

    async def fault(self, operation: str, kind: str, **members: Any) -> None:
        await self.control("POST", "faults", {"operation": operation, "kind": kind, **members})

    def sign_in(self, **changes: Any) -> EntraSignIn:
        given = {"client_id": CLIENT, "client_credential": SECRET, "authority": f"{SECURE}/common",
                 "redirect_uri": REDIRECT, "consent_uri": BACK, "instance_discovery": False,
                 "clock": self.clock}  # fmt: skip
        return EntraSignIn(self.transport, **{**given, **changes})

    async def approved(
        self, sign_in: EntraSignIn, address: str = ANN, decision: str = "accept"
    ) -> tuple[Any, Any]:
        """(flow, what the browser brings back)."""
        url, flow = await sign_in.begin(state="state-1")
        back = await self.control("POST", "authorize", {"url": url, "address": address, "decision": decision})
        assert (back["response_mode"], back["action"]) == ("form_post", REDIRECT)
        return flow, back["fields"]

    async def signed_in(self, address: str = ANN) -> SignedIn:
        sign_in = self.sign_in()
        grant = await sign_in.redeem(*await self.approved(sign_in, address))
        return SignedIn(sign_in, grant.cache, grant.access_token, f"mbx_{address}", grant)


@dataclass(slots=True)
class SignedIn:
    """Access as the product's: the token at hand until it is rejected, then a fresh one."""

    sign_in: EntraSignIn
    cache: str
    access_token: str
    mailbox_id: str
    grant: Grant
    refreshes: int = 0

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        if rejected == self.access_token:
            self.refreshes += 1
            fresh = await self.sign_in.refresh(self.cache, claims=claims)
            self.cache, self.access_token = fresh.cache, fresh.access_token
        return self.access_token


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    clock, receiver = VirtualClock(), Receiver()
    application = Application(CLIENT, SECRET, (REDIRECT, BACK), "Postbraid")
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver.serve)) as out:
        simulator = build_simulator(SimulatorConfig(applications=(application,)), clock, out)
        inside = httpx.ASGITransport(app=simulator.app)
        transport = Transport(inner=inside)
        async with httpx.AsyncClient(transport=inside, base_url="http://localhost:7444") as controls:
            made = Office(clock, simulator, receiver, controls, transport)
            await made.control("POST", "users", {"address": ANN, "display_name": "Ann Archer"})
            await made.control("POST", "contacts", {"address": BEA, "name": "Bea"})
            yield made
        await transport.close()


@pytest.fixture
def mail(office: Office) -> GraphMail:
    return GraphMail(office.transport, f"{SECURE}/v1.0")


@pytest.fixture
async def ann(office: Office) -> SignedIn:
    return await office.signed_in()


def encoded(name: str, content: bytes, **members: Any) -> dict[str, Any]:
    """A file as the controls take it."""
    return {
        "name": name,
        "content_type": "application/pdf",
        "content_base64": b64encode(content).decode(),
        **members,
    }
