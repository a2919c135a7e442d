"""Files that do not sync (R7, R8): too big, of no listed type, or something else than their name says."""

from __future__ import annotations

import base64
import random

from sandbox.story.acts import PDF, THREE_MB, attached

TOO_BIG = base64.b64encode(PDF + b"\0" * (THREE_MB + 1 - len(PDF))).decode()
PROGRAM = b"MZ\x90\0\3\0\0\0"


def unfit_file(dice: random.Random, word: str) -> dict[str, str]:
    """One of them, named after its mail; seldom a big one, which costs time."""
    draw = dice.random()
    if draw < 0.2:
        return {"name": f"{word}.pdf", "content_type": "application/pdf", "content_base64": TOO_BIG}
    if draw < 0.6:
        return attached(f"{word}.exe", "application/octet-stream", PROGRAM)
    return attached(f"{word}.pdf", "application/pdf", PROGRAM)
