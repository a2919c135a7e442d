"""What can go wrong at a call, and where: call sites, kinds of faults, and the plan of one run."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from sandbox.clock import VirtualClock
from shared.domain.errors import PostbraidError
from tests.explore.processes import PROCESS

T = TypeVar("T")
ROOT = f"{Path(__file__).parents[2]}/"
PRODUCT = (f"{ROOT}shared/", f"{ROOT}functions/")
CARRIERS = ("shared/storage/", "shared/transport.py", "shared/graph/client.py")
ONLY_REPEATED = ("shared/sync/mailbox/unit_of_work.py", "shared/sync/mailbox/task_rows.py")


class Kind(StrEnum):
    """How a call fails."""

    DIE_BEFORE = "die_before"
    DIE_AFTER = "die_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    LATE = "late_commit"


# Of a call that only reads nothing is left behind: dying or failing after it is doing so before the next one.
OF_READS = (Kind.DIE_BEFORE, Kind.ERROR_BEFORE)


@dataclass(frozen=True, slots=True)
class Fault:
    """At the call of that number at a site ("" is any call since the fault before), this happens."""

    site: str
    number: int
    kind: Kind

    def __str__(self) -> str:
        return f"{self.site or '+'}#{self.number}:{self.kind.value}"

    @classmethod
    def read(cls, text: str) -> Fault:
        """The inverse of `str`."""
        place, _, kind = text.rpartition(":")
        site, _, number = place.rpartition("#")
        return cls(site.removeprefix("+"), int(number), Kind(kind))


@dataclass(frozen=True, slots=True)
class Crossing:
    """One call as it was made: of which number at its site, and whether it writes."""

    site: str
    number: int
    writes: bool

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can happen to it."""
        return tuple(Kind) if self.writes else OF_READS


@dataclass(frozen=True, slots=True)
class Errors:
    """What the caller gets: where nothing happened, and where that is unknown; and how long it waits for that."""

    before: Callable[[], Exception]
    after: Callable[[], Exception]
    timeout_seconds: float


@dataclass(slots=True)
class Crossings:
    """Every call of the product passes here: it takes a while drawn from the seed, and may meet a planned fault."""

    clock: VirtualClock
    plan: list[Fault]
    dice: random.Random
    tell: Callable[[str], None] = print
    on: bool = False
    made: list[Crossing] = field(default_factory=list)
    sites: set[str] = field(default_factory=set)
    hit: list[Fault] = field(default_factory=list)
    since_hit: int = 0
    _numbers: Counter[str] = field(default_factory=Counter)

    async def cross(
        self, operation: str, act: Callable[[], Awaitable[T]], errors: Errors, *, writes: bool
    ) -> T:
        """Make the call, or fail it. Calls from outside a process (the test's own) pass untouched."""
        process = PROCESS.get()
        if process is None or not self.on:
            return await act()
        site = site_of(operation)
        self._numbers[site] += 1
        self.since_hit += 1
        crossing = Crossing(site, self._numbers[site], writes)
        self.made.append(crossing)
        kind = self._planned(crossing)
        await self._travel()
        self.tell(f"{process.name} {site}#{crossing.number}{f'  <<< {kind.value}' if kind else ''}")
        if kind is Kind.DIE_BEFORE:
            await process.die()
        if kind is Kind.ERROR_BEFORE:
            raise errors.before()
        if kind is Kind.LATE:
            asyncio.get_running_loop().create_task(self._later(site, act), context=Context())
            await asyncio.sleep(errors.timeout_seconds)
            raise errors.after()
        return await self._act(process, act, errors, kind)

    def forget(self) -> None:
        """What was made so far is of no case, and nothing is planned."""
        self.on, self.since_hit = False, 0
        for kept in (self.plan, self.made, self.hit, self._numbers):
            kept.clear()

    async def _act(
        self, process: Any, act: Callable[[], Awaitable[T]], errors: Errors, kind: Kind | None
    ) -> T:
        try:
            result = await act()
        except PostbraidError:
            if kind is Kind.ERROR_AFTER:
                raise errors.after() from None
            if kind is Kind.DIE_AFTER:
                await process.die()
            raise
        if kind is Kind.DIE_AFTER:
            await process.die()
        await self._travel()
        if kind is Kind.ERROR_AFTER:
            raise errors.after()
        return result

    async def _later(self, site: str, act: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.sleep(self.dice.choice((0.5, 3.0, 25.0, 70.0, 400.0)))
        try:
            await act()
            self.tell(f"        {site} takes effect")
        except Exception as err:  # noqa: BLE001 - nobody waits for it any more
            self.tell(f"        {site} would take effect: {type(err).__name__}")

    def _planned(self, crossing: Crossing) -> Kind | None:
        if len(self.hit) == len(self.plan):
            return None
        fault = self.plan[len(self.hit)]
        here = (crossing.site, crossing.number) if fault.site else ("", self.since_hit)
        if here != (fault.site, fault.number):
            return None
        kind = fault.kind if fault.kind in crossing.kinds else OF_READS[fault.kind.value.startswith("error")]
        self.hit.append(fault)
        self.since_hit = 0
        return kind

    async def _travel(self) -> None:
        """Mostly some milliseconds, now and then long enough for whole other runs in between."""
        dice = self.dice.random()
        longest = 0.03 if dice < 0.7 else 0.3 if dice < 0.93 else 4.0
        await asyncio.sleep(self.dice.random() * longest)


def site_of(operation: str) -> str:
    """Who calls: the operation, the function that makes the call, the use case that needs it."""
    caller = use_case = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not use_case:
        path = frame.f_code.co_filename
        if path.startswith(PRODUCT):
            inside = path.removeprefix(ROOT)
            name = f"{inside.removesuffix('.py').replace('/', '.')}.{_function(frame)}"
            if not caller and not inside.startswith(CARRIERS):
                caller = name
            if inside.startswith(("shared/sync/", "functions/")) and not inside.startswith(ONLY_REPEATED):
                use_case = name
        frame = frame.f_back
    return f"{operation}@{caller}" + (f"<{use_case}" if use_case not in {"", caller} else "")


def _function(frame: FrameType) -> str:
    """The function with its class; a lambda or a comprehension is part of the function around it."""
    return frame.f_code.co_qualname.partition(".<locals>")[0]
