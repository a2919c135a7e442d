"""The one way out for our own HTTP: one client, explicit times, every call counted by its call site (T-1).

Nothing is retried and no redirect is followed in here. A failure says whether the request can have arrived.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

import httpx

CONNECT_SECONDS: Final = 5.0

Observe = Callable[[str, str], None]


class NeverSent(Exception):
    """The request did not leave: no connection came about."""


class NoAnswer(Exception):
    """The request may have arrived, and no answer came."""


def _nobody(port: str, operation: str) -> None:
    """Count nothing."""


class Transport:
    """HTTP for Graph, Entra, the CRM and files. `inner` replaces the network (programs in one process)."""

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        inner: httpx.AsyncBaseTransport | None = None,
        observe: Observe = _nobody,
    ) -> None:
        self._ca_file = ca_file
        self._inner = inner
        self._observe = observe
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        port: str,
        operation: str,
        request: httpx.Request,
        *,
        timeout_seconds: float = 20.0,
        stream: bool = False,
    ) -> httpx.Response:
        """One request, one answer of whatever status. Raises NeverSent or NoAnswer.

        With `stream` the body is not read; close the response.
        """
        self._observe(port, operation)
        request.extensions = {
            **request.extensions,
            "timeout": httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS).as_dict(),
        }
        try:
            return await self._opened().send(request, stream=stream)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as err:
            raise NeverSent from err
        except httpx.TransportError as err:
            raise NoAnswer from err

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _opened(self) -> httpx.AsyncClient:
        """The client, made in the loop that uses it; no proxy from the environment, no redirects (C-4)."""
        if self._client is None:
            verify: ssl.SSLContext | bool = True
            if self._ca_file is not None:
                verify = ssl.create_default_context(cafile=self._ca_file)
            self._client = httpx.AsyncClient(
                transport=self._inner, verify=verify, trust_env=False, follow_redirects=False
            )
        return self._client
