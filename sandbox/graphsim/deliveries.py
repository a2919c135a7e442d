"""The log of what the simulator sent to applications: notifications, the handshakes before them, and what was lost."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

KEPT = 10_000
Kind = Literal["change", "lifecycle", "handshake"]
Outcome = Literal["under way", "accepted", "tried again", "given up", "refused", "lost"]


@dataclass(slots=True)
class Delivery:
    """A POST to an application, or a notification that was never posted (`outcome` lost, `status` None).

    `status` 0: no answer came in time. `what`: the change or lifecycle event of each item. `attempt` counts from 1 and
    counts times in which it was held; `duplicates`: how many items are second copies; `late_seconds`: since the oldest
    item's change.
    """

    seq: int
    at: str
    kind: Kind
    address: str
    url: str
    what: list[str]
    outcome: Outcome = "under way"
    status: int | None = None
    attempt: int = 1
    duplicates: int = 0
    late_seconds: float = 0.0

    def answered(self, status: int, outcome: Outcome) -> None:
        """Note the application's answer and what follows from it."""
        self.status, self.outcome = status, outcome


@dataclass(slots=True)
class Deliveries:
    """The deliveries, numbered from 1; a number is never used twice, not even after `clear`."""

    entries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0

    def add(self, at: str, kind: Kind, address: str, url: str, what: list[str]) -> Delivery:
        """Add an entry; the caller notes the outcome."""
        self.count += 1
        entry = Delivery(self.count, at, kind, address, url, what)
        self.entries.append(entry)
        return entry

    def since(self, seq: int) -> dict[str, Any]:
        """The entries after `seq`, and as `next` the value to pass the next time."""
        return {
            "next": self.count,
            "deliveries": [asdict(entry) for entry in self.entries if entry.seq > seq],
        }

    def clear(self) -> None:
        """Delete all entries."""
        self.entries.clear()
