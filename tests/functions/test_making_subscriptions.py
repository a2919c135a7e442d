"""A subscription is made while another stands, while another worker makes one, or while Graph makes none (E-27)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.errors import (
    Ambiguous,
    HandshakeFailed,
    ProviderUnavailable,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import MailboxRef, Subscription, SubscriptionState
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.subscriptions import plan_maintenance, recreate_subscription
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.test_connection_truth import mailbox_now
from tests.functions.test_maintenance import lifecycle, reply

CANNOT = [ProviderUnavailable, Ambiguous, UpstreamSurprise]


def mailbox(app: App) -> MailboxRef:
    return MailboxRef(app.tenant.tenant_id, ids.mailbox_id(app.tenant.tenant_id, "tid-1", "oid-ann"))


def context(app: App) -> MailboxContext:
    return MailboxContext(app.services, mailbox(app))


@pytest.mark.parametrize("when", ["before Graph makes it", "after Graph made it"])
@pytest.mark.parametrize("seconds", [61, 200])
async def test_a_slow_maker_leaves_another_workers_subscription_alone(
    begun: App, monkeypatch: pytest.MonkeyPatch, when: str, seconds: int
) -> None:
    """A worker that was overtaken while making a subscription removes its own and goes on with the other worker's."""
    right = FakeMail.subscribe
    slow = [True]

    async def subscribe(self: FakeMail, *args: Any, **more: Any) -> Subscription:
        if not slow:
            return await right(self, *args, **more)
        slow.clear()
        made = await right(self, *args, **more) if when.startswith("after") else None
        begun.clock.forward(seconds=seconds)
        await recreate_subscription(context(begun))
        return made or await right(self, *args, **more)

    monkeypatch.setattr(FakeMail, "subscribe", subscribe)
    gone_on = await recreate_subscription(context(begun))
    stored = await mailbox_now(begun)
    assert gone_on is not None
    assert gone_on.subscription_id == stored.subscription_id
    assert list(begun.mail.subscribed) == [stored.subscription_id]


async def test_the_old_one_stands_until_the_new_one_does(begun: App) -> None:
    """The old subscription stays and brings mail until Graph has made the new one."""
    begun.mail.next["subscribe"] = [ProviderUnavailable() for _ in range(1_000)]
    for _ in range(4):
        reply(begun)
        await begun.later(minutes=16)
    assert begun.mail.calls.count("subscribe") > 1
    assert list(begun.mail.subscribed) == ["sub-1"]
    await begun.arrives(reply(begun))
    assert begun.crm.types().count("message.received") == 5
    begun.mail.next["subscribe"] = []
    await begun.later(minutes=30)
    assert list(begun.mail.subscribed) == ["sub-2"]
    assert (await mailbox_now(begun)).subscription_id == "sub-2"


@pytest.mark.parametrize("error", [Throttled(30), ProviderUnavailable(), UpstreamSurprise()])
async def test_a_duplicate_that_cannot_be_removed_holds_up_nothing(begun: App, error: Exception) -> None:
    """When duplicates of a new subscription cannot be looked for, it is active all the same and the gap is swept."""
    reply(begun)
    begun.mail.next["subscriptions"] = [error]
    await lifecycle(begun, "subscriptionRemoved")
    await begun.later(minutes=2)
    assert (await mailbox_now(begun)).subscription is SubscriptionState.ACTIVE
    assert begun.crm.types().count("message.received") == 1


@pytest.mark.parametrize("error", CANNOT)
async def test_a_later_send_does_not_wait_for_the_subscription(begun: App, error: type[Exception]) -> None:
    """A send of a mailbox that has a thread leaves although no subscription can be made.

    Sweeps find the answers, and the subscription is made later (R2).
    """
    begun.clock.forward(days=8)
    begun.mail.next["subscribe"] = [error() for _ in range(3)]
    await begun.accepted("m-2")
    await begun.pump("outbox")
    assert len(begun.mail.sent) == 2
    reply(begun)
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 1
    assert (await mailbox_now(begun)).subscription is SubscriptionState.ACTIVE


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_failed_handshake_is_tried_again_within_seconds(ready: App, failures: int) -> None:
    """When Graph did not reach our address in time, the first send asks again at once and leaves (R2)."""
    ready.mail.next["subscribe"] = [HandshakeFailed() for _ in range(failures)]
    await ready.accepted()
    await ready.pump("outbox")
    assert ready.mail.calls.count("subscribe") == failures + 1
    assert len(ready.mail.sent) == 1
    assert (await mailbox_now(ready)).subscription_filtered


async def test_an_address_that_is_never_reached_keeps_the_filter(ready: App) -> None:
    """When no handshake succeeds, the send waits, and later the subscription is made with its filter."""
    ready.mail.next["subscribe"] = [HandshakeFailed() for _ in range(3)]
    await ready.accepted()
    await ready.pump("outbox")
    assert not ready.mail.sent
    await ready.later(minutes=1)
    assert len(ready.mail.sent) == 1
    assert (await mailbox_now(ready)).subscription_filtered


@pytest.mark.parametrize("error", CANNOT)
async def test_the_first_send_waits_for_the_subscription(ready: App, error: type[Exception]) -> None:
    """The first send of a mailbox waits until its subscription is made (R2)."""
    ready.mail.next["subscribe"] = [error()]
    await ready.accepted()
    await ready.pump()
    assert ready.mail.sent == {}
    await ready.later(minutes=5)
    assert len(ready.mail.sent) == 1


async def test_a_failing_store_is_no_failing_subscription(begun: App) -> None:
    """A storage failure while making a subscription ends the job, which the queue brings again, and nothing is sent."""
    begun.clock.forward(days=8)
    begun.mail.next["subscribe"] = [StoreUnavailable()]
    await begun.accepted("m-2")
    await begun.pump("outbox")  # what met the failing store is put back into its queue
    assert len(begun.mail.sent) == 1


async def test_planned_maintenance_leaves_a_sweep_under_way_its_lease(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maintenance that is planned during a sweep leaves its lease as it is, so that no second sweep runs."""
    right = FakeMail.sweep
    leases = []

    async def sweep(self: FakeMail, *args: Any, **more: Any) -> Any:
        leases.append((await mailbox_now(begun)).sweep_leased_until)
        await plan_maintenance(context(begun), timedelta())
        leases.append((await mailbox_now(begun)).sweep_leased_until)
        return await right(self, *args, **more)

    monkeypatch.setattr(FakeMail, "sweep", sweep)
    await begun.later(minutes=16)
    assert leases[0] is not None
    assert leases[0] == leases[1]
