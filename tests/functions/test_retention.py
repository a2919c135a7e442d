"""How long staged bytes are kept: uploads nobody used, and the content of what was told."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Ambiguous, MessageRefused, ProviderUnavailable, StoreUnavailable
from shared.domain.model import Reason
from shared.state import keys
from shared.state.ledger import new
from shared.storage.testing import Call
from shared.sync.tasks import erase_content
from tests.builders import outbox_item
from tests.functions.answers import problem
from tests.functions.app import App, send_body
from tests.functions.fakes import FakeAnswer
from tests.functions.racing import overtake
from tests.functions.test_send_ends import mailbox_of

NAMED = {"Content-Disposition": 'attachment; filename="a.txt"'}


async def uploaded(app: App, content: bytes = b"hello") -> str:
    answer = await app.v1("POST", "files", body=content, headers=NAMED)
    assert answer.status == 201, answer.text
    return str(answer.json()["id"])


async def told_file(app: App) -> bytes:
    """The file of the newest event, through its link."""
    url = app.crm.last["attachments"][0]["url"]
    answer = await app.call("GET", f"/files/{url.rsplit('/', 1)[1]}")
    return answer.body if answer.status == 200 else b""


def with_files(*file_ids: str) -> dict[str, Any]:
    return {"attachments": [{"file_id": file_id} for file_id in file_ids]}


async def test_an_upload_that_nobody_used_goes_with_its_time(ready: App) -> None:
    """An upload that no send used is erased after a day, row and bytes."""
    await uploaded(ready)
    before = len(await ready.staged())
    ready.clock.forward(hours=23)
    await ready.tick()
    assert len(await ready.staged()) == before
    ready.clock.forward(hours=2)
    await ready.tick()
    assert len(await ready.staged()) == before - 1
    problem(await ready.v1("POST", "messages", json=send_body(**with_files("fil_x"))), 422, "invalid-request")


async def test_an_upload_that_was_used_lives_on_with_its_send(ready: App) -> None:
    """The file of an upload that was sent stays behind its link when the upload's own day has ended."""
    await ready.sent(**with_files(await uploaded(ready)))
    ready.clock.forward(hours=25)
    await ready.tick()
    rows = [row async for row in ready.tables.query_partitions(keys.SESSIONS)]
    assert not [row for row in rows if row.partition.endswith("|upload")]
    assert await told_file(ready) == b"hello"


async def test_two_sends_with_one_upload_have_bytes_of_their_own(ready: App) -> None:
    """Each use of an upload has bytes of its own, even twice in one send. So one may be erased without the other."""
    file_id = await uploaded(ready)
    await ready.sent("m-1", **with_files(file_id))
    first = set(await ready.staged())
    await ready.sent("m-2", **with_files(file_id, file_id))
    assert await told_file(ready) == b"hello"
    second = set(await ready.staged()) - first
    contents = [blob.data for blob_name in second if (blob := await ready.blobs.get(keys.STAGING, blob_name))]
    assert contents.count(b"hello") == 2


async def test_an_upload_that_is_used_while_it_is_erased_is_not_lost(ready: App) -> None:
    """An upload that a send takes while it is being erased keeps its bytes, also while the send has no row yet."""
    s, tenant_id = ready.services, ready.tenant.tenant_id
    file_id = await uploaded(ready)
    found = await s.sessions.upload(tenant_id, file_id)
    assert found is not None
    ready.clock.forward(hours=24, minutes=6)
    ref, item = mailbox_of(ready), outbox_item(files=(found.value.file,), due_at=None)

    async def used_first() -> None:
        assert await s.sessions.use_upload(tenant_id, file_id, found, f"{ref.mailbox_id}|{item.key}")

    before = len(await ready.staged())
    overtake(ready, "replace", keys.SESSIONS, used_first)
    await ready.tick()
    await ready.tick()
    assert len(await ready.staged()) == before
    await s.ledger.write(ref, new(item))
    await ready.later(hours=2)
    assert len(await ready.staged()) == before
    assert not await s.sessions.use_upload(tenant_id, file_id, found, "")


