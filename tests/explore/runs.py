"""Which cases are played: every single fault, pairs by a seed, a share that fits into seconds."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from tests.explore.case import Case, Outcome
from tests.explore.faults import Crossing, Fault, Kind
from tests.explore.flows import FLOWS
from tests.explore.forking import play_all, prepared
from tests.explore.report import Report
from tests.explore.sites import ROOT
from tests.explore.truth import Truth

T = TypeVar("T")
FARTHEST = 40  # calls between the first fault of a pair and the second


@dataclass(slots=True)
class Run:
    """`occurrences`: how many calls of a site are crossed, from its first on; `once`: each site in one flow only."""

    folder: Path
    report: Report
    flows: list[str]
    seed: int
    jobs: int
    occurrences: int = 1
    until: float | None = None
    once: bool = False
    _flow_until: float | None = None
    _worlds: dict[str, Truth] = field(default_factory=dict)
    _done: set[tuple[str, Kind]] = field(default_factory=set)

    def singles(self) -> None:
        """Every site of every flow, every kind; then the sites that only a fault led to."""
        cases: dict[str, list[Case]] = {}
        for flow, truth in self._prepared():
            first = self._shuffled(singles_of(self._calm(truth, flow), self.occurrences))
            cases[flow] = [
                Case(flow, self.seed, (fault,)) for fault in first if self._is_new(fault) or FLOWS[flow].whole
            ]
        self.report.expect(_count(cases), f"of {len(cases)} flows")
        led_to: dict[str, list[Case]] = {}
        for number, (flow, truth) in enumerate(self._prepared(again=True)):
            self._share_time(len(cases) - number)
            led_to[flow] = self._play(truth, flow, cases.get(flow, []))
        self.report.skip(_count(cases, but=led_to))
        self._flow_until = self.until
        self.report.expect(_count(led_to), "at calls that only a failure led to")
        reached = {
            flow: self._play(truth, flow, self._shuffled(led_to.get(flow, [])))
            for flow, truth in self._prepared(again=True)
        }
        self.report.skip(_count(led_to, but=reached))

    def _is_new(self, fault: Fault) -> bool:
        """Whether this was not played in another flow already, where a site is to fail in one flow only."""
        known = (fault.site, fault.kind) in self._done
        self._done.add((fault.site, fault.kind))
        return not (self.once and known)

    def pairs(self, count: int) -> None:
        """So many draws of two faults, the second some calls after the first; the interleaving is drawn too."""
        dice = random.Random(f"pairs {self.seed}")
        self.report.expect(count, f"of {len(self.flows)} flows")
        share = -(-count // len(self.flows))
        for flow, truth in self._prepared():
            number = min(share, count)
            count -= number
            calm = self._calm(truth, flow)
            self._play(truth, flow, [_pair(flow, calm, dice) for _ in range(number)])

    def _prepared(self, *, again: bool = False) -> Iterator[tuple[str, Truth]]:
        """Flows that begin in the same world share it."""
        ordered = sorted(self.flows, key=lambda name: FLOWS[name].prepare.__name__)
        for _, names in groupby(ordered, key=lambda name: FLOWS[name].prepare):
            group = list(names)
            if self.until is not None and time.monotonic() > self.until:
                if not again:
                    print(f"  skipped: {', '.join(group)}", flush=True)
                continue
            if group[0] not in self._worlds:
                self._worlds |= dict.fromkeys(group, prepared(group[0], self.folder))
            truth = self._worlds[group[0]]
            for flow in group:
                yield flow, truth

    def _calm(self, truth: Truth, flow: str) -> Outcome:
        """The flow without a fault: which calls it makes."""
        [(case, outcome)] = play_all(truth, [Case(flow, self.seed)], 1)
        self.report.add(case, outcome)
        return outcome

    def _play(self, truth: Truth, flow: str, cases: list[Case]) -> list[Case]:
        """Play them; the cases in which a fault reaches the sites that only these cases led to."""
        self.report.begin(flow, len(cases))
        led_to: list[Case] = []
        played = 0
        for case, outcome in play_all(truth, self._while_there_is_time(cases), self.jobs):
            played += 1
            for crossing in outcome.made:
                if crossing.site not in self.report.sites and outcome.hit == len(case.plan):
                    self.report.sites.add(crossing.site)
                    faults = (Fault(crossing.site, crossing.number, kind) for kind in crossing.kinds)
                    led_to += [Case(case.flow, case.seed, (*case.plan, fault)) for fault in faults]
            self.report.add(case, outcome)
        self.report.skip(len(cases) - played)
        return led_to

    def _while_there_is_time(self, cases: list[Case]) -> Iterator[Case]:
        for case in cases:
            if self._is_over():
                return
            yield case

    def _share_time(self, left: int) -> None:
        """Each of the flows that are left gets as much of the time."""
        if self.until is not None:
            self._flow_until = time.monotonic() + (self.until - time.monotonic()) / left

    def _is_over(self) -> bool:
        return self._flow_until is not None and time.monotonic() > self._flow_until

    def _shuffled(self, items: list[T]) -> list[T]:
        return (
            random.Random(f"order {self.seed}").sample(items, len(items)) if self.until is not None else items
        )


def _count(cases: Mapping[str, list[Case]], but: Collection[str] = ()) -> int:
    """How many cases of flows there are, but for these flows."""
    return sum(len(of_flow) for flow, of_flow in cases.items() if flow not in but)


def singles_of(calm: Outcome, occurrences: int) -> list[Fault]:
    """Every kind at every call that a calm run made, a site at most so often."""
    return [
        Fault(crossing.site, crossing.number, kind)
        for crossing in calm.made
        if crossing.number <= occurrences
        for kind in crossing.kinds
    ]


def _pair(flow: str, calm: Outcome, dice: random.Random) -> Case:
    first: Crossing = dice.choice(calm.made)
    writing = [crossing for crossing in calm.made if crossing.writes]
    if dice.random() < 0.6 and writing:
        first = dice.choice(writing)
    after = 1 + min(int(dice.expovariate(1 / 10)), FARTHEST)
    second = Fault("", after, dice.choice(tuple(Kind)))
    return Case(
        flow, dice.randrange(1_000_000), (Fault(first.site, first.number, dice.choice(first.kinds)), second)
    )


def number_of_source() -> int:
    """A number that changes with the product's source: the same code always plays the same share."""
    digest = hashlib.sha256()
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:4], "big")
