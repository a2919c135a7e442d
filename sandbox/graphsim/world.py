"""The parts of a simulated Microsoft 365, and the changes that they publish."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random
    from datetime import datetime

    import httpx

    from sandbox.graphsim.config import Clock, SimulatorConfig
    from sandbox.graphsim.entra import Entra
    from sandbox.graphsim.faults import Faults, Sleep
    from sandbox.graphsim.ids import IdMaker
    from sandbox.graphsim.knobs import Knobs
    from sandbox.graphsim.notifications import Notifier
    from sandbox.graphsim.requestlog import RequestLog
    from sandbox.graphsim.schedule import Schedule
    from sandbox.graphsim.store import Mailbox, Message, Store
    from sandbox.graphsim.subscriptions import Subscriptions
    from sandbox.graphsim.throttling import Throttle
    from sandbox.graphsim.uploads import Uploads

ChangeKind = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a message, with the ids and folder it had then."""

    kind: ChangeKind
    mailbox: Mailbox
    message: Message
    folder_id: str
    ordinary_id: str
    change_key: str


@dataclass(slots=True)
class World:
    """All parts. `ids` has random numbers of its own, so that other random choices do not change the ids."""

    config: SimulatorConfig
    clock: Clock
    http: httpx.AsyncClient | None
    random: random.Random
    knobs: Knobs
    ids: IdMaker
    store: Store
    schedule: Schedule
    log: RequestLog
    faults: Faults
    throttle: Throttle
    uploads: Uploads
    sleep: Sleep
    entra: Entra = field(init=False)
    subscriptions: Subscriptions = field(init=False)
    notifier: Notifier = field(init=False)

    def now(self) -> datetime:
        """The simulator's time."""
        return self.clock.now()

    def publish(self, change: Change) -> None:
        """Count a change and notify the subscriptions that it concerns."""
        self.store.version += 1
        self.subscriptions.dispatch(change)
