"""`make simulate SEEDS=300`: random worlds on all cores, with a running count; or this code's share of them.

python -m tests.worlds --seeds 300 --first-seed 1 --moves 60
python -m tests.worlds --share 4
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.worlds.oracle import KINDS, summed
from tests.worlds.run import Result, run_seed
from tests.worlds.telling import in_words

ROOT = Path(__file__).parents[2]
ALL_SEEDS = 300
WORLDS_A_PROCESS = 6  # then a fresh one, so that memory stays small
SHOWN_KINDS = ("attempted", "acknowledged", *KINDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the worlds; 1 when something was not as it must be."""
    asked = _parser().parse_args(arguments)
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that play: the order of sets is a part of a run
    seeds = list(range(asked.first_seed, asked.first_seed + asked.seeds))
    if asked.share:
        seeds = _share(asked.share)
    results = _played(seeds, asked.moves, asked.processes, always_told=asked.tale)
    total = summed(result.verdict for result in results)
    print(_line(total), flush=True)
    others = {name: count for name, count in sorted(total.items()) if name not in SHOWN_KINDS}
    days = sum(result.days for result in results)
    print(
        f"{len(results)} worlds of {days:.0f} days in all, commit {_commit()}. What was done and came of it:"
    )
    print(textwrap.fill(in_words(others), 110, initial_indent="  ", subsequent_indent="  "))
    return 1 if any(total[kind] for kind in KINDS) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument(
        "--share", type=int, default=0, help="so many of the 300 seeds, by a hash of the product"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tale", action="store_true", help="tell every world's moves")
    return parser


def _share(count: int) -> list[int]:
    """So many seeds: the same for the same code of the product, others after each change of it."""
    digest = hashlib.sha256()
    for folder in ("functions", "shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    first = int.from_bytes(digest.digest()[:4], "big") % (ALL_SEEDS // count)
    seeds = [1 + first * count + number for number in range(count)]
    print(
        f"seeds {seeds[0]} to {seeds[-1]}, as the hash of functions/ and shared/ says; skipped: the other "
        f"{ALL_SEEDS - count} (make simulate SEEDS={ALL_SEEDS})"
    )
    return seeds


def _played(seeds: Sequence[int], moves: int, processes: int, *, always_told: bool) -> list[Result]:
    results: list[Result] = []
    begun = time.monotonic()
    context = multiprocessing.get_context("spawn")
    # Not an executor: Python 3.11's waits for ever once its processes have had their tasks (cpython issue 115634).
    with context.Pool(processes, maxtasksperchild=WORLDS_A_PROCESS) as pool:
        for result in pool.imap_unordered(partial(run_seed, moves=moves), seeds):
            results.append(result)
            if faults := result.verdict.all():
                _tell_fault(result, faults, moves)
            elif always_told:
                print("\n".join(result.tale))
            total = summed(each.verdict for each in results)
            seconds = time.monotonic() - begun
            print(f"{len(results):4}/{len(seeds)} worlds, {seconds:5.0f} s: {_line(total)}", flush=True)
    return results


def _tell_fault(result: Result, faults: list[str], moves: int) -> None:
    print(f"seed {result.seed}:", *faults, sep="\n  ")
    print(*result.tale, sep="\n    ")
    print(f"  again, on {_commit()}: make simulate SEEDS=1 FIRST_SEED={result.seed} MOVES={moves}")


def _line(total: Mapping[str, int]) -> str:
    return ", ".join(f"{total[kind]} {kind}" for kind in SHOWN_KINDS)


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "no commit"


if __name__ == "__main__":
    sys.exit(main())
