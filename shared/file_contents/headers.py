"""What the first bytes of a file say that it is, where they form a complete header of a known type.

Sources: the formats' own specifications (PNG, GIF89a, ISO/IEC 14496-12 and 13818-1, APPNOTE of ZIP, RAR technote,
PE/COFF, ELF) and, for the others, the signatures that the Library of Congress and PRONOM list.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

MOST_BOXES: Final = 64
PACKET_BYTES: Final = 188
FEWEST_PACKETS: Final = 2
MOST_PACKETS: Final = 8
BRANDS_AT: Final = 8
BRAND_BYTES: Final = 4
DOS_HEADER_BYTES: Final = 64
GIF_SCREEN_BYTES: Final = 13
BMP_HEADER_BYTES: Final = 26
PDF_WITHIN: Final = 1_024

JPEG: Final = b"\xff\xd8\xff"
PNG: Final = b"\x89PNG\r\n\x1a\n"
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_FILE: Final = b"PK\x03\x04"
ZIP_EMPTY: Final = b"PK\x05\x06"
ZIP_SPANNED: Final = b"PK\x07\x08"
RAR: Final = (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00")
# MPEG program stream, and a bare video sequence.
MPEG: Final = (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")

# F-2: brands of ISO video; pictures use the same boxes with brands of their own.
VIDEO_BRANDS: Final = frozenset(
    [
        *(b"isom", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"MSNV", b"XAVC"),
        *(b"iso%d" % number for number in range(2, 10)),
        *(b"3gp%d" % number for number in range(4, 8)),
    ]
)
PICTURE_BRANDS: Final = frozenset(
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis", b"crx "]
)
SKIPPED_BOXES: Final = frozenset([b"free", b"wide", b"skip"])


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of the boxes at the top of an ISO base media file, as far as they are well formed."""
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(content):
            return
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        begins = at + 8
        if size == 1 and at + 16 <= len(content):
            size, begins = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        ends = len(content) if size == 0 else at + size
        if ends < begins:
            return
        yield kind, content[begins:ends]
        at = ends


def brands_of(content: bytes) -> tuple[bytes, ...]:
    """The major brand, then the compatible ones; empty where no `ftyp` stands at the beginning."""
    for kind, payload in boxes(content):
        if kind == b"ftyp" and len(payload) >= BRAND_BYTES:
            compatible = payload[BRANDS_AT:]
            return (payload[:4], *(compatible[at : at + 4] for at in range(0, len(compatible) - 3, 4)))
        if kind not in SKIPPED_BOXES:
            return ()
    return ()


def is_mp4(content: bytes) -> bool:
    """Video in ISO boxes: by its major brand or a compatible one, unless the major brand is a picture's."""
    brands = brands_of(content)
    return bool(brands) and brands[0] not in PICTURE_BRANDS and not VIDEO_BRANDS.isdisjoint(brands)


def is_transport_stream(content: bytes) -> bool:
    """MPEG in packets of 188 bytes, each beginning with 0x47."""
    starts = range(0, min(len(content), MOST_PACKETS * PACKET_BYTES), PACKET_BYTES)
    return (
        len(starts) >= FEWEST_PACKETS
        and all(content[at] == ord("G") for at in starts)
        and b"\x00" in content[:940]
    )


def is_mpeg(content: bytes) -> bool:
    """MPEG as a program stream, a bare video sequence or a transport stream."""
    return content.startswith(MPEG) or is_transport_stream(content)


def is_pdf(content: bytes) -> bool:
    """`%PDF-` within the first 1,024 bytes, unless the beginning is a whole header of something else."""
    at = content.find(b"%PDF-", 0, PDF_WITHIN + len(b"%PDF-"))
    return at == 0 or (at > 0 and name_of_header(content, but_pdf=True) is None)


def is_zip(content: bytes) -> bool:
    """A ZIP, an empty or a spanned one, or the last part of a split one."""
    return content.startswith((ZIP_FILE, ZIP_EMPTY, ZIP_SPANNED)) or _ends_a_split_zip(content)


def _ends_a_split_zip(content: bytes) -> bool:
    """The last part begins anywhere within the data; the record at its end says that other parts come before."""
    at = content.rfind(ZIP_EMPTY, max(0, len(content) - 65_557))
    if at < 0 or at + 22 > len(content):
        return False
    this_disk = int.from_bytes(content[at + 4 : at + 6], "little")
    comment = int.from_bytes(content[at + 20 : at + 22], "little")
    ends_here = at + 22 + comment == len(content)
    return ends_here and this_disk > 0 and name_of_header(content, but_pdf=False) is None


def _is_pe(content: bytes) -> bool:
    if not content.startswith(b"MZ") or len(content) < DOS_HEADER_BYTES:
        return False
    at = struct.unpack_from("<I", content, 0x3C)[0]
    return content[at : at + 2] in {b"PE", b"NE", b"LE", b"LX"}


