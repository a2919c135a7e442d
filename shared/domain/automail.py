"""Whether a mail was written by a machine (RFC 3834; E-20: such mail never triggers anything of ours)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BULK: Final = ("bulk", "list", "junk", "auto_reply")


def is_automatic(headers: Iterable[tuple[str, str]]) -> bool:
    """RFC 3834, 5: Auto-Submitted other than `no` marks automatic mail; the older marks of the field count too."""
    for name, value in headers:
        folded, content = name.lower(), value.strip().lower()
        if folded == "auto-submitted" and content.split(";")[0].strip() != "no":
            return True
        if folded in ("x-auto-response-suppress", "x-autoreply", "list-id", "list-unsubscribe"):
            return True
        if folded == "precedence" and content in BULK:
            return True
        if folded == "return-path" and content in ("", "<>"):
            return True
    return False
