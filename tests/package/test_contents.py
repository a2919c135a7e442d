"""What is in the deployment package, and what is not."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import package
import package_contents
import package_tools
import pathspec
import pytest

from tests.meta.sources import ROOT, name, tracked
from tests.package.azd import zipped
from tests.package.conftest import JUNK, JUNK_BESIDE_THE_PACKAGE, Workshop, scatter

MOST_BYTES = 25 * 2**20
MOST_FILES = 1_800
SITE = ".python_packages/lib/site-packages/"
DEPENDENCIES = [
    "aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "attr", "attrs", "azure", "certifi",
    "charset_normalizer", "cryptography", "css_inline", "frozenlist", "h11", "httpcore", "httpx", "idna", "isodate",
    "jwt", "kiota_abstractions", "kiota_authentication_azure", "kiota_http", "kiota_serialization_form",
    "kiota_serialization_json", "kiota_serialization_multipart", "kiota_serialization_text",
    "markupsafe", "msal", "msgraph", "msgraph_core", "msgspec", "multidict", "nh3", "olefile",
    "opentelemetry",
    "propcache", "requests", "structlog", "stduritemplate", "tinycss2", "urllib3", "webencodings", "werkzeug",
    "yarl",
]  # fmt: skip
LOOSE = r"typing_extensions\.pyc?|_cffi_backend\.cpython-313-x86_64-linux-gnu\.so"
# Modules and their licences; the one file that is neither is the list of certificate authorities.
ALLOWED = re.compile(
    rf"{re.escape(SITE)}("
    rf"({'|'.join(DEPENDENCIES)})/([\w.]+/)*(\w+\.pyc?|[\w.-]+\.(cpython-313-x86_64-linux-gnu|abi3)\.so)|{LOOSE}"
    r"|certifi/cacert\.pem|olefile/LICENSE\.txt"
    r"|[\w.-]+\.dist-info/(METADATA|entry_points\.txt|sboms/[\w.-]+\.json"
    r"|(licenses/)?(vendor/llhttp/)?(LICENSE|NOTICE|AUTHORS)[\w.-]*))"
)


def ours() -> set[str]:
    """The app's files, as git knows them: code, and what its pages are made of."""
    found = {"function_app.py", "host.json", "functions/openapi.json"}
    for path in tracked():
        each = name(path)
        code = each.startswith(("functions/", "shared/")) and path.suffix == ".py"
        if code or each.startswith("functions/pages/"):
            found.add(each)
    commands = ("asked_looks", "open_letters", "status", "tenants")
    operators = {
        "shared/ops.py",
        "shared/ops_work.py",
        *(f"shared/sync/operators/{module}.py" for module in commands),
    }
    return {each for each in found - operators if not each.startswith("shared/storage/testing/")}


def with_bytecode(names: set[str]) -> set[str]:
    """Those names and, of modules in packages, the compiled file beside each."""
    compiled = (
        re.sub(r"([^/]+)\.py$", r"__pycache__/\1.cpython-313.pyc", each) for each in names if "/" in each
    )
    return names | {each for each in compiled if each.endswith(".pyc")}


def listing(built: package.Built) -> list[str]:
    return [each.as_posix() for each in built.files]


def test_the_listing_is_the_allow_list(workshop: Workshop) -> None:
    """The package holds our committed files and modules of listed dependencies, and no other file."""
    found = set(listing(workshop.built))
    expected = with_bytecode(ours()) if workshop.python else ours()
    assert {each for each in found if not each.startswith(SITE)} == expected
    assert [each for each in found - expected if not ALLOWED.fullmatch(each)] == []


def test_nothing_that_lies_around_is_shipped(workshop: Workshop) -> None:
    """No key, environment or setting that lies in the repository's folder gets into the package or its zip."""
    with zipfile.ZipFile(workshop.built.zip) as archive:
        assert archive.namelist() == listing(workshop.built)
        assert [each for each in JUNK if each in archive.namelist()] == []
        assert b"must not be deployed" not in b"".join(archive.read(each) for each in archive.namelist())


def test_azd_zips_the_same_files(workshop: Workshop, tmp_path: Path) -> None:
    """What azd zips by .funcignore is the package's listing, whatever else lies in the folder."""
    folder = tmp_path / "package"
    shutil.copytree(workshop.built.folder, folder)
    scatter(folder, JUNK_BESIDE_THE_PACKAGE)
    assert zipped(folder) == listing(workshop.built)


def test_the_ignore_file_means_the_same_to_git(workshop: Workshop, tmp_path: Path) -> None:
    """A tool that reads .funcignore exactly as git would zips the same files as azd."""
    folder = tmp_path / "package"
    shutil.copytree(workshop.built.folder, folder)
    scatter(folder, JUNK_BESIDE_THE_PACKAGE)
    spec = pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text(encoding="utf-8").splitlines())
    assert sorted(spec.match_tree_files(folder, negate=True)) == listing(workshop.built)


def test_the_limits(workshop: Workshop) -> None:
    """The zip has at most 25 MiB and 1,800 files."""
    assert workshop.built.zip.stat().st_size <= MOST_BYTES
    assert len(workshop.built.files) <= MOST_FILES


