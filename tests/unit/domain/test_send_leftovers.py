"""What a send that is over leaves behind: drafts that nobody needs, and one that its user may still send (E-11)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.leftovers import TIDY_AFTER, is_left_over, tidy_at
from shared.domain.model import Phase, Reason, Whereabouts
from shared.domain.outbound import may_turn_out_sent
from tests.builders import KEY, NOW, located, outbox_item

DRAFT, DELETED, OUTBOX, SENT = Whereabouts
RECORDED = {"draft_graph_message_id": "AAMk-draft", "draft_internet_message_id": "<draft@x>"}
FAILED, LEFT = Phase.FAILED, Reason.LEFT_IN_DRAFTS
TIDIED = [
    ("sent at once", {"phase": Phase.SENT, "build": 1}, False),
    ("sent after other builds", {"phase": Phase.SENT, "build": 2}, True),
    ("refused", {"phase": FAILED, "build": 1, "reason": Reason.INVALID_RECIPIENT}, True),
    ("never built", {"phase": FAILED, "build": 0, "reason": Reason.ATTACHMENT_NOT_FETCHED}, False),
    ("left in Drafts", {"phase": FAILED, "build": 1, "reason": LEFT}, False),
    ("left in Drafts beside others", {"phase": FAILED, "build": 2, "reason": LEFT}, True),
    ("deleted by the user", {"phase": FAILED, "build": 1, "reason": Reason.CANCELLED_IN_MAILBOX}, False),
    ("disconnected", {"phase": FAILED, "build": 3, "reason": Reason.DISCONNECTED}, False),
    ("another mailbox", {"phase": FAILED, "build": 3, "reason": Reason.MAILBOX_CHANGED}, False),
]  # fmt: skip


@pytest.mark.parametrize(("_case", "changes", "tidies"), TIDIED, ids=[case[0] for case in TIDIED])
def test_a_send_is_tidied_up_after_where_drafts_may_be_left(
    _case: str, changes: dict[str, Any], *, tidies: bool
) -> None:
    """A finished send is tidied up after only when it may have left drafts (E-11)."""
    assert tidy_at(outbox_item(**changes), NOW) == (NOW + TIDY_AFTER if tidies else None)


OTHER = {"is_draft": True, "key": KEY, "graph_message_id": "AAMk-other", "internet_message_id": "<other@x>"}
OWN = {**OTHER, "graph_message_id": "AAMk-draft", "internet_message_id": "<draft@x>"}
LEFT_OVERS = [
    ("a draft of another build", DRAFT, OTHER, True, True),
    ("without our key", DRAFT, {**OTHER, "key": None}, False, False),
    ("with another key", DRAFT, {**OTHER, "key": "0" * 64}, False, False),
    ("not a draft", DRAFT, {**OTHER, "is_draft": False}, False, False),
    ("sent", SENT, OTHER, False, False),
    ("on its way", OUTBOX, OTHER, False, False),
    ("deleted already", DELETED, OTHER, False, False),
    ("the recorded draft", DRAFT, OWN, False, True),
    ("the recorded draft under another id", DRAFT, {**OWN, "graph_message_id": "AAMk-9"}, False, True),
    ("the recorded draft with another Message-ID", DRAFT, {**OWN, "internet_message_id": "<9@x>"}, False, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("_case", "where", "seen", "after_sent", "after_refusal"),
    LEFT_OVERS,
    ids=[case[0] for case in LEFT_OVERS],
)
def test_only_drafts_of_ours_that_nobody_needs_are_left_over(
    _case: str, where: Whereabouts, seen: dict[str, Any], *, after_sent: bool, after_refusal: bool
) -> None:
    """Only a draft with our key is deleted, and the recorded one only when Microsoft refused the send."""
    draft = located(where, **seen)
    assert is_left_over(outbox_item(phase=Phase.SENT, **RECORDED), draft) is after_sent
    assert is_left_over(outbox_item(phase=FAILED, reason=LEFT, **RECORDED), draft) is after_sent
    refused = outbox_item(phase=FAILED, reason=Reason.INVALID_RECIPIENT, **RECORDED)
    assert is_left_over(refused, draft) is after_refusal


@pytest.mark.parametrize("phase", Phase)
def test_what_is_over_stays_as_it_is_told(phase: Phase) -> None:
    """A copy that is seen is the truth, whatever was told before; a second one of a send changes nothing."""
    for reason in Reason:
        assert may_turn_out_sent(outbox_item(phase=phase, reason=reason)) is (phase is not Phase.SENT)
