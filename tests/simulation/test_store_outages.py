"""Outages of our own storage under the host's real queue rules: nothing is lost, nothing counts as a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.state import keys
from tests.simulation.moves import carla_answers, connected, crm_sends, in_crm, shown
from tests.simulation.world import OneProcess, one_process

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SPANS = {"a minute": MINUTE, "ten minutes": 10 * MINUTE, "four hours": 4 * HOUR, "a day": DAY}
# The timer that notices, up to ten minutes over which sweeps are spread, the timer that enqueues.
IN_TIME = 15 * MINUTE


async def dead_letters(world: OneProcess) -> int:
    rows = world.services.tables.query_partitions(keys.DEAD_LETTERS)
    return len([row async for row in rows])


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("stores", [("tables",), ("tables", "blobs", "queues")], ids=["tables", "all"])
async def test_an_answer_during_an_outage_is_there_in_time(
    tmp_path: Path, stores: tuple[str, ...], span: float
) -> None:
    """What a contact answers into a quiet mailbox while stores fail is in the CRM soon after, once, as is a send."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(8 * DAY)
        await carla_answers(stage, "Notified before.")
        world.fail_stores(*stores)
        await carla_answers(stage, "Notified during it.")
        await world.advance(span)
        world.mend_stores()
        await world.advance(IN_TIME)
        for words in ("Notified before.", "Notified during it."):
            assert len(await in_crm(stage, words)) == 1
        assert await dead_letters(world) == 0


async def test_a_send_that_an_outage_met_leaves_once(tmp_path: Path) -> None:
    """A send that was accepted just before four hours without tables leaves once, soon after them."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(HOUR)
        answer = await stage.crm.post(
            "/api/messages",
            json={"crm_message_id": "late", "user_id": "u_ann", "to": "carla@contoso-customer.example",
                  "subject": "Late", "html": "<p>Late.</p>", "attachments": []},
        )  # fmt: skip
        assert answer.status_code == 202
        world.fail_stores("tables")
        await world.advance(4 * HOUR)
        world.mend_stores()
        await world.advance(IN_TIME)
        assert (await shown(stage, "late"))["status"] == "sent"
        assert await dead_letters(world) == 0
