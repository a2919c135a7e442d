"""A clock is set while work is under way: what a sweep has not listed is not taken for listed."""

from __future__ import annotations

from datetime import timedelta

from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_connection_truth import mailbox_now

STEP = timedelta(minutes=20)


async def test_our_clock_is_set_back_while_a_sweep_asks_for_its_first_page(begun: App) -> None:
    """Mail that comes a minute after that sweep, and that no notification brings, is found by the next one."""
    clock, graph = begun.clock, begun.services.graph_clock

    async def turn_back() -> None:
        clock.at -= STEP
        graph.ahead = STEP

    begun.mail.before_pages = [turn_back]
    clock.forward(minutes=16)
    await begun.tick()
    await begun.pump()
    assert not begun.mail.before_pages
    at = clock.now() + STEP + timedelta(minutes=1)
    begun.mail.receive(
        BEA_ADDRESS,
        in_reply_to=begun.mail.last_sent.internet_message_id,
        tags={"received_at": at, "last_modified_at": at},
    )
    await begun.later(minutes=50)
    assert "message.received" in begun.crm.types()


async def test_graphs_clock_is_known_to_other_processes_after_the_first_send(ready: App) -> None:
    """A stop in a process that never called Graph is by Graph's clock: its answers to the draft told the row."""
    ready.services.graph_clock.ahead = -STEP
    await ready.accepted("m-1")
    await ready.pump()
    mailbox = await mailbox_now(ready)
    assert mailbox.graph_ahead_seconds == -STEP.total_seconds()


async def test_a_send_finds_out_that_graphs_clock_was_set_back(begun: App) -> None:
    """Mail that came since then has times from before the sweeps' cursor: it is looked for there."""
    await begun.later(minutes=40)
    begun.services.graph_clock.ahead = -STEP
    await begun.accepted("m-2")
    await begun.pump()
    again_from = (await mailbox_now(begun)).sweep_again_from
    assert again_from is not None
    assert again_from <= begun.clock.now() - STEP
