"""What earlier versions stored is read by this one, and what this one stores by itself a version ahead."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.domain.errors import UnknownForm
from shared.domain.model import FenceState
from shared.security.client_state import ClientStateSigner
from shared.security.sealing import EnvelopeSealer, LocalKeyWrapper
from shared.state import keys, mailbox_rows
from shared.state.codec import decode, encode, form_in
from shared.state.tenants import Tenants
from shared.storage.api import Row
from shared.storage.testing import MemoryTables
from shared.sync.queueing.jobs import Changes, TaskMessage, decode_job
from shared.sync.staging import Body
from tests.builders import SeededRandom, StillClock
from tests.newer import MARK, marks, newer, newer_message, with_members
from tests.unit.state.freezing import (
    CLIENT_STATE_KEY,
    FOLDER,
    KEYED,
    KINDS,
    PLACE,
    SEALING_KEY,
    corpus,
)

FROZEN = sorted(FOLDER.glob("*.json"))


@cache
def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def current() -> dict[str, Any]:
    return corpus()


def stored_rows(rows: list[dict[str, Any]]) -> list[Row]:
    return [Row("p", row["row"], row["columns"], "e1") for row in rows]


def job_of(message: dict[str, str]) -> Changes | TaskMessage:
    return decode_job(Changes if message["queue"] == keys.CHANGES else TaskMessage, message["text"])


def test_there_are_frozen_corpora() -> None:
    """There is a corpus of a released version with every kind of record that there was."""
    assert FROZEN
    assert {row["kind"] for row in read(FROZEN[0])["rows"]} <= set(KINDS)
    assert len({row["kind"] for row in read(FROZEN[0])["rows"]}) >= 31


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
def test_rows_of_earlier_versions_are_read(path: Path) -> None:
    """Every row of an earlier version is read, lies where it is looked for, and loses nothing when rewritten."""
    for row in read(path)["rows"]:
        stored = decode(KINDS[row["kind"]], row["columns"], "e1")
        again = encode(stored)
        written, known = form_in(again).members, form_in(row["columns"]).members
        assert {name: written[name] for name in known} == known
        if isinstance(stored.value, KEYED):
            assert keys.row_of(stored.value) == row["row"]


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
def test_mailboxes_of_earlier_versions_are_read(path: Path) -> None:
    """Every mailbox that an earlier version wrote is read from its rows."""
    for rows in read(path)["mailboxes"]:
        found = mailbox_rows.from_rows(stored_rows(rows))
        assert found is not None
        assert found.value.state in set(FenceState)


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
async def test_messages_and_secrets_of_earlier_versions_are_read(path: Path, tmp_path: Path) -> None:
    """Queue messages, bodies, sealed values and clientStates of an earlier version are read."""
    assert [job_of(message) for message in read(path)["messages"]]
    assert msgspec.json.decode(read(path)["body"], type=Body).html
    kept = read(path)["secrets"]
    assert ClientStateSigner([CLIENT_STATE_KEY]).verify(kept["client_state"]) == ("northwind-1", 7)
    key = tmp_path / "key"
    key.write_bytes(SEALING_KEY)
    key.chmod(0o600)
    tables = MemoryTables()
    await tables.ensure(keys.TABLES)
    tenants = Tenants(tables, StillClock())
    await tenants.create_data_key("ten_northwind", kept["data_key"], kept["wrapped"])
    sealer = EnvelopeSealer(LocalKeyWrapper(key), tenants, StillClock(), SeededRandom())
    assert await sealer.unseal("ten_northwind", PLACE, kept["sealed"]) == b"token cache"


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_next_version_are_read_and_kept(kind: str) -> None:
    """A row with members, columns and a schema of the next version is read, and loses none of them when rewritten."""
    for row in current()["rows"]:
        if row["kind"] != kind:
            continue
        columns = newer(row["columns"])
        stored = decode(KINDS[kind], columns, "e1")
        again = encode(stored.changed(stored.value))
        assert (again["schema"], again[MARK]) == (2, "column")
        assert form_in(again).members == form_in(columns).members


def test_members_that_changed_keep_what_stands_beside_them() -> None:
    """Of a nested record that is changed, only what this version knows is written anew, in its place."""
    item = next(
        row
        for row in current()["rows"]
        if row["kind"] == "OutboxItem" and '"files":[{' in row["columns"]["data"]
    )
    stored = decode(KINDS["OutboxItem"], newer(item["columns"]), "e1")
    before = form_in(encode(stored)).members
    first, second = stored.value.files
    changed = replace(stored.value, files=(replace(first, blob=None), second), to=stored.value.to[:1])
    after = form_in(encode(stored.changed(changed))).members
    assert after["files"][0]["blob"] is None
    assert marks(after["files"]) == marks(before["files"]) == 2
    assert marks(after["to"]) == 1
    written = stored.changed(changed).written("e2")
    assert form_in(encode(written.changed(changed))).members == after


@pytest.mark.parametrize("schema", [3, "2", None])
def test_a_schema_too_far_ahead_is_left_alone(schema: object) -> None:
    """A row of a schema more than a version ahead, or with none that is a number, is left to who knows it."""
    row = current()["rows"][0]
    with pytest.raises(UnknownForm):
        decode(KINDS[row["kind"]], {**row["columns"], "schema": schema}, "e1")


def test_unknown_words_are_left_to_who_knows_them() -> None:
    """A row with a word that this version does not know is no row of another meaning: it is left to who knows it."""
    for kind, member in (
        ("Task", "kind"),
        ("OutboxItem", "phase"),
        ("Connection", "status"),
        ("Seen", "reason"),
    ):
        row = next(row for row in current()["rows"] if row["kind"] == kind)
        with pytest.raises(UnknownForm):
            decode(KINDS[kind], with_members(row["columns"], **{member: "of_tomorrow"}), "e1")


def test_mailboxes_of_the_next_version_are_read_and_kept() -> None:
    """A mailbox in rows of the next version is read, and each of its rows keeps what only that version knows."""
    for rows in current()["mailboxes"]:
        ahead = [{**row, "columns": newer(row["columns"])} for row in rows]
        found = mailbox_rows.from_rows(stored_rows(ahead))
        assert found is not None
        assert found.newer
        for row in ahead:
            op = mailbox_rows.written(found, found.value, row["row"], "mark")
            assert form_in(op.values) == form_in(row["columns"])  # type: ignore[union-attr]  # a write


def test_messages_of_the_next_version_are_read() -> None:
    """Members that a queue message has beyond those that are known are passed over."""
    for message in current()["messages"]:
        ahead = {**message, "text": newer_message(message["text"])}
        assert job_of(ahead) == job_of(message)
        with pytest.raises(UnknownForm):
            job_of({**message, "text": newer_message(message["text"], v=2)})
