"""Names of files: what is left of one after cleaning, and which type it stands for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attachments import (
    BIDI_AND_ZERO_WIDTH,
    DEVICE_NAMES,
    MAX_NAME_CHARACTERS,
    TYPES,
    canonical_type,
    clean_name,
    extension_of,
)

# Endings that no attacker chooses come out as they are; cleaned names are judged again.
CLEANED = [
    ("an ordinary name", "Offer 12.pdf", "Offer 12.pdf"),
    ("letters of all scripts", "\u5951\u7d04\u66f8 \u00dcbersicht.pdf", "\u5951\u7d04\u66f8 \u00dcbersicht.pdf"),
    ("case is kept", "Photo.JPG", "Photo.JPG"),
    ("without an extension", "README", "README"),
    ("two extensions", "offer.pdf.exe", "offer.pdf.exe"),
    ("a path", "/etc/passwd.txt", "passwd.txt"),
    ("a way up", "../../offer.pdf", "offer.pdf"),
    ("a path of Windows", "C:\\Users\\ann\\offer.pdf", "offer.pdf"),
    ("mixed slashes", "a/b\\c/offer.pdf", "offer.pdf"),
    ("a folder alone", "folder/", "attachment"),
    ("only dots", "...", "attachment"),
    ("a way up alone", "..", "attachment"),
    ("nothing", "", "attachment"),
    ("only spaces", "   ", "attachment"),
    ("only an extension", ".pdf", "attachment.pdf"),
    ("dots before an extension", " ...pdf", "attachment.pdf"),
    ("a hidden file", ".offer.pdf", "offer.pdf"),
    ("dots and spaces behind", "offer.pdf. . ", "offer.pdf"),
    ("a space before the dot", "offer .pdf", "offer.pdf"),
    ("NUL", "offer.pdf\x00.exe", "offer.pdf.exe"),
    ("NUL before the ending", "offer.exe\x00.pdf", "offer.exe.pdf"),
    ("line breaks", "of\r\nfer.pdf", "offer.pdf"),
    ("a bell and a delete", "of\x07fer\x7f.pdf", "offer.pdf"),
    ("turned around", "offer\u202efdp.exe", "offerfdp.exe"),
    ("isolated", "\u2066offer\u2069.pdf", "offer.pdf"),
    ("hidden characters", "of\u200bfer.p\u200ddf\ufeff", "offer.pdf"),
    ("a line separator", "of\u2028fer.pdf", "of fer.pdf"),
    ("a paragraph separator", "of\u2029fer.pdf", "of fer.pdf"),
    ("a device with a raised digit", "COM\u00b9.txt", "_COM\u00b9.txt"),
    ("a console", "CONIN$.txt", "_CONIN$.txt"),
    ("an encoded word", "=?UTF-8?B?QW5nZWJvdC5wZGY=?=", "Angebot.pdf"),
    ("encoded words in two pieces", "=?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe.pdf?=", "Gr\u00fc\u00dfe.pdf"),
    ("an encoded word that hides an ending", "offer.pdf=?utf-8?q?=2Eexe?=", "offer.pdf.exe"),
    ("half a character", "of\ud800fer.pdf", "offer.pdf"),
    ("letters and accents apart", "re\u0301sume\u0301.pdf", "r\u00e9sum\u00e9.pdf"),
    ("apart, and something hidden between", "re\u200d\u0301sume\u0301.pdf", "r\u00e9sum\u00e9.pdf"),
    ("a device", "CON", "_CON"),
    ("a device with an extension", "nul.txt", "_nul.txt"),
    ("a device with two extensions", "com1.tar.zip", "_com1.tar.zip"),
    ("a device and a space", "CON .txt", "_CON.txt"),
    ("a device and a dot", "aux..txt", "_aux.txt"),
    ("a device behind a path", "x/LPT9.pdf", "_LPT9.pdf"),
    ("no device", "console.txt", "console.txt"),
    ("no device either", "com10.txt", "com10.txt"),
]  # fmt: skip


@pytest.mark.parametrize(("_case", "raw", "cleaned"), CLEANED, ids=[case[0] for case in CLEANED])
def test_names_are_cleaned(_case: str, raw: str, cleaned: str) -> None:
    """A cleaned file name has no controls, paths, direction marks or device names (F-4)."""
    assert clean_name(raw) == cleaned


@pytest.mark.parametrize(
    "raw",
    [
        "a" * 1000 + ".pdf",
        "a" * MAX_NAME_CHARACTERS + ".pdf",
        "a " * 100 + ".pdf",
        "\u00fc" * 1000 + ".pdf",
    ],
)
def test_a_long_name_keeps_its_extension(raw: str) -> None:
    """A long name is cut to 150 characters in its stem, and keeps its extension."""
    assert len(clean_name(raw)) <= MAX_NAME_CHARACTERS
    assert clean_name(raw).endswith(".pdf")


def test_a_long_extension_is_cut_as_well() -> None:
    """A name with an endless extension is cut to the limit as well."""
    assert len(clean_name("a" * 1000 + "." + "b" * 1000)) <= MAX_NAME_CHARACTERS


@given(
    st.text(max_size=200)
    | st.text(alphabet="aCON1. \\/\x00\u202e\u200b\u0301e", max_size=40)
    | st.text(st.characters(), max_size=200).map(lambda stem: f"{stem}.txt")
)
def test_any_name_comes_out_clean(raw: str) -> None:
    """Any name comes out clean and within its limit, and cleaning it again changes nothing."""
    name = clean_name(raw)
    assert clean_name(name) == name
    assert 1 <= len(name) <= MAX_NAME_CHARACTERS
    assert not set(name) & ({"/", "\\"} | BIDI_AND_ZERO_WIDTH)
    assert not any(unicodedata.category(sign).startswith("C") for sign in name)
    assert name == name.strip(". ")
    assert unicodedata.is_normalized("NFC", name)
    assert name.partition(".")[0].strip().lower() not in DEVICE_NAMES


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("offer.pdf", "pdf"),
        ("offer.PDF", "pdf"),
        ("offer.pdf.exe", "exe"),
        ("offer", ""),
        ("offer.", ""),
        (".pdf", "pdf"),
        ("a.b/c", "b/c"),
    ],
)
def test_the_last_extension_counts(name: str, extension: str) -> None:
    """A name's extension is what stands behind its last dot, in lower case."""
    assert extension_of(name) == extension


def test_a_file_is_served_as_what_its_name_says() -> None:
    """A file's content type comes from our table by its name, and is never one that a browser would run."""
    assert canonical_type("a.JPEG") == "image/jpeg"
    assert canonical_type("a.txt") == "text/plain; charset=utf-8"
    assert (
        canonical_type("a.html")
        == canonical_type("a.svg")
        == canonical_type("a")
        == "application/octet-stream"
    )
    assert not any(
        "html" in content_type or "svg" in content_type or "script" in content_type
        for content_type in TYPES.values()
    )
