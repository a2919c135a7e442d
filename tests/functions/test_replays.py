"""What a CRM's server sees of held messages and dead letters, and replays: nothing foreign, nothing twice (E-30)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.errors import ItemUnreadable, UpstreamSurprise
from shared.domain.held import first_held
from shared.domain.model import ChangeHint, Reason, Seen, Task, TaskKind
from shared.state import keys
from shared.state.ledger import new
from shared.storage.testing.calls import no_hook
from shared.sync.operators import by_filter, held_mails, pages
from shared.sync.queueing.jobs import Changes, TaskMessage, encode_job
from tests.functions.answers import problem
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.fakes import FakeAnswer
from tests.functions.test_making_subscriptions import mailbox


async def letters(app: App, **params: str) -> dict[str, Any]:
    return dict((await app.v1("GET", "dead-letters", params=params)).json())


async def held(app: App, **params: str) -> dict[str, Any]:
    return dict((await app.v1("GET", "held-messages", params=params)).json())


async def unreadable(app: App) -> str:
    """An answer arrives that nobody can read; returns Graph's id."""
    number = app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)
    app.mail.unreadable[number] = ItemUnreadable()
    await app.arrives(number)
    return number


async def nobodys(app: App) -> str:
    """A mail of which not even the outline can be read, held: it may be foreign. It has a dead letter as well."""
    number = app.mail.receive("sven@stranger.example")
    app.mail.unlisted.add(number)
    app.mail.next["outline"] = [ItemUnreadable() for _ in range(50)]
    await app.arrives(number)
    await app.later(minutes=50)
    return number


async def refused(app: App) -> None:
    """An event that the CRM has refused three times."""
    app.crm.answers.extend(3 * [FakeAnswer(422)])
    await app.answered()
    await app.later(minutes=50)


async def test_a_held_message_is_listed_and_looked_at(begun: App) -> None:
    """A held message of a thread is listed from its first look on, and received at once when it is replayed."""
    number = await unreadable(begun)
    (listed,) = (await held(begun))["held_messages"]
    assert (listed["reason"]["code"], listed["looks"]) == ("message_unreadable", 1)
    begun.clock.forward(seconds=1)
    del begun.mail.unreadable[number]
    answer = await begun.v1("POST", f"held-messages/{listed['message_id']}/replay")
    assert (answer.status, answer.json()["outcome"]) == (202, "due")
    await begun.pump()
    assert begun.crm.types()[-1] == "message.received"
    assert begun.crm.last["id"] == listed["message_id"]
    assert (await held(begun))["held_messages"] == []
    problem(await begun.v1("POST", f"held-messages/{listed['message_id']}/replay"), 404, "not-found")


async def test_the_crm_sees_nothing_of_what_may_be_foreign(begun: App) -> None:
    """A held mail of nobody, and hints on which workers died, are neither listed nor replayed for the CRM."""
    number = await nobodys(begun)
    hints = (ChangeHint(keys.mailbox_key(mailbox(begun)), 1, "sub-1", number, "created"),)
    await begun.queues.put("changes-poison", encode_job(Changes(hints)))
    await begun.tick()
    kept = [each async for each in begun.services.dead_letters.all()]
    assert len(kept) == 2
    assert (await held(begun), await letters(begun)) == (
        {"held_messages": [], "next": None},
        {"dead_letters": [], "next": None},
    )
    for each in kept:
        problem(await begun.v1("GET", f"dead-letters/{each.letter_id}"), 404, "not-found")
        problem(await begun.v1("POST", f"dead-letters/{each.letter_id}/replay"), 404, "not-found")
    for of in ("dead_letters", "held_messages"):
        answer = await begun.v1("POST", "replays", json={"of": of})
        shown = answer.json()
        assert (shown["replayed"], shown["more"], shown["next"]) == ([], False, None)
    assert not set(begun.mail.calls) & {"fetch", "people"}


async def test_a_refused_event_is_listed_and_delivered_again(begun: App) -> None:
    """A dead letter names event and message; its replay delivers the event once, under the id that it had."""
    await refused(begun)
    event_id = begun.crm.tried[-1]
    (listed,) = (await letters(begun))["dead_letters"]
    assert (listed["cause"], listed["event_id"]) == ("refused:422", event_id)
    assert listed["message_id"].startswith("msg_")
    assert (await begun.v1("GET", f"dead-letters/{listed['id']}")).json() == listed
    for expected in ("due", "nothing_left_to_do"):
        answer = await begun.v1("POST", f"dead-letters/{listed['id']}/replay")
        assert (answer.status, answer.json()["outcome"]) == (202, expected)
        await begun.pump()
    assert begun.crm.ids.count(event_id) == 1
    assert (await begun.v1("GET", f"dead-letters/{listed['id']}")).json()["replayed_at"] is not None


