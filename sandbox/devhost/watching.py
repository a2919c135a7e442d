"""Wait until the app's files change."""

from __future__ import annotations

import asyncio
from pathlib import Path

LOOK_EVERY_SECONDS = 0.5
WATCHED_FILES = ("function_app.py", "host.json", "local.settings.json")
WATCHED_FOLDERS = ("functions", "shared")


async def wait_for_change(app_dir: Path) -> None:
    """Return when a watched file is changed, added or removed."""
    before = _snapshot(app_dir)
    while _snapshot(app_dir) == before:  # noqa: ASYNC110 - file changes set no event
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _snapshot(app_dir: Path) -> dict[Path, int]:
    paths = [app_dir / name for name in WATCHED_FILES]
    for folder in WATCHED_FOLDERS:
        paths.extend((app_dir / folder).rglob("*.py"))
    return {path: path.stat().st_mtime_ns for path in paths if path.exists()}
