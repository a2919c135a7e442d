"""A message whose work met a failing store goes back into its queue: the host counts only what kills a worker (E-28).

The host moves a message to poison after five tries, half a minute apart (host.json), which any outage outlasts. A
message that is put back is a new one, so those five count deaths alone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shared.services import Services
from shared.state import keys
from shared.sync.queueing.jobs import read_envelope
from shared.telemetry import log

PUT_BACK: Final = "put_back"
FIRST_SECONDS: Final = 30
LONGEST_SECONDS: Final = 600
MOST_OF_A_TASK: Final = 5
HINTS_LIVE_SECONDS: Final = None  # as the host's output binding has it: seven days


async def put_back(s: Services, queue: str, text: str, done: int = 0) -> None:
    """Have the message come again, later each time; of a message with hints those behind the first `done`.

    Hints stand nowhere else, so they come for as long as their queue keeps them. A task has its row, which the timer
    enqueues: after some times the message ends. Raises what a store raises; the host then repeats the message itself.
    """
    envelope = read_envelope(text)
    given = envelope.get(PUT_BACK)
    times = given if type(given) is int else 0
    log.info("message.put_back", work=queue)
    is_hint = queue == keys.CHANGES
    if not is_hint and times >= MOST_OF_A_TASK:
        return
    if done:
        job = envelope["job"]
        envelope["job"] = {**job, "hints": job["hints"][done:]}
    again = msgspec.json.encode({**envelope, PUT_BACK: times + 1}).decode()
    delay = min(FIRST_SECONDS * 2 ** min(times, 10), LONGEST_SECONDS)
    if is_hint:
        await s.queues.put(queue, again, delay_seconds=delay, ttl_seconds=HINTS_LIVE_SECONDS)
    else:
        await s.queues.put(queue, again, delay_seconds=delay)


async def split_hints(s: Services, text: str) -> None:
    """A message of its own for each hint, so that what kills a worker is found out and the others are worked on."""
    envelope = read_envelope(text)
    job = envelope["job"]
    for hint in job["hints"]:
        alone = msgspec.json.encode({**envelope, "job": {**job, "hints": [hint]}}).decode()
        await s.queues.put(keys.CHANGES, alone, ttl_seconds=HINTS_LIVE_SECONDS)
