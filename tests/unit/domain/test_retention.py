"""How long words and files are kept, and when to look for what is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import Phase, Reason
from shared.domain.retention import content_until, is_needed, next_look
from shared.sync.events.announce import LINK_FOR
from tests.builders import NOW, event, later, outbox_item

SPANS = st.timedeltas(timedelta(0), timedelta(days=60))


@pytest.mark.parametrize(
    ("delivered_after", "days"),
    [(timedelta(0), 7), (timedelta(days=3), 10), (timedelta(days=30), 35), (None, 35)],
)
def test_content_is_kept_a_week_once_told(delivered_after: timedelta | None, days: int) -> None:
    """Content is kept a week after its delivery, and five weeks at most or when it was never delivered."""
    delivered_at = NOW + delivered_after if delivered_after is not None else None
    assert content_until(event(delivered_at=delivered_at)) == later(days=days)


@given(SPANS)
def test_links_never_outlive_what_they_lead_to(delay: timedelta) -> None:
    """Content is kept at least as long as the links in its event are good."""
    assert content_until(event(delivered_at=NOW + delay)) >= NOW + LINK_FOR


@pytest.mark.parametrize(
    ("phase", "reason", "needed"),
    [
        (Phase.NEW, None, True),
        (Phase.BUILDING, None, True),
        (Phase.SENDING, None, True),
        (Phase.SUBMITTED, None, True),
        (Phase.NEEDS_ATTENTION, Reason.OUTCOME_UNKNOWN, True),
        (Phase.FAILED, Reason.LEFT_IN_DRAFTS, True),
        (Phase.FAILED, Reason.INVALID_RECIPIENT, False),
        (Phase.SENT, None, False),
    ],
)
def test_a_send_needs_its_body_while_it_may_leave(
    phase: Phase, reason: Reason | None, *, needed: bool
) -> None:
    """A send needs its body while it may leave, also when its draft was left for its user."""
    assert is_needed(outbox_item(phase=phase, reason=reason)) is needed


def test_the_next_look_is_when_something_ends() -> None:
    """The next look for expired content is when the first of it ends, between a day and a week from now."""
    assert next_look(NOW, None, None) == later(days=7)
    assert next_look(NOW, later(days=3), None) == later(days=3)
    assert next_look(NOW, later(days=3), later(days=2)) == later(days=2)
    assert next_look(NOW, None, later(days=30)) == later(days=7)
    assert next_look(NOW, later(minutes=5), None) == later(days=1)
