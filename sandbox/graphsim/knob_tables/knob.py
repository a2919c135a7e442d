"""A knob: a setting for a behaviour that Microsoft does not promise, with its source and effect.

Confidence: "stated" on a Microsoft page; "(f)" reported from the field; "(k)" long-standing general knowledge;
"(?)" could not be confirmed. Where it is not stated, the default is the setting that is worse for a client, except
where a client could not work at all with the worse one; then `changes` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = str | float | bool


@dataclass(frozen=True, slots=True)
class Knob:
    """A knob. `values`: the permitted words, or None for a number from 0 up."""

    name: str
    values: tuple[str, ...] | None
    default: Value
    confidence: str
    source: str
    changes: str


def number(name: str, default: float, confidence: str, source: str, changes: str) -> Knob:
    """A knob with a number from 0 up."""
    return Knob(name, None, default, confidence, source, changes)


def choice(name: str, values: str, confidence: str, source: str, changes: str) -> Knob:
    """A knob with words; the first of the space-separated `values` is the default."""
    words = tuple(values.split())
    return Knob(name, words, words[0], confidence, source, changes)
