"""Queue messages that only a newer version reads wait for it: two versions take from the same queues for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from shared.domain.errors import MalformedBody
from shared.hashing import digest
from shared.services import Services
from shared.state.dead_letters import DeadLetter
from shared.sync.queueing.jobs import read_envelope
from shared.telemetry import log

WAITS_SINCE: Final = "waits_since"
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=12)
LONGEST_WAIT: Final = timedelta(days=7)  # longer than from a deployment that was taken back to the next


async def leave_to_newer(s: Services, queue: str, text: str) -> None:
    """Put the message back, for as long as it has waited; what waits for a week is a dead letter.

    The message is written before the one in hand is done with: who dies between, or is not the only one to have it,
    leaves it twice. So it is handed out about 25 times in a week and not each minute, or few would become many.
    Raises what a store raises.
    """
    envelope, now = read_envelope(text), s.clock.now()
    since = _time(envelope.get(WAITS_SINCE)) or now
    log.error("message.left_to_newer", work=queue)
    if now - since >= LONGEST_WAIT:
        letter = DeadLetter(queue, "unknown_form", now)
        await s.dead_letters.add(digest("unknown", queue, text), letter, text)
        return
    again = msgspec.json.encode({**envelope, WAITS_SINCE: since}).decode()
    pause = min(max(now - since, FIRST_PAUSE), LONGEST_PAUSE)
    await s.queues.put(queue, again, delay_seconds=int(pause.total_seconds()))


def _time(given: object) -> datetime | None:
    try:
        return msgspec.convert(given, datetime)
    except msgspec.ValidationError as err:
        if given is None:
            return None
        raise MalformedBody from err
