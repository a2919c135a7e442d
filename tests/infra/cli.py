"""Microsoft's Bicep CLI, where it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

HOW = "set BICEP to the Bicep CLI, or put `bicep` on PATH (https://github.com/Azure/bicep/releases)"
MADE_UP = (
    "--subscription-id=00000000-0000-0000-0000-000000000001",
    "--tenant-id=00000000-0000-0000-0000-000000000002",
    "--location=westeurope",
)


def find_cli() -> str | None:
    """The variable BICEP, `bicep` on PATH, or a tool that lies beside the repository."""
    beside = ROOT.parent / "shared/tools/bicep"
    return os.environ.get("BICEP") or shutil.which("bicep") or (str(beside) if beside.exists() else None)


def needs_cli() -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_cli() is None, reason=f"the Bicep CLI is not here: {HOW}")


@cache
def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the CLI says; it ends with 0 even when it has findings, so read stderr."""
    cli = find_cli()
    assert cli, HOW
    # Without it the CLI asks for a library of languages that small machines lack.
    environ = {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    command = [cli, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=120
    )
