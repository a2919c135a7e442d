"""The files of our own pages; read once, served as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CONTENT_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def template(name: str) -> str:
    """One of our page templates, by a name of ours."""
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _assets() -> dict[str, Path]:
    return {path.name: path for path in HERE.iterdir() if path.suffix in CONTENT_TYPES}


def asset(name: str) -> tuple[bytes, str] | None:
    """Bytes and content type of an asset, or None when there is none of that name."""
    path = _assets().get(name)
    return (path.read_bytes(), CONTENT_TYPES[path.suffix]) if path else None
