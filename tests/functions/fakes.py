"""The outside, as little of it as the functions need: a sign-in, a CRM and a file server (the mailbox: fake_mail.py).

They remember what they were asked and answer plainly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.domain.errors import GrantDead, SignInFailed
from shared.domain.model import Grant, Refreshed
from shared.ports import Clock
from tests.functions import contract

DOMAIN = "northwind.example"


@dataclass(slots=True)
class Failing:
    """Errors to raise instead of answering, by method: `failing.next["send"] = [Throttled(9)]`; None: not this time."""

    next: dict[str, list[Exception | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def called(self, method: str) -> None:
        self.calls.append(method)
        error = self.next[method].pop(0) if self.next.get(method) else None
        if error is not None:
            raise error


@dataclass(slots=True)
class FakeSignIn(Failing):
    """Whoever comes back with code `ann` is Ann; while `dead`, nothing is refreshed."""

    clock: Clock | None = None
    dead: bool = False
    hints: list[str | None] = field(default_factory=list)

    async def begin(self, *, state: str, login_hint: str | None = None) -> tuple[str, dict[str, Any]]:
        self.called("begin")
        self.hints.append(login_hint)
        return f"https://login.example/authorize?state={state}&x=<y>", {"state": state}

    def consent_link(self, flow: Mapping[str, Any]) -> str:
        assert flow["state"]
        return "https://login.example/organizations/v2.0/adminconsent?client_id=c&scope=a%20b"

    async def redeem(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> Grant:
        self.called("redeem")
        if flow["state"] != response.get("state") or "code" not in response:
            raise SignInFailed("declined" if response.get("error") == "access_denied" else "failed")
        assert self.clock is not None
        name = response["code"]
        return Grant("tid-1", f"oid-{name}", f"{name}@{DOMAIN}", f"cache-{name}", f"access-{name}",
                     self.clock.now() + timedelta(hours=1), ("Mail.Send",))  # fmt: skip

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        self.called("refresh")
        if self.dead:
            raise GrantDead
        assert self.clock is not None
        return Refreshed(cache, cache.replace("cache-", "access-"), self.clock.now() + timedelta(hours=1))

    async def check(self) -> None:
        self.called("check")


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What the CRM's endpoint said."""

    status: int
    retry_after_seconds: float | None = None


@dataclass(slots=True)
class FakeCrm:
    """An endpoint that keeps what it is told; everything told is held to the contract, taken or not."""

    told: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    signed_with: list[tuple[bytes, ...]] = field(default_factory=list)
    answers: deque[FakeAnswer | Exception] = field(default_factory=deque)
    takes_its_time: Callable[[str], Awaitable[None]] | None = None  # before it answers, given the address

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> FakeAnswer:
        event = msgspec.json.decode(body)
        contract.check_event(event)
        self.tried.append(event_id)
        self.signed_with.append(tuple(secrets))
        if self.takes_its_time is not None:
            await self.takes_its_time(url)
        answer = self.answers.popleft() if self.answers else FakeAnswer(204)
        if isinstance(answer, Exception):
            raise answer
        if answer.status < 300:
            self.told.append(event)
            self.ids.append(event_id)
        return answer

    def types(self) -> list[str]:
        return [event["type"] for event in self.told]

    @property
    def last(self) -> dict[str, Any]:
        """The `data` of the newest event."""
        return dict(self.told[-1]["data"])


@dataclass(slots=True)
class FakeFetcher:
    """Files by address."""

    served: dict[str, bytes | Exception] = field(default_factory=dict)

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        found = self.served[url]
        if isinstance(found, Exception):
            raise found
        return found
