"""Claiming a mailbox for the user who connects it: one CRM user per mailbox, in all tenants (R1)."""

from __future__ import annotations

from shared.domain.errors import MailboxTaken, RowChanged
from shared.domain.model import FenceState, MailboxRef
from shared.domain.sign_ins import SIGN_IN_FOR
from shared.mailbox_context import MailboxContext
from shared.state.claims import MailboxClaim
from shared.state.sessions import PendingConnection


async def claim_mailbox(ctx: MailboxContext, pending: PendingConnection) -> None:
    """One CRM user per mailbox. A claim is held by an open mailbox, and for ten minutes by who is about to open it."""
    s = ctx.services
    claim = MailboxClaim(ctx.ref.tenant_id, pending.user.user_id, ctx.ref.mailbox_id, ctx.now())
    held = await s.claims.claim_mailbox(pending.tid, pending.oid, claim)
    mailbox = await s.ledger.mailbox(MailboxRef(held.value.tenant_id, held.value.mailbox_id))
    in_use = mailbox is not None and mailbox.value.state is FenceState.OPEN
    if is_mine(held.value, pending):
        if in_use or held.value == claim:
            return
    elif in_use or held.value.at + SIGN_IN_FOR > claim.at:
        raise MailboxTaken
    try:
        await s.claims.move_mailbox(pending.tid, pending.oid, held.changed(claim))
    except RowChanged as err:  # it loses to whoever confirms the same mailbox now
        raise MailboxTaken from err


def is_mine(claim: MailboxClaim, pending: PendingConnection) -> bool:
    """Whether the claim is held by the user who signs in."""
    return (claim.tenant_id, claim.user_id) == (pending.tenant_id, pending.user.user_id)