async def test_a_failed_send_is_a_conflict(ready: App) -> None:
    """The replay of a send that has failed is a 409, and nothing leaves."""
    ready.mail.next["create_draft"] = [UpstreamSurprise() for _ in range(9)]
    await ready.accepted()
    await ready.later(minutes=50)
    (listed,) = (await letters(ready))["dead_letters"]
    problem(await ready.v1("POST", f"dead-letters/{listed['id']}/replay"), 409, "conflict")
    await ready.later(hours=1)
    assert len(ready.mail.sent) == 0


async def test_a_crm_opens_its_own_endpoint_again(begun: App) -> None:
    """After a 410 the CRM's server finds the dead letter of its endpoint, and its replay lets everything go out."""
    begun.crm.answers.append(FakeAnswer(410))
    await begun.answered()
    (listed,) = (await letters(begun))["dead_letters"]
    assert (listed["work"], listed["mailbox_id"]) == ("endpoint", None)
    assert (await begun.v1("POST", f"dead-letters/{listed['id']}/replay")).status == 202
    await begun.pump()
    assert begun.crm.types()[-1] == "message.received"


async def test_a_replay_by_filter_comes_to_an_end(begun: App) -> None:
    """A replay by filter takes what is meant, once: repeated, there is nothing left of it."""
    await refused(begun)
    for body in (
        {"cause": "given_up"},
        {"mailbox_id": "mbx_x"},
        {"since": "2099-01-01T00:00:00Z"},
        {"work": "send"},
    ):
        answer = await begun.v1("POST", "replays", json={"of": "dead_letters", **body})
        assert (answer.status, answer.json()["replayed"]) == (202, [])
    meant = {"of": "dead_letters", "cause": "refused", "work": "deliver", "since": "2020-01-01T00:00:00Z"}
    done = [(await begun.v1("POST", "replays", json=meant)).json() for _ in range(2)]
    assert [(len(each["replayed"]), each["detail"]) for each in done] == [
        (1, "1 due again, and a worker takes each within a minute."),
        (0, "No dead letter is meant that was not replayed since it last happened."),
    ]
    await begun.pump()
    assert begun.crm.types()[-1] == "message.received"
    number = await unreadable(begun)
    begun.clock.forward(seconds=1)
    del begun.mail.unreadable[number]
    answer = await begun.v1("POST", "replays", json={"of": "held_messages"})
    assert [each["outcome"] for each in answer.json()["replayed"]] == ["due"]
    await begun.pump()
    assert begun.crm.types().count("message.received") == 2


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"of": "everything"}, "invalid-request"),
        ({}, "invalid-request"),
        ({"of": "dead_letters", "since": "yesterday"}, "invalid-request"),
        ({"of": "dead_letters", "all": True}, "invalid-request"),
        ({"of": "held_messages", "cause": "refused"}, "invalid-request"),
    ],
)
async def test_a_replay_of_what_nobody_can_tell_is_refused(
    begun: App, body: dict[str, Any], slug: str
) -> None:
    """A filter that is none is refused with a problem, and nothing is replayed."""
    problem(await begun.v1("POST", "replays", json=body), 422, slug)


async def test_lists_come_in_pages(begun: App) -> None:
    """Pages of one bring everything once, and end; a foreign cursor or limit is refused."""
    for number in range(3):
        job = TaskMessage(
            mailbox(begun).tenant_id,
            mailbox(begun).mailbox_id,
            Task(begun.clock.now(), TaskKind.SWEEP, str(number)),
        )
        await begun.queues.put("maintenance-poison", encode_job(job))
        await unreadable(begun)
    await begun.tick()
    for name, list_them, member in (("id", letters, "dead_letters"), ("message_id", held, "held_messages")):
        seen, after = [], ""
        for _ in range(3):
            page = await list_them(begun, limit="1", after=after)
            seen += [row[name] for row in page[member]]
            after = page["next"]
        assert (len(set(seen)), after) == (3, None)
        whole = [row[name] for row in (await list_them(begun))[member]]
        assert seen == whole
    for path in ("dead-letters", "held-messages"):
        for params in ({"limit": "0"}, {"after": "../x"}, {"limit": "501"}):
            problem(await begun.v1("GET", path, params=params), 422, "invalid-request")


