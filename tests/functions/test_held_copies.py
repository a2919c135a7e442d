"""Held mail and its copies, or itself under another id: told as unreadable at most once, and read when any is."""

from __future__ import annotations

import pytest

from shared.domain.errors import ItemUnreadable, ProviderUnavailable
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_held_among_others import answer, held

NOT_SYNCED, RECEIVED = "message.not_synced", "message.received"


def copy_of(app: App, number: str, sender: str = BEA_ADDRESS) -> str:
    """Another mail with the Message-ID and the time of that one lies in the mailbox."""
    first = app.mail.mails[number].outline
    tags = {"internet_message_id": first.internet_message_id, "received_at": first.received_at}
    return answer(app, sender, tags)


def told(app: App) -> list[str]:
    """What the CRM was told since the first send."""
    return app.crm.types()[2:]


async def test_a_told_mail_that_moves_while_nobody_can_read_it(begun: App) -> None:
    """An unreadable mail that was told and then moved to a new id is still looked at, and told when it is readable."""
    number = await held(begun, answer(begun))
    begun.mail.unreadable[number] = ProviderUnavailable()
    await begun.later(minutes=50)
    assert told(begun) == [NOT_SYNCED]
    moved = begun.mail.move(number)
    await begun.arrives(moved)
    await begun.later(hours=3)
    del begun.mail.unreadable[moved]
    await begun.later(hours=14)
    begun.clock.forward(days=1)
    await begun.later(minutes=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED]


@pytest.mark.parametrize("minutes", [0, 4, 20])
async def test_an_untold_mail_that_moves_while_nobody_can_read_it(begun: App, minutes: int) -> None:
    """A mail that moves between its first looks is told as unreadable once, and once when it can be read."""
    number = await held(begun, answer(begun))
    await begun.later(minutes=minutes)
    moved = begun.mail.move(number)
    await begun.arrives(moved)
    await begun.later(hours=3)
    assert told(begun) == [NOT_SYNCED]
    del begun.mail.unreadable[moved]
    await begun.later(hours=14)
    begun.clock.forward(days=1)
    await begun.later(minutes=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED]


async def test_a_readable_copy_takes_the_place_of_an_unreadable_mail(begun: App) -> None:
    """A copy that can be read is told as the same message that was told as unreadable, and the looks are over."""
    number = await held(begun, answer(begun))
    await begun.later(minutes=50)
    first = begun.crm.last
    await begun.arrives(copy_of(begun, number))
    assert told(begun) == [NOT_SYNCED, RECEIVED]
    assert begun.crm.last["id"] == first["id"]
    shown = (await begun.v1("GET", f"messages/{first['id']}")).json()
    assert (shown["status"], shown["next_look_at"]) == ("received", None)
    await begun.arrives(copy_of(begun, number))
    del begun.mail.unreadable[number]
    await begun.later(hours=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED]


async def test_a_copy_that_is_readable_after_the_looks_have_ended(begun: App) -> None:
    """A mail that was told as unreadable and then deleted is told when another copy of it can be read."""
    number = await held(begun, answer(begun))
    copy = await held(begun, copy_of(begun, number))
    await begun.later(minutes=50)
    assert told(begun) == [NOT_SYNCED]
    del begun.mail.mails[number]
    await begun.later(hours=3)
    del begun.mail.unreadable[copy]
    await begun.later(hours=14)
    begun.clock.forward(days=1)
    await begun.later(minutes=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED]


async def test_somebody_elses_mail_takes_nobodys_place(begun: App) -> None:
    """A mail by somebody else with the Message-ID of an unreadable one is another message (E-15)."""
    number = await held(begun, answer(begun))
    await begun.later(minutes=50)
    first = begun.crm.last
    await begun.arrives(copy_of(begun, number, "cal@fabrikam.example"))
    assert told(begun) == [NOT_SYNCED, RECEIVED]
    assert begun.crm.last["id"] != first["id"]
    del begun.mail.unreadable[number]
    await begun.later(hours=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED, RECEIVED]
    assert begun.crm.last["id"] == first["id"]


async def test_two_copies_that_nobody_can_read_are_told_once(begun: App) -> None:
    """Of two unreadable copies one is told, whichever is looked at first, and one is told when both can be read."""
    number = await held(begun, answer(begun))
    begun.clock.forward(minutes=2)
    copy = await held(begun, copy_of(begun, number))
    await begun.later(hours=3)
    assert told(begun) == [NOT_SYNCED]
    del begun.mail.unreadable[number], begun.mail.unreadable[copy]
    await begun.later(hours=14)
    begun.clock.forward(days=1)
    await begun.later(minutes=2)
    assert told(begun) == [NOT_SYNCED, RECEIVED]


async def test_a_copy_whose_file_is_readable(begun: App) -> None:
    """A mail that was told for a file that nobody can read is told as received when a copy has the file."""
    number = answer(begun, files=[("a.pdf", b"%PDF-1.7 offer")])
    begun.mail.next["file_content"] = 20 * [ItemUnreadable()]
    await begun.arrives(number)
    await begun.later(minutes=50)
    assert told(begun) == [NOT_SYNCED]
    worse = copy_of(begun, number)
    begun.mail.files_of[worse] = begun.mail.files_of[number]
    await begun.arrives(worse)
    assert told(begun) == [NOT_SYNCED]
    begun.mail.next["file_content"] = []
    better = copy_of(begun, number)
    begun.mail.files_of[better] = begun.mail.files_of[number]
    await begun.arrives(better)
    assert told(begun) == [NOT_SYNCED, RECEIVED]
    await begun.later(hours=30)
    assert told(begun) == [NOT_SYNCED, RECEIVED]
