"""The timer trigger: runs in one process at a time, catches up at start, computes the next firing after each run.

Facts: azure-webjobs-sdk-extensions, `TimerListener.cs` and `ScheduleMonitor.cs`. The sandbox's clock can jump, so it
is read several times a second instead of sleeping until the next firing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass

from azure.functions.meta import Datum

from sandbox.devhost.context import Clock
from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.invocation import FunctionFailed, Invoker
from sandbox.devhost.monitor import LEASE_SECONDS, NEVER, Status, TimerStore
from sandbox.devhost.outputs import OutputFailed, OutputWriter
from sandbox.devhost.schedule import Schedule, fires_within_a_minute

log = logging.getLogger("devhost.timers")

LOOK_EVERY_SECONDS = 0.15
RENEW_EVERY_SECONDS = LEASE_SECONDS / 3
TRY_LEASE_EVERY_SECONDS = 1.0


@dataclass(slots=True)
class Timer:
    """A timer function, its schedule and its status."""

    function: IndexedFunction
    schedule: Schedule
    clock: Clock
    store: TimerStore
    invoker: Invoker
    outputs: OutputWriter
    status: Status | None = None

    @property
    def monitored(self) -> bool:
        """Whether its status is stored: by default yes, never when it fires more than once a minute."""
        wanted = self.function.trigger.raw.get("useMonitor") is not False
        return wanted and not fires_within_a_minute(self.schedule, self.clock.now())

    async def begin(self) -> None:
        """Load the status; run once when a firing was missed while no host ran, or when `runOnStartup` is set."""
        now = self.clock.now()
        self.status = await self._load_status() if self.monitored else None
        if self.status is None:
            await self._save_status(Status(NEVER, self.schedule.next_after(now), NEVER))
        assert self.status is not None
        if now > self.status.next:
            log.info("timer '%s' is past due since %s", self.function.name, self.status.next.isoformat())
            await self.run(past_due=True)
        elif self.function.trigger.raw.get("runOnStartup") is True:
            await self.run()

    async def run_if_due(self) -> bool:
        """Run if the timer is due; return whether it was."""
        if self.status is None:
            await self.begin()
            return False
        if self.clock.now() < self.status.next:
            return False
        await self.run()
        return True

    async def run(self, *, past_due: bool = False) -> bool:
        """Run now, then compute the next firing; return whether it succeeded (a failure is only logged)."""
        began_at = self.clock.now()
        try:
            outcome = await self.invoker.invoke(
                self.function, {self.function.trigger.name: self._request(past_due)}
            )
            await self.outputs.write(self.function, outcome)
            succeeded = True
        except FunctionFailed:
            succeeded = False
        except OutputFailed:
            log.exception("function '%s': an output was not written", self.function.name)
            succeeded = False
        ended_at = self.clock.now()
        await self._save_status(Status(began_at, self.schedule.next_after(ended_at), ended_at))
        return succeeded

    async def _load_status(self) -> Status | None:
        """Read the stored status; correct it when the schedule has changed, drop it when the clock was set back."""
        kept = await self.store.read(self.function.name)
        now = self.clock.now()
        if kept is None or (kept.updated != NEVER and kept.updated > now):
            return None  # never run, or the clock was set back: start anew
        since = next((moment for moment in (kept.updated, kept.last) if moment != NEVER), None)
        expected = self.schedule.next_after(since) if since else kept.next
        if expected == kept.next:
            return kept
        changed = Status(kept.last, expected if expected > now else self.schedule.next_after(now), now)
        await self.store.write(self.function.name, changed)
        return changed

    async def _save_status(self, status: Status) -> None:
        self.status = status
        if self.monitored:
            await self.store.write(self.function.name, status)

    def _request(self, past_due: bool) -> Datum:
        document = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self.status.document() if self.status and self.monitored else None,
            "IsPastDue": past_due,
        }
        return Datum(json.dumps(document), "json")


@dataclass(slots=True)
class TimerListener:
    """Fires one timer on time while this process holds its lease."""

    timer: Timer
    _draining: bool = False

    def drain(self) -> None:
        """Fire no more; a run that has begun goes on."""
        self._draining = True

    async def run(self) -> None:
        """Wait for the lease, then fire on time, until drained or cancelled; release the lease at the end."""
        try:
            while not self._draining:
                await self._wait_for_lease()
                await self._fire_while_held()
        finally:
            await self.timer.store.release(self.timer.function.name)

    async def _wait_for_lease(self) -> None:
        logged = False
        while not self._draining and not await self._try_lease():
            if not logged:
                log.info("timer '%s' runs in another process", self.timer.function.name)
                logged = True
            await asyncio.sleep(TRY_LEASE_EVERY_SECONDS)

    async def _try_lease(self) -> bool:
        try:
            return await self.timer.store.hold(self.timer.function.name)
        except Exception as error:  # noqa: BLE001 - a timer waits for its storage, as in Azure's host
            log.warning("timer '%s' cannot reach the host's storage: %s", self.timer.function.name, error)
            return False

    async def _fire_while_held(self) -> None:
        firing = asyncio.create_task(self._fire())
        try:
            while not firing.done():
                await asyncio.wait({firing}, timeout=RENEW_EVERY_SECONDS)
                if not firing.done() and not await self._try_lease():
                    log.warning("timer '%s' has lost its lease", self.timer.function.name)
                    return
            self._log_failure(firing)
            if not self._draining:
                await asyncio.sleep(TRY_LEASE_EVERY_SECONDS)
        finally:
            firing.cancel()
            await asyncio.gather(firing, return_exceptions=True)

    async def _fire(self) -> None:
        self.timer.status = None
        await self.timer.begin()
        while not self._draining:
            await self.timer.run_if_due()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _log_failure(self, firing: asyncio.Task[None]) -> None:
        if not firing.cancelled() and (error := firing.exception()):
            log.error("timer '%s' failed and starts again: %s", self.timer.function.name, error)
