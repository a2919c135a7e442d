"""Process a received queue message: run the function, then delete the message, hide it again or move it to poison.

Facts: Azure SDK for .NET, `QueueProcessor.cs` and `QueueListener.cs` of Microsoft.Azure.WebJobs.Extensions.Storage.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.functions.meta import Datum

from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.hostjson import QueueRules
from sandbox.devhost.invocation import FunctionFailed, Invoker
from sandbox.devhost.outputs import OutputFailed, OutputWriter
from sandbox.devhost.queues import MessageGone, QueueAccess, Received

log = logging.getLogger("devhost.queues")

INVISIBLE_SECONDS = 600.0
RENEW_EVERY_SECONDS = INVISIBLE_SECONDS / 2
LONGEST_QUEUE_NAME = 63
POISON_SUFFIX = "-poison"


def poison_queue(queue: str) -> str | None:
    """The queue for messages that failed too often; None when there is none, and such messages stay where they are."""
    name = queue + POISON_SUFFIX
    return None if queue.endswith(POISON_SUFFIX) or len(name) > LONGEST_QUEUE_NAME else name


def decode_text(text: str, *, base64_texts: bool) -> bytes | None:
    """The body of a message; None when it should be base64 and is not."""
    if not base64_texts:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def trigger_metadata(message: Received, body: str) -> dict[str, Datum]:
    """The message's properties as the worker receives them.

    When the body is a JSON object, its top-level properties (arrays and nulls excepted) REPLACE those of the same
    name, whatever their case (azure-functions-host, `Utility.ApplyBindingData`): a payload with `id` changes `msg.id`.
    """
    values: dict[str, Any] = {
        "QueueTrigger": body,
        "DequeueCount": message.dequeue_count,
        "ExpirationTime": _time(message.expires_at),
        "Id": message.id,
        "InsertionTime": _time(message.inserted_at),
        "NextVisibleTime": _time(message.next_visible_at),
        "PopReceipt": message.receipt,
    }
    own_names = {name.lower(): name for name in values}
    for name, value in _top_level(body).items():
        if value is not None and not isinstance(value, list):
            values[own_names.get(name.lower(), name)] = value
    return {name: _datum(value) for name, value in values.items()}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _datum(value: Any) -> Datum:
    return Datum(value, "string") if isinstance(value, str) else Datum(json.dumps(value), "json")


def _top_level(body: str) -> Mapping[str, Any]:
    try:
        document = json.loads(body) if body.lstrip().startswith("{") else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@dataclass(slots=True)
class Hold:
    """A received message with its current receipt, which changes with each renewal."""

    queues: QueueAccess
    queue: str
    message: Received
    receipt: str

    async def extend(self, seconds: float) -> None:
        """Hide the message for that many seconds from now; raises MessageGone."""
        self.receipt = await self.queues.update(self.queue, self.message.id, self.receipt, seconds)

    async def delete(self) -> None:
        """Delete the message; when another process has received it meanwhile, only log it: it is processed twice."""
        try:
            await self.queues.delete(self.queue, self.message.id, self.receipt)
        except MessageGone:
            log.warning("message %s of '%s' was no longer ours to delete", self.message.id, self.queue)


@dataclass(frozen=True, slots=True)
class QueueProcessor:
    """Processes the messages of one queue function."""

    function: IndexedFunction
    queue: str
    queues: QueueAccess
    rules: QueueRules
    invoker: Invoker
    outputs: OutputWriter

    async def process(self, message: Received) -> bool:
        """Process one received message; return whether the function ran and succeeded."""
        hold = Hold(self.queues, self.queue, message, message.receipt)
        body = decode_text(message.text, base64_texts=self.rules.base64)
        if body is None or message.dequeue_count > self.rules.max_dequeue_count:
            # The host treats text that is not base64 like a message that failed too often, with the same log line.
            await self._move_to_poison(hold)
            return False
        async with self._keep_hidden(hold):
            succeeded = await self._run(message, body)
        if succeeded:
            await hold.delete()
        else:
            await self._hide_or_move(hold)
        return succeeded

    async def _run(self, message: Received, body: bytes) -> bool:
        text = body.decode("utf-8", "replace")
        try:
            outcome = await self.invoker.invoke(
                self.function,
                {self.function.trigger.name: Datum(text, "string")},
                trigger_metadata(message, text),
            )
            await self.outputs.write(self.function, outcome)
        except FunctionFailed:
            return False
        except OutputFailed:
            log.exception("function '%s': an output was not written", self.function.name)
            return False
        return True

    async def _hide_or_move(self, hold: Hold) -> None:
        try:
            if hold.message.dequeue_count >= self.rules.max_dequeue_count:
                await self._move_to_poison(hold)
            else:
                await hold.extend(self.rules.visibility_seconds)
        except MessageGone:
            log.warning("message %s of '%s' was no longer ours to release", hold.message.id, self.queue)

    async def _move_to_poison(self, hold: Hold) -> None:
        target = poison_queue(self.queue)
        if target is None:
            return
        log.warning(
            "Message has reached MaxDequeueCount of %s. Moving message to queue '%s'.",
            self.rules.max_dequeue_count,
            target,
        )
        await self.queues.put(target, hold.message.text)
        await hold.delete()

    @asynccontextmanager
    async def _keep_hidden(self, hold: Hold) -> AsyncIterator[None]:
        """Keep the message hidden while the function runs."""
        renewing = asyncio.create_task(self._renew(hold))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, hold: Hold) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_SECONDS)
            try:
                await hold.extend(INVISIBLE_SECONDS)
            except MessageGone:
                log.warning("message %s of '%s' was no longer ours to renew", hold.message.id, self.queue)
                return
