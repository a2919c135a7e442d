"""Run an app that brings its dependencies: with them and Python itself on the import path, and nothing else.

Azure's worker puts `.python_packages/lib/site-packages` of the app's folder first on the path (Azure Functions Python
developer guide, "Python worker dependencies"; azure-functions-python-worker, `dependency.py`). Here the rest is taken
away too: what a deployment package lacks must not be found in a developer's environment.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

SITE_PACKAGES = Path(".python_packages", "lib", "site-packages")
APP_MODULES = frozenset({"function_app", "functions", "shared"})
HOST_MODULES = frozenset({"click", "python_multipart", "starlette", "uvicorn"})
"""What this host needs on top of the app's dependencies."""
LOADED_WITH_PYTHON = frozenset({"_distutils_hack", "_virtualenv", "sitecustomize", "usercustomize"})
"""What an environment may load whenever Python starts in it."""
ENVIRONMENT_FOLDERS = ("site-packages", "dist-packages")


class ForeignModules(Exception):
    """Modules of the app were not loaded from its folder; the message names them."""


def isolate(app_dir: Path, besides: frozenset[str] = HOST_MODULES) -> bool:
    """Let only the app's own dependencies be imported; do nothing and return False when it brings none.

    The top-level modules `besides` may come from this environment. To be called before anything is imported that is
    no part of Python or of this host.
    """
    own = app_dir / SITE_PACKAGES
    if not own.is_dir():
        return False
    environment = [entry for entry in sys.path if Path(entry).name in ENVIRONMENT_FOLDERS]
    here = {"", str(Path.cwd()), str(app_dir), *environment}
    sys.path[:] = [str(own), *(entry for entry in sys.path if entry not in here)]
    sys.meta_path.insert(0, _Only(APP_MODULES, [str(app_dir)]))
    sys.meta_path.append(_Only(besides, environment))
    return True


class _Only:
    """Finds top-level modules of some names in some folders."""

    def __init__(self, names: Iterable[str], folders: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._folders = list(folders)

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's place, or None for the next finder (`importlib.abc.MetaPathFinder`)."""
        if path is not None or name not in self._names:
            return None
        return importlib.machinery.PathFinder.find_spec(name, self._folders)


def check_origins(app_dir: Path, besides: frozenset[str] = HOST_MODULES) -> int:
    """Return how many modules came from the app's folder; raises ForeignModules when one came from another environment.

    Allowed are also Python itself, this host, and the top-level modules `besides`.
    """
    count, foreign = 0, []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if file is None or top in {"sandbox", "__main__", "__mp_main__", *LOADED_WITH_PYTHON, *besides}:
            continue
        path = Path(file).resolve()
        if path.is_relative_to(app_dir):
            count += 1
        elif top in APP_MODULES or any(part in ENVIRONMENT_FOLDERS for part in path.parts):
            foreign.append(f"{name} from {path}")
    if foreign:
        raise ForeignModules(f"not from {app_dir}: {', '.join(sorted(foreign))}")
    return count
