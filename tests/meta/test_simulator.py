"""docs/simulator.md says of the simulator what its tables say."""

from __future__ import annotations

import re

from sandbox.graphsim.graph import _MISSING, _MISSING_METHODS
from sandbox.graphsim.knobs import KNOBS, Knob
from sandbox.graphsim.operations import OPERATIONS
from tests.meta.sources import python_files
from tests.meta.tables import rows, section

DOCUMENT = "docs/simulator.md"
SAID = re.compile(r'not_simulated\("([^"]+)"\)')


def _cells(knob: Knob) -> list[str]:
    number = knob.values is None
    default = f"{knob.default:g}" if number and knob.default < 1_000_000 else str(knob.default)
    others = ["any number from 0"] if knob.values is None else [v for v in knob.values if v != knob.default]
    return [default, ", ".join(others), knob.confidence, knob.source, knob.changes]


def test_every_knob_is_in_it_as_it_is() -> None:
    """docs/simulator.md has each knob with its default, values, basis, source and effect, and no other."""
    assert rows(DOCUMENT, "## Guessed: the knobs") == {knob.name: _cells(knob) for knob in KNOBS}


def test_every_operation_is_in_it() -> None:
    """docs/simulator.md has each operation that the simulated Graph answers, with the scopes that suffice."""
    listed = rows(DOCUMENT, "## Faithful")
    there = {
        f"{operation.method} /{operation.template}": ", ".join(operation.scopes) for operation in OPERATIONS
    }
    assert set(listed) == set(there)
    assert {name: cells[0] for name, cells in listed.items() if there[name]} == {
        name: scopes for name, scopes in there.items() if scopes
    }


def test_what_it_refuses_to_imitate_is_named() -> None:
    """docs/simulator.md names everything for which the simulator's 501 refers to it."""
    missing = " ".join(section(DOCUMENT, "## Missing").split()).replace("`", "")
    assert [what for what in (*_MISSING.values(), *_MISSING_METHODS.values()) if what not in missing] == []
    sources = [path.read_text(encoding="utf-8") for path in python_files("sandbox")]
    said = {what for source in sources for what in SAID.findall(source)}
    assert {what for what in said if what not in missing} == set()
    assert "$search" in said
