"""Due work over which every worker dies: a dead letter, then ever longer rests, while the mailbox's other work goes on.

So it is for every kind of task; mail, sends and events have tests of their own (`test_deadly_mail`,
`test_send_deaths`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.held import MOST_DEATHS
from shared.domain.model import SubscriptionState, Task, TaskKind
from shared.domain.retries import AFTER_DEATHS
from shared.mailbox_context import MailboxContext
from shared.state.ledger import new
from shared.sync.mailbox.unit_of_work import change
from shared.sync.tasks import do_task
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.test_deadly_mail import Deadly, Died, received, reply
from tests.functions.test_send_ends import mailbox_of

CARRIED_OUT_BY = {
    TaskKind.RENEW: "renew",
    TaskKind.CLOSE: "finish_closing",
    TaskKind.ERASE: "erase_content",
    TaskKind.ENQUEUE_WAITING: "enqueue_waiting",
}
DEATHS_A_COUNT = 2
"""The message that was put when the work fell due, and the first one of the timer, before the host tells of a death."""


class DeadlyTask(Deadly):
    """Makes the work of one kind of task end the process, until it is `mended`."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch, kind: TaskKind) -> None:
        super().__init__(app, monkeypatch)
        self.mended = False
        name, where = CARRIED_OUT_BY[kind], FakeMail if kind is TaskKind.RENEW else do_task
        right = getattr(where, name)

        async def work(*given: object, **more: object) -> object:
            if self.mended:
                return await right(*given, **more)
            self.deaths += 1
            raise Died

        monkeypatch.setattr(where, name, work)


async def make_due(app: App, kind: TaskKind) -> None:
    """Let work of that kind fall due now."""
    now = app.clock.now()
    if kind is not TaskKind.RENEW:
        await app.services.ledger.write(mailbox_of(app), new(Task(now, kind, "con_x|u_ann")))
        await app.services.due.add_at(mailbox_of(app), "work", now)
        return
    mailbox = await MailboxContext(app.services, mailbox_of(app)).read()
    assert mailbox is not None
    assert mailbox.renew_at is not None
    app.clock.forward(seconds=(mailbox.renew_at - now).total_seconds())


async def letters(app: App) -> list[tuple[str, str, str]]:
    """Work, cause and id of every dead letter."""
    kept = [kept async for kept in app.services.dead_letters.all()]
    return [(each.letter.work, each.letter.cause, each.letter_id) for each in kept]


@pytest.mark.parametrize("kind", CARRIED_OUT_BY)
async def test_work_that_kills_ends_where_a_person_sees_it(
    begun: App, monkeypatch: pytest.MonkeyPatch, kind: TaskKind
) -> None:
    """Five counted deaths make a dead letter; afterwards a day costs few workers, and mail comes in all the while."""
    deadly = DeadlyTask(begun, monkeypatch, kind)
    await make_due(begun, kind)
    assert 0 < await deadly.pass_time(4 * 60) <= DEATHS_A_COUNT * (MOST_DEATHS + len(AFTER_DEATHS))
    assert [kept[:2] for kept in await letters(begun)] == [(kind.value, "given_up:WorkersDied")]
    await deadly.pass_time(24 * 60)
    assert await deadly.pass_time(24 * 60) <= DEATHS_A_COUNT
    assert (await begun.notify(reply(begun))).status == 202
    await deadly.pass_time(1)
    assert received(begun) == 1


@pytest.mark.parametrize("kind", CARRIED_OUT_BY)
async def test_work_that_killed_is_done_when_it_is_replayed(
    begun: App, monkeypatch: pytest.MonkeyPatch, kind: TaskKind
) -> None:
    """Its dead letter is replayed when the fault is mended, and it is done without another death."""
    deadly = DeadlyTask(begun, monkeypatch, kind)
    await make_due(begun, kind)
    await deadly.pass_time(4 * 60)
    deadly.mended = True
    ((_, _, letter_id),) = await letters(begun)
    replayed = await begun.v1("POST", f"dead-letters/{letter_id}/replay")
    assert (replayed.status, replayed.json()["outcome"]) == (202, "due")
    await deadly.pass_time(16)
    due = await begun.services.ledger.tasks(mailbox_of(begun), begun.clock.now(), None)
    assert [stored.value.kind for stored in due if stored.value.kind is kind] == []


