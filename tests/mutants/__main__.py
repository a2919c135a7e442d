"""`python -m tests.mutants [--only WORDS] [--share SECONDS]`: run mutants, print by which test each is caught."""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.patching import VARIABLE
from tests.mutants.table import MUTANTS, ROOT, Mutant

AT_ONCE = 2
LONGEST_SECONDS = 180
TESTS_FAILED = 1  # pytest's exit code; others mean that the proof did not run
FAILED = re.compile(r"^\d+ failed", re.MULTILINE)  # an error of a fixture shows nothing


def main() -> int:
    """Run them; return the exit code: 0, or 1 when one was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name has these words")
    parser.add_argument(
        "--share", type=float, default=0, help="as many as fit this many seconds, drawn by the source"
    )
    asked = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if asked.only in mutant.name]
    began, missed, run = time.monotonic(), 0, 0
    for mutant, caught in _outcomes(_drawn(chosen) if asked.share else chosen, asked.share):
        run += 1
        missed += not caught
        print(
            f"  {mutant.name:<62} {'caught by ' + _short(mutant.proof) if caught else 'NOT CAUGHT'}",
            flush=True,
        )
    left = len(chosen) - run
    print(f"{run} mutants, {missed} not caught, {left} left out; {time.monotonic() - began:.0f} s")
    return 1 if missed or not run else 0


def _outcomes(mutants: Sequence[Mutant], seconds: float) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant and whether it was caught, in the order of the table, a few at once."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(0, len(mutants), AT_ONCE):
            if seconds and first and time.monotonic() > until:
                print("left out of this share: " + ", ".join(mutant.name for mutant in mutants[first:]))
                return
            group = mutants[first : first + AT_ONCE]
            yield from zip(group, pool.map(_is_caught, group), strict=True)


def _is_caught(mutant: Mutant) -> bool:
    """Whether its proof fails as a test does. What else it printed is shown where it did not."""
    try:
        changed = mutant.changed_sources()
    except LookupError as err:
        print(f"no longer fits: {err}")
        return False
    for file, text in changed.items():
        compile(text, file, "exec")  # or what is no Python would count as caught
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutants.patching", "-q", "-x", "--no-header"]
    command += ["-p", "no:cacheprovider", "--tb=line", "--show-capture=no", mutant.proof]
    environ = {**os.environ, VARIABLE: mutant.name, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True  # the proof hangs, which no green build does
    failed = done.returncode == TESTS_FAILED and FAILED.search(done.stdout) is not None
    if done.returncode and not failed:
        print(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed


def _drawn(mutants: Sequence[Mutant]) -> list[Mutant]:
    """In an order that follows from the product's source: the same code always has the same share."""
    digest = hashlib.sha256()
    for folder in ("functions", "shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    drawn = list(mutants)
    random.Random(digest.hexdigest()).shuffle(drawn)
    return drawn


def _short(proof: str) -> str:
    return proof.removeprefix("tests/")


if __name__ == "__main__":
    sys.exit(main())
