"""Makes `corpus/` with the programs that people use.

It needs ffmpeg, 7z, zip, and an environment with python-docx, msoffcrypto-tool, Pillow, reportlab and openpyxl, which
are not dependencies of this repository: `python tests/unit/file_contents/make_corpus.py`.

Each file stands in `corpus/manifest.json` with the tool and command that made it, and with the verdict that F-2 asks
for: `"passes"`, or the phrase that says what it is. Edit the table here, never the manifest.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
VIDEO = "-f lavfi -i color=c=blue:s=16x16:r=1:d=1 -c:v mpeg4 -frames:v 1 -bitexact"
DOCX = "a Word document (.docx)"
entries: list[dict[str, str]] = []


def keep(name: str, content: bytes, tool: str, command: str, verdict: str = "passes") -> None:
    """Write one file and its row of the manifest."""
    CORPUS.joinpath(name).write_bytes(content)
    entries.append({"file": name, "tool": tool, "command": command, "verdict": verdict})


def run(command: str, out: str, folder: Path) -> bytes:
    """What a program writes into `out`."""
    subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True)  # noqa: S602
    return (folder / out).read_bytes()


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    """What a library writes."""
    held = io.BytesIO()
    save(held)
    return held.getvalue()


def videos(folder: Path) -> None:
    """28 brands and forms of ffmpeg's, and what only looks like video."""
    brands = [
        "isom",
        *(f"iso{number}" for number in range(2, 10)),
        "mp41",
        "mp42",
        "avc1",
        "dash",
        "M4V ",
        "MSNV",
    ]
    for brand in [*brands, "XAVC", "3gp4", "3gp5", "3gp6", "3gp7"]:
        command = f"ffmpeg -y {VIDEO} -f mp4 -brand '{brand}' v.mp4"
        keep(f"brand_{brand.strip()}.mp4", run(command, "v.mp4", folder), "ffmpeg", command)
    forms = {
        "fragmented": "-f mp4 -movflags frag_keyframe+empty_moov",
        "faststart": "-f mp4 -movflags faststart",
        "ipod": "-f ipod",
        "three_gp": "-f 3gp -s 128x96 -c:v h263",
        "cmaf": "-f mp4 -movflags cmaf",
    }
    for form, options in forms.items():
        command = f"ffmpeg -y {VIDEO} {options} v.mp4"
        keep(f"form_{form}.mp4", run(command, "v.mp4", folder), "ffmpeg", command)
    command = f"ffmpeg -y {VIDEO} -f ismv v.ismv"
    no_video = "a file like MP4, of none of the kinds of MP4 that sync"
    keep("smooth_streaming.mp4", run(command, "v.ismv", folder), "ffmpeg", command, no_video)
    command = f"ffmpeg -y {VIDEO} -f mov v.mov"
    keep("quicktime.mp4", run(command, "v.mov", folder), "ffmpeg", command, "a QuickTime video")
    plain = run(f"ffmpeg -y {VIDEO} -f mp4 v.mp4", "v.mp4", folder)
    for kind in ("free", "wide", "skip"):
        box = (16).to_bytes(4, "big") + kind.encode() + bytes(8)
        keep(f"{kind}_first.mp4", box + plain, "ffmpeg", f"an empty `{kind}` box before ffmpeg's mp4")
    for form, options in {
        "mpeg1": "-c:v mpeg1video -r 25 -f mpeg",
        "mpeg2": "-c:v mpeg2video -r 25 -f vob",
        "elementary": "-c:v mpeg1video -r 25 -f mpeg1video",
        "transport_stream": "-c:v mpeg2video -r 25 -f mpegts",
    }.items():
        command = (
            f"ffmpeg -y -f lavfi -i color=c=blue:s=16x16:r=25:d=1 -frames:v 2 -bitexact {options} v.mpeg"
        )
        keep(f"{form}.mpeg", run(command, "v.mpeg", folder), "ffmpeg", command)
    command = f"ffmpeg -y {VIDEO} -f avi v.avi"
    keep("avi.mpeg", run(command, "v.avi", folder), "ffmpeg", command, "an AVI video")
    command = f"ffmpeg -y {VIDEO.replace('mpeg4', 'libvpx')} -f webm v.webm"
    keep("webm.mp4", run(command, "v.webm", folder), "ffmpeg", command, "a Matroska or WebM video")


