"""Sending of notifications: delay, batches, duplicates, retries for four hours; and the validation handshake.

Source: Microsoft Graph, "Receive change notifications through webhooks": a 2xx within 3 seconds counts, retries get 10;
everything else is tried again with exponential backoff for up to 4 hours, a 4xx too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from sandbox.graphsim.deliveries import Deliveries
from sandbox.graphsim.errors import GraphError
from sandbox.graphsim.render import fine_time, when
from sandbox.graphsim.world import Change

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.deliveries import Delivery, Outcome
    from sandbox.graphsim.store import Mailbox
    from sandbox.graphsim.subscriptions import Lifecycle, Subscription
    from sandbox.graphsim.world import World

FIRST_SECONDS = 3.0
RETRY_SECONDS = 10.0
GIVE_UP_AFTER = timedelta(hours=4)
BEFORE_ANSWER = timedelta(minutes=1)
PATHS = {
    "pascal": "Users/{user}/Messages/{id}",
    "lower": "users/{user}@{tenant}/messages/{id}",
    "parenthesised": "Users('{user}')/messages('{id}')",
}


@dataclass(slots=True)
class Item:
    """A notification that waits to be posted."""

    url: str
    body: dict[str, Any]
    subscription: Subscription
    since: datetime
    lifecycle: bool = False
    attempts: int = 0
    copy: bool = False
    """Whether this is the second of two that say the same."""

    @property
    def what(self) -> str:
        """The kind of change, or the lifecycle event."""
        return str(self.body["lifecycleEvent" if self.lifecycle else "changeType"])


@dataclass(slots=True)
class Control:
    """A test's order to drop or double the next `left` change notifications of an address (None: of all)."""

    action: str
    left: int
    address: str | None = None
    change_type: str | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Notifier:
    """Collects items per address and posts them."""

    world: World
    waiting: dict[str, list[Item]] = field(default_factory=dict)
    controls: list[Control] = field(default_factory=list)
    paused: bool = False
    posted: int = 0
    dropped: int = 0
    log: Deliveries = field(default_factory=Deliveries)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def validate(self, url: str, address: str) -> None:
        """Do the validation handshake with a URL for a mailbox; raises the documented 400 when it fails."""
        entry = self.log.add(when(self.world.now()), "handshake", address, url, ["validationToken"])
        about = "Testing client application reachability for subscription"
        token = f"Validation: {about} Request-Id: {self.world.ids.guid()}"
        try:
            answer = await self._client().post(
                httpx.URL(url).copy_merge_params(
                    {"validationToken": token}
                ),  # keeps the query of the address
                headers={"Content-Type": "text/plain; charset=utf-8"},
                timeout=10.0,
            )
        except httpx.HTTPError as error:
            entry.answered(0, "refused")
            raise GraphError(400, "InvalidRequest", "Subscription validation request timed out.") from error
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        proven = answer.status_code == 200 and kind == "text/plain" and answer.text == token
        entry.answered(answer.status_code, "accepted" if proven else "refused")
        if not proven:
            text = f"Subscription validation request failed. HTTP status code is '{answer.status_code}'."
            raise GraphError(400, "ValidationError", text)

    def _client(self) -> httpx.AsyncClient:
        if self.world.http is None:
            msg = "the simulator was built without a client for notifications"
            raise RuntimeError(msg)
        return self.world.http

    def notify_change(self, subscription: Subscription, change: Change) -> None:
        """Enqueue a change notification, unless a control drops it."""
        control = self._take_control(subscription, change.kind)
        if control == "drop":
            self.dropped += 1
            url, address = subscription.notification_url, subscription.user.address
            self.log.add(when(self.world.now()), "change", address, url, [change.kind]).outcome = "lost"
            return
        body, now = self._change_body(subscription, change), self.world.now()
        self._enqueue(Item(subscription.notification_url, body, subscription, now))
        if control == "double" or self._is_doubled():
            self._enqueue(Item(subscription.notification_url, dict(body), subscription, now, copy=True))

    def _is_doubled(self) -> bool:
        word = self.world.knobs.text("notification_duplicates")
        return word == "always" or (word == "sometimes" and self.world.random.random() < 0.2)

    def _take_control(self, subscription: Subscription, kind: str) -> str | None:
        address = subscription.user.address.lower()
        for control in self.controls:
            fits = control.address in {None, address} and control.change_type in {None, kind}
            if control.left > 0 and fits:
                control.left -= 1
                return control.action
        return None

    async def post_before_answer(self, subscription: Subscription, mailbox: Mailbox) -> None:
        """Post notifications of the last minute's mail now, before the POST of the new subscription is answered."""
        since = self.world.now() - BEFORE_ANSWER
        for message in [recent for recent in mailbox.messages.values() if recent.received_at >= since]:
            ids = (message.folder_id, message.ordinary_id, message.change_key)
            change = Change("created", mailbox, message, *ids)
            if self.world.subscriptions.concerns(subscription, change):
                body = self._change_body(subscription, change)
                await self._post([Item(subscription.notification_url, body, subscription, self.world.now())])

    def _enqueue(self, item: Item) -> None:
        self.waiting.setdefault(item.url, []).append(item)
        delay = timedelta(seconds=self.world.knobs.number("notification_delay_seconds"))
        self.world.schedule.add(self.world.now() + delay, lambda: self.flush(item.url))

    def notify_lifecycle(self, subscription: Subscription, event: Lifecycle) -> None:
        """Enqueue a lifecycle notification, if the subscription has an address for it."""
        if not subscription.lifecycle_url:
            return
        body = {
            "subscriptionId": subscription.subscription_id,
            "subscriptionExpirationDateTime": self._time(subscription.expires_at),
            "tenantId": subscription.user.tenant_id,
            "clientState": subscription.client_state,
            "lifecycleEvent": event,
        }
        self._enqueue(Item(subscription.lifecycle_url, body, subscription, self.world.now(), lifecycle=True))

    def _change_body(self, subscription: Subscription, change: Change) -> dict[str, Any]:
        message_id = change.message.immutable_id if subscription.immutable_ids else change.ordinary_id
        style = self.world.knobs.text("notification_path_style")
        if style == "mixed":
            style = self.world.random.choice(tuple(PATHS))
        user = subscription.user
        path = PATHS[style].format(user=user.user_id, tenant=user.tenant_id, id=message_id)
        return {
            "id": self.world.ids.opaque("", 10),
            "subscriptionId": subscription.subscription_id,
            "subscriptionExpirationDateTime": self._time(subscription.expires_at),
            "clientState": subscription.client_state,
            "changeType": change.kind,
            "resource": path,
            "tenantId": user.tenant_id,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Message",
                "@odata.id": path,
                "@odata.etag": f'W/"{change.change_key}"',
                "id": message_id,
            },
        }

    def _time(self, at: datetime) -> str:
        if self.world.knobs.text("notification_times") == "mixed" and self.world.random.random() < 0.5:
            return (at + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S+05:30")
        return fine_time(at)

    async def flush(self, url: str) -> None:
        """Post the notifications that wait for an address, in batches; those of paused subscriptions wait on."""
        if self.paused:
            return
        ready = [
            item
            for item in self.waiting.get(url, [])
            if not self.world.subscriptions.is_paused(item.subscription) or item.lifecycle
        ]
        held = [item for item in self.waiting.pop(url, []) if item not in ready]
        for item in held:
            self._retry_later(item)
        if self.world.knobs.text("notification_order") == "shuffled":
            self.world.random.shuffle(ready)
        size = int(self.world.knobs.number("notification_batch_items")) or 1
        for start in range(0, len(ready), size):
            await self._launch(ready[start : start + size])

    async def _launch(self, items: list[Item]) -> None:
        if not self.world.config.concurrent:
            await self._post(items)
            return
        task = asyncio.create_task(self._post(items))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _post(self, items: list[Item]) -> None:
        timeout = RETRY_SECONDS if items[0].attempts else FIRST_SECONDS
        entry, status = self._begin_entry(items), 0
        try:
            answer = await self._client().post(
                items[0].url, json={"value": [item.body for item in items]}, timeout=timeout
            )
            status = answer.status_code
        except httpx.HTTPError:
            pass
        self.posted += 1
        outcome: Outcome = "accepted"
        if not 200 <= status < 300:
            tried = [self._retry_later(item) for item in items]
            outcome = "tried again" if any(tried) else "given up"
        entry.answered(status, outcome)

    def _begin_entry(self, items: list[Item]) -> Delivery:
        """The entry in the log of a POST that begins."""
        first, now = items[0], self.world.now()
        kind, address = "lifecycle" if first.lifecycle else "change", first.subscription.user.address
        entry = self.log.add(when(now), kind, address, first.url, [item.what for item in items])  # type: ignore[arg-type]  # one of both words
        entry.attempt = 1 + max(item.attempts for item in items)
        entry.duplicates = sum(item.copy for item in items)
        entry.late_seconds = round(max((now - item.since).total_seconds() for item in items), 1)
        return entry

    def _retry_later(self, item: Item) -> bool:
        """Schedule the next attempt with exponential backoff, or after four hours drop the item (`missed` by the knob).

        Return whether it is tried again.
        """
        item.attempts += 1
        now = self.world.now()
        if now - item.since > GIVE_UP_AFTER:
            self.dropped += 1
            if not item.lifecycle and self.world.knobs.text("missed_event") == "sent":
                self.notify_lifecycle(item.subscription, "missed")
            return False
        first = max(1.0, self.world.knobs.number("notification_retry_first_seconds"))
        wait = first * 2 ** min(item.attempts - 1, 8)

        def requeue() -> Any:
            self.waiting.setdefault(item.url, []).append(item)
            return self.flush(item.url)

        self.world.schedule.add(now + timedelta(seconds=wait), requeue)
        return True

    def forget(self) -> None:
        """Delete waiting notifications, controls and the log, end a pause, set the counters to 0."""
        self.waiting.clear()
        self.log.clear()
        self.controls.clear()
        self.paused = False
        self.posted = self.dropped = 0

    async def resume(self) -> None:
        """End a pause and post everything that waits."""
        self.paused = False
        for url in list(self.waiting):
            await self.flush(url)
