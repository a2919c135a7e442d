"""Replay of whatever a CRM's server means, in slices that one request can do."""

from __future__ import annotations

from typing import Any, Final

from shared.services import Services
from shared.sync.operators.dead_letters import Wanted, told_letters
from shared.sync.operators.held_mails import HeldMail, find_all_told_held, look_now
from shared.sync.operators.replay import Replayed, replay_letter

MOST_AT_ONCE: Final = 100


async def replay_told_letters(s: Services, tenant_id: str, wanted: Wanted) -> dict[str, Any]:
    """Replay the tenant's dead letters that are meant; `more`: further ones are left for the next call.

    Those that were replayed since they last happened are not meant again, so repeated calls come to an end.
    """
    done: list[dict[str, str]] = []
    async for kept, told in told_letters(s, tenant_id):
        if not wanted.holds(kept.letter):
            continue
        if len(done) == MOST_AT_ONCE:
            return {"replayed": done, "more": True}
        done.append({"id": told["id"], "outcome": (await replay_letter(s, kept)).value})
    return {"replayed": done, "more": False}


async def replay_held_messages(s: Services, tenant_id: str, wanted: Wanted) -> dict[str, Any]:
    """Have the tenant's held messages looked at again, of one mailbox or all; none that is due already."""
    found: list[HeldMail] = []
    for mail in await find_all_told_held(s, tenant_id):
        held = mail.seen.value.held
        is_meant = wanted.mailbox_id in {None, mail.mailbox.mailbox_id}
        if is_meant and held is not None and held.planned_at is None:
            found.append(mail)
    made = await look_now(s, found[:MOST_AT_ONCE])
    done = [{"id": mail.seen.value.message_id, "outcome": Replayed.DUE.value} for mail in made]
    return {"replayed": done, "more": len(found) > MOST_AT_ONCE}
