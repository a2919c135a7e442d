"""A mailbox that is told to pause: what waits for it ends no worse (E-28)."""

from __future__ import annotations

import pytest

from shared.domain.errors import Ambiguous, Throttled
from tests.functions.app import App


@pytest.mark.parametrize(("seconds", "times"), [(600, 9), (3_600, 3), (20, 40)])
async def test_a_send_that_is_throttled_for_hours_leaves_in_the_end(
    ready: App, seconds: int, times: int
) -> None:
    """A send that Graph throttles for hours leaves once.

    A 429 means that nothing left, so the hour for unknown outcomes does not run.
    """
    ready.mail.next["send"] = [Throttled(seconds) for _ in range(times)]
    message_id = await ready.accepted()
    await ready.later(hours=4)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.mail.calls.count("send") == times + 1
    assert (ready.mail.calls.count("create_draft"), len(ready.mail.sent)) == (1, 1)
    # After an hour in which no sweep could be made, that is told as well.
    kinds = [kind for kind in ready.crm.types() if kind.startswith("message")]
    assert kinds == (["message.sent"] if seconds == 20 else ["message.waiting", "message.sent"])


async def test_a_throttled_send_leaves_when_the_pause_is_over(ready: App) -> None:
    """A throttled send leaves when the pause is over, not after the five minutes of an unknown outcome."""
    ready.mail.next["send"] = [Throttled(30)]
    await ready.accepted()
    await ready.later(minutes=2)
    assert len(ready.mail.sent) == 1


@pytest.mark.parametrize(
    ("pauses", "told", "sends"),
    [(4, ["message.sent"], 2), (9, ["message.unconfirmed", "message.failed"], 1)],
)
async def test_a_pause_of_the_asking(ready: App, pauses: int, told: list[str], sends: int) -> None:
    """While Graph throttles the question whether a send left, its hour runs: nobody knows, which is told.

    When the draft then still lies in Drafts it is sent again within the hour, and is told as failed after it.
    """
    ready.mail.next["send"] = [Ambiguous()]
    ready.mail.next["locate"] = [Throttled(600.0) for _ in range(pauses)]
    await ready.accepted()
    await ready.later(hours=3)
    assert [kind for kind in ready.crm.types() if kind.startswith("message")] == told
    assert ready.mail.calls.count("send") == sends
