"""HTML is made harmless, with the formatting that mail programs show (H-1, R15)."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.html import LEAVING, SHOWN, SHOWN_WITHOUT_REMOTE, clean_html, html_to_text
from shared.html.policy import SCHEMES, TAGS
from tests.hostile_html import hostile_html

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
    "a class and an id": ('<p class="a" id="b" data-x="c">a</p>', '<p class="a" id="b">a</p>'),
    "a relative link": ('<a href="/settings">a</a><a href="//x.example">b</a>', f"<a{REL}>a</a><a{REL}>b</a>"),
    "a javascript link with a control in numbers": ('<a href="java&#1;script:f()">a</a>', f"<a{REL}>a</a>"),
    "controls in numbers": ("a&#1;b&#x7f;c&#0;d", "abc\ufffdd"),
    "a telephone link": ('<a href="tel:+4930123">a</a>', f'<a href="tel:+4930123"{REL}>a</a>'),
    "what Outlook writes for itself": ("<!--[if mso]><xml>a</xml><![endif]--><xml><w:x>b</w:x></xml><o:p>c</o:p>", "c"),
    "what Outlook hides from others": ("<![if !mso]><p>a</p><![endif]>", "<p>a</p>"),
    "colours of a table": (
        '<table bgcolor="#0a0"><tr><td bgcolor="url(x)">a',
        '<table bgcolor="#0a0"><tbody><tr><td>a</td></tr></tbody></table>',
    ),
    "empty lines first": ("<pre>\n\n\na</pre>", "<pre>\n\n\na</pre>"),
    "a link in a link": ("<a><table><a>b</a></table></a>", f"<a{REL}></a><a{REL}>b</a><table></table>"),
    "a sheet": ("<style>p{color:red}</style><p>a", '<p style="color: red">a</p>'),
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
        '<html><head><title>t</title><meta http-equiv="refresh"><base href="//x"></head><body onload="f()">a</body>',
        "a",
    ),
    "the colours of a document": (
        '<html dir="rtl"><body bgcolor="#111" text="white" style="padding:9px;position:fixed">a</body></html>',
        '<div style="display: flow-root; background-color: #111; color: white; padding: 9px" dir="rtl">a</div>',
    ),
    "the margins of a document": ('<body style="margin:0;position:fixed" lang="de"><p>a</p></body>', "<p>a</p>"),
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
    found = clean_html(raw, LEAVING).html
    assert found.replace("&lt;", "<").replace("&gt;", ">") == clean.replace("&lt;", "<").replace("&gt;", ">")
    assert clean_html(found, LEAVING).html == found


class Allowed(HTMLParser):
    """Looks at every tag as a browser would."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in LEAVING.attributes["*"] | LEAVING.attributes.get(tag, frozenset()) | {"rel"}, name
            if name in {"href", "src"}:
                scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", value or "", re.IGNORECASE)
                assert scheme is None or scheme[1].lower() in SCHEMES, value


PIECES = st.sampled_from([
    *["<", ">", "</", "/>", "<!--", "-->", "&", "&#x6a;", ";", '"', "'", "=", " ", "\n", "\x00", "a", "\u00e9"],
    *["<script>", "</script>", "<style>", "<svg>", "<math>", "<mtext>", "<table>", "<td>", "<p>", "</p>", "<b>"],
    *["<a href=", "<img src=", "javascript:", "data:text/html,", "cid:", "https://x.example/", " onerror=f()"],
    *[" style=x", "<noscript>", "<textarea>", "<title>", "<template>", "<select>", "<iframe srcdoc=", "<xmp>"],
    *["<![CDATA[", "]]>", "<plaintext>"],
    *[" class=gmail_quote>", "<div id=appendonsend>", "<blockquote type=cite>", "<div data-quoted=true>"],
    *["data-quoted-from", " data-quoted-from="],
    *["<style>p{color:red}</style>", " style='margin:1px;color:\\72 ed;background:url(x)'>", "<li>", "<ol>", "<pre>"],
])  # fmt: skip


@example("<a href='data:text/html,' style='color:red'>")
@example("<a name=x href='data:text/html,' title=y style='color:red'>")
@given(st.text(max_size=60) | st.lists(PIECES, max_size=15).map("".join))
def test_any_html_comes_out_harmless(raw: str) -> None:
    """Any HTML, however broken, comes out with listed tags, attributes and schemes only."""
    found = clean_html(raw, LEAVING).html
    Allowed().feed(found)
    assert clean_html(found, LEAVING).html == found
    assert isinstance(html_to_text(raw), str)