def pictures() -> None:
    """Pictures of Pillow's under right and wrong names."""
    from PIL import Image

    picture = Image.new("RGB", (4, 4), "navy")
    for name, form, verdict in (
        ("pillow.jpg", "JPEG", "passes"),
        ("pillow.jpeg", "JPEG", "passes"),
        ("pillow.png", "PNG", "passes"),
        ("webp.jpg", "WEBP", "a WebP picture"),
        ("webp.txt", "WEBP", "a WebP picture"),
        ("gif.png", "GIF", "a GIF picture"),
        ("gif.txt", "GIF", "a GIF picture"),
        ("tiff.jpg", "TIFF", "a TIFF picture"),
        ("bmp.png", "BMP", "a BMP picture"),
        ("avif.mp4", "AVIF", "an AVIF picture"),
        ("png.jpg", "PNG", "a PNG picture"),
        ("pdf.jpg", "PDF", "a PDF"),
    ):
        how = f"Image.new('RGB', (4, 4), 'navy').save(…, {form!r})"
        keep(name, saved(lambda held, form=form: picture.save(held, form)), "Pillow", how, verdict)


def documents() -> None:
    """Word files of python-docx, locked and renamed ones, workbooks, PDFs."""
    import docx
    import msoffcrypto
    import openpyxl
    from msoffcrypto.format.ooxml import OOXMLFile
    from reportlab.pdfgen.canvas import Canvas

    document = docx.Document()
    document.add_paragraph("A quotation.")
    plain = saved(document.save)
    keep("python_docx.docx", plain, "python-docx", "Document().save(…)")
    locked = saved(lambda held: OOXMLFile(io.BytesIO(plain)).encrypt("secret", held))
    assert msoffcrypto.OfficeFile(io.BytesIO(locked)).is_encrypted()
    keep("locked.docx", locked, "msoffcrypto-tool", "encrypt('secret') of python_docx.docx")
    keep(
        "locked.doc",
        locked,
        "msoffcrypto-tool",
        "locked.docx renamed",
        "an Office document locked with a password",
    )
    macros = with_parts(plain, {"word/vbaProject.bin": b"\xd0\xcf\x11\xe0"})
    keep(
        "macros.docx",
        macros,
        "python-docx, zipfile",
        "word/vbaProject.bin added",
        "an Office document with macros",
    )
    keep(
        "document2.docx",
        renamed(plain, "word/document.xml", "word/document2.xml"),
        "python-docx, zipfile",
        "the main part named as Word Online names it",
    )
    keep(
        "backslashes.docx",
        renamed(plain, "word/document.xml", "word\\document.xml"),
        "python-docx, zipfile",
        "parts with backslashes, as old .NET programs write them",
    )
    keep("docx.zip", plain, "python-docx", "python_docx.docx renamed")
    keep("docx.doc", plain, "python-docx", "python_docx.docx renamed", DOCX)
    keep("docx.pdf", plain, "python-docx", "python_docx.docx renamed", DOCX)
    workbook = openpyxl.Workbook()
    sheet = saved(workbook.save)
    keep("workbook.docx", sheet, "openpyxl", "Workbook().save(…)", "an Excel workbook (.xlsx)")
    strings = b"[Content_Types].xml word/document.xml"
    keep(
        "strings.docx",
        whole({"readme.txt": strings}),
        "zipfile",
        "the names of parts as content",
        "a ZIP archive",
    )
    held = io.BytesIO()
    canvas = Canvas(held, invariant=1)
    canvas.drawString(72, 720, "A quotation.")
    canvas.save()
    pdf = held.getvalue()
    keep("reportlab.pdf", pdf, "reportlab", "Canvas(…).save()")
    keep("late.pdf", b"\r\n" * 512 + pdf, "reportlab", "1,024 bytes before the PDF")
    keep("too_late.pdf", b"\r\n" * 513 + pdf, "reportlab", "1,026 bytes before the PDF", "a text")
    keep(
        "headers_first.pdf",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + pdf,
        "reportlab",
        "a server's headers left before the PDF",
    )
    keep("pdf.txt", pdf, "reportlab", "reportlab.pdf renamed", "a PDF")
    keep("pdf.docx", pdf, "reportlab", "reportlab.pdf renamed", "a PDF")
    keep(
        "rtf.doc",
        b"{\\rtf1\\ansi A quotation.}",
        "printf",
        "a Rich Text file renamed",
        "a Rich Text file (.rtf)",
    )
    keep("html.doc", b"<html><body>A quotation.</body></html>", "printf", "a web page renamed", "a web page")


def with_parts(package: bytes, parts: dict[str, bytes]) -> bytes:
    """A ZIP with parts added."""
    held = io.BytesIO(package)
    with zipfile.ZipFile(held, "a") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


def renamed(package: bytes, old: str, new: str) -> bytes:
    """A ZIP with one part under another name."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    return whole({new if name == old else name: content for name, content in parts.items()})


def whole(parts: dict[str, bytes]) -> bytes:
    """A ZIP of these parts."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo("part")
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return held.getvalue()


