"""A message whose work met a failing store goes back into its queue: the host counts only what kills a worker (E-28).

The host moves a message to poison after five tries, half a minute apart (host.json), which any outage outlasts. A
message that is put back is a new one, so those five count deaths alone. What fails for days while the stores answer is
no outage: a hint that does goes where poison does, and the timer keeps it as a dead letter.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from shared.domain.errors import MalformedBody, PostbraidError
from shared.services import Services
from shared.state import keys
from shared.sync.queueing.jobs import read_envelope
from shared.telemetry import log

PUT_BACK: Final = "put_back"
FIRST_SECONDS: Final = 30
LONGEST_SECONDS: Final = 600
MOST_OF_A_TASK: Final = 5
TOGETHER: Final = 3
MOST_OF_A_HINT: Final = 150  # a day
HINTS_LIVE_SECONDS: Final = None  # as the host's output binding has it: seven days


async def put_back(s: Services, queue: str, text: str, done: int = 0) -> None:
    """Have the message come again, later each time; of a message with hints those behind the first `done`.

    Hints stand nowhere else, so they come for as long as their store may have an outage, after some times each on its
    own. A task has its row, which the timer enqueues: after some times the message ends. Raises what a store raises;
    the host then repeats the message itself.
    """
    envelope = read_envelope(text)
    given = envelope.get(PUT_BACK)
    times = given if type(given) is int else 0
    log.info("message.put_back", work=queue)
    delay = min(FIRST_SECONDS * 2 ** min(times, 10), LONGEST_SECONDS)
    if queue != keys.CHANGES:
        if times < MOST_OF_A_TASK:
            await s.queues.put(queue, _again(envelope, times), delay_seconds=delay)
        return
    hints = envelope["job"]["hints"][done:]
    if times >= MOST_OF_A_HINT and await _is_its_own_trouble(s):
        await s.queues.put(f"{queue}-poison", _again(envelope, times, hints))
        return
    for together in [hints] if times < TOGETHER else [[hint] for hint in hints]:
        again = _again(envelope, times, together)
        await s.queues.put(queue, again, delay_seconds=delay, ttl_seconds=HINTS_LIVE_SECONDS)


def _again(envelope: dict[str, Any], times: int, hints: list[Any] | None = None) -> str:
    job = envelope["job"] if hints is None else {**envelope["job"], "hints": hints}
    return msgspec.json.encode({**envelope, "job": job, PUT_BACK: times + 1}).decode()


async def _is_its_own_trouble(s: Services) -> bool:
    """Whether tables, blobs and queues answer now, so that no outage keeps the hint from being dealt with."""
    try:
        await s.chores.failing()
        await s.blobs.get(keys.STAGING, "health/ping")
        await s.queues.count(keys.CHANGES)
    except PostbraidError:
        return False
    return True


def is_given_up(text: str) -> bool:
    """Whether a poison message is one that was put back too often, and not one on which workers died."""
    with suppress(MalformedBody):
        times = read_envelope(text).get(PUT_BACK)
        return type(times) is int and times > MOST_OF_A_HINT
    return False


async def split_hints(s: Services, text: str) -> None:
    """A message of its own for each hint, so that what kills a worker is found out and the others are worked on."""
    envelope = read_envelope(text)
    job = envelope["job"]
    for hint in job["hints"]:
        alone = msgspec.json.encode({**envelope, "job": {**job, "hints": [hint]}}).decode()
        await s.queues.put(keys.CHANGES, alone, ttl_seconds=HINTS_LIVE_SECONDS)
