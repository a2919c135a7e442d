"""The function app as the platform calls it, and the world around it in memory."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import azure.functions as func

from shared.domain.errors import PostbraidError
from shared.ops import CreatedTenant
from shared.services import Services
from shared.state import keys
from shared.storage.testing import Call, MemoryBlobs, MemoryQueues, MemoryTables
from shared.storage.testing.calls import no_hook
from tests.builders import StillClock
from tests.functions.answers import COOKIE, Answer, judged
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeCrm, FakeFetcher, FakeSignIn
from tests.functions.host import Out, QueueJob, TimerRequest, find_route, timers, workers

ANN_ADDRESS = "ann@northwind.example"
WEBHOOK_SECRET = "graph-path-secret-of-enough-characters"
BEA_ADDRESS = "bea@fabrikam.example"


@dataclass(slots=True)
class App:
    """The app over the in-memory stores."""

    services: Services
    clock: StillClock
    tables: MemoryTables
    blobs: MemoryBlobs
    queues: MemoryQueues
    mail: FakeMail
    sign_in: FakeSignIn
    crm: FakeCrm
    fetcher: FakeFetcher
    tenant: CreatedTenant
    other: CreatedTenant
    make_key: Callable[..., Awaitable[str]]

    async def call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        json: Any = None,
        body: bytes = b"",
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        cookie: str | None = None,
    ) -> Answer:
        """Route, call and answer as the host does; what an output binding was given goes to its queue."""
        route, given = find_route(method, path)
        if json is not None:
            body = json_module.dumps(json).encode()
        if form is not None:
            body = urlencode(form).encode()
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if cookie is not None:
            sent["Cookie"] = f"{COOKIE}={cookie}"
        url = f"http://localhost:7071/api{path}"
        request = func.HttpRequest(
            method, url, headers=sent, params=params or {}, route_params=given, body=body
        )
        out = Out()
        more = {route.output: out} if route.output else {}
        response = await route.handler(request, **more)
        try:
            for text in out.texts:
                await self.queues.put(keys.CHANGES, text)
        except PostbraidError:
            return Answer(500, {"x-answered-by": "host"}, b"")
        return judged(route.name, response)

    async def v1(self, method: str, path: str, **more: Any) -> Answer:
        """A request of the CRM's server, with its key."""
        return await self.call(method, f"/v1/{path}", key=self.tenant.api_key, **more)

    async def pump(self, *queues: str) -> int:
        """Let the workers take every visible message, as the host does; returns how many there were."""
        done = 0
        while visible := [
            (queue, received)
            for queue in queues or keys.QUEUES
            for received in await self.queues.receive(queue, 32)
        ]:
            for queue, message in visible:
                await workers()[queue](msg=QueueJob(message))
                await self.queues.delete(queue, message)
                done += 1
        return done

    async def later(self, **span: float) -> None:
        """Time passes minute by minute, with the timers and workers of each."""
        end = self.clock.now() + timedelta(**span)
        while self.clock.now() < end:
            self.clock.forward(minutes=1)
            await self.tick()
            if self.clock.now().minute % 15 == 0:
                await self.tick("renew_subscriptions")
            await self.pump()

    async def staged(self) -> list[str]:
        """Names of all staged blobs."""
        return [blob.name for blob in await self.blobs.list(keys.STAGING)]

    def store_down(self, error: Exception) -> None:
        """Every call of every store fails with this, until `store_up`."""

        def fail(_: Call) -> None:
            raise error

        for store in (self.tables, self.blobs, self.queues):
            store.before = fail

    def store_up(self) -> None:
        for store in (self.tables, self.blobs, self.queues):
            store.before = no_hook

    # ---- ways through the product

    async def page_session(
        self, user_id: str = "u_ann", key: str | None = None, address: str | None = None
    ) -> str:
        """Open a session of the settings page for that user."""
        user = {
            "id": user_id,
            "display_name": user_id.removeprefix("u_").title(),
            "addresses": [address or ANN_ADDRESS],
        }
        link = await self.call(
            "POST", "/v1/session-links", key=key or self.tenant.api_key, json={"user": user}
        )
        opened = await self.call("POST", "/session", json={"token": link.json()["url"].split("#")[1]})
        return str(opened.json()["session_token"])

    async def signed_in(self, session: str, mailbox: str = "ann") -> str:
        """Sign in at Microsoft and come back; returns the cookie with which the confirm page is asked for."""
        ticket = await self.call("POST", "/session/start-tickets", key=session)
        opening = await self.call("POST", "/oauth/start", form=ticket.json())
        state = opening.text.split("state=")[1].split("&")[0]
        back = await self.call(
            "POST", "/oauth/callback", form={"code": mailbox, "state": state}, cookie=opening.cookie
        )
        assert back.status == 303, back.text
        return back.cookie

    async def confirmed(self, cookie: str) -> Answer:
        """The person says yes on the confirm page."""
        shown = await self.call("GET", "/oauth/confirm", cookie=cookie)
        token = re.search(r'name="csrf_token" value="([^"]*)"', shown.text)
        assert token, shown.text
        said = await self.call("POST", "/oauth/confirm", form={"csrf_token": token[1]}, cookie=cookie)
        return await self.followed(said)

    async def followed(self, said: Answer) -> Answer:
        """Where a posted form leads on to, as a browser goes there; the answer itself where it leads nowhere."""
        if said.status != HTTPStatus.SEE_OTHER:
            return said
        path = said.headers["location"].removeprefix("http://localhost:7071/api")
        return await self.call("GET", path, cookie=said.cookie)

    async def connect(self, user_id: str = "u_ann", mailbox: str = "ann", key: str | None = None) -> None:
        """Connect a mailbox the way people do."""
        answer = await self.confirmed(await self.signed_in(await self.page_session(user_id, key), mailbox))
        assert answer.outcome == "connected", answer.text

    async def tick(self, name: str = "enqueue_due_work", *, past_due: bool = False) -> None:
        """A timer of ours ticks."""
        await timers()[name](timer=TimerRequest(past_due=past_due))

    async def accepted(self, crm_message_id: str = "m-1", **changes: Any) -> str:
        """The CRM hands over a send; returns its id."""
        answer = await self.v1("POST", "messages", json=send_body(crm_message_id, **changes))
        assert answer.status == 202, answer.text
        return str(answer.json()["id"])

    async def standing(self, message_id: str) -> tuple[str, str | None]:
        """A message's status, and the reason for it."""
        shown = (await self.v1("GET", f"messages/{message_id}")).json()
        return shown["status"], shown["reason"] and shown["reason"]["code"]

    async def sent(self, crm_message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
        """A CRM send that leaves and is seen in Sent Items; returns the accepting answer."""
        accepted = await self.v1("POST", "messages", json=send_body(crm_message_id, **changes))
        assert accepted.status == 202, accepted.text
        await self.pump()
        self.clock.forward(seconds=61)
        await self.pump()
        return dict(accepted.json())

    async def notify(self, *graph_message_ids: str, **changes: Any) -> Answer:
        """Graph notifies us of these created messages."""
        items = [
            {
                "subscriptionId": "sub-1",
                "clientState": self.mail.client_states[-1],
                "changeType": "created",
                "resource": f"Users/x/Messages/{graph_message_id}",
                "resourceData": {"id": graph_message_id, "@odata.type": "#Microsoft.Graph.Message"},
                "tenantId": "t",
                **changes,
            }
            for graph_message_id in graph_message_ids
        ]
        return await self.call("POST", notifications_path(), json={"value": items})

    async def arrives(self, *graph_message_ids: str) -> None:
        """Graph notifies us of these messages, and the workers work."""
        assert (await self.notify(*graph_message_ids)).status == 202
        await self.pump()

    async def answered(self, sender: str = BEA_ADDRESS, **more: Any) -> dict[str, Any]:
        """A mail that answers the newest send arrives; returns what the CRM was told of it."""
        number = self.mail.receive(sender, in_reply_to=self.mail.last_sent.internet_message_id, **more)
        await self.arrives(number)
        return self.crm.last


def notifications_path(secret: str = WEBHOOK_SECRET) -> str:
    return f"/graph/notifications/{secret}"


def send_body(crm_message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
    """The body of a send that is accepted; None takes a member away."""
    body = {
        "crm_message_id": crm_message_id,
        "user_id": "u_ann",
        "to": [{"address": BEA_ADDRESS, "name": "Bea"}],
        "subject": "Your offer",
        "body": {"html": "<p>Here it is.</p>"},
        "crm_thread_id": "c-7",
        "crm_context": {"deal": "d-42"},
        "contact_ids": ["k-9"],
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}
