"""ASP.NET Core's inline route constraints (Microsoft, "Routing in ASP.NET Core", "Route constraints")."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

Constraint = Callable[[str], bool]

_DATES = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%d %B %Y")


class UnknownConstraint(ValueError):
    """A template names a constraint that ASP.NET Core does not have, or with arguments that it does not take."""


def constraint(text: str) -> Constraint:
    """The check for `name` or `name(arguments)`; raises UnknownConstraint."""
    name, _, rest = text.partition("(")
    arguments = rest.removesuffix(")")
    known = name.lower()
    try:
        if known in _PLAIN and not rest:
            return _PLAIN[known]
        if known == "regex":
            return _matches(arguments)
        if known in _COUNTED:
            return _COUNTED[known](*(int(part) for part in arguments.split(",")))
    except (TypeError, ValueError, re.error) as error:
        raise UnknownConstraint(f"the constraint {text!r} cannot be read: {error}") from error
    raise UnknownConstraint(f"there is no constraint {text!r}")


def _matches(pattern: str) -> Constraint:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda value: compiled.search(value) is not None


def _whole_number(bits: int) -> Constraint:
    limit = 2 ** (bits - 1)

    def fits(value: str) -> bool:
        return re.fullmatch(r"\s*[+-]?\d+\s*", value) is not None and -limit <= int(value) < limit

    return fits


def _within_bounds(low: int | None, high: int | None) -> Constraint:
    whole = _whole_number(64)

    def within(value: str) -> bool:
        return whole(value) and (low is None or int(value) >= low) and (high is None or int(value) <= high)

    return within


def _has_length(low: int, high: int | None) -> Constraint:
    return lambda value: len(value) >= low and (high is None or len(value) <= high)


def _is_number(value: str) -> bool:
    try:
        float(value.replace(",", ""))
    except ValueError:
        return False
    return True


def _is_decimal(value: str) -> bool:
    try:
        return "e" not in value.lower() and Decimal(value.replace(",", "")).is_finite()
    except InvalidOperation:
        return False


def _is_guid(value: str) -> bool:
    try:
        UUID(value.strip("()"))
    except ValueError:
        return False
    return True


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return any(_is_date_of(value, form) for form in _DATES)
    return True


def _is_date_of(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only the shape matters
    except ValueError:
        return False
    return True


_PLAIN: dict[str, Constraint] = {
    "int": _whole_number(32),
    "long": _whole_number(64),
    "bool": lambda value: value.lower() in {"true", "false"},
    "datetime": _is_date,
    "decimal": _is_decimal,
    "double": _is_number,
    "float": _is_number,
    "guid": _is_guid,
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "required": bool,
}

_COUNTED: dict[str, Callable[..., Constraint]] = {
    "length": lambda low, high=None: _has_length(low, low if high is None else high),
    "minlength": lambda low: _has_length(low, None),
    "maxlength": lambda high: _has_length(0, high),
    "min": lambda low: _within_bounds(low, None),
    "max": lambda high: _within_bounds(None, high),
    "range": _within_bounds,
}