@pytest.mark.parametrize("kind", CARRIED_OUT_BY)
async def test_a_death_by_chance_is_no_dead_letter(
    begun: App, monkeypatch: pytest.MonkeyPatch, kind: TaskKind
) -> None:
    """Work whose worker died once, as in a deployment, is done within half an hour, as its timers go."""
    deadly = DeadlyTask(begun, monkeypatch, kind)
    await make_due(begun, kind)
    await deadly.pass_time(15 if kind is TaskKind.RENEW else 1)
    assert deadly.deaths > 0
    deadly.mended = True
    await deadly.pass_time(30)
    due = await begun.services.ledger.tasks(mailbox_of(begun), begun.clock.now(), None)
    assert [stored.value.kind for stored in due if stored.value.kind is kind] == []
    assert await letters(begun) == []


async def test_a_sweep_that_kills_at_no_mail_ends_where_a_person_sees_it(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where listing a mailbox kills, there is no mail to hold: a dead letter, a degraded mailbox, and longer rests."""
    deadly = Deadly(begun, monkeypatch)

    async def sweep(*_: object, **__: object) -> object:
        deadly.deaths += 1
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(FakeMail, "sweep", sweep)
        assert 0 < await deadly.pass_time(6 * 60) <= MOST_DEATHS + len(AFTER_DEATHS)
        assert ("sweep", "given_up:WorkersDied") in [kept[:2] for kept in await letters(begun)]
        await deadly.pass_time(24 * 60)
        assert await deadly.pass_time(24 * 60) <= DEATHS_A_COUNT
        assert "connection.degraded" in begun.crm.types()
        assert (await begun.notify(reply(begun))).status == 202
        await deadly.pass_time(1)
        assert received(begun) == 1
    letter_id = next(kept[2] for kept in await letters(begun) if kept[1].startswith("given_up"))
    await begun.v1("POST", f"dead-letters/{letter_id}/replay")
    await deadly.pass_time(2)
    mailbox = await MailboxContext(begun.services, mailbox_of(begun)).read()
    assert mailbox is not None
    assert mailbox.sweep_deaths == 0
    assert mailbox.sweep_at is not None
    assert mailbox.sweep_at - begun.clock.now() > timedelta(minutes=1)


async def test_a_making_that_kills_in_sweeps_ends_where_a_person_sees_it(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep makes a subscription that has expired anew; where that kills, mail comes by sweeps all the same."""
    deadly = Deadly(begun, monkeypatch)

    async def subscribe(*_: object, **__: object) -> object:
        deadly.deaths += 1
        raise Died

    async for tx in change(MailboxContext(begun.services, mailbox_of(begun))):
        tx.mailbox = replace(tx.mailbox, subscription_expires_at=begun.clock.now())
    with monkeypatch.context() as patched:
        patched.setattr(FakeMail, "subscribe", subscribe)
        await deadly.pass_time(6 * 60)
        assert [kept[:2] for kept in await letters(begun)] == [("renew", "given_up:WorkersDied")]
        assert await deadly.pass_time(12 * 60) <= DEATHS_A_COUNT
        reply(begun)
        await deadly.pass_time(20)
        assert received(begun) == 1
    ((_, _, letter_id),) = await letters(begun)
    await begun.v1("POST", f"dead-letters/{letter_id}/replay")
    await deadly.pass_time(16)
    mailbox = await MailboxContext(begun.services, mailbox_of(begun)).read()
    assert mailbox is not None
    assert (mailbox.subscription, mailbox.renew_failures) == (SubscriptionState.ACTIVE, 0)


async def test_ticks_announce_no_work_whose_message_still_hides(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the ten minutes in which the host hides a dead worker's message, ticks put one more, not ten."""
    deadly = DeadlyTask(begun, monkeypatch, TaskKind.ERASE)
    await make_due(begun, TaskKind.ERASE)
    assert await deadly.pass_time(9) <= DEATHS_A_COUNT
