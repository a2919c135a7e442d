"""Graph's answers as our errors: one total function. The rest of the code never sees a status number of theirs.

Codes and their meaning: Microsoft Graph, "Error responses and resource types", and the pages of the calls. Texts are
not branched upon, with one exception that only saves work (`_handshake_failed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from shared.domain import errors
from shared.domain.errors import PostbraidError
from shared.domain.model import Reason, Right
from shared.graph.tolerant import readable

DEFAULT_PAUSE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 3_600.0

# Writes that must not be repeated without asking first.
UNSAFE: Final = frozenset({"create_draft", "create_reply", "attach", "send", "subscribe"})
# Steps of a send: a refusal in one of them is the send's refusal.
SENDING: Final = frozenset({"create_draft", "create_reply", "fill_reply", "attach", "send"})
# A piece of a file, put to the address of an upload session.
UPLOAD: Final = "upload"
SUBSCRIPTION: Final = frozenset({"renew", "unsubscribe"})
# What Graph denies is a right; every other call reads.
RIGHTS: Final[dict[str, Right]] = {
    **dict.fromkeys((*SENDING, "delete_draft"), Right.WRITE),
    **dict.fromkeys((*SUBSCRIPTION, "subscribe", "subscriptions"), Right.SUBSCRIBE),
}
# Calls that read one message or one file.
READS: Final = frozenset({"outline", "people", "fetch", "files", "file", "file_content", "locate"})
# Calls that name a message (or folder) which somebody may have removed.
OF_AN_ITEM: Final = frozenset({
    "outline", "people", "fetch", "files", "file", "file_content", "locate", "folder", "create_reply", "send",
    "delete_draft",
})  # fmt: skip

# How Graph says that it was done, where it answers without a body ("message: send", "Delete message", "Delete
# subscription"): any other 2xx is a gateway's, and nothing was done.
DONE: Final = {"send": 202, "delete_draft": 204, "unsubscribe": 204}

# What is created with our key, a property by name.
KEYED: Final = frozenset({"create_draft", "create_reply"})


class Meaning(StrEnum):
    """What an answer says, whatever was asked."""

    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    DENIED = "denied"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    UNREADABLE = "unreadable"
    CONFLICT = "conflict"
    BROKEN = "broken"
    UNUSABLE = "unusable"
    WRONG_SIZE = "wrong_size"
    REFUSED = "refused"
    WRONG = "wrong"
    STRANGE = "strange"


REFUSALS: Final[dict[str, Reason]] = {
    "ErrorInvalidRecipients": Reason.INVALID_RECIPIENT,
    "ErrorInvalidRecipient": Reason.INVALID_RECIPIENT,
    "ErrorMessageSizeExceeded": Reason.MESSAGE_TOO_LARGE,
    "ErrorSendAsDenied": Reason.SEND_DENIED,
    "ErrorQuotaExceeded": Reason.MAILBOX_FULL,
    "quotaLimitReached": Reason.MAILBOX_FULL,
    "ErrorMessageSubmissionBlocked": Reason.SENDING_BLOCKED,
    "ErrorExceededMessageLimit": Reason.SENDING_BLOCKED,
}

# Codes that say more than their status. Those missing here (bad queries, bad bodies, ExtensionError) say no more.
CODES: Final[dict[str, Meaning]] = {
    **dict.fromkeys(REFUSALS, Meaning.REFUSED),
    "ApplicationThrottled": Meaning.THROTTLED,
    "TooManyRequests": Meaning.THROTTLED,
    "activityLimitReached": Meaning.THROTTLED,
    "InvalidAuthenticationToken": Meaning.UNAUTHORIZED,
    "ErrorAccessDenied": Meaning.DENIED,
    "Authorization_RequestDenied": Meaning.DENIED,
    "ErrorItemNotFound": Meaning.GONE,
    "ErrorInvalidIdMalformed": Meaning.GONE,  # no message has such an id
    "ResourceNotFound": Meaning.GONE,
    "Request_ResourceNotFound": Meaning.GONE,
    # What Exchange says of one item that it cannot give (EWS, "ResponseCode"), with 400 as well as 500.
    "ErrorContentConversionFailed": Meaning.UNREADABLE,
    "ErrorCorruptData": Meaning.UNREADABLE,
    "ErrorItemCorrupt": Meaning.UNREADABLE,
    "ErrorMimeContentConversionFailed": Meaning.UNREADABLE,
    "ErrorMimeContentInvalid": Meaning.UNREADABLE,
    "ErrorVirusDetected": Meaning.UNREADABLE,
    "MailboxNotEnabledForRESTAPI": Meaning.UNUSABLE,
    "ErrorMailboxNotEnabledForRESTAPI": Meaning.UNUSABLE,
    "MailboxNotSupportedForRESTAPI": Meaning.UNUSABLE,
    "ErrorNonExistentMailbox": Meaning.UNUSABLE,
    "MailboxInfoStale": Meaning.BROKEN,
    "ErrorMailboxMoveInProgress": Meaning.BROKEN,
    "ErrorInternalServerTransientError": Meaning.BROKEN,
    "ErrorServerBusy": Meaning.BROKEN,
    "ServiceUnavailable": Meaning.BROKEN,
    "serviceNotAvailable": Meaning.BROKEN,
    "UnknownError": Meaning.BROKEN,
    "ErrorIrresolvableConflict": Meaning.CONFLICT,
    "ObjectIdentifierInUse": Meaning.CONFLICT,
    "RequestEntityTooLarge": Meaning.WRONG_SIZE,
    "ErrorAttachmentSizeLimitExceeded": Meaning.WRONG_SIZE,
    "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize": Meaning.WRONG_SIZE,
}

STATUSES: Final[dict[int, Meaning]] = {
    401: Meaning.UNAUTHORIZED,
    403: Meaning.FORBIDDEN,
    404: Meaning.GONE,
    408: Meaning.BROKEN,
    409: Meaning.CONFLICT,
    410: Meaning.GONE,
    412: Meaning.CONFLICT,
    413: Meaning.WRONG_SIZE,
    423: Meaning.CONFLICT,
    507: Meaning.REFUSED,
}
# These statuses mean what they say whatever the code beside them.
_FIRM: Final[dict[int, Meaning]] = {401: Meaning.UNAUTHORIZED, 429: Meaning.THROTTLED}


class _Inner(msgspec.Struct):
    code: Any = None
    message: Any = None
    innerError: Any = None  # noqa: N815 - documents and metadata spell it differently
    innererror: Any = None


class _Body(msgspec.Struct):
    error: _Inner = msgspec.field(default_factory=_Inner)


def read_error(body: bytes) -> tuple[tuple[str, ...], str]:
    """(codes from the outermost inwards, message) of an error body; empty where a gateway answered otherwise."""
    try:
        outer = msgspec.json.decode(readable(body), type=_Body).error
    except (msgspec.DecodeError, RecursionError):
        return (), ""
    codes = [outer.code]
    inner = outer.innerError or outer.innererror
    while isinstance(inner, dict):
        codes.append(inner.get("code"))
        inner = inner.get("innerError") or inner.get("innererror")
    text = outer.message if isinstance(outer.message, str) else ""
    return tuple(code for code in codes if isinstance(code, str) and code and code.isascii()), text


def graph_error(
    operation: str, status: int, codes: tuple[str, ...], message: str, headers: Mapping[str, str]
) -> PostbraidError:
    """The error of ours that an answer to `operation` means; total over operations, statuses and codes.

    It carries `status`, `code` and `request_id`; never the message, which may quote addresses or subjects.
    """
    if _handshake_failed(operation, codes, message):
        error: PostbraidError = errors.HandshakeFailed()
    elif _key_refused(operation, status, codes):
        error = errors.KeyRefused()
    elif operation == UPLOAD and meaning_of(status, codes, headers) is not Meaning.THROTTLED:
        error = (
            errors.UploadFailed()
        )  # another host: its 401 or 403 says nothing of the grant, its 404 of no mail
    else:
        error = _error(operation, _meaning(operation, status, codes, headers), codes, headers)
    code, request_id = (codes or ("",))[-1], headers.get("request-id", "")
    vars(error).update(status=status, code=code, request_id=request_id)
    error.add_note(f"graph {operation}: {status} {code or '-'} request-id {request_id or '-'}")
    return error


def status_of(error: PostbraidError) -> int:
    """The HTTP status behind an error of Graph, or 0."""
    return int(getattr(error, "status", 0))


def is_wrong_size(error: PostbraidError) -> bool:
    """Whether a file was too large, or too small, for the way it was sent (F-9)."""
    status, code = status_of(error), str(getattr(error, "code", ""))
    return CODES.get(code, STATUSES.get(status)) is Meaning.WRONG_SIZE


def meaning_of(status: int, codes: tuple[str, ...], headers: Mapping[str, str]) -> Meaning:
    """The finest code that is known decides, then the status."""
    if status in _FIRM:
        return _FIRM[status]
    if status == 503 and "retry-after" in headers:  # noqa: PLR2004 - service unavailable, with a time
        return Meaning.THROTTLED
    for code in reversed(codes):
        if code in CODES:
            return CODES[code]
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:  # noqa: PLR2004 - their side
        return Meaning.BROKEN
    return Meaning.WRONG if status >= 400 else Meaning.STRANGE  # noqa: PLR2004 - our side


def _meaning(operation: str, status: int, codes: tuple[str, ...], headers: Mapping[str, str]) -> Meaning:
    """What an answer to this call says: of an item only to who reads it; elsewhere its status counts.

    Only a 4xx of `send` is a plain no: a 503 may come of a gateway whose request went through, Retry-After or not.
    """
    meaning = meaning_of(status, codes, headers)
    if operation == "send" and meaning is Meaning.THROTTLED and status >= 500:  # noqa: PLR2004 - it may have left
        return Meaning.BROKEN
    about_an_item = meaning is Meaning.UNREADABLE and operation not in READS
    return meaning_of(status, (), headers) if about_an_item else meaning


def _handshake_failed(operation: str, codes: tuple[str, ...], message: str) -> bool:
    """Graph could not reach our address in time: come again, do not give the filter up for it.

    Recognised by its sentence, because the code stands for any bad request; unrecognised it costs a filter.
    """
    asked = operation in SUBSCRIPTION or operation == "subscribe"
    return (
        asked and bool({"InvalidRequest", "ValidationError"} & {*codes}) and "validation" in message.lower()
    )


def _key_refused(operation: str, status: int, codes: tuple[str, ...]) -> bool:
    """Whether the quota that is spent is that of named properties, not the mailbox's room (that is 507).

    Field reports: 403 `ErrorQuotaExceeded`, "Cannot get ID from name.", to any create with a property by name, while
    plain creates work (msgraph-sdk-java 764, O365ServiceDescriptions 527). A mailbox that is full in truth refuses the
    plain create as well.
    """
    return operation in KEYED and status == 403 and "ErrorQuotaExceeded" in codes  # noqa: PLR2004 - forbidden


def _error(  # noqa: PLR0911 - one line for each meaning
    operation: str, meaning: Meaning, codes: tuple[str, ...], headers: Mapping[str, str]
) -> PostbraidError:
    match meaning:
        case Meaning.THROTTLED:
            return errors.Throttled(pause_seconds(headers.get("retry-after"), headers.get("date")))
        case Meaning.UNUSABLE:
            return errors.MailboxUnusable()
        case Meaning.DENIED | Meaning.FORBIDDEN:
            return _forbidden(operation, meaning, codes)
        case Meaning.GONE:
            return _gone(operation, codes)
        case Meaning.UNREADABLE:
            return errors.ItemUnreadable()
        case Meaning.WRONG_SIZE | Meaning.REFUSED | Meaning.WRONG:
            return _refused(operation, meaning, codes)
        case Meaning.BROKEN:
            return errors.Ambiguous() if operation in UNSAFE else errors.ProviderUnavailable()
        case Meaning.CONFLICT | Meaning.UNAUTHORIZED:
            # Nothing was done. A 401 here is the second one, of a fresh token: only Entra says that a grant is dead.
            return errors.ProviderUnavailable()
        case Meaning.STRANGE:
            return errors.NotItsAnswer()


def _forbidden(operation: str, meaning: Meaning, codes: tuple[str, ...]) -> PostbraidError:
    """403. One without a code is a gateway's ("Microsoft Graph error responses"): nothing was denied or refused."""
    if operation == "send":
        return errors.MessageRefused(Reason.SEND_DENIED.value) if codes else errors.Ambiguous()
    if meaning is Meaning.DENIED and operation in OF_AN_ITEM:
        return errors.AccessRefused()  # protected: one mail does not speak for the grant
    if meaning is Meaning.DENIED:
        return errors.GrantDead(denied=RIGHTS.get(operation, Right.READ))
    return errors.ProviderUnavailable()


