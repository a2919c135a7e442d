"""What the development host does to the product before it starts: give it the world's clock, and sabotage on demand.

The product has no setting for either; both come in through `shared.bootstrap`.
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
    """Called in each process of the host before `function_app` is imported."""
    wanted = os.environ.get("SANDBOX_SABOTAGE")
    wrap: Callable[[Services], Services] | None = SABOTAGES[wanted] if wanted else None
    bootstrap.replace_parts(clock=context.clock, wrap=wrap)
