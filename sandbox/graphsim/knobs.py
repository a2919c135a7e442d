"""The values of the knobs in force (see knob_tables)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.graphsim.knob_tables import KNOBS, Knob, Value

__all__ = ["KNOBS", "Knob", "Knobs", "UnknownKnob", "Value"]

_BY_NAME = {knob.name: knob for knob in KNOBS}


class UnknownKnob(ValueError):
    """There is no such knob, or it does not take that value."""


@dataclass(slots=True)
class Knobs:
    """The values in force; a knob that is not set has its default."""

    _set: dict[str, Value] = field(default_factory=dict)

    def set(self, name: str, value: Value) -> None:
        """Set a knob; raises UnknownKnob for a name or value that is not in the table."""
        knob = _BY_NAME.get(name)
        if knob is None:
            msg = f"no knob {name!r}"
            raise UnknownKnob(msg)
        if knob.values is None:
            if isinstance(value, (bool, str)) or value < 0:
                msg = f"{name} takes a number from 0 up"
                raise UnknownKnob(msg)
        elif value not in knob.values:
            msg = f"{name} takes one of {', '.join(knob.values)}"
            raise UnknownKnob(msg)
        self._set[name] = value

    def text(self, name: str) -> str:
        """The value of a knob with words."""
        return str(self._set.get(name, _BY_NAME[name].default))

    def number(self, name: str) -> float:
        """The value of a knob with a number."""
        return float(self._set.get(name, _BY_NAME[name].default))

    def all(self) -> dict[str, Value]:
        """All knobs by name, with the value in force."""
        return {knob.name: self._set.get(knob.name, knob.default) for knob in KNOBS}

    def reset(self) -> None:
        """Set all knobs to their defaults."""
        self._set.clear()
