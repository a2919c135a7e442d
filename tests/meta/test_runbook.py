"""docs/runbook.md names the commands and the log fields that there are."""

from __future__ import annotations

import argparse
import re

from sandbox.sabotage import SABOTAGES
from shared import ops
from shared.telemetry import ALLOWED
from tests.meta.sources import python_files
from tests.meta.tables import rows

RUNBOOK = "docs/runbook.md"
# A field of the canonical line is set as line["…"] in a trigger, or as fields["…"] where the line is written.
SET = re.compile(r'\b(?:line|fields)\["(\w+)"\]')


def _commands() -> set[str]:
    choosing = [one for one in ops._parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return {f"python -m shared.ops {command}" for one in choosing for command in one.choices}


def test_every_command_is_explained() -> None:
    """Each of the operator's commands has a row, and no other has."""
    assert set(rows(RUNBOOK, "## Commands")) == _commands()


def test_every_log_field_is_explained() -> None:
    """Each field that the canonical line may carry has a row, and no other; unforeseen errors likewise."""
    sources = [path.read_text(encoding="utf-8") for path in python_files("functions", "shared")]
    written = {field for one in sources for field in SET.findall(one)} | {"function"}
    assert set(rows(RUNBOOK, "### invocation.finished")) == written
    assert set(rows(RUNBOOK, "### unexpected")) == {"error", "where"}
    assert written | {"where"} <= ALLOWED


def test_every_sabotage_is_explained() -> None:
    """docs/testing.md has each way to break the product on purpose, with what the story notices."""
    listed = rows("docs/testing.md", "## The story, and sabotage")
    assert set(listed) == {f"make story SABOTAGE={one}" for one in SABOTAGES}
