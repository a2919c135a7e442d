"""Records to columns and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import model
from shared.domain.errors import UnknownForm
from shared.domain.model import Event, Mailbox, Task, Tenant
from shared.state import claims, connections, dead_letters, sessions, subscription_trail, tenants
from shared.state.codec import PIECE_CHARACTERS, Stored, decode, encode
from shared.storage import limits
from tests.builders import a_mailbox, event, task
from tests.strategies import records

RECORDS = [
    model.Mailbox,
    model.Thread,
    model.ConversationLink,
    model.MessageIndex,
    model.Seen,
    model.OutboxItem,
    model.Event,
    model.Activity,
    model.Task,
    model.MessageRecord,
    model.Connection,
    model.Tenant,
    model.ApiKey,
    model.WebhookSecret,
    claims.MailboxClaim,
    claims.SendClaim,
    connections.Current,
    connections.Sealed,
    dead_letters.DeadLetter,
    subscription_trail.SubscriptionNote,
    sessions.SessionLink,
    sessions.Session,
    sessions.StartTicket,
    sessions.SignInState,
    sessions.PendingConnection,
    sessions.Upload,
    tenants.DataKey,
    tenants.MailboxOfTenant,
]


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_every_record_comes_back_as_it_went(kind: type[Any], data: st.DataObject) -> None:
    """Every record comes back from its columns as it went in, whatever it holds."""
    record = data.draw(records(kind))
    assert decode(kind, encode(Stored(record)), "e1") == Stored(record, "e1", read=record)


def test_members_of_a_newer_version_are_kept() -> None:
    """An older version writes back members that it does not know, so that two versions run side by side."""
    columns = encode(Stored(task()))
    columns["data"] = json.dumps({**json.loads(str(columns["data"])), "mood": {"of": ["tomorrow"]}})
    read = decode(Task, columns, "e1")
    written = encode(read.changed(task(attempts=1)))
    assert json.loads(str(written["data"]))["mood"] == {"of": ["tomorrow"]}
    assert decode(Task, written, "e2").value == task(attempts=1)


def test_a_record_of_an_older_version_gets_defaults() -> None:
    """Members that an older row lacks take their defaults."""
    columns = encode(Stored(a_mailbox(late_sweeps=3)))
    members = json.loads(str(columns["data"]))
    del members["late_sweeps"]
    assert decode(Mailbox, {**columns, "data": json.dumps(members)}, "e1").value == a_mailbox()


@pytest.mark.parametrize("sign", ["a", "é", "€", "😀", '"', "\x00"], ids=ascii)
@pytest.mark.parametrize("length", [0, PIECE_CHARACTERS - 100, 3 * PIECE_CHARACTERS])
def test_long_records_are_cut_into_columns_that_fit(sign: str, length: int) -> None:
    """A long record is cut into columns that fit the table, whatever its characters, and is joined again."""
    record = event(body=sign * length)
    columns = encode(Stored(record))
    limits.check_row("partition", "row", columns)
    assert decode(Event, columns, "e1").value == record


def test_a_row_says_what_it_holds() -> None:
    """A row has its schema number and its kind in columns of their own."""
    columns = encode(Stored(a_mailbox()))
    assert (columns["schema"], columns["kind"]) == (1, "Mailbox")


def test_a_row_of_another_kind_is_refused() -> None:
    """A row that holds another kind of record is refused instead of half read."""
    with pytest.raises(UnknownForm):
        decode(Tenant, encode(Stored(task())), "e1")
