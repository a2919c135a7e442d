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
    model.ThreadMessage,
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
    "ThreadMessage": {"thread_id": OURS, "message_id": OURS},
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
    """Every record's key is one that tables take, whatever stands in its ids."""
    record = data.draw(records(kind, **OUR_IDS.get(kind.__name__, {})))
    limits.check_keys(keys.mailbox_partition(MAILBOX), keys.row_of(record))


def test_a_mailbox_comes_back_from_its_partition() -> None:
    """A mailbox's partition key leads back to the mailbox."""
    assert keys.mailbox_in(keys.mailbox_partition(MAILBOX)) == MAILBOX


def test_partitions_begin_with_the_tenant() -> None:
    """Partition keys begin with the tenant, so that no tenant reaches another's rows (A-4)."""
    assert keys.mailbox_partition(MAILBOX).startswith(f"{MAILBOX.tenant_id}|")
    assert keys.user_partition(MAILBOX.tenant_id, "u_ann").startswith(f"{MAILBOX.tenant_id}|")
    assert keys.user_partition("ten_a", "u_ann") != keys.user_partition("ten_b", "u_ann")


@given(st.one_of(texts, OURS), st.one_of(texts, OURS))
def test_user_ids_of_any_text_keep_apart(first: str, second: str) -> None:
    """Two users share a partition only when their ids are the same, case included."""
    same = keys.user_partition("ten_a", first) == keys.user_partition("ten_a", second)
    assert same == (first == second)


@given(times, times)
def test_stamps_sort_as_time_does(first: datetime, second: datetime) -> None:
    """Stamps sort as texts in the order of time, to the microsecond."""
    assert (keys.stamp(first) < keys.stamp(second)) == (first < second)


def test_stamps_are_of_one_time_zone() -> None:
    """The same moment has the same stamp in any time zone."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert keys.stamp(elsewhere) == keys.stamp(NOW)


@given(records(Task), records(Task))
def test_task_rows_sort_by_their_time(first: Task, second: Task) -> None:
    """Task rows sort in the order in which they are due."""
    if first.due_at != second.due_at:
        assert (keys.row_of(first) < keys.row_of(second)) == (first.due_at < second.due_at)


def test_the_same_work_at_the_same_time_is_one_row() -> None:
    """The same work at the same time is one task row, whatever its attempts."""
    assert keys.row_of(Task(NOW, TaskKind.SEND, "k", 0)) == keys.row_of(Task(NOW, TaskKind.SEND, "k", 5))
    assert keys.row_of(Task(NOW, TaskKind.SEND, "k")) != keys.row_of(Task(NOW, TaskKind.DELIVER, "k"))


def test_events_sort_by_their_time() -> None:
    """Event rows sort in the order in which events happened."""
    rows = [keys.row_of(event(at=later(microseconds=n), event_id=f"evt_{9 - n}")) for n in range(5)]
    assert rows == sorted(rows)


@given(texts, texts, OURS)
def test_a_conversation_is_read_as_a_range_of_its_own(first: str, second: str, thread_id: str) -> None:
    """The range of one conversation_id holds its links and no other conversation's."""
    prefix = keys.conversation_prefix(first)
    row = keys.row_of(ConversationLink(second, thread_id))
    assert (prefix <= row < keys.after_prefix(prefix)) == (first == second)


@pytest.mark.parametrize("kind", [model.ConversationLink, model.Activity, model.Task])
def test_what_has_no_single_id_is_not_looked_up_by_one(kind: type[Any]) -> None:
    """Looking up a record by one id that has no such id is a TypeError."""
    with pytest.raises(TypeError, match=kind.__name__):
        keys.row_by_identity(kind, "x")


def test_fence_and_mailbox_row_are_one_range() -> None:
    """Fence rows and mailbox row are one range of their partition, with no other row between them."""
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
    """A time lies in the bucket of its five minutes, whose end belongs to the next."""
    bucket = keys.bucket_of(at)
    end = bucket_end(bucket)
    assert end - keys.BUCKET <= at < end
    assert keys.bucket_of(end) == bucket + 1


@given(st.integers(0, 10**11), st.integers(0, 10**11))
def test_due_partitions_sort_as_their_buckets_do(first: int, second: int) -> None:
    """Partitions of due work sort in the order of their buckets."""
    assert (keys.due_partition("work", first, 0) < keys.due_partition("work", second, 0)) == (first < second)


@given(OURS)
def test_every_mailbox_has_a_shard(mailbox_id: str) -> None:
    """Every mailbox has a shard among those counted from zero."""
    assert 0 <= keys.shard_of(MailboxRef("ten_a", mailbox_id)) < keys.DUE_SHARDS
