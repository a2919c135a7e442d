"""Ids of extended properties, and the standard properties that Exchange sets itself.

Sources: Microsoft Graph, "Outlook extended properties overview" (three forms of id; the name is case-sensitive);
Exchange property tags PidTagInternetMessageId 0x1035, PidTagInReplyToId 0x1042, PidTagInternetReferences 0x1039,
PidTagMessageClass 0x001A.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.graphsim.store import Message

_GUID = r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?"
_TYPES = r"(String|Integer|Boolean|Binary|Double|Float|Long|Short|SystemTime|Currency|CLSID|ApplicationTime)(Array)?"
_NAMED = re.compile(rf"^{_TYPES} {_GUID} Name (.+)$", re.IGNORECASE)
_NUMBERED = re.compile(rf"^{_TYPES} {_GUID} Id (0x[0-9a-fA-F]{{1,8}})$", re.IGNORECASE)
_TAG = re.compile(rf"^{_TYPES} (0x[0-9a-fA-F]{{1,8}})$", re.IGNORECASE)

MESSAGE_ID_TAG = "string 0x1035"
IN_REPLY_TO_TAG = "string 0x1042"
REFERENCES_TAG = "string 0x1039"
MESSAGE_CLASS_TAG = "string 0x001a"


def normal_property_id(text: str) -> str | None:
    """The id with type and GUID in lower case, so that equal ids compare equal; None if it is no property id."""
    if found := _NAMED.match(text):
        return f"{(found[1] + (found[2] or '')).lower()} {{{found[3].lower()}}} Name {found[4]}"
    if found := _NUMBERED.match(text):
        return f"{(found[1] + (found[2] or '')).lower()} {{{found[3].lower()}}} Id {int(found[4], 16):#06x}"
    if found := _TAG.match(text):
        return f"{(found[1] + (found[2] or '')).lower()} {int(found[3], 16):#06x}"
    return None


def is_tag(normal_id: str) -> bool:
    """Whether it names one of Exchange's own properties, which a client may read but not set."""
    return _TAG.match(normal_id) is not None


def value_of(message: Message, normal_id: str) -> str | None:
    """The value of a message's single-value property, or None."""
    if normal_id == MESSAGE_ID_TAG:
        return message.internet_message_id
    if normal_id == IN_REPLY_TO_TAG:
        named = (message.in_reply_to,) if message.in_reply_to else ()
        return _as_written(message, named) if "in_reply_to" in message.reply_tags else None
    if normal_id == REFERENCES_TAG:
        return _as_written(message, message.references) if "references" in message.reply_tags else None
    if normal_id == MESSAGE_CLASS_TAG:
        return message.message_class
    return message.extended.get(normal_id)


def _as_written(message: Message, named: tuple[str, ...]) -> str | None:
    """Message-IDs as the program that wrote the mail writes them (knob `reply_tag_form`); Exchange keeps the text."""
    if not named:
        return None
    match message.tag_form:
        case "bare":
            return ", ".join(each.strip("<>") for each in named)
        case "words":
            return 'Your message of "Mon, 2 Mar 2026 09:00:00 +0000"\r\n ' + "\r\n\t".join(named)
        case _:
            return " ".join(named)
