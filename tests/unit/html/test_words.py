"""The words of HTML as text (H-1)."""

from __future__ import annotations

import time

import pytest

from shared.html import SHOWN, clean_html, html_to_text
from shared.html.quotes import quote_in_text
from shared.html.words import words_of

TEXTS = {
    "paragraphs": ("<p>a</p><p>b</p>", "a\n\nb"),
    "blocks": ("<div>a</div><div>b</div>", "a\n\nb"),
    "breaks": ("a<br>b<br/>c", "a\nb\nc"),
    "a list": ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
    "a numbered list": ("<ol start=3><li>a<li>b</ol>c", "3. a\n4. b\nc"),
    "lists in lists": ("<ul><li>a<ol><li>b<li>c</ol><li>d</ul>", "- a\n  1. b\n  2. c\n- d"),
    "a table": (
        "<table><tr><th>Item</th><th>Price</th></tr><tr><td>1</td><td>2 EUR</td></tr></table>",
        "Item\tPrice\n1\t2 EUR",
    ),
    "lines of a program": ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
    "hidden words": ('<div style="display:none">hidden<br><b>too</b></div><p>shown</p>', "shown"),
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


QUOTED = {
    "Gmail": (
        '<div>Yes</div><div class="gmail_quote"><div>On Mon, B wrote:</div><blockquote>q</blockquote></div>', "Yes"
    ),
    "Outlook on the web": (
        '<div>Yes</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> B</div>q', "Yes"
    ),
    "Outlook": (
        (
            '<p>Yes</p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'
            "<p><b>From:</b> B</p></div></div><p>q</p>"
        ),
        "Yes",
    ),
    "Apple": ('<div>Yes</div><blockquote type="cite"><div>q</div></blockquote>', "Yes"),
    "Thunderbird": (
        '<p>Yes</p><div class="moz-cite-prefix">On Mon, B wrote:</div><blockquote type="cite">q</blockquote>', "Yes"
    ),
    "Outlook for desktops, whole": (
        (
            '<div class="WordSection1"><p class="MsoNormal">Yes<o:p></o:p></p><p class="MsoNormal"><o:p>&nbsp;</o:p>'
            '</p><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><p class=MsoNormal>'
            "<b>From:</b> B<br><b>Sent:</b> Monday<br><b>Subject:</b> Offer<o:p></o:p></p></div><p>q</p></div>"
        ),
        "Yes",
    ),
    "Outlook on the web, whole": (
        (
            '<div class="elementToProof">Yes</div><hr style="display:inline-block;width:98%" tabindex="-1">'
            '<div id="divRplyFwdMsg" dir="ltr"><font><b>From:</b> B<br><b>Sent:</b> Monday</font><div>&nbsp;</div>'
            '</div><div class="BodyFragment">q</div>'
        ),
        "Yes",
    ),
    "Gmail, of which Outlook has renamed the classes": (
        '<div>Yes</div><div class="x_gmail_quote"><div class="x_gmail_attr">On Mon, B wrote:</div>q</div>', "Yes"
    ),
    "Apple, whole": (
        (
            '<html><body style="overflow-wrap: break-word;">Yes<div><br><blockquote type="cite"><div>On 1 Jan, B wrote:'
            '</div><br class="Apple-interchange-newline"><div>q</div></blockquote></div><br></body></html>'
        ),
        "Yes",
    ),
    "eM Client": ('<div>Yes</div><blockquote cite="mid:1@x.example" class="cite2">q</blockquote><p>Me</p>', "Yes"),
    "a quotation at the end, without a mark": ("<div>Yes</div><blockquote>q</blockquote><br>&nbsp;", "Yes"),
    "the last of two, without a mark": (
        "Yes<blockquote>a saying</blockquote>no<blockquote>q</blockquote>", "Yes\na saying\nno"
    ),
    "a line before it, without a mark": (
        "<p>Yes</p><p>On Mon, B wrote:</p><blockquote>q</blockquote><p>-- <br>Me</p>", "Yes"
    ),
    "a line before it in the same block": (
        "<div>Yes<br>Am Montag schrieb B:<br><blockquote>q</blockquote>Me</div>", "Yes\nAm Montag schrieb B:"
    ),
    "within a paragraph": ("<p>Yes<br></p><blockquote type=cite>q</blockquote>", "Yes"),
    "all of it": ('<div class="gmail_quote">q</div>', ""),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "own"), QUOTED.values(), ids=QUOTED)
def test_the_quoted_part_is_wrapped_and_found_in_the_text(raw: str, own: str) -> None:
    """What a mail quotes stands in one wrapper, and the text tells where it begins; the words are untouched."""
    found = clean_html(raw, SHOWN).html
    assert found.count('<div data-quoted="true">') == 1
    text, begins = words_of(found)
    assert begins is not None
    assert text[:begins].strip() == own
    assert "q" in text[begins:]
    assert "".join(text.split()) == "".join(html_to_text(raw).split())


