"""Write the requirement locks from pyproject.toml with uv, or check offline whether they are current.

    python scripts/lock.py            resolve again and write the files
    python scripts/lock.py --check    compare only the digest in their headers; needs no network

The locks hold versions, markers and hashes and no index address, so they install from any mirror.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGEST_MARK = "# dependencies: sha256:"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file: its dependency group, the oldest Python, and the locks it is installed on top of."""

    file: str
    title: str
    group: str | None
    oldest_python: str = "3.11"
    on_top_of: tuple[str, ...] = ()


LOCKS = (
    Lock("requirements.txt", "What the deployed app needs.", None),
    Lock(
        "requirements-dev.txt",
        "What tests, tools and the local world need on top.",
        "dev",
        "3.11",
        ("requirements.txt",),
    ),
    Lock(
        "requirements-worker.txt",
        "Azure's worker library (Python 3.13 and newer), on top, for one test.",
        "worker",
        "3.13",
        ("requirements.txt", "requirements-dev.txt"),
    ),
    Lock(
        "requirements-telemetry.txt",
        "For `scripts/package.py --telemetry`, on top of what is deployed.",
        "telemetry",
        "3.11",
        ("requirements.txt",),
    ),
)


def digest(lock: Lock) -> str:
    """SHA-256 over everything in pyproject.toml that this lock depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    table = project["project"]
    asked = [
        table["requires-python"],
        table["dependencies"],
        project["dependency-groups"].get(lock.group or "", []),
    ]
    if lock.group == "telemetry":
        asked.append(project["tool"]["uv"]["override-dependencies"])  # they are about this group's packages
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def blocks(text: str) -> list[str]:
    """The requirements of a lock, each with its hash lines, without comments."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith((" ", "\t")):
            found[-1] += line
        elif line.strip() and not line.startswith("#"):
            found.append(line)
    return found


def resolve(lock: Lock) -> str:
    """Resolve with uv and return the lock's text; versions of lower locks are kept and not repeated."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        sys.exit("uv is missing: run `make setup` first")
    source = ["pyproject.toml"] if lock.group is None else ["--group", lock.group, "pyproject.toml"]
    lower = [block for file in lock.on_top_of for block in blocks((ROOT / file).read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock.txt"
        current = ROOT / lock.file
        if current.exists() and "--upgrade" not in sys.argv:
            shutil.copy(current, out)
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", lock.oldest_python]
        command += ["--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"]
        command += [argument for file in lock.on_top_of for argument in ("--constraint", file)]
        if "--upgrade" in sys.argv:
            command.append("--upgrade")
        subprocess.run(
            [*command, *source, "--output-file", str(out)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        fresh = blocks(out.read_text(encoding="utf-8"))
    head = (
        f"# {lock.title} Made by `make lock` from pyproject.toml: do not edit.\n{DIGEST_MARK}{digest(lock)}\n"
    )
    return head + "".join(block for block in fresh if block not in lower)


def is_current(lock: Lock) -> bool:
    """Whether the file was made from the present dependency tables."""
    path = ROOT / lock.file
    return path.exists() and f"{DIGEST_MARK}{digest(lock)}" in path.read_text(encoding="utf-8")


def main() -> int:
    """Check or write the locks; return the exit code."""
    if "--check" in sys.argv:
        stale = [lock.file for lock in LOCKS if not is_current(lock)]
        for file in stale:
            print(f"{file} is out of date with pyproject.toml: run `make lock`")
        return 1 if stale else 0
    for lock in LOCKS:
        (ROOT / lock.file).write_text(resolve(lock), encoding="utf-8")
        print(f"{lock.file}: {len(blocks((ROOT / lock.file).read_text(encoding='utf-8')))} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
