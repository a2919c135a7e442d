"""A CRM send that also comes to its own user is told once, whichever of its copies is here first."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.story.stage import ANN_ADDRESS
from tests.simulation.moves import connected, crm_sends, in_crm
from tests.simulation.settings import Settings
from tests.simulation.world import one_process

ORDERS: list[Settings] = [
    {"sent_copy_delay_seconds": 240},
    {"sent_copy_delay_seconds": 240, "relay_message_id": "rewritten"},
    {"delivery_delay_seconds": 90, "relay_message_id": "rewritten"},
]


@pytest.mark.parametrize("settings", ORDERS, ids=" ".join)
async def test_a_send_with_its_user_on_copy(tmp_path: Path, settings: Settings) -> None:
    """A send with its own user on copy is shown once, as sent by the CRM."""
    async with one_process(tmp_path, knobs=settings) as world:
        stage = await connected(world)
        await crm_sends(stage, "To both of you.", cc=[{"address": ANN_ADDRESS}])
        await world.advance(3600.0)
        shown = await in_crm(stage, "To both of you.")
        assert [(each["direction"], each["status"]) for each in shown] == [("outbound", "sent")]
        folders = [mail["folder"] for mail in await stage.mailbox()]
        assert sorted(folders) == ["inbox", "sentitems"]
