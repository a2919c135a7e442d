"""What Exchange makes of the parts of a mail that arrives: names and `isInline` as the knobs say."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.graphsim.store import Attachment, Mail
    from sandbox.graphsim.world import World

_ENDINGS = {
    "text/html": ".htm",
    "text/plain": ".txt",
    "text/calendar": ".ics",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "application/pdf": ".pdf",
    "message/rfc822": ".eml",
}
_CID = re.compile(r"""cid:([^"'\s>)]+)""", re.IGNORECASE)


def stored_files(world: World, arriving: Mail) -> list[Attachment]:
    """The files of a mail as the recipient's mailbox holds them; ids are still those of the mail in transport."""
    shown = {cid.lower() for cid in _CID.findall(arriving.body)} if arriving.body_type == "html" else set()
    files = [copy.copy(file) for file in arriving.attachments]
    nameless = 0
    for file in files:
        is_shown = bool(file.content_id) and str(file.content_id).strip("<>").lower() in shown
        if world.knobs.text("inline_flag") == "wrong":
            file.inline = not is_shown
        if world.knobs.text("renamed_attachments") == "kept":
            continue
        if is_shown:
            file.name = None
        elif not file.name:
            nameless += 1
            ending = _ENDINGS.get((file.content_type or "").partition(";")[0].strip().lower(), "")
            file.name = f"ATT{nameless:05}{ending}"
    return files
