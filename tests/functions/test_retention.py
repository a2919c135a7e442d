"""How long staged bytes are kept: uploads nobody used, and the content of what was told."""

from __future__ import annotations

from typing import Any

from shared.state import keys
from tests.functions.answers import problem
from tests.functions.app import App, send_body

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
    return {"attachments": [{"file_id": one} for one in file_ids]}


async def test_an_upload_that_nobody_used_goes_with_its_time(ready: App) -> None:
    """After a day neither its row nor its bytes are there."""
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
    """Its own day ends, the link in the event stays good."""
    await ready.sent(**with_files(await uploaded(ready)))
    ready.clock.forward(hours=25)
    await ready.tick()
    rows = [row async for row in ready.tables.query_partitions(keys.SESSIONS)]
    assert not [row for row in rows if row.partition.endswith("|upload")]
    assert await told_file(ready) == b"hello"


async def test_two_sends_with_one_upload_have_bytes_of_their_own(ready: App) -> None:
    """So that those of the one may go while the other still waits; the same in one send that names it twice."""
    file_id = await uploaded(ready)
    await ready.sent("m-1", **with_files(file_id))
    first = set(await ready.staged())
    await ready.sent("m-2", **with_files(file_id, file_id))
    assert await told_file(ready) == b"hello"
    second = set(await ready.staged()) - first
    contents = [blob.data for one in second if (blob := await ready.blobs.get(keys.STAGING, one))]
    assert contents.count(b"hello") == 2


async def test_an_upload_that_is_used_while_it_is_erased_is_not_lost(ready: App) -> None:
    """The eraser finds the row changed, and leaves the bytes to the send."""
    file_id = await uploaded(ready)
    found = await ready.services.sessions.upload(ready.tenant.tenant_id, file_id)
    assert found is not None
    ready.clock.forward(hours=25)
    erase = ready.services.sessions._erase

    async def used_first(row: Any) -> bool:
        if row.partition.endswith("|upload"):
            assert await ready.services.sessions.use_upload(ready.tenant.tenant_id, file_id, found)
        return await erase(row)

    before = len(await ready.staged())
    ready.services.sessions._erase = used_first  # type: ignore[method-assign]  # the moment between
    await ready.tick()
    ready.services.sessions._erase = erase  # type: ignore[method-assign]  # as it was
    await ready.tick()
    assert len(await ready.staged()) == before
    assert not await ready.services.sessions.use_upload(ready.tenant.tenant_id, file_id, found)
