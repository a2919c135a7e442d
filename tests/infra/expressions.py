"""Expressions that a snapshot leaves open, worked out with values that Azure would give.

`bicep snapshot` evaluates everything but what is known only on Azure: addresses of the cloud (`environment()`) and
properties of what has been deployed (`reference()`). Enough of the template language for these is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CLIENT_ID: Final = "00000000-0000-0000-0000-0000000000c1"
PRINCIPAL_ID: Final = "00000000-0000-0000-0000-0000000000f1"
HOST_NAME: Final = "func-check-a1b2c3d4e5f6g7h8.westeurope-01.azurewebsites.net"
# Azure's public cloud, and properties of deployed resources by their last name.
ON_AZURE: Final = {
    "suffixes.storage": "core.windows.net",
    "suffixes.keyvaultDns": ".vault.azure.net",
    "clientId": CLIENT_ID,
    "outputs.clientId.value": CLIENT_ID,
    "outputs.principalId.value": PRINCIPAL_ID,
    "defaultHostName": HOST_NAME,
    "outputs.publicBaseUrl.value": f"https://{HOST_NAME}",
    "ConnectionString": "InstrumentationKey=00000000-0000-0000-0000-0000000000b1",
}
TOKEN: Final = re.compile(r"'((?:[^']|'')*)'|(\w+)|([(),.\[\]])")


@dataclass
class Call:
    """A function that only Azure can answer, and what is taken from its answer."""

    function: str
    arguments: list[Any]
    taken: list[str] = field(default_factory=list)


class Parser:
    """Reads one expression: literals, calls, properties, indexes."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self._tokens = [match.groups() for match in TOKEN.finditer(text)]
        self._known = known

    def _peek(self) -> str | None:
        return self._tokens[0][2] if self._tokens else None

    def value(self) -> str:
        literal, name, _ = self._tokens.pop(0)
        if literal is not None:
            return str(literal).replace("''", "'")
        assert name
        call = Call(name, self._arguments())
        while self._peek() in {".", "["}:
            inside = self._tokens.pop(0)[2] == "["
            text, word, _ = self._tokens.pop(0)
            call.taken.append(text if text is not None else word)
            if inside:
                self._tokens.pop(0)
        return self._answer(call)

    def _arguments(self) -> list[str]:
        found = []
        assert self._tokens.pop(0)[2] == "("
        while self._peek() != ")":
            if self._peek() == ",":
                self._tokens.pop(0)
            else:
                found.append(self.value())
        self._tokens.pop(0)
        return found

    def _answer(self, call: Call) -> str:
        if call.function == "format":
            return str(call.arguments[0]).format(*call.arguments[1:])
        path = ".".join(call.taken)
        if call.function in {"environment", "reference"}:
            return self._known[path]
        return f"<{call.function} {' '.join(call.arguments)} {path}>"


def evaluate(tree: Any, known: Mapping[str, str] = ON_AZURE) -> Any:
    """The same JSON with every expression worked out; what only the deployment knows becomes `<function …>`."""
    if isinstance(tree, dict):
        return {name: evaluate(value, known) for name, value in tree.items()}
    if isinstance(tree, list):
        return [evaluate(value, known) for value in tree]
    if isinstance(tree, str) and tree.startswith("[") and not tree.startswith("[["):
        return Parser(tree[1:-1], known).value()
    return tree
