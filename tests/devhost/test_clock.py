"""The one clock of the local world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.clock import OffsetClock, VirtualClock


def shift(clock: OffsetClock) -> float:
    """How far the clock is ahead of the computer's own time."""
    return (clock.now() - datetime.now(UTC)).total_seconds()


def test_real_time_without_a_file(tmp_path: Path) -> None:
    """Without its file the world's clock tells the computer's own time."""
    assert shift(OffsetClock(tmp_path / "clock")) == pytest.approx(0, abs=1)


def test_all_who_share_a_file_share_the_time(tmp_path: Path) -> None:
    """A process that moves the world's clock moves it for every process with the same file."""
    first, second = OffsetClock(tmp_path / "clock"), OffsetClock(tmp_path / "clock")
    assert shift(second) == pytest.approx(0, abs=1)
    first.advance(3600)
    assert shift(second) == pytest.approx(3600, abs=1)
    second.advance(60)
    assert shift(first) == pytest.approx(3660, abs=1)
    assert first.now().tzinfo is UTC
    assert [path.name for path in tmp_path.iterdir()] == ["clock"]  # nothing half-written stays


def test_time_goes_on(tmp_path: Path) -> None:
    """The world's clock goes on by itself after it was moved."""
    clock = OffsetClock(tmp_path / "clock")
    clock.advance(10)
    first = clock.now()
    assert clock.now() >= first


def test_virtual_time_stands_still() -> None:
    """A virtual clock passes only when it is told to."""
    clock = VirtualClock()
    first = clock.now()
    assert clock.now() == first
    assert clock.advance(90) == first + timedelta(seconds=90) == clock.now()
