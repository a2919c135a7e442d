"""What kind of world is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def say(line: str) -> None:
    """Tell the person at the terminal how it goes."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """By default a world for tests: free ports, a folder of its own that vanishes, everything new."""

    preferred_ports: bool = False
    """Take the demo's well-known ports where they are free."""
    data_dir: Path | None = None
    """Where logs, keys and data lie; None: a new folder below the system's temporary one."""
    keep_data: bool = False
    """Leave a temporary folder behind."""
    seed: int = 1
    """What the simulator's chance begins with."""
    sabotage: str | None = None
    """A fault to build into the product (see `sandbox.sabotage`)."""
    local_origins: tuple[str, ...] = ()
    """More loopback origins that the product may call, for a CRM of one's own."""
    one_process: bool = False
    """The dev host as one process instead of one for each trigger group: cheaper."""
    told: Callable[[str], None] = say
    """Hears a line for each step of the start and of the end."""