async def test_an_upload_of_a_send_that_came_to_nothing_goes(ready: App) -> None:
    """A crash between the upload's use and the send's row: an hour after its day the bytes go."""
    file_id = await uploaded(ready)

    def crash(call: Call) -> None:
        if call.operation == "transact" and any(row.startswith("out:") for row in call.place):
            raise StoreUnavailable

    ready.tables.before = crash
    answer = await ready.v1("POST", "messages", json=send_body(**with_files(file_id)))
    assert answer.status == 503
    ready.store_up()
    assert len(await ready.staged()) == 2
    await days_go_by(ready, 10)
    assert await ready.staged() == []


# ---- the content of what was told


async def days_go_by(app: App, days: int) -> None:
    """A quick walk through days: the timer and the workers once an hour."""
    for _ in range(days * 24):
        app.clock.forward(hours=1)
        await app.tick()
        await app.pump(keys.MAINTENANCE, keys.DELIVERIES)


async def status(app: App, message_id: str) -> dict[str, Any]:
    answer = await app.v1("GET", f"messages/{message_id}")
    assert answer.status == 200, answer.text
    return dict(answer.json())


async def whole(app: App) -> list[bool]:
    """For each message event in the feed, whether its content is still there."""
    events = (await app.v1("GET", "events")).json()["events"]
    return [event["data"] is not None for event in events if event["type"].startswith("message.")]


async def test_a_week_after_it_was_told_a_mail_is_no_longer_kept(begun: App) -> None:
    """A week after the CRM was told, words and files of received and sent mail are erased; their status stays."""
    begun.clock.forward(seconds=1)
    mail = await begun.answered(text="é" * 30_000, files=[("a.txt", b"hello")])
    begun.clock.forward(seconds=1)
    await begun.sent("m-2", attachments=[{"name": "b.txt", "content_base64": "aGVsbG8="}])
    sent = begun.crm.last
    await days_go_by(begun, 6)
    assert await told_file(begun) == b"hello"
    assert await whole(begun) == [True, True, True]
    await days_go_by(begun, 2)
    assert await begun.staged() == []
    assert await whole(begun) == [False, False, False]
    shown = [await status(begun, message["id"]) for message in (mail, sent)]
    assert [(answer["status"], answer["message"]) for answer in shown] == [("received", None), ("sent", None)]
    assert [row for row in await mailbox_rows(begun) if "Here it is" in row or "hello" in row] == []


async def mailbox_rows(app: App) -> list[str]:
    rows = [row async for row in app.tables.query_partitions(keys.MAILBOX)]
    return ["".join(str(value) for value in row.values.values()) for row in rows]


async def test_a_link_to_a_file_that_is_no_longer_kept(begun: App) -> None:
    """A fresh link to a file that was erased is answered with 410 and says why."""
    mail = await begun.answered(files=[("a.txt", b"hello")])
    await days_go_by(begun, 6)
    url = (await status(begun, mail["id"]))["message"]["attachments"][0]["url"]
    await days_go_by(begun, 2)
    answer = await begun.call("GET", f"/files/{url.rsplit('/', 1)[1]}")
    assert "no longer kept" in problem(answer, 410, "gone")["detail"]


async def test_what_the_crm_has_not_taken_is_kept_five_weeks(begun: App) -> None:
    """An event that the CRM has not taken keeps its content for five weeks.

    Younger events that were taken go in their time.
    """
    begun.clock.forward(seconds=1)
    begun.crm.answers.extend(3 * [FakeAnswer(422)])
    await begun.answered(files=[("a.txt", b"hello")])
    await begun.later(minutes=50)
    await begun.answered()
    await days_go_by(begun, 9)
    assert await whole(begun) == [False, True, False]
    assert len(await begun.staged()) == 1
    await days_go_by(begun, 27)
    assert await whole(begun) == [False, False, False]
    assert await begun.staged() == []


async def test_a_send_that_waits_keeps_what_it_needs(ready: App) -> None:
    """A send that waits for the consent keeps body and files for as long as it waits."""
    ready.sign_in.dead = True
    ready.clock.forward(hours=2)
    file = {"name": "b.txt", "content_base64": "aGVsbG8="}
    message_id = await ready.accepted(attachments=[file], send_within=30 * 24 * 3600)
    await ready.pump()
    await days_go_by(ready, 20)
    assert (await status(ready, message_id))["status"] == "waiting"
    assert len(await ready.staged()) == 2


