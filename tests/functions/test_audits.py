"""The daily audit: what notifications and sweeps have missed is found in the threads' conversations, and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.audits import CALLS_A_SLICE, PAGE
from shared.domain.errors import Ambiguous, ItemUnreadable, ProviderUnavailable, Throttled
from shared.domain.model import Address, Outline, TaskKind
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.fake_mail import FakeMail
from tests.functions.test_making_subscriptions import mailbox


async def completeness(app: App) -> dict[str, Any] | None:
    shown: dict[str, Any] | None = (await app.v1("GET", "users/u_ann/connection")).json()["completeness"]
    return shown


async def figure(app: App) -> tuple[int, int, int]:
    """In the mailbox, told, found late."""
    shown = await completeness(app)
    assert shown is not None
    return shown["in_mailbox"], shown["told"], shown["found_late"]


async def parts(app: App) -> tuple[int, int, int]:
    """Synced, not synced, missing."""
    shown = await completeness(app)
    assert shown is not None
    return shown["synced"], shown["not_synced"], shown["missing"]


def missed(app: App, sender: str = BEA_ADDRESS, **more: Any) -> str:
    """A mail of the thread arrives, and neither a notification nor a list of a sweep shows it."""
    parent = app.mail.sent_outline(next(iter(app.mail.sent)))
    tags = {"conversation_id": parent.conversation_id}
    number = app.mail.receive(sender, in_reply_to=parent.internet_message_id, tags=tags, **more)
    app.mail.unlisted.add(number)
    return number


async def audited(app: App) -> None:
    """A day passes, and with it an audit."""
    await app.later(minutes=20)
    for _ in range(24):
        app.clock.forward(minutes=59)
        await app.later(minutes=1)


async def test_what_everything_else_missed_is_found(begun: App) -> None:
    """A mail that neither a notification nor a sweep brought is received within a day, and counted as found late."""
    await begun.answered()
    missed(begun)
    await audited(begun)
    assert begun.crm.types().count("message.received") == 2
    assert await figure(begun) == (3, 3, 1)
    await audited(begun)
    assert begun.crm.types().count("message.received") == 2
    assert await figure(begun) == (3, 3, 0)


async def test_a_whole_mailbox_is_said_to_be_whole(begun: App) -> None:
    """Where nothing was missed the figure says so, with its time; before the first audit there is none."""
    assert await completeness(begun) is None
    await begun.answered()
    await audited(begun)
    assert await figure(begun) == (2, 2, 0)
    shown = await completeness(begun)
    assert shown is not None
    assert (shown["threads"], shown["audited_at"] is not None) == (1, True)


async def test_nothing_foreign_is_read(begun: App) -> None:
    """Of a stranger's mail in the same conversation only the people are asked for, once; it is not counted (R4)."""
    conversation = begun.mail.sent_outline(next(iter(begun.mail.sent))).conversation_id
    number = begun.mail.receive("sven@stranger.example", tags={"conversation_id": conversation})
    begun.mail.unlisted.add(number)
    other = begun.mail.receive("sven@stranger.example")
    begun.mail.unlisted.add(other)
    await audited(begun)
    asked = begun.mail.calls.count("people")
    assert asked <= 2
    for _ in range(3):
        await audited(begun)
    assert begun.mail.calls.count("people") == asked
    assert "fetch" not in begun.mail.calls
    assert await figure(begun) == (1, 1, 0)


async def test_a_copy_is_not_counted_twice(begun: App) -> None:
    """Another copy of a known mail, under another id with the same Message-ID, is neither told nor counted."""
    await begun.answered()
    (known,) = begun.mail.mails.values()
    outline = replace(known.outline, graph_message_id="copy")
    begun.mail.mails["copy"] = replace(known, outline=outline)
    begun.mail.unlisted.add("copy")
    await audited(begun)
    assert await figure(begun) == (2, 2, 0)
    assert begun.crm.types().count("message.received") == 1


async def test_a_held_mail_shows_in_the_figure(begun: App) -> None:
    """A mail that cannot be read is in the mailbox, and told only once the CRM was told that it does not sync."""
    number = missed(begun)
    begun.mail.unreadable[number] = ItemUnreadable()
    await audited(begun)
    found = await figure(begun)
    assert found[0] == 2
    assert found[2] == 1
    assert await parts(begun) == (1, 0, 1)
    await audited(begun)
    assert await figure(begun) == (2, 2, 0)
    assert await parts(begun) == (1, 1, 0)


async def test_a_mail_with_a_blocked_file_is_counted_apart(begun: App) -> None:
    """A mail that was told as not synced is not counted among the synced ones, whoever brought it."""
    await begun.arrives(
        begun.mail.receive(
            BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id, files=[("tool.exe", b"MZ")]
        )
    )
    missed(begun, files=[("tool.exe", b"MZ")])
    await audited(begun)
    assert begun.crm.types().count("message.not_synced") == 2
    assert (await figure(begun), await parts(begun)) == ((3, 3, 1), (1, 2, 0))


