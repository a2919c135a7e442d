"""Which files sync (R7, R8, F-1 to F-4, F-7, F-8): by size and name; shared/file_contents judges bytes.

R7: each file at most 3 MB (3,145,728 bytes, inclusive) and of a listed type, otherwise the message does not sync.
R8: type is judged by content as well as by name (shared/file_contents); a mismatch is unsupported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

from shared.domain.model import Reason, RemoteFile

MAX_FILE_BYTES: Final = 3_145_728
MAX_OUTBOUND_FILES: Final = 20
MAX_OUTBOUND_BYTES: Final = 26_214_400
MAX_INBOUND_FILES: Final = 50
MAX_NAME_CHARACTERS: Final = 150
MOST_DECODINGS: Final = 4
_ENCODED_WORD: Final = re.compile(r"=\?[^?\s]{1,40}\?[BbQq]\?[^?]*\?=")

# Graph's `size` is the stored size: the content and some overhead. Until the bytes are there, a file is refused only
# when it is too large even after all the overhead that was ever seen, a base64 copy with its headers.
OVERHEAD_FACTOR: Final = 1.4

TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "zip": "application/zip",
    "rar": "application/vnd.rar",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "txt": "text/plain; charset=utf-8",
}

# "Naming Files, Paths, and Namespaces" of Windows; COM\u00b9 is COM1 there too.
DEVICE_NAMES: Final = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in range(10)]
)

# Report parts of bounces and auto-replies, calendar parts and signatures are no files of anybody (R8).
NEVER_COUNT_TYPES: Final = (
    "message/delivery-status",
    "message/disposition-notification",
    "message/rfc822-headers",
    "text/rfc822-headers",
    "text/calendar",
    "application/ics",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
)
NEVER_COUNT_NAMES: Final = ("smime.p7s",)

BIDI_AND_ZERO_WIDTH: Final = frozenset(
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a file of a send does not pass. `detail`: what its bytes are, for people."""

    name: str
    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class BlockingFile:
    """A file of a received mail that keeps it from syncing. `detail`: what its bytes are, for people."""

    name: str
    size_bytes: int
    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class InboundFiles:
    """A mail's files after their metadata was judged: fetch, note, or do not sync the message."""

    stage: tuple[RemoteFile, ...] = ()
    omitted: tuple[tuple[RemoteFile, str], ...] = ()
    blocking: tuple[tuple[RemoteFile, Reason], ...] = ()