async def test_another_tenant_finds_nothing(begun: App) -> None:
    """Another tenant sees neither held messages nor dead letters, and their ids are answered as nobody's (X-5)."""
    await refused(begun)
    await unreadable(begun)
    (letter,) = (await letters(begun))["dead_letters"]
    (message,) = (await held(begun))["held_messages"]
    key = begun.other.api_key
    for path, member in (("dead-letters", "dead_letters"), ("held-messages", "held_messages")):
        assert (await begun.call("GET", f"/v1/{path}", key=key)).json()[member] == []
    for method, path in (
        ("GET", f"dead-letters/{letter['id']}"),
        ("POST", f"dead-letters/{letter['id']}/replay"),
        ("POST", f"held-messages/{message['message_id']}/replay"),
    ):
        problem(await begun.call(method, f"/v1/{path}", key=key), 404, "not-found")


async def test_a_key_that_may_only_read_replays_nothing(begun: App) -> None:
    """Lists need the scope `read`, replays the scope `send`."""
    await refused(begun)
    reading = await begun.make_key(begun.tenant.tenant_id, ("read",))
    sending = await begun.make_key(begun.tenant.tenant_id, ("send",))
    (letter,) = (await begun.call("GET", "/v1/dead-letters", key=reading)).json()["dead_letters"]
    problem(
        await begun.call("POST", f"/v1/dead-letters/{letter['id']}/replay", key=reading), 403, "not-allowed"
    )
    problem(
        await begun.call("POST", "/v1/replays", key=reading, json={"of": "dead_letters"}), 403, "not-allowed"
    )
    problem(await begun.call("GET", "/v1/held-messages", key=sending), 403, "not-allowed")


@pytest.mark.parametrize("name", ["#", "a" * 2_000, "a\nb", "x'or'1", "~"])
@pytest.mark.parametrize("path", ["dead-letters/{}", "dead-letters/{}/replay", "held-messages/{}/replay"])
async def test_an_id_that_is_none_is_nobodys(begun: App, path: str, name: str) -> None:
    """Whatever stands in the place of an id, also what no table takes as a key, is answered as nobody's (X-5)."""
    method = "POST" if path.endswith("replay") else "GET"
    problem(await begun.v1(method, path.format(name)), 404, "not-found")


async def test_what_only_a_newer_version_reads_hides_nothing_else(begun: App) -> None:
    """A row that this version cannot read takes itself out of the lists and of replays, and no other (E-30)."""
    await refused(begun)
    await unreadable(begun)
    for prefix in ("event:", "seen:"):
        for row in await begun.tables.query(keys.MAILBOX, keys.mailbox_partition(mailbox(begun))):
            if row.row.startswith(prefix):
                await begun.tables.replace(
                    keys.MAILBOX, row.partition, row.row, {**row.values, "schema": 3}, row.etag
                )
    await unreadable(begun)
    job = TaskMessage(
        mailbox(begun).tenant_id, mailbox(begun).mailbox_id, Task(begun.clock.now(), TaskKind.SWEEP, "")
    )
    await begun.queues.put("maintenance-poison", encode_job(job))
    await begun.tick()
    assert [letter["work"] for letter in (await letters(begun))["dead_letters"]] == ["sweep"]
    assert len((await held(begun))["held_messages"]) == 1
    answer = await begun.v1("POST", "replays", json={"of": "dead_letters"})
    assert len(answer.json()["replayed"]) == 1


# ---- bounds of one call


async def crowd(app: App, number: int, *, told: bool = False) -> None:
    """So many held mails of the thread, or of nobody, written as a first look writes them."""
    ref, now = mailbox(app), app.clock.now()
    thread_id = app.crm.last["thread_id"] if told else ""
    for each in range(number):
        name = f"crowd-{number}-{told}-{each}"
        message_id = ids.inbound_message_id(ref.mailbox_id, name) if told else ""
        held = first_held(now, 1)
        seen = Seen(name, message_id, thread_id, Reason.MESSAGE_UNREADABLE, now, held)
        await app.services.ledger.write(ref, new(seen))


async def calls_of(app: App, asking: Awaitable[Any]) -> tuple[int, Any]:
    """How often tables were called, and the answer."""
    counted = []
    app.tables.before = counted.append
    answer = await asking
    app.tables.before = no_hook
    return len(counted), answer


