"""docs/problems.md explains every problem and every reason, and nothing that is not there."""

from __future__ import annotations

import re

from shared.domain.model import Reason, Trouble
from shared.domain.reasons import TROUBLE_TEXTS
from shared.problem import TABLE, TYPE_BASE, UNEXPECTED
from tests.meta.sources import ROOT
from tests.meta.tables import rows, section

DOCUMENT = "docs/problems.md"


def test_every_problem_is_explained() -> None:
    """docs/problems.md has each type of problem with its status, and no other."""
    listed = {name: int(cells[0]) for name, cells in rows(DOCUMENT, "## Problems").items()}
    assert listed == {slug: status for _, slug, _, status in (*TABLE, (None, *UNEXPECTED))}
    assert f"`{TYPE_BASE}`" in section(DOCUMENT, "## Problems")


def test_every_reason_is_explained() -> None:
    """docs/problems.md has one row for each reason, with meaning and remedy, and no other."""
    listed = rows(DOCUMENT, "## Reasons")
    assert set(listed) == {reason.value for reason in Reason}
    assert [name for name, cells in listed.items() if len(cells) != 2 or not all(cells)] == []


def test_reasons_of_files_are_named_where_mails_are_explained() -> None:
    """docs/problems.md names every reason of files that can keep a mail from syncing."""
    text = section(DOCUMENT, "### Of a mail that does not sync")
    named = set(re.findall(r"`(attachment_\w+|too_many_attachments)`", text))
    source = (ROOT / "shared/domain/attachments.py").read_text(encoding="utf-8")
    judging = "".join(
        (ROOT / path).read_text(encoding="utf-8")
        for path in ("shared/sync/inbound/judge_files.py", "shared/file_contents/judging.py")
    )
    inbound = source.replace("ATTACHMENTS_TOO_LARGE_TOGETHER", "")  # of sends alone
    used = re.findall(r"Reason\.((?:ATTACHMENT|TOO_MANY)\w+)", inbound + judging)
    assert named == {Reason[reason].value for reason in used}


def test_every_trouble_of_a_connection_is_explained() -> None:
    """docs/problems.md has one row for each reason of a connection, and each has a sentence for people."""
    assert set(rows(DOCUMENT, "## Connections")) == {trouble.value for trouble in Trouble}
    assert set(TROUBLE_TEXTS) == set(Trouble)
    assert all(text[0].isupper() and text.endswith(".") for text in TROUBLE_TEXTS.values())
