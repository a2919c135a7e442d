"""What a bounce says (RFC 3464), and how much of it is certain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bounces import after_report, read_report, wanted_parts, with_recipients
from shared.domain.model import Address, Bounce, BounceAction, FetchedMessage, Outline, RemoteFile
from tests.builders import BEA, CAL, NOW
from tests.strategies import texts

FAILED, DELAYED = BounceAction.FAILED, BounceAction.DELAYED
STATUS = b"""Reporting-MTA: dns;mx.fabrikam.example
Arrival-Date: Mon, 2 Mar 2026 09:30:00 +0000

Original-Recipient: rfc822;bea@fabrikam.example
Final-Recipient: rfc822;bea@internal.fabrikam.example
Action: failed
Status: 5.1.1 (bad destination)
Diagnostic-Code: smtp;550 5.1.1 <bea@internal.fabrikam.example>:
 User unknown

Final-Recipient: rfc822;cal@contoso.example
Action: delayed
Status: 4.4.1
"""
EXCHANGE = """Your message to bea@fabrikam.example couldn't be delivered.

Diagnostic information for administrators:

Generating server: AM0PR01MB0001.eurprd01.prod.outlook.com (10.5.1.1), version 5.20.1.10

bea@fabrikam.example
Remote server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found'

Original message headers:

Received: from AM0PR01MB0001 (10.5.1.2) with SMTP id 5.4.3
To: bea@fabrikam.example, cal@contoso.example
Message-ID: <ours@northwind.example>
"""


def bounce_mail(message_class: str | None = None, **headers: str) -> FetchedMessage:
    outline = Outline(
        "AAMk", "<ndr@x>", "conv", is_draft=False, in_reply_to="<a@x>", references=("<z@x>", "<a@x>")
    )
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return FetchedMessage(
        outline, Address("postmaster@x"), (), (), (), (), "", None, None, None, None, has_attachments=False,
        headers=named, message_class=message_class,
    )  # fmt: skip


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_report_part_is_believed(newline: bytes) -> None:
    """Recipient, code, diagnosis and action of each recipient come from the report part, as the CRM addressed them."""
    report = read_report(bounce_mail(), STATUS.replace(b"\n", newline), None, EXCHANGE)
    assert report.bounces == (
        Bounce(BEA, "5.1.1", "550 5.1.1 <bea@internal.fabrikam.example>: User unknown", FAILED),
        Bounce(CAL, "4.4.1", None, DELAYED),
    )
    assert not report.delivered


def test_a_report_of_success_is_no_bounce() -> None:
    """A report that says delivered, relayed or expanded of everybody is no bounce; beside a failure it says nothing."""
    success = STATUS.replace(b"failed", b"delivered").replace(b"delayed", b"expanded")
    assert read_report(bounce_mail(), success, None, "") == replace(
        read_report(bounce_mail(), None, None, ""), delivered=True
    )
    mixed = read_report(bounce_mail(), STATUS.replace(b"delayed", b"relayed"), None, "")
    assert ([bounce.recipient for bounce in mixed.bounces], mixed.delivered) == ([BEA], False)


def test_message_ids_of_the_original() -> None:
    """The original is named by the tags, then by the headers that came along, then by those that the text quotes."""
    headers = b"Subject: Offer\r\nMessage-ID: <part@northwind.example>\r\n"
    report = read_report(bounce_mail(), None, headers, EXCHANGE)
    assert report.original_ids == ("<a@x>", "<z@x>", "<part@northwind.example>", "<ours@northwind.example>")


def test_headers_that_lost_their_lines_name_the_original_too() -> None:
    """HTML may put the original's headers on one line; In-Reply-To and resent ids in them are not taken for its own."""
    text = (
        "Headers: To: a In-Reply-To: <p@x> Resent-Message-ID: <r@x> Message-ID: <ours@northwind.example> X: y"
    )
    assert read_report(bounce_mail(), None, None, text).original_ids == (
        "<a@x>",
        "<z@x>",
        "<ours@northwind.example>",
    )


TEXTS: dict[str, tuple[str, Bounce]] = {
    "Exchange's": (
        EXCHANGE,
        Bounce(BEA, "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", FAILED),
    ),
    "in another language": (
        f"Unzustellbar: {BEA}\nDer Server gab zurück: 550 5.2.2 Postfach voll",
        Bounce(BEA, "5.2.2", "550 5.2.2 Postfach voll", FAILED),
    ),
    "two codes": (f"{BEA}: 550 5.1.1 unknown, then 451 4.4.1 timeout", Bounce(BEA)),
    "a code alone": (f"{BEA} failed with 5.7.1.", Bounce(BEA, "5.7.1", None, FAILED)),
    "may be a delay, or the last of them": (f"{BEA}: 451 4.4.1 timeout", Bounce(BEA, "4.4.1", "451 4.4.1 timeout")),
    "nobody known": (
        "550 5.1.1 <dan@lost.example> unknown",
        Bounce("dan@lost.example", "5.1.1", "550 5.1.1 <dan@lost.example> unknown", FAILED),
    ),
    "somebody's address is longer": (f"x{BEA} and {BEA}.uk failed", Bounce()),
    "prose": ("It could not be delivered.", Bounce()),
    "nothing": ("", Bounce()),
}  # fmt: skip


