"""Lists a page at a time, with a bound on the reads of one call."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, TypeVar

T = TypeVar("T")
MOST_READS: Final = 300

Walk = AsyncGenerator[tuple[str, T | None], None]
"""Each read of a list with its place, behind which a later call goes on; None where the read found nothing to show."""


async def take_page(walk: Walk[T], limit: int) -> tuple[list[T], str | None]:
    """Up to `limit` of what is found, and the place behind which the next page begins: None where nothing is left.

    Beside what it finds a call makes MOST_READS reads, so a page may be short, or empty, with a next one behind it.
    """
    found: list[T] = []
    last, idle = "", 0
    async with aclosing(walk) as reads:
        async for place, item in reads:
            if item is None:
                idle += 1
            elif len(found) == limit:
                return found, last
            else:
                found.append(item)
                last = place
            if idle == MOST_READS:
                return found, place
    return found, None
