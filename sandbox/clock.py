"""One clock for every process of the local world: the real time plus an offset kept in a small file.

Moving the world forward means rewriting that file; each process notices at its next look. The product
never reads the file by itself: the development host hands it this clock through bootstrap.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(slots=True)
class OffsetClock:
    """Real UTC time plus the offset in `path` (seconds, as text; a missing file means 0)."""

    path: Path
    _stamp: tuple[int, int] = (0, 0)
    _offset_seconds: float = 0.0

    def offset_seconds(self) -> float:
        """The offset now in force, read again only when the file changed."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return 0.0
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._offset_seconds = float(self.path.read_text(encoding="ascii") or 0)
            self._stamp = stamp
        return self._offset_seconds

    def now(self) -> datetime:
        """The world's time, aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds())

    def advance(self, seconds: float) -> datetime:
        """Move the whole world forward by `seconds` and return the new time."""
        target = self.offset_seconds() + seconds
        fresh = self.path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(repr(target), encoding="ascii")
        fresh.replace(self.path)
        return self.now()


@dataclass(slots=True)
class VirtualClock:
    """Time that stands still until told otherwise; for runs of the whole system in one process."""

    current: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    def now(self) -> datetime:
        """The present virtual time, aware UTC."""
        return self.current

    def advance(self, seconds: float) -> datetime:
        """Move forward by `seconds` and return the new time."""
        self.current += timedelta(seconds=seconds)
        return self.current
