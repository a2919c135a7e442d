"""The options of a local world."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


def say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """Options of a world. The defaults suit tests: free ports and a new folder that is deleted at the end."""

    profile: Literal["local", "azure"] = "local"
    """How the product is set up: as on this machine, or as on Azure, with stand-ins (docs/simulator.md)."""
    preferred_ports: bool = False
    """Use the demo's well-known ports if they are free."""
    data_dir: Path | None = None
    """The folder for logs, keys and data; None: a new folder below the system's temporary one."""
    keep_data: bool = False
    """Do not delete a temporary folder at the end."""
    seed: int = 1
    """The seed of the simulator's random choices."""
    knobs: tuple[str, ...] = ()
    """Knobs of the simulator that are turned, each as name=value."""
    sabotage: str | None = None
    """A fault to build into the product (see `sandbox.sabotage`)."""
    local_origins: tuple[str, ...] = ()
    """More loopback origins that the product may call, for another CRM."""
    one_process: bool = False
    """Run the development host as one process instead of one for each trigger group, which is cheaper."""
    package: Path | None = None
    """An unpacked deployment package to run, on Python 3.13, in place of the code of this repository."""
    told: Callable[[str], None] = say
    """Called with a line for each step of the start and of the end."""
