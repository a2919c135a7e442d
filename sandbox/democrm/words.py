"""Codes in words for the users of the CRM."""

from __future__ import annotations

STATUS_WORDS = {
    "sending": "Sending…",
    "sent": "Sent",
    "failed": "Not sent",
    "unconfirmed": "Delivery not confirmed",
    "received": "Received",
    "not_synced": "Not synced",
}
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
    "too_many_attachments": "too many files",
    "too_large": "larger than 3 MB",
    "type_not_supported": "type not supported",
    "content_mismatch": "content does not fit its name",
    "empty": "empty file",
}


def problem_words(code: str) -> str:
    """A problem of a file or a message in words; an unknown code with spaces for underscores."""
    return PROBLEM_WORDS.get(code, code.replace("_", " "))


def field_words(pointer: str, detail: str) -> str:
    """A wrong field of a request in words, such as `/attachments` with `a.exe: some_code`."""
    place = pointer.strip("/").partition("/")[0]
    subject, _, code = detail.rpartition(": ")
    said = f"{subject}: {PROBLEM_WORDS[code]}" if code in PROBLEM_WORDS else detail.rstrip(".")
    return said if place in {"", "attachments"} else f"{place}: {said}"
