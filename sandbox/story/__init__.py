"""The story: the product's whole behaviour step by step, with checks at every step (`python -m sandbox story`)."""

from __future__ import annotations

from sandbox.story.playing import run

__all__ = ["run"]
