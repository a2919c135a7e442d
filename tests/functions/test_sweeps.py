"""Sweeps that are long, crowded, interrupted or late; one at a time, and always forward."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import azure.functions as func
import pytest

from shared.domain.errors import ItemGone, ProviderUnavailable, StoreUnavailable, Throttled
from shared.domain.model import Task, TaskKind
from shared.state import keys
from shared.state.keys import mailbox_of_key
from shared.state.ledger import new
from shared.sync.inbound.sweep_mailbox import PAGES_A_SLICE
from shared.sync.queueing.put_back import FIRST_SECONDS
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App, send_body
from tests.functions.host import workers


class Killed(BaseException):
    """The process is gone in the middle of its work."""


def reply(app: App) -> str:
    """Bea answers the newest send, and Graph notifies nobody."""
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


def touch(app: App, count: int, seconds: float) -> None:
    """So many foreign mails were touched within so many seconds, as when a folder is marked read."""
    for number in range(count):
        at = app.clock.now() + timedelta(seconds=int(seconds * number / count))
        app.mail.receive("else@x.example", tags={"last_modified_at": at})


def received(app: App) -> int:
    return app.crm.types().count("message.received")


async def swept(app: App, minutes: float = 16) -> int:
    """The next sweep is due and done; returns how many pages it read."""
    before = app.mail.calls.count("sweep")
    await app.later(minutes=minutes)
    return app.mail.calls.count("sweep") - before


@pytest.mark.parametrize("seconds", [60, 0], ids=["within a minute", "all in one second"])
async def test_a_crowd_does_not_hide_the_mail_behind_it(begun: App, seconds: float) -> None:
    """A sweep gets past more mails than a slice holds, even when all changed in the same second (E-25)."""
    begun.mail.page_size = 5
    crowd = 3 * PAGES_A_SLICE * begun.mail.page_size
    touch(begun, crowd, seconds)
    begun.clock.forward(seconds=seconds)
    reply(begun)
    pages = await swept(begun, 19)
    assert received(begun) == 1
    assert pages <= 2.2 * crowd / begun.mail.page_size
    assert await swept(begun) <= 3


async def test_a_pause_in_the_middle_puts_off_the_sweep_and_nothing_else(begun: App) -> None:
    """A pause during a sweep makes no task for each mail behind it; everything is found after the pause (E-24)."""
    replies = [reply(begun) for _ in range(5)]
    begun.mail.next["fetch"] = [Throttled(120)]
    begun.clock.forward(minutes=16)
    await begun.tick()
    await begun.pump()
    assert (received(begun), begun.mail.calls.count("fetch")) == (0, 1)
    await begun.later(minutes=5)
    assert received(begun) == len(replies)


async def test_two_workers_do_not_sweep_the_same_mailbox(begun: App) -> None:
    """Of four workers with the same job message one sweeps the mailbox (E-4)."""
    begun.clock.forward(minutes=16)
    await begun.tick()
    (message,) = await begun.queues.receive(keys.MAINTENANCE, 32)
    before = begun.mail.calls.count("sweep")
    job = func.QueueMessage(id=message.id, body=message.text)
    await asyncio.gather(*(workers()[keys.MAINTENANCE](msg=job) for _ in range(4)))
    assert begun.mail.calls.count("sweep") - before == 3  # the page of the send, and none behind it


async def test_a_sweep_whose_worker_died_is_done_by_another(begun: App) -> None:
    """When a worker dies during a sweep its lease runs out, and another worker sweeps."""
    reply(begun)
    begun.mail.next["sweep"] = [Killed()]  # type: ignore[list-item]
    with pytest.raises(Killed):
        await begun.later(minutes=16)
    await begun.later(minutes=15)
    assert received(begun) == 1


async def test_late_sweep_after_late_sweep_is_told_and_mended(begun: App) -> None:
    """When sweeps keep finding late mail the subscription is replaced.

    The CRM hears of it once, and of the recovery.
    """
    await swept(begun)
    for _ in range(3):
        reply(begun)
        await swept(begun, 15)
    assert begun.crm.types().count("connection.degraded") == 1
    assert (await begun.v1("GET", "users/u_ann/connection")).json()["status"] == "degraded"
    made = [call for call in begun.mail.calls if call in {"subscribe", "unsubscribe"}]
    assert made == ["subscribe", "subscribe", "unsubscribe"]
    await swept(begun, 60)
    assert begun.crm.types()[-1] == "connection.recovered"
    assert (await begun.v1("GET", "users/u_ann/connection")).json()["status"] == "connected"
    assert begun.crm.types().count("connection.degraded") == 1


async def test_a_single_late_sweep_is_no_news(begun: App) -> None:
    """One sweep that finds late mail does not make a connection degraded."""
    reply(begun)
    await swept(begun, 31)
    assert begun.crm.types() == ["connection.connected", "message.sent", "message.received"]


async def test_first_sends_at_once_make_one_subscription(ready: App) -> None:
    """Of several first sends at once one makes the subscription and the others wait for it (E-27)."""
    for number in range(3):
        await ready.v1("POST", "messages", json=send_body(f"m-{number}"))
    jobs = [
        func.QueueMessage(id=message.id, body=message.text)
        for message in await ready.queues.receive(keys.OUTBOX, 32)
    ]
    await asyncio.gather(*(workers()[keys.OUTBOX](msg=job) for job in jobs))
    await ready.later(minutes=3)
    assert ready.mail.calls.count("subscribe") == 1
    assert ready.crm.types().count("message.sent") == 3


async def test_a_subscription_whose_maker_died_is_made_by_another(ready: App) -> None:
    """When a worker dies while making a subscription another one makes it, and looks for duplicates once."""
    ready.mail.next["subscribe"] = [Killed()]  # type: ignore[list-item]
    await ready.v1("POST", "messages", json=send_body())
    with pytest.raises(Killed):
        await ready.pump()
    await ready.later(minutes=5)
    assert ready.crm.types() == ["connection.connected", "message.sent"]
    assert ready.mail.calls.count("subscribe") == 2
    assert ready.mail.calls.count("subscriptions") == 1


async def test_renewals_are_enqueued_behind_a_crowd_of_other_work(begun: App) -> None:
    """A subscription is renewed in time although the mailbox has hundreds of other tasks due."""
    mailbox = mailbox_of_key(begun.mail.client_states[-1].split(".")[1])
    assert mailbox is not None
    for number in range(200):
        task = Task(begun.clock.now(), TaskKind.RETRY_IMPORT, f"AAMk-{number}")
        await begun.services.ledger.write(mailbox, new(task))
    begun.clock.forward(days=6.3)
    await begun.tick("renew_subscriptions")
    await begun.pump(keys.MAINTENANCE)
    assert begun.mail.calls.count("renew") == 1


async def test_mail_is_read_although_the_subscription_cannot_be_made(begun: App) -> None:
    """While no subscription can be made sweeps bring in every mail (E-25)."""
    begun.mail.next["subscribe"] = [ProviderUnavailable() for _ in range(1_000)]
    begun.clock.forward(days=8)
    for number in range(1, 5):
        reply(begun)
        await swept(begun)
        assert received(begun) == number
    begun.mail.next["subscribe"] = []
    await begun.later(hours=7)
    assert begun.mail.calls.count("subscribe") > 5
    assert received(begun) == 4


async def test_one_mail_that_always_ends_in_a_5xx_hides_nobody(begun: App) -> None:
    """A mail that always ends in a 5xx holds up no other mail, and is looked at once a day in the end (E-30)."""
    bad = reply(begun)
    begun.mail.unreadable[bad] = ProviderUnavailable()
    begun.clock.forward(seconds=5)
    reply(begun)
    await swept(begun)
    await begun.later(minutes=5)
    assert received(begun) == 1
    await begun.later(hours=26)
    fetched = begun.mail.calls.count("fetch")
    await begun.later(hours=6)
    assert begun.mail.calls.count("fetch") == fetched
    assert fetched <= 20


async def test_a_store_that_failed_in_a_sweep_does_not_hold_it_up(begun: App) -> None:
    """When storage fails during a sweep its lease is released, and the repeat sweeps when it comes."""
    reply(begun)
    begun.mail.next["sweep"] = [StoreUnavailable()]
    begun.clock.forward(minutes=16)
    await begun.tick()
    await begun.pump()  # what met the failing store is put back into its queue
    begun.clock.forward(seconds=FIRST_SECONDS + 1)
    await begun.pump()
    assert received(begun) == 1


async def test_an_answer_that_is_listed_before_what_it_answers(begun: App) -> None:
    """A sweep that lists an answer before the user's own mail it answers brings in both."""
    begun.clock.forward(minutes=1)
    soon = {"last_modified_at": begun.clock.now() + timedelta(minutes=2)}
    own = {
        **soon,
        "internet_message_id": "<own@x.example>",
        "in_reply_to": begun.mail.last_sent.internet_message_id,
    }
    begun.mail.receive(BEA_ADDRESS, in_reply_to="<own@x.example>")
    begun.mail.receive(ANN_ADDRESS, tags=own)
    await swept(begun)
    assert sorted(begun.crm.types()[-2:]) == ["message.received", "message.sent"]
    assert received(begun) == 1


