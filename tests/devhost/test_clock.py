"""The one clock of the local world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.clock import OffsetClock, VirtualClock


def shift(clock: OffsetClock) -> float:
    """How far it is ahead of the computer's own time."""
    return (clock.now() - datetime.now(UTC)).total_seconds()


def test_real_time_without_a_file(tmp_path: Path) -> None:
    """Nobody has moved the world yet: it is now."""
    assert shift(OffsetClock(tmp_path / "clock")) == pytest.approx(0, abs=1)


def test_all_who_share_a_file_share_the_time(tmp_path: Path) -> None:
    """One process moves the world forward, twice even, and every other sees it at its next look."""
    one, other = OffsetClock(tmp_path / "clock"), OffsetClock(tmp_path / "clock")
    assert shift(other) == pytest.approx(0, abs=1)
    one.advance(3600)
    assert shift(other) == pytest.approx(3600, abs=1)
    other.advance(60)
    assert shift(one) == pytest.approx(3660, abs=1)
    assert one.now().tzinfo is UTC
    assert [path.name for path in tmp_path.iterdir()] == ["clock"]  # nothing half-written stays


def test_time_goes_on(tmp_path: Path) -> None:
    """Moved or not, the world's time passes by itself."""
    clock = OffsetClock(tmp_path / "clock")
    clock.advance(10)
    first = clock.now()
    assert clock.now() >= first


def test_virtual_time_stands_still() -> None:
    """It passes only when told to."""
    clock = VirtualClock()
    first = clock.now()
    assert clock.now() == first
    assert clock.advance(90) == first + timedelta(seconds=90) == clock.now()
