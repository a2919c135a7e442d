"""Reports of mail that could not be delivered: Exchange's own, and those of other mail systems.

Sources: RFC 3464 (delivery-status: one block about the message, one for each recipient), RFC 3463 (status codes);
"Email non-delivery reports in Exchange Online" for sender, wording and the section for administrators.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Literal

from sandbox.graphsim import conversations, kinds
from sandbox.graphsim.store import Address, Attachment, Mail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.graphsim.world import World

BOUNCING_DOMAIN = "bounces.example"
SLOW_DOMAIN = "slow.example"
SLOW_BY = timedelta(minutes=10)
EXCHANGE = Address(
    "Microsoft Outlook", "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@simulated.outlook.example"
)
Action = Literal["failed", "delayed"]
_CLASSES = {"failed": "REPORT.IPM.Note.NDR", "delayed": "REPORT.IPM.Note.Delayed"}
_SUBJECTS = {"failed": "Undeliverable: ", "delayed": "Delivery delayed: "}
_STATUS = {
    "failed": ("5.1.1", "550 5.1.1 <{}>: Recipient address rejected: User unknown"),
    "delayed": ("4.4.1", "451 4.4.1 Connection timed out for <{}>"),
}


def report(world: World, failed: Mail, recipients: Sequence[Address], action: Action) -> Mail:
    """The report to the sender about these recipients of a mail, in the shape of whoever writes it (knob)."""
    known = world.knobs.text("bounce_in_reply_to") == "present"
    common = Mail(
        internet_message_id=world.ids.internet_message_id("postmaster.outlook.example"),
        sender=EXCHANGE, to=(failed.sender,), cc=(), bcc=(),
        subject=_SUBJECTS[action] + failed.subject, body_type="html",
        body=_exchange_text(failed, recipients, action), sent_at=world.now(),
        in_reply_to=failed.internet_message_id if known else None,
        references=(failed.internet_message_id,) if known else (),
        headers=(("Return-Path", "<>"), ("Auto-Submitted", "auto-replied"), ("X-MS-Exchange-Message-Is-Ndr", "")),
        content_type="multipart/report; report-type=delivery-status; boundary=report",
        attachments=_parts(world, failed, recipients, action),
        message_class=_CLASSES[action],
    )  # fmt: skip
    if world.knobs.text("bounce_writer") == "remote":
        return _by_remote(world, common, recipients, action)
    if world.knobs.text("bounce_conversation") == "new" or not failed.thread_index:
        return common
    return replace(
        common, thread_index=conversations.child_index(world, failed.thread_index), topic=failed.subject
    )


def _by_remote(world: World, common: Mail, recipients: Sequence[Address], action: Action) -> Mail:
    """As the other side's mail system writes it: plain text, and nothing of Exchange."""
    domain = recipients[0].address.rpartition("@")[2]
    lines = "\n".join(f"<{r.address}>: {_STATUS[action][1].format(r.address)}" for r in recipients)
    return replace(
        common,
        sender=Address("Mail Delivery System", f"MAILER-DAEMON@{domain}"),
        body_type="text",
        body=f"This is the mail system at host mx.{domain}.\n\nYour message could not be delivered.\n\n{lines}\n",
        headers=(("Return-Path", "<>"), ("Auto-Submitted", "auto-replied")),
        message_class=kinds.outside_class(world, common.message_class),
    )


def _exchange_text(failed: Mail, recipients: Sequence[Address], action: Action) -> str:
    """What people read, then what administrators read, with the original's headers."""
    names = ", ".join(r.address for r in recipients)
    wording = "couldn't be delivered" if action == "failed" else "hasn't been delivered yet"
    details = "".join(
        f"<p>{r.address}<br>Remote server returned '{escape(_STATUS[action][1].format(r.address))}'</p>"
        for r in recipients
    )
    headers = (
        f"From: {failed.sender.address}\nTo: {', '.join(r.address for r in failed.to)}\n"
        f"Subject: {failed.subject}\nMessage-ID: {failed.internet_message_id}"
    )
    return (
        f"<p><b>Your message to {names} {wording}.</b></p><p>Diagnostic information for administrators:</p>"
        f"<p>Generating server: AM0PR01MB0001.eurprd01.prod.outlook.com (10.5.1.1)</p>{details}"
        f"<p>Original message headers:</p><pre>{escape(headers)}</pre>"
    )


def _parts(
    world: World, failed: Mail, recipients: Sequence[Address], action: Action
) -> tuple[Attachment, ...]:
    match world.knobs.text("report_parts"):
        case "item":
            name = failed.subject or "Original message"
            part = kinds.report_part(world, name, "message/rfc822", "")
            return (replace(part, kind="item"),)
        case "files":
            headers = f"Subject: {failed.subject}\nMessage-ID: {failed.internet_message_id}\n"
            return (
                kinds.report_part(
                    world, "details.txt", "message/delivery-status", _status(recipients, action)
                ),
                kinds.report_part(world, "headers.txt", "text/rfc822-headers", headers),
            )
        case _:
            return ()


def _status(recipients: Sequence[Address], action: Action) -> str:
    """RFC 3464, 2: blocks of fields with an empty line between them."""
    code, diagnostic = _STATUS[action]
    blocks = [
        f"Final-Recipient: rfc822;{r.address}\nAction: {action}\nStatus: {code}\n"
        f"Diagnostic-Code: smtp;{diagnostic.format(r.address)}\n"
        for r in recipients
    ]
    return "\n".join(["Reporting-MTA: dns;mx.simulated.outlook.example\n", *blocks])