def _gone(operation: str, codes: tuple[str, ...]) -> PostbraidError:
    """404, which one without a code does not say. A fresh draft that is not there may be coming: see E-10."""
    if not codes and operation not in UNSAFE:
        return errors.NotItsAnswer()
    if operation in SUBSCRIPTION:
        return errors.SubscriptionGone()
    if operation in {"attach", "fill_reply"}:
        return errors.Ambiguous()
    return errors.ItemGone() if operation in OF_AN_ITEM else errors.ProviderUnavailable()


def _refused(operation: str, meaning: Meaning, codes: tuple[str, ...]) -> PostbraidError:
    """Typed refusals end a send. An untyped one of `send` itself does not: it may say that the mail has left (E-14).

    Graph's refusals have a code; a 4xx without one is a gateway's, and refuses nothing.
    """
    if operation not in SENDING:
        return errors.UpstreamSurprise() if codes else errors.NotItsAnswer()
    typed = [REFUSALS[code] for code in reversed(codes) if code in REFUSALS]
    if typed:
        return errors.MessageRefused(typed[0].value)
    if meaning is Meaning.WRONG_SIZE:
        return errors.MessageRefused(Reason.MESSAGE_TOO_LARGE.value)
    if meaning is Meaning.REFUSED:
        return errors.MessageRefused(Reason.MAILBOX_FULL.value)
    if operation == "send":
        return errors.Ambiguous()
    return errors.MessageRefused(Reason.REFUSED_BY_PROVIDER.value) if codes else errors.NotItsAnswer()


def pause_seconds(value: str | None, date: str | None = None) -> float:
    """Retry-After as seconds: integer, decimal or date; 10 s without it, at least 1 s, at most an hour.

    A date (RFC 9110, 10.2.3) is measured from the answer's own `Date`, where there is one: their clock, not ours.
    """
    seconds = _number(value)
    if seconds is None:
        until, now = _date(value), _date(date) or datetime.now(UTC)
        seconds = (until - now).total_seconds() if until else DEFAULT_PAUSE_SECONDS
    return min(max(seconds, 1.0), LONGEST_PAUSE_SECONDS)


def _number(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return None if seconds != seconds or seconds < 0 else seconds  # noqa: PLR0124 - not a number


def _date(value: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(value or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
