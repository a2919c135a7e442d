"""What does not work in a world, and until when."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import httpx

from shared.domain.errors import StoreUnavailable
from shared.storage.testing import Call

NONSENSE = "<html><body>Bad gateway of somebody else</body></html>"
PORTS = {"table": "tables", "queue": "queues", "blob": "blobs"}


@dataclass(slots=True)
class Outage:
    """`what` fails from now on: graph, entra, crm, mailbox (then of `address`), tables, queues or blobs.

    `how`: refused (no connection), hangs (no answer ever), cut (done, and no answer), nonsense (200 with a page), or
    the status that is answered; slow (done, and answered after a while). `share` is how much of it fails.
    """

    what: str
    how: str
    until: float
    address: str | None = None
    share: float = 1.0

    def __str__(self) -> str:
        """For the tale."""
        return f"{self.address or self.what} {self.how} ({self.share:.0%})"


@dataclass(slots=True)
class Outages:
    """Those in force, by the loop's time."""

    dice: random.Random
    plan: list[Outage] = field(default_factory=list)

    def find(self, what: str, address: str | None = None) -> Outage | None:
        """One that hits this call, by chance where only a share fails."""
        now = asyncio.get_running_loop().time()
        self.plan = [outage for outage in self.plan if outage.until > now]
        return next(
            (
                outage
                for outage in self.plan
                if outage.what == what
                and outage.address in {None, address}
                and self.dice.random() < outage.share
            ),
            None,
        )

    def in_force(self, what: str) -> bool:
        """Whether it fails at this moment, as a whole or in part."""
        now = asyncio.get_running_loop().time()
        return any(outage.what == what and outage.until > now for outage in self.plan)

    def end(self) -> None:
        """Everything works again."""
        self.plan.clear()

    def before_store(self, call: Call) -> None:
        """A store that fails before it does anything."""
        outage = self.find(PORTS[call.port])
        if outage is not None and (outage.how != "cut" or not call.writes):
            raise StoreUnavailable

    def after_store(self, call: Call) -> None:
        """A store that has done it and says so to nobody."""
        if call.writes and self.find(PORTS[call.port]) is not None:
            raise StoreUnavailable


async def fail_before(outage: Outage, request: httpx.Request) -> httpx.Response | None:
    """What comes of a request instead of its being carried out; None where it is carried out first."""
    if outage.how in {"cut", "slow"}:
        return None
    if outage.how == "refused":
        raise httpx.ConnectError("refused", request=request)
    if outage.how == "hangs":
        await asyncio.get_running_loop().create_future()
    if outage.how == "nonsense":
        return httpx.Response(200, headers={"content-type": "text/html"}, text=NONSENSE, request=request)
    error = {"error": {"code": CODES.get(outage.how, "UnknownError"), "message": "An outage."}}
    return httpx.Response(int(outage.how), json=error, request=request)


CODES = {"401": "InvalidAuthenticationToken", "403": "ErrorAccessDenied", "429": "ApplicationThrottled",
         "500": "ErrorInternalServerTransientError", "503": "ServiceUnavailable", "504": "UnknownError"}  # fmt: skip
