"""Throttling limits per app and mailbox.

Sources: Microsoft Graph, "Service-specific throttling limits" (Outlook: 4 concurrent requests, 10,000 requests in 10
minutes, 150 MB of uploads in 5 minutes) and "Microsoft Graph throttling guidance" (Retry-After may be a decimal;
requests made while throttled count too). Code and message are known from field reports.
"""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sandbox.graphsim.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sandbox.graphsim.knobs import Knobs

Key = tuple[str, str]
WINDOW = timedelta(minutes=10)
UPLOAD_WINDOW = timedelta(minutes=5)
UPLOAD_BYTES = 150 * 1024 * 1024


@dataclass(slots=True)
class Forced:
    """Throttling that a test switched on: for `left` answers, or until a time."""

    until: datetime | None
    left: int | None
    retry_after: float


@dataclass(slots=True)
class Throttle:
    """Counts requests by (client id, address)."""

    knobs: Knobs
    in_flight: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    requests: dict[Key, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    uploads: dict[Key, deque[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(deque))
    forced: dict[str, Forced] = field(default_factory=dict)

    @contextmanager
    def slot(self, key: Key, now: datetime, body_bytes: int) -> Iterator[None]:
        """Run the body as one of the mailbox's requests; raises the 429 when a limit is exceeded."""
        self._check_forced(key[1], now)
        self._check_window(key, now)
        self._check_uploads(key, now, body_bytes)
        if self.in_flight[key] >= self.knobs.number("mailbox_concurrency"):
            raise self._refusal("Application is over its MailboxConcurrency limit.", 1.128)
        self.in_flight[key] += 1
        try:
            yield
        finally:
            self.in_flight[key] -= 1

    def force(self, address: str, until: datetime | None, count: int | None, retry_after: float) -> None:
        """Answer 429 to that mailbox, `count` times or `until` a time."""
        self.forced[address.lower()] = Forced(until, count, retry_after)

    def end(self, address: str) -> bool:
        """End what `force` began; return whether it was still in force."""
        return self.forced.pop(address.lower(), None) is not None

    def in_force(self, address: str, now: datetime) -> Forced | None:
        """What `force` began for a mailbox and is not over; None otherwise."""
        forced = self.forced.get(address.lower())
        if forced is None or (forced.until is not None and now >= forced.until) or forced.left == 0:
            return None
        return forced

    def reset(self) -> None:
        """Delete all counts but those of requests in flight."""
        self.requests.clear()
        self.uploads.clear()
        self.forced.clear()

    def _check_forced(self, address: str, now: datetime) -> None:
        forced = self.in_force(address, now)
        if forced is None:
            self.end(address)
            return
        if forced.left is not None:
            forced.left -= 1
        raise self._refusal("Application is over its MailboxConcurrency limit.", forced.retry_after)

    def _check_window(self, key: Key, now: datetime) -> None:
        times = self.requests[key]
        while times and times[0] <= now - WINDOW:
            times.popleft()
        times.append(now)
        if len(times) > self.knobs.number("mailbox_requests"):
            wait = (times[0] + WINDOW - now).total_seconds()
            raise self._refusal("Application is over its RequestCount limit.", max(wait, 1.0))

    def _check_uploads(self, key: Key, now: datetime, body_bytes: int) -> None:
        sizes = self.uploads[key]
        while sizes and sizes[0][0] <= now - UPLOAD_WINDOW:
            sizes.popleft()
        sizes.append((now, body_bytes))
        if sum(size for _, size in sizes) > UPLOAD_BYTES:
            wait = (sizes[0][0] + UPLOAD_WINDOW - now).total_seconds()
            raise self._refusal("Application is over its UploadSize limit.", max(wait, 1.0))

    def _refusal(self, message: str, seconds: float) -> GraphError:
        return GraphError(429, "ApplicationThrottled", message, retry_after_header(self.knobs, seconds))


def retry_after_header(knobs: Knobs, seconds: float) -> dict[str, str]:
    """Retry-After in the form that the knob sets."""
    form = knobs.text("retry_after")
    if form == "absent":
        return {}
    return {"Retry-After": f"{seconds:.3f}" if form == "decimal" else str(-int(-seconds // 1))}
