"""What starting the app costs: every cold start on Azure pays it."""

from __future__ import annotations

import subprocess
import sys

from tests.meta.sources import ROOT

HEAVY = (
    "aiohttp",
    "azure.data.tables",
    "azure.identity",
    "azure.storage.blob",
    "azure.storage.queue",
    "kiota_abstractions",
    "msal",
    "msgraph",
    "nh3",
    "pytest",
    "requests",
    "sandbox",
)
RATIO = 2.0
MEASURE = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


def run(code: str) -> str:
    """The output of a fresh interpreter in the app's folder, with no settings at all."""
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_importing_the_app_loads_nothing_heavy() -> None:
    """The SDKs, MSAL and the Graph client are loaded by the first call that needs them."""
    code = f"import sys, function_app; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run(code).strip() == "[]"


def test_importing_the_app_needs_no_settings() -> None:
    """Without a single setting the app still indexes: a setting missing at import would make every function vanish."""
    assert run("import function_app; print(function_app.app is not None)").strip() == "True"


def test_importing_the_app_is_quick() -> None:
    """Importing function_app takes at most twice as long as importing azure.functions alone (best of seven)."""
    ours = min(float(run(MEASURE.format(module="function_app"))) for _ in range(7))
    floor = min(float(run(MEASURE.format(module="azure.functions"))) for _ in range(7))
    assert ours <= RATIO * floor, f"{ours * 1000:.0f} ms against {floor * 1000:.0f} ms"
