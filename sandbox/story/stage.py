"""The stage a story is played on: three HTTP clients, a clock to move, and patience.

On processes the clients speak to ports and patience is polling; in one process they speak to the same programs
through ASGI, and patience is letting all due work happen under a clock that stands still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

ANN = "u_ann"
ANN_ADDRESS = "ann@northwind.example"
CARLA = "carla@contoso-customer.example"
DEV = "dev@fabrikam-customer.example"
STRANGER = "sven@stranger.example"

Check = Callable[[], Awaitable[Any]]


class Lie(AssertionError):
    """The product said or did something that is not so."""


@dataclass(slots=True)
class Stage:
    """Where the story plays. `app`, `sim` and `crm` are clients with base addresses; paths begin with a slash."""

    app: httpx.AsyncClient
    sim: httpx.AsyncClient
    crm: httpx.AsyncClient
    api_key: str
    advance: Callable[[float], Awaitable[None]]
    settle: Callable[[Check, float], Awaitable[Any]]
    quiet: Callable[[], Awaitable[None]]
    told: Callable[[str], None] = field(default=print)

    async def until(self, what: str, check: Check, seconds: float = 30.0) -> Any:
        """Wait until `check` gives something truthy, and return it. Raises Lie naming `what` when it never does."""
        found = await self.settle(check, seconds)
        if not found:
            raise Lie(f"never happened: {what}")
        return found

    async def control(self, method: str, path: str, **body: Any) -> Any:
        """One call of the simulator's control interface."""
        answer = await self.sim.request(method, f"/__control/{path}", json=body or None)
        return _content(answer)

    async def api(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One call of the product's API with the tenant's key."""
        headers = {"Authorization": f"Bearer {self.api_key}", **kwargs.pop("headers", {})}
        return await self.app.request(method, f"/api{path}", headers=headers, **kwargs)

    async def of_crm(self, method: str, path: str, **body: Any) -> Any:
        """One call of the demo CRM."""
        return _content(await self.crm.request(method, path, json=body or None))

    async def crm_messages(self) -> list[dict[str, Any]]:
        """Every message the CRM shows."""
        state = await self.of_crm("GET", "/__control/state")
        return list(state["messages"])

    async def crm_events(self, *types: str) -> list[dict[str, Any]]:
        """Every event the CRM was told, each once, in the order of arrival."""
        state = await self.of_crm("GET", "/__control/state")
        return [one for one in state["events"] if not types or one["type"] in types]

    async def mailbox(self, address: str = ANN_ADDRESS) -> list[dict[str, Any]]:
        """Everything that lies in a simulated mailbox."""
        found = await self.control("GET", f"mailboxes/{address}/messages")
        return list(found["messages"])

    async def outside(self, address: str) -> list[dict[str, Any]]:
        """Every mail that an outside contact got."""
        found = await self.control("GET", f"outside/{address}/messages")
        return list(found["messages"])

    async def requests(self, since: int = 0) -> tuple[int, list[dict[str, Any]]]:
        """The simulator's log of Graph requests: the witness of what was read."""
        found = await self.control("GET", f"requests?since={since}")
        return int(found["next"]), list(found["requests"])


def expect(what: str, truth: object) -> None:
    """Raises Lie naming `what` unless it is true."""
    if not truth:
        raise Lie(what)


def _content(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise Lie(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
        )
    return answer.json() if answer.content else None
