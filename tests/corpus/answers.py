"""What Graph answers about a mail of the corpus, member by member as its pair writes it.

The simulator keeps the mail, checks each request and answers; what a pair writes for a member takes that member's
place in the answer, if it was asked for. So an answer may hold what no mailbox of the simulator could: null where
Microsoft's schema allows it, half a surrogate, a class of message. Members that were not asked for are never added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx

_TAG = re.compile(r"String (0x[0-9a-f]+)", re.IGNORECASE)
_PROPERTIES = "singleValueExtendedProperties"


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that Graph gives instead: for the mail with its `body`, or for the bytes of an attachment."""

    of: str
    status: int
    code: str
    until: datetime | None


@dataclass(slots=True)
class Answers(httpx.AsyncBaseTransport):
    """The way to Graph. `members`, `tags` and `failures` by id of a message or attachment."""

    graph: httpx.AsyncBaseTransport
    now: Callable[[], datetime]
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[int, str]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the simulator does, with the members that pairs write."""
        answer = await self.graph.handle_async_request(request)
        if answer.status_code != 200:
            return answer
        if failure := self._failing(request):
            error = {"code": failure.code, "message": "The item could not be read."}
            return httpx.Response(failure.status, json={"error": error})
        if "json" not in answer.headers.get("content-type", ""):
            return answer
        told = json.loads(await answer.aread())
        asked = {int(tag, 16) for tag in _TAG.findall(unquote(request.url.query.decode()).replace("+", " "))}
        for found in _objects(told):
            self._rewrite(found, asked)
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-length"]
        return httpx.Response(200, headers=headers, content=json.dumps(told).encode())

    def _failing(self, request: httpx.Request) -> Failure | None:
        """The failure that this request meets."""
        path, query = unquote(request.url.path), unquote(request.url.query.decode())
        selected = re.split(r"[=,&]", query)
        for known, failure in self.failures.items():
            over = failure.until is not None and self.now() >= failure.until
            whole = failure.of == "body" and path.endswith(known) and ("body" in selected or not query)
            part = failure.of == "attachments" and f"{known}/attachments/" in path
            if not over and (whole or part):
                return failure
        return None

    def _rewrite(self, found: dict[str, Any], asked: set[int]) -> None:
        known = found.get("id")
        if not isinstance(known, str):
            return
        for name, value in self.members.get(known, {}).items():
            if name in found or name.startswith("@"):
                found[name] = value
        if given := {tag: value for tag, value in self.tags.get(known, {}).items() if tag in asked}:
            others = [other for other in found.get(_PROPERTIES, ()) if _number(other["id"]) not in given]
            own = [{"id": f"String {tag:#06x}", "value": value} for tag, value in given.items()]
            found[_PROPERTIES] = others + own


def _number(property_id: str) -> int | None:
    tag = _TAG.fullmatch(property_id)
    return int(tag[1], 16) if tag else None


def _objects(told: Any) -> Iterator[dict[str, Any]]:
    """Every object of an answer, outer ones first."""
    if isinstance(told, dict):
        yield told
        for value in told.values():
            yield from _objects(value)
    elif isinstance(told, list):
        for value in told:
            yield from _objects(value)
