"""The local world: storage, a Microsoft 365 simulator, the product on the development host, and a CRM.

async with World.start(WorldOptions()) as world:
    ...  # world.app_url, world.crm_url, world.sim_http_url, world.clock, world.api_key …
"""

from __future__ import annotations

from sandbox.world.options import WorldOptions
from sandbox.world.running import World

__all__ = ["World", "WorldOptions"]
