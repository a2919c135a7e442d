"""What nobody came for is erased: unconfirmed sign-ins with their tokens, uploads with their bytes, all that ended."""

from __future__ import annotations

from typing import Final

from shared.services import Services
from shared.state import keys

MOST_A_RUN: Final = 200


async def erase_ended(s: Services) -> int:
    """One slice of the short-lived rows whose time is over; returns how many were erased."""
    erased, blobs = await s.sessions.erase_ended(MOST_A_RUN)
    for blob in blobs:
        await s.blobs.delete(keys.STAGING, blob)
    return erased
