"""Mail that nobody can decide on yet: told after its quick looks, looked at further, told again when it is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared import ops_work
from shared.domain.errors import (
    AccessRefused,
    ItemGone,
    ItemUnreadable,
    NotFound,
    ProviderUnavailable,
    UpstreamSurprise,
)
from shared.domain.model import MessageIndex, Seen
from shared.services import Services
from shared.sync.events.rendering import iso_time
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.test_making_subscriptions import mailbox

PDF = b"%PDF-1.7 offer"


async def unreadable(app: App, error: Exception, sender: str = BEA_ADDRESS) -> str:
    """An answer arrives of which everything but its outline and its people is refused."""
    number = app.mail.receive(sender, in_reply_to=app.mail.last_sent.internet_message_id)
    app.mail.unreadable[number] = error
    await app.arrives(number)
    return number


async def told_unreadable(app: App, error: Exception | None = None) -> str:
    """The same, until the CRM was told that it does not sync."""
    number = await unreadable(app, error or ItemUnreadable())
    await app.later(minutes=45)
    assert app.crm.types()[-1] == "message.not_synced"
    return number


ALONE = [ItemUnreadable(), AccessRefused(), UpstreamSurprise(), ProviderUnavailable(), KeyError("odd")]


@pytest.mark.parametrize("error", ALONE, ids=lambda error: type(error).__name__)
async def test_a_thread_mail_that_is_never_given_is_told(begun: App, error: Exception) -> None:
    """A mail of a thread that nobody can read is told as not synced after some looks, without a word of it (R14)."""
    await unreadable(begun, error)
    assert begun.crm.types()[-1] != "message.not_synced"
    await begun.later(minutes=47)
    told = begun.crm.last
    assert begun.crm.types()[-1] == "message.not_synced"
    assert (told["reason"]["code"], told["reason"]["files"]) == ("message_unreadable", [])
    assert (told["direction"], told["evidence"], told["from"]["address"]) == (
        "inbound",
        "in_reply_to",
        BEA_ADDRESS,
    )
    assert told["internet_message_id"] is not None
    await begun.later(hours=30)
    assert begun.crm.types().count("message.not_synced") == 1


async def test_a_mail_of_the_users_own_is_told_as_such(begun: App) -> None:
    """The people of an unreadable mail of a thread say which way it went; where they are refused too, it is told."""
    await unreadable(begun, ItemUnreadable(), ANN_ADDRESS)
    await begun.later(minutes=45)
    assert begun.crm.last["direction"] == "outbound"
    begun.mail.next["people"] = [ItemUnreadable()]
    await unreadable(begun, ItemUnreadable())
    await begun.later(minutes=45)
    assert (begun.crm.last["reason"]["code"], begun.crm.last["from"]) == ("message_unreadable", None)


async def test_looks_grow_rare_until_one_a_day(begun: App) -> None:
    """A held mail is looked at after 1, 3, 10 and 30 minutes, then after hours, then once a day; no sweep joins in.

    Before it is told, the thread's newest mail is read once to see whether others are given.
    """
    await unreadable(begun, ItemUnreadable())
    seen = [begun.mail.calls.count("fetch")]
    for minutes in (2, 4, 11, 31, 61, 241, 721):
        await begun.later(minutes=minutes)
        seen.append(begun.mail.calls.count("fetch"))
    assert seen == [1, 2, 3, 4, 6, 7, 8, 9]
    begun.clock.forward(days=1)
    await begun.later(minutes=2)
    assert begun.mail.calls.count("fetch") == 10


async def test_what_became_readable_is_told_after_all(begun: App) -> None:
    """A mail that became readable is told as received: the same message, the next number, an event of its own."""
    number = await told_unreadable(begun)
    first = begun.crm.last
    shown = (await begun.v1("GET", f"messages/{first['id']}")).json()
    assert shown["status"] == "not_synced"
    assert shown["next_look_at"] is not None
    del begun.mail.unreadable[number]
    await begun.later(minutes=61)
    second = begun.crm.last
    assert begun.crm.types()[-1] == "message.received"
    assert second["id"] == first["id"]
    assert second["sequence"] == first["sequence"] + 1
    assert second["body"]["text"] == "Yes."
    shown = (await begun.v1("GET", f"messages/{first['id']}")).json()
    assert (shown["status"], shown["reason"], shown["next_look_at"]) == ("received", None, None)
    assert shown["message"]["body"]["text"] == "Yes."
    thread = (await begun.v1("GET", f"threads/{second['thread_id']}")).json()["messages"]
    assert [message["id"] for message in thread].count(first["id"]) == 1
    await begun.arrives(number)
    await begun.later(hours=30)
    assert begun.crm.types().count("message.received") == 1


async def test_what_is_told_twice_as_not_synced_has_two_events(begun: App) -> None:
    """A mail that became readable and has a file that does not sync is told so, under an event of its own (E-19)."""
    number = begun.mail.receive(
        BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id, files=[("tool.exe", b"MZ")]
    )
    begun.mail.unreadable[number] = ItemUnreadable()
    await begun.arrives(number)
    await begun.later(minutes=45)
    del begun.mail.unreadable[number]
    await begun.later(hours=2)
    told = [
        event for event in (await begun.v1("GET", "events")).json()["events"] if "not_synced" in event["type"]
    ]
    assert [event["data"]["reason"]["code"] for event in told] == [
        "message_unreadable",
        "attachment_type_not_supported",
    ]
    assert len({event["id"] for event in told}) == 2
    assert begun.crm.types().count("message.not_synced") == 2


async def test_a_mail_that_is_readable_in_time_is_told_once(begun: App) -> None:
    """A mail that can be read at one of the quick looks is told as received and as nothing else."""
    number = await unreadable(begun, ItemUnreadable())
    await begun.later(minutes=10)
    del begun.mail.unreadable[number]
    await begun.later(minutes=45)
    assert begun.crm.types()[2:] == ["message.received"]


async def test_an_answer_to_a_held_mail_syncs(begun: App) -> None:
    """The Message-ID of a held mail is known from its first look: who answers it is in the thread (R3, R7)."""
    number = await unreadable(begun, ItemUnreadable())
    answer = begun.mail.receive(BEA_ADDRESS, in_reply_to=f"<{number}@fabrikam.example>")
    await begun.arrives(answer)
    assert begun.crm.types()[-1] == "message.received"


async def test_a_crm_reply_does_not_answer_a_held_mail(begun: App) -> None:
    """A CRM reply answers the newest message that did sync, and the held one as soon as it was read (R7)."""
    await begun.answered()
    good = begun.crm.last
    number = await told_unreadable(begun)
    thread = {"thread_id": good["thread_id"], "crm_thread_id": None}
    await begun.sent("m-2", **thread)
    assert list(begun.mail.parents.values())[-1] != number
    del begun.mail.unreadable[number]
    await begun.later(minutes=61)
    assert begun.crm.types()[-1] == "message.received"


async def test_a_disconnect_ends_the_looks(begun: App) -> None:
    """After a disconnect nobody looks at a held mail, and nothing is told of it (R5)."""
    await unreadable(begun, ItemUnreadable())
    assert (await begun.v1("DELETE", "users/u_ann/connection")).status in {200, 202, 204}
    await begun.pump()
    fetched = begun.mail.calls.count("fetch")
    await begun.later(hours=3)
    assert begun.mail.calls.count("fetch") == fetched
    assert "message.not_synced" not in begun.crm.types()


async def test_a_stopped_thread_ends_the_looks(begun: App) -> None:
    """A held mail of a thread that was stopped is not fetched again and not told (R12)."""
    await begun.answered()
    await unreadable(begun, ItemUnreadable())
    await begun.v1("POST", f"threads/{begun.crm.last['thread_id']}/stop")
    await begun.pump()
    fetched = begun.mail.calls.count("fetch")
    await begun.later(hours=3)
    assert begun.mail.calls.count("fetch") == fetched
    assert "message.not_synced" not in begun.crm.types()


async def test_many_that_fail_together_are_an_outage(begun: App) -> None:
    """While several mails fail as in an outage none is told; when they are readable they are received."""
    for _ in range(5):
        await unreadable(begun, ProviderUnavailable())
    await begun.later(hours=2)
    assert "message.not_synced" not in begun.crm.types()
    begun.mail.unreadable.clear()
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == 5 * ["message.received"]


async def test_a_mail_whose_outline_is_refused_is_told_to_nobody(begun: App) -> None:
    """Of a mail that may be foreign the CRM hears nothing, nobody asks for more; it is held, and read in the end."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unlisted.add(number)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(6)]
    await begun.arrives(number)
    await begun.later(minutes=50)
    assert "fetch" not in begun.mail.calls
    assert begun.crm.types()[2:] == []
    seen = await begun.services.ledger.find(mailbox(begun), Seen, number)
    assert seen is not None
    assert seen.value.held is not None
    await begun.later(hours=6)
    assert begun.crm.types()[2:] == ["message.received"]


