"""A clock that all processes of the local world share: the real time plus an offset in a file.

Moving the clock means rewriting that file; each process reads the new offset the next time it asks. The product does
not read the file: the development host passes this clock to it through `shared.bootstrap`.
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
        """The offset in force; the file is read again only when it has changed."""
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
        """The present time of the local world, aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds())

    def advance(self, seconds: float) -> datetime:
        """Move the clock of all processes forward by `seconds`; return the new time."""
        target = self.offset_seconds() + seconds
        fresh = self.path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(repr(target), encoding="ascii")
        fresh.replace(self.path)
        return self.now()


@dataclass(slots=True)
class VirtualClock:
    """A clock that moves only when told to, for runs of the whole system in one process."""

    current: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    def now(self) -> datetime:
        """The present virtual time, aware UTC."""
        return self.current

    def advance(self, seconds: float) -> datetime:
        """Move forward by `seconds`; return the new time."""
        self.current += timedelta(seconds=seconds)
        return self.current
