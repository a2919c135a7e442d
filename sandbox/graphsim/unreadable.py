"""Mail that Graph lists and does not give: broken items, bodies it cannot convert, files that a scanner holds back.

Sources: corso issue 4834 (`ErrorContentConversionFailed` for ever), docs issue 2913 (corrupt items), msgraph-sdk-dotnet
issue 2416 (Safe Attachments with Dynamic Delivery: a placeholder or a stub first, the file minutes later).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandbox.graphsim import mail
from sandbox.graphsim.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sandbox.graphsim.store import Attachment, Mailbox, Message
    from sandbox.graphsim.world import World

PARTS: Final = ("body", "item", "files")
"""What cannot be read: the body, the item whole (also its outline), the bytes of its files."""
CONVERSION_FAILED: Final = "ErrorContentConversionFailed"
PLACEHOLDER: Final = "Safe Attachments Scan In Progress"
STUB: Final = b"<html><body>This file is being scanned and will be back soon.</body></html>".ljust(400)


class UnknownPart(ValueError):
    """A plan names a part that there is none of."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Reads of this part are answered with `status` and `code`, for ever or until a time."""

    part: str
    status: int = 500
    code: str = CONVERSION_FAILED
    until: datetime | None = None


def planned(world: World, wanted: Mapping[str, Any]) -> Unreadable:
    """What an order of the control API asks for: part, and where given minutes from now, status and code.

    Raises UnknownPart.
    """
    if wanted.get("part") not in PARTS:
        msg = f"part is one of {', '.join(PARTS)}"
        raise UnknownPart(msg)
    minutes = wanted.get("minutes")
    until = world.now() + timedelta(minutes=float(minutes)) if minutes is not None else None
    return Unreadable(
        wanted["part"], int(wanted.get("status", 500)), wanted.get("code", CONVERSION_FAILED), until
    )


def refuse(world: World, message: Message, *parts: str) -> None:
    """Raise Graph's error where one of these parts, or the item, cannot be read now."""
    trouble = message.unreadable
    if trouble is None or (trouble.until is not None and trouble.until <= world.now()):
        return
    if trouble.part in {"item", *parts}:
        raise GraphError(trouble.status, trouble.code, "The content of the item could not be read.")


def begin(world: World, mailbox: Mailbox, message: Message) -> None:
    """Do to a mail that has just arrived what the knobs say; what was planned for it alone comes before them."""
    minutes = world.knobs.number("unreadable_minutes")
    if minutes and message.unreadable is None:
        message.unreadable = Unreadable("body", until=world.now() + timedelta(minutes=minutes))
    scan = world.knobs.text("attachment_scan")
    if scan != "none" and any(file.kind == "file" for file in message.attachments):
        _scan(world, mailbox, message, scan)


def _scan(world: World, mailbox: Mailbox, message: Message, scan: str) -> None:
    """Show something else in place of the files, and the files when the scan is over; that is published."""
    files = message.withheld = message.attachments
    message.attachments = (
        [_placeholder(world, mailbox)] if scan == "placeholder" else [_stub(file) for file in files]
    )
    minutes = world.knobs.number("attachment_scan_minutes")
    at = world.now() + timedelta(minutes=minutes)
    world.schedule.add(at, lambda: _end_scan(world, mailbox, message.internet_message_id))


def _end_scan(world: World, mailbox: Mailbox, internet_message_id: str) -> None:
    """Show the files, wherever the mail has got to and under whatever id."""
    for message in list(mailbox.messages.values()):
        if message.internet_message_id == internet_message_id and message.withheld:
            message.attachments, message.withheld = message.withheld, []
            mail.touch(world, mailbox, message)


def _placeholder(world: World, mailbox: Mailbox) -> Attachment:
    shown = mail.new_attachment(world, mailbox, name=PLACEHOLDER, content=b"", content_type=None)
    shown.kind = "item"
    return shown


def _stub(file: Attachment) -> Attachment:
    """The file under its name and id with other bytes."""
    shown = copy.copy(file)
    if file.kind == "file":
        shown.content = STUB
    return shown
