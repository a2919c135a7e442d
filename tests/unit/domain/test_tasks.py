"""Which due work follows from a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import model
from shared.domain.model import Event, FenceState, Held, Mailbox, OutboxItem, Seen, Task, TaskKind
from shared.domain.tasks import in_turn, tasks
from tests.builders import KEY, NOW, a_mailbox, event, later, outbox_item
from tests.strategies import records

OTHERS = [model.Thread, model.MessageIndex, model.Activity, model.Task, model.MessageRecord]


def test_a_send_that_is_due_is_a_task() -> None:
    """A send stands for one task at the time its row names, and for none when nothing more is to be done."""
    assert tasks(outbox_item(due_at=NOW)) == [Task(NOW, TaskKind.SEND, KEY)]
    assert tasks(outbox_item(due_at=None)) == []


def test_an_event_that_is_due_is_a_task() -> None:
    """An event stands for one delivery at the time its row names, and for none once it is delivered or given up."""
    assert tasks(event(due_at=NOW)) == [Task(NOW, TaskKind.DELIVER, event().ref)]
    assert tasks(event(due_at=None)) == []


def test_a_held_mail_is_looked_at_again() -> None:
    """A seen row stands for the next look while its mail is held, and for nothing once it is decided on."""
    held = Held(later(minutes=1), NOW, generation=1)
    seen = Seen("AAMk-1", "msg_1", "thr_1", None, NOW)
    assert tasks(replace(seen, held=held)) == [Task(later(minutes=1), TaskKind.LOOK_AGAIN, "AAMk-1")]
    assert tasks(seen) == []


def test_an_open_mailbox_is_swept_and_renewed() -> None:
    """A mailbox stands for its sweep and its renewal, each once planned."""
    sweep, renew = Task(NOW, TaskKind.SWEEP, ""), Task(later(days=6), TaskKind.RENEW, "")
    assert tasks(a_mailbox(sweep_at=NOW, renew_at=later(days=6))) == [sweep, renew]
    assert tasks(a_mailbox(sweep_at=NOW)) == [sweep]
    assert tasks(a_mailbox()) == []


def test_a_closed_mailbox_stands_for_nothing() -> None:
    """Closing a mailbox ends its sweeps and renewals, whatever its row says of them."""
    assert tasks(a_mailbox(state=FenceState.CLOSED, sweep_at=NOW, renew_at=NOW)) == []


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_other_rows_stand_for_nothing(kind: type[Any], data: st.DataObject) -> None:
    """Threads, index rows and task rows that are written for themselves bring no further task."""
    assert tasks(data.draw(records(kind))) == []


def test_no_row_stands_for_nothing() -> None:
    """A row that is not there yet had no task."""
    assert tasks(None) == []


@pytest.mark.parametrize("kind", [OutboxItem, Event, Mailbox, Seen], ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_tasks_that_follow_from_rows_carry_no_counters(kind: type[Any], data: st.DataObject) -> None:
    """Failures are counted in the row itself, so that a task row that is lost or doubled loses and doubles none."""
    for task in tasks(data.draw(records(kind))):
        assert (task.attempts, task.since, task.looks) == (0, None, 0)


def test_a_crowd_of_one_kind_hides_no_other() -> None:
    """Of due work one of each kind comes in turn, the oldest of each kind first."""
    crowd = [Task(NOW, TaskKind.RETRY_IMPORT, f"AAMk-{number}") for number in range(500)]
    send, sweep = Task(NOW, TaskKind.SEND, "k"), Task(NOW, TaskKind.SWEEP, "")
    taken = in_turn([*crowd, send, sweep])
    assert set(taken[:3]) == {crowd[0], send, sweep}
    assert taken[3:] == crowd[1:]
