"""What is printed: progress, what was found and how to replay it, what was skipped, the sum."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.explore.case import Case, Outcome
from tests.explore.sites import uncrossed

EVERY_SECONDS = 20.0
KINDS = ("lost", "doubled", "unexpected", "stuck", "foreign", "lies", "litter", "remains", "crash")
TOLERATED = {"remains"}  # nobody may enter a mailbox any more that was disconnected


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    what: str
    expected: int = 0
    passed: int = 0

    def __str__(self) -> str:
        return f"{self.passed} of {self.expected} cases {self.what}".rstrip()


@dataclass(slots=True)
class Report:
    """Counts of all cases so far. `failed`: what was found, once by its text, with the first case that shows it."""

    begun: float = field(default_factory=time.monotonic)
    cases: int = 0
    attempted: int = 0
    acknowledged: int = 0
    deaths: int = 0
    met: int = 0
    skipped: int = 0
    found: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    crossed: set[str] = field(default_factory=set)
    sites: set[str] = field(default_factory=set)
    by_flow: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _told: float = 0.0
    _of_flow: Progress = field(default_factory=lambda: Progress(""))
    _of_all: Progress = field(default_factory=lambda: Progress(""))

    def expect(self, number: int, what: str) -> None:
        """So many cases come now."""
        self._of_all = Progress(what, number)
        print(f"  {number} cases {what}", flush=True)

    def begin(self, flow: str, number: int) -> None:
        """The next of them are of this flow."""
        self._of_flow = Progress(f"of {flow}", number)

    def skip(self, number: int) -> None:
        """So many cases of the flow are not played."""
        self.skipped += number
        self._of_all.passed += number

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count one case."""
        self.cases += 1
        self.by_flow[case.flow]["cases"] += 1
        if case.plan:
            self._of_flow.passed += 1
            self._of_all.passed += 1
        self.attempted += outcome.attempted
        self.acknowledged += outcome.acknowledged
        self.deaths += outcome.deaths
        self.met += outcome.hit
        self.sites |= {crossing.site for crossing in outcome.made}
        self.crossed |= {fault.site for fault in case.plan[: outcome.hit] if fault.site}
        for kind, texts in outcome.found.items():
            self.found[kind] += 1
            self.by_flow[case.flow][kind] += 1
            for text in texts:
                known = self.failed[f"{case.flow}: {kind}: {text}"]
                known.append(str(case))
                if len(known) == 1:
                    print(f"  FOUND {kind}: {text}\n        make explore CASE='{case}'", flush=True)
        if time.monotonic() - self._told > EVERY_SECONDS:
            self._told = time.monotonic()
            print(self.line(), flush=True)
            if self._of_flow.expected:
                print(f"          {self._of_flow}; {self._of_all}", flush=True)

    def line(self) -> str:
        """One line of counts."""
        found = " ".join(f"{kind} {self.found[kind]}" for kind in KINDS)
        return (
            f"  {time.monotonic() - self.begun:5.0f} s  {self.cases} cases, {self.met} faults met, "
            f"{self.deaths} deaths; attempted {self.attempted}, acknowledged {self.acknowledged}; {found}"
        )

    def close(self, *, whole: bool) -> int:
        """Print the sum; 1 when anything was found, or in a whole run a call site was never crossed."""
        print(self.line())
        for flow, counts in sorted(self.by_flow.items()):
            found = ", ".join(f"{kind} {counts[kind]}" for kind in KINDS if counts[kind])
            print(f"  {flow:14} {counts['cases']:5} cases  {found or 'nothing found'}")
        for text, cases in sorted(self.failed.items()):
            print(f"  {len(cases):4} x {text}\n         make explore CASE='{cases[0]}'")
        never = uncrossed(self.crossed)
        for site, place in sorted(never.items()) if whole else ():
            print(f"  never crossed: {site} ({place})")
        print(
            f"  {len(self.sites)} call sites by use case were made, {len(self.crossed & self.sites)} of them failed "
            f"in some case; {len(never)} of the source were never crossed; {self.skipped} cases were skipped"
        )
        wrong = any(self.found[kind] for kind in KINDS if kind not in TOLERATED)
        return int(wrong or (whole and bool(never)))
