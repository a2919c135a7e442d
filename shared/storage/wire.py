"""What the Azure clients have in common: one HTTP session without hidden repeats, and their errors in our words."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AioHttpTransport

from shared.domain.errors import OutcomeUnknown, PostbraidError, StoreUnavailable, TooLarge, UpstreamSurprise

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
CALL_SECONDS = 30.0
# Shorter than the idle time of the servers we meet (Node's is 5 s, Azurite runs on it), so that a connection is not
# written to in the moment in which the other side closes it.
KEEP_ALIVE_SECONDS = 4.0
CONNECTIONS = 64
PIECES_FROM_BYTES = 512 * 1024

BUSY = frozenset({429, 503})
REQUEST_TIMEOUT = 408
CONTENT_TOO_LARGE = 413
SERVER_ERROR = 500
TOO_LARGE_CODES = frozenset(
    {
        "EntityTooLarge",
        "PropertyValueTooLarge",
        "RequestBodyTooLarge",
        "TooManyProperties",
    }
)


class Transport(AioHttpTransport):  # type: ignore[misc]  # azure-core gives it out lazily, so untyped
    """One aiohttp session per store; says truthfully whether a failed request may have been carried out."""

    session: aiohttp.ClientSession | None

    def __init__(self) -> None:
        super().__init__(
            connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, use_env_settings=False
        )

    async def open(self) -> None:
        """Make the session inside the running loop, at the first request."""
        if self.session is None and not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS),
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


@asynccontextmanager
async def answered(*, writes: bool) -> AsyncIterator[None]:
    """Bound one call in time and say its failures in our words (see `shared.storage.api`)."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError as error:
        raise _no_answer(writes=writes, error=error) from error
    except AzureError as error:
        raise translate(error, writes=writes) from error


def translate(error: AzureError, *, writes: bool) -> PostbraidError:
    """One of our errors for any of the SDK's."""
    status = getattr(error, "status_code", None)
    match error:
        case IncompleteReadError() | ServiceResponseError():
            return _no_answer(writes=writes, error=error)
        case ServiceRequestError():
            return StoreUnavailable(
                f"The storage cannot be reached ({type(error.inner_exception).__name__})."
            )
        case ClientAuthenticationError() if status is None:
            return StoreUnavailable("No token for the storage is to be had now.")
        case HttpResponseError() if status is not None:
            return _refusal(error, status, writes=writes)
        case _:
            return UpstreamSurprise(f"The storage client failed with {type(error).__name__}.")


def code_of(error: AzureError) -> str:
    """The service's own word for what happened, such as `EntityAlreadyExists`; empty when it gave none."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    code = getattr(error, "error_code", None) or headers.get("x-ms-error-code") or ""
    return str(getattr(code, "value", code))


def _refusal(error: HttpResponseError, status: int, *, writes: bool) -> PostbraidError:
    if status in BUSY:
        return StoreUnavailable("The storage is busy.", _retry_after_seconds(error))
    if status >= SERVER_ERROR or status == REQUEST_TIMEOUT:
        return _no_answer(writes=writes, error=error)
    if status == CONTENT_TOO_LARGE or code_of(error) in TOO_LARGE_CODES:
        return TooLarge(f"The storage refused it as too large ({code_of(error) or status}).")
    return UpstreamSurprise(f"The storage answered {status} {code_of(error)}.")


def _no_answer(*, writes: bool, error: Exception) -> PostbraidError:
    if writes:
        return OutcomeUnknown(f"A storage write got no answer ({type(error).__name__}).")
    return StoreUnavailable(f"The storage did not answer ({type(error).__name__}).")


def _retry_after_seconds(error: HttpResponseError) -> float | None:
    """Retry-After in seconds; storage never sends it as a date."""
    text = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
    return float(text) if text.isdigit() else None
