"""The installation as the committed snapshots have it: every resource with its final name and properties."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.infra.cli import HOW, MADE_UP, find_cli, run
from tests.infra.expressions import evaluate
from tests.meta.sources import ROOT

HERE: Final = Path(__file__).parent
SETS: Final = ("check", "full")
DIGEST: Final = HERE / "sources.sha256"


@dataclass(frozen=True)
class Resource:
    """One resource. `path` is where it lies, as `vaults/kv-x/secrets/y`; of a role, what it is given on."""

    type: str
    path: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def last_name(self) -> str:
        return self.name.rsplit("/", 1)[-1]

    @property
    def properties(self) -> dict[str, Any]:
        found = self.body.get("properties", {})
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Installation:
    resources: tuple[Resource, ...]
    outputs: dict[str, Any]
    diagnostics: list[Any]

    def all(self, kind: str) -> list[Resource]:
        """The resources of this type, as `vaults/secrets`, whoever provides them."""
        return [resource for resource in self.resources if resource.type.partition("/")[2] == kind]

    def one(self, kind: str, start: str = "") -> Resource:
        (found,) = (resource for resource in self.all(kind) if resource.name.startswith(start))
        return found

    def settings(self) -> dict[str, str]:
        """The app's settings, as the platform would set them before it resolves Key Vault references."""
        return self.one("sites/config").properties


def _path(identifier: str) -> str:
    place = identifier.split("/providers/Microsoft.Authorization/roleAssignments/", maxsplit=1)[0]
    return place.rpartition("/providers/")[2].partition("/")[2]


@cache
def installation(name: str) -> Installation:
    """The snapshot of a set of parameters, with the addresses that Azure would give."""
    snapshot = json.loads((HERE / f"{name}.snapshot.json").read_text(encoding="utf-8"))
    resources = [
        Resource(body["type"], _path(body["id"]), body) for body in evaluate(snapshot["predictedResources"])
    ]
    return Installation(tuple(resources), evaluate(snapshot["outputs"]), snapshot["diagnostics"])


def sources() -> Iterator[Path]:
    """Everything that a snapshot is made of."""
    infra = ROOT / "infra"
    yield from sorted([*infra.rglob("*.bicep"), infra / "abbreviations.json", *HERE.glob("*.bicepparam")])


def digests() -> str:
    """The sources' digests, in the format of sha256sum."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT).as_posix()}\n"
        for path in sources()
    )


def renew() -> None:
    """Write the snapshots, and what they were made of. Raises CalledProcessError when Bicep refuses."""
    for name in SETS:
        run("snapshot", HERE / f"{name}.bicepparam", "--mode=overwrite", *MADE_UP).check_returncode()
        path = HERE / f"{name}.snapshot.json"
        snapshot = json.loads(path.read_text(encoding="utf-8"))
        snapshot["outputs"] = dict(sorted(snapshot["outputs"].items()))  # each time in another order
        path.write_text(json.dumps(snapshot, indent=2) + "\n", encoding="utf-8")
    DIGEST.write_text(digests(), encoding="utf-8")


if __name__ == "__main__":
    if not find_cli():
        sys.exit(f"the Bicep CLI is not here: {HOW}")
    renew()
