"""Rules that once stood in several places stand in one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.meta.sources import name, tracked

STAMPS = "shared/domain/stamps.py"
# Graph's own form of a time, for its requests.
OTHER_FORMS = {"shared/graph/mapping.py", "shared/graph/subscribing.py"}


def product() -> Iterator[tuple[str, Path]]:
    for path in tracked():
        where = name(path)
        if path.suffix == ".py" and where.split("/")[0] in {"shared", "functions"}:
            yield where, path


def test_the_form_of_a_stamp_is_written_once() -> None:
    """Row keys, references to events and cursors sort by one form of time: `shared.domain.stamps` has it."""
    found = {
        where
        for where, path in product()
        if any(
            form in path.read_text(encoding="utf-8")
            for form in ("%Y%m%dT", r"\d{8}T", "strftime", "strptime")
        )
    }
    assert found - OTHER_FORMS == {STAMPS}


def _is_message_id(node: ast.expr) -> bool:
    called = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return called.endswith("internet_message_id")


def test_message_ids_are_compared_in_their_normal_form() -> None:
    """Programs write one Message-ID in several ways: a comparison goes by `is_same_message_id` or the normal form."""
    found = []
    for where, path in product():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare) or isinstance(node.ops[0], ast.Is | ast.IsNot):
                continue
            if any(_is_message_id(side) for side in (node.left, *node.comparators)):
                found.append(f"{where}:{node.lineno}")
    assert found == []
