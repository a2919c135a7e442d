"""Further ways to break the product through its ports, beside the three of `sandbox.sabotage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.domain.model import Draft, DraftContent, FetchedMessage, Outline, OutlinePage, Subscription
from shared.ports import Access
from shared.services import Services


class Wrapped:
    """A port with some methods of its own; the rest is the real one's."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class SweepsNothing(Wrapped):
    """Sweeps find nothing: only notifications bring mail."""

    async def sweep(self, *_: Any, **__: Any) -> OutlinePage:
        return OutlinePage((), None)


class RenewsNothing(Wrapped):
    """Says that it renewed, and did not."""

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        found = [
            subscription
            for subscription in await self.real.subscriptions(access)
            if subscription.subscription_id == subscription_id
        ]
        return replace(found[0], expires_at=expires_at)


class ForgetsThreads(Wrapped):
    """Answers with mails of its own instead of replies."""

    async def create_reply(self, access: Access, _: str, content: DraftContent) -> Draft:
        draft: Draft = await self.real.create_draft(access, content)
        return draft


class SeesWrongly(Wrapped):
    """Outlines that are not as they are."""

    def __init__(self, real: Any, **wrong: Any) -> None:
        super().__init__(real)
        self.wrong = wrong

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        return replace(await self.real.outline(access, graph_message_id), **self.wrong)

    async def sweep(self, *args: Any, **more: Any) -> OutlinePage:
        page = await self.real.sweep(*args, **more)
        return replace(page, outlines=tuple(replace(outline, **self.wrong) for outline in page.outlines))


class TrustsHasAttachments(Wrapped):
    """Mails have no files where Graph says so, which it also says where all are inline."""

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        message: FetchedMessage = await self.real.fetch(access, graph_message_id)
        return message if message.has_attachments else replace(message, files=())


@dataclass(frozen=True, slots=True)
class Fine:
    """An answer that nobody gave."""

    status: int = 200
    retry_after_seconds: float | None = None


class TellsNot(Wrapped):
    """Keeps one type of event from the CRM."""

    def __init__(self, real: Any, kind: str) -> None:
        super().__init__(real)
        self.kind = kind.encode()

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> Any:
        if b'"type":"%b"' % self.kind in body:
            return Fine()
        return await self.real.deliver(url, event_id, body, secrets, at)


MUTANTS: Final[dict[str, Callable[[Services], Services]]] = {
    "no sweep": lambda s: replace(s, mail=SweepsNothing(s.mail)),
    "no renewal": lambda s: replace(s, mail=RenewsNothing(s.mail)),
    "no reply threads": lambda s: replace(s, mail=ForgetsThreads(s.mail)),
    "drafts are mail": lambda s: replace(s, mail=SeesWrongly(s.mail, is_draft=False)),
    "echoes are strangers": lambda s: replace(s, mail=SeesWrongly(s.mail, key=None)),
    "blind to tags": lambda s: replace(s, mail=SeesWrongly(s.mail, in_reply_to=None, references=())),
    "blind to inline files": lambda s: replace(s, mail=TrustsHasAttachments(s.mail)),
    "silent refusals": lambda s: replace(s, crm=TellsNot(s.crm, "message.not_synced")),
    "silent sends": lambda s: replace(s, crm=TellsNot(s.crm, "message.sent")),
    "silent waits": lambda s: replace(s, crm=TellsNot(s.crm, "message.waiting")),
    "silent stops": lambda s: replace(s, crm=TellsNot(s.crm, "thread.stopped")),
}
