"""Import the product with one mutant's text in place of the source's: `-p tests.mutants.patching` with MUTANT=name."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from tests.mutants.table import MUTANTS, ROOT, Mutant

VARIABLE = "MUTANT"


class Patching(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Finds and loads the modules that a mutant changes."""

    def __init__(self, mutant: Mutant) -> None:
        self.changed = mutant.changed_sources()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only of what is changed."""
        del path, target
        file = f"{fullname.replace('.', '/')}.py"
        if file not in self.changed:
            return None
        return spec_from_loader(fullname, self, origin=str(ROOT / file))

    def get_filename(self, fullname: str) -> str:
        """Where the real source lies."""
        return str(ROOT / f"{fullname.replace('.', '/')}.py")

    def get_data(self, path: Any) -> bytes:
        """The changed source; nothing is written anywhere, and no bytecode is read."""
        file = os.path.relpath(path, ROOT)
        if file not in self.changed:
            raise OSError(path)
        return self.changed[file].encode()


def install() -> None:
    """Let the product be imported as that mutant; too late for what was imported already."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == os.environ[VARIABLE])
    late = [file for file in mutant.changed_sources() if file[:-3].replace("/", ".") in sys.modules]
    if late:
        raise RuntimeError(f"imported before it could be changed: {late}")
    sys.meta_path.insert(0, Patching(mutant))


if os.environ.get(VARIABLE):
    install()
