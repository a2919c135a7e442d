"""Three ways to break the product on purpose, so that the story can show that it notices."""

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
    """An answer that nobody gave."""

    status: int = 200
    retry_after_seconds: float | None = None


class _Wrapped:
    """A port with some methods of its own; the rest is the real one's."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Losing(_Wrapped):
    """A CRM port that says "delivered" of received mail without delivering it."""

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        """Drop what was received, deliver the rest."""
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
        """As the real one, remembering what was in it."""
        draft: Draft = await self.real.create_draft(access, content)
        self.contents[draft.graph_message_id] = content
        return draft

    async def send(self, access: Access, graph_message_id: str) -> None:
        """Send it, and a second one of the same content."""
        await self.real.send(access, graph_message_id)
        content = self.contents.pop(graph_message_id, None)
        if content is not None:
            again = await self.real.create_draft(access, content)
            await self.real.send(access, again.graph_message_id)


class _Peeking(_Wrapped):
    """A mail port that reads every mail it is shown, foreign or not."""

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        """The outline, and the whole mail beside it."""
        await self.real.fetch(access, graph_message_id)
        found: Outline = await self.real.outline(access, graph_message_id)
        return found


SABOTAGES: Final[dict[str, Callable[[Services], Services]]] = {
    "lose": lambda s: replace(s, crm=_Losing(s.crm)),
    "double": lambda s: replace(s, mail=_Doubling(s.mail)),
    "peek": lambda s: replace(s, mail=_Peeking(s.mail)),
}
