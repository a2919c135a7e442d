"""A process that dies at one of its writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.domain.errors import StoreUnavailable
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.app import App


@contextmanager
def death_at(app: App, step: int, when: str) -> Iterator[None]:
    """Let the process die `when` ("before" or "after") the write of that number; the stores work again afterwards."""
    left = [step]

    def die(call: Call) -> None:
        if call.writes and call.operation != "receive":
            left[0] -= 1
            if left[0] == 0:
                raise StoreUnavailable

    stores = (app.tables, app.queues)
    for store in stores:
        setattr(store, when, die)
    try:
        yield
    finally:
        for store in stores:
            setattr(store, when, no_hook)
