"""Ids in the form of Exchange's and Entra's: opaque, case-sensitive, with a prefix for each kind of item.

Source: Microsoft Graph, "Obtain immutable identifiers for Outlook resources": ids are case-sensitive and may contain
`=`, `-` and `_`, so they must be percent-encoded in a path.
"""

from __future__ import annotations

import base64
import random
import re
import uuid
from dataclasses import dataclass, field

ORDINARY = "AAMkAG"
IMMUTABLE = "AAkALg"
FOLDER = "AQMkAD"
CONVERSATION = "AAQkAG"
ATTACHMENT = "AAMkAGatt"
_SHAPE = re.compile(r"^[A-Za-z0-9_=-]{20,400}$")


def looks_like_id(text: str) -> bool:
    """Whether it has the form of an id; otherwise Exchange answers ErrorInvalidIdMalformed."""
    return bool(_SHAPE.match(text)) and text.startswith(("AAMk", "AAkA", "AQMk"))


@dataclass(slots=True)
class IdMaker:
    """Makes all ids of a simulator from one seed.

    `differ_by_case`: of each kind of item, every second id differs from the one before only in the case of a letter, as
    happens with Exchange's counting base64 ids.
    """

    seed: int
    differ_by_case: bool = True
    _random: random.Random = field(init=False)
    _held: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def guid(self) -> str:
        """A random GUID in the usual text form."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def bytes(self, count: int) -> bytes:
        """Random bytes from the seed."""
        return self._random.randbytes(count)

    def opaque(self, prefix: str, count: int = 40) -> str:
        """A token of `count` random bytes in base64."""
        return prefix + base64.urlsafe_b64encode(self.bytes(count)).decode().rstrip("=")

    def mailbox_part(self) -> str:
        """The part that all item ids of one mailbox share; it always holds a dash and an underscore."""
        return self.opaque("", 12) + "-" + self.opaque("", 12) + "_"

    def item(self, prefix: str, mailbox_part: str) -> str:
        """An id for a message, folder, conversation or attachment of that mailbox."""
        return f"{prefix}{mailbox_part}{self._tail(prefix + mailbox_part)}A="

    def _tail(self, kind: str) -> str:
        if self.differ_by_case and (held := self._held.pop(kind, "")):
            return held
        tail = self.opaque("", 12) + self._random.choice("abcdefghijklmnopqrstuvwxyz")
        self._held[kind] = tail[:-1] + tail[-1].upper()
        return tail

    def change_key(self) -> str:
        """A new change key of an item."""
        return base64.b64encode(b"\x09\0\0\0\x16" + self.bytes(20)).decode()

    def internet_message_id(self, domain: str) -> str:
        """An RFC 5322 Message-ID, angle brackets included, in Exchange's style."""
        return f"<{self.opaque('', 18).upper()}@{domain}>"
