"""The right to call Graph for a mailbox: a cached token where it is good, a refreshed one where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import is_denied_anew
from shared.domain.errors import GrantDead, ProviderUnavailable
from shared.domain.model import Mailbox, MailboxRef, Right
from shared.services import Services
from shared.state.ledger import Change
from shared.sync.events.announce import connection_event
from shared.sync.mailbox.grant import note_grant_alive
from shared.sync.mailbox.unit_of_work import through_gate

MARGIN: Final = timedelta(minutes=5)
MAX_TRIES: Final = 3


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
        for _ in range(MAX_TRIES):
            if self._token is None or self._token == rejected:
                self._token = await self._stored(rejected) or await self._refreshed(claims)
            if self._token is not None:
                return self._token
        raise ProviderUnavailable  # the tokens changed under each try

    async def _stored(self, rejected: str | None) -> str | None:
        s = self.services
        kept = await s.connections.access_token(self.mailbox.tenant_id, self.user_id, self.connection_id)
        good = kept is not None and kept[0] != rejected and kept[1] - self.valid_for > s.clock.now()
        return kept[0] if kept is not None and good else None

    async def _refreshed(self, claims: str | None) -> str | None:
        """A fresh token, kept; None when the tokens it was asked with are no longer the connection's."""
        s, whose = self.services, (self.mailbox.tenant_id, self.user_id, self.connection_id)
        read = await s.connections.tokens(*whose)
        if read is None:
            raise GrantDead(noted=True)
        try:
            fresh = await s.sign_in.refresh(read.cache, claims=claims)
        except GrantDead as err:
            await _mark_dead(s, self.mailbox, self.connection_id, read.cache_etag)
            if await s.connections.tokens_etag(*whose) != read.cache_etag:
                return None  # the user consented anew, or somebody refreshed, while this worker asked
            raise GrantDead(noted=True) from err
        await s.connections.save_tokens(*whose, read, fresh.cache, fresh.access_token, fresh.expires_at)
        await note_grant_alive(s, self.mailbox, self.connection_id)
        return fresh.access_token


def access_for(
    s: Services, mailbox: MailboxRef, gate: Mailbox, valid_for: timedelta = MARGIN
) -> MailboxAccess:
    """Access through the connection that the gate names."""
    return MailboxAccess(s, mailbox, gate.user_id, gate.connection_id, valid_for)


async def mark_grant_dead(s: Services, mailbox: MailboxRef, denied: Right | None, asked_at: datetime) -> bool:
    """Graph denies what the consent allows: the status says so, the CRM is told once, the mailbox's work waits.

    False when the consent has come back to life since Graph was asked: then the denial says nothing.
    """
    holds = True

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        nonlocal holds
        holds = is_denied_anew(gate, asked_at)
        if gate.grant_dead or not holds:
            return None
        return await _dead(s, mailbox, replace(gate, denied_by_graph=True, denied_right=denied))

    await through_gate(s, mailbox, None, make)
    return holds


async def mark_unusable(s: Services, mailbox: MailboxRef) -> None:
    """Graph does not know the mailbox now (no licence, on its way elsewhere): no consent helps, and mail comes late.

    The CRM is told once; sweeps that go well take it back, as after late notifications.
    """

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if gate.degraded:
            return None
        value = replace(gate, degraded=True, late_sweeps=0)
        connection = await s.connections.get(mailbox.tenant_id, gate.user_id, gate.connection_id)
        if connection is None or gate.grant_dead:
            return value, ()
        return value, connection_event(s, mailbox, connection.value, value).changes

    await through_gate(s, mailbox, None, make)


async def _dead(s: Services, mailbox: MailboxRef, gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
    """The gate that says so, and the event; None without a connection that could be told of."""
    connection = await s.connections.get(mailbox.tenant_id, gate.user_id, gate.connection_id)
    if connection is None:
        return None
    value = replace(gate, grant_dead=True)
    return value, connection_event(s, mailbox, connection.value, value).changes


async def _mark_dead(s: Services, mailbox: MailboxRef, connection_id: str, refused_etag: str | None) -> None:
    """One write, for the gate is the truth; only while the refused tokens are still the stored ones.

    They are compared after the gate was read: a repair keeps its tokens before it writes the gate, so either they
    have changed here, or the gate will have.
    """

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        whose = (mailbox.tenant_id, gate.user_id, gate.connection_id)
        if gate.grant_dead or await s.connections.tokens_etag(*whose) != refused_etag:
            return None
        return await _dead(s, mailbox, replace(gate, denied_by_graph=False, denied_right=None))

    await through_gate(s, mailbox, None, make, connection_id)
