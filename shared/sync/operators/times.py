"""Times as operators read them."""

from __future__ import annotations

from datetime import UTC, datetime


def to_the_second(at: datetime) -> str:
    """RFC 3339, without what is smaller than a second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
