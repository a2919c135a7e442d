"""Receive events: by webhook and, after the CRM was down, from the list of events after a cursor."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from sandbox.democrm.events import Envelope, apply_event
from sandbox.democrm.model import Event
from sandbox.democrm.product import Product
from sandbox.democrm.store import Store
from sandbox.democrm.webhooks import Forged, Verifier

CURSOR = "events_cursor"
ATTEMPTS_KEPT = 5_000


@dataclass(slots=True)
class Outage:
    """The next `count` webhooks are answered with `status` and not read."""

    count: int = 0
    status: int = 503
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request to the webhook endpoint and its answer."""

    at: datetime
    webhook_id: str | None
    type: str | None
    status: int
    note: str


@dataclass(slots=True)
class Receiver:
    """Accepts events, each once, by webhook or catch-up."""

    store: Store
    verifier: Verifier
    outage: Outage = field(default_factory=Outage)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_KEPT))

    def receive(self, headers: Any, body: bytes, now: datetime) -> Attempt:
        """Process a request to the webhook endpoint; return the attempt with the status to answer."""
        attempt = self._process(headers, body, now)
        self.attempts.append(attempt)
        return attempt

    def _process(self, headers: Any, body: bytes, now: datetime) -> Attempt:
        claimed = headers.get("webhook-id")
        if self.outage.count > 0:
            self.outage.count -= 1
            return Attempt(now, claimed, None, self.outage.status, "outage")
        try:
            event_id = self.verifier.check(headers, body, now)
            envelope = msgspec.json.decode(body, type=Envelope)
        except Forged as err:
            return Attempt(now, claimed, None, 401, str(err))
        except msgspec.DecodeError as err:
            return Attempt(now, claimed, None, 400, str(err))
        return self._accept(event_id, envelope, now, "webhook")

    def _accept(
        self, event_id: str, envelope: Envelope, now: datetime, source: Literal["webhook", "catch_up"]
    ) -> Attempt:
        known = self.store.events.get(event_id)
        if known is not None:
            known.deliveries += source == "webhook"
            self.store.put("events", event_id, known)
            return Attempt(now, event_id, envelope.type, 200, "duplicate")
        number = len(self.store.events) + 1
        event = Event(
            id=event_id,
            number=number,
            type=envelope.type,
            timestamp=envelope.timestamp,
            received_at=now,
            source=source,
            data=envelope.data,
        )
        try:
            apply_event(self.store, event)
        except msgspec.ValidationError as err:
            return Attempt(now, event_id, envelope.type, 422, str(err))
        return Attempt(now, event_id, envelope.type, 204, "kept")

    async def catch_up(self, product: Product, now: datetime) -> int:
        """Read the events since the last catch-up and apply those not yet known; return how many those were."""
        applied = 0
        while True:
            page = await product.list_events(self.store.note(CURSOR))
            for raw in page["events"]:
                if raw.get("expired"):
                    continue  # Postbraid no longer has its content
                applied += (
                    self._accept(raw["id"], msgspec.convert(raw, Envelope), now, "catch_up").status == 204
                )
            if page.get("next"):
                self.store.set_note(CURSOR, page["next"])
            if not page.get("has_more"):
                return applied
