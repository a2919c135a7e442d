"""Mail that comes late: what answers it was taken for foreign before, and is looked at again once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import ItemUnreadable, ProviderUnavailable, RowChanged, Throttled
from shared.domain.model import Address
from shared.state import keys
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App

CONVERSATION = "conv-with-bea"


def reply(app: App, **tags: Any) -> str:
    """Bea answers the newest send, and Graph notifies nobody."""
    tags = {"conversation_id": CONVERSATION, **tags}
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id, tags=tags)


def own_answer(app: App, **tags: Any) -> str:
    """Ann answers Bea in Outlook: in Sent Items nothing but the conversation and people tell."""
    tags = {"conversation_id": CONVERSATION, **tags}
    return app.mail.receive(ANN_ADDRESS, tags=tags, to=(Address(BEA_ADDRESS),))


def told(app: App) -> list[str]:
    return sorted(kind for kind in app.crm.types() if kind.startswith("message."))


ALL_TOLD = ["message.received", "message.sent", "message.sent"]


async def test_an_answer_that_was_judged_before_what_it_answers(begun: App) -> None:
    """The user's answer to a contact's mail that is imported an hour later is looked at again, and told once."""
    mail = reply(begun)
    begun.mail.next["outline"] = [Throttled(3_600)]
    await begun.arrives(mail)
    answer = own_answer(begun)
    begun.mail.next["fetch"] = []
    begun.clock.forward(hours=1, minutes=1)
    await begun.tick()
    await begun.pump()
    await begun.later(minutes=20)
    await begun.arrives(answer)
    assert told(begun) == ALL_TOLD


async def test_an_answer_that_sweeps_have_passed_is_looked_at_again(begun: App) -> None:
    """An answer that sweeps have passed as foreign is found by one more sweep from the time of the late mail."""
    then = begun.clock.now() + timedelta(minutes=1)
    begun.clock.forward(minutes=2)
    await begun.arrives(own_answer(begun))
    await begun.later(hours=2)
    assert told(begun) == ["message.sent"]
    await begun.arrives(reply(begun, received_at=then))
    assert told(begun) == ["message.received", "message.sent"]
    await begun.later(minutes=16)
    assert told(begun) == ALL_TOLD
    before = begun.mail.calls.count("sweep")
    await begun.later(hours=2)
    assert begun.mail.calls.count("sweep") - before <= 9
    assert begun.mail.calls.count("conversation") == 0


async def find_after_a_month(app: App) -> None:
    """The user's answer is passed by a sweep; the contact's mail that it answers is found a month later."""
    then = app.clock.now() + timedelta(minutes=1)
    app.mail.receive(
        ANN_ADDRESS, tags={"conversation_id": CONVERSATION, "received_at": then + timedelta(hours=1)}
    )
    app.mail.receive("else@x.example", tags={"conversation_id": CONVERSATION})
    app.clock.forward(days=30)
    await app.tick()
    await app.pump()
    assert told(app) == ["message.sent"]
    app.mail.mails["AAMk-1"] = replace(app.mail.mails["AAMk-1"], to=(Address(BEA_ADDRESS),))
    reply(app, received_at=then)
    await app.later(hours=7)


async def test_further_back_than_a_week_the_conversation_is_listed(begun: App) -> None:
    """Of a mail that is found after a month the answers are found by its conversation, and nothing else is read."""
    await find_after_a_month(begun)
    assert told(begun) == ALL_TOLD
    assert begun.mail.calls.count("conversation") == 2
    assert begun.mail.calls.count("fetch") == 2


async def test_where_the_conversation_is_refused_the_sweep_goes_back(begun: App) -> None:
    """When Graph refuses to list the conversation the next sweep begins at the late mail's own time."""
    begun.mail.next["conversation"] = [ProviderUnavailable() for _ in range(5)]
    await find_after_a_month(begun)
    assert told(begun) == ALL_TOLD


async def test_an_own_answer_that_is_listed_before_what_it_answers(begun: App) -> None:
    """A sweep that lists the user's untagged answer before the contact's mail, which was touched later, tells both."""
    reply(begun, last_modified_at=begun.clock.now() + timedelta(minutes=9))
    begun.clock.forward(minutes=1)
    own_answer(begun)
    await begun.later(minutes=16)
    assert told(begun) == ALL_TOLD


async def test_a_sweep_under_way_does_not_undo_the_look_back(begun: App) -> None:
    """A mail that is imported while a sweep is past its answer is looked back for by the next sweep."""
    then = begun.clock.now() + timedelta(minutes=1)
    begun.clock.forward(minutes=2)
    own_answer(begun)

    async def arrive() -> None:
        await begun.notify(reply(begun, received_at=then, last_modified_at=then))
        await begun.pump(keys.CHANGES)

    begun.mail.before_pages = [None, arrive]
    begun.clock.forward(minutes=40)
    await begun.tick()
    await begun.pump()
    assert told(begun) == ["message.received", "message.sent"]
    await begun.later(minutes=16)
    assert told(begun) == ALL_TOLD


@pytest.mark.parametrize("fails", [False, True], ids=["readable", "held"])
async def test_a_look_back_survives_a_lost_race(begun: App, *, fails: bool) -> None:
    """A late mail whose transaction loses to another write is looked back for all the same, also where it is held."""
    then = begun.clock.now() + timedelta(minutes=1)
    begun.clock.forward(minutes=2)
    await begun.arrives(own_answer(begun))
    await begun.later(hours=2)
    lost: list[Call] = []

    async def lose(call: Call) -> None:
        if (
            call.operation == "transact"
            and call.place[0] == keys.MAILBOX
            and any("seen:" in row for row in call.place)
        ):
            begun.tables.before = no_hook
            lost.append(call)
            raise RowChanged

    begun.tables.before = lose
    begun.mail.next["fetch"] = [ItemUnreadable("ErrorItemCorrupt")] if fails else []
    await begun.arrives(reply(begun, received_at=then))
    assert lost
    await begun.later(minutes=16)
    assert told(begun) == ALL_TOLD


@pytest.mark.parametrize("minutes", [0, 7])
async def test_mail_in_time_costs_no_look_back(begun: App, minutes: float) -> None:
    """Mail that comes while the next sweep still looks that far back asks for nothing more."""
    mail = reply(begun)
    begun.clock.forward(minutes=minutes)
    await begun.arrives(mail)
    before = begun.mail.calls.count("sweep")
    await begun.later(minutes=31)
    assert begun.mail.calls.count("sweep") - before <= 4
    assert begun.mail.calls.count("conversation") == 0
