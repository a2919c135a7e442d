"""Operators have mails looked at: also those that are not held yet, and with a figure that follows."""

from __future__ import annotations

from typing import Any

from shared import ops, ops_work
from shared.domain.errors import ItemUnreadable
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_audits import audited, missed, parts
from tests.functions.test_held import told_unreadable, working


async def command(app: App, *words: str) -> Any:
    """What a command shows while workers run."""
    asked = ops._parser().parse_args([*words, "--json"])
    return await ops_work.carry_out(working(app), asked)


async def test_a_mail_that_is_refused_whole_is_on_the_list_at_once(begun: App) -> None:
    """A mail of which not even the outline is given is listed for operators from its first try on, for the CRM not."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unlisted.add(number)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(40)]
    await begun.arrives(number)
    tenant = begun.tenant.tenant_id
    (listed,) = (await command(begun, "list-held", tenant))["held"]
    assert (listed["graph_message_id"], listed["reason"], listed["looks"]) == (number, "not_read_yet", 1)
    assert (await begun.v1("GET", "held-messages")).json()["held_messages"] == []
    begun.clock.forward(seconds=1)
    (looked,) = (await command(begun, "replay-held", tenant, number))["held"]
    assert looked["outcome"] == "still not read"
    begun.mail.next["outline"] = []
    begun.clock.forward(seconds=1)
    (looked,) = (await command(begun, "replay-held", tenant))["held"]
    assert (looked["outcome"], begun.crm.types()[-1]) == ("received", "message.received")
    assert (await command(begun, "list-held", tenant))["held"] == []


async def test_looks_that_were_asked_for_hold_no_mail_sooner(begun: App) -> None:
    """However often an operator asks for a look at a mail that is not held yet, its own tries are not used up."""
    number = begun.mail.receive(BEA_ADDRESS)
    begun.mail.unlisted.add(number)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(40)]
    await begun.arrives(number)
    for _ in range(6):
        begun.clock.forward(seconds=1)
        (looked,) = (await command(begun, "replay-held", begun.tenant.tenant_id))["held"]
        assert looked["outcome"] == "still not read"


async def test_the_figure_follows_a_mail_that_came_in_by_replay(begun: App) -> None:
    """After a replay that brought a missing mail in, the mailbox is audited anew, not only the next day."""
    number = missed(begun)
    begun.mail.unreadable[number] = ItemUnreadable()
    await audited(begun)
    assert await parts(begun) == (1, 0, 1)
    begun.mail.unreadable.clear()
    begun.clock.forward(seconds=1)
    await command(begun, "replay-held", begun.tenant.tenant_id)
    await begun.later(minutes=2)
    assert await parts(begun) == (2, 0, 0)


async def test_what_came_of_a_replay_is_counted(begun: App) -> None:
    """The last line of a replay says what came of the looks, not how many mails were held before."""
    number = await told_unreadable(begun)
    tenant = begun.tenant.tenant_id

    async def last_line() -> str:
        begun.clock.forward(seconds=1)
        asked = ops._parser().parse_args(["replay-held", tenant])
        return str(await ops_work.carry_out(working(begun), asked)).splitlines()[-1]

    assert await last_line() == "1 still held"
    del begun.mail.unreadable[number]
    assert await last_line() == "1 received"
    assert await last_line() == (
        "nothing was looked at: no mail that is meant is held, or each is being looked at"
    )
