"""Rows that live short and work once."""

from __future__ import annotations

from collections.abc import Callable
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
    Session,
    SessionLink,
    Sessions,
    SignInState,
    StartTicket,
    Upload,
    secret_hash,
)
from shared.storage.testing import Call, MemoryTables
from tests.builders import TENANT, StillClock, later, ready_tables

USER = CrmUser("u_ann", "Ann Archer")
SECRET = "9sT3kQ2vX7nB5mW8cR4yL6pA1dF0gH"

MAKERS: dict[type[Any], Callable[[datetime], Any]] = {
    SessionLink: lambda end: SessionLink(TENANT, USER, end),
    Session: lambda end: Session(TENANT, USER, end, later(hours=8)),
    StartTicket: lambda end: StartTicket(TENANT, USER, end),
    SignInState: lambda end: SignInState(TENANT, USER, "hash", "sealed", end),
    PendingConnection: lambda end: PendingConnection(
        TENANT, USER, "tid", "oid", "a@b", "Ann", (), "sealed", end
    ),
}
kinds = pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)


@kinds
async def test_a_one_time_row_works_once(sessions: Sessions, kind: type[Any]) -> None:
    """The second to come with the same secret finds nothing (O-4, W-2)."""
    record = MAKERS[kind](later(minutes=2))
    await sessions.keep(SECRET, record)
    assert await sessions.take(kind, SECRET) == record
    with pytest.raises(LinkUnusable):
        await sessions.take(kind, SECRET)


@kinds
async def test_a_row_ends_at_its_time(sessions: Sessions, clock: StillClock, kind: type[Any]) -> None:
    """Good until just before its end, and not at it."""
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
    """The token of a link is no session, a ticket no state."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=2)))
    for other in MAKERS:
        if other is not kind:
            with pytest.raises(LinkUnusable):
                await sessions.look(other, SECRET)


async def test_of_two_at_the_same_moment_one_wins(sessions: Sessions, tables: MemoryTables) -> None:
    """Both had read the row before either deleted it: the slower finds the link unusable, which is no crash."""
    await sessions.keep(SECRET, SessionLink(TENANT, USER, later(minutes=2)))
    other = Sessions(tables, StillClock())

    async def overtaken(call: Call) -> None:
        if call.writes:
            tables.before = lambda _: None
            await other.take(SessionLink, SECRET)

    tables.before = overtaken
    with pytest.raises(LinkUnusable):
        await sessions.take(SessionLink, SECRET)


async def test_secrets_are_kept_as_hashes(sessions: Sessions, tables: MemoryTables) -> None:
    """Who reads the table cannot open anybody's page."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8)))
    rows = await tables.query(keys.SESSIONS, "session")
    assert [row.row for row in rows] == [secret_hash(SECRET)]
    assert SECRET not in str(rows)


async def test_a_session_is_prolonged(sessions: Sessions, clock: StillClock) -> None:
    """Its idle end moves with use."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8)))
    stored = await sessions.look(Session, SECRET)
    await sessions.prolong(SECRET, stored.changed(Session(TENANT, USER, later(minutes=9), later(hours=8))))
    clock.forward(minutes=5)
    assert (await sessions.look(Session, SECRET)).value.expires_at == later(minutes=9)


async def test_a_lost_race_to_prolong_is_fine(sessions: Sessions) -> None:
    """Two loads of the page at once: the later end may be lost, the page goes on."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8)))
    stored = await sessions.look(Session, SECRET)
    for minutes in (9, 10):
        await sessions.prolong(
            SECRET, stored.changed(Session(TENANT, USER, later(minutes=minutes), later(hours=8)))
        )
    assert (await sessions.look(Session, SECRET)).value.expires_at == later(minutes=9)


async def test_a_session_that_went_meanwhile_is_not_prolonged(sessions: Sessions) -> None:
    """Prolonging never brings a row back."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=2), later(hours=8)))
    stored = await sessions.look(Session, SECRET)
    await sessions.take(Session, SECRET)
    await sessions.prolong(SECRET, stored)
    with pytest.raises(LinkUnusable):
        await sessions.look(Session, SECRET)


async def test_an_upload_is_found_by_its_tenant_until_its_end(sessions: Sessions, clock: StillClock) -> None:
    """Another tenant does not find it, and nobody does after its time."""
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
    """An id that the API takes is at worst unknown; no character of it reaches a key."""
    assert await Sessions(await ready_tables(), StillClock()).upload(TENANT, file_id) is None


@kinds
async def test_what_ended_is_erased(
    sessions: Sessions, tables: MemoryTables, clock: StillClock, kind: type[Any]
) -> None:
    """Nothing of it stays, neither the row nor the note of its end; what still lives is left alone."""
    await sessions.keep(SECRET, MAKERS[kind](later(minutes=2)))
    await sessions.keep(SECRET + "2", MAKERS[kind](later(minutes=30)))
    clock.forward(minutes=1)
    assert await sessions.erase_ended(10) == (0, [])
    clock.forward(minutes=9)
    assert await sessions.erase_ended(10) == (1, [])
    assert await sessions.look(kind, SECRET + "2")
    clock.forward(hours=1)
    assert await sessions.erase_ended(10) == (1, [])
    assert await sessions.erase_ended(10) == (0, [])
    assert [one async for one in tables.query_partitions(keys.SESSIONS)] == []


async def test_uploads_that_ended_are_erased(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """Each of its tenant, by the same notes."""
    upload = Upload(StagedFile("att_1", "a.pdf", "application/pdf", 3, "blob"), later(hours=24))
    await sessions.keep_upload(TENANT, "fil_1", upload)
    clock.forward(hours=23)
    assert await sessions.erase_ended(10) == (0, [])
    clock.forward(hours=2)
    assert await sessions.erase_ended(10) == (1, ["blob"])
    assert [one async for one in tables.query_partitions(keys.SESSIONS)] == []


async def test_a_used_session_outlives_the_note_of_its_first_end(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """It is erased when its last end is over."""
    await sessions.keep(SECRET, Session(TENANT, USER, later(minutes=30), later(hours=8)))
    clock.forward(minutes=20)
    stored = await sessions.look(Session, SECRET)
    await sessions.prolong(SECRET, stored.changed(Session(TENANT, USER, later(minutes=50), later(hours=8))))
    clock.forward(minutes=20)
    assert await sessions.erase_ended(10) == (0, [])
    assert await sessions.look(Session, SECRET)
    clock.forward(minutes=20)
    assert await sessions.erase_ended(10) == (1, [])
    assert [one async for one in tables.query_partitions(keys.SESSIONS)] == []


async def test_what_was_used_up_leaves_no_note(
    sessions: Sessions, tables: MemoryTables, clock: StillClock
) -> None:
    """A row that was taken is not counted as erased; its note goes with the next run after its time."""
    await sessions.keep(SECRET, StartTicket(TENANT, USER, later(minutes=1)))
    await sessions.take(StartTicket, SECRET)
    clock.forward(minutes=10)
    assert await sessions.erase_ended(10) == (0, [])
    assert [one async for one in tables.query_partitions(keys.SESSIONS)] == []


async def test_a_run_erases_a_slice(sessions: Sessions, clock: StillClock) -> None:
    """A timer has little time; the oldest go first, the next run goes on."""
    for number in range(7):
        await sessions.keep(f"{SECRET}{number}", StartTicket(TENANT, USER, later(minutes=number)))
    clock.forward(hours=1)
    assert [(await sessions.erase_ended(3))[0] for _ in range(4)] == [3, 3, 1, 0]
