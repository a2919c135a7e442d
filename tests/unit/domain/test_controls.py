"""Controls: what may not stand in a line of the CRM's, and what becomes of it in received words."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.controls import has_controls, has_nul, on_one_line, without_controls, without_nul

CONTROLS = [
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),
    *"\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]
BESIDE = st.text(
    alphabet=st.sampled_from([*CONTROLS, *"aé山 \u00a0\u200c\u200d\u200e\ud800"]) | st.characters(),
    max_size=20,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="\x00a\\u0", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("\x00ab", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("letter", CONTROLS, ids=ascii)
def test_every_control_is_one(letter: str) -> None:
    """C0, DEL, C1, ends of lines and marks that turn the direction are refused, and stand in no received line."""
    assert has_controls(f"a{letter}b")
    assert on_one_line(f"a{letter}b") in {"a b", "ab"}


@given(BESIDE)
def test_a_received_line_holds_none(text: str) -> None:
    """What comes in holds no control afterwards, can be written as UTF-8, and a second pass changes nothing."""
    line = on_one_line(text)
    assert not has_controls(line)
    assert line.encode().decode() == line == on_one_line(line)


@given(st.text())
def test_words_without_controls_stay(text: str) -> None:
    """A line without controls stays as it was but for the spaces around it."""
    if not has_controls(text):
        assert on_one_line(text) == text.strip()


@given(BESIDE)
def test_texts_keep_their_lines(text: str) -> None:
    """A text of several lines keeps tabs and breaks, and no other control."""
    kept = [letter for letter in text if unicodedata.category(letter) != "Cc" or letter in "\t\n\r"]
    assert without_controls(text) == "".join(kept)


@given(VALUES)
def test_no_nul_is_left_in_a_json_value(value: Any) -> None:
    """NUL is found and becomes a space in every text and name of a member; a value without any stays the same."""
    freed = without_nul(value)
    assert not has_nul(freed)
    assert has_nul(value) == (json.dumps(value) != json.dumps(freed))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Offer", "Offer"),
        ("Offer\r\nBcc: all@contoso.example", "Offer Bcc: all@contoso.example"),
        ("a \r\n\t b", "a b"),
        ("a\u2028b\x00c\x85d", "a b c d"),
        ("\r\n", ""),
        ("half\ud800one", "half one"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
    ],
    ids=["plain", "header", "folded", "other ends", "nothing else", "half", "turned", "joiner of a script"],
)
def test_received_words_stand_on_one_line(written: str, told: str) -> None:
    """Line breaks and controls in a received subject or name are one space; joiners of scripts stay."""
    assert on_one_line(written) == told
