"""Count the files that a reader opens to follow one mail through the code: `python scripts/walk.py`.

What is counted. Two walks are recorded with Python's profiler while the function app runs over the in-memory
stores: an answer of a contact, from Graph's notification to the CRM's 2xx; and a new send of the CRM, from the
request to Graph's 202. Of all calls only those count whose code lies in `functions/`,
`shared/sync/` or `shared/domain/`: a walk is the list of these files in the order in which calls enter them. Where a
call stays in its file, or comes back from a function, nothing is added; code that runs at import does not count.

    files     how many different files the walk enters
    returns   how often it enters a file that it had entered before and left since

`--list` prints the walk itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COUNTED = ("functions/", "shared/sync/", "shared/domain/")
NO_CALLS = ("<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")


class Walk:
    """The files that calls enter, in order."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._known: dict[str, str | None] = {}
        self._begun: set[FrameType] = set()

    def note(self, frame: FrameType, event: str, _arg: Any) -> None:
        """Record a call, for `sys.setprofile`; a coroutine that resumes after an await is not a new call."""
        code = frame.f_code
        if event != "call" or code.co_name in NO_CALLS or frame in self._begun:
            return
        name = self._name(code.co_filename)
        if name is None:
            return
        self._begun.add(frame)
        if not self.files or self.files[-1] != name:
            self.files.append(name)

    def _name(self, path: str) -> str | None:
        if path not in self._known:
            inside = path.removeprefix(f"{ROOT}/") if path.startswith(f"{ROOT}/") else ""
            self._known[path] = inside if inside.startswith(COUNTED) else None
        return self._known[path]

    @property
    def different(self) -> int:
        """How many different files the walk enters."""
        return len(set(self.files))

    @property
    def returns(self) -> int:
        """How often the walk enters a file again."""
        return len(self.files) - self.different


async def record(work: Callable[[], Awaitable[object]]) -> Walk:
    """Run the work and return its walk."""
    walk = Walk()
    sys.setprofile(walk.note)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return walk


async def record_walks(folder: Path) -> dict[str, Walk]:
    """Record both walks, in a thread with earlier mails and after the same work was done once (caches are filled)."""
    from tests.functions.world import open_app

    async with open_app(folder) as app:
        await app.connect()
        await app.sent("m-0")
        await app.answered()
        outbound = await record(lambda: _send(app, "m-1"))
        inbound = await record(app.answered)
    return {"inbound": inbound, "outbound": outbound}


async def _send(app: Any, crm_message_id: str) -> None:
    await app.accepted(crm_message_id)
    await app.pump("outbox")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print every file of each walk in its order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(record_walks(Path(folder)))
    for name, walk in found.items():
        print(f"{name}: {walk.different} files, {walk.returns} returns")
        if options.list:
            print("".join(f"    {file}\n" for file in walk.files), end="")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