async def test_a_foreign_mail_that_was_held_leaves_nothing(begun: App) -> None:
    """A held mail that turns out to be foreign is forgotten: no row of it is kept (R4)."""
    number = begun.mail.receive("sven@stranger.example")
    begun.mail.unlisted.add(number)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(5)]
    await begun.arrives(number)
    await begun.later(minutes=50)
    assert await begun.services.ledger.find(mailbox(begun), Seen, number) is not None
    await begun.later(hours=3)
    assert await begun.services.ledger.find(mailbox(begun), Seen, number) is None
    assert "fetch" not in begun.mail.calls
    assert "people" not in begun.mail.calls


async def test_a_pause_and_a_dead_consent_use_up_no_look(begun: App) -> None:
    """Looks that could not be made are not counted: after the repair the held mail is read and received."""
    number = await unreadable(begun, ItemUnreadable())
    begun.sign_in.dead = True
    begun.clock.forward(minutes=61)
    await begun.later(hours=30)
    assert "message.not_synced" not in begun.crm.types()
    begun.sign_in.dead = False
    del begun.mail.unreadable[number]
    await begun.connect()
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 1


async def test_a_held_mail_that_moved_is_found_by_its_message_id(begun: App) -> None:
    """A held mail that a move gave a new immutable id is found again by its Message-ID and told once (R14)."""
    begun.mail.next["file_content"] = [ItemGone()]
    number = begun.mail.receive(
        BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id, files=[("offer.pdf", PDF)]
    )
    await begun.arrives(number)
    assert begun.crm.types()[2:] == []
    mail = begun.mail.mails.pop(number)
    moved = replace(mail, outline=replace(mail.outline, graph_message_id="moved"))
    begun.mail.mails["moved"] = moved
    begun.mail.files_of["moved"] = begun.mail.files_of.pop(number)
    await begun.arrives("moved")
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["message.received"]
    assert [file["name"] for file in begun.crm.last["attachments"]] == ["offer.pdf"]


