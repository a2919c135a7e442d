"""Mail that could not be decided on: what counts as its own trouble, and when it is looked at again (R14).

An item that fails alone is held. What fails for all mail is an outage, and is waited out elsewhere: so an error that
an outage would give as well speaks of the item only where its outline was read in the same look, and where few other
mails of the mailbox fail at the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    ItemUnreadable,
    OutcomeUnknown,
    PostbraidError,
    ProviderUnavailable,
    TooLarge,
    UpstreamSurprise,
)
from shared.domain.model import Held, Reason, RemoteFile
from shared.domain.retries import ONE_ITEM_FOR_AT_MOST, OUTAGE_SECONDS, is_outage

SOON: Final = (timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=10), timedelta(minutes=30))
LATER: Final = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
DAILY: Final = timedelta(days=1)
MISSING_AT_MOST: Final = 3
MOST_DEATHS: Final = 5
FAILING_TOGETHER: Final = 3
LONGEST_OUTAGE: Final = timedelta(days=7)
# What stands in for a file while it is scanned: an item in its place, or some hundred bytes under its name
# (msgraph-sdk-dotnet issue 2416).
STUB_BYTES: Final = 4_096

_HOLDS_ON: Final = (Reason.MESSAGE_UNREADABLE, Reason.ATTACHMENT_UNREADABLE)


def fails_alone(error: Exception) -> bool:
    """Whether an error met while one mail is read may be that mail's own trouble, a fault of ours over it included."""
    if not isinstance(error, PostbraidError):
        return True
    own = AccessRefused | ItemUnreadable | UpstreamSurprise | TooLarge | ProviderUnavailable | Ambiguous
    return isinstance(error, own) and not isinstance(error, OutcomeUnknown)


def may_be_an_outage(error: Exception) -> bool:
    """Whether an outage would be answered in the same way."""
    return isinstance(error, ProviderUnavailable | Ambiguous)


def passes_soon(error: Exception, attempts: int) -> bool:
    """Whether the quick tries of an outage come first: `attempts` failed ones were there before."""
    return may_be_an_outage(error) and attempts < len(OUTAGE_SECONDS) - 1


def pause_after(looks: int) -> timedelta:
    """How long to wait after so many looks: minutes first, then hours, then a day each time."""
    steps = (*SOON, *LATER)
    return steps[looks - 1] if 0 < looks <= len(steps) else DAILY


def is_final(looks: int) -> bool:
    """Whether the quick looks are over after so many in vain: then what the next one finds is told."""
    return looks >= len(SOON)


def waits_out(
    error: Exception,
    since: datetime,
    now: datetime,
    failing_beside: int,
    *,
    others_readable: bool | None = None,
) -> bool:
    """Whether nothing is told yet: other mail fails as well.

    `others_readable`: whether a mail of the thread that was read before can be read now, None where nobody can say.
    Where it cannot, an outage of a week is waited out. Else mails that fail together are, for less than a day.
    """
    if others_readable is not None:
        return not others_readable and now - since < LONGEST_OUTAGE
    together = (may_be_an_outage(error) or is_outage(error)) and failing_beside >= FAILING_TOGETHER
    return together and now - since < ONE_ITEM_FOR_AT_MOST


def holds_on(reason: Reason) -> bool:
    """Whether a mail that was told with this reason is looked at all the same, for it may become readable."""
    return reason in _HOLDS_ON


def may_change(reason: Reason, size_bytes: int, kind: str = "file") -> bool:
    """Whether this verdict on a file may become another while Exchange still scans it.

    Too large, and a type that is not listed by the name of a file, stay what they are.
    """
    if reason is Reason.ATTACHMENT_UNREADABLE or kind == "item":
        return True
    return reason is Reason.ATTACHMENT_MISMATCH and size_bytes <= STUB_BYTES


def is_unsettled(blocking: Sequence[tuple[RemoteFile, Reason]], *, leaves_out: bool) -> bool:
    """Whether the verdicts on a mail's files may become others; one that may not settles the mail.

    Where files that block are left out (R10), each must be settled.
    """
    changing = [may_change(reason, file.size_bytes, file.kind) for file, reason in blocking]
    return any(changing) if leaves_out else bool(changing) and all(changing)


def first_held(now: datetime, generation: int, internet_message_id: str | None = None) -> Held:
    """A mail that was looked at once in vain."""
    return Held(now + pause_after(1), now, generation, internet_message_id=internet_message_id)


def asked_for(held: Held, now: datetime) -> Held:
    """A look now, because somebody asked for it: in vain it changes nothing of the looks that come by themselves."""
    return replace(held, look_at=now, planned_at=held.planned_at or held.look_at)


def died(held: Held, deaths: int, now: datetime) -> Held:
    """Before a look that may kill as others did, or after so many deaths: minutes first, after five of them daily."""
    pauses = (*SOON, LATER[0])
    pause = pauses[deaths - 1] if 0 < deaths <= len(pauses) else DAILY
    return replace(held, deaths=deaths, look_at=now + pause)


def looked(held: Held, now: datetime) -> Held:
    """After one more look in vain; one that was asked for is not counted."""
    if held.planned_at is not None:
        again = held.planned_at if held.planned_at > now else now + SOON[0]
        return replace(held, missing=0, deaths=0, look_at=again, planned_at=None)
    looks = held.looks + 1
    return replace(held, looks=looks, missing=0, deaths=0, look_at=now + pause_after(looks))


def waited(held: Held, now: datetime) -> Held:
    """After a look that an outage may have spoilt: as often as before, and nothing is counted."""
    return replace(held, missing=0, deaths=0, look_at=now + SOON[-1])


def put_off(held: Held, until: datetime) -> Held:
    """Nobody could look: later, and nothing is counted."""
    return replace(held, deaths=0, look_at=until)
