"""Rows that live short and work once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import LinkUnusable
from shared.domain.model import CrmUser, StagedFile
from shared.state import keys
from shared.state.sessions import (
    PendingConnection,
    PendingDisconnect,
    Session,
    SessionLink,
    Sessions,
    SignInState,
    StartTicket,
    Upload,
    secret_hash,
)
from shared.storage.testing import Call, MemoryTables
from tests.builders import NOW, TENANT, StillClock, later, ready_tables

USER = CrmUser("u_ann", "Ann Archer")
SECRET = "9sT3kQ2vX7nB5mW8cR4yL6pA1dF0gH"

MAKERS: dict[type[Any], Callable[[datetime], Any]] = {
    SessionLink: lambda end: SessionLink(TENANT, USER, end, NOW),
    Session: lambda end: Session(TENANT, USER, end, later(hours=8), NOW),
    StartTicket: lambda end: StartTicket(TENANT, USER, end, NOW),
    SignInState: lambda end: SignInState(TENANT, USER, "hash", "sealed", end, NOW),
    PendingConnection: lambda end: PendingConnection(
        TENANT, USER, "tid", "oid", "a@b", "Ann", (), "sealed", end, NOW
    ),
    PendingDisconnect: lambda end: PendingDisconnect(TENANT, USER, "con_1", "a@b", end, NOW),
}
kinds = pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)


@kinds
async def test_a_one_time_row_works_once(sessions: Sessions, kind: type[Any]) -> None:
    """A one-time row is taken once, and the second to come with its secret finds nothing (O-4, W-2)."""
    record = MAKERS[kind](later(minutes=2))
    await sessions.keep(SECRET, record)
    assert await sessions.take(kind, SECRET) == record
    with pytest.raises(LinkUnusable):
        await sessions.take(kind, SECRET)


@kinds
async def test_a_row_ends_at_its_time(sessions: Sessions, clock: StillClock, kind: type[Any]) -> None:
    """A row is good until just before its end, and not at it."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=2)))
    clock.forward(minutes=2, microseconds=-1)
    assert await sessions.look(kind, SECRET)
    clock.forward(microseconds=1)
    with pytest.raises(LinkUnusable):
        await sessions.look(kind, SECRET)
    with pytest.raises(LinkUnusable):
        await sessions.take(kind, SECRET)


@kinds
async def test_a_secret_is_good_for_one_kind(sessions: Sessions, kind: type[Any]) -> None:
    """A secret of one kind of row opens no other kind."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=2)))
    for other in MAKERS:
        if other is not kind:
            with pytest.raises(LinkUnusable):
                await sessions.look(other, SECRET)


async def test_of_two_at_the_same_moment_one_wins(sessions: Sessions, tables: MemoryTables) -> None:
    """Of two who take a link at the same moment the slower is told that it is unusable."""
    await sessions.keep(SECRET, SessionLink(TENANT, USER, later(minutes=2), NOW))
    other = Sessions(tables, StillClock())

    async def overtaken(call: Call) -> None:
        if call.writes:
            tables.before = lambda _: None
            await other.take(SessionLink, SECRET)

    tables.before = overtaken
    with pytest.raises(LinkUnusable):
        await sessions.take(SessionLink, SECRET)


async def test_secrets_are_kept_as_hashes(sessions: Sessions, tables: MemoryTables) -> None:
    """Secrets are kept as hashes, so that reading the table opens no page."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8), NOW))
    rows = await tables.query(keys.SESSIONS, "session")
    assert [row.row for row in rows] == [secret_hash(SECRET)]
    assert SECRET not in str(rows)


async def test_a_session_is_prolonged(sessions: Sessions, clock: StillClock) -> None:
    """A session's idle end moves with its use."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8), NOW))
    stored = await sessions.look(Session, SECRET)
    await sessions.prolong(
        SECRET, stored.changed(Session(TENANT, USER, later(minutes=9), later(hours=8), NOW))
    )
    clock.forward(minutes=5)
    assert (await sessions.look(Session, SECRET)).value.expires_at == later(minutes=9)


async def test_a_lost_race_to_prolong_is_fine(sessions: Sessions) -> None:
    """When two requests prolong a session at once, the second write is lost without an error."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8), NOW))
    stored = await sessions.look(Session, SECRET)
    for minutes in (9, 10):
        await sessions.prolong(
            SECRET, stored.changed(Session(TENANT, USER, later(minutes=minutes), later(hours=8), NOW))
        )
    assert (await sessions.look(Session, SECRET)).value.expires_at == later(minutes=9)


