"""What a start makes of settings, and what it says of the app."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from sandbox.clock import VirtualClock
from sandbox.devhost.child import apply_local_settings, host_id
from sandbox.devhost.console import describe
from sandbox.devhost.context import BadHook, HostContext, run_hooks
from sandbox.devhost.indexing import import_app
from sandbox.devhost.inprocess import build_host
from sandbox.devhost.report import Report, print_report
from tests.devhost.apps import add_route, anonymous_app

told: list[HostContext] = []


def hook(context: HostContext) -> None:
    """A bootstrap hook: keeps what it was told."""
    told.append(context)


def whole_app() -> func.FunctionApp:
    """One function of each kind, and one that clashes."""
    app = anonymous_app()
    add_route(app, "ask", "items/{id}", ["GET", "POST"])
    add_route(app, "guarded", "guarded", auth_level=func.AuthLevel.FUNCTION)
    add_route(app, "late", "guarded")

    @app.queue_trigger(arg_name="msg", queue_name="%JOBS%", connection="DataStorage")
    async def work(msg: func.QueueMessage) -> None:
        """Takes jobs."""

    @app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
    async def tick(timer: func.TimerRequest) -> None:
        """Ticks."""

    return app


def test_settings_of_the_file(tmp_path: Path) -> None:
    """Values of local.settings.json become settings where none is set, and a missing file changes nothing."""
    environ = {"ONE": "set before"}
    apply_local_settings(tmp_path, environ)
    assert environ == {"ONE": "set before"}
    values = {"IsEncrypted": False, "Values": {"ONE": "from the file", "TWO": "2"}, "Host": {"CORS": "*"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(values))
    apply_local_settings(tmp_path, environ)
    assert environ == {"ONE": "set before", "TWO": "2"}


def test_the_host_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The host id is the setting's, or made of machine and folder with at most 32 characters."""
    monkeypatch.delenv("AzureFunctionsWebHost__hostid", raising=False)
    first, second = host_id(tmp_path / "one"), host_id(tmp_path / "other")
    assert first != second
    assert first == host_id(tmp_path / "one")
    assert max(len(first), len(second)) <= 32
    monkeypatch.setenv("AzureFunctionsWebHost__hostid", "mine")
    assert host_id(tmp_path) == "mine"


def test_the_table_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    """The start lists every function with its trigger, disabled ones too, and why one was left out."""
    environ = {"JOBS": "jobs", "AzureWebJobs.tick.Disabled": "true"}
    host_json = {"version": "2.0", "colour": "red"}
    host = build_host(whole_app(), host_json=host_json, environ=environ)
    report = describe(host, environ, 7071)
    print_report(Report.read(json.loads(json.dumps(report.document()))), "localhost")
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Functions at http://localhost:7071" in printed
    assert "http ask GET,POST /api/items/{id}" in printed
    assert "http guarded * /api/guarded function" in printed
    assert "queue work jobs in DataStorage" in printed
    assert "timer tick 0 */5 * * * * disabled" in printed
    assert any(line.startswith("left out: late: ") for line in printed)
    assert any(line.startswith("warning: ") and "colour" in line for line in printed)


def test_disabled_functions_do_not_listen() -> None:
    """Neither a queue nor a timer is watched for a disabled function."""
    environ = {"JOBS": "jobs", "AzureWebJobs.tick.Disabled": "1", "AzureWebJobs_work_Disabled": "true"}
    host = build_host(whole_app(), environ=environ)
    assert (dict(host.processors), dict(host.timers)) == ({}, {})
    host = build_host(whole_app(), environ={"JOBS": "jobs", "AzureWebJobs.tick.Disabled": "false"})
    assert (set(host.processors), set(host.timers)) == ({"work"}, {"tick"})


def test_hooks() -> None:
    """Each named hook is called with clock, group and settings, and a name that is no hook stops the start."""
    told.clear()
    context = HostContext(VirtualClock(), "http", {"A": "1"})
    run_hooks([f"{__name__}:hook"], context)
    assert told == [context]
    for name in (__name__, f"{__name__}:nothing", f"{__name__}:told"):
        with pytest.raises(BadHook):
            run_hooks([name], context)


@pytest.mark.parametrize("name", ["../app.py", "-app.py", "app.txt", ".py", "a b.py"])
def test_names_of_scripts(tmp_path: Path, name: str) -> None:
    """PYTHON_SCRIPT_FILE_NAME must be the plain name of a Python file."""
    with pytest.raises(ValueError, match="Invalid PYTHON_SCRIPT_FILE_NAME"):
        import_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": name})


@pytest.mark.parametrize(("setting", "threads"), [("3", 3), (None, min(32, (os.cpu_count() or 1) + 4))])
def test_threads_for_blocking_functions(setting: str | None, threads: int) -> None:
    """Blocking functions get PYTHON_THREADPOOL_THREAD_COUNT threads, or Python's default."""
    environ = {"PYTHON_THREADPOOL_THREAD_COUNT": setting} if setting else {}
    host = build_host(anonymous_app(), environ=environ)
    pool: Any = host.invoker._threads
    assert pool._max_workers == threads
