"""Uploads that take long, under the virtual clock, while other workers take up what is due."""

from __future__ import annotations

from pathlib import Path

from sandbox.story.acts import PDF, attached
from sandbox.story.stage import CARLA
from tests.simulation.moves import connected, crm_sends, shown
from tests.simulation.world import one_process

FILES = [attached(f"{number}.pdf", "application/pdf", PDF) for number in range(8)]


async def test_a_reply_whose_files_are_slow_leaves_once(tmp_path: Path) -> None:
    """Eight files at 30 seconds each outlast the lease of their worker; one draft is filled, and one mail leaves."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        opening = await crm_sends(stage, "The first.")
        await world.advance(120.0)
        first = await shown(stage, opening)
        since, _ = await stage.requests()
        await stage.control(
            "POST", "faults", operation="attachment.create", kind="delay", seconds=30, count=8
        )
        await crm_sends(stage, "With files.", first, attachments=FILES)
        await world.advance(600.0)
        _, log = await stage.requests(since)
        assert [request["operation"] for request in log].count("message.createReply") == 1
        assert (
            len([mail for mail in await stage.outside(CARLA) if len(mail["attachments"]) == len(FILES)]) == 1
        )
