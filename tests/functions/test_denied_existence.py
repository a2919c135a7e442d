"""Everything that is asked for is answered with 404 for a while: nothing that waits to be read counts as gone."""

from __future__ import annotations

import pytest

from shared.domain.errors import ItemGone, ItemUnreadable, ProviderUnavailable, Throttled
from shared.domain.model import Seen
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_making_subscriptions import mailbox

OF_AN_ITEM = ("outline", "fetch", "people", "files", "file_content", "locate")
# 404 says of none of these that something is gone.
OTHERS = ("sweep", "find_by_key", "find_by_message_id", "received", "conversation", "probe", "listed_id")


def nothing_is_there(app: App) -> None:
    """Graph answers 404 to every call."""
    for calls, error in ((OF_AN_ITEM, ItemGone()), (OTHERS, ProviderUnavailable())):
        app.mail.next.update({call: [error] * 5_000 for call in calls})


def unlisted_answer(app: App) -> str:
    """An answer that no sweep shows any more, so that only what was noted of it brings it in."""
    number = app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)
    app.mail.unlisted.add(number)
    return number


async def test_a_held_mail_outlasts_it(begun: App) -> None:
    """A mail of which not even the outline could be read is held through an outage of eight hours."""
    number = unlisted_answer(begun)
    begun.mail.next["outline"] = [ItemUnreadable()] * 5
    await begun.arrives(number)
    await begun.later(minutes=60)
    nothing_is_there(begun)
    await begun.later(hours=8)
    assert await begun.services.ledger.find(mailbox(begun), Seen, number)
    begun.mail.next.clear()
    await begun.later(hours=25)
    assert begun.crm.types().count("message.received") == 1


@pytest.mark.parametrize("minutes", [12, 600])
async def test_a_mail_that_is_to_be_looked_at_again_outlasts_it(begun: App, minutes: int) -> None:
    """A mail that failed once is looked at until it can be read, however long nothing seems to be there."""
    number = unlisted_answer(begun)
    begun.mail.next["outline"] = [ProviderUnavailable()]
    await begun.arrives(number)
    nothing_is_there(begun)
    await begun.later(minutes=minutes)
    begun.mail.next.clear()
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 1


async def test_what_is_gone_in_truth_is_given_up(begun: App) -> None:
    """While the mailbox answers, a mail that is not there after some looks is no work any more."""
    await begun.arrives("not-there")
    await begun.later(minutes=15)
    looks = begun.mail.calls.count("outline")
    await begun.later(hours=3)
    assert begun.mail.calls.count("outline") == looks
    assert begun.mail.calls.count("probe") == 2  # one of them at the sign-in


async def test_a_send_of_which_nothing_can_have_left_is_not_told_as_unknown(begun: App) -> None:
    """A plain no to its only try stays one while nobody can find its draft: it waits, and leaves afterwards."""
    begun.mail.next["send"] = [Throttled(60)]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    nothing_is_there(begun)
    await begun.later(hours=3)
    assert await begun.standing(message_id) == ("waiting", None)
    begun.mail.next.clear()
    await begun.later(minutes=20)
    assert await begun.standing(message_id) == ("sent", None)
    assert "message.unconfirmed" not in begun.crm.types()
