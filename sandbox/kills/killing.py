"""Find the processes of a development host and kill one of them."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

SIGNALS = {"kill": (signal.SIGKILL,), "term": (signal.SIGTERM,), "mixed": (signal.SIGKILL, signal.SIGTERM)}


def children_of(pid: int) -> dict[int, str]:
    """The living children of a host's supervisor, each with the group that it serves."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            if int(parent) == pid and state != "Z" and "--child" in words:
                found[int(entry.name)] = words[words.index("--child") + 1]
    return found


def kill_any(dice: random.Random, supervisors: list[int], how: str) -> str | None:
    """Signal one of the children; return which group's and how, None where none is alive now."""
    alive = sorted((group, pid) for parent in supervisors for pid, group in children_of(parent).items())
    if not alive:
        return None
    group, pid = dice.choice(alive)
    number = dice.choice(SIGNALS[how])
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    return f"{group} ({number.name})"