def test_built_twice_it_is_the_same(workshop: Workshop, tmp_path: Path) -> None:
    """Built again in another folder, the zip is byte for byte the same."""
    again = workshop.build_again(tmp_path / "elsewhere")
    assert again.zip.read_bytes() == workshop.built.zip.read_bytes()


def test_the_zip_does_not_tell_when_or_where(workshop: Workshop) -> None:
    """Entries of the zip are sorted, have one date and one mode, and no path of this machine stands in a module."""
    with zipfile.ZipFile(workshop.built.zip) as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
        assert {(entry.date_time, entry.external_attr >> 16) for entry in entries} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644)
        }
        here = os.fsencode(workshop.root.parent)
        assert [e.filename for e in entries if e.filename.endswith(".pyc") and here in archive.read(e)] == []


def test_bytecode_is_never_compared_with_its_source(workshop: Workshop, python313: list[str]) -> None:
    """Every compiled module says that it is to be loaded unchecked (PEP 552: flags 0b01)."""
    compiled = [each for each in workshop.built.files if each.suffix == ".pyc"]
    heads = {(workshop.built.folder / each).read_bytes()[4:8] for each in compiled}
    assert compiled
    assert heads == {(1).to_bytes(4, "little")}


def test_licences_are_shipped(workshop: Workshop) -> None:
    """Every distribution in the package has its metadata, and every licence and notice that came with it."""
    found = listing(workshop.built)
    kept = {each.removeprefix(SITE).split("/")[0] for each in found if ".dist-info/" in each}
    assert len(kept) > 40
    for folder in kept:
        came = [path for path in (workshop.wheels / folder).rglob("*") if path.is_file()]
        texts = [path for path in came if re.match(r"(?i)licen|notice|copying", path.name)]
        names = [SITE + path.relative_to(workshop.wheels).as_posix() for path in texts]
        assert [each for each in [*names, f"{SITE}{folder}/METADATA"] if each not in found] == []


def test_what_operators_and_tests_use_is_left_out(workshop: Workshop) -> None:
    """Neither the operators' commands nor the in-memory stores are in the package."""
    found = listing(workshop.built)
    assert [each for each in found if each.startswith(("shared/ops", "shared/storage/testing"))] == []


def fake_wheel(folder: Path, distribution: str, tag: str) -> Path:
    """A folder in which a wheel of that tag is installed, besides a right azure-functions."""
    for each, its_tag in (("azure_functions-2.3.0", "py3-none-any"), (distribution, tag)):
        info = folder / f"{each}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {its_tag}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "tag",
    [
        "cp313-cp313-manylinux_2_17_x86_64", "cp313-cp313-manylinux2014_x86_64", "cp311-abi3-manylinux_2_28_x86_64",
        "py3-none-any", "py2.py3-none-any",
    ],
)  # fmt: skip
def test_wheels_for_azure_pass(tmp_path: Path, tag: str) -> None:
    """A wheel for Python 3.13 on Linux x86-64, for the stable interface there, or in pure Python is accepted."""
    package.check(fake_wheel(tmp_path, "some-1.0", tag))


@pytest.mark.parametrize(
    ("distribution", "tag"),
    [
        ("some-1.0", "cp311-cp311-manylinux_2_17_x86_64"),
        ("some-1.0", "cp313-cp313-macosx_11_0_arm64"),
        ("some-1.0", "cp313-cp313-win_amd64"),
        ("some-1.0", "cp313-cp313-manylinux_2_17_aarch64"),
        ("some-1.0", "cp313-cp313t-manylinux_2_17_x86_64"),
        ("some-1.0", "py2-none-any"),
        ("azure_functions-1.24.0", "py3-none-any"),
    ],
)
def test_other_wheels_end_the_build(tmp_path: Path, distribution: str, tag: str) -> None:
    """A wheel for another Python, system or processor, or azure-functions 1.x, ends the build with its name."""
    with pytest.raises(SystemExit, match=distribution.split("-", maxsplit=1)[0].replace("_", "[_-]")):
        package.check(fake_wheel(tmp_path, distribution, tag))


def test_a_foreign_library_ends_the_build(tmp_path: Path) -> None:
    """A compiled file that Python 3.13 on Linux x86-64 does not load ends the build."""
    (fake_wheel(tmp_path, "some-1.0", "py3-none-any") / "some.cpython-311-x86_64-linux-gnu.so").touch()
    with pytest.raises(SystemExit, match=r"some\.cpython-311"):
        package.check(tmp_path)


def test_uv_is_installed_by_its_lock() -> None:
    """Where there is no uv, the one that is locked is installed, and its hashes are asked for."""
    lines = package_tools.locked_uv((ROOT / "requirements-dev.txt").read_text(encoding="utf-8")).splitlines()
    assert lines[0].startswith("uv==")
    assert lines[1:]
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])


def test_what_is_left_out_exists(workshop: Workshop) -> None:
    """Every part of a dependency that is named as left out is there to be left out."""
    patterns = package_contents.LEFT_OUT | package_contents.LEFT_OUT_WITHOUT_TELEMETRY
    assert [each for each in patterns if not any(workshop.wheels.glob(each))] == []
