"""The right to call Graph for a mailbox: a stored token where it is good, a refreshed one where it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import GrantDead, MailboxClosed, ProviderUnavailable
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.sync.mailbox.grant import mark_refresh_refused, note_grant_alive

MARGIN: Final = timedelta(minutes=5)
MAX_TRIES: Final = 3
CLOCKS_DIFFER_BY: Final = timedelta(seconds=30)


@dataclass(slots=True)
class MailboxAccess:
    """Access through one connection; a stored token with less life left than `valid_for` is refreshed."""

    ctx: MailboxContext
    user_id: str
    connection_id: str
    valid_for: timedelta = MARGIN
    _token: str | None = field(default=None, repr=False)

    @property
    def mailbox_id(self) -> str:
        """Our id of the mailbox."""
        return self.ctx.ref.mailbox_id

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        """A bearer token that was not just rejected. Raises GrantDead after telling the CRM once."""
        for _ in range(MAX_TRIES):
            if self._token is None or self._token == rejected:
                self._token = await self._read_stored(rejected) or await self._refresh(claims)
            if self._token is not None:
                return self._token
        raise ProviderUnavailable  # the tokens changed under each try

    async def _read_stored(self, rejected: str | None) -> str | None:
        """What this process remembers, else what is stored.

        A token remembered from before a new consent is not asked with: Graph would deny it, and that denial would
        count against the new consent.
        """
        connections, mailbox = self.ctx.services.connections, self.ctx.mailbox
        revived_at = mailbox.revived_at if mailbox is not None else None
        since = revived_at + CLOCKS_DIFFER_BY if revived_at is not None else None
        known = connections.remembered_token(self.connection_id, since)
        if self._is_good(known, rejected):
            return known[0] if known else None
        kept = await connections.access_token(self.ctx.ref.tenant_id, self.user_id, self.connection_id)
        return kept[0] if kept is not None and self._is_good(kept, rejected) else None

    def _is_good(self, kept: tuple[str, datetime] | None, rejected: str | None) -> bool:
        return kept is not None and kept[0] != rejected and kept[1] - self.valid_for > self.ctx.now()

    async def _refresh(self, claims: str | None) -> str | None:
        """A fresh token, kept; None when the tokens it was asked with are no longer the connection's."""
        s, whose = self.ctx.services, (self.ctx.ref.tenant_id, self.user_id, self.connection_id)
        read = await s.connections.tokens(*whose)
        if read is None:
            raise GrantDead(noted=True)
        try:
            fresh = await s.sign_in.refresh(read.cache, claims=claims)
        except GrantDead as err:
            await mark_refresh_refused(self.ctx, self.connection_id, read.cache_etag)
            if await s.connections.tokens_etag(*whose) != read.cache_etag:
                return None  # the user consented anew, or somebody refreshed, while this worker asked
            raise GrantDead(noted=True) from err
        await s.connections.save_tokens(*whose, read, fresh.cache, fresh.access_token, fresh.expires_at)
        await note_grant_alive(self.ctx, self.connection_id)
        return fresh.access_token


def access_of(ctx: MailboxContext) -> Access:
    """Access through the connection that the mailbox names; one for the length of the job."""
    mailbox = ctx.mailbox
    if mailbox is None:
        raise MailboxClosed
    access = ctx.access
    if not isinstance(access, MailboxAccess) or access.connection_id != mailbox.connection_id:
        access = ctx.access = MailboxAccess(ctx, mailbox.user_id, mailbox.connection_id)
    return access


def fresh_access_of(ctx: MailboxContext, valid_for: timedelta) -> Access:
    """Access with a token that lives at least that long."""
    mailbox = ctx.mailbox
    if mailbox is None:
        raise MailboxClosed
    return MailboxAccess(ctx, mailbox.user_id, mailbox.connection_id, valid_for)
