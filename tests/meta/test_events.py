"""docs/events.md says what the CRM is told, and when it is told again."""

from __future__ import annotations

from shared.domain.model import MessageKind
from shared.domain.retries import CRM_JITTER, CRM_SCHEDULE_SECONDS
from shared.sync.events import announce
from tests.functions.contract import DOCUMENT as CONTRACT
from tests.meta.tables import rows, section

DOCUMENT = "docs/events.md"


def _in_words(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def test_every_event_is_explained() -> None:
    """docs/events.md has a row for each type of event that can be recorded, and no other."""
    assert set(rows(DOCUMENT, "## Types")) == set(announce.TYPES)


def test_every_kind_of_mail_is_explained() -> None:
    """docs/events.md has a row for each kind of mail, and no other; the contract names the same."""
    assert set(rows(DOCUMENT, "## Kinds of mail")) == set(MessageKind)
    assert CONTRACT["components"]["schemas"]["MessageKind"]["enum"] == list(MessageKind)


def test_the_schedule_is_the_one_in_force() -> None:
    """docs/events.md gives the waits between attempts, and their spread, as they are in force."""
    text = section(DOCUMENT, "## Answering")
    assert ", ".join(_in_words(wait) for wait in CRM_SCHEDULE_SECONDS) in text
    assert f"{CRM_JITTER:.0%}".replace("%", " %") in text
