"""Random moves by a seed: afterwards nothing is lost, nothing is twice, nothing foreign was read."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.simulation.explorer import Explorer, chosen_knobs
from tests.simulation.kinds_of_mail import lies_about_kinds
from tests.simulation.moves import connected
from tests.simulation.world import one_process

FIRST = int(os.environ.get("SIMULATION_FIRST_SEED", "1"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "15"))
MOVES = int(os.environ.get("SIMULATION_MOVES", "30"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_nothing_is_lost_and_nothing_is_twice(tmp_path: Path, seed: int) -> None:
    """After random moves no mail is lost or doubled and no foreign body was read.

    Each send has ended or is unconfirmed.
    """
    dice = random.Random(seed)
    knobs = chosen_knobs(dice)
    async with one_process(tmp_path, seed=seed, knobs=knobs) as world:
        explorer = Explorer(world=world, dice=dice, knobs=knobs)
        await connected(world)
        await explorer.crm_begins()
        for _ in range(MOVES):
            await explorer.move()
        await explorer.drain()
        lies = [*await explorer.lies(), *await lies_about_kinds(explorer)]
        told = "\n".join([f"seed {seed}, knobs {knobs}", *explorer.tale])
        assert not lies, f"{lies}\n{told}"
