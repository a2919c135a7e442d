"""The one tree of errors.

PostbraidError
├── InvalidRequest              what the caller sent cannot be taken; `errors` name the fields
│   ├── MalformedBody           not JSON as we read it
│   ├── BodyTooLarge            over the limit of its route
│   └── AttachmentRefused       a file breaks R7/R8; nothing left
├── NotAuthenticated            no credential, or a wrong one
├── NotAllowed                  a good credential without the scope
├── NotFound                    not there, or not yours
├── Conflict
│   ├── CrmMessageIdReused      the same crm_message_id with another body
│   ├── NoActiveConnection      the user has no mailbox that may send
│   ├── ThreadStopped           the thread was stopped; nothing goes into it (R12)
│   ├── MustWait                the send would have to wait, and the CRM said that it must not
│   ├── MailboxTaken            the mailbox belongs to somebody else's connection (R1)
│   ├── ConnectionChanged       the user's connection was changed at the same time
│   └── LinkUnusable            a one-time link, ticket or state: used, expired or of another browser
├── SignInFailed                Microsoft or the user said no; `reason` says which
├── Throttled                   wait; no attempt is counted
├── Misconfigured               a setting is missing or wrong; `faults` name them, `shown` to operators alone
├── NotReady                    a service that the app rests on does not answer it; `faults` name them
├── Unavailable                 the other side is down; repeat later
│   ├── RaceLost                others changed the same rows at every try
│   ├── StoreUnavailable
│   ├── KeyUnavailable          the key-encryption key
│   ├── ProviderUnavailable
│   │   ├── HandshakeFailed     Graph did not reach our address in time; no subscription was made
│   │   └── UploadFailed        the host that takes large files did not take one; Graph itself may well
│   ├── DraftIncomplete         the mailbox answered, and the draft lacks what was put on it
│   ├── UnknownForm             a row, message or sealed value that only a newer version reads
│   └── CrmUnavailable
├── Ambiguous                   a write may have happened: never repeat it blindly
│   └── OutcomeUnknown          the store's form of it: read a row to conclude (E-6)
├── GrantDead                   only the user can repair it: reconnect
├── AccessRefused               the grant lives, but this one thing may not be read
├── MailboxUnusable             no such mailbox for REST (unlicensed, on-premises)
├── ItemUnreadable              this one thing cannot be given: broken, not to be converted, held by a scanner
├── ItemGone                    the message is not there (any more)
├── SubscriptionGone            the subscription is not there (any more)
├── KeyRefused                  the mailbox has no room for the name of our key; without it the same may be taken
├── MessageRefused              a send that will never succeed; `reason` says why
├── MailboxClosed               the fence: mailbox closed, or another generation or connection
├── RowExists, RowChanged, RowMissing, BlobExists, TooLarge     what a store says of a write
├── WorkersDied                 a piece of work on which one worker after the other died
├── SealBroken                  a ciphertext that does not open where it stands
└── UpstreamSurprise            the other side broke its contract
    └── NotItsAnswer            what came is not the other side's at all: a gateway's page, a cut body, a redirect
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.model.words import Right, WaitsFor


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: a JSON pointer (RFC 6901) and a sentence for people."""

    pointer: str
    detail: str


class PostbraidError(Exception):
    """Something went wrong in a way this product knows."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).__doc__ or type(self).__name__
        super().__init__(self.detail)


class InvalidRequest(PostbraidError):
    """The request cannot be taken as it is."""

    def __init__(self, detail: str | None = None, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


class MalformedBody(InvalidRequest):
    """The body is not JSON that this service reads."""


class BodyTooLarge(InvalidRequest):
    """The body is larger than this address takes."""


class AttachmentRefused(InvalidRequest):
    """A file is too large or of a type that does not sync; nothing was sent."""


class NotAuthenticated(PostbraidError):
    """A valid credential is needed."""


class NotAllowed(PostbraidError):
    """The credential does not cover this."""


class NotFound(PostbraidError):
    """There is nothing here."""


class Conflict(PostbraidError):
    """The request does not fit the present state."""


class CrmMessageIdReused(Conflict):
    """This crm_message_id was used before with another body."""


class NoActiveConnection(Conflict):
    """The user has no connected mailbox."""


class ThreadStopped(Conflict):
    """This thread was stopped; resume it before you send into it."""


class MustWait(Conflict):
    """The send would have to wait now."""

    def __init__(self, waits_for: WaitsFor, detail: str | None = None) -> None:
        super().__init__(detail)
        self.waits_for = waits_for


class MailboxTaken(Conflict):
    """This mailbox cannot be connected here."""


class ConnectionChanged(Conflict):
    """The connection was changed from another window."""


class LinkUnusable(Conflict):
    """This link was used already, has expired, or belongs to another browser."""


class SignInFailed(PostbraidError):
    """The sign-in did not complete."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason


class Throttled(PostbraidError):
    """The other side asks for a pause."""

    def __init__(self, retry_after_seconds: float, detail: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Misconfigured(PostbraidError):
    """This installation is not set up completely; whoever runs it must look."""

    def __init__(
        self, detail: str | None = None, *, faults: tuple[str, ...] = (), shown: bool = False
    ) -> None:
        super().__init__(detail)
        self.faults = faults
        self.shown = shown


class NotReady(PostbraidError):
    """This installation cannot work now; `faults` say why."""

    def __init__(self, detail: str | None = None, *, faults: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.faults = faults


class Unavailable(PostbraidError):
    """The other side does not answer now."""

    def __init__(self, detail: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class RaceLost(Unavailable):
    """Others changed the same rows at every try."""


class StoreUnavailable(Unavailable):
    """The storage does not answer now."""


class ProviderUnavailable(Unavailable):
    """The mail provider does not answer now."""


class HandshakeFailed(ProviderUnavailable):
    """The mail provider did not reach our address in time."""


class UploadFailed(ProviderUnavailable):
    """The host for large files does not take this one now."""


class DraftIncomplete(Unavailable):
    """The draft lacks files that were put on it."""


class UnknownForm(Unavailable):
    """What is stored here has a form that this version does not read; a newer one may."""


class KeyUnavailable(Unavailable):
    """The key that seals cannot be used now."""


class CrmUnavailable(Unavailable):
    """The CRM does not answer now."""


class Ambiguous(PostbraidError):
    """A write may have happened, or not."""


class OutcomeUnknown(Ambiguous):
    """A storage write got no answer; reading one of its rows tells."""


class GrantDead(PostbraidError):
    """The mailbox's consent no longer works; its user must reconnect."""

    def __init__(
        self, detail: str | None = None, *, noted: bool = False, denied: Right | None = None
    ) -> None:
        super().__init__(detail)
        self.noted = noted
        self.denied = denied


class AccessRefused(PostbraidError):
    """The mailbox does not let this be read."""


class MailboxUnusable(PostbraidError):
    """The mailbox cannot be reached by this service at all."""


class ItemUnreadable(PostbraidError):
    """The message or file is there, and cannot be read."""


class ItemGone(PostbraidError):
    """The message is not there."""


class SubscriptionGone(PostbraidError):
    """The subscription is not there."""


class MessageRefused(PostbraidError):
    """The mail provider will never send this message."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason


class KeyRefused(PostbraidError):
    """The mailbox takes no further named property, so nothing can carry our key."""


class MailboxClosed(PostbraidError):
    """The mailbox lets nothing in or out for this generation."""


class RowExists(PostbraidError):
    """A row with this key is already there."""

    def __init__(self, row: str = "", detail: str | None = None) -> None:
        super().__init__(detail)
        self.row = row


class RowChanged(PostbraidError):
    """The row is no longer as it was read."""

    def __init__(self, row: str = "", detail: str | None = None) -> None:
        super().__init__(detail)
        self.row = row


class RowMissing(PostbraidError):
    """The row to write over is not there."""

    def __init__(self, row: str = "", detail: str | None = None) -> None:
        super().__init__(detail)
        self.row = row


class BlobExists(PostbraidError):
    """A blob of this name is already there."""


class TooLarge(PostbraidError):
    """The value is larger than the store takes."""


class WorkersDied(PostbraidError):
    """Each worker that was at it died, or did not come to an end."""


class SealBroken(PostbraidError):
    """A sealed value does not open: changed, moved, or of a lost key."""


class UpstreamSurprise(PostbraidError):
    """The other side answered in a way its contract does not know."""


class NotItsAnswer(UpstreamSurprise):
    """What came is not the other side's answer: a gateway's page, a cut body, a redirect. It says nothing but that."""
