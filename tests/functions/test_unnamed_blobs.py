"""Bytes in staging that no row names go; what a row names stays, however it came there (D-1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import ids
from shared.domain.model import MessageRecord, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.sync.tasks import erase_unnamed as erasing
from shared.sync.tasks.erase_unnamed import erase_unnamed
from tests.functions.app import App
from tests.functions.test_send_ends import mailbox_of

LARGE = "é" * 30_000


async def swept(app: App, since: str = "") -> str:
    """One walk through the mailbox's blobs; up to which time it looked."""
    looked, _, _ = await erase_unnamed(MailboxContext(app.services, mailbox_of(app)), since)
    return looked


async def left_behind(app: App, owner: str) -> str:
    """Bytes of that owner which no row names."""
    name = f"{mailbox_of(app).tenant_id}/{owner}/left"
    await app.blobs.put(keys.STAGING, name, b"words", "text/plain")
    return name


async def test_what_a_message_a_send_or_an_event_names_stays(begun: App) -> None:
    """A body and a file of a send, a file and a body of a mail: all of them are named."""
    await begun.accepted("m-2", body={"html": f"<p>{LARGE}</p>"}, attachments=[
        {"name": "a.txt", "content_base64": "aGVsbG8="}
    ])  # fmt: skip
    await begun.answered(text=LARGE, files=[("b.txt", b"hello")])
    await begun.pump()
    before = await begun.staged()
    assert len(before) == 5
    begun.clock.forward(days=2)
    await swept(begun)
    assert await begun.staged() == before


async def test_what_no_row_names_goes_after_a_day(begun: App) -> None:
    """Of a message that never came to be, and of one that has other bytes; not sooner, for its row may still come."""
    told = await begun.answered(files=[("b.txt", b"hello")])
    before = await begun.staged()
    unknown = ids.inbound_message_id(mailbox_of(begun).mailbox_id, "AAMk-unknown")
    for owner in (unknown, told["id"]):
        await left_behind(begun, owner)
    begun.clock.forward(hours=23)
    await swept(begun)
    assert len(await begun.staged()) == len(before) + 2
    begun.clock.forward(hours=2)
    await swept(begun)
    assert await begun.staged() == before


async def test_bodies_of_all_events_of_a_message_stay(begun: App) -> None:
    """A message that was told again has two events, and its record names the newer one."""
    told = await begun.answered(text=LARGE)
    stored = await begun.services.ledger.find(mailbox_of(begun), MessageRecord, told["id"])
    assert stored is not None
    older = replace(stored.value, event_ref="of another telling")
    await begun.services.ledger.write(mailbox_of(begun), stored.changed(older))
    before = await begun.staged()
    begun.clock.forward(days=2)
    await swept(begun)
    assert await begun.staged() == before


async def test_each_is_looked_at_once(begun: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next walk goes on behind what the last one looked at; many are looked at in slices."""
    monkeypatch.setattr(erasing, "MOST_A_WALK", 2)
    names = []
    for number in range(5):
        begun.clock.forward(seconds=2)
        names.append(
            await left_behind(begun, ids.inbound_message_id(mailbox_of(begun).mailbox_id, str(number)))
        )
    begun.clock.forward(days=2)
    ctx, since, slices = MailboxContext(begun.services, mailbox_of(begun)), "", 0
    goes_on = True
    while goes_on:
        since, _, goes_on = await erase_unnamed(ctx, since)
        slices += 1
    assert slices == 3  # five, and the body of the first send
    assert not set(names) & set(await begun.staged())
    reads: list[str] = []
    begun.tables.before = lambda call: reads.append(call.operation)
    await swept(begun, since)
    assert reads == []


async def test_other_mailboxes_and_what_else_lies_in_the_container_stay(begun: App) -> None:
    """A walk is of one mailbox: bytes of another, of a tenant whose id begins alike, and probes stay."""
    other = ids.inbound_message_id(mailbox_of(begun).mailbox_id[:-1] + "7", "AAMk-1")
    kept = [
        await left_behind(begun, other),
        "deployer/ping",
        f"{mailbox_of(begun).tenant_id}/of-a-former-version",
    ]
    for name in kept[1:]:
        await begun.blobs.put(keys.STAGING, name, b"x", "text/plain")
    begun.clock.forward(days=3)
    await swept(begun)
    assert set(kept) <= set(await begun.staged())


async def test_a_walk_of_a_former_version_is_continued(begun: App) -> None:
    """Its task names one event alone: the other walks begin at the beginning."""
    left = await left_behind(begun, ids.inbound_message_id(mailbox_of(begun).mailbox_id, "AAMk-unknown"))
    due = await begun.services.ledger.tasks(mailbox_of(begun), begun.clock.now() + timedelta(days=30))
    (walk,) = [task.value for task in due if task.value.kind is TaskKind.ERASE]
    assert isinstance(walk, Task)
    assert ";" not in walk.ref
    begun.clock.forward(days=8)
    await begun.tick()
    await begun.pump(keys.MAINTENANCE)
    assert left not in await begun.staged()
