"""A clock is set while work is under way: what a sweep has not listed is not taken for listed."""

from __future__ import annotations

from datetime import timedelta

from tests.functions.app import BEA_ADDRESS, App

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
