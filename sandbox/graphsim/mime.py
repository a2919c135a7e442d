"""Mails as RFC 5322 text: the headers of received mail, and a whole message for `$value`."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import TYPE_CHECKING

from sandbox.graphsim.conversations import normalized_subject

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.store import Address, Mail, Message


def _people(addresses: tuple[Address, ...]) -> str:
    return ", ".join(formataddr((a.name, a.address)) for a in addresses)


def received_headers(mail: Mail, recipient: str, received_at: datetime) -> list[tuple[str, str]]:
    """The headers of a received mail, in order, repeated names included, without Bcc."""
    when = format_datetime(received_at)
    headers = [
        ("Received", f"from mail.relay.example (192.0.2.10) by simulated.outlook.example with SMTP; {when}"),
        (
            "Received",
            f"from client.example (192.0.2.77) by mail.relay.example with ESMTPS for <{recipient}>; {when}",
        ),
        ("From", _people((mail.sender,))),
        ("To", _people(mail.to)),
        ("Cc", _people(mail.cc)),
        ("Reply-To", _people(mail.reply_to)),
        ("Subject", mail.subject),
        ("Thread-Topic", normalized_subject(mail.subject) if mail.thread_index else ""),
        ("Thread-Index", base64.b64encode(mail.thread_index).decode() if mail.thread_index else ""),
        ("Date", format_datetime(mail.sent_at)),
        ("Message-ID", mail.internet_message_id),
        ("References", " ".join(mail.references)),
        ("In-Reply-To", mail.in_reply_to or ""),
        ("Content-Type", mail.content_type or 'multipart/mixed; boundary="part"'),
        ("MIME-Version", "1.0"),
    ]
    return [(name, value) for name, value in headers if value] + list(mail.headers)


def as_text(message: Message) -> bytes:
    """The message rebuilt as MIME; as in Exchange, not byte for byte what was sent."""
    out = EmailMessage()
    if message.from_:
        out["From"] = _people((message.from_,))
    for name, people in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc)):
        if people:
            out[name] = _people(people)
    out["Subject"] = message.subject.replace("\r", " ").replace("\n", " ")
    out["Date"] = format_datetime(message.sent_at)
    out["Message-ID"] = message.internet_message_id
    if message.in_reply_to:
        out["In-Reply-To"] = message.in_reply_to
    if message.references:
        out["References"] = " ".join(message.references)
    for name, value in message.custom_headers:
        out[name] = value
    out.set_content(message.body, subtype="html" if message.body_type == "html" else "plain")
    for file in message.attachments:
        main, _, sub = (file.content_type or "application/octet-stream").partition("/")
        out.add_attachment(file.content, maintype=main, subtype=sub or "octet-stream", filename=file.name,
                           disposition="inline" if file.inline else "attachment",
                           cid=f"<{file.content_id}>" if file.content_id else None)  # fmt: skip
    return bytes(out)
