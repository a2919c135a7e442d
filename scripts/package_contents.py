"""What goes into the deployment package: files of ours, files of the dependencies, and the slice of msgraph-sdk.

Used by `scripts/package.py`; the reasons are in docs/adr/0017-the-package-is-built-here.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

SITE_PACKAGES = ".python_packages/lib/site-packages"
"""Where the worker of Azure Functions looks for the dependencies, below the app's folder."""

OURS = ("function_app.py", "host.json", "functions/openapi.json")
OUR_FOLDERS = {"functions": {".py"}, "functions/pages": {".html", ".css", ".js", ".svg"}, "shared": {".py"}}
"""Folders of ours, each with the kinds of files that are taken from it. Hidden files are taken from none."""
OURS_LEFT_OUT = {
    "shared/storage/testing": "in-memory stores, for tests",
    "shared/ops.py": "commands that operators run on their own machine",
    "shared/ops_work.py": "part of them",
    **{
        f"shared/sync/operators/{name}.py": "part of them"
        for name in ("asked_looks", "open_letters", "status", "tenants")
    },
}

LEFT_OUT = {
    "aiohttp/pytest_plugin.py": "for tests",
    "aiohttp/test_utils.py": "for tests",
    "aiohttp/web*.py": "a web server; ours is the host of Azure Functions",
    "aiohttp/worker.py": "runs that server under gunicorn",
    "azure/keyvault/secrets": "used by operators' commands only",
    "certifi/tests": "tests",
    "cffi": "compiles C; what runs is _cffi_backend, which stays",
    "charset_normalizer/cli": "a command",
    "h2": "HTTP/2, which no client of ours asks for",
    "hpack": "HTTP/2",
    "hyperframe": "HTTP/2",
    "msal_extensions": "token caches on disk of people who sign in at a terminal",
    "OleFileIO_PL.py": "the former name of olefile",
    "olefile/*.html": "a manual",
    "olefile/CONTRIBUTORS.txt": "thanks",
    "olefile/README.rst": "a manual",
    "olefile/doc": "a manual",
    "olefile/olefile2.py": "for Python 2",
    "pycparser": "compiles C, for cffi",
    "urllib3/contrib/emscripten": "for browsers",
    "werkzeug/debug": "a debugger with web pages",
    "werkzeug/middleware": "for web servers",
}
"""Parts of dependencies that nothing reachable from the app imports: files or folders, as patterns."""
LEFT_OUT_WITHOUT_TELEMETRY = {
    "opentelemetry/sdk": "nothing exports traces; the app's libraries import the API only",
    "opentelemetry/semconv/_incubating": "names of attributes for instrumentations",
    **{
        f"opentelemetry/semconv/{name}": "names that only an exporter or an instrumentation uses"
        for name in ("metrics", "resource", "trace", "version", "schemas.py")
    },
    **{
        f"opentelemetry/semconv/attributes/{kind}_attributes.py": "names of attributes that nothing here sets"
        for kind in ("code", "container", "db", "deployment", "k8s", "otel", "service", "telemetry")
    },
}
NO_USE_AT_RUN_TIME = {
    ".pyi", ".typed", ".pyx", ".pxd", ".pxi", ".c", ".h", ".md", ".lock", ".cfg", ".png", ".js", ".css"
}  # fmt: skip
SCRIPT_FOLDERS = ("bin", "Scripts")
KEPT_METADATA = re.compile(
    r"METADATA|entry_points\.txt|sboms/.*|(licenses/.*)?(LICEN[CS]E|NOTICE|COPYING|AUTHORS)[^/]*"
)
"""Of a distribution's metadata: name and version, what it is found by, licences, and its bill of materials."""

SDK = "msgraph"
BUILDER_SUFFIX = "_request_builder"


def our_files(root: Path) -> list[PurePosixPath]:
    """The app's own files below the repository, as they stand in the package."""
    found = [PurePosixPath(name) for name in OURS]
    for folder, kinds in OUR_FOLDERS.items():
        for path in (root / folder).rglob("*"):
            name = PurePosixPath(path.relative_to(root).as_posix())
            hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
            if path.is_file() and path.suffix in kinds and not hidden and not is_below(name, OURS_LEFT_OUT):
                found.append(name)
    return sorted(found)


