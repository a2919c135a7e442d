"""Runs the hooks in this process against the fake `az` and `azd`."""

from __future__ import annotations

import importlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.meta.sources import ROOT

HOOKS = ROOT / "infra/hooks"
FAKE = Path(__file__).with_name("fake_cloud.py")
ENVIRONMENT = {
    "AZURE_ENV_NAME": "dev",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
}
PROVISIONED = {
    "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
    "AZURE_RESOURCE_GROUP": "rg-dev",
    "AZURE_PRINCIPAL_ID": "44444444-4444-4444-4444-444444444444",
    "SERVICE_API_NAME": "func-abc",
    "PUBLIC_BASE_URL": "https://func-abc.westeurope-01.azurewebsites.net",
    "IDENTITY_PRINCIPAL_ID": "33333333-3333-3333-3333-333333333333",
    "DATA_STORAGE_BLOB_URI": "https://stdata.blob.core.windows.net/",
}


def load(name: str) -> ModuleType:
    """A module of the hooks' folder, found as when azd runs a hook as a file."""
    if str(HOOKS) not in sys.path:
        sys.path.insert(0, str(HOOKS))
    return importlib.import_module(name)


class Cloud:
    """The fake cloud's folder: programs, state, and the azd environment as the next hook would get it."""

    def __init__(self, folder: Path, blank: dict[str, Any]) -> None:
        self.folder = folder
        self.file = folder / "state.json"
        self.environ: dict[str, str] = {**ENVIRONMENT}
        self.slept: list[float] = []
        self.file.write_text(json.dumps(blank), encoding="utf-8")
        for program in ("az", "azd"):
            script = folder / program
            script.write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -IS "{FAKE}" "{self.file}" {program} "$@"\n',
                encoding="utf-8",
            )
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return state

    def set(self, **values: Any) -> None:
        self.file.write_text(json.dumps({**self.state, **values}), encoding="utf-8")

    @contextmanager
    def writes(self) -> Iterator[list[Any]]:
        """What is written within, filled at its end."""
        before, seen = len(self.state["writes"]), list[Any]()
        yield seen
        seen += self.state["writes"][before:]

    def variables(self) -> dict[str, str]:
        """What azd hands to a hook: the process's environment and its own."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {**self.environ, **self.state["variables"], "PATH": path}

    def run(self, name: str, *arguments: str, work: Callable[..., None] | None = None) -> int:
        """Run a hook; its exit code."""
        hook, start = load(name), load("deployment.run")
        works = {
            "preprovision": "before_provision",
            "postprovision": "after_provision",
            "postdeploy": "after_deploy",
        }
        code: int = start.run(
            name,
            work or getattr(hook, works[name]),
            list(arguments),
            environ=self.variables(),
            sleep=self.slept.append,
        )
        return code
