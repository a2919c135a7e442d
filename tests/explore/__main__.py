"""`make explore`: see README.md."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.explore.case import Case
from tests.explore.flows import FLOWS
from tests.explore.forking import play_here, prepared
from tests.explore.report import Report
from tests.explore.runs import Run, number_of_source

FLOWS_OF_A_SHARE = 5


def main() -> int:
    """Play what was asked for; 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="make explore", description=__doc__)
    parser.add_argument("--case", default="", help="play this one and show every step")
    parser.add_argument(
        "--pairs", type=int, default=0, help="so many pairs of faults instead of every single one"
    )
    parser.add_argument("--share", type=float, default=0.0, help="only what fits into so many seconds")
    parser.add_argument("--flows", default="", help=f"of {', '.join(FLOWS)}")
    parser.add_argument("--seed", default="1", help="of the interleaving")
    parser.add_argument("--occurrences", type=int, default=1, help="how many calls of a site are crossed")
    parser.add_argument(
        "--once", action="store_true", help="a site fails in one flow, not in each that makes it"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    wanted = parser.parse_args()
    if unknown := {*filter(None, wanted.flows.split(","))} - {*FLOWS}:
        parser.error(f"no such flow: {', '.join(sorted(unknown))}; there are {', '.join(FLOWS)}")
    with tempfile.TemporaryDirectory() as folder:
        if wanted.case:
            try:
                case = Case.read(wanted.case)
            except ValueError as err:
                parser.error(
                    f"{wanted.case!r} is no case, which is FLOW/SEED/SITE#NUMBER:KIND as printed: {err}"
                )
            return _replay(case, Path(folder))
        return _explore(wanted, Path(folder))


def _explore(wanted: argparse.Namespace, folder: Path) -> int:
    report, flows = Report(), wanted.flows.split(",") if wanted.flows else list(FLOWS)
    run = Run(folder, report, flows, int(wanted.seed or 1), wanted.jobs, wanted.occurrences, once=wanted.once)
    if wanted.share:
        run.seed = number_of_source() % 1_000_000
        run.flows = random.Random(run.seed).sample(flows, min(FLOWS_OF_A_SHARE, len(flows)))
        run.until = time.monotonic() + wanted.share
        print(
            f"  share {run.seed}: {', '.join(run.flows)}; not now: {', '.join(sorted({*flows} - {*run.flows}))}"
        )
    run.pairs(wanted.pairs) if wanted.pairs else run.singles()
    return report.close(whole=not (wanted.share or wanted.pairs or wanted.flows))


def _replay(case: Case, folder: Path) -> int:
    outcome = play_here(prepared(case.flow, folder), case, show=True)
    print(
        f"met {outcome.hit} of {len(case.plan)} faults; {outcome.found or 'all is as it must be'}", flush=True
    )
    for fault in case.plan[outcome.hit :]:
        print(f"never met: {fault}; the flow makes no such call on this commit", flush=True)
    return int(bool(outcome.found) or outcome.hit < len(case.plan))


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets are walked in the same order in every run
        os.execve(  # noqa: S606 - this program again
            sys.executable,
            [sys.executable, "-m", "tests.explore", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the worlds' open ends are not tidied up
