"""To Microsoft and back: a ticket opens the sign-in, the outcome waits sealed for a yes (O-2 to O-4, O-6)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.errors import LinkUnusable, PostbraidError, SignInFailed
from shared.domain.model import CrmUser, Grant, Profile, SignInOutcome
from shared.domain.sign_ins import SIGN_IN_FOR, outcome_of
from shared.services import Services
from shared.state import keys
from shared.state.sessions import CONNECT, PendingConnection, SignInState, StartTicket, secret_hash
from shared.sync.connect.results import begin_result

ADMIN_NEEDED: Final = SignInOutcome.ADMIN_CONSENT_REQUIRED


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes to sign in, and the cookie that binds it to this sign-in."""

    authorize_url: str
    cookie: str


async def start_sign_in(s: Services, ticket: str) -> Departure:
    """Redeem a ticket: keep the sign-in's record, bind the browser. Raises LinkUnusable, ProviderUnavailable."""
    start = await s.sessions.take(StartTicket, ticket)
    if start.purpose != CONNECT:
        raise LinkUnusable
    hint = start.user.addresses[0] if start.user.addresses else None
    return await begin_sign_in(s, start.tenant_id, start.user, start.created_at, hint)


async def begin_sign_in(
    s: Services, tenant_id: str, user: CrmUser, created_at: datetime, hint: str | None
) -> Departure:
    """Keep the sign-in's record and bind the browser. Raises ProviderUnavailable.

    `created_at`: when the page was open that it belongs to, so that a disconnect since then ends it.
    """
    await s.sessions.note_attempt(tenant_id, user.user_id, SignInOutcome.UNDER_WAY)
    state, cookie = s.random.token(32), s.random.token(32)
    try:
        url, flow = await s.sign_in.begin(state=state, login_hint=hint)
    except PostbraidError as err:
        await s.sessions.note_attempt(tenant_id, user.user_id, outcome_of(err))
        raise
    sealed = await s.sealer.seal(tenant_id, _flow_place(state), msgspec.json.encode(flow))
    record = SignInState(
        tenant_id, user, secret_hash(cookie), sealed, s.clock.now() + SIGN_IN_FOR, created_at
    )
    await s.sessions.keep(state, record)
    return Departure(url, cookie)


async def finish_sign_in(s: Services, cookie: str | None, response: Mapping[str, str]) -> str:
    """Microsoft's answer came back: check the browser, redeem the code, keep the outcome for the confirm page.

    Returns the confirm page's CSRF-less secret, which goes into the same cookie. Raises LinkUnusable, SignInFailed,
    ProviderUnavailable, MailboxUnusable (an account without a mailbox in Exchange Online is not connected).
    """
    state = response.get("state", "")
    record = await s.sessions.look(SignInState, state)
    if cookie is None or not hmac.compare_digest(secret_hash(cookie), record.value.cookie_hash):
        raise LinkUnusable
    taken = await s.sessions.take(SignInState, state)
    try:
        secret = await _redeem(s, taken, state, response)
    except PostbraidError as err:
        await s.sessions.note_attempt(taken.tenant_id, taken.user.user_id, outcome_of(err))
        link = await _consent_link(s, taken, state) if outcome_of(err) is ADMIN_NEEDED else ""
        await begin_result(s, cookie, taken.tenant_id, taken.user, CONNECT, link)
        raise
    await s.sessions.note_attempt(taken.tenant_id, taken.user.user_id, SignInOutcome.ASKED)
    return secret


async def _open_flow(s: Services, taken: SignInState, state: str) -> dict[str, Any]:
    opened = await s.sealer.unseal(taken.tenant_id, _flow_place(state), taken.flow)
    flow: dict[str, Any] = msgspec.json.decode(opened)
    return flow


async def _consent_link(s: Services, taken: SignInState, state: str) -> str:
    return s.sign_in.consent_link(await _open_flow(s, taken, state))


async def _redeem(s: Services, taken: SignInState, state: str, response: Mapping[str, str]) -> str:
    """Redeem the code, look whose mailbox it is, and keep all of it sealed; returns the confirm page's secret."""
    grant = await s.sign_in.redeem(await _open_flow(s, taken, state), response)
    tenant = (await s.tenants.get(taken.tenant_id)).value
    if tenant.allowed_tids and grant.tid not in tenant.allowed_tids:
        raise SignInFailed("organisation_not_allowed")
    access = _GrantAccess(grant)
    profile = await s.mail.profile(access)
    await s.mail.probe(access)
    return await _keep_pending(s, taken, grant, profile)


async def _keep_pending(s: Services, taken: SignInState, grant: Grant, profile: Profile) -> str:
    secret = s.random.token(32)
    sealed = await s.sealer.seal(taken.tenant_id, pending_place(secret), msgspec.json.encode(grant))
    pending = PendingConnection(
        tenant_id=taken.tenant_id,
        user=taken.user,
        tid=grant.tid,
        oid=grant.oid,
        address=profile.address,
        display_name=profile.display_name,
        aliases=profile.aliases,
        grant=sealed,
        expires_at=s.clock.now() + SIGN_IN_FOR,
        created_at=taken.created_at,
    )
    await s.sessions.keep(secret, pending)
    return secret


@dataclass(frozen=True, slots=True)
class _GrantAccess:
    """Access with the token of a sign-in that is not yet a connection: only to read whose mailbox it is."""

    grant: Grant

    @property
    def mailbox_id(self) -> str:
        return f"pending:{self.grant.oid}"

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        if rejected is not None or claims is not None:
            raise SignInFailed("token_rejected")
        return self.grant.access_token


def _flow_place(state: str) -> tuple[str, str, str, str]:
    return (keys.SESSIONS, "state", secret_hash(state), "flow")


def pending_place(secret: str) -> tuple[str, str, str, str]:
    """What the sealed grant of a pending connection is bound to."""
    return (keys.SESSIONS, "pending", secret_hash(secret), "grant")
