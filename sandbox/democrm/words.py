"""Codes in words for the users of the CRM."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.democrm.model import Bounce, Connection

STATUS_WORDS = {
    "sending": "Sending…",
    "waiting": "Waiting",
    "sent": "Sent",
    "failed": "Not sent",
    "unconfirmed": "Delivery not confirmed",
    "received": "Received",
    "not_synced": "Not synced",
}
WAITING_WORDS = {
    "sign_in": "its sender must sign in to Outlook again",
    "microsoft_pause": "Microsoft has asked for a pause",
    "mailbox_unavailable": "the mailbox cannot be reached now",
    "first_mail_of_thread": "the first mail of this conversation is still on its way",
}
KIND_WORDS = {
    "bounce": "Delivery report",
    "automatic_reply": "Automatic reply",
    "meeting_request": "Invitation",
    "meeting_response": "Answer to an invitation",
    "read_receipt": "Read receipt",
    "recall": "Recall",
    "protected": "Encrypted",
}
CONNECTION_REASON_WORDS = {
    "late_notifications": "Microsoft's notifications come late",
    "mailbox_unavailable": "Microsoft does not know the mailbox now",
    "microsoft_does_not_answer": "Microsoft has not answered for an hour",
    "sweep_overdue": "the mailbox has not been looked through for over an hour",
    "subscription_lost": "Microsoft sends no notifications for the mailbox",
}
REFUSED_WORDS = {
    "no_active_connection": "Your Outlook is not connected, so nothing was sent. Connect it in the email settings.",
    "disconnected": "Your Outlook was disconnected before this left, so nothing was sent.",
    "mailbox_changed": "Your Outlook was replaced by another one before this left, so nothing was sent.",
    "thread_stopped": "Syncing of this conversation was stopped, so nothing was sent. Resume it to send again.",
    "waited_too_long": "This waited longer than it may, so nothing was sent.",
}
"""Why a send was refused or failed, where the CRM can say more than Postbraid's own sentence."""
CONNECTION_WORDS = {
    "connected": "Connected",
    "reconnect_required": "Sign-in needed",
    "degraded": "Connected, with delays",
    "disconnected": "Disconnected",
    "not_connected": "Not connected",
}
PROBLEM_WORDS = {
    "attachment_too_large": "larger than 3 MB",
    "attachment_type_not_supported": "type not supported",
    "attachment_content_mismatch": "content does not fit its name",
    "attachment_empty": "empty file",
    "attachment_unreadable": "cannot be read",
    "message_unreadable": "Microsoft does not give this message; it is looked at again",
    "too_many_attachments": "too many files",
    "too_large": "larger than 3 MB",
    "type_not_supported": "type not supported",
    "content_mismatch": "content does not fit its name",
    "empty": "empty file",
    "link": "a cloud link",
    "report_part": "a part that nobody sent",
    "text_part": "its words stand at the end of the message",
    "protected": "a part of an encrypted mail",
}


def waiting_words(cause: str) -> str:
    """What a send waits for in words; an unknown cause with spaces for underscores."""
    return WAITING_WORDS.get(cause, cause.replace("_", " "))


def kind_words(kind: str) -> str:
    """What sort of mail it is, in words; nothing for plain mail and for kinds that the CRM does not know."""
    return KIND_WORDS.get(kind, "")


def bounce_words(bounce: Bounce) -> str:
    """What came back of a mail, in words; no more than the report says."""
    whom = f" to {bounce.recipient}" if bounce.recipient else ""
    said = {"failed": f"Not delivered{whom}", "delayed": f"Not delivered{whom} yet; it is still tried"}
    code = f" ({bounce.status})" if bounce.status else ""
    return said.get(bounce.action or "", f"Delivery{whom} was reported as a problem") + code


def connection_reason_words(code: str) -> str:
    """Why a connection is degraded or needs a sign-in, in words; an unknown code with spaces for underscores."""
    return CONNECTION_REASON_WORDS.get(code, code.replace("_", " "))


def refused_words(code: str, detail: str) -> str:
    """Why something was not sent, in words: the CRM's own, else Postbraid's, else the code's."""
    return REFUSED_WORDS.get(code.replace("-", "_")) or detail or problem_words(code)


def closed_words(connection: Connection | None) -> str:
    """Why a user cannot send now."""
    if connection is not None and connection.status == "disconnected":
        return "Your Outlook is disconnected, so nothing can be sent from here, and its conversations have stopped."
    return "Connect your Outlook to send from here."


def problem_words(code: str) -> str:
    """A problem of a file or a message in words; an unknown code with spaces for underscores."""
    return PROBLEM_WORDS.get(code, code.replace("_", " "))


def field_words(pointer: str, detail: str) -> str:
    """A wrong field of a request in words, such as `/attachments` with `a.exe: some_code`."""
    place = pointer.strip("/").partition("/")[0]
    subject, _, code = detail.rpartition(": ")
    said = f"{subject}: {PROBLEM_WORDS[code]}" if code in PROBLEM_WORDS else detail.rstrip(".")
    return said if place in {"", "attachments"} else f"{place}: {said}"
