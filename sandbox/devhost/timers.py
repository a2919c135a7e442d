"""The timer trigger: one process at a time, past-due at start, the next firing computed after each run.

Facts: azure-webjobs-sdk-extensions, `TimerListener.cs` and `ScheduleMonitor.cs`. The clock is the world's: it is
looked at several times a second, so that moving the world forward fires what has become due.
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
    """One timer function and where it stands."""

    function: IndexedFunction
    schedule: Schedule
    clock: Clock
    store: TimerStore
    invoker: Invoker
    outputs: OutputWriter
    status: Status | None = None

    @property
    def monitored(self) -> bool:
        """Whether its status is kept: by default yes, never when it fires more than once a minute."""
        wanted = self.function.trigger.raw.get("useMonitor") is not False
        return wanted and not fires_within_a_minute(self.schedule, self.clock.now())

    async def begin(self) -> None:
        """Catch up: run once when a firing was missed while no host ran, or when the trigger says `runOnStartup`."""
        now = self.clock.now()
        self.status = await self._recalled() if self.monitored else None
        if self.status is None:
            await self._keep(Status(NEVER, self.schedule.next_after(now), NEVER))
        assert self.status is not None
        if now > self.status.next:
            log.info("timer '%s' is past due since %s", self.function.name, self.status.next.isoformat())
            await self.run(past_due=True)
        elif self.function.trigger.raw.get("runOnStartup") is True:
            await self.run()

    async def run_if_due(self) -> bool:
        """Run when the time has come; whether it ran."""
        if self.status is None:
            await self.begin()
            return False
        if self.clock.now() < self.status.next:
            return False
        await self.run()
        return True

    async def run(self, *, past_due: bool = False) -> bool:
        """Run now, then compute the next firing; whether it succeeded (a failure is only logged)."""
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
        await self._keep(Status(began_at, self.schedule.next_after(ended_at), ended_at))
        return succeeded

    async def _recalled(self) -> Status | None:
        """The status kept, put right when the schedule or the clock has been changed since."""
        kept = await self.store.read(self.function.name)
        now = self.clock.now()
        if kept is None or (kept.updated != NEVER and kept.updated > now):
            return None  # never run, or the world's clock was set back: begin anew
        since = next((moment for moment in (kept.updated, kept.last) if moment != NEVER), None)
        expected = self.schedule.next_after(since) if since else kept.next
        if expected == kept.next:
            return kept
        changed = Status(kept.last, expected if expected > now else self.schedule.next_after(now), now)
        await self.store.write(self.function.name, changed)
        return changed

    async def _keep(self, status: Status) -> None:
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
    """Keeps one timer going while this process holds its lease."""

    timer: Timer

    async def run(self) -> None:
        """Wait for the lease, then fire on time, until cancelled; the lease is given back at the end."""
        try:
            while True:
                await self._hold()
                await self._while_held()
        finally:
            await self.timer.store.release(self.timer.function.name)

    async def _hold(self) -> None:
        said = False
        while not await self._try_to_hold():
            if not said:
                log.info("timer '%s' runs in another process", self.timer.function.name)
                said = True
            await asyncio.sleep(TRY_LEASE_EVERY_SECONDS)

    async def _try_to_hold(self) -> bool:
        try:
            return await self.timer.store.hold(self.timer.function.name)
        except Exception as error:  # noqa: BLE001 - without its storage a timer waits, as in the real host
            log.warning("timer '%s' cannot reach the host's storage: %s", self.timer.function.name, error)
            return False

    async def _while_held(self) -> None:
        firing = asyncio.create_task(self._fire())
        try:
            while not firing.done():
                await asyncio.wait({firing}, timeout=RENEW_EVERY_SECONDS)
                if not firing.done() and not await self._try_to_hold():
                    log.warning("timer '%s' has lost its lease", self.timer.function.name)
                    return
            self._report(firing)
            await asyncio.sleep(TRY_LEASE_EVERY_SECONDS)
        finally:
            firing.cancel()
            await asyncio.gather(firing, return_exceptions=True)

    async def _fire(self) -> None:
        self.timer.status = None
        await self.timer.begin()
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            await self.timer.run_if_due()

    def _report(self, firing: asyncio.Task[None]) -> None:
        if not firing.cancelled() and (error := firing.exception()):
            log.error("timer '%s' stumbled and starts again: %s", self.timer.function.name, error)