async def test_a_page_of_held_messages_costs_a_bounded_number_of_reads(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many mailboxes and held mails of nobody there are, a page reads as far as its bound, and goes on."""
    monkeypatch.setattr(pages, "MOST_READS", 20)
    monkeypatch.setattr(held_mails, "AT_ONCE", 10)
    await crowd(begun, 40)
    await crowd(begun, 3, told=True)
    for number in range(60):
        mailbox_id = ids.mailbox_id(begun.tenant.tenant_id, "tid", str(number))
        await begun.services.tenants.note_mailbox(begun.tenant.tenant_id, mailbox_id)
    seen: list[str] = []
    after, called = "", 0
    while after is not None:
        calls, page = await calls_of(begun, held(begun, limit="2", after=after))
        called += 1
        assert calls <= 60
        seen += [row["message_id"] for row in page["held_messages"]]
        after = page["next"]
    assert (len(seen), len(set(seen)), called > 4) == (3, 3, True)


async def test_a_replay_of_many_goes_on_where_it_stopped(begun: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of more than one call can do says where to go on, does each once, and ends although all are in vain."""
    monkeypatch.setattr(by_filter, "MOST_AT_ONCE", 2)
    begun.mail.next["outline"] = [ItemUnreadable() for _ in range(200)]
    await crowd(begun, 5, told=True)
    begun.clock.forward(seconds=1)
    done: list[str] = []
    answer: dict[str, Any] = {"next": ""}
    for _ in range(3):
        body = {"of": "held_messages", "after": answer["next"]}
        answer = (await begun.v1("POST", "replays", json=body)).json()
        done += [each["id"] for each in answer["replayed"]]
        await begun.pump()
    assert (len(done), len(set(done)), answer["more"], answer["next"]) == (5, 5, False, None)


async def test_a_replay_that_finds_all_of_it_due_says_so(begun: App) -> None:
    """A second replay before a worker has looked does nothing, and says why; so does one of nothing."""
    await crowd(begun, 2, told=True)
    begun.clock.forward(seconds=1)
    said = []
    for mailbox_id in (None, None, "mbx_x'#/"):
        body = {"of": "held_messages", "mailbox_id": mailbox_id}
        shown = (await begun.v1("POST", "replays", json=body)).json()
        said.append((len(shown["replayed"]), shown["more"], shown["detail"]))
    assert said == [
        (2, False, "2 due again, and a worker takes each within a minute."),
        (
            0,
            False,
            "Each message that is meant is due already, or is being looked at; a worker takes it within a minute.",
        ),
        (0, False, "No message that is meant is held."),
    ]


async def test_a_place_of_another_list_is_refused(begun: App) -> None:
    """`after` of a replay is a `next` of the same kind of replay; anything else is refused with a problem."""
    for of, after in (("held_messages", "a" * 26), ("dead_letters", "mbx_x|~"), ("dead_letters", "'")):
        problem(await begun.v1("POST", "replays", json={"of": of, "after": after}), 422, "invalid-request")


async def test_a_held_message_is_found_among_many_by_its_id(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A held message of which the CRM was not told yet is found without reading the others."""
    monkeypatch.setattr(pages, "MOST_READS", 5)
    await crowd(begun, 30, told=True)
    ref = mailbox(begun)
    message_id = ids.inbound_message_id(ref.mailbox_id, "crowd-30-True-29")
    begun.clock.forward(seconds=1)
    calls, answer = await calls_of(begun, begun.v1("POST", f"held-messages/{message_id}/replay"))
    assert (answer.status, calls < 20) == (202, True)


async def test_a_replay_ends_though_nobody_can_read_what_is_meant(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work of a mailbox whose row only a newer version reads says so once, and hides nothing behind it (E-30)."""
    monkeypatch.setattr(by_filter, "MOST_AT_ONCE", 1)
    place = mailbox(begun)
    for kind in (TaskKind.SWEEP, TaskKind.RENEW):
        job = TaskMessage(place.tenant_id, place.mailbox_id, Task(begun.clock.now(), kind, ""))
        await begun.queues.put("maintenance-poison", encode_job(job))
    await begun.tick()
    (row,) = await begun.tables.query(keys.MAILBOX, keys.mailbox_partition(place), "mailbox", "mailbox~")
    newer = {**row.values, "schema": 3}
    await begun.tables.replace(keys.MAILBOX, row.partition, row.row, newer, row.etag)
    answers = [(await begun.v1("POST", "replays", json={"of": "dead_letters"})).json() for _ in range(3)]
    assert [answer["more"] for answer in answers] == [True, False, False]
    outcomes = [each["outcome"] for answer in answers for each in answer["replayed"]]
    assert outcomes == ["payload_unreadable"] * 2
