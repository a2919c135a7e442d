"""The article as a story with a check at every step: `python -m sandbox story`."""

from __future__ import annotations

from sandbox.story.playing import run

__all__ = ["run"]
