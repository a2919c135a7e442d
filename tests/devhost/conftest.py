"""Storage for the tests that need it: one Azurite for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.azurite import Azurite, AzuriteMissing, azurite_in_memory


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A running Azurite that keeps nothing."""
    try:
        with azurite_in_memory() as running:
            yield running
    except AzuriteMissing as missing:
        pytest.skip(str(missing))
