"""Bodies of mail: text as HTML, pictures in the text, quotations, and where bodies are cut (H-4)."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content import (
    MAX_BODY_BYTES,
    SNIPPET_CHARACTERS,
    decode_text,
    find_cids,
    preformatted_html,
    prepend_html,
    snippet,
    text_to_html,
    truncate_html,
    truncate_text,
)
from shared.html import SHOWN, clean_html, html_to_text


@pytest.mark.parametrize(
    ("raw", "html"),
    [
        ("a", "<p>a</p>"),
        ("a\nb", "<p>a<br>b</p>"),
        ("a\r\nb\r\n\r\nc", "<p>a<br>b</p><p>c</p>"),
        ("a\n \t\nb", "<p>a</p><p>b</p>"),
        ('<script>f()</script> & "x"', "<p>&lt;script&gt;f()&lt;/script&gt; &amp; &quot;x&quot;</p>"),
        ("a\x00\x1bb", "<p>ab</p>"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_as_html(raw: str, html: str) -> None:
    """Plain text becomes HTML in which nothing of the text is markup."""
    assert text_to_html(raw) == html


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_words_survive_the_way_there_and_back(word: str) -> None:
    """Any word survives being turned into HTML and back."""
    assert html_to_text(text_to_html(word)) == word


def test_a_snippet_is_one_short_line() -> None:
    """A snippet is the first 255 characters on one line."""
    assert snippet(" a \n\n b\tc ") == "a b c"
    assert snippet("") == ""
    assert snippet("x" * 1000) == "x" * SNIPPET_CHARACTERS == "x" * 255


@pytest.mark.parametrize(
    ("raw", "cids"),
    [
        ('<img src="cid:logo@x">', {"logo@x"}),
        ("<img src='CID:Logo@X'><img src=cid:b>", {"Logo@X", "b"}),
        ('<td background="cid:bg@x">', {"bg@x"}),
        ('<p style="background:url(cid:bg@x)">', {"bg@x"}),
        ('<p style="background:url(&quot;cid:bg@x&quot;)">', {"bg@x"}),
        ("<p style='background:url(&#39;cid:bg@x&#39;)'>", {"bg@x"}),
        ('<img src="cid:a&amp;b@x">', {"a&b@x"}),
        ('<img src="cid:a%25b@x">', {"a%25b@x", "a%b@x"}),
        ('<img src="cid:image001.png%4001D9.1234">', {"image001.png%4001D9.1234", "image001.png@01D9.1234"}),
        ('<img src="https://x.example/a.png">', set()),
        ("", set()),
    ],
)
def test_pictures_that_the_html_shows(raw: str, cids: set[str]) -> None:
    """Content-IDs that HTML shows are found as written and as RFC 2392 decodes them, by case."""
    assert find_cids(raw) == cids


@pytest.mark.parametrize(
    ("quoted", "whole"),
    [
        ("<html><body><p>old</p></body></html>", "<html><body><p>new</p><p>old</p></body></html>"),
        ('<HTML><BODY\n dir="ltr"><p>old</p></BODY>', '<HTML><BODY\n dir="ltr"><p>new</p><p>old</p></BODY>'),
        ("<p>old</p>", "<p>new</p><p>old</p>"),
        ("<bodyguard>old</bodyguard>", "<p>new</p><bodyguard>old</bodyguard>"),
        ("", "<p>new</p>"),
    ],
)
def test_a_reply_stands_before_what_it_quotes(quoted: str, whole: str) -> None:
    """A reply's text is put at the beginning of the quoted document's body."""
    assert prepend_html("<p>new</p>", quoted) == whole


def test_no_quoted_document_holds_a_worker() -> None:
    """The place for a reply's text is looked for in time that grows with the document's length alone."""
    quoted, before = "<body " * 100_000, time.process_time()
    assert prepend_html("x", quoted) == f"x{quoted}"
    assert time.process_time() - before < 2


def test_one_mebibyte_passes_uncut() -> None:
    """A text of a mebibyte in UTF-8 passes, and a longer one is cut to it (H-4)."""
    assert MAX_BODY_BYTES == 1_048_576
    assert truncate_text("x" * MAX_BODY_BYTES) == ("x" * MAX_BODY_BYTES, False)
    assert truncate_text("x" * MAX_BODY_BYTES + "y") == ("x" * MAX_BODY_BYTES, True)
    assert truncate_text("\u00fc" * (MAX_BODY_BYTES // 2)) == ("\u00fc" * (MAX_BODY_BYTES // 2), False)


@given(st.text(max_size=40), st.integers(0, 60))
def test_a_text_is_cut_between_characters(text: str, limit: int) -> None:
    """A text that is cut is a beginning of the original, cut between characters, and says so."""
    cut, was_cut = truncate_text(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit or not text
    assert was_cut == (cut != text)
    assert not was_cut or len(cut.encode()) > limit - 4


LONG = '<div><p>words</p><img src="https://x.example/?secret" alt="a"></div>'


@pytest.mark.parametrize("limit", range(len(LONG) + 2))
def test_html_is_whole_after_a_cut(limit: int) -> None:
    """HTML that is cut at any place stays well-formed, with no open tag or attribute."""
    cut, was_cut = truncate_html(LONG, SHOWN, limit)
    assert was_cut == (limit < len(LONG))
    assert clean_html(cut, SHOWN).html == cut
    assert cut.count("<div>") == cut.count("</div>")
    assert cut.count('"') % 2 == 0
    assert "<" not in re.sub(r"<[^<>]*>", "", cut)


DECODED = {
    "UTF-8": ("Grüße".encode(), "Grüße"),
    "UTF-8 with a mark": (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
    "UTF-16 with a mark": ("Grüße".encode("utf-16"), "Grüße"),
    "Windows-1252": ("Grüße “x”".encode("cp1252"), "Grüße “x”"),
    "named in its head": ('<meta charset="koi8-r">Привет'.encode("koi8-r"), '<meta charset="koi8-r">Привет'),
    "named wrongly": ('<meta charset="us-ascii">Grüße'.encode(), '<meta charset="us-ascii">Grüße'),
    "named as what is no charset": (b"charset=punycode x", "charset=punycode x"),
    "none at all": (b"\x81\x8d", "\ufffd\ufffd"),
}


@pytest.mark.parametrize(("content", "text"), DECODED.values(), ids=DECODED)
def test_bytes_of_a_text(content: bytes, text: str) -> None:
    """Bytes are read by their mark, by the charset in their head, as UTF-8, or as Windows-1252, and never refused."""
    assert decode_text(content) == text


def test_plain_text_as_it_was_written() -> None:
    """Text as HTML keeps lines and spaces, shows every sign, and makes nothing live."""
    shown = preformatted_html("\r\n  a <b>b</b>\r\n& \x00c")
    assert shown.endswith(">\n\n  a &lt;b&gt;b&lt;/b&gt;\n&amp; c</pre>")
    assert html_to_text(shown) == "  a <b>b</b>\n& c"
