"""Which files sync (R7, R8, F-1 to F-4, F-7, F-8): by size and name; shared/file_contents judges bytes.

R7: each file at most 3 MB (3,145,728 bytes, inclusive) and of a listed type, otherwise the message does not sync.
R8: type is judged by content as well as by name (shared/file_contents); a mismatch is unsupported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

from shared.domain.mail_parts import (
    MAX_TEXT_PARTS,
    by_content_id,
    declared_type,
    is_picture,
    is_report,
    is_shown,
    is_text_part,
    never_counts,
)
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
    """A mail's files after their metadata was judged: fetch, note, or do not sync the message.

    `texts` are no files but the end of the mail's own text.
    """

    stage: tuple[RemoteFile, ...] = ()
    omitted: tuple[tuple[RemoteFile, str], ...] = ()
    blocking: tuple[tuple[RemoteFile, Reason], ...] = ()
    texts: tuple[RemoteFile, ...] = ()


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
    files: Sequence[RemoteFile], html_cids: frozenset[str], *, more: bool = False, of_report: bool = False
) -> InboundFiles:
    """A mail's files by their metadata. `html_cids` are the Content-IDs that its HTML shows as pictures.

    `more`: there are files that are not in the list, because it would be too long. `of_report`: the mail is a bounce, a
    receipt or an automatic answer.
    """
    stage: list[RemoteFile] = []
    omitted: list[tuple[RemoteFile, str]] = []
    blocking: list[tuple[RemoteFile, Reason]] = []
    texts: list[RemoteFile] = []
    of_report = of_report or is_report(files)
    shown_ids = by_content_id(html_cids)
    some_shown = any(is_shown(file, shown_ids) for file in files)
    if more and files:
        blocking.append((files[-1], Reason.TOO_MANY_ATTACHMENTS))
    for file in files[: -1 if more else None]:
        shown = is_shown(file, shown_ids)
        if is_text_part(file) and not shown and len(texts) < MAX_TEXT_PARTS:
            texts.append(file)
            continue
        verdict = _judge_part(file, shown_inline=shown or (some_shown and file.inline), of_report=of_report)
        if isinstance(verdict, Reason):
            blocking.append((file, verdict))
        elif verdict is None:
            stage.append(file)
        else:
            omitted.append((file, verdict))
    sent = [file for file in stage if not is_shown(file, shown_ids)]
    if len(sent) > MAX_INBOUND_FILES:
        blocking.append((sent[MAX_INBOUND_FILES], Reason.TOO_MANY_ATTACHMENTS))
    pictures = [file for file in stage if is_shown(file, shown_ids)][max(0, MAX_INBOUND_FILES - len(sent)) :]
    omitted += [(file, Reason.TOO_MANY_ATTACHMENTS.value) for file in pictures]
    stage = [file for file in stage if file not in pictures]
    return InboundFiles(tuple(stage), tuple(omitted), tuple(blocking), tuple(texts))


def with_unread_texts(files: InboundFiles, unread: Sequence[RemoteFile]) -> InboundFiles:
    """The same files where some of the text could not be read: that text is missing, so the message does not sync."""
    missing = tuple((file, Reason.ATTACHMENT_UNREADABLE) for file in unread)
    texts = tuple(file for file in files.texts if file not in unread)
    return replace(files, blocking=(*files.blocking, *missing), texts=texts)


def leave_out_blocking(files: InboundFiles) -> InboundFiles:
    """The same files where the tenant lets a mail sync without those that block it (R10)."""
    surplus = files.stage[MAX_INBOUND_FILES:]
    blocking = [(file, reason.value) for file, reason in files.blocking if file not in surplus]
    over = [(file, Reason.TOO_MANY_ATTACHMENTS.value) for file in surplus]
    omitted = (*files.omitted, *blocking, *over)
    return InboundFiles(files.stage[:MAX_INBOUND_FILES], omitted, texts=files.texts)


def _judge_part(file: RemoteFile, *, shown_inline: bool, of_report: bool) -> Reason | str | None:
    if file.kind != "reference" and never_counts(file, of_report=of_report):
        return "report_part"
    return judge_metadata(file, shown_inline=shown_inline)


def judge_metadata(file: RemoteFile, *, shown_inline: bool) -> Reason | str | None:
    """None: fetch and judge by content. A Reason: the message does not sync. Text: noted and left out, and why.

    `shown_inline`: the text shows it, or it is an inline file beside one that the text shows.
    """
    if file.kind == "reference":
        return "link"
    if file.kind != "file":
        return Reason.ATTACHMENT_TYPE
    if extension_of(received_name(file)) not in TYPES:
        return "type" if shown_inline and is_picture(file) else Reason.ATTACHMENT_TYPE
    if file.size_bytes > MAX_FILE_BYTES * OVERHEAD_FACTOR:
        return Reason.ATTACHMENT_TOO_LARGE
    return None


def received_name(file: RemoteFile) -> str:
    """The name that a received file is judged and shown by: cleaned, and of its declared type if it has none (F-4)."""
    name = clean_name(file.name)
    if "." in name or name != "attachment":
        return name
    listed = (extension for extension, kind in TYPES.items() if kind.partition(";")[0] == declared_type(file))
    extension = next(listed, None)
    return f"{name}.{extension}" if extension else name


def keeps_back(reason: Reason, *, shown: bool) -> bool:
    """Whether a received file whose bytes do not pass for this reason keeps its mail back.

    A picture that the text shows and that is empty or mislabelled is no file that anybody sent: it is left out.
    """
    return not (shown and reason in {Reason.ATTACHMENT_EMPTY, Reason.ATTACHMENT_MISMATCH})
