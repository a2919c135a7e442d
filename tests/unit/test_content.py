"""Bodies of mail: what is taken out of HTML, what words are left, and where they are cut (H-1, H-4)."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content import (
    ATTRIBUTES,
    MAX_BODY_BYTES,
    SCHEMES,
    SNIPPET_CHARACTERS,
    TAGS,
    clean_html,
    decode_text,
    find_cids,
    html_to_text,
    preformatted_html,
    prepend_html,
    snippet,
    text_to_html,
    truncate_html,
    truncate_text,
)

REL = ' rel="noopener noreferrer"'

CLEANED = {
    "words": ("hello", "hello"),
    "nothing": ("", ""),
    "what mail is made of": ("<div><p>a<br><b>b</b> <i>c</i></p></div>", "<div><p>a<br><b>b</b> <i>c</i></p></div>"),
    "a table": (
        '<table border="1"><tr><td colspan="2">x</td></tr></table>',
        '<table border="1"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
    ),
    "a link": (
        '<a href="https://x.example/?a=1&amp;b=2" target="_top">x</a>',
        f'<a href="https://x.example/?a=1&amp;b=2"{REL}>x</a>',
    ),
    "a mail link": ('<a href="mailto:bea@fabrikam.example">x</a>', f'<a href="mailto:bea@fabrikam.example"{REL}>x</a>'),
    "a picture of the mail": (
        '<img src="cid:logo@x" alt="Logo" width="9">',
        '<img src="cid:logo@x" alt="Logo" width="9">',
    ),
    "a picture from elsewhere stays a reference that nobody here follows": (
        '<img src="https://x.example/a.png" onload="f()">',
        '<img src="https://x.example/a.png">',
    ),
    "a picture in the text": ('<img src="data:image/png;base64,AA" alt="a">', '<img alt="a">'),
    "several sizes of a picture": ('<img src="cid:a" srcset="https://x.example/a 2x">', '<img src="cid:a">'),
    "a script": ("a<script>alert(1)</script>b", "ab"),
    "a script in capitals": ("a<SCRIPT src=//x>alert(1)</SCRIPT>b", "ab"),
    "a script without end": ("a<script>alert(1)", "a"),
    "a script within a script": ("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"),
    "a style sheet": ("<style>p{background:url(https://x)}</style>a", "a"),
    "a style": ('<p style="background:url(https://x)">a</p>', "<p>a</p>"),
    "an event": ('<p onclick="f()" onmouseover=f()>a</p>', "<p>a</p>"),
    "a class and an id": ('<p class="a" id="b" data-x="c">a</p>', "<p>a</p>"),
    "a javascript link": ('<a href="javascript:f()">a</a>', f"<a{REL}>a</a>"),
    "a javascript link in disguise": ('<a href=" jAva\tscript&colon;f()">a</a>', f"<a{REL}>a</a>"),
    "a javascript link in numbers": ('<a href="&#106;&#97;vascript:f()">a</a>', f"<a{REL}>a</a>"),
    "a javascript link with a control": ('<a href="\x01javascript:f()">a</a>', f"<a{REL}>a</a>"),
    "a vbscript link": ('<a href="vbscript:f()">a</a>', f"<a{REL}>a</a>"),
    "a data link": ('<a href="data:text/html,<script>f()</script>">a</a>', f"<a{REL}>a</a>"),
    "a file link": ('<a href="file:///etc/passwd">a</a>', f"<a{REL}>a</a>"),
    "a form": ('<form action="https://x"><input name="a"><button>b</button></form>', "b"),
    "a frame": ('a<iframe src="https://x">b</iframe>c', "ac"),
    "a frame's document": ('<iframe srcdoc="<script>f()</script>"></iframe>', ""),
    "an object": ('<object data="x">a</object><embed src="x"><applet>b</applet>', "b"),
    "SVG": ('<svg onload="f()"><script>f()</script><a xlink:href="javascript:f()">x</a></svg>a', "a"),
    "MathML": ('<math><mi xlink:href="javascript:f()">x</mi></math>a', "a"),
    "a comment": ("a<!-- b --><!--[if mso]>c<![endif]-->d", "ad"),
    "a document": (
        '<html><head><title>t</title><meta http-equiv="refresh"><base href="//x"></head><body bgcolor="red">a</body>',
        "a",
    ),
    "a template": ("<template><script>f()</script></template>a", "a"),
    "controls": ("a\x00b\x08c\x0bd\x1fe\tf\ng", "abcde\tf\ng"),
    "a tag cut by a control": ("<scr\x00ipt>f()</script>", ""),
    "words that look like tags": ("&lt;script&gt;f()&lt;/script&gt;", "&lt;script&gt;f()&lt;/script&gt;"),
    "an unclosed tag": ("<p>a<b>b", "<p>a<b>b</b></p>"),
    "an unclosed attribute": ('<p>a</p><img src="https://x.example/?', "<p>a</p>"),
    "an attribute that ends a tag": (
        '<p title="</p><img src=x onerror=f()>">a</p>',
        '<p title="</p><img src=x onerror=f()>">a</p>',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "clean"), CLEANED.values(), ids=CLEANED)
def test_html_is_made_harmless(raw: str, clean: str) -> None:
    """HTML is reduced to listed tags, attributes and schemes, and cleaning it again changes nothing (H-1)."""
    found = clean_html(raw)
    assert found.replace("&lt;", "<").replace("&gt;", ">") == clean.replace("&lt;", "<").replace("&gt;", ">")
    assert clean_html(found) == found


class Allowed(HTMLParser):
    """Looks at every tag as a browser would."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()) | {"rel"}, name
            if name in {"href", "src"}:
                scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", value or "", re.IGNORECASE)
                assert scheme is None or scheme[1].lower() in SCHEMES, value


