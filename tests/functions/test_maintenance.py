"""What keeps a mailbox in step: lifecycle notifications, renewals, sweeps, timers and what they leave to others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

from shared.domain.errors import (
    GrantDead,
    MalformedBody,
    ProviderUnavailable,
    SubscriptionGone,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import Task, TaskKind
from shared.state import keys
from shared.sync.queueing.jobs import TaskMessage, encode_job
from tests.builders import MAILBOX, NOW
from tests.functions.app import BEA_ADDRESS, WEBHOOK_SECRET, App, send_body
from tests.functions.host import workers

MAINTENANCE = ("renew", "subscribe", "sweep")


def reply(app: App) -> str:
    """Bea answers the newest send, and Graph notifies nobody."""
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


async def lifecycle(app: App, event: str, **changes: Any) -> list[str]:
    """Graph sends that lifecycle event and the workers work; returns the maintenance calls that came of it."""
    item = {
        "subscriptionId": f"sub-{len(app.mail.client_states)}",
        "clientState": app.mail.client_states[-1],
        "lifecycleEvent": event,
        "tenantId": "t",
        **changes,
    }
    before = len(app.mail.calls)
    path = f"/graph/lifecycle/{WEBHOOK_SECRET}"
    assert (await app.call("POST", path, json={"value": [item]})).status == 202
    await app.pump()
    return [call for call in app.mail.calls[before:] if call in MAINTENANCE]


# ---- lifecycle notifications


async def test_a_demand_to_reauthorise_is_one_patch(begun: App) -> None:
    """`reauthorizationRequired` is answered with one renewal, which extends the subscription as well (E-27)."""
    assert await lifecycle(begun, "reauthorizationRequired") == ["renew"]


async def test_a_removed_subscription_is_made_anew_and_its_gap_swept(begun: App) -> None:
    """After `subscriptionRemoved` a new subscription is made and the gap swept.

    Later mail is notified by the new one.
    """
    reply(begun)
    assert await lifecycle(begun, "subscriptionRemoved") == ["subscribe", "sweep", "sweep", "sweep"]
    assert begun.crm.types().count("message.received") == 1
    number = reply(begun)
    await begun.arrives(number)
    assert begun.crm.types().count("message.received") == 2


async def test_missed_notifications_are_swept(begun: App) -> None:
    """After a `missed` notification the mailbox is swept at once."""
    reply(begun)
    assert await lifecycle(begun, "missed") == ["sweep", "sweep", "sweep"]
    assert begun.crm.types().count("message.received") == 1


NOT_OURS: dict[str, dict[str, Any]] = {
    "a subscription of before": {"subscriptionId": "sub-0"},
    "an unknown event": {"lifecycleEvent": "tomorrow"},
}


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
@pytest.mark.parametrize("changes", NOT_OURS.values(), ids=NOT_OURS)
async def test_what_is_not_ours_costs_nothing(begun: App, event: str, changes: dict[str, Any]) -> None:
    """A lifecycle notification of an earlier subscription, or an unknown one, causes no call to Graph."""
    assert await lifecycle(begun, event, **changes) == []


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
async def test_another_generation_or_mailbox_costs_nothing(begun: App, event: str) -> None:
    """A lifecycle notification with a valid clientState of another generation or mailbox causes no call to Graph."""
    mailbox = begun.mail.client_states[-1].split(".")[1]
    for name, generation in ((mailbox, 2), ("nobody-here", 1), ("nonsense", 1)):
        state = begun.services.client_states.mint(name, generation, "nonce")
        assert await lifecycle(begun, event, clientState=state) == []


TROUBLE = [Throttled(600), ProviderUnavailable(), UpstreamSurprise(), GrantDead()]
EVENTS = [("reauthorizationRequired", "renew"), ("subscriptionRemoved", "subscribe"), ("missed", "sweep")]


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("event", "step"), EVENTS)
async def test_maintenance_that_fails_is_done_later(
    begun: App, event: str, step: str, error: Exception
) -> None:
    """Maintenance that fails is done later from its task row, and a pause is kept meanwhile (E-1, E-28)."""
    number = reply(begun)
    begun.mail.next[step] = [error]
    begun.mail.gone |= {"sub-1"} if event == "subscriptionRemoved" else set()
    await lifecycle(begun, event)
    before = len(begun.mail.calls)
    await begun.later(minutes=9)
    if isinstance(error, Throttled):
        assert begun.mail.calls[before:] == []
    elif not isinstance(error, GrantDead):
        assert begun.crm.types().count("message.received") == 1
    await begun.later(hours=25 if isinstance(error, GrantDead) else 1)
    assert step in begun.mail.calls[before:]
    assert begun.crm.types().count("message.received") == 1
    assert number in begun.mail.mails


# ---- renewals


async def test_a_subscription_is_renewed_before_it_ends(begun: App) -> None:
    """The timer renews a subscription once, 17 to 24 hours before its end.

    The next renewal follows what Graph granted.
    """
    begun.clock.forward(days=5, hours=22)
    await begun.later(hours=10)
    assert begun.mail.calls.count("renew") == 1
    begun.clock.forward(days=5, hours=15)
    await begun.later(hours=15)
    assert begun.mail.calls.count("renew") == 2
    assert begun.mail.calls.count("subscribe") == 1


async def test_a_subscription_that_is_gone_is_made_anew(begun: App) -> None:
    """When a renewal finds that the subscription is gone, a new one is made and the gap is swept."""
    begun.clock.forward(days=5, hours=22)
    begun.mail.next["renew"] = [SubscriptionGone()]
    reply(begun)
    await begun.later(hours=8)
    assert begun.mail.calls.count("subscribe") == 2
    assert begun.crm.types().count("message.received") == 1


async def test_a_renewal_that_fails_is_tried_again(begun: App) -> None:
    """A renewal that fails three times is tried again until it succeeds, before the subscription ends."""
    begun.clock.forward(days=5, hours=22)
    begun.mail.next["renew"] = [ProviderUnavailable() for _ in range(3)]
    await begun.later(hours=9)
    assert begun.mail.calls.count("renew") == 4


async def test_an_expired_subscription_is_found_by_the_sweep(begun: App) -> None:
    """An expired subscription is replaced by the sweep although no renewal timer ran for ten days."""
    begun.clock.forward(days=10)
    await begun.tick()
    await begun.pump()
    assert begun.mail.calls.count("subscribe") == 2


async def test_notifications_that_keep_failing_are_noticed(begun: App) -> None:
    """When three sweeps in a row find mail that nobody notified, the subscription is made anew."""
    for _ in range(3):
        reply(begun)
        await begun.later(minutes=16)
    assert begun.crm.types().count("message.received") == 3
    assert begun.mail.calls.count("subscribe") == 2


# ---- sweeps


async def test_sweeps_of_a_busy_and_of_a_quiet_mailbox(begun: App) -> None:
    """A mailbox with recent mail is swept every quarter of an hour, one that was quiet for a week four times a day."""
    await begun.later(hours=6)
    busy = begun.mail.calls.count("sweep")
    begun.clock.forward(days=8)
    await begun.tick()
    await begun.pump()
    before = begun.mail.calls.count("sweep")
    await begun.later(hours=24)
    assert 20 <= busy <= 26
    assert 3 <= begun.mail.calls.count("sweep") - before <= 5


# ---- timers


async def test_missed_ticks_are_read_later(begun: App) -> None:
    """After three days without a timer the first tick finds all the work that fell due meanwhile."""
    reply(begun)
    begun.clock.forward(days=3)
    await begun.tick(past_due=True)
    await begun.pump()
    assert begun.crm.types().count("message.received") == 1


async def test_a_tick_without_work_enqueues_nothing(ready: App) -> None:
    """A tick of either timer enqueues nothing while no mailbox has a thread."""
    for name in ("enqueue_due_work", "renew_subscriptions"):
        await ready.tick(name)
    assert await ready.pump() == 0


async def test_lost_job_messages_are_enqueued_again(begun: App) -> None:
    """When the queues lose every job message, the timer enqueues the work again from its rows (E-1)."""
    assert (await begun.v1("POST", "messages", json=send_body("m-2"))).status == 202
    for _ in range(30):
        for queue in keys.QUEUES:
            for message in await begun.queues.receive(queue, 32):
                await begun.queues.delete(queue, message)
        begun.clock.forward(minutes=1)
        await begun.tick()
    await begun.later(minutes=8)
    assert begun.mail.calls.count("send") == 2


@pytest.mark.parametrize("queue", keys.QUEUES)
async def test_poison_is_kept_as_a_dead_letter(app: App, queue: str) -> None:
    """Messages in a poison queue are moved to dead letters with queue and payload, each once (E-29)."""
    for payload in ("one", "two", "not base64 \u2603"):
        await app.queues.put(f"{queue}-poison", payload)
    await app.tick()
    assert await app.queues.count(f"{queue}-poison") == 0
    letters = app.services.dead_letters
    kept = [kept async for kept in letters.all() if kept.letter.queue == queue]
    assert sorted([(await letters.payload_of(each))[:3] for each in kept]) == ["not", "one", "two"]
    await app.tick()
    assert len([each async for each in letters.all()]) == 3


# ---- workers and what is no job


@pytest.mark.parametrize("queue", keys.QUEUES)
@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", "nonsense", '{"v":1}', '{"v":1,"job":{}}', '{"v":1,"job":{"hints":7}}', "\u2603"],
)
async def test_what_is_no_job_is_left_to_the_poison_queue(app: App, queue: str, text: str) -> None:
    """A queue message that is no job fails its worker with MalformedBody, so it ends in the poison queue."""
    with pytest.raises(MalformedBody):
        await workers()[queue](msg=func.QueueMessage(id="1", body=text))


@pytest.mark.parametrize("kind", TaskKind)
async def test_a_job_for_nobody_does_nothing(begun: App, kind: TaskKind) -> None:
    """A job message for a mailbox or row that is not there causes no call to Graph and no event."""
    (mailbox_id,) = await begun.services.tenants.mailboxes(begun.tenant.tenant_id)
    before = len(begun.mail.calls)
    for tenant_id, name in ((MAILBOX.tenant_id, MAILBOX.mailbox_id), (begun.tenant.tenant_id, mailbox_id)):
        job = TaskMessage(tenant_id, name, Task(NOW - timedelta(days=1), kind, "unknown"))
        await workers()[keys.OUTBOX](msg=func.QueueMessage(id="1", body=encode_job(job)))
    assert begun.mail.calls[before:] == []
    assert begun.crm.types() == ["connection.connected", "message.sent"]
