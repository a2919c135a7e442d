"""The host inside the caller's process: for tests, and for runs of the whole system under a virtual clock.

host = build_host(app, queues=MemoryQueues(clock), clock=clock)
httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url=…)
await host.pump_queues()
await host.run_due_timers()
"""

from __future__ import annotations

from sandbox.devhost.build import build_host
from sandbox.devhost.context import HostContext, RealClock
from sandbox.devhost.host import Host
from sandbox.devhost.monitor import BlobTimers, MemoryTimers, TimerStore
from sandbox.devhost.queues import AzureQueues, MemoryQueues, QueueAccess, Received

__all__ = [
    "AzureQueues",
    "BlobTimers",
    "Host",
    "HostContext",
    "MemoryQueues",
    "MemoryTimers",
    "QueueAccess",
    "RealClock",
    "Received",
    "TimerStore",
    "build_host",
]
