"""The HTTP session beneath Azure's clients: no hidden repeats, and the truth about a failed request."""

from __future__ import annotations

import io
import socket
import ssl
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport

from shared.transport import Dial

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
# Shorter than the idle time of the servers we meet (Node's is 5 s, Azurite runs on it), so that a connection is not
# written to in the moment in which the other side closes it.
KEEP_ALIVE_SECONDS: Final = 4.0
CONNECTIONS: Final = 64
PIECES_FROM_BYTES: Final = 512 * 1024
NO_RETRIES: Final[dict[str, Any]] = dict.fromkeys(
    ("retry_total", "retry_connect", "retry_read", "retry_status"), 0
)
"""Options that turn off all of an SDK's kinds of retry."""


class AzureTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core gives it out lazily, so untyped
    """One aiohttp session per client; says truthfully whether a failed request may have been carried out.

    `ca_file` is trusted instead of the system's authorities; `dial` replaces the resolution of names.
    """

    session: aiohttp.ClientSession | None

    def __init__(self, ca_file: str | None = None, dial: Dial | None = None) -> None:
        super().__init__(
            connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, use_env_settings=False
        )
        self._ca_file = ca_file
        self._dial = dial

    async def open(self) -> None:
        """Make the session inside the running loop, at the first request."""
        if self.session is None and not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    ssl=ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True,
                    resolver=_Resolver(self._dial) if self._dial else None,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            # aiohttp repeats a PUT or DELETE by itself when a kept connection breaks. Under If-Match the repeat of
            # a write that did succeed answers 412, and we would take our own row for somebody else's.
            self.session._retry_connection = False  # noqa: SLF001 - there is no public switch
        await super().open()

    def _get_request_data(self, request: Any) -> Any:
        """Hand a large body over as a file, which aiohttp sends in pieces instead of blocking the loop."""
        data = super()._get_request_data(request)
        return io.BytesIO(data) if isinstance(data, bytes) and len(data) > PIECES_FROM_BYTES else data

    async def send(self, request: Any, **config: Any) -> Any:
        """Send; a connection that broke after it was made is no "request error": the service may have acted."""
        try:
            return await super().send(request, **config)
        except ServiceRequestError as error:
            if isinstance(
                error.inner_exception, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
            ):
                raise
            raise ServiceResponseError(error.inner_exception, error=error.inner_exception) from error


class _Resolver(AbstractResolver):
    """Names that are really connected to elsewhere."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The one address to connect to."""
        address, real_port = self._dial(host, port)
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=real_port,
                family=kind if family == socket.AF_UNSPEC else family,
                proto=socket.IPPROTO_TCP,
                flags=flags,
            )
        ]

    async def close(self) -> None:
        """Nothing is kept."""
