"""Habits of this code that a linter does not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, functions, imported, name, python_files, tracked

CODE = [*python_files("functions", "shared", "sandbox", "infra", "function_app.py")]
TESTS = [*python_files("tests")]
MAY_CATCH_ALL = ("functions/boundary.py", "shared/sync/mailbox/failures.py", "sandbox/devhost/")
FUNCTION_LINES = 60
FILE_LINES = 400


def test_functions_are_short() -> None:
    """No function of the code is longer than 60 lines."""
    assert [
        f"{name(path)}:{function.lineno} {function.name}"
        for path in CODE
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ] == []


def test_files_are_short() -> None:
    """No file of the code is longer than 400 lines."""
    assert [
        name(path) for path in CODE if len(path.read_text(encoding="utf-8").splitlines()) > FILE_LINES
    ] == []


def test_everything_is_caught_in_two_places_only() -> None:
    """`except Exception` stands at the boundaries of routes and of work and in the development host, nowhere else."""
    assert [
        f"{name(path)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and _catches_all(node)
        and not name(path).startswith(MAY_CATCH_ALL)
    ] == []


def _catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether it swallows whatever comes; cleaning up and raising again is something else."""
    caught = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {""}
    )
    last = handler.body[-1]
    raised_again = isinstance(last, ast.Raise) and last.exc is None
    return bool(caught & {"", "Exception", "BaseException"}) and not raised_again


def test_the_clock_is_injected() -> None:
    """Rules, use cases and state never ask the machine for the time, for randomness or for sleep."""
    forbidden = {
        "time.time",
        "time.sleep",
        "random",
        "secrets",
        "asyncio.sleep",
        "datetime.now",
        "datetime.utcnow",
    }
    assert [
        f"{name(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path in CODE
        if name(path).startswith(("shared/domain/", "shared/sync/", "shared/state/"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("datetime.") in forbidden
    ] == []


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_every_test_says_what_it_proves(path: Path) -> None:
    """Every test has a docstring that is a sentence."""
    assert [
        f"{function.lineno} {function.name}"
        for function in functions(path)
        if function.name.startswith("test_")
        and not (ast.get_docstring(function) or "").strip().endswith((".", "?"))
    ] == []


def test_no_test_is_skipped_silently() -> None:
    """Every skip or expected failure gives its reason."""
    assert [
        f"{name(path)}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith((".skip", ".skipif", ".xfail"))
        and not (node.args or node.keywords)
    ] == []


def test_triggers_see_azure_functions_alone() -> None:
    """Of Azure's packages triggers import azure.functions alone, and shared/ does not import that one."""
    for path in CODE:
        azure = {module for module in imported(path) if module.split(".")[0] == "azure"}
        functions_only = {module for module in azure if module.startswith("azure.functions")}
        if name(path).startswith("functions/") or name(path) == "function_app.py":
            assert azure == functions_only, name(path)
        elif name(path).startswith("shared/"):
            assert not functions_only, name(path)


def test_the_app_file_only_registers() -> None:
    """function_app.py imports azure.functions and our functions alone, and avoids words that its reader acts upon.

    Azure's worker reads the file as text and looks for another framework in it before it chooses a runtime.
    """
    path = ROOT / "function_app.py"
    text = path.read_text(encoding="utf-8")
    assert imported(path) == {"azure.functions", "functions.BLUEPRINTS"}
    assert len(text.splitlines()) <= 20
    assert "fastapi" not in text.lower()


def test_what_is_deployed_imports_nothing_that_is_left_out() -> None:
    """No deployed file imports what .funcignore leaves out: on Azure it is not there."""
    lines = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    shipped = {line.strip("!/*") for line in lines if line.startswith("!")}
    parts = {line.strip("/*").removesuffix(".py") for line in lines if line.startswith("/") and line != "/*"}
    folders = {name(path).split("/")[0] for path in tracked() if path.parent != ROOT}
    left_out = parts | (folders - shipped)
    assert {"sandbox", "shared/storage/testing", "shared/ops", "tests"} <= left_out
    gone = tuple(f"{part}/" for part in left_out)
    deployed = [path for path in CODE if not f"{name(path).removesuffix('.py')}/".startswith(gone)]
    absent = tuple(f"{part.replace('/', '.')}." for part in left_out)
    assert [
        f"{name(path)} {module}"
        for path in deployed
        for module in imported(path)
        if f"{module}.".startswith(absent)
    ] == []


def test_bodies_of_the_unit_of_work_run_to_their_end() -> None:
    """A change commits when its loop goes on: `return` or `break` in the body would write nothing, silently."""
    found = []
    for path in CODE:
        for loop in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(loop, ast.AsyncFor) and ast.unparse(loop.target) in {"tx", "race"}:
                found += [
                    f"{name(path)}:{node.lineno}"
                    for statement in loop.body
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Return | ast.Break)
                ]
    assert found == []


def test_the_unit_of_work_is_looped_over_by_one_name() -> None:
    """The rule above finds every loop: whoever changes a mailbox calls the transaction `tx`, or `_` in a test."""
    for path in CODE:
        for loop in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(loop, ast.AsyncFor):
                called = ast.unparse(loop.iter).partition("(")[0]
                target = {"change": "tx", "switch": "tx", "changing": "tx", "races": "race"}.get(called)
                assert target in {None, ast.unparse(loop.target)}, f"{name(path)}:{loop.lineno}"
