"""A mail that came late may have been answered already, by mails that no evidence led anywhere then (R3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain import inbound, renewals
from shared.domain.errors import ProviderUnavailable, UpstreamSurprise
from shared.domain.model import Outline, Seen, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import new
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.unit_of_work import Transaction

MOST_ANSWERS: Final = 40  # of these all fit the transaction that brings the mail in


@dataclass(frozen=True, slots=True)
class LookBack:
    """Where to look again: the next sweep begins at `since` at the latest; `answers` are mails by graph_message_id."""

    since: datetime | None = None
    answers: tuple[str, ...] = ()


NOTHING_MISSED: Final = LookBack()


async def plan_look_back(
    ctx: MailboxContext, outline: Outline, held: Stored[Seen] | None, listed_since: datetime | None
) -> LookBack:
    """What may answer this mail and was taken for foreign. Costs nothing where the next sweep sees it anyway.

    Once it is held for a thread, answers find it.

    Within a week the sweep is to begin at the mail's own time. Further back that would list half the mailbox: its
    conversation is listed instead, by outlines; where that is refused, or crowded, the sweep does it after all.
    """
    if held is not None and held.value.thread_id:
        return NOTHING_MISSED
    since = inbound.answers_missed_since(outline, listed_since, ctx.graph_now())
    if since is None or outline.conversation_id is None or not inbound.is_long_ago(since, ctx.graph_now()):
        return LookBack(since)
    try:
        found = await ctx.services.mail.conversation(access_of(ctx), outline.conversation_id)
    except (ProviderUnavailable, UpstreamSurprise):
        return LookBack(since)
    wanted = [other.graph_message_id for other in found if inbound.may_answer(other, outline)]
    answers = [each for each in dict.fromkeys(wanted) if not await ctx.find(Seen, each)]
    return LookBack(since) if len(answers) > MOST_ANSWERS else LookBack(None, tuple(answers))


def note_look_back(tx: Transaction, look_back: LookBack, now: datetime) -> None:
    """Write it in the transaction that makes the mail known."""
    if look_back.since is not None:
        tx.rest_on_mailbox()
        tx.mailbox = renewals.with_sweep_again_from(tx.mailbox, look_back.since, now)
    tx.add(*(new(Task(now, TaskKind.RETRY_IMPORT, answer, since=now)) for answer in look_back.answers))