async def test_a_session_that_went_meanwhile_is_not_prolonged(sessions: Sessions) -> None:
    """Prolonging a session that is gone does not bring it back."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8), NOW))
    stored = await sessions.look(Session, SECRET)
    await sessions.take(Session, SECRET)
    await sessions.prolong(SECRET, stored)
    with pytest.raises(LinkUnusable):
        await sessions.look(Session, SECRET)


async def test_an_upload_is_found_by_its_tenant_until_its_end(sessions: Sessions, clock: StillClock) -> None:
    """An upload is found by its own tenant only, until its end."""
    upload = Upload(StagedFile("att_1", "a.pdf", "application/pdf", 3, "blob"), later(hours=24))
    await sessions.keep_upload(TENANT, "fil_1", upload)
    found = await sessions.upload(TENANT, "fil_1")
    assert found is not None
    assert found.value == upload
    assert await sessions.upload("ten_other", "fil_1") is None
    clock.forward(hours=24)
    assert await sessions.upload(TENANT, "fil_1") is None


@given(st.from_regex(r"[\x21-\x7e]{1,200}", fullmatch=True))
async def test_any_file_id_may_be_asked_for(file_id: str) -> None:
    """Any file id that the API takes may be looked up, and at worst it is unknown."""
    assert await Sessions(await ready_tables(), StillClock()).upload(TENANT, file_id) is None


async def nothing_to_release(tenant_id: str, upload: Upload) -> None:
    """No upload is among the rows."""
    raise AssertionError((tenant_id, upload))


@kinds
async def test_what_ended_is_erased(
    sessions: Sessions, tables: MemoryTables, clock: StillClock, kind: type[Any]
) -> None:
    """A row that has ended is erased with the note of its end, and rows that still live are kept."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=2)))
    await sessions.keep(SECRET + "2", MAKERS[kind](later(minutes=30)))
    clock.forward(minutes=1)
    assert await sessions.erase_ended(10, nothing_to_release) == 0
    clock.forward(minutes=9)
    assert await sessions.erase_ended(10, nothing_to_release) == 1
    assert await sessions.look(kind, SECRET + "2")
    clock.forward(hours=1)
    assert await sessions.erase_ended(10, nothing_to_release) == 1
    assert await sessions.erase_ended(10, nothing_to_release) == 0
    assert [row async for row in tables.query_partitions(keys.SESSIONS)] == []


async def test_uploads_that_ended_are_erased(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """An upload that has ended is erased; before its row goes, somebody is told to let go of its bytes."""
    released = list[tuple[str, str | None, str | None]]()

    async def note(tenant_id: str, upload: Upload) -> None:
        released.append((tenant_id, upload.file.blob, upload.used_by))

    upload = Upload(StagedFile("att_1", "a.pdf", "application/pdf", 3, "blob"), later(hours=24))
    await sessions.keep_upload(TENANT, "fil_1", upload)
    clock.forward(hours=23)
    assert await sessions.erase_ended(10, note) == 0
    clock.forward(hours=2)
    assert await sessions.erase_ended(10, note) == 1
    assert released == [(TENANT, "blob", "")]
    assert [row async for row in tables.query_partitions(keys.SESSIONS)] == []


async def test_a_used_session_outlives_the_note_of_its_first_end(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """A session that was prolonged is erased at its last end, not at its first."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=30), later(hours=8), NOW))
    clock.forward(minutes=20)
    stored = await sessions.look(Session, SECRET)
    await sessions.prolong(
        SECRET, stored.changed(Session(TENANT, USER, later(minutes=50), later(hours=8), NOW))
    )
    clock.forward(minutes=20)
    assert await sessions.erase_ended(10, nothing_to_release) == 0
    assert await sessions.look(Session, SECRET)
    clock.forward(minutes=20)
    assert await sessions.erase_ended(10, nothing_to_release) == 1
    assert [row async for row in tables.query_partitions(keys.SESSIONS)] == []


async def test_what_was_used_up_leaves_no_note(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """The note of a row that was used up is erased after its time and not counted."""
    await sessions.keep(SECRET, StartTicket(TENANT, USER, later(minutes=1), NOW))
    await sessions.take(StartTicket, SECRET)
    clock.forward(minutes=10)
    assert await sessions.erase_ended(10, nothing_to_release) == 0
    assert [row async for row in tables.query_partitions(keys.SESSIONS)] == []


async def test_a_run_erases_a_slice(sessions: Sessions, clock: StillClock) -> None:
    """One run erases a slice of what has ended, and later runs the rest."""
    for number in range(7):
        await sessions.keep(f"{SECRET}{number}", StartTicket(TENANT, USER, later(minutes=number), NOW))
    clock.forward(hours=1)
    assert [await sessions.erase_ended(3, nothing_to_release) for _ in range(4)] == [3, 3, 1, 0]


SIGN_INS = [StartTicket, SignInState, PendingConnection, PendingDisconnect]


@pytest.mark.parametrize("kind", SIGN_INS, ids=lambda kind: kind.__name__)
async def test_a_disconnect_ends_sign_ins_that_began_before(
    sessions: Sessions, clock: StillClock, kind: type[Any]
) -> None:
    """A sign-in or a question of the same user is over; one that begins afterwards is good."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=9)))
    await sessions.end_of_user(TENANT, USER.user_id, keeps_sessions=True)
    with pytest.raises(LinkUnusable):
        await sessions.look(kind, SECRET)
    clock.forward(seconds=1)
    await sessions.keep("next", replace(MAKERS[kind](later(minutes=9)), created_at=clock.now()))
    assert await sessions.look(kind, "next")


@pytest.mark.parametrize("kind", [SessionLink, Session], ids=lambda kind: kind.__name__)
async def test_links_and_sessions_end_only_with_their_user(sessions: Sessions, kind: type[Any]) -> None:
    """The person who disconnects stays on the settings page; a removed user's page is over (W-3)."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=9)))
    await sessions.end_of_user(TENANT, USER.user_id, keeps_sessions=True)
    assert await sessions.look(kind, SECRET)
    await sessions.end_of_user(TENANT, USER.user_id, keeps_sessions=False)
    with pytest.raises(LinkUnusable):
        await sessions.look(kind, SECRET)
    await sessions.end_of_user(TENANT, USER.user_id, keeps_sessions=True)
    with pytest.raises(LinkUnusable):
        await sessions.look(kind, SECRET)


async def test_the_end_of_a_user_is_nobody_elses(sessions: Sessions) -> None:
    """Another user of the tenant, and the same id in another tenant, go on."""
    await sessions.keep(SECRET, MAKERS[Session](later(minutes=9)))
    await sessions.end_of_user(TENANT, "u_bob", keeps_sessions=False)
    await sessions.end_of_user("ten_other", USER.user_id, keeps_sessions=False)
    assert await sessions.look(Session, SECRET)
