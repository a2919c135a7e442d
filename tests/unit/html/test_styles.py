"""Inline styles: what is kept, and that nothing passes that could load, cover or run (H-1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.html.policy import PROPERTIES
from shared.html.styles import clean_style

KEPT = {
    "a button": (
        "background:#0a7;color:#fff;padding:12px 24px;border-radius:4px;display:inline-block;text-decoration:none",
        (
            "background: #0a7; color: #fff; padding: 12px 24px; border-radius: 4px; display: inline-block; "
            "text-decoration: none"
        ),
    ),
    "a font": ("font:bold 14px/1.5 'Segoe UI',Arial,sans-serif", "font: bold 14px / 1.5 'Segoe UI', Arial, sans-serif"),
    "colours": ("color:RGB(1 2 3 / 50%);background-color:hsl(120deg,50%,50%)",
                "color: rgb(1, 2, 3, 50%); background-color: hsl(120deg, 50%, 50%)"),
    "important": ("display:none!important", "display: none !important"),
    "in capitals": ("COLOR:Red", "color: Red"),
    "letters together": ("letter-spacing:-.5px", "letter-spacing: -0.5px"),
    "comments": ("color:/* x */red", "color: red"),
    "escapes are written out": ("color:\\72 gb(1,2,3);x", "color: rgb(1, 2, 3)"),
    "among others": ("mso-line-height-rule:exactly;color:red;-webkit-hyphens:none", "color: red"),
}  # fmt: skip
GONE = [
    "background:url(https://x.example/a.png)",
    "background-image:url('x')",
    "width:expression(alert(1))",
    "position:fixed",
    "position:absolute;top:0",
    "z-index:9",
    "float:left",
    "margin:-100px",
    "text-indent:-9999px",
    "transform:scale(9)",
    "behavior:url(x)",
    "content:'x'",
    "color:var(--x)",
    "width:calc(1px + 1px)",
    "display:flex",
    "display:contents",
    "font-family:'a\\27 ;x'",
    "background:image-set('x' 1x)",
    "color:red;}p{color:blue",
    "@import 'x'",
    "--x:red",
    "color:{red}",
    "filter:progid:x",
]


@pytest.mark.parametrize(("style", "kept"), KEPT.values(), ids=KEPT)
def test_formatting_is_kept(style: str, kept: str) -> None:
    """Properties of the list stay, written anew, and read the same a second time."""
    assert clean_style(style) == kept
    assert clean_style(kept) == kept


@pytest.mark.parametrize("style", GONE)
def test_what_could_load_or_cover_is_gone(style: str) -> None:
    """Nothing stays that loads, moves over what stands beside it, or is not understood."""
    found = clean_style(style)
    assert found in {"", "color: red"}
    assert "url" not in found


@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            [*"();:,/\\'-#!{} \n0", "url(", "rgb(", "1e9", "1e999", "9px", *sorted(PROPERTIES)[:9]]
        ),
        max_size=12,
    ).map("".join)
)
def test_any_style_comes_out_stable(style: str) -> None:
    """Whatever a style says, what is left of it names only properties of the list and stays as it is."""
    found = clean_style(style)
    assert clean_style(found) == found
    assert all(piece.partition(":")[0] in PROPERTIES for piece in found.split("; ") if piece)
    assert not set(found) & set('\\{}@"<>')
