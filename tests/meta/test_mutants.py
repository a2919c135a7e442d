"""The mutants still fit the code: each text stands where it is changed, each proof is there."""

from __future__ import annotations

import ast

import pytest

from tests.meta.sources import ROOT, functions
from tests.mutants.table import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    """What a mutant changes stands once in its file, is Python when changed, and the test that must fail is there."""
    for file, text in mutant.changed_sources().items():
        ast.parse(text, file)
    path, _, test = mutant.proof.partition("::")
    assert (ROOT / path).is_file()
    assert not test or test in {function.name for function in functions(ROOT / path)}


def test_mutants_have_names_of_their_own() -> None:
    """There are at least 25 mutants, each with a name of its own."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25
