"""Errors as problem documents (RFC 9457): one table from class to type, title and status (docs/problems.md)."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.domain import errors

TYPE_BASE: Final = "https://postbraid.dev/problems/"
CONTENT_TYPE: Final = "application/problem+json"

# The first class that fits wins, so the narrow ones stand first.
TABLE: Final[tuple[tuple[type[errors.PostbraidError], str, str, int], ...]] = (
    (errors.MalformedBody, "malformed-body", "The body cannot be read", 400),
    (errors.BodyTooLarge, "body-too-large", "The body is too large", 413),
    (errors.AttachmentRefused, "attachment-refused", "A file does not sync", 422),
    (errors.InvalidRequest, "invalid-request", "The request cannot be taken as it is", 422),
    (errors.NotAuthenticated, "not-authenticated", "A valid credential is needed", 401),
    (errors.NotAllowed, "not-allowed", "The credential does not cover this", 403),
    (errors.NotFound, "not-found", "There is nothing here", 404),
    (errors.ItemGone, "gone", "It is no longer kept", 410),
    (errors.CrmMessageIdReused, "crm-message-id-reused", "This crm_message_id was used before", 409),
    (errors.NoActiveConnection, "no-active-connection", "The user has no connected mailbox", 409),
    (errors.ThreadStopped, "thread-stopped", "The thread was stopped", 409),
    (errors.MustWait, "must-wait", "The send would have to wait", 409),
    (errors.MailboxTaken, "mailbox-taken", "This mailbox cannot be connected here", 409),
    (errors.LinkUnusable, "link-unusable", "The link was used already or is too old", 409),
    (errors.Conflict, "conflict", "The request does not fit the present state", 409),
    (errors.MailboxClosed, "no-active-connection", "The user has no connected mailbox", 409),
    (errors.SignInFailed, "sign-in-failed", "The sign-in did not complete", 400),
    (errors.Throttled, "throttled", "Too many requests", 429),
    (errors.RaceLost, "busy", "Somebody else changed this at the same time", 503),
    (errors.RowChanged, "busy", "Somebody else changed this at the same time", 503),
    (errors.RowExists, "busy", "Somebody else changed this at the same time", 503),
    (errors.RowMissing, "busy", "Somebody else changed this at the same time", 503),
    (errors.TooLarge, "body-too-large", "The body is too large", 413),
    (errors.Misconfigured, "misconfigured", "This installation is not set up completely", 503),
    (errors.NotReady, "unavailable", "A service this one needs does not answer", 503),
    (errors.Unavailable, "unavailable", "A service this one needs does not answer", 503),
    (errors.Ambiguous, "unavailable", "A service this one needs does not answer", 503),
)
UNAVAILABLE: Final = 503
UNEXPECTED: Final = ("unexpected", "Something went wrong here", 500)
RETRY_AFTER_SECONDS: Final = 5
# Said instead of the error's own words, which may name hosts and libraries of the inside.
TRY_AGAIN: Final = "Repeat the same request after the time in Retry-After."


class _Field(msgspec.Struct):
    pointer: str
    detail: str


class _Problem(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    errors: list[_Field] = []
    waiting_for: str | None = None
    faults: list[str] = []


def problem_for(error: Exception, instance: str | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for an error; an unknown one tells nothing of its inside (X-5)."""
    for kind, slug, title, status in TABLE:
        if isinstance(error, kind):
            own_words = status != UNAVAILABLE or isinstance(error, errors.Misconfigured | errors.NotReady)
            detail = error.detail if own_words else TRY_AGAIN
            return _document(slug, title, status, detail, instance, error)
    slug, title, status = UNEXPECTED
    return _document(slug, title, status, "It was noted. Try again later.", instance, error)


def _document(
    slug: str, title: str, status: int, detail: str, instance: str | None, error: Exception
) -> tuple[int, dict[str, str], bytes]:
    fields = (
        [_Field(fault.pointer, fault.detail) for fault in error.errors]
        if isinstance(error, errors.InvalidRequest)
        else []
    )
    shown = isinstance(error, errors.NotReady) or (isinstance(error, errors.Misconfigured) and error.shown)
    faults = list(getattr(error, "faults", ())) if shown else []
    waits_for = error.waits_for.value if isinstance(error, errors.MustWait) else None
    document = _Problem(TYPE_BASE + slug, title, status, detail, instance, fields, waits_for, faults)
    return status, {"Content-Type": CONTENT_TYPE, **_headers(status, error)}, msgspec.json.encode(document)


def _headers(status: int, error: Exception) -> dict[str, str]:
    if isinstance(error, errors.NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if status in (429, UNAVAILABLE):
        asked = getattr(error, "retry_after_seconds", None)
        return {"Retry-After": str(int((asked or RETRY_AFTER_SECONDS) + 0.999))}
    return {}
