"""Keys: built, parsed, and in the order of time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import model
from shared.domain.model import ConversationLink, MailboxRef, Task, TaskKind
from shared.state import keys, mailbox_rows
from shared.storage import limits
from tests.builders import MAILBOX, NOW, bucket_end, event, later
from tests.strategies import records, texts, times

LEDGER_RECORDS = [
    model.Thread,
    model.ConversationLink,
    model.MessageIndex,
    model.Seen,
    model.OutboxItem,
    model.Event,
    model.Activity,
    model.Task,
    model.MessageRecord,
]
# Ids of ours stand in keys as they are; everything from outside is hashed, so it may be any text.
OURS = st.from_regex(r"[A-Za-z0-9_\-]{1,60}", fullmatch=True)
OUR_IDS = {
    "Thread": {"thread_id": OURS},
    "ConversationLink": {"thread_id": OURS},
    "OutboxItem": {"key": OURS},
    "Event": {"event_id": OURS},
    "Activity": {"activity_id": OURS},
    "MessageRecord": {"message_id": OURS},
}


@pytest.mark.parametrize("kind", LEDGER_RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_every_record_has_a_row_that_the_service_takes(kind: type[Any], data: st.DataObject) -> None:
    """Whatever Graph or the CRM put into an id, the key holds no character that tables refuse."""
    record = data.draw(records(kind, **OUR_IDS.get(kind.__name__, {})))
    limits.check_keys(keys.mailbox_partition(MAILBOX), keys.row_of(record))


def test_a_mailbox_comes_back_from_its_partition() -> None:
    """Partition keys of mailboxes are parsed where they are built."""
    assert keys.mailbox_from_partition(keys.mailbox_partition(MAILBOX)) == MAILBOX


def test_partitions_begin_with_the_tenant() -> None:
    """No row of one tenant can be reached through the keys of another (A-4)."""
    assert keys.mailbox_partition(MAILBOX).startswith(f"{MAILBOX.tenant_id}|")
    assert keys.user_partition(MAILBOX.tenant_id, "u_ann").startswith(f"{MAILBOX.tenant_id}|")
    assert keys.user_partition("ten_a", "u_ann") != keys.user_partition("ten_b", "u_ann")


@given(st.one_of(texts, OURS), st.one_of(texts, OURS))
def test_user_ids_of_any_text_keep_apart(one: str, other: str) -> None:
    """Two users share a partition only when their ids are the same, case included."""
    same = keys.user_partition("ten_a", one) == keys.user_partition("ten_a", other)
    assert same == (one == other)


@given(times, times)
def test_stamps_sort_as_time_does(one: datetime, other: datetime) -> None:
    """Text order of stamps is the order of time, to the microsecond."""
    assert (keys.stamp(one) < keys.stamp(other)) == (one < other)


def test_stamps_are_of_one_time_zone() -> None:
    """The same moment has the same stamp wherever it was noted."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert keys.stamp(elsewhere) == keys.stamp(NOW)


@given(records(Task), records(Task))
def test_task_rows_sort_by_their_time(one: Task, other: Task) -> None:
    """What is due first comes first in the partition."""
    if one.due_at != other.due_at:
        assert (keys.row_of(one) < keys.row_of(other)) == (one.due_at < other.due_at)


def test_the_same_work_at_the_same_time_is_one_row() -> None:
    """Two promises of one piece of work meet in one row; attempts are no part of its name."""
    assert keys.row_of(Task(NOW, TaskKind.SEND, "k", 0)) == keys.row_of(Task(NOW, TaskKind.SEND, "k", 5))
    assert keys.row_of(Task(NOW, TaskKind.SEND, "k")) != keys.row_of(Task(NOW, TaskKind.DELIVER, "k"))


def test_events_sort_by_their_time() -> None:
    """The event feed reads a partition in the order of happening."""
    rows = [keys.row_of(event(at=later(microseconds=n), event_id=f"evt_{9 - n}")) for n in range(5)]
    assert rows == sorted(rows)


@given(texts, texts, OURS)
def test_a_conversation_is_read_as_a_range_of_its_own(one: str, other: str, thread_id: str) -> None:
    """The range of one conversation_id holds its links and no other conversation's."""
    prefix = keys.conversation_prefix(one)
    row = keys.row_of(ConversationLink(other, thread_id))
    assert (prefix <= row < keys.after_prefix(prefix)) == (one == other)


@pytest.mark.parametrize("kind", [model.ConversationLink, model.Activity, model.Task])
def test_what_has_no_single_id_is_not_looked_up_by_one(kind: type[Any]) -> None:
    """Asking for such a record by one id is a mistake in the code, and says so."""
    with pytest.raises(TypeError, match=kind.__name__):
        keys.row_by_identity(kind, "x")


def test_fence_and_mailbox_row_are_one_range() -> None:
    """A mailbox is read by one query, and no other row of its partition lies between its rows."""
    records_beside = [
        keys.row_of(event()),
        keys.row_of(Task(NOW, TaskKind.SEND, "k")),
        "act:",
        "conv:",
        "msg:",
        "out:",
    ]
    inside = [keys.fence_row(0), keys.fence_row(99), keys.MAILBOX_ROW]
    assert all(mailbox_rows.FROM <= row < mailbox_rows.TO for row in inside)
    assert not any(mailbox_rows.FROM <= row < mailbox_rows.TO for row in records_beside)


@given(times)
def test_a_time_lies_in_its_bucket(at: datetime) -> None:
    """A bucket holds its five minutes, its end excluded."""
    bucket = keys.bucket_of(at)
    end = bucket_end(bucket)
    assert end - keys.BUCKET <= at < end
    assert keys.bucket_of(end) == bucket + 1


@given(st.integers(0, 10**11), st.integers(0, 10**11))
def test_due_partitions_sort_as_their_buckets_do(one: int, other: int) -> None:
    """A range of partitions is a span of time."""
    assert (keys.due_partition("work", one, 0) < keys.due_partition("work", other, 0)) == (one < other)


@given(OURS)
def test_every_mailbox_has_a_shard(mailbox_id: str) -> None:
    """Shards are counted from zero."""
    assert 0 <= keys.shard_of(MailboxRef("ten_a", mailbox_id)) < keys.DUE_SHARDS
