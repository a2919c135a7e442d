"""The development host's bootstrap hook: it gives the product the local world's clock, its names, and a sabotage.

The product has no setting for any of them; all are passed through `shared.bootstrap`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.sabotage import SABOTAGES
from shared import bootstrap

if TYPE_CHECKING:
    from sandbox.devhost.context import HostContext
    from sandbox.names import Names
    from shared.services import Services


def install(context: HostContext) -> None:
    """Replace parts of the product; the host calls this in each process before it imports `function_app`."""
    wanted = os.environ.get("SANDBOX_SABOTAGE")
    wrap: Callable[[Services], Services] | None = SABOTAGES[wanted] if wanted else None
    bootstrap.replace_parts(clock=context.clock, wrap=wrap, **parts_of(context.names))


def parts_of(names: Names | None) -> dict[str, Any]:
    """The parts that let the product live among a world's public names; none without names.

    Everything is judged as on Azure: the guard resolves names to public addresses, certificates are checked against the
    world's authority. Discovery of Entra's instances stays on, because Entra answers under its own name.
    """
    if names is None:
        return {}
    return {"ca_file": names.ca_file, "dial": names.dial, "resolve": names.resolve}
