"""Graph does not know the mailbox for a while (no licence, on its way elsewhere): people see that mail comes late."""

from __future__ import annotations

from shared.domain.errors import MailboxUnusable
from tests.functions.app import App
from tests.functions.test_connection_truth import status
from tests.functions.test_maintenance import reply


async def test_a_mailbox_that_graph_does_not_know_is_told_once(begun: App) -> None:
    """A mailbox that Graph does not know for a while is told as degraded once, without asking for a new consent."""
    begun.mail.next["sweep"] = [MailboxUnusable() for _ in range(60)]
    reply(begun)
    await begun.later(hours=50)
    assert await status(begun) == "degraded"
    assert begun.crm.types()[2:] == ["connection.degraded"]


async def test_it_recovers_by_itself(begun: App) -> None:
    """A degraded connection recovers when sweeps go well again, and the CRM is told."""
    begun.mail.next["sweep"] = [MailboxUnusable()]
    await begun.later(hours=1)
    assert await status(begun) == "degraded"
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert begun.crm.types()[2:] == ["connection.degraded", "connection.recovered"]
