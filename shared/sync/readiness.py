"""Whether this installation can work: a few cheap calls of each service it rests on, all faults named at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final

from shared.domain.errors import PostbraidError
from shared.domain.silence import Silence
from shared.services import Services
from shared.state import keys
from shared.state.chores import FailingChore
from shared.sync.silence import find_silent_queues, find_silent_timers

FAILING_FOR: Final = timedelta(minutes=10)
ANSWERS_WITHIN_SECONDS: Final = (
    5.0  # all are asked at the same time, so this is how long the answer takes at most
)


async def find_faults(s: Services) -> tuple[str, ...]:
    """What does not work now, each with the setting it hangs on: at first often a role that has not spread yet.

    The calls of tables and queues ask for more than an answer: chores of the timers that have failed for a while,
    timers that do not run and queues that nobody takes from are faults as well.
    """
    lasting: list[FailingChore] = []
    silent: list[Silence] = []

    async def read_chores() -> None:
        now = s.clock.now()
        lasting.extend(chore for chore in await s.chores.failing() if now - chore.since >= FAILING_FOR)
        silent.extend(await find_silent_timers(s))

    async def read_queues() -> None:
        silent.extend(await find_silent_queues(s))

    checks: dict[str, Awaitable[object]] = {
        "DataStorage, tables": read_chores(),
        "DataStorage, blobs": s.blobs.get(keys.STAGING, "health/ping"),
        "DataStorage, queues": read_queues(),
        "KEY_ENCRYPTION_KEY": s.sealer.check(),
        "ENTRA_CLIENT_ID": s.sign_in.check(),
    }
    found = await asyncio.gather(*(_fault(name, check) for name, check in checks.items()))
    faults = (fault for fault in found if fault is not None)
    return (*faults, *map(_describe, lasting), *map(_describe_silence, silent))


def _describe_silence(silence: Silence) -> str:
    return f"{silence.what}: silent since {silence.since:%Y-%m-%dT%H:%M:%SZ}"


def _describe(chore: FailingChore) -> str:
    return f"{chore.name}: fails since {chore.since:%Y-%m-%dT%H:%M:%SZ}, {chore.error}"


async def _fault(name: str, check: Awaitable[object]) -> str | None:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
            await check
    except PostbraidError as err:
        return f"{name}: {_said(err)}"
    except TimeoutError:
        return f"{name}: no answer within {ANSWERS_WITHIN_SECONDS:g} seconds"
    return None


def _said(err: PostbraidError) -> str:
    """The service's status and its word for it; an error's own text may name hosts and goes nowhere (X-5)."""
    status, code = getattr(err, "status", None), str(getattr(err, "code", ""))
    told = f"answered {status} {code if code.isalnum() else ''}".rstrip()
    return told if status else type(err).__doc__ or type(err).__name__
