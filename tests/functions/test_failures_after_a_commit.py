"""What fails after a change was written, or between two changes: what was written stands, and the rest comes soon."""

from __future__ import annotations

import pytest

from shared.domain.errors import GrantDead, SealBroken, StoreUnavailable
from shared.domain.model import ChangeHint, Right
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.state.tenants import Tenants
from shared.storage.testing.calls import Call
from shared.sync.inbound.receive_change import receive_change
from shared.sync.mailbox.subscriptions import recreate_subscription
from tests.functions.app import App
from tests.functions.test_connection_truth import status
from tests.functions.test_making_subscriptions import mailbox


async def no_secrets(*_: object) -> list[bytes]:
    raise SealBroken


async def test_a_status_that_cannot_be_delivered_stays_inside_do_task(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery of `reconnect_required` fails in a way of ours, while the failure of a send is being noted."""
    monkeypatch.setattr(Tenants, "signing_secrets", no_secrets)
    begun.mail.next["create_draft"] = [GrantDead(denied=Right.WRITE) for _ in range(100)]
    await begun.accepted("m-2")
    await begun.later(minutes=3)
    begun.mail.next["create_draft"] = []
    assert await status(begun) == "reconnect_required"


async def test_a_status_that_cannot_be_delivered_stays_inside_receive_change(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same while a notification is worked through: the other hints of its message wait for a repetition."""
    monkeypatch.setattr(Tenants, "signing_secrets", no_secrets)
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.next["outline"] = [GrantDead(denied=Right.READ)]
    hint = ChangeHint(keys.mailbox_key(mailbox(begun)), 1, "sub-1", number)
    assert await receive_change(begun.services, hint) == "failed"


async def test_a_send_that_waited_leaves_soon_though_its_build_was_interrupted(begun: App) -> None:
    """After a repair the waiting send is taken up, and the store fails while it is built."""
    begun.mail.next["create_draft"] = [GrantDead(denied=Right.WRITE) for _ in range(100)]
    await begun.accepted("m-2")
    await begun.later(minutes=3)
    begun.mail.next["create_draft"] = []
    assert await status(begun) == "reconnect_required"
    begun.clock.forward(minutes=5)
    await begun.connect()
    begun.mail.next["create_draft"] = [StoreUnavailable()]
    for _ in range(30):
        try:
            await begun.later(minutes=1)
        except StoreUnavailable:
            continue
    assert len(begun.mail.sent) == 2


async def test_a_gap_is_swept_though_the_worker_died_after_making_the_subscription(begun: App) -> None:
    """The new subscription is recorded, and the store fails for the next write, a line of its trail."""
    failed: list[Call] = []

    def before(call: Call) -> None:
        if call.writes and call.place[0] == keys.SUBSCRIPTIONS and not failed:
            failed.append(call)
            raise StoreUnavailable

    begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.tables.before = before
    with pytest.raises(StoreUnavailable):
        await recreate_subscription(MailboxContext(begun.services, mailbox(begun)))
    assert failed
    await begun.pump()
    assert begun.crm.types().count("message.received") == 1
