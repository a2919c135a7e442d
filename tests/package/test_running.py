"""The app as it runs from the package: with Python 3.13 and nothing else on the path."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from statistics import median

import pytest

from tests.meta.sources import ROOT
from tests.meta.triggers import compare
from tests.package.conftest import Workshop

PYTHON_OF_WORKER = ROOT / ".venv313" / "bin" / "python"
RATIO = 2.0
LEAST_PAIRS, MOST_PAIRS = 5, 25
MEASURE = "import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
LIBRARIES = (
    "aiohttp", "azure.data.tables.aio", "azure.identity.aio", "azure.keyvault.keys.crypto.aio",
    "azure.storage.blob.aio", "azure.storage.queue.aio", "cryptography.x509", "httpx", "msal",
    "msgraph.graph_service_client", "msgspec", "nh3", "structlog",
)  # fmt: skip


def run(python: list[str], package: Path, code: str) -> str:
    """The output of Python 3.13 with the package on its path, and neither an environment nor this repository."""
    path = [str(package / ".python_packages/lib/site-packages"), str(package)]
    whole = f"import sys; sys.path[:0] = {path!r}; {code}"
    command = [*python, "-I", "-S", "-B", "-c", whole]
    done = subprocess.run(command, cwd="/", env={"PATH": ""}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_app_is_imported(workshop: Workshop, python313: list[str]) -> None:
    """`import function_app` works with the package alone, and all that is loaded for it lies there."""
    code = (
        "import sys, function_app; own = set(sys.stdlib_module_names) | {'__main__'};"
        "print([m.__file__ for n, m in sys.modules.items() if getattr(m, '__file__', None)"
        " and n.split('.')[0] not in own])"
    )
    files = run(python313, workshop.built.folder, code)
    paths = [Path(each) for each in json.loads(files.replace("'", '"'))]
    assert len(paths) > 100
    assert [each for each in paths if not each.is_relative_to(workshop.built.folder)] == []


def test_every_library_is_imported(workshop: Workshop, python313: list[str]) -> None:
    """The libraries that are loaded at the first call are whole."""
    code = f"import warnings; warnings.simplefilter('ignore'); import {', '.join(LIBRARIES)}; print('whole')"
    assert run(python313, workshop.built.folder, code).strip() == "whole"


def test_importing_the_app_is_quick(workshop: Workshop, python313: list[str]) -> None:
    """In the package, importing function_app costs at most twice the CPU of importing azure.functions alone."""

    def seconds(module: str) -> float:
        return float(run(python313, workshop.built.folder, MEASURE.format(module=module)))

    ratios: list[float] = []
    while len(ratios) < LEAST_PAIRS or (median(ratios) > RATIO and len(ratios) < MOST_PAIRS):
        floor = seconds("azure.functions")
        ratios.append(seconds("function_app") / floor)
    assert median(ratios) <= RATIO


def test_azures_worker_library_finds_every_function(workshop: Workshop, python313: list[str]) -> None:
    """Azure's worker library, given the package alone, finds every function with the bindings that are written down."""
    if not PYTHON_OF_WORKER.exists():
        pytest.skip("the worker library is not installed: `make venv313`")
    command = [str(PYTHON_OF_WORKER), "-B", "-m", "tests.package.isolated", str(workshop.built.folder)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    bindings = json.loads(done.stdout.splitlines()[-1])
    compare(bindings)
    assert len(bindings) == 46


def test_what_the_package_lacks_is_not_found_elsewhere(
    workshop: Workshop, python313: list[str], tmp_path: Path
) -> None:
    """A dependency that is missing in the package is missing, though the environment beside it has it."""
    if not PYTHON_OF_WORKER.exists():
        pytest.skip("the worker library is not installed: `make venv313`")
    folder = tmp_path / "package"
    shutil.copytree(workshop.built.folder, folder)
    shutil.rmtree(folder / ".python_packages/lib/site-packages/werkzeug")
    command = [str(PYTHON_OF_WORKER), "-B", "-m", "tests.package.isolated", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert "No module named 'werkzeug'" in done.stderr
    assert subprocess.run([str(PYTHON_OF_WORKER), "-c", "import werkzeug"], check=False).returncode == 0
