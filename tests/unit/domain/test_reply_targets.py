"""What a CRM reply answers, when it waits for it, and under which id it is found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from shared.domain.model import OutboxItem, Phase, Thread, Whereabouts
from shared.domain.reply_targets import original_after_move, wait_until
from shared.domain.threads import with_newest
from tests.builders import NOW, later, located, outbox_item, thread

OPENING = outbox_item(phase=Phase.SUBMITTED)
REPLY = outbox_item(key="b" * 64, created_at=later(seconds=5), reply=True)


def must_wait(reply: OutboxItem, known: Thread | None, others: list[OutboxItem]) -> bool:
    return wait_until(reply, known, others, NOW, grant_dead=False) is not None


def told(known: Thread) -> tuple[str | None, str | None, datetime | None]:
    return known.newest_graph_message_id, known.newest_internet_message_id, known.newest_at


def test_the_newest_message_is_the_one_to_answer_in_whatever_order_they_are_seen() -> None:
    """A thread's newest message is that with the latest time, in whatever order messages are seen."""
    seen = [
        ("ours", "<1@x>", NOW),
        ("theirs", "<2@x>", later(seconds=20)),
        ("later", None, later(seconds=40)),
    ]
    for order in permutations(seen):
        known = thread()
        for message in order:
            known = with_newest(known, *message)
        assert told(known) == ("later", None, later(seconds=40))


def test_of_two_messages_of_one_moment_the_one_seen_last_is_answered() -> None:
    """Of two messages of the same second the one seen last is the newest."""
    assert told(with_newest(with_newest(thread(), "1", "<1@x>", NOW), "2", "<2@x>", NOW))[0] == "2"


WAITS = {Phase.NEW, Phase.BUILDING, Phase.SENDING, Phase.SUBMITTED}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("known", [None, thread()], ids=["no thread yet", "nothing synced yet"])
def test_a_reply_waits_for_what_it_answers(phase: Phase, known: Thread | None) -> None:
    """A reply waits while the thread's first send is on its way, and no longer when it failed or is unknown."""
    assert must_wait(REPLY, known, [replace(OPENING, phase=phase)]) is (phase in WAITS)


def test_a_reply_to_something_known_never_waits() -> None:
    """A reply in a thread with a known newest message never waits."""
    assert not must_wait(REPLY, thread(newest_graph_message_id="AAMk-1"), [OPENING])


@pytest.mark.parametrize(
    "changes",
    [
        {"thread_id": "thr_other"},
        {"generation": 2},
        {"created_at": later(seconds=6)},
        {"key": REPLY.key, "created_at": REPLY.created_at},
    ],
    ids=["another thread", "another connection", "later", "the reply itself"],
)
def test_nothing_else_is_waited_for(changes: dict[str, Any]) -> None:
    """A reply does not wait for itself, nor for sends of other threads, other generations or later times."""
    assert not must_wait(REPLY, None, [replace(OPENING, **changes)])


def test_two_replies_of_one_moment_do_not_wait_for_each_other() -> None:
    """Of two replies of the same moment exactly one waits for the other."""
    first, second = (outbox_item(key=key * 64, created_at=NOW, reply=True) for key in "ab")
    pairs: list[tuple[OutboxItem, OutboxItem]] = [(first, second), (second, first)]
    assert sorted(must_wait(mine, None, [theirs]) for mine, theirs in pairs) == [False, True]


@pytest.mark.parametrize(
    ("due_at", "grant_dead", "until"),
    [
        (later(days=1), False, later(seconds=30)),
        (later(days=1), True, later(days=1)),
        (later(seconds=5), True, later(seconds=30)),
        (None, True, later(seconds=30)),
    ],
)
def test_a_reply_looks_again_soon_unless_nothing_can_move(
    due_at: datetime | None, until: datetime, *, grant_dead: bool
) -> None:
    """A waiting reply looks again after 30 seconds. While the consent is dead it waits as long as what it answers."""
    opening = replace(OPENING, due_at=due_at)
    assert wait_until(REPLY, None, [opening], NOW, grant_dead=grant_dead) == until


KNOWN = thread(newest_internet_message_id="<b7@fabrikam.example>", conversation_ids=("conv-1",))
MOVED = [
    ("it has another id now", {"graph_message_id": "new"}, Whereabouts.SENT, "new"),
    ("a draft", {}, Whereabouts.DRAFT, None),
    ("a deleted draft", {}, Whereabouts.DELETED_DRAFT, None),
    ("another conversation, so another mail", {"conversation_id": "conv-2"}, Whereabouts.SENT, None),
    ("no conversation", {"conversation_id": None}, Whereabouts.SENT, None),
    ("its Message-ID but for case", {"internet_message_id": "<B7@fabrikam.example>"}, Whereabouts.SENT, None),
]


@pytest.mark.parametrize(("_case", "changes", "where", "found"), MOVED, ids=[case[0] for case in MOVED])
def test_what_moved_is_found_by_message_id_within_its_conversation(
    _case: str, changes: dict[str, Any], where: Whereabouts, found: str | None
) -> None:
    """A moved original is found by its Message-ID only as sent mail of a known conversation (R4)."""
    assert original_after_move(KNOWN, [located(where, **changes)]) == found
