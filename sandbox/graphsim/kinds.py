"""Mail of other kinds, as programs of people elsewhere write it: automatic answers, receipts, meetings, recalls.

Sources: MS-OXOMSG and MS-OXOCAL for message classes; RFC 3834 (automatic answers), RFC 8098 (read receipts);
Microsoft Graph, "eventMessage resource type" for meetingMessageType. From outside only meetings keep their class for
certain, because Exchange makes them from the calendar part; the knob `outside_message_class` decides the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandbox.graphsim.conversations import normalized_subject
from sandbox.graphsim.store import PLAIN_CLASS, Attachment

if TYPE_CHECKING:
    from sandbox.graphsim.store import Mail
    from sandbox.graphsim.world import World

# The type of Graph's JSON by meetingMessageType; a bare eventMessage is neither a request nor an answer.
EVENT_TYPES = {
    "meetingRequest": "eventMessageRequest",
    "meetingCancelled": "eventMessage",
    "meetingAccepted": "eventMessageResponse",
    "meetingTenativelyAccepted": "eventMessageResponse",  # spelt so in the metadata
    "meetingDeclined": "eventMessageResponse",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells a kind of mail: class, prefix of the subject, headers, content type, meetingMessageType."""

    message_class: str
    prefix: str
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = None
    meeting: str | None = None


KINDS: dict[str, Kind] = {
    "automatic_reply": Kind("IPM.Note.Rules.OofTemplate.Microsoft", "Automatic reply: "),
    "read_receipt": Kind(
        "REPORT.IPM.Note.IPNRN",
        "Read: ",
        (("Auto-Submitted", "auto-replied"),),
        "multipart/report; report-type=disposition-notification; boundary=report",
    ),
    "meeting_request": Kind("IPM.Schedule.Meeting.Request", "", meeting="meetingRequest"),
    "meeting_cancellation": Kind("IPM.Schedule.Meeting.Canceled", "Canceled: ", meeting="meetingCancelled"),
    "meeting_response": Kind("IPM.Schedule.Meeting.Resp.Pos", "Accepted: ", meeting="meetingAccepted"),
    "recall": Kind("IPM.Outlook.Recall", "Recall: "),
}


def of_kind(world: World, mail: Mail, name: str) -> Mail:
    """The mail as one of that kind; raises KeyError for an unknown one."""
    kind = KINDS[name]
    headers = kind.headers or (_automatic_marks(world) if name == "automatic_reply" else ())
    return replace(
        mail,
        subject=kind.prefix + _topic(mail.subject) if kind.prefix else mail.subject,
        headers=(*mail.headers, *headers),
        content_type=kind.content_type,
        message_class=kind.message_class if kind.meeting else outside_class(world, kind.message_class),
        meeting=kind.meeting,
        attachments=(*mail.attachments, *_parts(world, name)),
    )


def outside_class(world: World, inside: str) -> str:
    """The class of a mail that came from outside, where it has `inside` within an organisation (knob)."""
    return inside if world.knobs.text("outside_message_class") == "kept" else PLAIN_CLASS


def report_part(world: World, name: str, content_type: str, content: str) -> Attachment:
    """A part of a report as a file."""
    return Attachment(
        world.ids.opaque("att", 20), "file", name, content_type, content.encode(), modified_at=world.now()
    )


def _automatic_marks(world: World) -> tuple[tuple[str, str], ...]:
    marks = (("Return-Path", "<>"),)
    if world.knobs.text("automatic_reply_mark") == "return_path":
        return marks
    return (*marks, ("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All"))


def _parts(world: World, name: str) -> tuple[Attachment, ...]:
    if name != "read_receipt" or world.knobs.text("report_parts") != "files":
        return ()
    text = "Reporting-UA: mail.example\nDisposition: manual-action/MDN-sent-manually; displayed\n"
    return (report_part(world, "receipt.txt", "message/disposition-notification", text),)


def _topic(subject: str) -> str:
    """The subject without the prefixes of answers, in its own letters."""
    length = len(normalized_subject(subject))
    return " ".join(subject.split())[-length:] if length else ""