async def test_a_held_mail_that_was_deleted_is_given_up(begun: App) -> None:
    """A held mail that is not found in four looks has vanished: the looks end, and nothing more is told."""
    number = await told_unreadable(begun)
    del begun.mail.mails[number]
    begun.mail.unreadable.clear()
    await begun.later(hours=3)
    shown = (await begun.v1("GET", f"messages/{begun.crm.last['id']}")).json()
    assert (shown["status"], shown["next_look_at"]) == ("not_synced", None)
    outlines = begun.mail.calls.count("outline")
    await begun.later(hours=30)
    assert begun.mail.calls.count("outline") == outlines


async def test_a_held_mail_that_goes_before_it_is_read_is_told_once(begun: App) -> None:
    """Deleted before the quick looks are over, it is told as not synced, once: it was of the thread."""
    number = await unreadable(begun, ItemUnreadable())
    received_at = begun.mail.mails[number].outline.received_at
    del begun.mail.mails[number]
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["message.not_synced"]
    told = begun.crm.last
    assert (told["reason"]["code"], told["evidence"]) == ("message_unreadable", "in_reply_to")
    assert told["received_at"] == iso_time(received_at)
    shown = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["status"], shown["next_look_at"]) == ("not_synced", None)
    outlines = begun.mail.calls.count("outline")
    await begun.later(hours=30)
    assert (begun.mail.calls.count("outline"), len(begun.crm.types())) == (outlines, 3)


async def test_nothing_is_told_of_a_vanished_mail_of_which_nobody_knows_whose_it_was(begun: App) -> None:
    """It was never seen to be of a thread: no event, no message, and nothing is kept of it."""
    number = begun.mail.receive("sven@stranger.example")
    begun.mail.unlisted.add(number)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(6)]
    await begun.arrives(number)
    await begun.later(minutes=50)
    held = await begun.services.ledger.find(mailbox(begun), Seen, number)
    assert held is not None
    assert held.value.held is not None
    begun.mail.next["outline"] = []
    del begun.mail.mails[number]
    await begun.later(hours=30)
    assert begun.crm.types()[2:] == []
    assert await begun.services.ledger.find(mailbox(begun), Seen, number) is None


async def test_a_vanished_mail_of_a_stopped_thread_is_not_told(begun: App) -> None:
    """Its thread takes no mail any more, so nothing more is said in it (R12)."""
    number = await unreadable(begun, ItemUnreadable())
    await begun.v1("POST", f"threads/{begun.crm.last['thread_id']}/stop")
    del begun.mail.mails[number]
    await begun.later(hours=2)
    assert "message.not_synced" not in begun.crm.types()


