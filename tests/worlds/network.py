"""The network of a world: a request takes its time, may meet an outage, and reaches a program or a living process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from tests.concurrency.processes import Died, Process, cross, running_in, start_in
from tests.simulation.parts import SECURE
from tests.worlds.clocks import of_entra
from tests.worlds.outages import Outage, Outages, fail_before

GRAPH_HOST = httpx.URL(SECURE).netloc.decode()
QUICK, SLOW, VERY_SLOW = (0.02, 0.3), (1.0, 15.0), (16.0, 70.0)
LATE = (3.0, 40.0)
MAIL_PATHS = ("/v1.0/", "/api/v2.0/")


@dataclass(slots=True)
class Network(httpx.AsyncBaseTransport):
    """Where the product's requests go, and those of the simulator and of the CRMs to the product.

    `programs` are by host and port. `owner` tells the mailbox's address by a request to Graph, `fatal` whether the
    answer to it is one on which the asking process dies.
    """

    dice: random.Random
    outages: Outages
    programs: dict[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    owner: Callable[[httpx.Request], str | None] = lambda _: None
    fatal: Callable[[httpx.Request], bool] = lambda _: False
    called: Callable[[], None] = lambda: None
    crms: Mapping[str, str] = field(default_factory=dict)
    is_calm: bool = False
    slow: dict[str, float] = field(
        default_factory=dict
    )  # how long each call for a mailbox takes, by its address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request of a process of the product, or of the world around it."""
        asking = running_in()
        if asking is None:
            return await self._carry_out(request)
        await cross()
        await asyncio.sleep(self._seconds())
        outage = self._outage(request)
        if outage is not None and (answer := await fail_before(outage, request)) is not None:
            return answer
        # What has arrived is carried out, whatever becomes of the process or of its patience.
        answer = await asyncio.shield(start_in(None, lambda: self._carry_out(request)))
        if outage is not None and outage.how == "slow":
            await asyncio.sleep(self.dice.uniform(*LATE))
        elif outage is not None:
            raise httpx.ReadError("cut", request=request)
        if self.fatal(request):
            asking.die()
        await asyncio.sleep(self._seconds())
        await cross()
        return answer

    async def _carry_out(self, request: httpx.Request) -> httpx.Response:
        name, path = request.url.netloc.decode(), request.url.path
        if name == GRAPH_HOST or path == "/__control/authorize":
            of_entra.set(not path.startswith(MAIL_PATHS))
        if self.slow and name == GRAPH_HOST:
            await asyncio.sleep(self.slow.get(self.owner(request) or "", 0.0))
        try:
            return await self.programs[name].handle_async_request(request)
        finally:
            of_entra.set(False)
            self.called()

    def _outage(self, request: httpx.Request) -> Outage | None:
        name = request.url.netloc.decode()
        if name in self.crms:
            return self.outages.find("crm", self.crms[name])
        if name != GRAPH_HOST:
            return None
        if not request.url.path.startswith(MAIL_PATHS):
            return self.outages.find("entra")
        return self.outages.find("graph") or self.outages.find("mailbox", self.owner(request))

    def _seconds(self) -> float:
        if self.is_calm:
            return 0.05
        draw = self.dice.random()
        return self.dice.uniform(*(VERY_SLOW if draw < 0.004 else SLOW if draw < 0.02 else QUICK))


@dataclass(slots=True)
class Front(httpx.AsyncBaseTransport):
    """The product's address: each request goes to one of its living processes."""

    dice: random.Random
    living: Callable[[], list[Process]]
    serving: Mapping[Process, httpx.AsyncBaseTransport]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answered by a process, or cut when it dies. A caller's patience is that of the request."""
        chosen = self.living()
        if not chosen:
            raise httpx.ConnectError("nobody is there", request=request)
        process = self.dice.choice(chosen)
        program = self.serving[process]
        patience = request.extensions.get("timeout", {}).get("read") or 230.0
        try:
            async with asyncio.timeout(patience):
                answer: httpx.Response = await process.run(lambda: program.handle_async_request(request))
        except Died:
            raise httpx.ReadError("the process died", request=request) from None
        except TimeoutError:
            raise httpx.ReadTimeout("no answer", request=request) from None
        return answer
