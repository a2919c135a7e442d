"""R8, F-1, F-2: files judged by their bytes; the smallest honest file of every kind, and dishonest ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attachments import TYPES
from shared.domain.model import Reason
from shared.file_contents import judge_content
from shared.file_contents.headers import VIDEO_BRANDS
from shared.file_contents.judging import CONTENTS
from tests.unit.file_contents import files

THREE_MB = 3_145_728
LISTED = set(TYPES)

HONEST = {
    "jpg": [files.JPEG],
    "jpeg": [files.JPEG, b"\xff\xd8\xff\xe1\x00\x10Exif"],
    "png": [files.PNG],
    "mp4": [files.MP4, *(b"\x00\x00\x00\x18ftyp" + brand for brand in sorted(VIDEO_BRANDS))],
    "mpeg": [files.MPEG_PACK, files.MPEG_SEQUENCE, files.TRANSPORT_STREAM],
    "zip": [files.ZIP, files.ZIP_EMPTY, b"PK\x07\x08" + files.ZIP, files.JAR, files.XLSX, files.DOCX],
    "rar": [files.RAR4, files.RAR5],
    "pdf": [files.PDF, b" " + files.PDF, b"\n" + files.PDF],
    "doc": [files.DOC],
    "docx": [files.DOCX],
    "txt": [
        files.TEXT,
        files.HTML,
        files.RTF,
        "\ufeffmit Marke: \u00fc".encode(),
        "\u00fc \u2603".encode(),
        "mit Marke: \u00fc".encode("utf-16"),
        b"\xfe\xff" + "other order".encode("utf-16-be"),
        "smart \u201cquotes\u201d".encode("cp1252"),
        b"",
    ],
}

DISHONEST = {
    "jpg": [files.PNG, files.GIF, files.HTML, files.EXE, b"\xff\xd8", b" " + files.JPEG],
    "jpeg": [files.PNG, files.HTML],
    "png": [files.JPEG, files.GIF, files.HTML, b"\x89PNG\n", b"\x89PNG"],
    "mp4": [files.HEIC, files.MOV, files.MPEG_PACK, b"ftypisom", b"\x00\x00\x00\x18ftyp3gp9", files.MP4[:8]],
    "mpeg": [files.MP4, b"\x00\x00\x01\xb0", b"\xff\xfb\x90\x00", b"\x00\x00\x01"],
    "zip": [files.RAR4, files.PDF, b"PK", files.EXE + files.ZIP, b"x" + files.ZIP],
    "rar": [files.ZIP, b"Rar!\x1a\x07", b"Rar!\x1a\x07\x02\x00"],
    "pdf": [files.HTML, files.EXE_WHOLE + files.PDF, b" " * 1_025 + files.PDF, b"%!PS-Adobe", b"%PDF"],
    "doc": [files.XLS, files.DOCX, files.RTF, files.OLE, files.HTML, files.WORD_STREAM],
    "docx": [files.XLSX, files.ZIP, files.ZIP_EMPTY, files.DOC, files.JAR, b"PK\x05\x06[Content_Types].xmlword/"],
    "txt": [
        files.PDF,
        files.PNG,
        files.JPEG,
        files.GIF,
        files.ZIP,
        files.ZIP_EMPTY,
        files.RAR5,
        files.DOC,
        files.EXE,
        files.ELF,
        b"\x1f\x8b\x08\x00",
        b"text\x00text",
        b"\xff\xfe\x00\xd8",
    ],
}  # fmt: skip

ALL_HONEST = [(kind, content) for kind, contents in HONEST.items() for content in contents]
ALL_DISHONEST = [(kind, content) for kind, contents in DISHONEST.items() for content in contents]


def reason_of(name: str, content: bytes) -> Reason | None:
    """Why these bytes do not pass under this name; None where they do."""
    fault = judge_content(name, content)
    return None if fault is None else fault.reason


def test_every_type_has_cases() -> None:
    """Each listed type has a check of its bytes, and cases of both sorts in this file."""
    assert set(CONTENTS) == set(HONEST) == set(DISHONEST) == LISTED


@pytest.mark.parametrize(("kind", "content"), ALL_HONEST)
def test_a_file_that_is_what_its_name_says_passes(kind: str, content: bytes) -> None:
    """A file whose bytes fit its extension passes, whatever the extension's case (F-2)."""
    assert judge_content(f"offer.{kind}", content) is None
    assert judge_content(f"offer.exe.{kind.upper()}", content) is None


@pytest.mark.parametrize(("kind", "content"), ALL_DISHONEST)
def test_a_file_that_is_something_else_does_not(kind: str, content: bytes) -> None:
    """A file whose bytes do not fit its listed extension is a mismatch (R8)."""
    assert reason_of(f"offer.{kind}", content) is Reason.ATTACHMENT_MISMATCH


@pytest.mark.parametrize("kind", sorted(LISTED - {"txt"}))
def test_only_a_text_may_be_empty(kind: str) -> None:
    """An empty file passes only as a text."""
    assert reason_of(f"a.{kind}", b"") is Reason.ATTACHMENT_EMPTY
    assert judge_content("a.txt", b"") is None


@pytest.mark.parametrize("kind", ["exe", "docm", "mpg", ""])
def test_a_type_off_the_list_does_not_pass_by_its_bytes(kind: str) -> None:
    """A file with an unlisted last extension does not pass, whatever its content and earlier extensions."""
    name = f"offer.pdf.{kind}" if kind else "offer"
    assert {reason_of(name, content) for content in (files.PDF, b"", files.TEXT)} == {Reason.ATTACHMENT_TYPE}


@pytest.mark.parametrize(("size", "reason"), [(THREE_MB, None), (THREE_MB + 1, Reason.ATTACHMENT_TOO_LARGE)])
def test_three_megabytes_of_bytes_pass(size: int, reason: Reason | None) -> None:
    """A file of 3,145,728 real bytes passes, and not one byte more (R7, F-1)."""
    assert reason_of("a.pdf", files.PDF.ljust(size)) is reason
    assert reason_of("a.txt", b"x" * size) is reason


NAMES = st.text(max_size=10) | st.sampled_from([f"a.{extension}" for extension in sorted(LISTED)])
BYTES = st.binary(max_size=30) | st.sampled_from([content for _, content in ALL_HONEST + ALL_DISHONEST])


@given(NAMES, BYTES)
def test_every_content_gets_a_verdict(name: str, content: bytes) -> None:
    """Any bytes under any name get a reason or none, and fit one type only, texts and relatives of ZIP apart."""
    fault = judge_content(name, content)
    assert fault is None or fault.reason in Reason
    fits = {kind for kind, check in CONTENTS.items() if content and check(content)}
    assert len(fits - {"jpeg", "zip", "txt"}) <= 1