PLACEHOLDERS = {
    "an item in its place": {"kind": "item", "name": "Safe Attachments Scan In Progress"},
    "a stub": {},
}


@pytest.mark.parametrize("changes", PLACEHOLDERS.values(), ids=PLACEHOLDERS)
async def test_a_file_that_is_still_scanned_is_waited_for(begun: App, changes: dict[str, str]) -> None:
    """While something stands in for a file nothing is told; when the file is there the mail is received with it."""
    number = begun.mail.receive(
        BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id, files=[("offer.pdf", b"<html>")]
    )
    (listed, stub), *_ = begun.mail.files_of[number]
    begun.mail.files_of[number] = [(replace(listed, **changes), stub)]  # type: ignore[arg-type]  # members of a file
    await begun.arrives(number)
    await begun.later(minutes=8)
    assert begun.crm.types()[2:] == []
    begun.mail.files_of[number] = [(listed, PDF)]
    await begun.later(minutes=10)
    assert begun.crm.types()[2:] == ["message.received"]
    assert [file["name"] for file in begun.crm.last["attachments"]] == ["offer.pdf"]


async def test_a_shown_picture_that_is_still_scanned_is_waited_for(begun: App) -> None:
    """A picture that the text shows arrives with the mail once it is there; one of another kind is left out at once."""
    ours = begun.mail.last_sent.internet_message_id
    files, html = [("logo.png", b"<html>")], '<p>Yes.</p><img src="cid:logo@x">'
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=ours, files=files, html=html)
    (listed, stub), *_ = begun.mail.files_of[number]
    listed = replace(listed, inline=True, content_id="logo@x")
    begun.mail.files_of[number] = [(listed, stub)]
    await begun.arrives(number)
    await begun.later(minutes=8)
    assert begun.crm.types()[2:] == []
    begun.mail.files_of[number] = [(listed, b"\x89PNG\r\n\x1a\n")]
    await begun.later(minutes=10)
    assert [(file["name"], file["omitted"]) for file in begun.crm.last["attachments"]] == [("logo.png", None)]
    other = begun.mail.receive(BEA_ADDRESS, in_reply_to=ours, files=files, html=html)
    begun.mail.files_of[other] = [(listed, b"\xff\xd8\xff\xe0")]
    await begun.arrives(other)
    assert [file["omitted"] for file in begun.crm.last["attachments"]] == ["attachment_content_mismatch"]


async def test_a_final_file_beside_one_that_is_scanned_decides(begun: App) -> None:
    """A file that is too large, or of an unlisted type by its name, is told at once whatever else is on the mail."""
    begun.mail.next["file_content"] = [ItemGone()]
    told = await begun.answered(files=[("offer.pdf", PDF), ("tool.exe", b"MZ")])
    assert (begun.crm.types()[-1], told["reason"]["code"]) == (
        "message.not_synced",
        "attachment_type_not_supported",
    )


async def test_with_omit_a_scanned_file_is_waited_for_too(begun: App) -> None:
    """Where files that do not sync are left out, one that is still scanned is not (R10, R14)."""
    await begun.services.tenants.set_omits_files(begun.tenant.tenant_id, omits=True)
    begun.mail.next["file_content"] = [ItemGone()]
    await begun.answered(files=[("offer.pdf", PDF)])
    assert begun.crm.types()[2:] == []
    await begun.later(minutes=2)
    assert begun.crm.last["attachments"][0]["omitted"] is None


async def test_an_unreadable_file_is_told_and_looked_at_further(begun: App) -> None:
    """A file that cannot be read is told after the quick looks, once; when it can be read the mail is received."""
    begun.mail.next["file_content"] = [ItemGone() for _ in range(7)]
    await begun.answered(files=[("offer.pdf", PDF)])
    await begun.later(minutes=45)
    assert begun.crm.last["reason"]["code"] == "attachment_unreadable"
    await begun.later(hours=20)
    assert begun.crm.types()[2:] == ["message.not_synced", "message.received"]


async def test_a_held_mail_costs_other_mail_nothing(begun: App) -> None:
    """Hints and sweeps that meet a held mail ask Graph nothing about it."""
    number = await unreadable(begun, ItemUnreadable())
    asked = len(begun.mail.calls)
    await begun.arrives(number)
    assert len(begun.mail.calls) == asked


