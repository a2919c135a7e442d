"""What is left of mails after weeks: ids, times, decisions and reasons, and hashes of people; nothing else (D-1).

The stores are searched whole, every row of every table and every blob, for the story's words, people and file names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from shared.domain.errors import MessageRefused
from shared.domain.model import Reason, Thread
from shared.state import keys
from shared.state.codec import form_in
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App, send_body
from tests.functions.fakes import FakeAnswer
from tests.functions.test_send_ends import mailbox_of
from tests.functions.test_stopped_threads import thread_of

WORDS = {
    "subject": "Zebrasubject",
    "html": "Okapibody",
    "answer": "Tapiranswer",
    "file": "gnufile",
    "given": "lemurgiven",
    "name": "Wombatname",
    "context": "quollcontext",
    "contact": "dingocontact",
    "bea": "bea@fabrikam",
    "cc": "carl@cc.example",
    "bcc": "dora@bcc.example",
}
# What names the CRM's own user and account, and what the CRM gave so that it comes back with every event of the thread.
MAY_REMAIN = {
    (keys.CONNECTIONS, "Connection"): {"user", "address", "display_name"},
    (keys.MAILBOX, "Mailbox"): {"address", "aliases", "learned_addresses"},
    (keys.MAILBOX, "Thread"): {"crm_context", "contact_ids"},
}


async def found_in_stores(app: App, words: Iterable[str]) -> set[tuple[str, str, str]]:
    """(table, kind of row, member) in which one of the words stands; blobs are ("staging", "", name)."""
    found = set[tuple[str, str, str]]()
    wanted = [word.casefold() for word in words]
    for table in keys.TABLES:
        async for row in app.tables.query_partitions(table):
            found |= _in_row(table, row.row, row.values, wanted)
    for name in await app.staged():
        blob = await app.blobs.get(keys.STAGING, name)
        text = blob.data.decode("utf-8", "replace").casefold() if blob is not None else ""
        found |= {(keys.STAGING, "", name) for word in wanted if word in f"{name} {text}".casefold()}
    return found


def _in_row(table: str, name: str, values: dict[str, Any], wanted: list[str]) -> set[tuple[str, str, str]]:
    kind = str(values.get("kind", ""))
    members = {**values, **form_in(values).members} if "data" in values else values
    texts = {member: json.dumps(value, default=str, ensure_ascii=False) for member, value in members.items()}
    texts = {"key": name} | {key: text for key, text in texts.items() if not key.startswith("data")}
    return {
        (table, kind, member)
        for member, text in texts.items()
        if any(word in text.casefold() for word in wanted)
    }


def unexpected(found: set[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return sorted(
        place for place in found if place[2] not in MAY_REMAIN.get((place[0], place[1]), frozenset[str]())
    )


def send(crm_message_id: str, **changes: Any) -> dict[str, Any]:
    """A send that is full of words, people and names."""
    words = WORDS
    return send_body(
        crm_message_id,
        to=[{"address": BEA_ADDRESS, "name": words["name"]}],
        cc=[{"address": words["cc"], "name": words["name"]}],
        bcc=[{"address": words["bcc"]}],
        subject=words["subject"],
        body={"html": f"<p>{words['html']}</p>" + "<p>é</p>" * 20_000},
        attachments=[{"name": f"{words['file']}.txt", "content_base64": "aGVsbG8="}],
        crm_context={"deal": words["context"]},
        contact_ids=[words["contact"]],
        **changes,
    )


async def story(app: App) -> None:
    """Sends that leave, fail and wait; answers with files, one that does not sync, a bounce, one that is refused."""
    await app.connect()
    assert (await app.v1("POST", "messages", json=send("m-1"))).status == 202
    await app.pump()
    app.clock.forward(seconds=61)
    await app.pump()
    words = WORDS
    text = f"{words['answer']} " + "é" * 30_000
    await app.answered(text=text, subject=words["subject"], files=[(f"{words['given']}.txt", b"Tapiranswer")])
    await app.answered(subject=words["subject"], files=[(f"{words['given']}.exe", b"MZ")])
    app.mail.next["create_draft"] = [MessageRefused(Reason.INVALID_RECIPIENT, words["bea"])]
    assert (await app.v1("POST", "messages", json=send("m-2"))).status == 202
    await app.pump()
    app.crm.answers.extend(3 * [FakeAnswer(422)])
    await app.answered(text=text, subject=words["subject"])
    assert (await app.v1("POST", "messages", json=send("m-3", thread_id=thread_of(app)))).status == 202
    await app.later(hours=2)
    uploaded = await app.call(
        "POST",
        "/v1/files",
        key=app.tenant.api_key,
        body=b"Okapibody",
        headers={"content-disposition": f'attachment; filename="{words["file"]}.txt"'},
    )
    assert uploaded.status == 201, uploaded.text


async def days_go_by(app: App, days: float) -> None:
    """The timer and the workers twice a day."""
    end = app.clock.now() + timedelta(days=days)
    while app.clock.now() < end:
        app.clock.forward(hours=12)
        for _ in range(2):
            await app.tick()
            await app.pump()
            app.clock.forward(minutes=2)


async def test_the_search_finds_what_there_is(app: App) -> None:
    """Right after the story every word is found: so a search that finds nothing means something."""
    await story(app)
    for name, word in WORDS.items():
        assert await found_in_stores(app, [word]), name
    found = await found_in_stores(app, WORDS.values())
    assert {"OutboxItem", "MessageRecord", "Thread", "MessageIndex", "Event", "", "Upload"} <= {
        kind for _, kind, _ in found
    }


async def test_after_weeks_nothing_of_a_mail_is_left(app: App) -> None:
    """Every row and blob: what may remain names the CRM's own user, or is what the CRM gave for its own sake."""
    await story(app)
    for days in (45, 55):  # that is 45 and 100
        await days_go_by(app, days)
        assert unexpected(await found_in_stores(app, [*WORDS.values(), ANN_ADDRESS])) == []
        assert await app.staged() == []
    rows = [row.row async for row in app.tables.query_partitions(keys.MAILBOX)]
    assert not [row for row in rows if row.startswith("act:")]
    notes = [row async for row in app.tables.query_partitions(keys.SUBSCRIPTIONS)]
    assert len(notes) <= 30


