"""The story in one process, under a virtual clock."""

from __future__ import annotations

from pathlib import Path

from sandbox.story import acts
from tests.simulation.world import one_process


async def test_the_story_holds_in_one_process(tmp_path: Path) -> None:
    """Every act of the story is true when the whole system runs in one process under a virtual clock."""
    async with one_process(tmp_path) as world:
        await acts.seed(world.stage)
        told = acts.Told()
        for act in acts.STORY:
            await act(world.stage, told)
