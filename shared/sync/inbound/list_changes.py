"""Read the pages of a sweep from Graph, by smaller ones where a page is refused, and past a row that always is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.domain.errors import AccessRefused, ProviderUnavailable, UpstreamSurprise
from shared.domain.listing import Ask, Listing
from shared.domain.model import Outline, OutlinePage, Seen
from shared.hashing import digest
from shared.mailbox_context import MailboxContext
from shared.state.dead_letters import DeadLetter
from shared.state.keys import MAINTENANCE, stamp
from shared.sync.inbound.import_message import Found, import_later
from shared.sync.mailbox.access import access_of
from shared.telemetry import log

PASSED_BY: Final = "passed_by_a_sweep"
LISTED_ROW: Final = "listed_row"
REFUSED: Final = (ProviderUnavailable, UpstreamSurprise)


async def read_page(ctx: MailboxContext, listing: Listing, *, gives_way: bool) -> OutlinePage:
    """The page that the listing asks for; of a refused one, with `gives_way`, as much as Graph lists.

    Raises what the provider raises: a pause, a dead grant, and what smaller pages do not help against.
    """
    while listing.ask is not None:
        asked = listing.ask
        try:
            page = await ctx.services.mail.sweep(access_of(ctx), asked)
        except REFUSED:
            if not gives_way or not (listing.refused() or await _has_id(ctx, listing, asked)):
                raise
            continue
        listing.read(page)
        rows = [row for ask in listing.passed for row in await _read_row(ctx, ask)]
        listing.passed.clear()
        return replace(page, outlines=(*rows, *page.outlines))
    return OutlinePage((), None)


async def _read_row(ctx: MailboxContext, ask: Ask) -> tuple[Outline, ...]:
    """A row that was refused before the one behind it came: an outage may have ended just between the two."""
    try:
        return (await ctx.services.mail.sweep(access_of(ctx), ask)).outlines
    except REFUSED:
        await _pass_by(ctx, ask)
        return ()


async def _pass_by(ctx: MailboxContext, ask: Ask) -> None:
    """A row that no list shows: by its id it may be readable, so it is looked at on its own. It may be foreign.

    Without even an id an operator has the second in which it changed; a later notification brings the id.
    """
    graph_message_id = await _read_id(ctx, ask) or await _read_id(ctx, ask)  # one call may fail by chance
    if graph_message_id is not None and await ctx.find(Seen, graph_message_id):
        return
    log.error("sweep.passed_by", mailbox=ctx.ref.mailbox_id, graph_message_id=graph_message_id)
    if graph_message_id is not None:
        await import_later(ctx, Found(graph_message_id), ctx.now())
        return
    place = f"{stamp(ask.since)}|{ask.skip}"
    tenant_id, mailbox_id = ctx.ref.tenant_id, ctx.ref.mailbox_id
    letter = DeadLetter(MAINTENANCE, PASSED_BY, ctx.now(), tenant_id, mailbox_id, LISTED_ROW)
    await ctx.services.dead_letters.add(digest("row", tenant_id, mailbox_id, place), letter, place)


async def _has_id(ctx: MailboxContext, listing: Listing, ask: Ask) -> bool:
    """Whether Graph lists the row's id alone: then it is the row that is refused, and no outage."""
    return not listing.hopeless and await _read_id(ctx, ask) is not None


async def _read_id(ctx: MailboxContext, ask: Ask) -> str | None:
    try:
        return await ctx.services.mail.listed_id(access_of(ctx), ask)
    except (*REFUSED, AccessRefused):
        return None
