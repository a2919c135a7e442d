"""Which files of a folder azd puts into its zip: a port of what decides it, in few lines.

Facts: Azure/azure-dev, `pkg/project/project_utils.go` (`createDeployableZip`) and `pkg/rzip/rzip.go`; the patterns are
matched by denormal/go-gitignore, `pattern.go` (`name`, `path` and `wildcard`). It asks for each entry by itself which
pattern is the last that matches, and walks into no folder that is ignored. Unlike git, an anchored pattern without a
further slash (`/*`) lets `*` match slashes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

IGNORE_FILE = ".funcignore"
NEVER_FILES = {IGNORE_FILE, "local.settings.json"}
NEVER_FOLDERS = {".azure"}


@dataclass(frozen=True)
class Pattern:
    """A line of an ignore file."""

    text: str
    negated: bool
    anchored: bool
    folders_only: bool

    @classmethod
    def read(cls, line: str) -> Pattern:
        text = line.removeprefix("!")
        core = text.removeprefix("/").removesuffix("/")
        return cls(core, line.startswith("!"), text.startswith("/"), text.endswith("/"))

    def matches(self, name: str, *, folder: bool) -> bool:
        if self.folders_only and not folder:
            return False
        if "**" in self.text:
            start = [] if self.anchored or self.text.startswith("**") else ["**"]
            return _matches_parts(name.split("/"), [*start, *self.text.split("/")])
        if "/" in self.text:
            depth = self.text.count("/") + 1
            part = name if self.anchored else "/".join(name.split("/")[-depth:])
            return _fnmatch(self.text, part, slashes=False)
        return _fnmatch(self.text, name if self.anchored else name.rpartition("/")[2], slashes=True)


def _matches_parts(parts: Sequence[str], tokens: Sequence[str]) -> bool:
    if not tokens:
        return not parts
    if tokens[0] == "**":
        return _matches_parts(parts, tokens[1:]) or (bool(parts) and _matches_parts(parts[1:], tokens))
    return (
        bool(parts) and _fnmatch(tokens[0], parts[0], slashes=False) and _matches_parts(parts[1:], tokens[1:])
    )


def _fnmatch(pattern: str, name: str, *, slashes: bool) -> bool:
    """POSIX `fnmatch` as far as our patterns need it: `*` and plain characters."""
    assert not set(pattern) & set("?[]\\"), "write this port's missing part first"
    anything = ".*" if slashes else "[^/]*"
    return (
        re.fullmatch(anything.join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL)
        is not None
    )


def zipped(root: Path) -> list[str]:
    """The names of all files that azd would zip of this folder, sorted."""
    lines = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    patterns = [Pattern.read(line) for line in lines if line and not line.startswith("#")]
    return sorted(_walk(root, root, patterns))


def _walk(root: Path, folder: Path, patterns: Sequence[Pattern]) -> Iterator[str]:
    for path in folder.iterdir():
        name, is_folder = path.relative_to(root).as_posix(), path.is_dir()
        last = next((p for p in reversed(patterns) if p.matches(name, folder=is_folder)), None)
        if path.name in (NEVER_FOLDERS if is_folder else NEVER_FILES) or (last and not last.negated):
            continue
        if is_folder:
            yield from _walk(root, path, patterns)
        else:
            yield name