def _is_gif(content: bytes) -> bool:
    """A signature, a screen, its colours, and then a block: the letters alone may begin a sentence."""
    if content[:6] not in {b"GIF87a", b"GIF89a"} or len(content) <= GIF_SCREEN_BYTES:
        return False
    flags = content[10]
    at = GIF_SCREEN_BYTES + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    return content[at : at + 1] in {b"!", b",", b";"} and b"\x00" in content[:at]


def _is_bmp(content: bytes) -> bool:
    if len(content) < BMP_HEADER_BYTES or not content.startswith(b"BM"):
        return False
    header = struct.unpack_from("<I", content, 14)[0]
    return header in {12, 40, 52, 56, 64, 108, 124}


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(b"RIFF") and content[8:12] == form


def starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    """Whether bytes begin with one of these."""
    return lambda content: content.startswith(prefixes)


def _has_brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda content: brands_of(content)[:1] in [(brand,) for brand in brands]


_BZIP2: Final = tuple(
    b"BZh%d%s" % (level, block)
    for level in range(1, 10)
    for block in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
)

# The first that holds names the file. What is no complete header here proves nothing about a text.
HEADERS: Final[tuple[tuple[str, Callable[[bytes], bool]], ...]] = (
    ("a JPEG picture", starts(JPEG)),
    ("a PNG picture", starts(PNG)),
    ("a GIF picture", _is_gif),
    ("a WebP picture", _riff(b"WEBP")),
    ("a TIFF picture", starts(b"II*\x00", b"MM\x00*")),
    ("a BMP picture", _is_bmp),
    ("an icon", starts(b"\x00\x00\x01\x00", b"\x00\x00\x02\x00")),
    ("a Photoshop file", starts(b"8BPS\x00\x01")),
    ("a HEIC picture", _has_brand(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")),
    ("an AVIF picture", _has_brand(b"avif", b"avis")),
    ("an MP4 video", is_mp4),
    ("a QuickTime video", _has_brand(b"qt  ")),
    ("a file like MP4, of none of the kinds of MP4 that sync", lambda content: bool(brands_of(content))),
    ("an MPEG video", is_mpeg),
    ("a Matroska or WebM video", starts(b"\x1a\x45\xdf\xa3")),
    ("an AVI video", _riff(b"AVI ")),
    ("a WAV sound", _riff(b"WAVE")),
    (
        "an MP3 sound",
        lambda content: content.startswith(b"ID3") and content[3:4] in {b"\x02", b"\x03", b"\x04"},
    ),
    ("an Ogg file", starts(b"OggS\x00")),
    ("a FLAC sound", starts(b"fLaC\x00")),
    ("a Windows Media file", starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    ("a PDF", starts(b"%PDF-")),
    ("a ZIP archive", starts(ZIP_FILE, ZIP_EMPTY, ZIP_SPANNED)),
    ("a RAR archive", starts(*RAR)),
    ("a 7z archive", starts(b"7z\xbc\xaf\x27\x1c")),
    ("a gzip archive", starts(b"\x1f\x8b\x08")),
    ("a bzip2 archive", starts(*_BZIP2)),
    ("an xz archive", starts(b"\xfd7zXZ\x00")),
    ("a zstd archive", starts(b"\x28\xb5\x2f\xfd")),
    ("a tar archive", lambda content: content[257:263] in {b"ustar\x00", b"ustar "}),
    ("a cabinet archive", starts(b"MSCF\x00\x00\x00\x00")),
    ("an old Office file", starts(OLE)),
    ("a Windows program", _is_pe),
    (
        "a Linux program",
        lambda content: content.startswith(b"\x7fELF") and content[4:5] in {b"\x01", b"\x02"},
    ),
    (
        "a macOS program",
        starts(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    ),
    ("a Java class", starts(b"\xca\xfe\xba\xbe")),
    ("an Android program", starts(b"dex\n035\x00", b"dex\n037\x00", b"dex\n038\x00", b"dex\n039\x00")),
    ("a WebAssembly program", starts(b"\x00asm")),
    ("a Windows shortcut", starts(b"L\x00\x00\x00\x01\x14\x02\x00")),
    ("a compiled help file", starts(b"ITSF\x03\x00")),
    ("a database file", starts(b"SQLite format 3\x00", b"\x00\x01\x00\x00Standard ")),
    ("an Outlook data file", starts(b"!BDN")),
    ("a winmail.dat file", starts(b"\x78\x9f\x3e\x22")),
    ("a Flash film", starts(b"FWS\x09\x00", b"CWS\x06", b"CWS\x07", b"CWS\x08", b"CWS\x09", b"CWS\x0a")),
    ("a font", starts(b"OTTO\x00", b"wOFF\x00", b"wOF2\x00", b"\x00\x01\x00\x00\x00")),
)


def name_of_header(content: bytes, *, but_pdf: bool = False) -> str | None:
    """What a complete header at the very beginning says; None where there is none."""
    return next(
        (name for name, holds in HEADERS if holds(content) and not (but_pdf and name == "a PDF")), None
    )
