"""A mail over which every worker dies: held after five deaths and passed by, and nobody else waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.held import MOST_DEATHS
from shared.domain.model import Seen
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.state import keys
from shared.sync.operators.asked_looks import find_held
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeCrm
from tests.functions.host import QueueJob, workers
from tests.functions.test_audits import completeness, missed
from tests.functions.test_send_ends import mailbox_of

HIDDEN_SECONDS = 600
"""For so long the host hides a message whose worker it has lost (Azure WebJobs SDK, `QueueProcessor`)."""


class Died(BaseException):
    """The process is gone; nothing of ours runs any more."""


class Deadly:
    """Makes every read of certain mails end the process."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app, self.mails, self.deaths = app, set[str](), 0
        right = FakeMail.fetch

        async def fetch(mail: FakeMail, access: Access, graph_message_id: str) -> object:
            if graph_message_id in self.mails:
                self.deaths += 1
                raise Died
            return await right(mail, access, graph_message_id)

        monkeypatch.setattr(FakeMail, "fetch", fetch)

    async def pass_time(self, minutes: int) -> int:
        """Minutes of timers and of workers under the host's rules; returns how many workers died."""
        before = self.deaths
        for _ in range(minutes):
            self.app.clock.forward(minutes=1)
            await self.app.tick()
            if self.app.clock.now().minute % 15 == 0:
                await self.app.tick("renew_subscriptions")
            for queue in keys.QUEUES:
                await self._work(queue)
        return self.deaths - before

    async def _work(self, queue: str) -> None:
        while messages := await self.app.queues.receive(queue, 32, HIDDEN_SECONDS):
            for message in messages:
                if message.dequeue_count > MOST_DEATHS:
                    await self.app.queues.put(f"{queue}-poison", message.text)
                else:
                    try:
                        await workers()[queue](msg=QueueJob(message))
                    except Died:
                        continue
                await self.app.queues.delete(queue, message)


@pytest.fixture
def deadly(begun: App, monkeypatch: pytest.MonkeyPatch) -> Deadly:
    return Deadly(begun, monkeypatch)


def reply(app: App) -> str:
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


def received(app: App) -> int:
    return app.crm.types().count("message.received")


async def test_a_mail_that_kills_is_held_and_kills_once_a_day(begun: App, deadly: Deadly) -> None:
    """Hint and sweeps die over a mail some times; then it is held, shown to operators, and looked at once a day."""
    bad = reply(begun)
    deadly.mails.add(bad)
    assert (await begun.notify(bad)).status == 202
    assert await deadly.pass_time(180) <= 3 * MOST_DEATHS
    stored = await MailboxContext(begun.services, mailbox_of(begun)).find(Seen, bad)
    assert stored is not None
    assert stored.value.held is not None
    assert stored.value.held.deaths >= MOST_DEATHS
    held = await find_held(begun.services, begun.tenant.tenant_id)
    assert [mail.seen.value.graph_message_id for mail in held] == [bad]
    assert await deadly.pass_time(24 * 60) <= 3
    assert received(begun) == 0


async def test_a_sweep_gets_past_a_mail_that_kills(begun: App, deadly: Deadly) -> None:
    """A sweep dies five times at a mail that no hint named, then passes it: what lies behind it comes in."""
    bad = reply(begun)
    deadly.mails.add(bad)
    begun.clock.forward(seconds=5)
    reply(begun)
    assert await deadly.pass_time(120) <= MOST_DEATHS + 2
    assert received(begun) == 1


async def test_a_mail_that_kills_no_more_comes_in(begun: App, deadly: Deadly) -> None:
    """When the fault is mended the held mail comes in by its daily look, and counts no deaths any more."""
    bad = reply(begun)
    deadly.mails.add(bad)
    await begun.notify(bad)
    await deadly.pass_time(180)
    deadly.mails.clear()
    begun.clock.forward(hours=20)
    await deadly.pass_time(300)
    assert received(begun) == 1
    assert await find_held(begun.services, begun.tenant.tenant_id) == []


async def test_hints_beside_the_one_that_kills_are_worked_on(begun: App, deadly: Deadly) -> None:
    """Of several hints in a message one kills: the others come in when the message comes again, each on its own."""
    bad, good = reply(begun), reply(begun)
    deadly.mails.add(bad)
    await begun.notify(bad, good)
    await deadly.pass_time(12)
    assert received(begun) == 1


async def test_a_death_by_chance_holds_nobody(begun: App, deadly: Deadly) -> None:
    """A worker that dies once, as in a deployment, costs its mail a quarter of an hour at most."""
    bad = reply(begun)
    deadly.mails.add(bad)
    await begun.notify(bad)
    await deadly.pass_time(1)
    deadly.mails.clear()
    await deadly.pass_time(15)
    assert received(begun) == 1
    assert await find_held(begun.services, begun.tenant.tenant_id) == []


async def test_an_audit_gets_past_a_mail_that_kills(begun: App, deadly: Deadly) -> None:
    """A mail that only the audit comes upon is held after some deaths like any other, and the audit ends."""
    await begun.later(minutes=20)
    bad = missed(begun)
    deadly.mails.add(bad)
    audited = await MailboxContext(begun.services, mailbox_of(begun)).read()
    assert audited is not None
    assert audited.audit_at is not None
    hours = (audited.audit_at - begun.clock.now()) / timedelta(hours=1)
    begun.clock.forward(hours=max(hours, 1))
    assert 0 < await deadly.pass_time(12 * 60) <= 30
    held = await find_held(begun.services, begun.tenant.tenant_id)
    assert [mail.seen.value.graph_message_id for mail in held] == [bad]
    assert (await completeness(begun) or {})["found_late"] == 0


async def test_an_event_that_kills_is_put_off_and_given_up(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event over which workers die is no work for ever: operators see it, and it can be replayed."""
    deadly = Deadly(begun, monkeypatch)

    async def deliver(*_: object, **__: object) -> None:
        deadly.deaths += 1
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(FakeCrm, "deliver", deliver)
        reply(begun)
        assert 0 < await deadly.pass_time(4 * 60) <= 80
        assert await deadly.pass_time(60) == 0
    (kept,) = [kept async for kept in begun.services.dead_letters.all()]
    assert (kept.letter.work, kept.letter.cause) == ("deliver", "given_up:WorkersDied")
    await begun.v1("POST", f"dead-letters/{kept.letter_id}/replay")
    await begun.pump()
    assert received(begun) == 1
