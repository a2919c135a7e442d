"""Word files: told by the directory of the container that they are, never by strings in its bytes (F-2, F-3).

Nothing is unpacked. Sources: [MS-DOC] 2.1 (the stream WordDocument), [MS-OFFCRYPTO] 2.3.1 (EncryptedPackage),
ECMA-376 part 2 (a package's parts are the names in the ZIP's central directory), APPNOTE 4.3.12.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Final

from shared.file_contents.headers import OLE, ZIP_EMPTY, ZIP_FILE

END_OF_DIRECTORY: Final = struct.Struct("<4s4H2LH")
ENTRY: Final = struct.Struct("<4s6H3L5H2L")
ENTRY_SIGNATURE: Final = b"PK\x01\x02"
COMMENT_AT_MOST: Final = 65_535

DOCUMENT: Final = "a Word document (.docx)"
_MAIN_PART: Final = re.compile(r"word/document\d*\.xml")


def zip_names(content: bytes) -> frozenset[str]:
    """The names in a ZIP's central directory, lower case, with `/`; empty where it has none that can be read.

    Read by hand because the standard library makes much of every entry. The number of entries that the end record says
    is not believed: what stands behind so many would be hidden here, and not from every program that opens the file.
    """
    at = content.rfind(ZIP_EMPTY, max(0, len(content) - END_OF_DIRECTORY.size - COMMENT_AT_MOST))
    if at < 0 or at + END_OF_DIRECTORY.size > len(content):
        return frozenset()
    _, _, _, _, _, size, offset, _ = END_OF_DIRECTORY.unpack_from(content, at)
    # Bytes put before the archive shift every offset: the directory ends where its end record begins.
    place = at - size if content[offset : offset + 4] != ENTRY_SIGNATURE else offset
    names: set[str] = set()
    while 0 <= place <= len(content) - ENTRY.size and content[place : place + 4] == ENTRY_SIGNATURE:
        fields = ENTRY.unpack_from(content, place)
        name, extra, comment = fields[10], fields[11], fields[12]
        begins = place + ENTRY.size
        raw = content[begins : begins + name].decode("utf-8", errors="replace")
        names.add(raw.replace("\\", "/").lstrip("/").lower())
        place = begins + name + extra + comment
    return frozenset(names)


def name_of_zip(content: bytes) -> str:
    """What a ZIP is by the parts it has: a Word document, one with macros, another program's document, or a ZIP."""
    names = zip_names(content)
    if "[content_types].xml" in names:
        return _name_of_package(names)
    if "meta-inf/manifest.mf" in names:
        return "a Java or Android package"
    return "an OpenDocument file" if {"mimetype", "content.xml"} <= names else "a ZIP archive"


def _name_of_package(names: frozenset[str]) -> str:
    """Macros first: a document that has some is none that syncs."""
    if any(name.rpartition("/")[2] in {"vbaproject.bin", "vbadata.xml"} for name in names):
        return "an Office document with macros"
    if any(_MAIN_PART.fullmatch(name) for name in names):
        return DOCUMENT
    folders = {name.partition("/")[0] for name in names}
    if "xl" in folders:
        return "an Excel workbook (.xlsx)"
    return "a PowerPoint presentation (.pptx)" if "ppt" in folders else "an Office package of another program"


def is_docx(content: bytes) -> bool:
    """A Word document without macros, or one that is locked with a password."""
    if content.startswith(ZIP_FILE):
        return name_of_zip(content) == DOCUMENT
    return content.startswith(OLE) and name_of_ole(content) == LOCKED


LOCKED: Final = "an Office document locked with a password"
WORD: Final = "an old Word file (.doc)"


def is_doc(content: bytes) -> bool:
    """An OLE file whose directory has the stream WordDocument at its root."""
    return content.startswith(OLE) and name_of_ole(content) == WORD


def name_of_ole(content: bytes) -> str:
    """What an OLE file is by the streams at the root of its directory."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as container:
            root = container.root
            names = {child.name.lower() for child in root.kids} if root is not None else set()
    except (OSError, ValueError, IndexError, TypeError, struct.error, RecursionError):
        return "a damaged old Office file"
    for stream, name in (
        ("encryptedpackage", LOCKED),
        ("worddocument", WORD),
        ("workbook", "an old Excel file (.xls)"),
        ("book", "an old Excel file (.xls)"),
        ("powerpoint document", "an old PowerPoint file (.ppt)"),
        ("__properties_version1.0", "an Outlook message (.msg)"),
        ("visiodocument", "a Visio drawing"),
    ):
        if stream in names:
            return name
    return "an OLE file of another program"