@pytest.mark.parametrize("seconds", [600, 0], ids=["within ten minutes", "all in one second"])
async def test_pages_that_end_without_a_link_hide_nothing(begun: App, seconds: float) -> None:
    """A sweep whose pages are cut short and have no next link asks on until nothing new comes."""
    begun.mail.cut = 9
    touch(begun, 100, seconds)
    begun.clock.forward(seconds=seconds)
    reply(begun)
    pages = await swept(begun, 19)
    assert received(begun) == 1
    assert pages <= 35
    await begun.later(minutes=15)
    assert await swept(begun) == 1


async def test_a_sweep_that_brings_nothing_is_one_call(begun: App) -> None:
    """A sweep of a mailbox in which nothing changed costs one call."""
    await begun.later(minutes=40)
    assert await swept(begun) == 1


async def test_a_mail_that_no_page_shows_is_passed_by(begun: App) -> None:
    """A mail that makes each of its pages a 500 hides nobody; by its id, without any of its words, it is found."""
    _, corrupt, _ = reply(begun), reply(begun), reply(begun)
    begun.mail.corrupt.add(corrupt)
    touch(begun, 30, 0)
    await swept(begun)
    await begun.later(minutes=3)
    assert received(begun) == 3
    assert begun.mail.calls.count("listed_id") == 1
    await swept(begun)  # once more from the mail that came late
    assert await swept(begun) <= 3