@pytest.mark.parametrize(("text", "bounce"), TEXTS.values(), ids=TEXTS)
def test_of_a_text_only_what_is_certain(text: str, bounce: Bounce) -> None:
    """Where only the text tells, one recipient of the original and one code count; everything else stays open."""
    mail = bounce_mail()
    assert with_recipients(read_report(mail, None, None, text), mail, text, [BEA, CAL]) == (bounce,)


def test_each_recipient_that_a_text_names() -> None:
    """A text that names several recipients of the original tells of each."""
    mail, text = (
        bounce_mail("REPORT.IPM.Note.NDR"),
        f"Your message to {BEA}, {CAL.upper()} failed: 550 5.1.1 unknown",
    )
    found = with_recipients(read_report(mail, None, None, text), mail, text, [BEA, CAL, "dan@x.example"])
    assert [(bounce.recipient, bounce.status, bounce.action) for bounce in found] == [
        (BEA, "5.1.1", FAILED),
        (CAL, "5.1.1", FAILED),
    ]


def test_each_recipient_with_its_own_words() -> None:
    """Where the replies name their recipients, each gets its own code and words."""
    text = f"550 5.1.1 <{BEA}> unknown\n452 4.2.2 <{CAL}> mailbox full"
    mail = bounce_mail()
    assert with_recipients(read_report(mail, None, None, text), mail, text, [BEA, CAL]) == (
        Bounce(BEA, "5.1.1", f"550 5.1.1 <{BEA}> unknown", FAILED),
        Bounce(CAL, "4.2.2", f"452 4.2.2 <{CAL}> mailbox full"),
    )


@pytest.mark.parametrize(
    ("message_class", "action"), [("REPORT.IPM.Note.NDR", FAILED), ("REPORT.IPM.Note.Delayed", DELAYED)]
)
def test_exchanges_class_tells_a_failure_from_a_delay(message_class: str, action: BounceAction) -> None:
    """A code that begins with 4 is a failure in a report of failure, and a delay in one of delay."""
    mail, text = bounce_mail(message_class), f"{BEA}: 450 4.4.7 expired"
    assert with_recipients(read_report(mail, None, None, text), mail, text, [BEA])[0].action is action


def test_a_header_names_the_failed() -> None:
    """Without a report part the header X-Failed-Recipients names them; the text gives what has only one answer."""
    mail = bounce_mail(X_Failed_Recipients=f"{BEA}, {CAL}")
    report = read_report(mail, None, None, "550 5.1.1 unknown")
    assert [(bounce.recipient, bounce.status) for bounce in report.bounces] == [
        (BEA, "5.1.1"),
        (CAL, "5.1.1"),
    ]
    assert with_recipients(report, mail, "", [BEA]) == report.bounces


def test_a_failure_stays_one() -> None:
    """The newest report about a recipient counts, but no delay takes the place of a failure."""
    delay, failure = Bounce(BEA, "4.4.1", action=DELAYED), Bounce(BEA, "4.4.7", action=FAILED)
    other = Bounce(CAL, "5.1.1", action=FAILED, at=NOW)
    assert after_report((), [delay, other]) == (delay, other)
    assert after_report((delay, other), [failure]) == (failure, other)
    assert after_report((failure,), [delay]) == (failure,)


def test_the_parts_worth_reading() -> None:
    """The report part and the original's headers are read, the original itself and anything large never."""

    def part(content_type: str | None, size_bytes: int = 900, kind: str = "file") -> RemoteFile:
        return RemoteFile(str(content_type), "", content_type, size_bytes, inline=False, kind=kind)

    status, headers = part("Message/Delivery-Status; charset=x"), part("text/rfc822-headers")
    item, text = part("message/rfc822", kind="item"), part("text/plain")
    assert wanted_parts([item, text, headers, status]) == (status, headers)
    assert wanted_parts([part("message/delivery-status", 10_000_000), part(None)]) == (None, None)


@given(st.binary(max_size=300), st.binary(max_size=300), texts, st.sampled_from(["", EXCHANGE]))
def test_any_report_says_something(status: bytes, headers: bytes, text: str, more: str) -> None:
    """Whatever the parts and the text are, at least one bounce comes of it, and no error."""
    mail = bounce_mail()
    report = read_report(mail, b"Action: failed\n\n" + status, headers, text + more)
    assert with_recipients(report, mail, text + more, [BEA])


def test_a_long_text_is_judged_quickly() -> None:
    """A text made to be slow to search is judged at once."""
    mail, text = bounce_mail(), "5." * 40_000 + "<a@" * 20_000 + "550 5.1.1 " * 9_000
    started = datetime.now().astimezone()
    with_recipients(read_report(mail, None, text.encode(), text), mail, text, [BEA] * 500)
    assert (datetime.now().astimezone() - started).total_seconds() < 2