def third_party_files(installed: Path, graph_calls: Path, *, telemetry: bool) -> list[PurePosixPath]:
    """The files to take from a folder that the dependencies were installed in.

    `graph_calls` is the folder of the code that uses msgraph-sdk's request builders.
    """
    left_out = dict(LEFT_OUT) if telemetry else LEFT_OUT | LEFT_OUT_WITHOUT_TELEMETRY
    found = list(sdk_slice(installed, names_used(graph_calls.glob("*.py"))))
    useless = set(_useless_metadata(installed, left_out))
    for top in installed.iterdir():
        if top.name in {SDK, *SCRIPT_FOLDERS, *useless}:
            continue
        for path in [top] if top.is_file() else top.rglob("*"):
            name = PurePosixPath(path.relative_to(installed).as_posix())
            if path.is_file() and _is_of_use(name) and not is_below(name, left_out):
                found.append(name)
    return sorted(found)


def _is_of_use(name: PurePosixPath) -> bool:
    """Whether an installed file can matter at run time, or says whose it is and under which licence."""
    if name.parts[0].endswith(".dist-info"):
        return KEPT_METADATA.fullmatch(name.relative_to(name.parts[0]).as_posix()) is not None
    if len(name.parts) == 1:
        return name.suffix in {".py", ".so"}
    return name.suffix not in NO_USE_AT_RUN_TIME and "__pycache__" not in name.parts


def is_below(name: PurePosixPath, folders: Iterable[str]) -> bool:
    """Whether a file is one of these, or lies in one of these folders; they may be patterns, such as `web*.py`."""
    places = [PurePosixPath("/", place) for place in (name, *name.parents)]
    return any(place.match(f"/{folder}") for folder in folders for place in places)


def _useless_metadata(installed: Path, folders: Iterable[str]) -> Iterator[str]:
    """The metadata folders of distributions all of whose code is left out."""
    for record in installed.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines()
        files = [PurePosixPath(line.rsplit(",", 2)[0].strip('"')) for line in lines]
        code = [name for name in files if name.suffix in {".py", ".so"} and ".dist-info" not in name.parts[0]]
        if all(is_below(name, (*folders, *SCRIPT_FOLDERS, "..")) for name in code):
            yield record.parent.name


def names_used(files: Iterable[Path]) -> set[str]:
    """Every attribute that some code asks for, as `messages` in `builders.me.messages`."""
    trees = [ast.parse(path.read_bytes()) for path in files]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def sdk_slice(installed: Path, names: set[str]) -> set[PurePosixPath]:
    """The files of msgraph-sdk that are loaded by code which asks request builders for these names.

    Followed from the SDK's client: what a module imports when it is imported, and in properties and methods with one
    of the names also the request builder that they import. A name that exists on several builders counts on each,
    so the slice may hold a little more than is used, and never less. The SDK's models are not followed: none is used
    (docs/adr/0004-graph-sdk-builders-only.md).
    """
    waiting, seen = [f"{SDK}.graph_service_client"], set()
    files: set[PurePosixPath] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        file = _file_of(installed, module)
        if file is None:
            continue
        files.add(PurePosixPath(file.relative_to(installed).as_posix()))
        waiting.append(module.rpartition(".")[0])
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        tree = ast.parse(file.read_bytes())
        wanted = [*_imports(tree.body, package), *_builders(tree, package, names)]
        waiting += [name for name in wanted if name.split(".")[0] == SDK]
    return files


def _file_of(installed: Path, module: str) -> Path | None:
    """The file of a module or package; None when the name is none (the last part of `from x import y`)."""
    path = installed.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in candidates if module and file.is_file()), None)


def _imports(statements: Iterable[ast.stmt], package: str) -> Iterator[str]:
    """Absolute names that these statements import, those for type checkers left out."""
    for statement in statements:
        match statement:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                full = ".".join([*base, *([module] if module else [])])
                yield full
                yield from (f"{full}.{alias.name}" for alias in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(statement.orelse, package)
            case ast.If() | ast.Try():
                yield from _imports([*statement.body, *statement.orelse], package)
                for handler in getattr(statement, "handlers", []):
                    yield from _imports(handler.body, package)
            case _:
                pass


def _builders(tree: ast.Module, package: str, names: set[str]) -> Iterator[str]:
    """Request builders that the tree's properties and methods of these names import when they are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names:
            for name in _imports(node.body, package):
                if name.endswith(BUILDER_SUFFIX):
                    yield name