async def test_a_foreign_mail_that_no_page_shows_is_told_to_nobody(begun: App) -> None:
    """Of a foreign mail that no page shows nothing is read but its outline, and the CRM hears nothing."""
    corrupt = begun.mail.receive("else@x.example")
    begun.mail.corrupt.add(corrupt)
    await swept(begun)
    await begun.later(minutes=3)
    looks = [call for call in begun.mail.looks() if call != "outline"]
    assert (looks, received(begun)) == ([], 0)
    assert begun.crm.types() == ["connection.connected", "message.sent"]


async def test_a_mail_of_which_not_even_the_id_comes_is_a_dead_letter(begun: App) -> None:
    """A row that Graph gives no id of is kept for operators by its second, and the sweep goes on behind it."""
    corrupt = reply(begun)
    begun.mail.corrupt.add(corrupt)
    begun.clock.forward(seconds=5)
    reply(begun)
    begun.mail.next["listed_id"] = [ProviderUnavailable(), ProviderUnavailable()]
    await swept(begun)
    await begun.later(minutes=3)
    assert received(begun) == 1
    letters = [kept.letter async for kept in begun.services.dead_letters.all()]
    assert [letter.cause for letter in letters] == ["passed_by_a_sweep"]


async def test_an_id_that_did_not_come_once_is_asked_for_again(begun: App) -> None:
    """One call that fails by chance makes no dead letter: the id leads to the mail."""
    begun.mail.corrupt.add(reply(begun))
    begun.clock.forward(seconds=5)
    reply(begun)
    begun.mail.next["listed_id"] = [ProviderUnavailable()]
    await swept(begun)
    await begun.later(minutes=3)
    assert received(begun) == 2
    assert [kept async for kept in begun.services.dead_letters.all()] == []


