"""What a send that is over leaves in the user's Drafts, and what of it nobody needs (E-11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import Located, OutboxItem, Phase, Reason, Whereabouts
from shared.domain.outbound import is_its_draft

TIDY_AFTER: Final = timedelta(minutes=10)  # longer than a worker that lost its lease can still be at it
KEEPS_ITS_DRAFT: Final = frozenset(
    {Reason.LEFT_IN_DRAFTS, Reason.CANCELLED_IN_MAILBOX, Reason.WAITED_TOO_LONG}
)  # the last where it had one that was to be sent
NOBODY_MAY_LOOK: Final = frozenset({Reason.DISCONNECTED, Reason.MAILBOX_CHANGED})


def tidy_at(item: OutboxItem, now: datetime) -> datetime | None:
    """When to look for drafts that a send which is over left behind; None where there can be none, and for most."""
    if item.phase is Phase.FAILED and item.reason in NOBODY_MAY_LOOK:
        return None
    unsent = item.reason is Reason.WAITED_TOO_LONG and item.draft_graph_message_id is None
    keeps = item.reason in KEEPS_ITS_DRAFT and not unsent
    own = item.phase is Phase.FAILED and item.build > 0 and not keeps
    return now + TIDY_AFTER if item.build > 1 or own else None


def is_left_over(item: OutboxItem, located: Located) -> bool:
    """Whether this is a draft of ours that nobody needs: never one without K, never the one that was to be sent.

    The recorded draft of a send that Microsoft refused is left over too: the CRM was told that it failed.
    """
    if (
        located.whereabouts is not Whereabouts.DRAFT
        or not located.outline.is_draft
        or located.outline.key != item.key
    ):
        return False
    refused = item.phase is Phase.FAILED and item.reason not in KEEPS_ITS_DRAFT
    return refused or not is_its_draft(
        item, located.outline.graph_message_id, located.outline.internet_message_id
    )
