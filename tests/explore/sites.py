"""The call sites that the source has: what leads out of the product must be crossed by some case (T-1)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
STORES: Final = {"tables": "table", "blobs": "blob", "queues": "queue"}
OF_STORES: Final = {
    "table": {"get", "insert", "replace", "upsert", "delete", "query", "query_partitions", "transact", "ensure"},
    "blob": {"put", "get", "delete", "list", "ensure"},
    "queue": {"put", "receive", "delete", "peek", "count", "ensure"},
}  # fmt: skip
OF_GRAPH: Final = {"get", "get_all", "get_content", "call", "follow"}
# Not called by what runs on queues, timers and routes that flows use: function or module → why it may stay uncrossed.
APART: Final[dict[str, str]] = {
    "shared.ops": "commands of an operator, each repeated by whoever gave it",
    "shared.state.tenants.Tenants.": "tenants, keys and secrets are made and changed by an operator's commands",
    "shared.sync.queueing.newer_messages": "two versions at once are played by tests of their own",
    "shared.state.dead_letters.DeadLetters.all": "an operator's list",
    "shared.graph.provider.GraphMail.sweep": "follows the link of a page that is shorter than asked for, and the "
    "simulator gives none; its other calls are made by _list_changed",
    "shared.storage": "the stores themselves",
    "shared.sync.operators.status": "an operator's first look; it only reads",
    "shared.sync.readiness": "asks and changes nothing",
    "shared.transport": "the way out itself",
    "shared.azure_http": "Azure's own clients; in the flows the stores are in memory",
    "shared.security.key_vault": "Key Vault; in the flows the key is a file",
}


def sites_of_source() -> dict[str, str]:
    """Every call that leads out: `port.operation@module.function` → file and line. "?": the operation is a variable."""
    found: dict[str, str] = {}
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            for function, call in _calls(ast.parse(path.read_text(encoding="utf-8")), ""):
                if (name := _leads_out(call, module)) is not None:
                    place = f"{path.relative_to(ROOT).as_posix()}:{call.lineno}"
                    found.setdefault(f"{name}@{module}.{function}", place)
    return found


def uncrossed(crossed: set[str]) -> dict[str, str]:
    """Sites of the source that no case crossed, with their places, but for those that are apart."""
    made = {site.partition("<")[0] for site in crossed}
    ports = {site.partition(".")[0] for site in made}
    return {
        site: place
        for site, place in sites_of_source().items()
        if site not in made
        and not (site.partition("@")[0].endswith(".?") and site.partition(".")[0] in ports)
        and not site.partition("@")[2].startswith(tuple(APART))
    }


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls with the outermost function (and class) that they stand in."""
    for child in ast.iter_child_nodes(node):
        inside = function
        if isinstance(child, ast.ClassDef):
            inside = child.name
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            is_method = isinstance(node, ast.ClassDef)
            inside = f"{function}.{child.name}" if is_method else (function or child.name)
        if isinstance(child, ast.Call):
            yield inside, child
        yield from _calls(child, inside)


def _leads_out(call: ast.Call, module: str) -> str | None:
    if not isinstance(call.func, ast.Attribute):
        return None
    target, operation = call.func.value, call.func.attr
    holder = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    port = STORES.get(holder.lstrip("_"))
    if port is not None and operation in OF_STORES[port]:
        return f"{port}.{operation}"
    words = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if holder.lstrip("_") == "transport" and operation == "send":
        return ".".join(str(word) for word in [*words, "?"][:2]) if words else None
    if module.startswith("shared.graph") and holder.lstrip("_") == "client" and operation in OF_GRAPH:
        return f"graph.{words[0]}" if words and isinstance(words[0], str) else None
    return None
