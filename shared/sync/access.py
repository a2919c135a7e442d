"""The right to call Graph for a mailbox: a cached token where it is good, a refreshed one where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import GrantDead, RowChanged
from shared.domain.model import ConnectionStatus, Gate, MailboxRef
from shared.services import Services
from shared.state.ledger import Change
from shared.sync.announce import connection_event
from shared.sync.gatekeeping import through_gate

MARGIN: Final = timedelta(minutes=5)


@dataclass(slots=True)
class MailboxAccess:
    """Access for the length of one piece of work; it reads the stored token once.

    `valid_for`: a stored token with less life left than this is refreshed.
    """

    services: Services
    mailbox: MailboxRef
    user_id: str
    connection_id: str
    valid_for: timedelta = MARGIN
    _token: str | None = None

    @property
    def mailbox_id(self) -> str:
        """Our id of the mailbox."""
        return self.mailbox.mailbox_id

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        """A bearer token that was not just rejected. Raises GrantDead after telling the CRM once."""
        if self._token is None or self._token == rejected:
            self._token = await self._stored(rejected) or await self._refreshed(claims)
        return self._token

    async def _stored(self, rejected: str | None) -> str | None:
        s = self.services
        kept = await s.connections.access_token(self.mailbox.tenant_id, self.user_id, self.connection_id)
        good = kept is not None and kept[0] != rejected and kept[1] - self.valid_for > s.clock.now()
        return kept[0] if kept is not None and good else None

    async def _refreshed(self, claims: str | None) -> str:
        s, tenant_id = self.services, self.mailbox.tenant_id
        read = await s.connections.tokens(tenant_id, self.user_id, self.connection_id)
        if read is None:
            raise GrantDead
        try:
            fresh = await s.sign_in.refresh(read.cache, claims=claims)
        except GrantDead:
            await mark_grant_dead(s, self.mailbox)
            raise
        await s.connections.save_tokens(
            tenant_id,
            self.user_id,
            self.connection_id,
            read,
            fresh.cache,
            fresh.access_token,
            fresh.expires_at,
        )
        return fresh.access_token


def access_for(s: Services, mailbox: MailboxRef, gate: Gate, valid_for: timedelta = MARGIN) -> MailboxAccess:
    """Access through the connection that the gate names."""
    return MailboxAccess(s, mailbox, gate.user_id, gate.connection_id, valid_for)


async def mark_grant_dead(s: Services, mailbox: MailboxRef) -> None:
    """The consent is dead: the status says so, the CRM is told once, and the mailbox's work waits."""
    stored = await s.ledger.gate(mailbox)
    if stored is None or stored.value.grant_dead:
        return
    connection = await s.connections.get(mailbox.tenant_id, stored.value.user_id, stored.value.connection_id)
    if connection is None:
        return
    value = replace(connection.value, status=ConnectionStatus.RECONNECT_REQUIRED)

    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]] | None:
        if gate.grant_dead:
            return None
        return replace(gate, grant_dead=True), connection_event(s, mailbox, value, gate).changes

    await through_gate(s, mailbox, stored.value.generation, make)
    try:
        await s.connections.save(mailbox.tenant_id, connection.changed(value))
    except RowChanged:
        return
