"""Subscriptions and what they bring."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain import errors
from shared.domain.model import Address, DraftContent, Subscription
from shared.graph.provider import GraphMail
from tests.builders import KEY
from tests.contract.graph.conftest import BEA, HOOK, STATE, Office, SignedIn


async def subscribe(
    office: Office,
    mail: GraphMail,
    ann: SignedIn,
    *,
    filtered: bool = False,
    state: str = STATE,
    url: str = HOOK,
) -> Subscription:
    return await mail.subscribe(
        ann, notification_url=url, lifecycle_url=url, client_state=state,
        expires_at=office.clock.now() + timedelta(minutes=10_000), filtered=filtered,
    )  # fmt: skip


async def test_a_refused_filter(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A subscription whose filter Graph refuses says so, and is made without it."""
    with pytest.raises(errors.MessageRefused) as caught:
        await subscribe(office, mail, ann, filtered=True)
    assert caught.value.reason == "filter_refused"
    granted = await subscribe(office, mail, ann)
    assert granted.expires_at == office.clock.now() + timedelta(minutes=10_000)
    assert [subscription.subscription_id for subscription in await mail.subscriptions(ann)] == [
        granted.subscription_id
    ]


async def test_a_filter_keeps_drafts_away(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """With the filter received mail is notified under its immutable id, and a draft is not."""
    await office.knobs(subscription_is_draft_filter="accepted", notification_duplicates="never")
    await subscribe(office, mail, ann, filtered=True)
    await mail.create_draft(ann, DraftContent(KEY, (Address(BEA),), (), (), "s", "<p>x</p>"))
    graph_id = await office.arrives()
    await office.pass_time()
    found = office.receiver.read()
    assert found.dropped == ()
    assert [hint.graph_message_id for hint in found.hints] == [graph_id]
    assert (await mail.outline(ann, graph_id)).graph_message_id == graph_id


@pytest.mark.parametrize("style", ["pascal", "lower", "parenthesised"])
async def test_notifications_in_every_spelling(
    office: Office, mail: GraphMail, ann: SignedIn, style: str
) -> None:
    """However Graph spells a notification, it names mail, subscription, mailbox and generation."""
    await office.knobs(notification_path_style=style)
    granted = await subscribe(office, mail, ann)
    graph_id = await office.arrives()
    await office.pass_time()
    hints = {created for created in office.receiver.read().hints if created.change_type == "created"}
    (hint,) = hints
    assert (hint.graph_message_id, hint.subscription_id) == (graph_id, granted.subscription_id)
    assert (hint.mailbox_key, hint.generation) == ("key", 1)


async def test_lifecycle_notifications(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """All three lifecycle events are read, and a removed subscription cannot be renewed."""
    granted = await subscribe(office, mail, ann)
    for event in ("missed", "reauthorizationRequired", "subscriptionRemoved"):
        await office.control("POST", f"subscriptions/{granted.subscription_id}/lifecycle", {"event": event})
    await office.pass_time()
    events = {hint.lifecycle_event for hint in office.receiver.read().hints}
    assert events >= {"missed", "reauthorizationRequired", "subscriptionRemoved"}
    with pytest.raises(errors.SubscriptionGone):
        await mail.renew(ann, granted.subscription_id, office.clock.now() + timedelta(days=6))


async def test_renewing_extends(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A renewal returns the expiry that Graph granted."""
    granted = await subscribe(office, mail, ann)
    office.clock.advance(86_400)
    later = office.clock.now() + timedelta(days=6)
    assert (await mail.renew(ann, granted.subscription_id, later)).expires_at == later


async def test_an_expired_one_is_gone(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Renewing an expired subscription says that it is gone, and removing it is no error."""
    granted = await subscribe(office, mail, ann)
    await office.pass_time(8 * 86_400)
    with pytest.raises(errors.SubscriptionGone):
        await mail.renew(ann, granted.subscription_id, office.clock.now() + timedelta(days=6))
    await mail.unsubscribe(ann, granted.subscription_id)


async def test_removed(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A removed subscription brings no more notifications."""
    granted = await subscribe(office, mail, ann)
    await mail.unsubscribe(ann, granted.subscription_id)
    await office.arrives()
    assert office.receiver.bodies == []


async def test_a_lost_answer_makes_no_second_one(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A subscription whose creation was not answered is adopted by the next try."""
    await office.fault("subscription.create", "drop_after")
    with pytest.raises(errors.Ambiguous):
        await subscribe(office, mail, ann)
    granted = await subscribe(office, mail, ann)
    assert [subscription.subscription_id for subscription in await mail.subscriptions(ann)] == [
        granted.subscription_id
    ]


async def test_another_generation_takes_over(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A subscription of an earlier generation is replaced by one of the present."""
    old = await subscribe(office, mail, ann, state="ours.0")
    new = await subscribe(office, mail, ann)
    assert new.subscription_id != old.subscription_id
    assert [
        (subscription.subscription_id, subscription.client_state)
        for subscription in await mail.subscriptions(ann)
    ] == [(new.subscription_id, STATE)]
    await office.arrives()
    await office.pass_time()
    assert office.receiver.read().dropped == ()
    assert office.receiver.read().hints != ()


async def test_another_deployment_is_left_alone(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A subscription that notifies another host stays, and ours waits."""
    await subscribe(office, mail, ann, url="https://staging.example/n")
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(office, mail, ann)
    assert len(await mail.subscriptions(ann)) == 1


async def test_an_unreachable_address_is_no_refusal(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """When Graph cannot reach our address the subscription waits, and its filter is not given up."""
    await office.knobs(subscription_is_draft_filter="accepted")
    granted = await subscribe(office, mail, ann)
    office.receiver.reachable = False
    with pytest.raises((errors.Ambiguous, errors.ProviderUnavailable)):
        await subscribe(office, mail, ann, filtered=True)
    with pytest.raises(errors.ProviderUnavailable):
        await mail.renew(ann, granted.subscription_id, office.clock.now() + timedelta(days=6))


async def test_a_full_quota_waits(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A 403 for the mailbox's quota of subscriptions is an outage, not a dead consent."""
    await office.fault("subscription.create", "status", status=403, code="Forbidden")
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(office, mail, ann)