async def test_an_answer_after_sixty_days_is_told_and_answered(app: App) -> None:
    """By its tags, or by conversation and contact; and the CRM's next reply answers it in the same thread.

    Who is hidden counts as a contact, however the address is written; who never took part still does not.
    """
    await story(app)
    await days_go_by(app, 60)
    thread_id = thread_of(app)
    stored = await app.services.ledger.find(mailbox_of(app), Thread, thread_id)
    assert stored is not None
    conversation = {"conversation_id": stored.value.conversation_ids[0]}
    told = len(app.crm.told)
    await app.arrives(app.mail.receive("stranger@x.example", tags=conversation))
    assert len(app.crm.told) == told
    await app.arrives(app.mail.receive(BEA_ADDRESS.upper(), tags=conversation))
    assert app.crm.last["evidence"] == "conversation"
    data = await app.answered(text="Late but here.")
    assert (data["thread_id"], data["evidence"], data["crm_context"]) == (
        thread_id,
        "in_reply_to",
        {"deal": WORDS["context"]},
    )
    assert len(app.crm.told) == told + 2
    await app.sent("m-9", thread_id=thread_id)
    assert app.crm.last["thread_id"] == thread_id
    assert app.mail.calls.count("create_reply") >= 1
    assert [person["address"] for person in app.crm.last["to"]] == [BEA_ADDRESS]
    await days_go_by(app, 45)
    assert unexpected(await found_in_stores(app, ["bea@fabrikam", "Late but"])) == []


async def test_a_thread_in_use_keeps_its_people(app: App) -> None:
    """Its page shows them as long as somebody wrote within five weeks; then nobody, and no subject."""
    await story(app)
    await days_go_by(app, 20)
    await app.answered(subject=WORDS["subject"])
    await days_go_by(app, 20)

    async def shown() -> tuple[str, list[str]]:
        thread = (await app.v1("GET", f"threads/{thread_of(app)}")).json()
        return thread["subject"], thread["people"]

    subject, people = await shown()
    assert subject == WORDS["subject"]
    assert BEA_ADDRESS in people
    await days_go_by(app, 20)
    assert await shown() == ("", [])