def archives(folder: Path) -> None:
    """Archives: whole, empty, split, spanned, and of other programs."""
    folder.joinpath("a.txt").write_text("one line of words\n" * 40)
    folder.joinpath("noise.bin").write_bytes(bytes(range(256)) * 1 + random_bytes(150_000))
    command = "zip -X a.zip a.txt"
    keep("info_zip.zip", run(command, "a.zip", folder), "Info-ZIP", command)
    command = "zip -X -s 64k split.zip noise.bin"
    keep(
        "last_of_split.zip", run(command, "split.zip", folder), "Info-ZIP", command + " (the part named .zip)"
    )
    keep(
        "first_of_split.zip",
        folder.joinpath("split.z01").read_bytes()[:4_000],
        "Info-ZIP",
        command + " (the start of split.z01)",
    )
    keep("empty.zip", b"PK\x05\x06" + bytes(18), "zipfile", "an archive without entries")
    command = "7z a -tzip seven.zip a.txt"
    keep("seven_zip.zip", run(command, "seven.zip", folder), "7z", command)
    command = "7z a -t7z seven.7z a.txt"
    seven = run(command, "seven.7z", folder)
    keep("seven.zip", seven, "7z", command + ", renamed", "a 7z archive")
    keep("seven.rar", seven, "7z", command + ", renamed", "a 7z archive")
    keep("seven.txt", seven, "7z", command + ", renamed", "a 7z archive")
    command = "bzip2 -k a.txt"
    keep("bzip2.txt", run(command, "a.txt.bz2", folder), "bzip2", command + ", renamed", "a bzip2 archive")
    command = "gzip -nk a.txt"
    keep("gzip.zip", run(command, "a.txt.gz", folder), "gzip", command + ", renamed", "a gzip archive")
    command = "tar --owner=0 --group=0 --mtime=@0 -cf a.tar a.txt"
    keep("tar.zip", run(command, "a.tar", folder), "tar", command + ", renamed", "a tar archive")
    keep(
        "jar.zip",
        whole({"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n"}),
        "zipfile",
        "a Java package renamed",
    )
    # No free program writes RAR: these are an archive's first blocks as the technote gives them.
    keep(
        "rar4.rar",
        b"Rar!\x1a\x07\x00\xcf\x90s\x00\x00\r\x00\x00\x00\x00\x00\x00\x00",
        "by hand",
        "RAR 4, main header",
    )
    keep(
        "rar5.rar",
        b"Rar!\x1a\x07\x01\x00\x33\x92\xb5\xe5\x0a\x01\x05\x06\x00\x05\x01\x01\x80\x80\x00",
        "by hand",
        "RAR 5, main header",
    )


def random_bytes(count: int) -> bytes:
    """Always the same noise."""
    import random

    return random.Random(7).randbytes(count)


def texts() -> None:
    """Words in the code pages of the world, and what only begins like something else."""
    words = {
        "utf_8": "Grüße, Ünï\u2028code \u2013 見積書\n",
        "utf_8_sig": "Größe\r\n",
        "utf_16": "Mit Marke \u2013 見積\r\n",
        "utf_16_le": "Ohne Marke, Zeile um Zeile.\r\n" * 3,
        "utf_16_be": "Ohne Marke, Zeile um Zeile.\r\n" * 3,
        "utf_32": "Mit Marke\r\n",
        "utf_32_le": "Ohne Marke\r\n" * 3,
        "utf_32_be": "Ohne Marke\r\n" * 3,
        "shift_jis": "お見積書をお送りします。ご確認ください。\r\n" * 3,
        "iso2022_jp": "お見積書をお送りします。\r\n" * 3,
        "euc_jp": "お見積書をお送りします。\r\n" * 3,
        "gb18030": "请查收附件中的报价单。\r\n" * 3,
        "big5": "請查收附件中的報價單。\r\n" * 3,
        "euc_kr": "견적서를 보내드립니다.\r\n" * 3,
        "cp437": "╔══════╗\r\n║ Menü ║\r\n╚══════╝\r\n",
        "cp850": "Größe: ½ Zoll\r\n",
        "cp866": "Коммерческое предложение\r\n",
        "koi8_r": "Коммерческое предложение\r\n",
        "cp1250": "Příliš žluťoučký kůň\r\n",
        "cp1251": "Коммерческое предложение\r\n",
        "cp1252": "“Größe” \u2013 5 €\r\n",
        "cp1253": "Προσφορά\r\n",
        "cp1254": "Fiyat teklifi: ığüşöç\r\n",
        "cp1255": "הצעת מחיר\r\n",
        "cp1256": "عرض سعر\r\n",
        "cp874": "ใบเสนอราคา\r\n",
        "mac_roman": "Größe \u2013 naïve café\r",
    }
    for encoding, text in words.items():
        keep(f"{encoding}.txt", text.encode(encoding), "Python", f"str.encode({encoding!r})")
    keep(
        "begins_mz.txt",
        b"MZ-4711 is the number of the quotation.\r\n" * 3,
        "printf",
        "a text that begins with MZ",
    )
    keep(
        "begins_gif8.txt",
        b"GIF89a is a form of pictures; GIF87a is older.\r\n",
        "printf",
        "begins with GIF89a",
    )
    keep("begins_pk.txt", b"PK is short for public key.\r\n", "printf", "begins with PK")
    keep(
        "begins_bm.txt",
        b"BM is short for Burgermeister, a title in old letters.\r\n",
        "printf",
        "begins with BM",
    )
    keep("dos_end.txt", b"an old text\r\n\x1a", "printf", "a text with DOS's end of file")
    keep(
        "ansi.txt",
        b"\x1b[1mbold\x1b[0m and \x1b[31mred\x1b[0m\n",
        "printf",
        "a text with a terminal's colours",
    )
    keep("empty.txt", b"", "printf", "an empty text")
    keep(
        "class.txt",
        b"\xca\xfe\xba\xbe\x41\x41\x41\x37\x41\x4a\x0a\x41" * 2,
        "by hand",
        "a Java class without NUL",
        "a Java class",
    )
    keep(
        "noise.txt",
        bytes(byte for byte in random_bytes(3_000) if byte),
        "Python",
        "noise without NUL",
        "unknown",
    )
    keep("noise.pdf", random_bytes(600), "Python", "noise", "unknown")