def clean_name(raw: str) -> str:
    """A name that is safe to show and to store (F-4); a second pass changes nothing.

    Encoded words are decoded (RFC 2047; some programs write them where they do not belong). NFC, no controls, no
    paths, no tricks with direction, no dots or spaces at the ends, no name of a device.
    """
    shown = (
        " " if unicodedata.category(letter) in {"Zl", "Zp"} else letter
        for letter in _without_encoded_words(raw)
        if unicodedata.category(letter)[0] != "C" and letter not in BIDI_AND_ZERO_WIDTH
    )
    text = unicodedata.normalize("NFC", "".join(shown))
    text = text.replace("\\", "/").rsplit("/", 1)[-1].rstrip(". ")
    stem, _, extension = text.rpartition(".") if "." in text else (text, "", "")
    ending = f".{extension}"[: MAX_NAME_CHARACTERS // 2].rstrip(". ") if extension else ""
    stem = stem.lstrip(". ")
    if unicodedata.normalize("NFKC", stem.split(".")[0]).strip().lower() in DEVICE_NAMES:
        stem = f"_{stem}"
    return (stem[: MAX_NAME_CHARACTERS - len(ending)].rstrip(". ") or "attachment") + ending


def _without_encoded_words(raw: str) -> str:
    """Decoded until nothing changes, so that a second pass finds none; what cannot be decoded stays as it is."""
    text = raw
    for _ in range(MOST_DECODINGS):
        try:
            decoded = str(make_header(decode_header(text))) if _ENCODED_WORD.search(text) else text
        except (HeaderParseError, LookupError, ValueError):
            break
        if decoded == text:
            return text
        text = decoded
    return _ENCODED_WORD.sub("", text)


def extension_of(name: str) -> str:
    """The last extension, in lower case; "" without one."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def canonical_type(name: str) -> str:
    """The content type we serve a file with: by its extension, never by what somebody declared."""
    return TYPES.get(extension_of(name), "application/octet-stream")


def judge_outbound(files: Sequence[tuple[str, int]]) -> list[FileProblem]:
    """The files of a CRM send by (name, bytes): every problem, empty when all may go."""
    problems = [problem for name, size in files if (problem := _outbound_problem(name, size))]
    if len(files) > MAX_OUTBOUND_FILES:
        problems.append(FileProblem(f"{len(files)} files", Reason.TOO_MANY_ATTACHMENTS))
    if sum(size for _, size in files) > MAX_OUTBOUND_BYTES:
        problems.append(FileProblem("all files together", Reason.ATTACHMENTS_TOO_LARGE_TOGETHER))
    return problems


def _outbound_problem(name: str, size: int) -> FileProblem | None:
    if extension_of(name) not in TYPES:
        return FileProblem(name, Reason.ATTACHMENT_TYPE)
    if size > MAX_FILE_BYTES:
        return FileProblem(name, Reason.ATTACHMENT_TOO_LARGE)
    return None


def judge_inbound(
    files: Sequence[RemoteFile], html_cids: frozenset[str], *, more: bool = False
) -> InboundFiles:
    """A mail's files by their metadata. `html_cids` are the Content-IDs that its HTML shows as pictures.

    `more`: there are files that are not in the list, because it would be too long.
    """
    stage: list[RemoteFile] = []
    omitted: list[tuple[RemoteFile, str]] = []
    blocking: list[tuple[RemoteFile, Reason]] = []
    for file in files:
        verdict = judge_metadata(file, shown_inline=_is_shown(file, html_cids))
        if isinstance(verdict, Reason):
            blocking.append((file, verdict))
        elif verdict is None:
            stage.append(file)
        else:
            omitted.append((file, verdict))
    if len(stage) > MAX_INBOUND_FILES:
        blocking.append((stage[MAX_INBOUND_FILES], Reason.TOO_MANY_ATTACHMENTS))
    elif more and files:
        blocking.append((files[-1], Reason.TOO_MANY_ATTACHMENTS))
    return InboundFiles(tuple(stage), tuple(omitted), tuple(blocking))


def leave_out_blocking(files: InboundFiles) -> InboundFiles:
    """The same files where the tenant lets a mail sync without those that block it (R10)."""
    surplus = files.stage[MAX_INBOUND_FILES:]
    blocking = [(file, reason.value) for file, reason in files.blocking if file not in surplus]
    over = [(file, Reason.TOO_MANY_ATTACHMENTS.value) for file in surplus]
    return InboundFiles(files.stage[:MAX_INBOUND_FILES], (*files.omitted, *blocking, *over))


def judge_metadata(file: RemoteFile, *, shown_inline: bool) -> Reason | str | None:
    """None: fetch and judge by content. A Reason: the message does not sync. Text: noted and left out, and why."""
    if file.kind == "reference":
        return "link"
    if _never_counts(file):
        return "report_part"
    name = clean_name(file.name)
    listed = extension_of(name) in TYPES
    if file.kind != "file":
        return Reason.ATTACHMENT_TYPE
    if not listed:
        return "type" if shown_inline else Reason.ATTACHMENT_TYPE
    if file.size_bytes > MAX_FILE_BYTES * OVERHEAD_FACTOR:
        return Reason.ATTACHMENT_TOO_LARGE
    return None


def _never_counts(file: RemoteFile) -> bool:
    declared = (file.content_type or "").split(";")[0].strip().lower()
    named = file.name.lower()
    return declared in NEVER_COUNT_TYPES or named in NEVER_COUNT_NAMES or named.endswith(".ics")


def _is_shown(file: RemoteFile, html_cids: frozenset[str]) -> bool:
    """Shown by the HTML; where Graph tells no Content-ID, an inline file of a mail with pictures is taken for one."""
    if not file.inline:
        return False
    return file.content_id in html_cids if file.content_id else bool(html_cids)
