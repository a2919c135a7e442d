"""Find the programs that build the deployment package: uv, and a Python of the version that Azure runs.

Used by `scripts/package.py`. Needs nothing but the standard library: azd calls it on the machine of whoever deploys.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_LOCK = "requirements-dev.txt"
"""The lock that pins uv."""
INDEX_SETTINGS = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_CONFIG_FILE")


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, *, text: str | None = None
) -> None:
    """Run a command, with `text` as its input; exits with its error output when it fails."""
    done = subprocess.run(
        list(command),
        env=environment,
        input=text,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed:\n{(done.stderr or done.stdout)[-4000:]}")


@contextmanager
def uv() -> Iterator[list[str]]:
    """The command of uv: on PATH, beside this Python, or the one we lock in a temporary environment."""
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    found = shutil.which("uv") or beside
    if found is not None:
        yield [found]
    elif succeeds([sys.executable, "-m", "uv", "--version"]):
        yield [sys.executable, "-m", "uv"]
    else:
        with tempfile.TemporaryDirectory(prefix="uv-") as folder:
            yield [_install_uv(Path(folder))]


def _install_uv(folder: Path) -> str:
    """Make a virtual environment with the uv of our lock; its hash is checked."""
    print("no uv here: installing the one we lock into a temporary environment", file=sys.stderr)
    run([sys.executable, "-m", "venv", str(folder)])
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = folder / "uv.txt"
    lock.write_text(locked_uv((ROOT / UV_LOCK).read_text(encoding="utf-8")), encoding="utf-8")
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)])
    return str(shutil.which("uv", path=str(python.parent)))


def locked_uv(lock: str) -> str:
    """The lines of a lock's text that pin uv and its hashes; exits when it does not pin uv."""
    found = re.search(r"^uv==[^\n]*(\n[ \t][^\n]*)*\n", lock, re.MULTILINE)
    if found is None:
        sys.exit(f"{UV_LOCK} does not pin uv")
    return found.group()


def uv_environment() -> dict[str, str]:
    """This process's environment, with the index of pip's settings where uv, which does not read them, has none."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)
    environment.setdefault("UV_HTTP_TIMEOUT", "120")
    if not any(environment.get(name) for name in INDEX_SETTINGS):
        asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        done = subprocess.run(asked, check=False, capture_output=True, text=True)
        index = os.environ.get("PIP_INDEX_URL") or done.stdout.strip()
        if index:
            environment["UV_DEFAULT_INDEX"] = index
    return environment


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command can be run and ends well."""
    try:
        return subprocess.run(list(command), check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def find_python(version: str, given: str | None = None) -> list[str] | None:
    """The command of a Python of this version, such as `3.13`: the given one, this one, or one found; else None."""
    managed = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))
    candidates = [[given]] if given else []
    candidates += [
        [sys.executable],
        [f"python{version}"],
        *([str(path)] for path in managed),
        ["py", f"-{version}"],
    ]
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    return next((command for command in candidates if succeeds([*command, "-c", check])), None)
