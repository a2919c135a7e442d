"""docs/runbook.md names the commands and the log lines that there are."""

from __future__ import annotations

import argparse
import ast
import re

from sandbox.sabotage import SABOTAGES
from shared import ops
from shared.telemetry import ALLOWED
from tests.meta.sources import python_files, tree
from tests.meta.tables import rows, section

RUNBOOK = "docs/runbook.md"
# A field of the canonical line is set as line["…"] in a trigger, or as fields["…"] where the line is written.
SET = re.compile(r'\b(?:line|fields)\["(\w+)"\]')


def _commands() -> set[str]:
    choosing = [action for action in ops._parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {f"python -m shared.ops {command}" for action in choosing for command in action.choices}


def test_every_command_is_explained() -> None:
    """docs/runbook.md has a row for each of the operator's commands, and no other."""
    assert set(rows(RUNBOOK, "## Commands")) == _commands()


def written_lines() -> dict[str, set[str]]:
    """Every line of the log with the fields that are passed to it by name."""
    found: dict[str, set[str]] = {}
    for path in python_files("functions", "shared"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"log.info", "log.error"}:
                event = ast.literal_eval(node.args[0])
                found.setdefault(event, set()).update(keyword.arg for keyword in node.keywords if keyword.arg)
    return found


def test_every_log_line_is_explained() -> None:
    """docs/runbook.md has a table for each log line with the fields that it may carry, and no other."""
    lines = written_lines()
    sources = [path.read_text(encoding="utf-8") for path in python_files("functions", "shared")]
    lines["invocation.finished"] |= {field for source in sources for field in SET.findall(source)}
    headings = re.findall(r"^### (.+)$", section(RUNBOOK, "## Log lines"), re.MULTILINE)
    assert {heading: set(rows(RUNBOOK, f"### {heading}")) for heading in headings} == lines
    assert set().union(*lines.values()) <= ALLOWED


def test_every_sabotage_is_explained() -> None:
    """docs/testing.md has each way to break the product on purpose, and no other."""
    listed = rows("docs/testing.md", "## The story, and sabotage")
    assert set(listed) == {f"make story SABOTAGE={sabotage}" for sabotage in SABOTAGES}