PIECES = st.sampled_from([
    *["<", ">", "</", "/>", "<!--", "-->", "&", "&#x6a;", ";", '"', "'", "=", " ", "\n", "\x00", "a", "\u00e9"],
    *["<script>", "</script>", "<style>", "<svg>", "<math>", "<mtext>", "<table>", "<td>", "<p>", "</p>", "<b>"],
    *["<a href=", "<img src=", "javascript:", "data:text/html,", "cid:", "https://x.example/", " onerror=f()"],
    *[" style=x", "<noscript>", "<textarea>", "<title>", "<template>", "<select>", "<iframe srcdoc=", "<xmp>"],
    *["<![CDATA[", "]]>", "<plaintext>"],
])  # fmt: skip


@given(st.text(max_size=60) | st.lists(PIECES, max_size=15).map("".join))
def test_any_html_comes_out_harmless(raw: str) -> None:
    """Any HTML, however broken, comes out with listed tags, attributes and schemes only."""
    found = clean_html(raw)
    Allowed().feed(found)
    assert clean_html(found) == found
    assert isinstance(html_to_text(raw), str)


def test_nothing_that_runs_is_on_the_lists() -> None:
    """The lists of allowed tags and attributes hold nothing that can run or load."""
    forbidden = {"script", "style", "iframe", "object", "embed", "svg", "math", "link", "meta", "base"}
    forbidden |= {"form", "input", "button", "select", "textarea"}
    assert not TAGS & forbidden
    named = {name for names in ATTRIBUTES.values() for name in names}
    assert not {attribute for attribute in named if attribute.startswith("on")} | named & {
        "style",
        "class",
        "id",
        "srcset",
        "target",
    }
    assert {"http", "https", "mailto", "cid"} == SCHEMES


SLOW = {
    "deep": "<div>" * 30_000,
    "deep, with what each end must look through": "<span>" * 5_000 + "</p>" * 50_000,
    "many ampersands": "&" * 500_000,
    "many references": "&lt;b&gt;" * 100_000,
    "many ends": "<" * 100_000,
    "open attributes": "<a b='" * 50_000,
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW)
def test_no_mail_holds_a_worker(raw: str) -> None:
    """HTML that is slow to clean is reduced to its words within two seconds."""
    before = time.process_time()
    found = clean_html(raw)
    assert time.process_time() - before < 2
    Allowed().feed(found)
    assert clean_html(found) == found


def test_a_mail_of_an_ordinary_kind_keeps_its_tags() -> None:
    """A long newsletter of nested tables and a long report keep their tags."""
    cell = "<td>a &amp; b&nbsp;<a href='https://x.example/?a=1&b=2'>x</a></td>"
    letter = (
        "<table><tr><td>" * 30
        + f"<table>{f'<tr>{cell * 10}</tr>' * 1000}</table>"
        + "</td></tr></table>" * 30
    )
    assert clean_html(letter).count("<td>") == 10_030
    assert clean_html("<p>a" * 20_000).count("<p>") == 20_000


TEXTS = {
    "paragraphs": ("<p>a</p><p>b</p>", "a\n\nb"),
    "blocks": ("<div>a</div><div>b</div>", "a\n\nb"),
    "breaks": ("a<br>b<br/>c", "a\nb\nc"),
    "a list": ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
    "white space of HTML": ("  a \n\t b  ", "a b"),
    "many empty lines": ("a<br><br><br><br>b", "a\n\nb"),
    "a picture": ('a <img alt="Logo" src="cid:x"> b <img src="cid:y">', "a [Logo] b"),
    "references": ("a &amp; b &lt;c&gt; &eacute;&#233;&nbsp;d", "a & b <c> \u00e9\u00e9 d"),
    "a script": ("a<script>f()</script>b", "ab"),
    "a style sheet": ("<style>p{}</style>a", "a"),
    "nothing": ("", ""),
    "only tags": ("<p></p><div></div>", ""),
    "a link": ('see <a href="https://x.example">this</a>', "see this"),
}


@pytest.mark.parametrize(("raw", "text"), TEXTS.values(), ids=TEXTS)
def test_html_as_words(raw: str, text: str) -> None:
    """HTML becomes plain text with its paragraphs, breaks and alternative texts."""
    assert html_to_text(raw) == text


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
    cut, was_cut = truncate_html(LONG, limit)
    assert was_cut == (limit < len(LONG))
    assert clean_html(cut) == cut
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
    assert html_to_text(shown).startswith("a <b>b</b>")
