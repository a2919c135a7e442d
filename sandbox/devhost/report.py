"""The table of functions printed at start. It imports little, because the supervisor uses it."""

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
    """What a process reports to its supervisor after its start, and what is printed of it."""

    port: int | None
    lines: Sequence[Line]
    dropped: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Report:
        """The report in a document that `document` made."""
        lines = [Line(**line) for line in document["lines"]]
        return cls(document["port"], lines, document["dropped"], document["warnings"])


def print_report(report: Report, address: str, scheme: str = "http") -> None:
    """Print the table of functions, with warnings and what was left out."""
    for warning in report.warnings:
        print(f"warning: {warning}")
    widths = [
        max((len(getattr(line, part)) for line in report.lines), default=0)
        for part in ("group", "name", "trigger")
    ]
    print(f"\nFunctions at {scheme}://{address}:{report.port}\n")
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