async def test_an_outage_of_lists_passes_nobody_by(begun: App) -> None:
    """While every list fails no mail is passed by; afterwards all are found."""
    reply(begun)
    begun.mail.next["sweep"] = [ProviderUnavailable() for _ in range(40)]
    begun.mail.next["listed_id"] = [ProviderUnavailable() for _ in range(10)]
    await swept(begun)
    await begun.later(minutes=40)
    assert received(begun) == 1
    assert [kept async for kept in begun.services.dead_letters.all()] == []


@pytest.mark.parametrize("count", [3, 4, 7])
async def test_several_mails_in_a_row_that_no_page_shows_hide_nobody(begun: App, count: int) -> None:
    """Rows that are refused one after the other are no outage where Graph lists their ids: all are found by them."""
    reply(begun)
    begun.clock.forward(seconds=2)
    for _ in range(count):
        begun.mail.corrupt.add(reply(begun))
    begun.clock.forward(seconds=2)
    reply(begun)
    await swept(begun)
    await begun.later(minutes=3)
    assert received(begun) == count + 2


async def test_a_sweep_that_is_stopped_on_the_way_goes_on_from_there(begun: App) -> None:
    """Pages that were stored before a pause are not read again after it, so a narrow limit only makes a sweep slow."""
    begun.mail.page_size = 5
    touch(begun, 40, 40)
    begun.clock.forward(minutes=1)
    reply(begun)
    begun.mail.next["sweep"] = [*[None] * 4, Throttled(60), *[None] * 4, Throttled(60)]
    pages = await swept(begun, 25)
    assert received(begun) == 1
    assert pages <= 17


def copy_of(app: App, graph_message_id: str) -> str:
    """Another copy of a mail, under an id of its own: it is read to find out that it is one, and no row says so."""
    mail = app.mail.mails[graph_message_id]
    tags = {"internet_message_id": mail.outline.internet_message_id}
    return app.mail.receive(BEA_ADDRESS, in_reply_to=mail.outline.in_reply_to, tags=tags)


async def test_a_sweep_that_is_stopped_within_a_page_goes_on_there(begun: App) -> None:
    """With room for three mails between two pauses, a page full of mails that are read is got through.

    What was decided on before a pause is not read again after it, also where all is of one second.
    """
    known = reply(begun)
    await begun.arrives(known)
    for _ in range(9):
        copy_of(begun, known)
    reply(begun)
    begun.mail.next["fetch"] = [None, None, None, Throttled(60)] * 20
    before = begun.mail.calls.count("fetch")
    begun.clock.forward(minutes=16)
    await begun.later(minutes=20)
    assert received(begun) == 2
    assert begun.mail.calls.count("fetch") - before <= 9 + 1 + 4


async def test_the_search_for_a_row_goes_on_after_a_pause(begun: App) -> None:
    """With room for three pages between two pauses, a mail that no page shows is found and passed by."""
    touch(begun, 20, 0)
    corrupt = reply(begun)
    begun.mail.corrupt.add(corrupt)
    touch(begun, 20, 0)
    reply(begun)
    begun.mail.next["sweep"] = [None, None, None, Throttled(60)] * 99
    await swept(begun, 40)
    assert received(begun) == 2


async def test_an_answer_that_was_passed_over_before_a_pause_is_found(begun: App) -> None:
    """A sweep that lists an answer, then pauses, then lists what it answers, brings in both."""
    begun.clock.forward(minutes=1)
    own = {
        "last_modified_at": begun.clock.now() + timedelta(seconds=30),
        "internet_message_id": "<own@x.example>",
        "in_reply_to": begun.mail.last_sent.internet_message_id,
    }
    begun.mail.receive(ANN_ADDRESS, tags=own)
    begun.clock.forward(seconds=20)
    begun.mail.receive(BEA_ADDRESS, in_reply_to="<own@x.example>")
    begun.mail.next["fetch"] = [Throttled(60)]
    await swept(begun, 60)
    assert sorted(begun.crm.types()[-2:]) == ["message.received", "message.sent"]


