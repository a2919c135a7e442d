"""Build the deployment package for Azure Functions: `dist/package/` and, zipped, `dist/package.zip`.

    python scripts/package.py                 no make and no environment needed; azd's `prepackage` hook calls it too
    python scripts/package.py --telemetry     with azure-monitor-opentelemetry, which is an opt-in
    python scripts/package.py --python PATH   a Python 3.13 to compile bytecode with, where none is found
    python scripts/package.py --no-bytecode   with the sources of the dependencies, to look into something

The wheels are those for Linux and Python 3.13, whatever runs here (docs/adr/0017-the-package-is-built-here.md).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from package_contents import SITE_PACKAGES, our_files, third_party_files
from package_tools import ROOT, find_python, run, uv, uv_environment

PYTHON = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
"""Linux on x86-64 with the C library of 2018: older than that of any image of Azure Functions for Python 3.13."""
LOCK = "requirements.txt"
TELEMETRY_LOCK = "requirements-telemetry.txt"
IGNORE_FILE = ".funcignore"
"""Read by azd in the folder that it zips; never shipped."""
FIRST_FUNCTIONS_LIBRARY = "2."
"""azure-functions 1.x, which a resolver with another Python in mind would take, serves Python 3.12 and older."""
TAGS = re.compile(r"cp313-cp313-.*x86_64.*|cp3\d+-abi3-.*x86_64.*|(py2\.)?py3-none-any|py3\d*-none-any")
COMPILED = re.compile(r"\.(cpython-313-x86_64-linux-gnu|abi3)\.so$")
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
# Runs under Python 3.13. The recorded name is relative, so that the result does not depend on the folder.
COMPILE = """
import os, py_compile, sys
for line in sys.stdin:
    source, target, name = line.rstrip("\\n").split("\\t")
    py_compile.compile(source, target, name, doraise=True, optimize=0,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    if "__pycache__" not in target:
        os.remove(source)
"""


@dataclass(frozen=True)
class Built:
    """A package: its unpacked folder, its zip, and whether it holds bytecode."""

    folder: Path
    zip: Path
    bytecode: bool

    @property
    def files(self) -> list[PurePosixPath]:
        """Every file of the package, by its name inside."""
        return package_files(self.folder)


def build(
    root: Path,
    out: Path,
    *,
    telemetry: bool = False,
    python: list[str] | None = None,
    wheels: Path | None = None,
) -> Built:
    """Build the package of the repository at `root` into `out`; what was there from before is deleted.

    `python` is the command of a Python 3.13, for bytecode. `wheels`: a folder in which the dependencies are installed
    already, by `install`.
    """
    folder = out / "package"
    if folder.exists():
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory(prefix="wheels-") as temporary:
        if wheels is None:
            wheels = Path(temporary)
            install(root, wheels, telemetry=telemetry)
        check(wheels)
        copy(
            wheels,
            third_party_files(wheels, root / "shared/graph", telemetry=telemetry),
            folder / SITE_PACKAGES,
        )
    copy(root, [*our_files(root), PurePosixPath(IGNORE_FILE)], folder)
    if python is not None:
        compile_modules(folder, python)
    return Built(folder, write_zip(folder, out / "package.zip"), bytecode=python is not None)


def install(root: Path, target: Path, *, telemetry: bool = False) -> None:
    """Install the locked wheels for Azure's Python and platform, by their hashes; a lock is complete."""
    locks = [LOCK, *([TELEMETRY_LOCK] if telemetry else [])]
    with uv() as command:
        options = ["--target", str(target), "--python", sys.executable, "--no-progress"]
        options += ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        options += [word for lock in locks for word in ("-r", str(root / lock))]
        run(
            [*command, "pip", "install", "--quiet", "--require-hashes", "--no-deps", *options],
            uv_environment(),
        )


def check(wheels: Path) -> None:
    """Exit unless every wheel runs on Azure's Python and platform, and azure-functions is the one for it."""
    wrong = []
    for path in sorted(wheels.glob("*.dist-info/WHEEL")):
        tags = re.findall(r"^Tag: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if not any(TAGS.fullmatch(tag) for tag in tags):
            wrong.append(f"{path.parent.name}: {', '.join(tags)}")
    wrong += [path.name for path in wheels.rglob("*.so*") if not COMPILED.search(path.name)]
    wrong += [path.name for path in wheels.rglob("*") if path.suffix in {".pyd", ".dylib", ".dll"}]
    library = [path.name.split("-")[1] for path in wheels.glob("azure_functions-*.dist-info")]
    if len(library) != 1 or not library[0].startswith(FIRST_FUNCTIONS_LIBRARY):
        wrong.append(f"azure-functions {library}, not {FIRST_FUNCTIONS_LIBRARY}x")
    if wrong:
        sys.exit("not for Python 3.13 on Linux x86-64: " + "; ".join(wrong))


def copy(source: Path, names: Iterable[PurePosixPath], target: Path) -> None:
    """Copy files to the same names below another folder, without their dates and permissions."""
    for name in names:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, path)


def compile_modules(folder: Path, python: list[str]) -> None:
    """Compile with Python 3.13: ours beside the source, never compared with it; dependencies in place of the source."""
    lines = []
    for name in package_files(folder):
        source = folder / name
        if name.suffix == ".py" and len(name.parts) > 1:
            beside = source.parent / "__pycache__" / f"{source.stem}.cpython-{PYTHON.replace('.', '')}.pyc"
            target = source.with_suffix(".pyc") if name.is_relative_to(SITE_PACKAGES) else beside
            lines.append(f"{source}\t{target}\t{name}")
    run([*python, "-I", "-c", COMPILE], text="\n".join(lines))


def package_files(folder: Path) -> list[PurePosixPath]:
    """Every file of an unpacked package, sorted by its name inside, without the ignore file."""
    names = (
        PurePosixPath(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()
    )
    return sorted((name for name in names if name.as_posix() != IGNORE_FILE), key=PurePosixPath.as_posix)


def write_zip(folder: Path, path: Path) -> Path:
    """Zip an unpacked package so that the same contents always give the same bytes (with the same zlib)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in package_files(folder):
            entry = zipfile.ZipInfo(name.as_posix(), FIXED_DATE)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / name).read_bytes())
    return path


def main() -> int:
    """Build the package as the command line says, print its figures; return the exit code."""
    parser = argparse.ArgumentParser(description="Build the deployment package for Azure Functions.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to build in (default: dist)")
    parser.add_argument("--telemetry", action="store_true", help="add azure-monitor-opentelemetry")
    parser.add_argument("--python", help=f"a Python {PYTHON}, to compile bytecode with")
    parser.add_argument("--no-bytecode", action="store_true", help="ship the sources of the dependencies")
    asked = parser.parse_args()
    begun = time.monotonic()
    python = None if asked.no_bytecode else find_python(PYTHON, asked.python)
    built = build(ROOT, asked.out, telemetry=asked.telemetry, python=python)
    if not (built.bytecode or asked.no_bytecode):
        print(
            f"no Python {PYTHON} here: built without bytecode, so the app starts more slowly", file=sys.stderr
        )
    size = built.zip.stat().st_size
    digest = hashlib.sha256(built.zip.read_bytes()).hexdigest()
    print(f"{built.zip}: {size / 2**20:.1f} MiB, {len(built.files)} files, {time.monotonic() - begun:.0f} s")
    print(f"sha256:{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