@pytest.mark.parametrize(
    "raw",
    [
        "<blockquote>a saying</blockquote><p>b</p>",
        "<p>b</p><blockquote>a saying</blockquote><p>c</p>",
        "<blockquote>nothing but a saying</blockquote>",
        "<p>As Goethe said:</p><blockquote>a saying</blockquote><p>c</p>",
        'b<blockquote>a saying</blockquote><img src="https://x.example/logo.png">',
    ],
)
def test_what_quotes_nothing_has_no_mark(raw: str) -> None:
    """A mail without a quotation, or with a saying between its own words, has no wrapper and no place of one."""
    found = clean_html(raw, SHOWN).html
    assert "data-quoted" not in found
    assert words_of(found)[1] is None


@pytest.mark.parametrize(
    "raw", ["<blockquote>a</blockquote>", "<p>On Mon, B wrote:</p>x<blockquote>a</blockquote>y"]
)
def test_many_quotations_hold_no_worker(raw: str) -> None:
    """Quotations without a mark are looked at in time that grows with the length of the mail alone."""
    before = time.process_time()
    clean_html(raw * 10_000, SHOWN)
    assert time.process_time() - before < 4


TEXT_QUOTES = {
    "Outlook for desktops": (
        "Yes\r\n\r\nFrom: B <b@x>\r\nSent: Monday, 1 January 2026 10:00\r\nTo: A\r\nSubject: Offer\r\n\r\nold",
        "From: B",
    ),
    "Outlook on the web": (
        "Yes\r\n________________________________\r\nFrom: B <b@x>\r\nSent: Monday\r\nTo: A\r\n\r\nold",
        "________",
    ),
    "Apple": ("Yes\n\n> On 1 Jan 2026, at 10:00, B <b@x> wrote:\n> \n> old\n", "> On 1 Jan"),
    "Thunderbird": ("Yes\n\nOn 01/01/2026 10:00, B wrote:\n> old\n>\n> older\n\n", "On 01/01"),
    "a line of Gmail's": ("Yes.\n\nOn Mon, 1 Jan 2026 at 10:00, Bea <b@x>\nwrote:\n> old", "On Mon"),
    "in German": ("Ja.\n\nAm Mo., 1. Jan. 2026 um 10:00 schrieb Bea:\n\n> alt", "Am Mo."),
    "Outlook's line": ("Yes\n\n-----Original Message-----\nFrom: B\nSent: Monday\n\nold", "-----Original"),
    "Outlook's head": ("Ja\n\nVon: B\nGesendet: Montag\nAn: A\n\nalt", "Von: B"),
    "Outlook's line, line breaks of mail": ("Yes\r\n\r\n-----Original Message-----\r\nold", "-----Original"),
    "a line before a quotation, line breaks of mail": (
        "Yes.\r\n\r\nOn Mon, 1 Jan 2026, Bea wrote:\r\n\r\n> old\r\nmore",
        "On Mon",
    ),
    "quoted lines at the end": ("Yes\n> old\n> older\n", "> old"),
    "nothing": ("On Monday I wrote: this\nFrom: here to there\n", None),
    "answers between": ("> question\nanswer", None),
    "nothing but quoted lines": ("> old\n\n> older", "> old"),
    "line breaks of mail": ("Yes\r\n\r\n> old\r\n\r\n> older\r\n", "> old"),
}


@pytest.mark.parametrize(("text", "begins"), TEXT_QUOTES.values(), ids=TEXT_QUOTES)
def test_the_quoted_part_of_a_text_is_found(text: str, begins: str | None) -> None:
    """A mail of plain text tells where its quoted part begins, as the programs write it."""
    at = quote_in_text(text)
    assert (None if at is None else text[at : at + len(begins or "")]) == begins


SLOW_TEXTS = {
    "quoted lines before an answer": ">\n" * 200_000 + "x",
    "empty lines between quoted ones": (">" + "\n" * 20) * 20_000 + "x",
    "many lines before quotations": "> On Monday Bea wrote:\n" * 40_000 + "x",
    "words like those before a quotation": "On Monday Bea wrote wrote wrote:\n" * 20_000,
}


@pytest.mark.parametrize("text", SLOW_TEXTS.values(), ids=SLOW_TEXTS)
def test_no_text_holds_a_worker(text: str) -> None:
    """The quoted part of a long text is looked for in time that grows with its length alone."""
    before = time.process_time()
    assert quote_in_text(text) is None
    assert time.process_time() - before < 2
