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
    "cryptography",
    "httpx",
    "kiota_abstractions",
    "msal",
    "msgraph",
    "pytest",
    "requests",
    "sandbox",
)
RATIO = 2.0
FIRST_CALL_SECONDS = 0.05
# Packages of the development group that httpx and structlog load when they find them; on Azure they are not there.
NOT_DEPLOYED = ("click", "pygments", "rich")
AS_DEPLOYED = f"import sys; sys.modules.update(dict.fromkeys({NOT_DEPLOYED!r}))"
MEASURE = (
    AS_DEPLOYED + "; import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
)


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


SERVICES = f"""
{AS_DEPLOYED}
import base64, os, tempfile, time
import function_app
from shared.bootstrap import services
key = tempfile.NamedTemporaryFile()
key.write(os.urandom(32))
key.flush()
text = "0123456789" * 4
address = "http://127.0.0.1:1/devstoreaccount1"
storage = f"AccountName=devstoreaccount1;AccountKey=a2V5;TableEndpoint={{address}};QueueEndpoint={{address}}"
os.environ.update(
    PROFILE="local", PUBLIC_BASE_URL="http://localhost:7071", DataStorage=storage, ENTRA_CLIENT_ID="app",
    ENTRA_CLIENT_SECRET=text, ENTRA_AUTHORITY="https://localhost/common", GRAPH_BASE_URL="https://localhost/v1.0",
    SEALING_KEY_FILE=key.name, GRAPH_WEBHOOK_SECRET=text, CLIENT_STATE_KEYS=text, API_KEY_PEPPER=text,
    LINK_SIGNING_KEYS=text,
)
begun = time.perf_counter()
services()
print(time.perf_counter() - begun)
"""


def test_building_the_services_loads_no_storage_sdk() -> None:
    """A webhook call, which touches no store itself, does not wait for the storage SDKs or the Graph client."""
    late = [one for one in HEAVY if one not in {"cryptography", "httpx"}]
    printed = run(f"{SERVICES}\nprint([m for m in {late!r} if m in sys.modules])")
    assert printed.splitlines()[-1] == "[]"


def test_building_the_services_is_quick() -> None:
    """The first call of a fresh process pays at most 50 ms for the services (best of five)."""
    assert min(float(run(SERVICES)) for _ in range(5)) <= FIRST_CALL_SECONDS


def test_importing_the_app_is_quick() -> None:
    """Importing function_app takes at most twice as long as importing azure.functions alone (CPU, best of nine)."""
    ours = min(float(run(MEASURE.format(module="function_app"))) for _ in range(9))
    floor = min(float(run(MEASURE.format(module="azure.functions"))) for _ in range(9))
    assert ours <= RATIO * floor, f"{ours * 1000:.0f} ms against {floor * 1000:.0f} ms"
