"""What people do meanwhile: the CRM sends, contacts answer, the user answers in Outlook, strangers write.

Every mail has a token of its own before anything that it quotes, by which the verdict finds it again.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx

from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, DEV, STRANGER, Lie, Stage

Kind = Literal["send", "answer", "own", "foreign"]
CONTACTS: Final = (CARLA, DEV)
TOKEN: Final = re.compile(r"tok-\d{5}x")
TRY_AGAIN_SECONDS: Final = 0.5
BETWEEN_MOVES_SECONDS: Final = (0.05, 0.5)


def token_of(mail: dict[str, Any]) -> str:
    """The token of a mail's own words: quotations stand behind it. "" where there is none."""
    found = TOKEN.search(f"{mail.get('html') or ''} {mail.get('text') or ''}")
    return found[0] if found else ""


@dataclass(slots=True)
class Written:
    """A mail that somebody wrote. `acknowledged`: the product, or the mailbox, has taken it."""

    token: str
    kind: Kind
    contact: str
    acknowledged: bool = False


@dataclass(slots=True)
class Load:
    """Writes mail by a seed until told to stop."""

    stage: Stage
    dice: random.Random
    written: list[Written] = field(default_factory=list)
    conversations: dict[str, str] = field(default_factory=dict)
    """By contact the CRM's newest conversation with them."""
    answered: set[str] = field(default_factory=set)
    stopping: bool = False

    async def run(self) -> None:
        """Move after move; a send is repeated until it is taken, as a CRM's server does."""
        moves: tuple[tuple[Callable[[], Awaitable[None]], int], ...] = (
            (self.send, 4),
            (self.answer, 3),
            (self.answer_in_outlook, 1),
            (self.write_foreign, 2),
        )
        while not self.stopping:
            (move,) = self.dice.choices([move for move, _ in moves], [weight for _, weight in moves])
            await move()
            await asyncio.sleep(self.dice.uniform(*BETWEEN_MOVES_SECONDS))

    async def send(self) -> None:
        """The CRM sends a mail, in a conversation that it has with the contact or in a new one."""
        mail = self._new("send", self.dice.choice(CONTACTS))
        known = self.conversations.get(mail.contact)
        goes_on = known is not None and self.dice.random() < 0.6
        more = {"conversation_id": known} if goes_on else {"subject": f"Offer {mail.token}"}
        body = {"user_id": ANN, "to": mail.contact, "html": f"<p>{mail.token}</p>", **more}
        sent = await self._of_crm("/api/messages", crm_message_id=mail.token, **body)
        while not (sent or {}).get("product_id"):
            if self.stopping:
                return
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            sent = await self._of_crm(f"/api/messages/{mail.token}/retry") or sent
        mail.acknowledged = True
        self.conversations[mail.contact] = str((sent or {})["conversation_id"])

    async def answer(self) -> None:
        """A contact answers a mail that came from the CRM."""
        contact = self.dice.choice(CONTACTS)
        got = [
            mail
            for mail in await self.stage.outside(contact)
            if mail["internet_message_id"] not in self.answered
        ]
        if not got:
            return
        mail, original = self._new("answer", contact), self.dice.choice(got)
        self.answered.add(original["internet_message_id"])
        await self.stage.control(
            "POST",
            f"outside/{contact}/reply",
            internet_message_id=original["internet_message_id"],
            html=f"<p>{mail.token}</p>",
        )
        mail.acknowledged = True

    async def answer_in_outlook(self) -> None:
        """The user answers a contact's answer in Outlook."""
        answers = {mail.token for mail in self.written if mail.kind == "answer"}
        inbox = [mail for mail in await self.stage.mailbox() if mail["folder"] == "inbox"]
        got = [mail for mail in inbox if token_of(mail) in answers]
        if not got:
            return
        original = self.dice.choice(got)
        mail = self._new("own", original["from"])
        await self.stage.control(
            "POST",
            f"mailboxes/{ANN_ADDRESS}/compose",
            action="reply",
            graph_message_id=original["id"],
            html=f"<p>{mail.token}</p>",
        )
        mail.acknowledged = True

    async def write_foreign(self) -> None:
        """A stranger writes a mail that has nothing to do with the CRM."""
        mail = self._new("foreign", STRANGER)
        await self.stage.control(
            "POST",
            f"outside/{STRANGER}/compose",
            to=[ANN_ADDRESS],
            subject="Private",
            html=f"<p>{mail.token}</p>",
        )
        mail.acknowledged = True

    def _new(self, kind: Kind, contact: str) -> Written:
        self.written.append(Written(f"tok-{len(self.written):05d}x", kind, contact))
        return self.written[-1]

    async def _of_crm(self, path: str, **body: Any) -> dict[str, Any] | None:
        """The CRM's message as it stands after the call; None where the product did not take it."""
        try:
            answer: dict[str, Any] = await self.stage.of_crm("POST", path, **body)
        except (Lie, httpx.HTTPError):
            return None
        return answer
