"""The outside, as little of it as the functions need: a mail provider, a sign-in, a CRM and a file server.

The simulator is the place for Graph's behaviour; these only remember what they were asked and answer plainly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.domain.errors import ItemGone, SignInFailed
from shared.domain.model import (
    Address,
    Draft,
    DraftContent,
    FetchedMessage,
    Grant,
    Located,
    OutgoingFile,
    Outline,
    OutlinePage,
    People,
    Profile,
    Refreshed,
    RemoteFile,
    Subscription,
    Whereabouts,
)
from shared.ports import Access, Clock

DOMAIN = "northwind.example"


@dataclass(slots=True)
class Failing:
    """Errors to raise, by method: `failing.next["send"] = [Throttled(9)]`."""

    next: dict[str, list[Exception]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def called(self, method: str) -> None:
        self.calls.append(method)
        if self.next.get(method):
            raise self.next[method].pop(0)


@dataclass(slots=True)
class FakeMail(Failing):
    """One mailbox per access token; ids are counted."""

    clock: Clock | None = None
    mails: dict[str, FetchedMessage] = field(default_factory=dict)
    files_of: dict[str, list[tuple[RemoteFile, bytes]]] = field(default_factory=dict)
    drafts: dict[str, DraftContent] = field(default_factory=dict)
    sent: dict[str, DraftContent] = field(default_factory=dict)
    client_states: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        assert self.clock is not None
        return self.clock.now()

    def receive(
        self,
        sender: str,
        in_reply_to: str | None = None,
        files: Sequence[tuple[str, bytes]] = (),
        **changes: Any,
    ) -> str:
        """A mail arrives; returns its id."""
        number = f"AAMk-{len(self.mails) + 1}"
        outline = Outline(number, f"<{number}@fabrikam.example>", "conv-x", is_draft=False, in_reply_to=in_reply_to,
                          received_at=self.now(), last_modified_at=self.now())  # fmt: skip
        mail = FetchedMessage(
            outline=outline, sender=Address(sender), to=(Address(f"ann@{DOMAIN}"),), cc=(), bcc=(), reply_to=(),
            subject="Re: Your offer", html="<p>Yes.</p>", text="Yes.", sent_at=self.now(), received_at=self.now(),
            has_attachments=bool(files),
        )  # fmt: skip
        self.mails[number] = replace(mail, **changes)
        self.files_of[number] = [
            (RemoteFile(f"f{n}", name, None, len(content), inline=False, kind="file"), content)
            for n, (name, content) in enumerate(files)
        ]
        return number

    def sent_outline(self, graph_message_id: str) -> Outline:
        """How a sent draft looks in Sent Items."""
        key = self.sent[graph_message_id].key
        return Outline(graph_message_id, f"<{graph_message_id}@{DOMAIN}>", f"conv-{graph_message_id}", is_draft=False,
                       key=key, received_at=self.now(), last_modified_at=self.now())  # fmt: skip

    async def profile(self, access: Access) -> Profile:
        self.called("profile")
        name = (await access.token()).removeprefix("access-")
        return Profile(f"{name}@{DOMAIN}", name.title())

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        self.called("outline")
        if graph_message_id in self.sent:
            return self.sent_outline(graph_message_id)
        return self._mail(graph_message_id).outline

    async def people(self, access: Access, graph_message_id: str) -> People:
        self.called("people")
        mail = self._mail(graph_message_id)
        return People(mail.sender, mail.to, mail.cc)

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        self.called("fetch")
        return self._mail(graph_message_id)

    async def files(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        self.called("files")
        return tuple(one for one, _ in self.files_of.get(graph_message_id, ()))

    async def file_content(
        self, access: Access, graph_message_id: str, remote_id: str, limit_bytes: int
    ) -> bytes:
        self.called("file_content")
        return next(content for one, content in self.files_of[graph_message_id] if one.remote_id == remote_id)

    async def sweep(
        self, access: Access, since: datetime, next_link: str | None = None, *, sent_items_only: bool = False
    ) -> OutlinePage:
        self.called("sweep")
        found = [one.outline for one in self.mails.values()] + [self.sent_outline(one) for one in self.sent]
        return OutlinePage(tuple(one for one in found if (one.last_modified_at or since) >= since), None)

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        self.called("create_draft")
        return self._draft(content)

    async def create_reply(self, access: Access, to_graph_message_id: str, content: DraftContent) -> Draft:
        self.called("create_reply")
        return self._draft(content)

    async def fill_reply(
        self, access: Access, graph_message_id: str, content: DraftContent, html: str
    ) -> None:
        self.called("fill_reply")

    async def attach(self, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
        self.called("attach")

    async def send(self, access: Access, graph_message_id: str) -> None:
        self.called("send")
        self.sent[graph_message_id] = self.drafts.pop(graph_message_id)

    async def locate(self, access: Access, graph_message_id: str) -> Located:
        self.called("locate")
        if graph_message_id not in self.sent:
            raise ItemGone
        return Located(self.sent_outline(graph_message_id), Whereabouts.SENT)

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        self.called("find_by_key")
        found = [one for one, content in self.sent.items() if content.key == key]
        return tuple(Located(self.sent_outline(one), Whereabouts.SENT) for one in found)

    async def subscribe(
        self, access: Access, *, client_state: str, expires_at: datetime, **_: Any
    ) -> Subscription:
        self.called("subscribe")
        self.client_states.append(client_state)
        return Subscription(f"sub-{len(self.client_states)}", expires_at, "me/messages", client_state)

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        self.called("renew")
        return Subscription(subscription_id, expires_at, "me/messages")

    async def unsubscribe(self, access: Access, subscription_id: str) -> None:
        self.called("unsubscribe")

    async def subscriptions(self, access: Access) -> tuple[Subscription, ...]:
        self.called("subscriptions")
        return ()

    def _draft(self, content: DraftContent) -> Draft:
        number = f"draft-{len(self.drafts) + len(self.sent) + 1}"
        self.drafts[number] = content
        return Draft(number, f"<{number}@{DOMAIN}>", f"conv-{number}")

    def _mail(self, graph_message_id: str) -> FetchedMessage:
        if graph_message_id not in self.mails:
            raise ItemGone
        return self.mails[graph_message_id]


@dataclass(slots=True)
class FakeSignIn(Failing):
    """Whoever comes back with code `ann` is Ann."""

    clock: Clock | None = None

    async def begin(self, *, state: str, login_hint: str | None = None) -> tuple[str, dict[str, Any]]:
        self.called("begin")
        return f"https://login.example/authorize?state={state}&x=<y>", {"state": state}

    async def redeem(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> Grant:
        self.called("redeem")
        if flow["state"] != response.get("state") or "code" not in response:
            raise SignInFailed("declined" if response.get("error") == "access_denied" else "failed")
        assert self.clock is not None
        name = response["code"]
        return Grant("tid-1", f"oid-{name}", f"{name}@{DOMAIN}", f"cache-{name}", f"access-{name}",
                     self.clock.now() + timedelta(hours=1), ("Mail.Send",))  # fmt: skip

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        self.called("refresh")
        assert self.clock is not None
        return Refreshed(cache, cache.replace("cache-", "access-"), self.clock.now() + timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What the CRM's endpoint said."""

    status: int
    retry_after_seconds: float | None = None


@dataclass(slots=True)
class FakeCrm:
    """An endpoint that keeps what it is told."""

    told: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    statuses: deque[int] = field(default_factory=deque)

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> FakeAnswer:
        status = self.statuses.popleft() if self.statuses else 204
        if status < 300:
            self.told.append(msgspec.json.decode(body))
            self.ids.append(event_id)
        return FakeAnswer(status)

    def types(self) -> list[str]:
        return [one["type"] for one in self.told]


@dataclass(slots=True)
class FakeFetcher:
    """Files by address."""

    served: dict[str, bytes | Exception] = field(default_factory=dict)

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        found = self.served[url]
        if isinstance(found, Exception):
            raise found
        return found