async def test_a_send_that_failed_keeps_its_reason_alone(ready: App) -> None:
    """The body of a failed send is erased; its event with the reason stays."""
    ready.mail.next["create_draft"] = [MessageRefused(Reason.INVALID_RECIPIENT)]
    message_id = await ready.accepted()
    await ready.pump()
    assert await ready.standing(message_id) == ("failed", "invalid_recipient")
    await days_go_by(ready, 9)
    assert await ready.staged() == []
    assert await whole(ready) == [True]
    assert await ready.standing(message_id) == ("failed", "invalid_recipient")


async def test_a_crash_between_bytes_and_rows_is_done_again(begun: App) -> None:
    """Erasing that crashed between bytes and rows is completed by the next run, and later content is erased as well."""
    await begun.answered(text="é" * 30_000)

    def crash(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            raise StoreUnavailable

    begun.clock.forward(days=8)
    begun.tables.before = crash
    await begun.tick()
    await begun.pump(keys.MAINTENANCE)  # what met the failing store is put back into its queue
    begun.store_up()
    await days_go_by(begun, 1)
    assert await whole(begun) == [False, False]
    begun.clock.forward(seconds=1)
    await begun.answered()
    await days_go_by(begun, 9)
    assert await whole(begun) == [False, False, False]


async def test_many_mails_are_erased_in_slices(begun: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """When much is to be erased, each run does a slice, and the next one continues behind it."""
    monkeypatch.setattr(erase_content, "PAGE", 2)
    monkeypatch.setattr(erase_content, "MOST_A_WALK", 2)
    for _ in range(6):
        begun.clock.forward(seconds=1)
        await begun.answered()
    begun.clock.forward(days=7, minutes=10)
    await begun.tick()
    await begun.pump(keys.MAINTENANCE)
    assert (await whole(begun)).count(False) == 3
    await begun.later(minutes=20)
    assert (await whole(begun)).count(False) == 7


async def test_a_walk_that_fails_is_done_later(begun: App) -> None:
    """Erasing that keeps failing becomes a dead letter, and is done the next day when the fault is mended."""
    broken = begun.services.ledger.events

    async def fail(*_: Any) -> None:
        raise RuntimeError

    begun.clock.forward(days=8)
    begun.services.ledger.events = fail  # type: ignore[method-assign,assignment]  # a fault of ours
    await begun.later(hours=2)
    dead_letters = [kept.letter async for kept in begun.services.dead_letters.all()]
    assert [(letter.cause, letter.work) for letter in dead_letters] == [("given_up:RuntimeError", "erase")]
    begun.services.ledger.events = broken  # type: ignore[method-assign]  # mended
    await days_go_by(begun, 2)
    assert await whole(begun) == [False]


async def test_a_send_that_left_after_its_body_was_gone_is_announced(ready: App) -> None:
    """A send whose staged body is gone when its copy is found is told as sent, with an empty body."""
    await ready.accepted()
    await ready.pump()
    for name in await ready.staged():
        await ready.blobs.delete(keys.STAGING, name)
    await ready.later(minutes=2)
    assert ready.crm.types()[-1] == "message.sent"
    assert ready.crm.last["body"] == {"html": "", "text": "", "truncated": False, "quoted_from": None}


async def test_a_draft_that_was_left_keeps_its_body_for_the_day_it_is_sent(ready: App) -> None:
    """A failed send whose draft was left keeps its body.

    When the user sends the draft days later, the CRM gets the words.
    """
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await ready.pump()
    ready.mail.next["locate"] = [ProviderUnavailable() for _ in range(500)]
    await ready.later(minutes=62)
    ready.mail.next["locate"] = []
    await ready.later(minutes=30)
    assert await ready.standing(message_id) == ("failed", "left_in_drafts")
    await days_go_by(ready, 10)
    ready.mail.send_drafts()
    await ready.arrives("draft-1")
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.crm.last["body"]["html"] == "<p>Here it is.</p>"
