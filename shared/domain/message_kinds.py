"""What sort of mail a message is, and whether a machine wrote it.

Exchange's message class speaks first, then Graph's type, then the headers of RFC 3464 (reports), RFC 3834 (automatic
answers), RFC 6047 (meetings by mail) and RFC 8098 (read receipts). The subject is never asked: it is translated,
and people write it. A class or header that nobody knows is mail. E-20: automatic mail never triggers anything of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.domain.mail_parts import is_protected
from shared.domain.model import Address, FetchedMessage, MessageKind

Headers = Iterable[tuple[str, str]]

BULK: Final = ("bulk", "list", "junk", "auto_reply")
AUTOMATIC_KINDS: Final = frozenset(
    {MessageKind.BOUNCE, MessageKind.AUTOMATIC_REPLY, MessageKind.READ_RECEIPT}
)
# What a CRM reply never answers: nobody reads the answer, or it would answer a machine (RFC 3834, 2).
UNANSWERABLE_KINDS: Final = AUTOMATIC_KINDS | {MessageKind.RECALL}

# Whose attached items and returned messages are parts of a report (R8).
REPORTING_KINDS: Final = AUTOMATIC_KINDS

# Exchange may leave out its own tags where the mail has the headers.
ANSWER_HEADERS: Final = frozenset({"in-reply-to", "references"})

# Exchange's own sender of reports; the number is the same everywhere.
EXCHANGE_SENDER: Final = "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e"
DAEMON: Final = "mailer-daemon"
MAIL_SYSTEMS: Final = frozenset({"postmaster", DAEMON, EXCHANGE_SENDER})

# PidTagMessageClass (MS-OXOMSG, MS-OXOCAL): the beginning of the class, in lower case.
CLASSES: Final = (
    ("ipm.schedule.meeting.request", MessageKind.MEETING_REQUEST),
    ("ipm.schedule.meeting.canceled", MessageKind.MEETING_REQUEST),
    ("ipm.schedule.meeting.resp", MessageKind.MEETING_RESPONSE),
    ("ipm.outlook.recall", MessageKind.RECALL),
    ("ipm.recall.report", MessageKind.RECALL),
    ("ipm.note.rules.ooftemplate", MessageKind.AUTOMATIC_REPLY),
    ("ipm.note.rules.replytemplate", MessageKind.AUTOMATIC_REPLY),
)
# What a class that begins with `REPORT.` ends with. DR says that a mail was delivered: a machine's word, no bounce.
REPORTS: Final = {
    "ndr": MessageKind.BOUNCE,
    "delayed": MessageKind.BOUNCE,
    "dr": MessageKind.AUTOMATIC_REPLY,
    "ipnrn": MessageKind.READ_RECEIPT,
    "ipnnrn": MessageKind.READ_RECEIPT,
}
# A cancelled meeting is the organiser's word too; Graph types it as a bare eventMessage.
GRAPH_TYPES: Final = {
    "eventmessagerequest": MessageKind.MEETING_REQUEST,
    "eventmessageresponse": MessageKind.MEETING_RESPONSE,
    "eventmessage": MessageKind.MEETING_REQUEST,
}
REPORT_TYPES: Final = {
    "delivery-status": MessageKind.BOUNCE,
    "disposition-notification": MessageKind.READ_RECEIPT,
}
MEETING_METHODS: Final = {
    "request": MessageKind.MEETING_REQUEST,
    "cancel": MessageKind.MEETING_REQUEST,
    "reply": MessageKind.MEETING_RESPONSE,
    "counter": MessageKind.MEETING_RESPONSE,
}


def kind_of(message: FetchedMessage) -> MessageKind:
    """The kind of a mail of a thread; `mail` where nothing says otherwise."""
    said = _by_class(message.message_class) or _by_graph_type(message.odata_type)
    if said is not None:
        return said
    if is_protected(message):
        return MessageKind.PROTECTED
    tagged = message.outline.in_reply_to is not None or bool(message.outline.references)
    answers = tagged or any(name.lower() in ANSWER_HEADERS for name, _ in message.headers)
    return _by_headers(message.headers, message.sender, answers=answers)


def is_bounce_class(message_class: str | None) -> bool:
    """Whether Exchange says that it is a report of failed or delayed delivery."""
    return _by_class(message_class) is MessageKind.BOUNCE


def is_mail_system(sender: Address | None) -> bool:
    """Whether a mail names as its sender what writes reports, and no person."""
    return sender is not None and sender.address.partition("@")[0].strip().lower() in MAIL_SYSTEMS


def _is_daemon(sender: Address | None) -> bool:
    """Whether nobody could be behind that address; a postmaster may be a person."""
    return sender is not None and sender.address.partition("@")[0].strip().lower() == DAEMON


def is_automatic(headers: Headers) -> bool:
    """RFC 3834, 5: Auto-Submitted other than `no` marks automatic mail; the older marks of the field count too."""
    for name, value in headers:
        folded, content = name.lower(), value.strip().lower()
        if folded == "auto-submitted" and _word(content) not in {"", "no"}:
            return True
        if folded in ("x-auto-response-suppress", "x-autoreply", "list-id", "list-unsubscribe"):
            return True
        if folded == "precedence" and content in BULK:
            return True
        if folded == "return-path" and content in ("", "<>"):
            return True
    return False


def written_by_machine(kind: MessageKind, headers: Headers) -> bool:
    """Whether nobody wrote it by hand: by its kind, or by its headers."""
    return kind in AUTOMATIC_KINDS or is_automatic(headers)


def _by_class(message_class: str | None) -> MessageKind | None:
    folded = (message_class or "").strip().lower()
    if folded.startswith("report."):
        return REPORTS.get(folded.rpartition(".")[2])
    return next((kind for begins, kind in CLASSES if folded.startswith(begins)), None)


def _by_graph_type(odata_type: str | None) -> MessageKind | None:
    return GRAPH_TYPES.get((odata_type or "").rpartition(".")[2].lower())


def _by_headers(headers: Headers, sender: Address | None, *, answers: bool) -> MessageKind:
    """Without a class that tells: reports, then meetings, then automatic answers.

    Lists and newsletters are mail. `auto-generated` mail counts as an answer only where it answers something.
    """
    values = {name.lower(): value.strip().lower() for name, value in headers}
    content_type = values.get("content-type", "")
    path = values.get("return-path", "<>" if _is_daemon(sender) else None)
    system = is_mail_system(sender) and path in ("", "<>")
    if {"x-failed-recipients", "x-ms-exchange-message-is-ndr"} & values.keys() or system:
        return MessageKind.BOUNCE
    if content_type.startswith("multipart/report"):
        reported = REPORT_TYPES.get(_parameter(content_type, "report-type"))
        if reported is not None:
            return reported
    if content_type.startswith("text/calendar"):
        return MEETING_METHODS.get(_parameter(content_type, "method"), MessageKind.MAIL)
    return MessageKind.AUTOMATIC_REPLY if _answers_by_itself(values, answers=answers) else MessageKind.MAIL


def _answers_by_itself(values: dict[str, str], *, answers: bool) -> bool:
    """RFC 3834, 5: `auto-replied` is an answer; other marks, and an empty return path, are of one if it answers."""
    submitted = _word(values.get("auto-submitted", "")) or "no"
    if submitted == "auto-replied" or values.get("precedence") == "auto_reply" or "x-autoreply" in values:
        return True
    if "list-id" in values or "list-unsubscribe" in values or values.get("precedence") in BULK:
        return False
    return answers and (submitted != "no" or values.get("return-path") in ("", "<>"))


def _word(value: str) -> str:
    return value.split(";", maxsplit=1)[0].strip()


def _parameter(value: str, name: str) -> str:
    """A parameter of a content type, in lower case; "" without it (RFC 2045, 5.1)."""
    for part in value.split(";")[1:]:
        key, _, content = part.partition("=")
        if key.strip() == name:
            return content.strip().strip('"')
    return ""
