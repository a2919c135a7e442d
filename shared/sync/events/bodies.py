"""The words of a mail as a CRM gets them: HTML for showing, text, and where the quoted part begins (H-1, H-4)."""

from __future__ import annotations

from typing import Any

from shared.content import snippet, text_to_html, truncate_html, truncate_text
from shared.domain.controls import without_controls
from shared.domain.model import FetchedMessage
from shared.html import SHOWN, SHOWN_WITHOUT_REMOTE, Policy, clean_html
from shared.html.quotes import OPENED, quote_in_text
from shared.html.words import words_of
from shared.mailbox_context import MailboxContext
from shared.sync.staging import Body


async def received_body(ctx: MailboxContext, message: FetchedMessage) -> dict[str, Any]:
    """Members `snippet` and `body` of a mail that was found in the mailbox."""
    policy = await _policy(ctx)
    if message.html:
        return _body_data(policy, message.html, message.text)
    return _body_data(policy, text_to_html(message.text or ""), message.text or "")


async def sent_body(ctx: MailboxContext, body: Body) -> dict[str, Any]:
    """Members `snippet` and `body` of a send of the CRM's."""
    return _body_data(await _policy(ctx), body.html, body.text)


async def _policy(ctx: MailboxContext) -> Policy:
    """What stays of HTML, as the tenant chose within the last minute."""
    tenant = await ctx.services.tenants.remembered(ctx.ref.tenant_id)
    return SHOWN_WITHOUT_REMOTE if tenant.drops_remote_pictures else SHOWN


def _folded(text: str) -> str:
    """Plain text as HTML, with its quoted part in the element that folds it."""
    at = quote_in_text(text)
    if at is None:
        return text_to_html(text)
    return f"{text_to_html(text[:at].rstrip())}{OPENED}{text_to_html(text[at:])}</div>"


def _body_data(policy: Policy, html: str, text: str | None) -> dict[str, Any]:
    """Over 1 MiB a body is cut, and says so (H-4)."""
    text = without_controls(text) if text is not None else None
    if text and html == text_to_html(text):
        html = _folded(text)
    shown = clean_html(html, policy).html
    words, quoted_from = words_of(shown) if text is None else (text, quote_in_text(text))
    shown, html_cut = truncate_html(shown, policy)
    cut, text_cut = truncate_text(words)
    if quoted_from is not None and quoted_from >= len(cut):
        quoted_from = None
    body = {"html": shown, "text": cut, "truncated": html_cut or text_cut, "quoted_from": quoted_from}
    return {"snippet": snippet(words), "body": body}
