"""Three ways to break the product on purpose, to prove that the story finds such faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.domain.model import Draft, DraftContent, Outline
from shared.ports import Access, CrmAnswer
from shared.services import Services


@dataclass(frozen=True, slots=True)
class _Fine:
    """A made-up successful answer of the CRM."""

    status: int = 200
    retry_after_seconds: float | None = None


class _Wrapped:
    """A port that passes all calls to the real one, unless a subclass overrides them."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Losing(_Wrapped):
    """A CRM port that reports received mail as delivered without delivering it."""

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        """Drop events of received mail, deliver the others."""
        if b'"type":"message.received"' in body:
            return _Fine()
        answer: CrmAnswer = await self.real.deliver(url, event_id, body, secrets, at)
        return answer


class _Doubling(_Wrapped):
    """A mail port that sends everything twice."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.contents: dict[str, DraftContent] = {}

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        """Create the draft and remember its content."""
        draft: Draft = await self.real.create_draft(access, content)
        self.contents[draft.graph_message_id] = content
        return draft

    async def send(self, access: Access, graph_message_id: str) -> None:
        """Send the draft, and a second one with the same content."""
        await self.real.send(access, graph_message_id)
        content = self.contents.pop(graph_message_id, None)
        if content is not None:
            again = await self.real.create_draft(access, content)
            await self.real.send(access, again.graph_message_id)


class _Peeking(_Wrapped):
    """A mail port that reads every whole mail, also foreign ones."""

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        """Read the whole mail before its outline."""
        await self.real.fetch(access, graph_message_id)
        found: Outline = await self.real.outline(access, graph_message_id)
        return found


SABOTAGES: Final[dict[str, Callable[[Services], Services]]] = {
    "lose": lambda s: replace(s, crm=_Losing(s.crm)),
    "double": lambda s: replace(s, mail=_Doubling(s.mail)),
    "peek": lambda s: replace(s, mail=_Peeking(s.mail)),
}
