"""What nobody came for is erased: sign-ins that were never confirmed, with their tokens, and all else that ended."""

from __future__ import annotations

from typing import Final

from shared.services import Services

MOST_A_RUN: Final = 200


async def erase_ended(s: Services) -> int:
    """One slice of the short-lived rows whose time is over; returns how many were erased."""
    return await s.sessions.erase_ended(MOST_A_RUN)
