"""Reasons as sentences for people."""

from __future__ import annotations

from typing import Final

from shared.domain.model import Reason, Trouble

REASON_TEXTS: Final = {
    Reason.ATTACHMENT_TOO_LARGE: "A file is larger than 3 MB, so the message does not sync.",
    Reason.ATTACHMENT_TYPE: "A file is of a type that does not sync, so the message does not sync.",
    Reason.ATTACHMENT_MISMATCH: "A file's content is not of the kind that its name says, so the message does not sync.",
    Reason.ATTACHMENT_EMPTY: "A file is empty, so the message does not sync.",
    Reason.ATTACHMENT_UNREADABLE: "A file could not be read, so the message does not sync.",
    Reason.ATTACHMENT_NOT_FETCHED: "A file could not be fetched from its address; nothing was sent.",
    Reason.TOO_MANY_ATTACHMENTS: "There are too many files on the message.",
    Reason.ATTACHMENTS_TOO_LARGE_TOGETHER: "The files are too large together.",
    Reason.MESSAGE_UNREADABLE: "A message of the mailbox could not be read so far.",
    Reason.THREAD_STOPPED: "The thread was stopped before the message left.",
    Reason.DISCONNECTED: "The mailbox was disconnected before the message left.",
    Reason.MAILBOX_CHANGED: "The user connected another mailbox before the message left.",
    Reason.INVALID_RECIPIENT: "Microsoft refused a recipient's address.",
    Reason.SEND_DENIED: "Microsoft does not let this mailbox send the message.",
    Reason.MESSAGE_TOO_LARGE: "The message is larger than the mailbox allows.",
    Reason.MAILBOX_FULL: "The mailbox is full.",
    Reason.SENDING_BLOCKED: "Microsoft has blocked this mailbox from sending.",
    Reason.MAILBOX_UNUSABLE: "The mailbox cannot be used through Microsoft Graph.",
    Reason.REFUSED_BY_PROVIDER: "Microsoft refused the message.",
    Reason.LEFT_IN_DRAFTS: "The message was not sent; its draft lies in the mailbox's Drafts.",
    Reason.CANCELLED_IN_MAILBOX: "The draft was deleted in the mailbox before it was sent.",
    Reason.WAITED_TOO_LONG: "The message could not leave in the time it was given.",
    Reason.OUTCOME_UNKNOWN: "It is not known whether the message left; its copy is looked for during seven days.",
    Reason.NAMED_PROPERTIES_SPENT: "The mailbox takes no key of ours, so it is not known whether the message left.",
    Reason.DRAFT_INCOMPLETE: "Five times the mailbox did not keep all files of the message on its draft; nothing left.",
    Reason.GAVE_UP: "The message could not be prepared after several tries.",
}


def reason_text(reason: Reason) -> str:
    """The sentence people read for a reason (docs/problems.md explains each)."""
    return REASON_TEXTS.get(reason, reason.value.replace("_", " "))


def reason_data(reason: Reason | None) -> dict[str, str] | None:
    """A reason as the API tells it: its code, and the sentence people read."""
    return {"code": reason.value, "detail": reason_text(reason)} if reason else None


TROUBLE_TEXTS: Final = {
    Trouble.CONSENT_REFUSED: "Microsoft no longer accepts the approval; the user has to sign in again.",
    Trouble.RIGHT_DENIED: "Microsoft denies what was approved; the user signs in again, or asks the administrator.",
    Trouble.LATE_NOTIFICATIONS: "Microsoft tells late about new mail, so answers may take up to 15 minutes.",
    Trouble.MAILBOX_UNAVAILABLE: "Microsoft does not know the mailbox at the moment; mail is fetched when it is back.",
    Trouble.NO_ANSWER: "Microsoft has not answered for an hour; mail is sent and fetched as soon as it does.",
    Trouble.SWEEP_OVERDUE: "The mailbox could not be looked through for over an hour, so answers may come late.",
    Trouble.SUBSCRIPTION_LOST: "Microsoft sends no notifications at the moment, so answers may take up to 15 minutes.",
}


def trouble_text(trouble: Trouble) -> str:
    """The sentence people read when a connection is not simply connected."""
    return TROUBLE_TEXTS[trouble]
