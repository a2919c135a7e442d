"""A send that is not finished is known, however much other work a mailbox has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.model import Address, Task, TaskKind
from shared.state.ledger import new
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.test_send_ends import mailbox_of


async def busy(app: App, deliveries: int) -> None:
    """Add that many events that wait for a CRM that is down."""
    for number in range(deliveries):
        task = Task(app.clock.now(), TaskKind.DELIVER, f"20260101T000000.000000Z|evt_{number}")
        await app.services.ledger.write(mailbox_of(app), new(task))


@pytest.mark.parametrize("deliveries", [0, 120])
async def test_a_copy_without_our_key_is_known_behind_any_amount_of_work(begun: App, deliveries: int) -> None:
    """A sent copy that kept nothing but its id confirms its send once, however much other work the mailbox has."""
    await begun.accepted("m-2")
    await begun.pump("outbox")
    number = list(begun.mail.sent)[-1]
    copy = replace(begun.mail.sent_outline(number), key=None, internet_message_id="<other@northwind.example>")
    del begun.mail.sent[number]
    shown = begun.mail.mails.pop(begun.mail.receive(ANN_ADDRESS, to=(Address(BEA_ADDRESS),)))
    begun.mail.mails[number] = replace(shown, outline=copy)
    await busy(begun, deliveries)
    await begun.arrives(number)
    assert begun.crm.types() == ["connection.connected", "message.sent", "message.sent"]
    assert begun.crm.last["origin"] == "crm"
