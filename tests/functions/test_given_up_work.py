"""Work that was given up, and work whose task row is not as this version writes it: nothing goes missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import StoreUnavailable, UpstreamSurprise
from shared.domain.model import TaskKind
from shared.state import keys
from shared.state.codec import Stored, encode
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.app import App
from tests.functions.test_making_subscriptions import mailbox


async def dead_letters(app: App) -> int:
    return len([kept async for kept in app.services.dead_letters.all()])


async def pump(app: App) -> None:
    """As the host: what raises comes again."""
    try:
        await app.pump()
    except StoreUnavailable:
        app.clock.forward(seconds=31)


async def given_up_while_dead_letters_fail(app: App) -> None:
    """The store is down for one write: the dead letter."""
    failed = []

    def before(call: Call) -> None:
        if call.writes and call.place[0] == keys.DEAD_LETTERS and not failed:
            failed.append(call)
            raise StoreUnavailable

    app.tables.before = before
    for _ in range(180):
        app.clock.forward(minutes=1)
        await app.tick()
        await pump(app)
    app.tables.before = no_hook
    assert failed


async def test_a_given_up_send_has_its_dead_letter_though_the_store_was_down_for_it(begun: App) -> None:
    """The send has ended; the letter that a person should see must come with the repeated job."""
    begun.mail.next["create_draft"] = [UpstreamSurprise() for _ in range(100)]
    message_id = await begun.accepted("m-2")
    await given_up_while_dead_letters_fail(begun)
    assert await begun.standing(message_id) == ("failed", "gave_up")
    assert await dead_letters(begun) == 1


async def test_a_given_up_mail_has_its_dead_letter_though_the_store_was_down_for_it(begun: App) -> None:
    """The mail counts as seen; the letter must come with the repeated job."""
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = UpstreamSurprise()
    await begun.arrives(number)
    await given_up_while_dead_letters_fail(begun)
    assert await dead_letters(begun) == 1


@pytest.mark.parametrize("changes", [{"attempts": 1}, {"looks": 1}])
async def test_a_task_row_with_a_counter_does_not_cost_the_send_its_task(
    ready: App, changes: dict[str, int]
) -> None:
    """A task row of another version carries counters (`Task` has the fields): it still is the row's task."""
    await ready.accepted("m-1")
    found = await ready.services.ledger.tasks(mailbox(ready), ready.clock.now() + timedelta(days=1), None)
    task = next(stored for stored in found if stored.value.kind is TaskKind.SEND)
    await ready.tables.replace(
        keys.MAILBOX,
        keys.mailbox_partition(mailbox(ready)),
        keys.row_of(task.value),
        encode(Stored(replace(task.value, **changes))),
        task.etag or "",
    )
    for queue in keys.QUEUES:  # the first message is lost
        for message in await ready.queues.receive(queue, 32):
            await ready.queues.delete(queue, message)
    await ready.later(minutes=30)
    assert len(ready.mail.sent) == 1
