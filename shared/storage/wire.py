"""What the storage clients have in common: a limit on their time, and their errors in our words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from xml.etree.ElementTree import ParseError

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)

from shared.domain.errors import OutcomeUnknown, PostbraidError, StoreUnavailable, TooLarge, UpstreamSurprise

CALL_SECONDS = 30.0
BUSY = frozenset({429, 503})
REQUEST_TIMEOUT = 408
CONTENT_TOO_LARGE = 413
SERVER_ERROR = 500
# A refused key, a firewall, a role that was taken away: operators mend it, and nothing was read or written.
DENIED: Final = frozenset({401, 403})
# What the clients raise over an answer that they cannot read.
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ParseError)
TOO_LARGE_CODES = frozenset(
    {
        "EntityTooLarge",
        "PropertyValueTooLarge",
        "RequestBodyTooLarge",
        "TooManyProperties",
    }
)


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
    except UNREADABLE as error:
        raise _no_answer(writes=writes, error=error) from error


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
            refusal = _refusal(error, status, writes=writes)
            vars(refusal).update(status=status, code=code_of(error))
            return refusal
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
    if not speaks(error):
        return _no_answer(writes=writes, error=error)
    if status in DENIED:
        return StoreUnavailable(f"The storage answered {status} {code_of(error)}.")
    return UpstreamSurprise(f"The storage answered {status} {code_of(error)}.")


def speaks(error: HttpResponseError) -> bool:
    """Whether the service itself refused: it says so by a code, and a gateway's page or redirect has none."""
    return code_of(error) != ""


def _no_answer(*, writes: bool, error: Exception) -> PostbraidError:
    if writes:
        return OutcomeUnknown(f"A storage write got no answer ({type(error).__name__}).")
    return StoreUnavailable(f"The storage did not answer ({type(error).__name__}).")


def _retry_after_seconds(error: HttpResponseError) -> float | None:
    """Retry-After in seconds; storage never sends it as a date."""
    text = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
    return float(text) if text.isdigit() else None
