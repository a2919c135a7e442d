"""Whatever Microsoft does where nothing is promised: the story holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.graphsim.knobs import KNOBS
from sandbox.story import acts
from tests.simulation.settings import (
    LEFT_OUT,
    NUMBERS,
    OF_SUBSCRIPTIONS,
    WORST,
    Settings,
    each_value,
    kindest,
    named,
)
from tests.simulation.world import one_process

WITHOUT_DAYS = (*acts.CORE, *(act for act in acts.REST if act is not acts.renewal))


async def _play(folder: Path, settings: Settings, chosen: tuple[acts.Act, ...]) -> None:
    async with one_process(folder, knobs=settings) as world:
        await acts.seed(world.stage)
        told = acts.Told()
        if settings.get("upload_host") == "failing":
            told.largest_file_bytes = 3_000_000
        for act in chosen:
            await act(world.stage, told)


@pytest.mark.parametrize("settings", list(each_value()), ids=named)
async def test_the_story_holds_at_every_value_of_every_knob(tmp_path: Path, settings: Settings) -> None:
    """The story holds with one knob turned to each of its values."""
    days = bool(OF_SUBSCRIPTIONS & set(settings))
    await _play(tmp_path, settings, acts.STORY if days else WITHOUT_DAYS)


async def test_the_story_holds_where_everything_is_kindest(tmp_path: Path) -> None:
    """The story holds with every knob at its kindest value."""
    await _play(tmp_path, kindest(), acts.STORY)


async def test_the_story_holds_where_everything_is_worst(tmp_path: Path) -> None:
    """The story holds with every knob at its worst value at once that leaves some evidence."""
    await _play(tmp_path, WORST, acts.STORY)


def test_every_knob_is_turned() -> None:
    """Every knob is turned in these tests or left out for a reason."""
    turned = {name for settings in each_value() for name in settings}
    assert turned | LEFT_OUT == {knob.name for knob in KNOBS}
    assert set(NUMBERS) | LEFT_OUT == {knob.name for knob in KNOBS if knob.values is None}
