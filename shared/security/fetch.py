"""Guarded download of a file from an address that the CRM chose (C-1 to C-5)."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from shared.domain.errors import CrmUnavailable, TooLarge
from shared.security.guard import Guard
from shared.transport import NeverSent, NoAnswer, Transport

TIMEOUT_SECONDS = 20.0


class GuardedFetcher:
    """The `Fetcher` port: no redirects, no credentials, a judged address, a bounded read."""

    def __init__(self, transport: Transport, guard: Guard) -> None:
        self._transport = transport
        self._guard = guard

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        """The bytes. Raises TooLarge, InvalidRequest (address refused), CrmUnavailable."""
        target = await self._guard.judge(url)
        request = httpx.Request(
            "GET",
            target.url,
            headers={"Host": target.host_header, "Accept-Encoding": "identity"},
            extensions={"sni_hostname": urlsplit(url).hostname or target.host},
        )
        try:
            response = await self._transport.send(
                "file", "fetch", request, timeout_seconds=TIMEOUT_SECONDS, stream=True
            )
        except (NeverSent, NoAnswer) as err:
            raise CrmUnavailable from err
        try:
            if response.status_code != httpx.codes.OK:
                raise CrmUnavailable(f"The address answered {response.status_code}.")
            return await _bounded(response, limit_bytes)
        finally:
            await response.aclose()


async def _bounded(response: httpx.Response, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > limit_bytes:
                raise TooLarge
            pieces.append(piece)
    except httpx.TransportError as err:
        raise CrmUnavailable from err
    return b"".join(pieces)
