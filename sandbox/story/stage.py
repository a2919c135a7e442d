"""The stage that the story is played on: three HTTP clients, a clock to move, and ways to wait.

On processes the clients use ports, and waiting is polling. In one process they call the same programs through ASGI
under a virtual clock, and waiting is running all work that is due.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

ANN = "u_ann"
ANN_ADDRESS = "ann@northwind.example"
ANN_ALIAS = "a.archer@northwind.example"
CARLA = "carla@contoso-customer.example"
DEV = "dev@fabrikam-customer.example"
STRANGER = "sven@stranger.example"

Check = Callable[[], Awaitable[Any]]


class Lie(AssertionError):
    """A check of the story failed: the product said or did something wrong."""


@dataclass(slots=True)
class Stage:
    """What the acts use. `app`, `sim` and `crm` are clients with base addresses; paths begin with a slash.

    `advance` moves the clock by seconds, `settle` waits until a check is true or seconds are over, `quiet` waits until
    the work in progress is done. `azure` asks the stand-ins for Azure, where the world has some.
    """

    app: httpx.AsyncClient
    sim: httpx.AsyncClient
    crm: httpx.AsyncClient
    api_key: str
    advance: Callable[[float], Awaitable[None]]
    settle: Callable[[Check, float], Awaitable[Any]]
    quiet: Callable[[], Awaitable[None]]
    told: Callable[[str], None] = field(default=print)
    azure: httpx.AsyncClient | None = None

    async def wait_until(self, what: str, check: Check, seconds: float = 30.0) -> Any:
        """Wait until `check` returns something truthy, and return that; raises Lie with `what` after `seconds`."""
        found = await self.settle(check, seconds)
        if not found:
            raise Lie(f"never happened: {what}")
        return found

    async def control(self, method: str, path: str, **body: Any) -> Any:
        """Call the simulator's control API; raises Lie on an error status."""
        answer = await self.sim.request(method, f"/__control/{path}", json=body or None)
        return _content(answer)

    async def api(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Call the product's API with the tenant's key."""
        headers = {"Authorization": f"Bearer {self.api_key}", **kwargs.pop("headers", {})}
        return await self.app.request(method, f"/api{path}", headers=headers, **kwargs)

    async def of_crm(self, method: str, path: str, **body: Any) -> Any:
        """Call the demo CRM; raises Lie on an error status."""
        return _content(await self.crm.request(method, path, json=body or None))

    async def crm_messages(self) -> list[dict[str, Any]]:
        """All messages of the CRM."""
        state = await self.of_crm("GET", "/__control/state")
        return list(state["messages"])

    async def crm_events(self, *types: str) -> list[dict[str, Any]]:
        """All events that the CRM accepted, each once, in the order of arrival."""
        state = await self.of_crm("GET", "/__control/state")
        return [event for event in state["events"] if not types or event["type"] in types]

    async def mailbox(self, address: str = ANN_ADDRESS) -> list[dict[str, Any]]:
        """All messages of a simulated mailbox."""
        found = await self.control("GET", f"mailboxes/{address}/messages")
        return list(found["messages"])

    async def outside(self, address: str) -> list[dict[str, Any]]:
        """All mails that an outsider received."""
        found = await self.control("GET", f"outside/{address}/messages")
        return list(found["messages"])

    async def requests(self, since: int = 0) -> tuple[int, list[dict[str, Any]]]:
        """The simulator's log of Graph requests, which shows what was read, and where it ends."""
        found = await self.control("GET", f"requests?since={since}")
        return int(found["next"]), list(found["requests"])


def expect(what: str, truth: object) -> None:
    """Raise Lie with `what` unless it is true."""
    if not truth:
        raise Lie(what)


def _content(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise Lie(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
        )
    return answer.json() if answer.content else None
