"""Our clock goes wrong by twenty minutes: mail is judged by Graph's times alone, so nothing is lost or let in by it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.story.stage import Stage
from tests.simulation.moves import carla_answers, connected, crm_sends, shown
from tests.simulation.world import one_process


async def told(stage: Stage, *words: str) -> list[int]:
    """How many mails with each of these words in front stand in the feed: a CRM may refuse webhooks of a wrong time."""
    feed = (await stage.api("GET", "/v1/events?limit=500")).json()["events"]
    texts = [str((event["data"].get("body") or {}).get("text") or "") for event in feed]
    return [len([text for text in texts if text.strip().startswith(word)]) for word in words]


AHEAD = [timedelta(minutes=20), timedelta(minutes=-20)]


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
async def test_a_fast_answer_is_told(tmp_path: Path, ahead: timedelta) -> None:
    """A contact who answers within a second is in the thread, and the sent copy is no second message."""
    async with one_process(tmp_path, ahead=ahead) as world:
        stage = await connected(world)
        await crm_sends(stage, "Begun")
        await world.advance(1)
        await carla_answers(stage, "Fast")
        await world.advance(900)
        assert await told(stage, "Begun", "Fast") == [1, 1]
        assert (await stage.control("GET", "subscriptions"))["subscriptions"]


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
async def test_what_no_notification_brings_is_swept(tmp_path: Path, ahead: timedelta) -> None:
    """Sweeps list from a time of Graph's: mail whose notification is lost is told at the next."""
    async with one_process(tmp_path, ahead=ahead) as world:
        stage = await connected(world)
        await crm_sends(stage, "Begun")
        await world.advance(1900)  # right after a sweep
        await stage.control("POST", "notifications", action="drop", count=50)
        await carla_answers(stage, "Unheard")
        await world.advance(1800)
        assert await told(stage, "Unheard") == [1]


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
async def test_a_stop_and_a_resumption_stand_where_they_were(tmp_path: Path, ahead: timedelta) -> None:
    """Mail from before a stop and from after the resumption is told, what came in between is not (R12)."""
    async with one_process(tmp_path, ahead=ahead) as world:
        stage = await connected(world)
        begun = await crm_sends(stage, "Begun")
        await world.advance(600)
        thread = (await shown(stage, begun))["thread_id"]
        await stage.control("POST", "notifications", action="drop", count=1)
        await carla_answers(stage, "Before")
        await world.advance(30)
        assert (await stage.api("POST", f"/v1/threads/{thread}/stop")).is_success
        await world.advance(30)
        await carla_answers(stage, "Between")
        await world.advance(60)
        assert (await stage.api("POST", f"/v1/threads/{thread}/resume")).is_success
        await world.advance(10)
        await carla_answers(stage, "After")
        await world.advance(2400)
        assert await told(stage, "Before", "Between", "After") == [1, 0, 1]


@pytest.mark.parametrize("by", AHEAD, ids=str)
async def test_a_clock_of_graphs_that_is_set_hides_no_mail(tmp_path: Path, by: timedelta) -> None:
    """Graph's clock is put right, by twenty minutes either way: mail that no notification brings is told soon."""
    async with one_process(tmp_path, ahead=by) as world:
        stage = await connected(world)
        await crm_sends(stage, "Begun")
        await world.advance(2000)  # right after a sweep
        world.clock.current += by
        world.product_clock.ahead -= by
        await stage.control("POST", "notifications", action="drop", count=50)
        await world.advance(120)
        await carla_answers(stage, "Unheard")
        await world.advance(2800)
        assert await told(stage, "Unheard") == [1]
