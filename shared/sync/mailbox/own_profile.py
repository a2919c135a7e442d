"""Read the mailbox's own addresses anew: aliases come and go while the connection stands."""

from __future__ import annotations

from shared.domain.errors import PostbraidError, StoreUnavailable, Throttled
from shared.domain.model import Mailbox, Profile
from shared.domain.own_addresses import is_profile_due
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.sync.mailbox.failures import note_pause


async def read_profile_if_due(ctx: MailboxContext, access: Access, mailbox: Mailbox) -> Profile | None:
    """The profile, where it was not read for a day; None otherwise, and where Graph does not give it.

    The renewal that it goes along with has succeeded and stays so: the next one asks again. Raises StoreUnavailable.
    """
    if not is_profile_due(mailbox, ctx.now()):
        return None
    try:
        return await ctx.services.mail.profile(access)
    except StoreUnavailable:
        raise
    except Throttled as err:
        await note_pause(ctx, err.retry_after_seconds)
        return None
    except PostbraidError:
        return None
