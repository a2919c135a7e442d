"""Pointers of the documents into code and tests: `path.py:name` and `tests/path.py::test_name`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.meta.sources import ROOT, functions, tracked, tree

IN_CODE = re.compile(r"`([^`]+)`")
PLACE = re.compile(r"(?P<path>[\w./-]+\.\w+)(?::(?P<name>\w+))?")
TEST = re.compile(r"(?P<path>tests/[\w./-]+\.py)::(?P<name>test_\w+)")


@cache
def defined(path: Path) -> set[str]:
    """Functions, methods and classes of a Python file."""
    classes = {node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)}
    return classes | {function.name for function in functions(path)}


def leads_somewhere(pointer: str, form: re.Pattern[str]) -> bool:
    """Whether the file is kept in the repository, and what is named behind it is defined in it."""
    found = form.fullmatch(pointer)
    if found is None or ROOT / found["path"] not in tracked():
        return False
    return found["name"] is None or found["name"] in defined(ROOT / found["path"])


def dead(cell: str, form: re.Pattern[str]) -> list[str]:
    """The pointers in a table's cell that lead nowhere."""
    return [pointer for pointer in IN_CODE.findall(cell) if not leads_somewhere(pointer, form)]