@given(st.text(max_size=60) | st.lists(PIECES, max_size=15).map("".join))
def test_what_a_crm_shows_is_stable_and_takes_no_styles(raw: str) -> None:
    """What a CRM shows has no class and no id, and cleaning it again changes nothing, its quoted part included."""
    for policy in (SHOWN, SHOWN_WITHOUT_REMOTE):
        found = clean_html(raw, policy).html
        Allowed().feed(found.replace(' data-quoted="true"', ""))
        assert clean_html(found, policy).html == found
        assert not re.search(r'<\w+(?: [\w-]+="[^"]*")* (class|id|data-quoted-from)="', found)


def test_hostile_html_is_stable() -> None:
    """What hostile HTML becomes does not change under a second pass, with links in tables and lines of `<pre>`."""
    for raw in hostile_html(4 * settings().max_examples, seed=2):
        for policy in (LEAVING, SHOWN_WITHOUT_REMOTE):
            found = clean_html(raw, policy).html
            assert clean_html(found, policy).html == found


def test_nothing_that_runs_is_on_the_lists() -> None:
    """The lists of allowed tags and attributes hold nothing that can run or load."""
    forbidden = {"script", "style", "iframe", "object", "embed", "svg", "math", "link", "meta", "base"}
    forbidden |= {"form", "input", "button", "select", "textarea"}
    assert not TAGS & forbidden
    named = {name for policy in (LEAVING, SHOWN) for names in policy.attributes.values() for name in names}
    assert not {attribute for attribute in named if attribute.startswith("on")} | named & {
        "srcset",
        "background",
        "action",
        "target",
    }
    assert {"http", "https", "mailto", "tel", "cid"} == SCHEMES


SLOW = {
    "deep": "<div>" * 30_000,
    "deep, with what each end must look through": "<span>" * 5_000 + "</p>" * 50_000,
    "many ampersands": "&" * 500_000,
    "many references": "&lt;b&gt;" * 100_000,
    "many ends": "<" * 100_000,
    "open attributes": "<a b='" * 50_000,
    "deep, with ends of what is not open": "<div></i>" * 40_000,
    "deep, with entries in entries": "<li><dd>" * 40_000,
    "deep, with ends in attributes": "<div a='></div>'>" * 40_000,
    "deep, with ends in attributes behind a quote in the text": '="<div a="</div>">' * 40_000,
    "deep, with ends in comments": "<div><!--</div>-->" * 40_000,
    "deep, with ends in what browsers take for comments": "<div><!</div><?</div></ </div>" * 20_000,
    "deep, with ends in sheets": "<div><style></div></style>" * 40_000,
    "deep, with ends in a title and what looks like one": '<a b="<title>">'
    + "<div><style></title></div></style>" * 30_000,
    "marks of letters without end": "".join(f"<font size={size}></x>" for size in range(20_000))
    + "<p>x" * 9_000,
    "a sheet of many rules": f"<style>{'*{color:red}' * 8_000}</style>" + "<p>" * 20_000,
    "a rule of many words for every element": f"<style>*{{font-family:{'a ' * 40_000}}}</style>"
    + "<p>" * 20_000,
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW)
def test_no_mail_holds_a_worker(raw: str) -> None:
    """HTML that is slow to clean is reduced to its words within two seconds."""
    before = time.process_time()
    found = clean_html(raw, LEAVING).html
    assert time.process_time() - before < 2
    Allowed().feed(found)
    assert clean_html(found, LEAVING).html == found


def test_a_sheet_for_a_long_mail_is_inlined() -> None:
    """A sheet as newsletters have it still becomes inline styles in a mail of three thousand elements."""
    sheet = "".join(
        f".c{number}{{color:red;font-family:Arial,Helvetica,sans-serif}}" for number in range(300)
    )
    letter = f"<style>{sheet}</style>" + '<p class="c7">a</p>' * 3_000
    assert clean_html(letter, LEAVING).html.count("color: red") == 3_000


def test_a_mail_of_an_ordinary_kind_keeps_its_tags() -> None:
    """A long newsletter of nested tables and a long report keep their tags."""
    cell = "<td>a &amp; b&nbsp;<a href='https://x.example/?a=1&b=2'>x</a></td>"
    letter = (
        "<table><tr><td>" * 30
        + f"<table>{f'<tr>{cell * 10}</tr>' * 1000}</table>"
        + "</td></tr></table>" * 30
    )
    assert clean_html(letter, LEAVING).html.count("<td>") == 10_030
    assert clean_html("<p>a" * 20_000, LEAVING).html.count("<p>") == 20_000
