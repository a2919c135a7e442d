"""Text that Exchange has made files of: what Apple Mail writes behind a file comes as `ATT00001.htm` (R8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.content import decode_text, text_to_html
from shared.domain.errors import AccessRefused, ItemGone, ItemUnreadable, TooLarge
from shared.domain.mail_parts import MAX_TEXT_PART_BYTES, is_html_part
from shared.domain.model import FetchedMessage, RemoteFile
from shared.html import html_to_text
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.access import access_of


async def complete_text(
    ctx: MailboxContext, message: FetchedMessage, parts: Sequence[RemoteFile]
) -> tuple[FetchedMessage, list[RemoteFile]]:
    """The mail with these parts at the end of its text, and those that could not be read. Costs a call for each."""
    unread = []
    for part in parts:
        try:
            content = await ctx.services.mail.file_content(
                access_of(ctx), message.outline.graph_message_id, part, MAX_TEXT_PART_BYTES
            )
        except (ItemGone, ItemUnreadable, AccessRefused, TooLarge):
            unread.append(part)
            continue
        message = _with_text(message, decode_text(content), html=is_html_part(part))
    return message, unread


def _with_text(message: FetchedMessage, text: str, *, html: bool) -> FetchedMessage:
    """In the form that the mail has: HTML behind HTML, words behind words."""
    if message.html:
        return replace(message, html=message.html + (text if html else text_to_html(text)))
    words = html_to_text(text) if html else text
    return replace(message, text="\n\n".join(part for part in (message.text, words) if part))
