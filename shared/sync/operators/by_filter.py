"""Replay of whatever a CRM's server means, in slices that one request can do."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from shared.services import Services
from shared.sync.operators.dead_letters import Wanted, told_letters
from shared.sync.operators.held_mails import HeldMail, look_now, told_held
from shared.sync.operators.pages import Walk, take_page
from shared.sync.operators.replay import Replayed, replay_letter

MOST_AT_ONCE: Final = 100
COUNTED: Final = {
    Replayed.DUE: "due again, and a worker takes each within a minute",
    Replayed.DONE: "done meanwhile",
    Replayed.ENDED: "ended for good",
    Replayed.UNREADABLE: "not to be read",
}


async def replay_told_letters(s: Services, tenant_id: str, wanted: Wanted, after: str) -> dict[str, Any]:
    """Replay the tenant's dead letters that are meant, behind that place.

    Those that were replayed since they last happened are not meant again, so repeated calls come to an end.
    """
    found, further = await take_page(told_letters(s, tenant_id, after, wanted), MOST_AT_ONCE)
    done = [(told["id"], await replay_letter(s, kept)) for kept, told in found]
    return _answer(done, further, "No dead letter is meant that was not replayed since it last happened.")


async def replay_held_messages(s: Services, tenant_id: str, wanted: Wanted, after: str) -> dict[str, Any]:
    """Have the tenant's held messages behind that place looked at again, of one mailbox or all.

    One of which somebody has asked for a look already is left alone.
    """
    asked_for: list[HeldMail] = []

    async def meant() -> Walk[HeldMail]:
        async for place, mail in told_held(s, tenant_id, after, wanted.mailbox_id):
            held = mail.seen.value.held if mail is not None else None
            if mail is not None and held is not None and held.planned_at is not None:
                asked_for.append(mail)
                yield place, None
            else:
                yield place, mail

    found, further = await take_page(meant(), MOST_AT_ONCE)
    done = [(mail.seen.value.message_id, Replayed.DUE) for mail in await look_now(s, found)]
    nothing = "No message that is meant is held."
    if asked_for or found:
        nothing = "Each message that is meant is due already, or is being looked at; a worker takes it within a minute."
    return _answer(done, further, nothing)


def _answer(done: list[tuple[str, Replayed]], further: str | None, nothing: str) -> dict[str, Any]:
    """What came of each, in words too; `next`: where a further call goes on, and none where nothing is left."""
    counts = Counter(outcome for _, outcome in done)
    parts = ", ".join(f"{number} {COUNTED[outcome]}" for outcome, number in counts.items())
    said = f"{parts[0].upper()}{parts[1:]}." if parts else nothing
    if further is not None:
        said = f"{said if parts else 'Nothing so far.'} More may be meant: go on with `next` as `after`."
    return {
        "replayed": [{"id": each, "outcome": outcome.value} for each, outcome in done],
        "more": further is not None,
        "next": further,
        "detail": said,
    }
