"""Graph's answers as our errors: one total function. The rest of the code never sees a status number of theirs.

Codes and their meaning: Microsoft Graph, "Error responses and resource types", and the pages of the calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from shared.domain import errors
from shared.domain.model import Reason

DEFAULT_PAUSE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 3_600.0

# Writes that must not be repeated without asking first.
UNSAFE: Final = frozenset({"create_draft", "create_reply", "attach", "send", "subscribe"})
SUBSCRIPTION: Final = frozenset({"renew", "unsubscribe"})

UNUSABLE: Final = frozenset({
    "MailboxNotEnabledForRESTAPI", "ErrorMailboxNotEnabledForRESTAPI", "ErrorNonExistentMailbox",
    "MailboxNotSupportedForRESTAPI",
})  # fmt: skip

REFUSALS: Final[dict[str, Reason]] = {
    "ErrorInvalidRecipients": Reason.INVALID_RECIPIENT,
    "ErrorInvalidRecipient": Reason.INVALID_RECIPIENT,
    "ErrorMessageSizeExceeded": Reason.MESSAGE_TOO_LARGE,
    "ErrorSendAsDenied": Reason.SEND_DENIED,
    "ErrorQuotaExceeded": Reason.MAILBOX_FULL,
    "ErrorMessageSubmissionBlocked": Reason.SENDING_BLOCKED,
    "ErrorExceededMessageLimit": Reason.SENDING_BLOCKED,
}

TRANSIENT: Final = frozenset({
    "MailboxInfoStale", "ErrorMailboxMoveInProgress", "ErrorInternalServerTransientError", "ErrorIrresolvableConflict",
    "ServiceUnavailable", "serviceNotAvailable", "UnknownError", "ErrorServerBusy",
})  # fmt: skip
THROTTLING: Final = frozenset({"ApplicationThrottled", "TooManyRequests", "activityLimitReached"})


class _Inner(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    error: _Inner = msgspec.field(default_factory=_Inner)


def read_error(body: bytes) -> tuple[str, str]:
    """(code, message) of an error body; empty where a gateway answered with something else."""
    try:
        inner = msgspec.json.decode(body, type=_Body).error
    except msgspec.DecodeError:
        return "", ""
    return inner.code, inner.message


def graph_error(
    operation: str, status: int, code: str, headers: Mapping[str, str], now: datetime | None = None
) -> errors.PostbraidError:
    """The error of ours that an answer means; total over statuses and codes."""
    error = _classified(operation, status, code, headers, now or datetime.now(UTC))
    error.add_note(f"graph {operation}: {status} {code or '-'} request-id {headers.get('request-id', '-')}")
    return error


def _classified(  # noqa: C901, PLR0911 - a table with conditions
    operation: str, status: int, code: str, headers: Mapping[str, str], now: datetime
) -> errors.PostbraidError:
    asked_to_wait = status == 503 and "retry-after" in headers  # noqa: PLR2004 - the status
    if status == 429 or code in THROTTLING or asked_to_wait:  # noqa: PLR2004 - the status
        return errors.Throttled(pause_seconds(headers.get("retry-after"), now))
    if code in UNUSABLE:
        return errors.MailboxUnusable()
    if code in REFUSALS:
        return errors.MessageRefused(REFUSALS[code].value)
    if status in (404, 410):
        return errors.SubscriptionGone() if operation in SUBSCRIPTION else errors.ItemGone()
    if status == 413:  # noqa: PLR2004 - the status
        return errors.TooLarge()
    if status >= 500 or code in TRANSIENT or status in (408, 409, 412, 423):  # noqa: PLR2004 - the statuses
        if operation in UNSAFE and operation != "subscribe":
            return errors.Ambiguous()
        return errors.ProviderUnavailable()
    if status == 401:  # noqa: PLR2004 - the status
        return errors.GrantDead()
    if status == 403 and operation == "send":  # noqa: PLR2004 - the status
        return errors.MessageRefused(Reason.SEND_DENIED.value)
    if status == 403:  # noqa: PLR2004 - the status
        return errors.GrantDead() if code == "ErrorAccessDenied" else errors.ProviderUnavailable()
    if status == 400 and operation in ("send", "create_draft", "create_reply"):  # noqa: PLR2004 - the status
        return errors.MessageRefused(Reason.REFUSED_BY_PROVIDER.value)
    return errors.UpstreamSurprise()


def pause_seconds(value: str | None, now: datetime) -> float:
    """Retry-After as seconds: integer, decimal or date; 10 s without it, at most an hour (RFC 9110, 10.2.3)."""
    if not value:
        return DEFAULT_PAUSE_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
        except (ValueError, TypeError):
            return DEFAULT_PAUSE_SECONDS
    if not 0 <= seconds < float("inf"):
        return DEFAULT_PAUSE_SECONDS if seconds != float("inf") else LONGEST_PAUSE_SECONDS
    return min(max(seconds, 1.0), LONGEST_PAUSE_SECONDS)
