"""Where our pages may lead people back to: an address that the operator registered, never one of a request (O-5)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

MOST_CHARACTERS: Final = 500


def is_return_address(url: str, *, loopback: bool) -> bool:
    """Whether people may be led there: https, or with `loopback` plain http on the same machine."""
    if not 0 < len(url) <= MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
