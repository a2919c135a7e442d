"""Any CRM with an endpoint for Standard Webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx

from shared.domain.errors import CrmUnavailable
from shared.ports import CrmAnswer
from shared.security.guard import Guard
from shared.security.webhooks import signed_headers
from shared.transport import NeverSent, NoAnswer, Transport

TIMEOUT_SECONDS: Final = 15.0  # of the whole attempt: the name's addresses, the connection, the answer's head


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said; its body is not read into anything."""

    status: int
    retry_after_seconds: float | None = None


class GenericCrm:
    """The `Crm` port: one signed POST to a judged address, no redirects (C-1 to C-5, C-7)."""

    def __init__(self, transport: Transport, guard: Guard, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._transport = transport
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        """One attempt. Raises CrmUnavailable when no answer came, InvalidRequest for a forbidden address."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._deliver(url, event_id, body, secrets, at)
        except TimeoutError as err:
            raise CrmUnavailable from err

    async def _deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        target = await self._guard.judge(url)
        headers = {
            "Host": target.host_header,
            "Content-Type": "application/json",
            "User-Agent": "Postbraid",
            **signed_headers(event_id, at, body, secrets),
        }
        request = httpx.Request(
            "POST",
            target.url,
            headers=headers,
            content=body,
            extensions={"sni_hostname": target.host},
        )
        try:
            response = await self._transport.send(
                "crm", "deliver", request, timeout_seconds=self._timeout_seconds, stream=True
            )
        except (NeverSent, NoAnswer) as err:
            raise CrmUnavailable from err
        await response.aclose()
        return Answer(response.status_code, _retry_after(response.headers.get("retry-after")))


def _retry_after(value: str | None) -> float | None:
    """Seconds only; a date is left to the schedule."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
