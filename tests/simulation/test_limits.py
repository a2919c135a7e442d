"""Where nothing is left to go by, and where time runs out: the product stays honest, and sends nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.story.stage import CARLA
from tests.simulation.moves import (
    carla_answers,
    connected,
    crm_sends,
    foreign_bodies_read,
    in_crm,
    shown,
    stranger_writes,
)
from tests.simulation.settings import Settings
from tests.simulation.world import one_process

HOUR = 3600.0


async def test_a_late_sent_copy_ends_the_doubt(tmp_path: Path) -> None:
    """A send without a copy for an hour is told as unconfirmed, and as sent once the copy turns up."""
    async with one_process(tmp_path, knobs={"sent_copy_delay_seconds": 1.5 * HOUR}) as world:
        stage = await connected(world)
        sent = await crm_sends(stage, "Late.")
        await world.advance(1.25 * HOUR)
        assert (await shown(stage, sent))["status"] == "unconfirmed"
        await world.advance(HOUR)
        assert (await shown(stage, sent))["status"] == "sent"
        assert [event["type"] for event in await stage.crm_events("message.unconfirmed", "message.sent")] == [
            "message.unconfirmed",
            "message.sent",
        ]
        assert len(await stage.outside(CARLA)) == 1


async def test_an_answer_long_before_the_copy_it_answers(tmp_path: Path) -> None:
    """An answer that comes an hour before the sent copy it answers syncs when the copy is there."""
    async with one_process(tmp_path, knobs={"sent_copy_delay_seconds": HOUR}) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(60.0)
        await carla_answers(stage, "A fast answer.")
        await world.advance(0.75 * HOUR)
        assert not await in_crm(stage, "A fast answer.")
        await world.advance(HOUR)
        assert len(await in_crm(stage, "A fast answer.")) == 1


async def test_a_copy_that_nothing_names_is_not_sent_again(tmp_path: Path) -> None:
    """A send whose copy has lost key, id and Message-ID stays unconfirmed and is never sent again."""
    async with one_process(tmp_path, knobs={"sent_copy_extended_properties": "lost"}) as world:
        stage = await connected(world)
        sent = await crm_sends(stage, "Nameless.")
        await world.advance(48 * HOUR)
        assert (await shown(stage, sent))["status"] == "unconfirmed"
        assert len(await stage.crm_events("message.unconfirmed")) == 1
        assert len(await stage.outside(CARLA)) == 1


@pytest.mark.parametrize("settings", [{"relay_message_id": "rewritten"}, {"received_reply_tags": "none"}])
async def test_an_answer_that_nothing_names_is_left_alone(tmp_path: Path, settings: Settings) -> None:
    """An answer without tags and in no known conversation is foreign mail and not read."""
    async with one_process(tmp_path, knobs=settings) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(60.0)
        await carla_answers(stage, "An answer.")
        await world.advance(HOUR)
        assert not await in_crm(stage, "An answer.")
        assert not await foreign_bodies_read(stage)


async def test_a_notification_that_comes_before_its_subscription_is_known(tmp_path: Path) -> None:
    """Foreign mail that is notified before its subscription's creation is answered is not read, and nothing hangs."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await stranger_writes(stage, "At the same moment.")
        world.clock.advance(1.0)
        await world.simulator.run_due()
        sent = await crm_sends(stage, "The first.")
        await world.advance(60.0)
        posted = await stage.control("GET", "notifications")
        assert posted["posted"] >= 2
        assert (await shown(stage, sent))["status"] == "sent"
        assert not await foreign_bodies_read(stage)


async def test_a_reply_while_the_subscription_was_gone(tmp_path: Path) -> None:
    """A reply that came while the subscription was removed is brought in once, by the sweep of the gap."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(60.0)
        old = (await stage.control("GET", "subscriptions"))["subscriptions"][0]
        await stage.control("POST", f"subscriptions/{old['id']}/lifecycle", event="subscriptionRemoved")
        await carla_answers(stage, "In the gap.")
        await world.advance(60.0)
        fresh = (await stage.control("GET", "subscriptions"))["subscriptions"]
        assert [subscription["id"] for subscription in fresh] != [old["id"]]
        assert len(fresh) == 1
        assert len(await in_crm(stage, "In the gap.")) == 1


async def test_a_throttle_of_entra_is_no_dead_consent(tmp_path: Path) -> None:
    """A loop throttle, which Entra calls `invalid_grant`, delays a send and asks nobody to sign in again."""
    async with one_process(tmp_path, knobs={"access_token_seconds": 600}) as world:
        stage = await connected(world)
        await world.advance(HOUR)
        await stage.control("POST", "faults", operation="entra.token", kind="status", code="50196", count=2)
        sent = await crm_sends(stage, "Patience.")
        await world.advance(HOUR)
        assert (await shown(stage, sent))["status"] == "sent"
        assert not await stage.crm_events("connection.reconnect_required")
