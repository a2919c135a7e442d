"""What was done in a case, and what must therefore come of it; and the people and programs that do it.

Whoever asks for something asks again when no answer came or the answer was a 5xx, as the API tells them to.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from sandbox.story.acts import PDF, attached
from sandbox.story.connecting import connect, cookie_of, open_session
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, STRANGER, Lie, Stage
from tests.explore.world import Explored

PAUSES = (2.0, 10.0, 45.0, 120.0, 600.0, 900.0, 3600.0)
WORD = re.compile(r"(?:Send|Answer|Outlook|Private)\w+?x\b")


@dataclass(slots=True)
class Send:
    """A mail that the CRM asked for. `ends`: what may become of it."""

    identity: str
    ends: frozenset[str]
    answer: int = 0
    thread_id: str = ""
    own_id: str = ""
    """Postbraid's id of a mail that the demo CRM did not ask for itself."""


@dataclass(slots=True)
class Truth:
    """Words of mails, by what must become of them."""

    world: Explored
    sends: dict[str, Send] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)  # word → direction: must be in the CRM, once
    either: dict[str, str] = field(default_factory=dict)  # word → direction: at most once
    kept_out: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # not shown, and told so once
    has_letters: bool = False  # the flow makes dead letters
    foreign: list[str] = field(default_factory=list)
    status: str = "disconnected"
    address: str = ANN_ADDRESS
    begun: bool = False  # something was sent from the mailbox that is connected now
    attempted: int = 0
    acknowledged: int = 0

    @property
    def stage(self) -> Stage:
        """Where it happens."""
        return self.world.stage

    # ---- the CRM

    async def crm_sends(
        self,
        word: str,
        *,
        ends: tuple[str, ...] = ("sent",),
        within: str = "",
        files: Sequence[int] = (),
        pauses: Sequence[float] = PAUSES,
        **more: Any,
    ) -> None:
        """The CRM asks for a mail to the contact, `within` the thread of another word, until it is told yes or no.

        With no `pauses` it asks once.
        """
        self.attempted += 1
        send = self.sends[word] = Send(f"crm-{word}", frozenset(ends))
        order = {
            "crm_message_id": send.identity, "user_id": ANN, "to": CARLA, "subject": f"About {word}",
            "html": f"<p>{word}</p>", **more,
        }  # fmt: skip
        if within:
            order["thread_id"] = self.sends[within].thread_id
        if files:
            order["attachments"] = [
                attached(f"{word}{number}.pdf", "application/pdf", PDF + b"\0" * (size - len(PDF)))
                for number, size in enumerate(files)
            ]
        answer = await self.stage.crm.post("/api/messages", json=order)
        await self._asks_again(word, answer, pauses)

    async def crm_asks_again(self, word: str) -> None:
        """The CRM asks for the same mail, after a break."""
        self.attempted += 1
        answer = await self.stage.crm.post(f"/api/messages/{self.sends[word].identity}/retry")
        await self._asks_again(word, answer, PAUSES)

    async def _asks_again(self, word: str, answer: httpx.Response, pauses: Sequence[float]) -> None:
        for pause in pauses:
            if answer.status_code < 500:
                break
            await asyncio.sleep(pause)
            answer = await self.stage.crm.post(f"/api/messages/{self.sends[word].identity}/retry")
        self.took(word, answer)

    def took(self, word: str, answer: httpx.Response) -> None:
        """The answer to a send. Where a file was not uploaded nothing was asked for, and nothing may leave."""
        send = self.sends[word]
        send.answer = answer.status_code
        if answer.status_code == 404 and send.thread_id == "":
            del self.sends[word]
            return
        self.acknowledged += answer.status_code == 202
        send.thread_id = str((answer.json() or {}).get("thread_id", ""))
        if answer.status_code == 202 and "sent" in send.ends:
            self.begun = True

    async def server_sends(self, word: str, **more: Any) -> None:
        """A CRM's own server asks for a mail, files named by their addresses; the demo CRM learns of it by events."""
        self.attempted += 1
        send = self.sends[word] = Send(f"crm-{word}", frozenset({"sent"}))
        order = {
            "crm_message_id": send.identity, "user_id": ANN, "to": [{"address": CARLA}], "subject": f"About {word}",
            "body": {"html": f"<p>{word}</p>"}, **more,
        }  # fmt: skip
        answer = await self.insists("POST", "/v1/messages", lambda found: found.status_code < 500, json=order)
        self.took(word, answer)
        send.own_id = str(answer.json().get("id", ""))

    async def insists(
        self, method: str, path: str, fine: Callable[[httpx.Response], bool], **more: Any
    ) -> httpx.Response:
        """Call the API until the answer is fine."""
        for pause in PAUSES:
            try:
                if fine(answer := await self.stage.api(method, path, **more)):
                    return answer
            except httpx.HTTPError:
                pass
            await asyncio.sleep(pause)
        raise Lie(f"{method} {path} was never answered well")

    # ---- the user

    async def user_connects(self, address: str = ANN_ADDRESS) -> None:
        """Sign in until the last page says that it worked."""
        self.attempted += 1
        for pause in PAUSES:
            if await self.user_tries(address):
                self.acknowledged += 1
                self.status, self.address = "connected", address
                return
            await asyncio.sleep(pause)
        raise Lie("nobody can sign in")

    async def user_tries(self, address: str) -> bool:
        """Sign in once; whether the last page says that it worked."""
        try:
            page = await connect(self.stage, address=address)
        except (Lie, httpx.HTTPError, KeyError, ValueError) as err:
            self.world.tell(f"        the user sees {type(err).__name__}: {err}")
            return False
        if "Mailbox connected" in page or "now syncs" in page or "Email address updated" in page:
            return True
        self.world.tell(f"        the user sees {re.sub('<[^>]+>', ' ', page)[-300:]!r}")
        return False

    async def user_disconnects(self) -> None:
        """Disconnect until it is so."""
        self.attempted += 1
        path = f"/v1/users/{ANN}/connection"
        await self.insists("DELETE", path, lambda answer: answer.status_code in {200, 404, 409})
        self.acknowledged += 1
        self.status = "disconnected"

    async def user_disconnects_by_page(self) -> None:
        """Open the settings page, disconnect there, until the page says that nothing is connected."""
        self.attempted += 1
        for pause in PAUSES:
            try:
                if await self._disconnect_by_page():
                    self.acknowledged += 1
                    self.status = "disconnected"
                    return
            except (Lie, httpx.HTTPError, KeyError, ValueError, TypeError) as err:
                self.world.tell(f"        the user sees {type(err).__name__}: {err}")
            await asyncio.sleep(pause)
        raise Lie("nobody can disconnect")

    async def _disconnect_by_page(self) -> bool:
        own, app = await open_session(self.stage), self.stage.app
        status = (await app.get("/api/session/connection", headers=own)).json()["status"]
        if status == "disconnected":
            await app.delete("/api/session", headers=own)
            return True
        await asyncio.sleep(120.0)  # the page lies open for a while
        ticket = (await app.post("/api/session/disconnect-tickets", headers=own)).json()["ticket"]
        page = await app.post("/api/disconnect/start", data={"ticket": ticket})
        csrf = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.text)
        form, cookie = {"csrf_token": csrf[1] if csrf else ""}, {"Cookie": cookie_of(page)}
        await app.post("/api/disconnect/confirm", data=form, headers=cookie)
        return False

    async def user_answers(self, word: str, to: str, **more: Any) -> None:
        """The user answers, in Outlook, the mail with that word."""
        mails = [mail for mail in await self.stage.mailbox() if own_word(mail) == to]
        wanted = {"action": "reply", "graph_message_id": mails[0]["id"], "html": f"<p>{word}</p>", **more}
        self.shown[word] = "outbound"
        await self.stage.control("POST", f"mailboxes/{ANN_ADDRESS}/compose", **wanted)

    # ---- outsiders

    async def contact_answers(self, word: str, to: str, *, where: str = "shown", **more: Any) -> None:
        """The contact answers the mail with that word, as soon as it is there."""
        for _ in range(600):
            got = [mail for mail in await self.stage.outside(CARLA) if own_word(mail) == to]
            if got:
                break
            await asyncio.sleep(1.0)
        else:
            raise Lie(f"{to} never reached the contact")
        if where in {"kept_out", "refused"}:
            getattr(self, where).append(word)
        else:
            getattr(self, where)[word] = "inbound"
        number = got[0]["internet_message_id"]
        wanted = {"internet_message_id": number, "html": f"<p>{word}</p>", **more}
        await self.stage.control("POST", f"outside/{CARLA}/reply", **wanted)

    async def stranger_writes(self, word: str) -> None:
        """Foreign mail under a subject of ours."""
        self.foreign.append(word)
        await self.stage.control(
            "POST",
            f"outside/{STRANGER}/compose",
            to=[ANN_ADDRESS],
            subject="About Send0x",
            html=f"<p>{word}</p>",
        )

    async def consent_dies(self) -> None:
        """All sessions of the user end."""
        await self.stage.control("POST", f"users/{quote(ANN_ADDRESS)}/revoke")


async def at_once(world: Explored, *acts: Awaitable[Any]) -> None:
    """All of these, each beginning within some seconds."""

    async def begin(act: Awaitable[Any], after: float) -> None:
        await asyncio.sleep(after)
        await act

    spread = world.platform.dice.choice((0.2, 2.0, 8.0))
    begun = [begin(act, world.platform.dice.random() * spread) for act in acts]
    await asyncio.gather(*begun)


def own_word(mail: dict[str, Any]) -> str:
    """The word of a mail, wherever it lies: the first, for what it quotes comes after."""
    if mail.get("kind") == "bounce":
        return ""
    found = WORD.search(str(mail.get("html") or mail.get("text") or mail.get("snippet") or ""))
    return found[0] if found else ""
