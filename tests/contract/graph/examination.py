"""What a mailbox does where Microsoft's documents leave it open: one mail to oneself, sent, looked at and cleared away.

Reads no mail but its own: it asks by id, by the key on its own mail, and by the Message-IDs of that mail. What is found
is named as the simulator's knobs (docs/simulator.md), so that the simulator can be turned to the real side.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

KEY = "String {8d3c7f52-5c0e-4f63-9a0b-3f0c54b1a7e6} Name CrmKey"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
SELECT = "$select=id,isDraft,internetMessageId,parentFolderId"
LOOKS, SECONDS_BETWEEN = 36, 5.0
NOT_ASKED = "not asked: no notification address was given"


@dataclass(slots=True)
class Findings:
    """By the name of a knob, or of an assumption; `notes` are answers as they came."""

    knobs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    copies: int = 0
    """How many copies of the mail arrived; E-14 says 1 although its draft was sent twice."""

    def __str__(self) -> str:
        """A line each."""
        lines = {**self.knobs, **self.notes, "copies that arrived": str(self.copies)}
        return "\n".join(f"{name}: {value}" for name, value in lines.items())


@dataclass(slots=True)
class Examiner:
    """`graph` has the base address and the token; `sleep` waits for so many seconds."""

    graph: httpx.AsyncClient
    sleep: Callable[[float], Awaitable[None]]
    notification_url: str | None = None
    found: Findings = field(default_factory=Findings)
    _now: datetime | None = None
    """The time by Graph's clock, as it last said it."""

    async def examine(self) -> Findings:
        """Everything, and then away with it. Raises httpx.HTTPStatusError where the token does not suffice."""
        me = (await self._get("me?$select=mail,userPrincipalName")).json()
        key = secrets.token_hex(16)
        draft = await self._draft(me.get("mail") or me["userPrincipalName"], key)
        await self._send_twice(draft)
        copies = await self._wait_for_copies(draft, key)
        self._compare(draft, copies)
        await self._ask_for_pages()
        await self._ask_for_a_filter()
        for copy in {copy["id"] for copy in copies}:
            await self.graph.delete(f"me/messages/{quote(copy, safe='')}", headers=IMMUTABLE)
        return self.found

    async def _draft(self, address: str, key: str) -> dict[str, Any]:
        body = {
            "subject": f"A mail to look at how this mailbox behaves ({key[:6]})",
            "body": {
                "contentType": "text",
                "content": "Sent by an examination that you started. It goes away by itself.",
            },
            "toRecipients": [{"emailAddress": {"address": address}}],
            "singleValueExtendedProperties": [{"id": KEY, "value": key}],
        }
        answer = await self.graph.post("me/messages", json=body, headers=IMMUTABLE)
        answer.raise_for_status()
        return dict(answer.json())

    async def _send_twice(self, draft: dict[str, Any]) -> None:
        """E-14: the second send of a submitted draft is refused, and sends nothing."""
        path = f"me/messages/{quote(draft['id'], safe='')}/send"
        first = await self.graph.post(path, headers={**IMMUTABLE, "Content-Length": "0"})
        first.raise_for_status()
        second = await self.graph.post(path, headers={**IMMUTABLE, "Content-Length": "0"})
        self.found.notes["second send of a submitted draft"] = f"{second.status_code} {_code(second)}".strip()

    async def _wait_for_copies(self, draft: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """The sent copy and the one that arrived, however they are found; all looks long, to see a second one."""
        known: dict[str, dict[str, Any]] = {}
        for _ in range(LOOKS):
            await self.sleep(SECONDS_BETWEEN)
            for copy in [*await self._by_key(key), *await self._by_message_ids(draft, known)]:
                known[copy["id"]] = copy
            by_id = await self.graph.get(
                f"me/messages/{quote(draft['id'], safe='')}?{SELECT}", headers=IMMUTABLE
            )
            if by_id.is_success and not by_id.json()["isDraft"]:
                known[draft["id"]] = {**by_id.json(), "by_id": True}
        return [copy for copy in known.values() if not copy["isDraft"]]

    async def _by_key(self, key: str) -> list[dict[str, Any]]:
        wanted = quote(f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY}' and ep/value eq '{key}')")
        answer = await self._get(f"me/messages?$filter={wanted}&{SELECT}")
        return [{**copy, "by_key": True} for copy in answer.json()["value"]]

    async def _by_message_ids(
        self, draft: dict[str, Any], known: dict[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        numbers = {draft["internetMessageId"], *(copy["internetMessageId"] for copy in known.values())}
        found: list[dict[str, Any]] = []
        for number in sorted(numbers):
            wanted = quote(f"internetMessageId eq '{number.replace(chr(39), chr(39) * 2)}'")
            answer = await self._get(f"me/messages?$filter={wanted}&{SELECT}")
            found += [{**copy, **known.get(copy["id"], {})} for copy in answer.json()["value"]]
        return found

    def _compare(self, draft: dict[str, Any], copies: list[dict[str, Any]]) -> None:
        sent_folder = [copy for copy in copies if copy.get("by_id") or copy.get("by_key")]
        kept = any(copy.get("by_id") for copy in copies)
        self.found.knobs["sent_copy_id"] = "kept" if kept else "changed"
        self.found.knobs["sent_copy_extended_properties"] = (
            "kept" if any(copy.get("by_key") for copy in copies) else "lost"
        )
        same = any(copy["internetMessageId"] == draft["internetMessageId"] for copy in copies)
        self.found.knobs["sent_message_id"] = "kept" if same else "changed"
        sent = {copy["id"] for copy in sent_folder}
        self.found.copies = len([copy for copy in copies if copy["id"] not in sent])

    async def _ask_for_pages(self) -> None:
        """Whether a sorted list of ids that goes on says so."""
        path = f"me/messages?$orderby={quote('receivedDateTime desc')}&$select=id&$top=1"
        answer = await self._get(path)
        self._now = parsedate_to_datetime(answer.headers["date"])
        more = "@odata.nextLink" in answer.json()
        self.found.notes["a page of one mail has a next link"] = "yes" if more else "no"

    async def _ask_for_a_filter(self) -> None:
        if self.notification_url is None:
            self.found.notes["subscription_is_draft_filter"] = NOT_ASKED
            return
        now = self._now or parsedate_to_datetime((await self._get("me?$select=id")).headers["date"])
        body = {
            "changeType": "created",
            "notificationUrl": self.notification_url,
            "resource": "me/messages?$filter=isDraft eq false",
            "expirationDateTime": (now + timedelta(minutes=45)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        answer = await self.graph.post("subscriptions", json=body)
        self.found.knobs["subscription_is_draft_filter"] = "accepted" if answer.is_success else "refused"
        self.found.notes["subscription with a filter"] = f"{answer.status_code} {_code(answer)}".strip()
        if answer.is_success:
            await self.graph.delete(f"subscriptions/{answer.json()['id']}")

    async def _get(self, path: str) -> httpx.Response:
        answer = await self.graph.get(path, headers=IMMUTABLE)
        answer.raise_for_status()
        return answer


def _code(answer: httpx.Response) -> str:
    """The error's code, never its sentence."""
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""
