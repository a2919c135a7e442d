"""The CRM's parts, and helpers for its routes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox.democrm.product import Product
from sandbox.democrm.receiving import Receiver
from sandbox.democrm.store import Store
from sandbox.democrm.webhooks import Verifier


class Clock(Protocol):
    """The source of the time."""

    def now(self) -> datetime:
        """The present time, aware UTC."""
        ...


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The CRM's settings; without `data_dir` its data is in memory only."""

    api_key: str
    webhook_secret: str
    data_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Crm:
    """The parts of a CRM."""

    store: Store
    product: Product
    receiver: Receiver
    clock: Clock


def build_crm(
    config: Config, app_url: str, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> Crm:
    """Open the store and the client; `transport` replaces the network in tests."""
    path = None
    if config.data_dir:
        folder = Path(config.data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "crm.sqlite"
    store = Store(path)
    product = Product(app_url, config.api_key, transport)
    return Crm(store, product, Receiver(store, Verifier(config.webhook_secret)), clock)


def crm_of(request: Request) -> Crm:
    """The CRM that serves this request."""
    found = request.app.state.crm
    assert isinstance(found, Crm)
    return found


def answer(content: Any, status: int = 200) -> Response:
    """A JSON response; msgspec encodes structs and times."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
