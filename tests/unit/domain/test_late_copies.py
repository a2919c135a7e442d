"""A sent copy that is seen late: since when answers to it may have been taken for foreign mail."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.domain.model import Outline
from shared.domain.outbound import answers_unknown_since
from tests.builders import NOW, outbox_item

LONG_AGO = NOW - timedelta(days=60)
HOUR_AGO = NOW - timedelta(hours=1)
OVERLAP = timedelta(minutes=10)
CASES: list[tuple[str, str | None, datetime | None, datetime | None]] = [
    ("sent at once, seen late", "<new@x>", LONG_AGO, LONG_AGO),
    ("nobody knows when it left", "<new@x>", None, LONG_AGO),
    ("left as a draft, sent by the user an hour ago", "<new@x>", HOUR_AGO, HOUR_AGO - OVERLAP),
    ("sent by the user just now", "<new@x>", NOW, None),
    ("it kept its name", "<draft@x>", HOUR_AGO, None),
    ("it has no name", None, HOUR_AGO, None),
]


@pytest.mark.parametrize(("name", "left_at", "since"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_answers_cannot_be_older_than_what_they_answer(
    name: str | None, left_at: datetime | None, since: datetime | None
) -> None:
    """When a sent copy is seen late, answers to it are looked for since it left, and not since the send began."""
    item = outbox_item(send_started_at=LONG_AGO, draft_internet_message_id="<draft@x>")
    copy = Outline("id", name, "conv", is_draft=False, received_at=left_at)
    assert answers_unknown_since(item, copy, NOW) == since
