"""A development host: runs an Azure Functions app (Python, v2 model) as the real host does, on this machine.

`python -m sandbox.devhost` serves a folder with a `function_app.py`; `build_host` does the same inside a test.
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
