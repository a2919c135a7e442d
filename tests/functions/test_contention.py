"""Many at once at one mailbox: nobody is turned away, no finished draft is thrown away, and who closes it wins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from shared import bootstrap
from shared.domain.errors import NoActiveConnection, PostbraidError
from shared.domain.model import Address, MailboxRef, SendRequest
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.sync.connect.disconnect import disconnect
from shared.sync.mailbox.unit_of_work import change
from shared.sync.outbound.accept_outbound import accept_outbound
from shared.sync.queueing.jobs import TaskMessage, decode_job
from shared.sync.tasks.do_task import do_task
from shared.turns import Turn, Turns
from tests.builders import MAILBOX
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.racing import interleaved, work
from tests.functions.test_send_ends import mailbox_of
from tests.functions.test_two_processes import another_process

TURNS_A_SECOND = 2_000  # a call of a store takes about 15 turns, in life about 8 ms


async def _while_others_work(seconds: float) -> None:
    for _ in range(int(seconds * TURNS_A_SECOND)):
        await asyncio.sleep(0)


def a_process(app: App) -> Services:
    """A process with a memory and turns of its own, in which waiting lets the others go on."""
    return replace(another_process(app), turns=Turns(), sleep=_while_others_work)


async def accept(process: Services, app: App, crm_message_id: str) -> str:
    """Hand a send over to that process; how it was answered."""
    request = SendRequest(crm_message_id, "u_ann", (Address(BEA_ADDRESS),), "Your offer", text="Here it is.")
    try:
        await accept_outbound(process, app.tenant.tenant_id, request)
    except PostbraidError as err:
        return type(err).__name__
    return "accepted"


async def send_all(process: Services, app: App, workers: int) -> None:
    """So many workers of that process take the sends from the queue until there are none."""

    async def go_on() -> None:
        while taken := await app.queues.receive(keys.OUTBOX, 1):
            job = decode_job(TaskMessage, taken[0].text)
            await do_task(process, MailboxRef(job.tenant_id, job.mailbox_id), job.task)
            await app.queues.delete(keys.OUTBOX, taken[0])

    await asyncio.gather(*(go_on() for _ in range(workers)))


async def test_two_hundred_sends_at_once_in_one_process(begun: App) -> None:
    """All are accepted, each leaves with its first draft, and the CRM is told of each once."""
    drafts = begun.mail.calls.count("create_draft")
    process = a_process(begun)
    with bootstrap.replaced(process), interleaved(begun, 1):
        sends = (begun.v1("POST", "messages", json=send_body(f"m-{number}")) for number in range(2, 202))
        answers = await asyncio.gather(*sends)
        assert Counter(answer.status for answer in answers) == {202: 200}
        await work(begun, 24)
    assert begun.mail.calls.count("create_draft") - drafts == 200
    with bootstrap.replaced(process):
        await begun.later(minutes=3)
    assert Counter(begun.crm.types())["message.sent"] == 201


async def test_sends_at_once_in_several_processes(begun: App) -> None:
    """Processes know nothing of each other: who loses waits longer each time, and all get through."""
    processes = [a_process(begun) for _ in range(6)]
    with interleaved(begun, 2):
        answers = await asyncio.gather(
            *(accept(processes[number % 6], begun, f"m-{number}") for number in range(2, 122))
        )
        assert Counter(answers) == {"accepted": 120}
        drafts = begun.mail.calls.count("create_draft")
        await asyncio.gather(*(send_all(process, begun, 8) for process in processes))
    assert begun.mail.calls.count("create_draft") - drafts == 120
    assert len(begun.mail.sent) == 121


@pytest.mark.parametrize("count", [1, 24])
async def test_a_disconnect_wins_over_writers_that_never_stop(begun: App, count: int) -> None:
    """24 writers, in one process or in as many: the first request closes, and then nothing passes (R5)."""
    processes = [a_process(begun) for _ in range(count)]
    closed: list[bool] = []
    refused_after: list[bool] = []

    async def writes(number: int) -> None:
        for attempt in range(100_000):
            answer = await accept(processes[number % count], begun, f"m-{number}-{attempt}")
            if answer != "accepted":
                assert answer == NoActiveConnection.__name__
                refused_after.append(bool(closed))
                return

    async def ends() -> None:
        await _while_others_work(0.5)
        await disconnect(processes[0], begun.tenant.tenant_id, "u_ann")
        closed.append(True)

    with interleaved(begun, 3) as commits:
        await asyncio.gather(ends(), *(writes(number) for number in range(24)))
    own = [rows for partition, *rows in commits if partition == keys.mailbox_partition(mailbox_of(begun))]
    closing = next(place for place, rows in enumerate(own) if any("|close|" in row for row in rows))
    accepted = [any(row.startswith("out:") for row in rows) for rows in own]
    assert any(accepted[:closing])
    assert not any(accepted[closing:])


# ---- turns themselves


async def _in_turn(turn: Turn, done: list[str], name: str, *, urgent: bool = False) -> None:
    number = await turn.take(urgent=urgent)
    done.append(name)
    await asyncio.sleep(0)
    turn.give_back(number)


async def test_turns_come_in_their_order_and_urgent_ones_first() -> None:
    """Whoever waits longest is next, but for who closes the mailbox."""
    turn, done = Turn(), list[str]()
    held = await turn.take()
    waiting = [asyncio.create_task(_in_turn(turn, done, name)) for name in "ab"]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(_in_turn(turn, done, "urgent", urgent=True)))
    await asyncio.sleep(0)
    turn.give_back(held)
    await asyncio.gather(*waiting)
    assert done == ["urgent", "a", "b"]


async def test_a_turn_that_never_comes_is_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn is a courtesy: whoever has waited long enough writes without it, and gives back what is not his."""
    monkeypatch.setattr("shared.turns.LONGEST_WAIT_SECONDS", 0.0)
    turn = Turn()
    held = await asyncio.create_task(turn.take())
    assert await turn.take() == 0
    turn.give_back(0)
    assert await turn.take() == 0
    turn.give_back(held)
    assert await turn.take() > 0


