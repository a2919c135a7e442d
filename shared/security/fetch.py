"""Guarded download of a file from an address that the CRM chose (C-1 to C-5)."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from shared.domain.errors import CrmUnavailable, TooLarge
from shared.security.guard import Guard
from shared.transport import NeverSent, NoAnswer, Transport

TIMEOUT_SECONDS: Final = 20.0


class GuardedFetcher:
    """The `Fetcher` port: no redirects, no credentials, a judged address, a read bounded in bytes and time."""

    def __init__(self, transport: Transport, guard: Guard, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._transport = transport
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        """The bytes. Raises TooLarge, InvalidRequest (address refused), CrmUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                target = await self._guard.judge(url)
                request = httpx.Request(
                    "GET",
                    target.url,
                    headers={"Host": target.host_header, "Accept-Encoding": "identity"},
                    extensions={"sni_hostname": target.host},
                )
                return await self._read(request, limit_bytes)
        except (NeverSent, NoAnswer, TimeoutError) as err:
            raise CrmUnavailable from err

    async def _read(self, request: httpx.Request, limit_bytes: int) -> bytes:
        response = await self._transport.send(
            "file", "fetch", request, timeout_seconds=self._timeout_seconds, stream=True
        )
        try:
            if response.status_code != httpx.codes.OK:
                raise CrmUnavailable(f"The address answered {response.status_code}.")
            return await _read_bounded(response, limit_bytes)
        finally:
            await response.aclose()


async def _read_bounded(response: httpx.Response, limit_bytes: int) -> bytes:
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