def programs() -> None:
    """Programs under other names."""
    pe = bytearray(256)
    pe[:2], pe[0x3C:0x40], pe[0x80:0x84] = b"MZ", (0x80).to_bytes(4, "little"), b"PE\x00\x00"
    keep("program.txt", bytes(pe), "by hand", "the headers of a Windows program", "a Windows program")
    keep(
        "program.pdf",
        bytes(pe) + b"%PDF-1.7\n",
        "by hand",
        "a program, then a PDF's mark",
        "a Windows program",
    )
    elf = Path("/bin/true").read_bytes()[:512]
    keep("elf.txt", elf, "cp", "the first 512 bytes of /bin/true", "a Linux program")


def ole_files() -> None:
    """OLE files with one stream each, by the smallest writer that the specification permits."""
    for name, stream, verdict in (
        ("word.doc", "WordDocument", "passes"),
        ("word.docx", "WordDocument", "an old Word file (.doc)"),
        ("excel.doc", "Workbook", "an old Excel file (.xls)"),
        ("message.doc", "__properties_version1.0", "an Outlook message (.msg)"),
        ("other.doc", "Contents", "an OLE file of another program"),
    ):
        keep(
            name,
            ole(stream, "WordDocument".encode("utf-16-le") * 4),
            "by hand",
            f"one stream {stream}",
            verdict,
        )


def ole(stream: str, content: bytes) -> bytes:
    """[MS-CFB]: header, one FAT sector, one directory sector, one stream of 4,096 bytes in sectors 2 to 9."""
    free, end = 0xFFFFFFFF, 0xFFFFFFFE
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[24:34] = b"\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00"
    for at, value in ((44, 1), (48, 1), (56, 4096), (60, end), (64, 0), (68, end), (72, 0), (76, 0)):
        header[at : at + 4] = value.to_bytes(4, "little")
    header[80:512] = b"\xff" * 432
    chain = [0xFFFFFFFD, end, *range(3, 10), end]
    fat = b"".join(value.to_bytes(4, "little") for value in chain) + free.to_bytes(4, "little") * (
        128 - len(chain)
    )

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        raw = name.encode("utf-16-le")
        row = bytearray(128)
        row[: len(raw)] = raw
        row[64:66] = (len(raw) + 2 if name else 0).to_bytes(2, "little")
        row[66:68] = bytes([kind, 1])
        for at, value in ((68, free), (72, free), (76, child), (116, start)):
            row[at : at + 4] = value.to_bytes(4, "little")
        row[120:128] = size.to_bytes(8, "little")
        return bytes(row)

    directory = (
        entry("Root Entry", 5, 1, end, 0) + entry(stream, 2, free, 2, 4096) + entry("", 0, free, 0, 0) * 2
    )
    return bytes(header) + fat + directory + content.ljust(4096, b"\x00")


def main() -> None:
    """Write the corpus anew."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    CORPUS.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        videos(Path(folder))
        archives(Path(folder))
    pictures()
    documents()
    texts()
    programs()
    ole_files()
    CORPUS.joinpath("manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
