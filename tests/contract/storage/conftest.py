"""Azurite for the contract tests, and a fresh name for everything that a case creates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest

from sandbox.azurite import azurite_in_memory

_numbers = count(1)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """A connection string for an Azurite of this test run."""
    with azurite_in_memory() as running:
        yield running.connection_string


@pytest.fixture
def fresh() -> str:
    """A name nobody has used, good for a table, a container or a queue."""
    return f"case{os.getpid()}x{next(_numbers)}"