async def _cancelled_while_waiting(turn: Turn, after: Callable[[], None]) -> None:
    waits = asyncio.create_task(turn.take())
    await asyncio.sleep(0)
    after()
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


@pytest.mark.parametrize("called", [False, True])
async def test_who_is_cancelled_while_waiting_holds_nobody_up(*, called: bool) -> None:
    """Before the turn has come to him or just after: the next one has it."""
    turn, done = Turn(), list[str]()
    held = await asyncio.create_task(turn.take())
    await _cancelled_while_waiting(turn, lambda: turn.give_back(held) if called else None)
    turn.give_back(held)
    await asyncio.wait_for(_in_turn(turn, done, "next"), 1)
    assert done == ["next"]


async def test_who_is_called_just_when_his_time_is_over_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The turn that comes in the very moment in which its wait ends goes to the next one, and is not lost."""
    turn, done = Turn(), list[str]()
    held = await asyncio.create_task(turn.take())
    monkeypatch.setattr("shared.turns.LONGEST_WAIT_SECONDS", 0.0)
    waits = asyncio.create_task(turn.take())
    await asyncio.sleep(0)
    turn.give_back(held)
    assert await waits == 0
    monkeypatch.undo()
    await asyncio.wait_for(_in_turn(turn, done, "next"), 1)
    assert done == ["next"]


async def test_the_turns_of_mailboxes_are_apart() -> None:
    """Jobs of one mailbox share a turn, those of another have their own; none is kept behind them."""
    turns = Turns()
    turn, same, other = (
        turns.of(MAILBOX),
        turns.of(MAILBOX),
        turns.of(replace(MAILBOX, mailbox_id="mbx_other")),
    )
    assert turn is same
    assert turn is not other
    turn.commits = 5
    del turn, same
    assert turns.of(MAILBOX).commits == 0


async def test_a_body_that_raises_gives_its_turn_back(begun: App) -> None:
    """The loop is not told that it was left; the next writer has the turn at once nevertheless."""
    process = a_process(begun)

    async def fails() -> None:
        async for _ in change(MailboxContext(process, mailbox_of(begun))):
            raise ZeroDivisionError

    async def passes() -> bool:
        changing = change(MailboxContext(process, mailbox_of(begun)))
        async for _ in changing:
            pass
        return changing.committed

    acts: list[Callable[[], Awaitable[object]]] = [fails, passes]
    ends = await asyncio.wait_for(asyncio.gather(*(act() for act in acts), return_exceptions=True), 1)
    assert isinstance(ends[0], ZeroDivisionError)
    assert ends[1] is True
