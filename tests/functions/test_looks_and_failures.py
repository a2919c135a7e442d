"""Looks that find nothing yet and failures are counted apart."""

from __future__ import annotations

from shared.domain.errors import ProviderUnavailable, UpstreamSurprise
from shared.domain.inbound import VANISHED_TRIES_SECONDS
from tests.functions.app import BEA_ADDRESS, App


async def test_failures_use_up_no_looks(begun: App) -> None:
    """Failed calls do not use up the looks at a mail that is not there yet."""
    begun.mail.next["outline"] = 2 * [ProviderUnavailable()]
    await begun.arrives("not-there-yet")
    await begun.later(minutes=20)
    assert begun.mail.calls.count("outline") == 2 + 1 + len(VANISHED_TRIES_SECONDS)


async def test_looks_use_up_no_tries(begun: App) -> None:
    """Looks at a mail that came late do not use up its attempts: it is read although fetching fails four times."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    late = begun.mail.mails.pop(number)
    await begun.arrives(number)
    await begun.later(minutes=5)
    begun.mail.mails[number] = late
    begun.mail.next["fetch"] = [UpstreamSurprise("odd") for _ in range(4)]
    await begun.later(minutes=9)
    begun.clock.forward(hours=1)
    await begun.tick()
    await begun.pump()
    begun.clock.forward(hours=1)
    await begun.later(hours=2)
    assert begun.crm.types().count("message.received") == 1