async def test_the_index_row_is_written_once(begun: App) -> None:
    """The Message-ID's row of a held mail stays when it is told, and names the message."""
    number = await told_unreadable(begun)
    index = await begun.services.ledger.find(mailbox(begun), MessageIndex, f"<{number}@fabrikam.example>")
    assert index is not None
    assert index.value.message_id == begun.crm.last["id"]


async def test_a_held_mail_has_one_dead_letter(begun: App) -> None:
    """A mail that is told as unreadable is one dead letter, however often it is looked at (E-29)."""
    await told_unreadable(begun)
    await begun.later(hours=30)
    letters = [kept async for kept in begun.services.dead_letters.all()]
    assert len(letters) == 1


def working(app: App) -> Services:
    """The services of a command during which the app's workers run."""

    async def work(_: float) -> None:
        await app.pump()

    return replace(app.services, sleep=work)


async def test_operators_see_what_is_held(begun: App) -> None:
    """The command lists every held mail by its ids, one of nobody's too, and has them looked at at once when asked."""
    number = await told_unreadable(begun)
    nobodys = begun.mail.receive(BEA_ADDRESS)
    begun.mail.unlisted.add(nobodys)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(5)]
    await begun.arrives(nobodys)
    await begun.later(minutes=50)
    tenant = begun.tenant.tenant_id
    listed: Any = await ops_work.list_held(begun.services, tenant, now=False, as_json=True)
    assert [(mail["graph_message_id"], mail["message_id"]) for mail in listed["held"]] == [
        (number, begun.crm.last["id"]),
        (nobodys, None),
    ]
    assert begun.crm.last["from"]["address"] not in str(listed)
    del begun.mail.unreadable[number]
    begun.clock.forward(seconds=1)
    said = str(await ops_work.list_held(working(begun), tenant, now=True))
    assert "outcome=received" in said
    assert "outcome=forgotten" in said
    assert begun.crm.types()[-1] == "message.received"
    assert str(await ops_work.list_held(begun.services, tenant, now=False)).endswith("0 held mails")
    with pytest.raises(NotFound):
        await ops_work.list_held(begun.services, "ten_of_nobody", now=False)


async def test_a_look_that_was_asked_for_is_not_counted(begun: App) -> None:
    """A look in vain that an operator asked for leaves count and time of the next look as they were, and shows them."""
    number = await told_unreadable(begun)
    tenant = begun.tenant.tenant_id
    before: Any = await ops_work.list_held(begun.services, tenant, now=False, as_json=True)
    fetched = begun.mail.calls.count("fetch")
    for _ in range(3):
        begun.clock.forward(seconds=1)
        after: Any = await ops_work.list_held(working(begun), tenant, now=True, as_json=True)
        assert after["held"] == [{**before["held"][0], "outcome": "still held"}]
    assert begun.mail.calls.count("fetch") == fetched + 3
    del begun.mail.unreadable[number]
    await begun.later(minutes=61)
    assert begun.crm.types()[-1] == "message.received"


async def test_a_look_that_no_worker_takes_is_said(begun: App) -> None:
    """Where no worker looks within half a minute, the command says so instead of showing the state of before."""
    await told_unreadable(begun)
    said = await ops_work.list_held(begun.services, begun.tenant.tenant_id, now=True)
    assert "outcome=not looked at yet: do the workers run?" in str(said)


async def test_an_item_that_only_a_list_shows_is_told(begun: App) -> None:
    """A mail of a thread of which every read by its id is refused is told by what a list shows of it."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = ItemUnreadable()
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(40)]
    begun.mail.next["people"] = [ItemUnreadable()]
    await begun.arrives(number)
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["message.not_synced"]
    assert begun.crm.last["internet_message_id"] == f"<{number}@fabrikam.example>"


async def test_a_list_may_say_later_whose_a_held_mail_is(begun: App) -> None:
    """A mail that was held as nobody's is told as soon as a list shows that it is of a thread."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unlisted.add(number)
    begun.mail.unreadable[number] = ItemUnreadable()
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(40)]
    await begun.arrives(number)
    await begun.later(minutes=50)
    assert begun.crm.types()[2:] == []
    begun.mail.unlisted.clear()
    mail = begun.mail.mails[number]
    touched = replace(mail.outline, last_modified_at=begun.clock.now())
    begun.mail.mails[number] = replace(mail, outline=touched)
    await begun.later(minutes=20)
    assert begun.crm.types()[2:] == ["message.not_synced"]
