"""Write a function's queue outputs, after it returned and before its HTTP response is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azure.functions.meta import Datum

from sandbox.devhost.connections import resolve_text
from sandbox.devhost.functions import Binding, IndexedFunction
from sandbox.devhost.invocation import Outcome
from sandbox.devhost.queues import QueueAccess

ONE_MESSAGE_BYTES = 64 * 1024


class OutputFailed(Exception):
    """An output binding could not be written; the invocation has failed."""


def encode_text(body: bytes, *, base64_texts: bool) -> str:
    """A message's text in the queue, by host.json's `messageEncoding`; raises OutputFailed over 64 KiB."""
    text = base64.b64encode(body).decode() if base64_texts else body.decode("utf-8", "replace")
    if len(text.encode()) > ONE_MESSAGE_BYTES:
        raise OutputFailed(f"a queue message of {len(text)} characters is over 64 KiB")
    return text


def bodies(datum: Datum) -> Iterator[bytes]:
    """The message bodies of an encoded output: one for each element of a list, else a single one."""
    if datum.type == "string":
        yield datum.value.encode()
    elif datum.type == "bytes":
        yield datum.value
    elif datum.type == "json":
        document = json.loads(datum.value) if isinstance(datum.value, str) else datum.value
        for element in document if isinstance(document, list) else [document]:
            yield _body(element)


def _body(document: Any) -> bytes:
    """Text as it is; the body of a QueueMessage (encoded as an object with `body`); JSON of anything else."""
    if isinstance(document, str):
        return document.encode()
    if isinstance(document, dict) and document.keys() <= {"id", "body"} and "body" in document:
        return str(document["body"]).encode()
    return json.dumps(document).encode()


class OutputWriter:
    """Writes the queue outputs of any function of the app; `on_written` is called with each queue's name."""

    def __init__(
        self,
        queues: Callable[[str], QueueAccess],
        environ: Mapping[str, str],
        *,
        base64_texts: bool,
    ) -> None:
        self._queues = queues
        self._environ = environ
        self._base64_texts = base64_texts
        self.on_written: Callable[[str], None] = lambda _: None

    async def write(self, function: IndexedFunction, outcome: Outcome) -> None:
        """Send every message; raises OutputFailed, after which some may have been sent and others not."""
        for name, datum in outcome.outputs.items():
            await self._send(function.output(name), datum)
        returned = function.returns
        if returned is not None and returned.binding != "http" and outcome.returned is not None:
            await self._send(function.output("$return"), outcome.returned)

    async def _send(self, binding: Binding, datum: Datum) -> None:
        if binding.type != "queue":
            raise OutputFailed(f"this host writes queue outputs only, not {binding.type!r}")
        queue = resolve_text(binding.text("queueName"), self._environ)
        for body in bodies(datum):
            text = encode_text(body, base64_texts=self._base64_texts)
            try:
                await self._queues(binding.text("connection")).put(queue, text)
            except Exception as error:
                raise OutputFailed(f"the queue {queue!r} took no message: {error}") from error
            self.on_written(queue)
