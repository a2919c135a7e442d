"""Which files sync (R7, R8, F-1 to F-4, F-7, F-8): by size and name first, by content when the bytes are there.

R7: each file at most 3 MB (3,145,728 bytes, inclusive) and of a listed type, otherwise the message does not sync.
R8: type is judged by content as well as by name; a mismatch is unsupported.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.model import Reason, RemoteFile

MAX_FILE_BYTES: Final = 3_145_728
MAX_OUTBOUND_FILES: Final = 20
MAX_OUTBOUND_BYTES: Final = 26_214_400
MAX_INBOUND_FILES: Final = 50
MAX_NAME_CHARACTERS: Final = 150

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

DEVICE_NAMES: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))]
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
    """Why a file of a send does not pass."""

    name: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class BlockingFile:
    """A file of a received mail that keeps it from syncing."""

    name: str
    size_bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class InboundFiles:
    """A mail's files after their metadata was judged: fetch, note, or do not sync the message."""

    stage: tuple[RemoteFile, ...] = ()
    omitted: tuple[tuple[RemoteFile, str], ...] = ()
    blocking: tuple[tuple[RemoteFile, Reason], ...] = ()


def clean_name(raw: str) -> str:
    """A name that is safe to show and to store (F-4); a second pass changes nothing.

    NFC, no controls, no paths, no tricks with direction, no dots or spaces at the ends, no name of a device.
    """
    shown = (
        letter
        for letter in raw
        if unicodedata.category(letter)[0] != "C" and letter not in BIDI_AND_ZERO_WIDTH
    )
    text = unicodedata.normalize("NFC", "".join(shown))
    text = text.replace("\\", "/").rsplit("/", 1)[-1].rstrip(". ")
    stem, _, extension = text.rpartition(".") if "." in text else (text, "", "")
    ending = f".{extension}"[: MAX_NAME_CHARACTERS // 2].rstrip(". ") if extension else ""
    stem = stem.lstrip(". ")
    if stem.split(".")[0].strip().lower() in DEVICE_NAMES:
        stem = f"_{stem}"
    return (stem[: MAX_NAME_CHARACTERS - len(ending)].rstrip(". ") or "attachment") + ending


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


def judge_content(name: str, content: bytes) -> Reason | None:
    """The bytes decide: size, emptiness, and whether they are what the name says (F-1, F-2)."""
    extension = extension_of(name)
    if extension not in TYPES:
        return Reason.ATTACHMENT_TYPE
    if len(content) > MAX_FILE_BYTES:
        return Reason.ATTACHMENT_TOO_LARGE
    if not content:
        return None if extension == "txt" else Reason.ATTACHMENT_EMPTY
    return None if SIGNATURES[extension](content) else Reason.ATTACHMENT_MISMATCH


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(prefixes)


MP4_BRANDS: Final = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"dash",
    b"M4V ",
    b"MSNV",
)
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
TEXT_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
BINARY: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"%PDF-",
    OLE,
    *ZIP,
    b"Rar!\x1a\x07",
    b"MZ",
    b"\x7fELF",
    b"GIF8",
    b"\x1f\x8b",
)


def _is_mp4(content: bytes) -> bool:
    return content[4:8] == b"ftyp" and content[8:12] in MP4_BRANDS


def _is_doc(content: bytes) -> bool:
    """An OLE container with a stream named WordDocument; names lie there as UTF-16, and no stream is opened (F-3)."""
    return content.startswith(OLE) and "WordDocument".encode("utf-16-le") in content


def _is_docx(content: bytes) -> bool:
    """A ZIP whose directory names the parts of a Word document; nothing is unpacked (F-3)."""
    return content.startswith(ZIP[0]) and b"[Content_Types].xml" in content and b"word/" in content


def _is_text(content: bytes) -> bool:
    """UTF-8, UTF-16 with its mark, or Windows-1252; no NUL outside UTF-16, and no known binary beginning."""
    if content.startswith(TEXT_BOMS):
        return _decodes(content, "utf-16")
    if content.startswith(BINARY) or b"\x00" in content:
        return False
    return _decodes(content, "utf-8") or _decodes(content, "cp1252")


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


SIGNATURES: Final[dict[str, Callable[[bytes], bool]]] = {
    "jpg": _starts(b"\xff\xd8\xff"),
    "jpeg": _starts(b"\xff\xd8\xff"),
    "png": _starts(b"\x89PNG\r\n\x1a\n"),
    "mp4": _is_mp4,
    "mpeg": _starts(b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),
    "zip": _starts(*ZIP),
    "rar": _starts(b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"),
    "pdf": _starts(b"%PDF-"),
    "doc": _is_doc,
    "docx": _is_docx,
    "txt": _is_text,
}