async def test_a_send_that_left_after_all_is_found_by_its_key(begun: App) -> None:
    """A send that was told as left in Drafts, and that the user sent unseen by any sweep, is told as sent."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2", thread_id=begun.crm.last["thread_id"])
    await begun.pump()
    begun.mail.next["locate"] = [ProviderUnavailable() for _ in range(500)]
    await begun.later(minutes=62)
    begun.mail.next["locate"] = []
    await begun.later(minutes=30)
    assert await begun.standing(message_id) == ("failed", "left_in_drafts")
    begun.mail.next["sweep"] = [ProviderUnavailable() for _ in range(500)]
    begun.mail.send_drafts()
    await audited(begun)
    assert await begun.standing(message_id) == ("sent", None)
    assert len(begun.mail.sent) == 2


async def test_an_answer_in_a_conversation_of_its_own_is_found(begun: App) -> None:
    """An answer that Exchange has put into a new conversation is found by its tags."""
    parent = begun.mail.last_sent.internet_message_id
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=parent)
    begun.mail.unlisted.add(number)
    await audited(begun)
    assert begun.crm.types()[2:] == ["message.received"]


async def test_an_audit_is_short_of_calls(begun: App) -> None:
    """A slice lists ten pages; the next one goes on a quarter of an hour later, and nothing is counted twice."""
    await begun.answered()
    for _ in range(PAGE * (CALLS_A_SLICE + 1)):
        begun.mail.receive("sven@stranger.example")
    begun.mail.unlisted |= set(begun.mail.mails)
    begun.clock.forward(minutes=40)
    missed(begun)
    await begun.later(minutes=40)
    begun.clock.at = max(await audit_at(begun), begun.clock.now())
    await begun.later(minutes=3)
    assert begun.mail.calls.count("received") == CALLS_A_SLICE
    assert await completeness(begun) is None
    await begun.later(minutes=20)
    assert await figure(begun) == (3, 3, 1)
    assert not set(begun.mail.calls) & {"people", "conversation"}


async def test_a_row_that_no_list_shows_hides_nobody(begun: App) -> None:
    """A page that is always refused is listed row by row: what makes it be refused is left out, the rest is audited."""
    missed(begun)
    real, bad = type(begun.mail).received, begun.mail.receive("sven@stranger.example")
    begun.clock.forward(seconds=2)
    missed(begun)

    async def corrupt(mail: FakeMail, *asked: Any) -> tuple[Outline, ...]:
        found = await real(mail, *asked)
        if bad in {outline.graph_message_id for outline in found}:
            raise ProviderUnavailable
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeMail, "received", corrupt)
        await audited(begun)
    assert await figure(begun) == (3, 3, 2)


async def audit_at(app: App) -> Any:
    """When the next slice is due."""
    stored = await app.services.ledger.mailbox(mailbox(app))
    assert stored is not None
    assert stored.value.audit_at is not None
    return stored.value.audit_at


@pytest.mark.parametrize(
    "error", [Throttled(60.0), ProviderUnavailable(), KeyError("odd")], ids=lambda e: type(e).__name__
)
async def test_an_audit_that_fails_is_done_later(begun: App, error: Exception) -> None:
    """A pause, an outage or a fault of ours puts the audit off; what was missed is found all the same, once."""
    await begun.answered()
    missed(begun)
    begun.mail.next["received"] = [error for _ in range(4)]
    for _ in range(3):
        await audited(begun)
    assert begun.crm.types().count("message.received") == 2
    found = await figure(begun)
    assert found[:2] == (3, 3)


async def test_a_quiet_mailbox_is_not_audited(begun: App) -> None:
    """A week after the last message of a thread the audits end, and begin again with the next one."""
    await begun.answered()
    for _ in range(9):
        await audited(begun)
    asked = begun.mail.calls.count("received")
    for _ in range(2):
        await audited(begun)
    assert begun.mail.calls.count("received") == asked
    await begun.answered()
    missed(begun)
    for _ in range(2):
        await audited(begun)
    assert begun.crm.types().count("message.received") == 3


async def test_a_disconnect_ends_the_audits(begun: App) -> None:
    """After a disconnect nothing is audited, and the figure is gone with the connection (R5)."""
    await begun.answered()
    await audited(begun)
    await begun.v1("DELETE", "users/u_ann/connection")
    await begun.pump()
    asked = begun.mail.calls.count("received")
    await audited(begun)
    assert begun.mail.calls.count("received") == asked
    tasks = await begun.services.ledger.tasks(mailbox(begun), begun.clock.now(), None)
    assert TaskKind.AUDIT not in {task.value.kind for task in tasks}
    assert await completeness(begun) is None


async def test_the_users_own_mail_counts(begun: App) -> None:
    """A mail that the user wrote in Outlook and nothing brought is told as sent."""
    conversation = begun.mail.sent_outline(next(iter(begun.mail.sent))).conversation_id
    to = (Address(BEA_ADDRESS),)
    number = begun.mail.receive(ANN_ADDRESS, to=to, tags={"conversation_id": conversation})
    begun.mail.unlisted.add(number)
    await audited(begun)
    assert begun.crm.types()[2:] == ["message.sent"]
    assert await figure(begun) == (2, 2, 1)
