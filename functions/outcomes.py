"""What a person reads in the window of a sign-in or of a disconnect: words by what the window is for, and outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.domain.errors import (
    Ambiguous,
    Conflict,
    ConnectionChanged,
    GrantDead,
    InvalidRequest,
    LinkUnusable,
    MailboxTaken,
    MailboxUnusable,
    MessageRefused,
    NoActiveConnection,
    PostbraidError,
    ProviderUnavailable,
    RowChanged,
    RowExists,
    RowMissing,
    SignInFailed,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.state.sessions import CONNECT, DISCONNECT


@dataclass(frozen=True, slots=True)
class Words:
    """One outcome: title, what happened, and how to go on. `$detail` is an address or a sentence of ours.

    `status` is that of a page which cannot be kept for the browser, because nothing is known of it.
    """

    status: int
    title: str
    text: str
    onward: str


# The first class that fits wins.
OUTCOMES: Final[dict[type[PostbraidError], str]] = {
    LinkUnusable: "link_unusable",
    MailboxTaken: "taken",
    ConnectionChanged: "changed",
    NoActiveConnection: "not_connected",
    MailboxUnusable: "unusable",
    ProviderUnavailable: "try_again",
    Throttled: "try_again",
    **dict.fromkeys((Unavailable, Ambiguous, RowChanged, RowExists, RowMissing), "unclear"),
    **dict.fromkeys((Conflict, InvalidRequest, GrantDead, MessageRefused, UpstreamSurprise), "failed"),
}

CLOSE: Final = "You can close this window."
SETTINGS: Final = "the email settings of $product"
AGAIN: Final = f"To try again, press Connect in {SETTINGS}."
OTHER_ACCOUNT: Final = f"To connect another mailbox, press Connect in {SETTINGS} and choose another account."

CONNECTING: Final = {
    "under_way": Words(200, "One moment…", "Your mailbox is being connected.", "That takes a few seconds."),
    "connected": Words(200, "Mailbox connected", "$detail is connected.", CLOSE),
    "declined": Words(
        200, "Nothing was connected", "You said no, and nothing was changed.", f"{CLOSE} {AGAIN}"
    ),
    "another_account": Words(
        200,
        "Another account",
        "The sign-in began anew for another account, and nothing was changed.",
        f"Go on at Microsoft. If no page of Microsoft's is open, press Connect in {SETTINGS} again.",
    ),
    "admin_consent_required": Words(
        200,
        "Your administrator has to agree first",
        "Your organisation lets only administrators approve this. Nothing was changed.",
        f"When your administrator has agreed, press Connect in {SETTINGS} again.",
    ),
    "organisation_not_allowed": Words(
        409,
        "Not connected",
        "Mailboxes of this organisation cannot be connected here. Nothing was changed.",
        OTHER_ACCOUNT,
    ),
    "scopes_missing": Words(
        409,
        "Not connected",
        "Not everything was approved that the sync needs. Nothing was changed.",
        f"Press Connect in {SETTINGS} again, and approve all that Microsoft asks for.",
    ),
    "taken": Words(409, "Not connected", "$detail Nothing was changed.", OTHER_ACCOUNT),
    "changed": Words(
        409,
        "Not connected",
        "$detail",
        f"Look at {SETTINGS}: they show which mailbox is connected now.",
    ),
    "unusable": Words(
        409,
        "Not connected",
        "Microsoft offers no mailbox for this account that a program may use. Nothing was changed.",
        OTHER_ACCOUNT,
    ),
    "link_unusable": Words(
        410,
        "This link was used already or is too old",
        "A sign-in works once, in the browser that began it, and for ten minutes.",
        f"Press Connect in {SETTINGS} again.",
    ),
    "try_again": Words(
        503, "Microsoft did not answer", "Nothing was changed.", f"Press Connect in {SETTINGS} in a minute."
    ),
    "unclear": Words(
        503,
        "That did not work just now",
        "It is not certain whether your mailbox was connected.",
        f"Look at {SETTINGS} in a minute. If no mailbox is shown as connected there, press Connect again.",
    ),
    "failed": Words(400, "The sign-in did not complete", "Nothing was changed.", AGAIN),
}

DISCONNECTING: Final = {
    "under_way": Words(
        200, "One moment…", "Your mailbox is being disconnected.", "That takes a few seconds."
    ),
    "disconnected": Words(
        200,
        "Mailbox disconnected",
        "$detail no longer syncs. What synced before stays where it is.",
        CLOSE,
    ),
    "not_connected": Words(
        409, "No mailbox is connected", "There was nothing to disconnect, and nothing was changed.", CLOSE
    ),
    "changed": Words(
        409,
        "Nothing was disconnected",
        "Another mailbox was connected since this question was asked.",
        f"Look at {SETTINGS}: they show which mailbox is connected now.",
    ),
    "link_unusable": Words(
        410,
        "This question was answered already or is too old",
        "It can be answered once, in the browser that asked, and for ten minutes.",
        f"Look at {SETTINGS}. If the mailbox is still shown as connected there, press Disconnect again.",
    ),
    "unclear": Words(
        503,
        "That did not work just now",
        "It is not certain whether your mailbox was disconnected.",
        f"Look at {SETTINGS} in a minute. If it is still shown as connected there, press Disconnect again.",
    ),
    "failed": Words(
        400, "That did not work", "Nothing was disconnected.", f"Press Disconnect in {SETTINGS} again."
    ),
}

# A page of which it is not known what it was for.
EITHER: Final = ""
NOT_KNOWN: Final = {
    "nothing_here": Words(
        404,
        "There is nothing to show here",
        "What came of a sign-in or a disconnect is shown for ten minutes, in the browser in which it was done.",
        f"Look at {SETTINGS}: they show whether a mailbox is connected.",
    ),
    "unclear": Words(
        503,
        "This cannot be shown just now",
        "What you did is not changed by that.",
        f"Load this page again in a minute, or look at {SETTINGS}.",
    ),
}
WORDS: Final = {CONNECT: CONNECTING, DISCONNECT: DISCONNECTING, EITHER: NOT_KNOWN}


def outcome_of(purpose: str, err: PostbraidError) -> str | None:
    """The outcome that this error is for the person; None for what is a fault of ours."""
    words = WORDS[purpose]
    if isinstance(err, SignInFailed):
        return err.reason if err.reason in words else "failed"
    for kind, outcome in OUTCOMES.items():
        if isinstance(err, kind):
            return outcome if outcome in words else "unclear" if isinstance(err, Unavailable) else "failed"
    return None
