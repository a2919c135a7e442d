"""Whether a file's bytes are what its name says, and if not, what they are (F-1 to F-3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.domain.attachments import MAX_FILE_BYTES, TYPES, extension_of
from shared.domain.model import Reason
from shared.file_contents.containers import is_doc, is_docx, name_of_ole, name_of_zip
from shared.file_contents.headers import (
    JPEG,
    OLE,
    PNG,
    RAR,
    ZIP_FILE,
    is_mp4,
    is_mpeg,
    is_pdf,
    is_zip,
    name_of_header,
    starts,
)
from shared.file_contents.texts import is_text


@dataclass(frozen=True, slots=True)
class ContentFault:
    """Why a file's bytes do not pass.

    `found`: what they are, as a phrase ("a PDF"); None where it is not known. `detail`: a sentence's worth for people.
    """

    reason: Reason
    found: str | None = None
    detail: str | None = None

    @property
    def is_picture(self) -> bool:
        """Whether the bytes are a picture of some kind."""
        return self.found is not None and self.found.endswith(" picture")


CONTENTS: Final[dict[str, Callable[[bytes], bool]]] = {
    "jpg": starts(JPEG),
    "jpeg": starts(JPEG),
    "png": starts(PNG),
    "mp4": is_mp4,
    "mpeg": is_mpeg,
    "zip": is_zip,
    "rar": starts(*RAR),
    "pdf": is_pdf,
    "doc": is_doc,
    "docx": is_docx,
    "txt": is_text,
}


def judge_content(name: str, content: bytes) -> ContentFault | None:
    """The bytes decide: size, emptiness, and whether they are what the name says."""
    extension = extension_of(name)
    if extension not in TYPES:
        return ContentFault(Reason.ATTACHMENT_TYPE)
    if len(content) > MAX_FILE_BYTES:
        return ContentFault(Reason.ATTACHMENT_TOO_LARGE)
    if not content:
        return None if extension == "txt" else ContentFault(Reason.ATTACHMENT_EMPTY)
    if CONTENTS[extension](content):
        return None
    found = name_of(content)
    is_what = f"is {found}" if found else "is of a kind that is not known"
    return ContentFault(Reason.ATTACHMENT_MISMATCH, found, f"named .{extension}, {is_what}")


def name_of(content: bytes) -> str | None:
    """What bytes are, as a phrase for people; None where nothing is recognised."""
    if content.startswith(ZIP_FILE):
        return name_of_zip(content)
    if content.startswith(OLE):
        return name_of_ole(content)
    known = name_of_header(content)
    if known is not None:
        return known
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"{\\rtf"):
        return "a Rich Text file (.rtf)"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return "a text" if is_text(content) else None
