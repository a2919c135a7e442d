"""A broken product does not pass the story: each way to break it is noticed, in the act that is about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.sabotage import SABOTAGES
from sandbox.story import acts
from sandbox.story.stage import Lie
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import Wrap, one_process

NOTICED_IN = {
    "lose": acts.contact_replies,
    "double": acts.sending,
    "peek": acts.foreign_mail,
    "no sweep": acts.dropped_notification,
    "no renewal": acts.renewal,
    "no reply threads": acts.crm_replies,
    "drafts are mail": acts.user_replies,
    "echoes are strangers": acts.nothing_lost_nothing_double,
    "blind to tags": acts.contact_replies,
    "blind to inline files": acts.attachments,
    "silent refusals": acts.attachments,
    "silent sends": acts.sending,
    "silent waits": acts.repairing,
    "silent stops": acts.stopping,
}


@pytest.mark.parametrize(("name", "wrap"), [*SABOTAGES.items(), *MUTANTS.items()])
async def test_the_story_notices_and_names_the_act(tmp_path: Path, name: str, wrap: Wrap) -> None:
    """The story notices each way to break the product, in the act that it is about."""
    assert await _first_lie(tmp_path, wrap) == NOTICED_IN[name].__doc__


async def _first_lie(folder: Path, wrap: Wrap) -> str | None:
    async with one_process(folder, wrap=wrap) as world:
        await acts.seed(world.stage)
        told = acts.Told()
        for act in acts.STORY:
            try:
                await act(world.stage, told)
            except Lie:
                return act.__doc__
    return None
