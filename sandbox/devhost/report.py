"""The table of functions that a person sees at start; light, for the supervisor imports little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One function in the table."""

    group: str
    name: str
    trigger: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a started process tells its supervisor, and the supervisor the person."""

    port: int | None
    lines: Sequence[Line]
    dropped: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Report:
        """The reverse of `document`."""
        lines = [Line(**line) for line in document["lines"]]
        return cls(document["port"], lines, document["dropped"], document["warnings"])


def print_report(report: Report, address: str) -> None:
    """The table a person sees at start."""
    for warning in report.warnings:
        print(f"warning: {warning}")
    widths = [
        max((len(getattr(line, part)) for line in report.lines), default=0)
        for part in ("group", "name", "trigger")
    ]
    print(f"\nFunctions at http://{address}:{report.port}\n")
    for line in report.lines:
        cells = (
            line.group.ljust(widths[0]),
            line.name.ljust(widths[1]),
            line.trigger.ljust(widths[2]),
            line.note,
        )
        print("  " + "  ".join(cells).rstrip())
    for name, reason in report.dropped.items():
        print(f"\nleft out: {name}: {reason}")
    print(flush=True)