async def test_a_send_goes_before_the_sweep_when_calls_are_short(begun: App) -> None:
    """After a pause the sweep that is due lets the send go first that is due as well, and follows within minutes."""
    begun.mail.next["sweep"] = [Throttled(600)]
    begun.clock.forward(minutes=16)
    await begun.tick()
    await begun.pump()
    await begun.accepted("m-2")
    await begun.pump()
    before = len(begun.mail.calls)
    begun.clock.forward(minutes=11)
    await begun.tick()
    await begun.pump(keys.MAINTENANCE)
    assert begun.mail.calls[before:] == []
    await begun.pump(keys.OUTBOX)
    await begun.later(minutes=2)
    made = [call for call in begun.mail.calls[before:] if call in {"sweep", "send"}]
    assert made[:2] == ["send", "sweep"]


async def test_a_sweep_does_not_wait_for_sends_where_calls_are_not_short(begun: App) -> None:
    """Where Graph has asked for no pause lately a sweep is made at once, whatever else is due."""
    begun.clock.forward(minutes=16)
    await begun.accepted("m-2")
    await begun.tick()
    before = begun.mail.calls.count("sweep")
    await begun.pump(keys.MAINTENANCE)
    assert begun.mail.calls.count("sweep") > before


def move(app: App, graph_message_id: str, minutes: float = 0) -> str:
    """Outlook for Windows moves a mail, by copying and deleting it; the id that it has now."""
    old = app.mail.mails.pop(graph_message_id)
    number = f"{graph_message_id}-moved"
    at = app.clock.now() + timedelta(minutes=minutes)
    outline = replace(old.outline, graph_message_id=number, last_modified_at=at)
    app.mail.mails[number] = replace(old, outline=outline)
    app.mail.files_of[number] = app.mail.files_of.pop(graph_message_id, [])
    return number


async def test_mails_that_get_new_ids_by_a_move_are_told_once(begun: App) -> None:
    """Hundreds of mails moved at one instant, all with new ids, tell nothing twice and what was lost before once."""
    begun.mail.page_size = 20
    known = [reply(begun) for _ in range(5)]
    await begun.arrives(*known)
    unknown = [reply(begun) for _ in range(5)]
    touch(begun, 100, 0)
    begun.clock.forward(minutes=40)
    for number in list(begun.mail.mails):
        move(begun, number)
    await swept(begun, 1)
    await begun.later(minutes=20)
    assert received(begun) == len(known) + len(unknown)


async def test_a_mail_that_moves_between_outline_and_fetch_is_found_again(begun: App) -> None:
    """A mail of a thread that is not there any more when it is fetched is found by its Message-ID, and told once."""
    number = reply(begun)
    begun.mail.next["fetch"] = [ItemGone()]
    moved = move(begun, number)
    begun.mail.mails[number] = replace(
        begun.mail.mails[moved], outline=replace(begun.mail.mails[moved].outline, graph_message_id=number)
    )
    await begun.arrives(number)
    assert received(begun) == 1
    await begun.arrives(moved)
    await swept(begun)
    assert (received(begun), begun.mail.calls.count("fetch")) == (1, 3)  # once more, for who wrote it
    assert begun.mail.calls.count("find_by_message_id") == 1


async def test_a_mail_that_shows_up_late_in_lists_is_swept(begun: App) -> None:
    """A mail that no list showed for nine minutes after it came is brought in by the next sweep all the same (E-25)."""
    await begun.later(minutes=16)
    before = begun.clock.now() - timedelta(minutes=9)
    await begun.tick()
    begun.mail.receive(
        "bea@fabrikam.example",
        in_reply_to=begun.mail.last_sent.internet_message_id,
        tags={"last_modified_at": before, "received_at": before},
    )
    await begun.later(minutes=16)
    assert begun.crm.types().count("message.received") == 1
