"""The smallest honest file of every kind, and dishonest ones."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

WORD_STREAM = "WordDocument".encode("utf-16-le")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def archive(*names: str) -> bytes:
    """A ZIP with these members."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as zipped:
        for name in names:
            zipped.writestr(name, b"x")
    return raw.getvalue()


DOCX = archive("[Content_Types].xml", "word/document.xml")
XLSX = archive("[Content_Types].xml", "xl/workbook.xml")
JAR = archive("META-INF/MANIFEST.MF", "A.class")
CORPUS = Path(__file__).parent / "corpus"
DOC = CORPUS.joinpath("word.doc").read_bytes()
XLS = CORPUS.joinpath("excel.doc").read_bytes()
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,"
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
MOV = b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00"
TRANSPORT_STREAM = (b"\x47\x40\x00\x10" + bytes(184)) * 3
MPEG_PACK = b"\x00\x00\x01\xba\x44\x00"
MPEG_SEQUENCE = b"\x00\x00\x01\xb3\x14\x00"
RAR4 = b"Rar!\x1a\x07\x00\xcf"
RAR5 = b"Rar!\x1a\x07\x01\x00\x33"
ZIP = archive("a.txt")
ZIP_EMPTY = archive()
EXE = b"MZ\x90\x00\x03\x00\x00\x00"
EXE_WHOLE = CORPUS.joinpath("program.txt").read_bytes()
ELF = b"\x7fELF\x02\x01\x01"
HTML = b"<html><script>alert(1)</script></html>"
RTF = b"{\\rtf1\\ansi hello}"
TEXT = b"Dear Bea,\r\n\tthe offer.\n"
