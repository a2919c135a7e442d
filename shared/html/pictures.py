"""Pictures that stand in a text as `data:` addresses: no mail program shows them reliably, so they become files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

MOST_PICTURES: Final = 50
_DATA: Final = re.compile(
    r"data:image/([a-z0-9.+-]{1,20})((?:;[a-z0-9=_-]{1,40})*),(.*)", re.IGNORECASE | re.DOTALL
)
_ENDINGS: Final = {"jpeg": "jpg", "pjpeg": "jpg", "x-png": "png", "svg+xml": "svg"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that stood in the text: a name by its declared type, its bytes, and the Content-ID that shows it."""

    name: str
    content: bytes
    content_id: str


@dataclass(slots=True)
class Pictures:
    """Collects pictures from a text while it is cleaned; one that stands there twice is one file."""

    found: dict[str, Picture] = field(default_factory=dict)

    def take(self, address: str) -> str | None:
        """The address that the text has instead; None where it is no picture that can be read."""
        matched = _DATA.fullmatch(address.strip())
        content = _decode(matched[2], matched[3]) if matched else None
        if matched is None or content is None or len(self.found) >= MOST_PICTURES:
            return None
        content_id = f"picture-{hashlib.sha256(content).hexdigest()[:24]}@inline"
        ending = _ENDINGS.get(matched[1].lower(), matched[1].lower())
        self.found.setdefault(
            content_id, Picture(f"picture-{len(self.found) + 1}.{ending}", content, content_id)
        )
        return f"cid:{content_id}"


def _decode(parameters: str, text: str) -> bytes | None:
    raw = unquote_to_bytes(text)
    if "base64" not in parameters.lower():
        return raw or None
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None
