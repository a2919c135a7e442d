"""What came of a sign-in or a disconnect: kept ten minutes, for the page that tells it in the browser that began it.

The row lies under the hash of the cookie's secret and holds no tokens. It is there before the person's yes is carried
out, so that a yes that was sent twice leads to the same page.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import LinkUnusable, RowExists
from shared.domain.model import CrmUser, Tenant
from shared.services import Services
from shared.state.session_notes import Result
from shared.state.sessions import PendingConnection

SHOWN_FOR: Final = timedelta(minutes=10)
UNCLEAR_AFTER: Final = timedelta(minutes=1)  # whoever carried it out has died
LOOKS: Final = 10
PAUSE_SECONDS: Final = 0.4
UNDER_WAY: Final = "under_way"
UNCLEAR: Final = "unclear"


@dataclass(frozen=True, slots=True)
class ShownResult:
    """What the page tells."""

    tenant: Tenant
    user: CrmUser
    purpose: str
    outcome: str
    detail: str
    consent_link: str


async def begin_result(
    s: Services, secret: str, tenant_id: str, user: CrmUser, purpose: str, consent_link: str = ""
) -> None:
    """From now on the browser with this secret has a page to go to; again changes nothing."""
    now = s.clock.now()
    with suppress(RowExists):
        await s.sessions.keep(
            secret, Result(tenant_id, user, purpose, now + SHOWN_FOR, now, consent_link=consent_link)
        )


async def end_result(s: Services, secret: str | None, outcome: str, detail: str = "") -> bool:
    """Note what came of it; False when nothing of this browser is known."""
    try:
        stored = await s.sessions.look(Result, secret or "")
    except LinkUnusable:
        return False
    ended = replace(stored.value, outcome=outcome, detail=detail, expires_at=s.clock.now() + SHOWN_FOR)
    await s.sessions.put(secret or "", ended)
    return True


async def find_result(s: Services, secret: str | None) -> ShownResult | None:
    """What came of the newest thing that this browser did; judged when read, so that nobody waits for the dead."""
    try:
        result = (await s.sessions.look(Result, secret or "")).value
    except LinkUnusable:
        return None
    tenant = await s.tenants.remembered(result.tenant_id)
    is_late = result.created_at + UNCLEAR_AFTER <= s.clock.now()
    outcome = result.outcome or (UNCLEAR if is_late else UNDER_WAY)
    return ShownResult(tenant, result.user, result.purpose, outcome, result.detail, result.consent_link)


async def wait_for_result(s: Services, secret: str | None) -> ShownResult | None:
    """The same once it has ended, or as it is after a few seconds: so that a second click need not look again."""
    found = await find_result(s, secret)
    for _ in range(LOOKS):
        if found is None or found.outcome != UNDER_WAY:
            break
        await s.sleep(PAUSE_SECONDS)
        found = await find_result(s, secret)
    return found


async def is_asked(s: Services, secret: str | None) -> bool:
    """Whether the confirm page waits for this browser's yes."""
    try:
        await s.sessions.look(PendingConnection, secret or "")
    except LinkUnusable:
        return False
    return True
