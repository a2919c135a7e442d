"""The log of requests to Graph and Entra, by which tests prove what a client read and what it did not."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 50_000


@dataclass(slots=True)
class Entry:
    """A request. `fields`: what `$select` named; `status` 0 means that the connection was cut without an answer.

    `reads_body`: body, uniqueBody or bodyPreview was read (also without a `$select`), or the message as MIME.
    `reads_attachments`: the content of attachments was read. `internet_message_ids`: what was read or written.
    `fault`: the kind of fault, or `throttle`, that somebody planned and this request met. `probe`: why the request is
    one that only finds something out, and whose refusal is no error. `credential`: by what an application proved itself
    at the token endpoint (`secret`, `certificate` or `federated`).
    """

    seq: int
    at: str
    method: str
    path: str
    query: str
    operation: str = "unknown"
    address: str | None = None
    status: int = 0
    message_id: str | None = None
    internet_message_ids: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    expand: str | None = None
    reads_body: bool = False
    reads_attachments: bool = False
    bytes: int = 0
    request_bytes: int = 0
    error: str | None = None
    fault: str | None = None
    probe: str | None = None
    credential: str | None = None

    @property
    def meaning(self) -> str:
        """What the request was, in words: a probe, a planned fault, a refusal; empty for an ordinary call."""
        refused = self.status == 0 or self.status >= 400
        if self.fault and (refused or self.fault in {"delay", "commit_late", "nonsense"}):
            return f"planned: {self.fault.replace('_', ' ')}"
        if self.probe:
            return f"probe: {self.probe}{', answered no' if refused else ''}"
        if self.status == 404 and self.method == "GET":
            return "not there"
        return "failed" if self.status == 0 or self.status >= 500 else "refused" if refused else ""


@dataclass(slots=True)
class RequestLog:
    """The requests, numbered from 1; a number is never used twice, not even after `clear`."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0

    def start(self, at: str, method: str, path: str, query: str) -> Entry:
        """Add an entry for a new request; the caller completes it."""
        self.count += 1
        entry = Entry(self.count, at, method, path, query)
        self.entries.append(entry)
        return entry

    def since(self, seq: int) -> dict[str, Any]:
        """The entries after `seq`, and as `next` the value to pass the next time."""
        return {"next": self.count, "requests": [asdict(e) for e in self.entries if e.seq > seq]}

    def clear(self) -> None:
        """Delete all entries."""
        self.entries.clear()
