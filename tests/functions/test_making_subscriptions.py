"""A subscription is made while another stands, while a neighbour makes one too, or while Graph makes none (E-27)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.errors import (
    Ambiguous,
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
async def test_a_slow_maker_leaves_its_neighbours_alone(
    begun: App, monkeypatch: pytest.MonkeyPatch, when: str, seconds: int
) -> None:
    """It finds that another took over, removes its own only, and goes on with the other's."""
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
    """Three late sweeps ask for another; Graph makes none, and the old one goes on bringing what it can."""
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
async def test_a_spare_that_cannot_be_removed_holds_up_nothing(begun: App, error: Exception) -> None:
    """The subscription stands and the gap is swept."""
    reply(begun)
    begun.mail.next["subscriptions"] = [error]
    await lifecycle(begun, "subscriptionRemoved")
    await begun.later(minutes=2)
    assert (await mailbox_now(begun)).subscription is SubscriptionState.ACTIVE
    assert begun.crm.types().count("message.received") == 1


@pytest.mark.parametrize("error", CANNOT)
async def test_a_later_send_does_not_wait_for_the_subscription(begun: App, error: type[Exception]) -> None:
    """Sweeps find the answers; the subscription is made as soon as Graph makes one (R2)."""
    begun.clock.forward(days=8)
    begun.mail.next["subscribe"] = [error() for _ in range(3)]
    await begun.accepted("m-2")
    await begun.pump("outbox")
    assert len(begun.mail.sent) == 2
    reply(begun)
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 1
    assert (await mailbox_now(begun)).subscription is SubscriptionState.ACTIVE


@pytest.mark.parametrize("error", CANNOT)
async def test_the_first_send_waits_for_the_subscription(ready: App, error: type[Exception]) -> None:
    """Nothing would find an answer before (R2)."""
    ready.mail.next["subscribe"] = [error()]
    await ready.accepted()
    await ready.pump()
    assert ready.mail.sent == {}
    await ready.later(minutes=5)
    assert len(ready.mail.sent) == 1


async def test_a_failing_store_is_no_failing_subscription(begun: App) -> None:
    """The queue brings the send again."""
    begun.clock.forward(days=8)
    begun.mail.next["subscribe"] = [StoreUnavailable()]
    await begun.accepted("m-2")
    with pytest.raises(StoreUnavailable):
        await begun.pump("outbox")
    assert len(begun.mail.sent) == 1


async def test_care_that_is_asked_for_leaves_a_sweep_under_way_its_lease(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two would read the same mail at once."""
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
