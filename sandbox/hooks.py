"""The development host's bootstrap hook: it gives the product the local world's clock and, on demand, a sabotage.

The product has no setting for either; both are passed through `shared.bootstrap`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.sabotage import SABOTAGES
from shared import bootstrap

if TYPE_CHECKING:
    from sandbox.devhost.context import HostContext
    from shared.services import Services


def install(context: HostContext) -> None:
    """Replace parts of the product; the host calls this in each process before it imports `function_app`."""
    wanted = os.environ.get("SANDBOX_SABOTAGE")
    wrap: Callable[[Services], Services] | None = SABOTAGES[wanted] if wanted else None
    bootstrap.replace_parts(clock=context.clock, wrap=wrap)
