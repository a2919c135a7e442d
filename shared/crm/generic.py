"""Any CRM with an endpoint for Standard Webhooks."""

from __future__ import annotations

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

TIMEOUT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said; its body is not read into anything."""

    status: int
    retry_after_seconds: float | None = None


class GenericCrm:
    """The `Crm` port: one signed POST to a judged address, no redirects (C-1 to C-5, C-7)."""

    def __init__(self, transport: Transport, guard: Guard) -> None:
        self._transport = transport
        self._guard = guard

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        """One attempt. Raises CrmUnavailable when no answer came, InvalidRequest for a forbidden address."""
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
                "crm", "deliver", request, timeout_seconds=TIMEOUT_SECONDS, stream=True
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
