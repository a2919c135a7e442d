"""What sort of mail a message is, and whether a machine wrote it (RFC 3464, 3834, 6047, 8098)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.message_kinds import is_automatic, is_mail_system, kind_of, written_by_machine
from shared.domain.model import Address, FetchedMessage, MessageKind, Outline
from tests.strategies import texts

CASES = [
    ((), False),
    ((("Auto-Submitted", "auto-replied"),), True),
    ((("Auto-Submitted", "auto-generated"),), True),
    ((("AUTO-SUBMITTED", "Auto-Replied; owner-email=a@b"),), True),
    ((("Auto-Submitted", "no"),), False),
    ((("Auto-Submitted", " No "),), False),
    ((("Auto-Submitted", ""),), False),
    ((("Auto-Submitted", "no; because=a person wrote it"),), False),
    ((("X-Auto-Response-Suppress", "All"),), True),
    ((("X-Autoreply", "yes"),), True),
    ((("List-Id", "<news.example>"),), True),
    ((("List-Unsubscribe", "<mailto:out@example>"),), True),
    ((("Precedence", "bulk"),), True),
    ((("Precedence", "Auto_Reply"),), True),
    ((("Precedence", "first-class"),), False),
    ((("Return-Path", "<>"),), True),
    ((("Return-Path", ""),), True),
    ((("Return-Path", "<bea@fabrikam.example>"),), False),
    ((("Subject", "Automatic reply: Your offer"),), False),
    ((("Auto-Submitted", "no"), ("Precedence", "junk")), True),
]


@pytest.mark.parametrize(("headers", "automatic"), CASES)
def test_a_machines_mail_is_known_by_its_headers(
    headers: tuple[tuple[str, str], ...], *, automatic: bool
) -> None:
    """Automatic mail is known by the headers of RFC 3834, 5 and older marks, and never by its subject."""
    assert is_automatic(headers) is automatic


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_any_headers_are_judged(headers: list[tuple[str, str]]) -> None:
    """Any headers are judged as automatic or not."""
    assert is_automatic(headers) in {True, False}


PERSON, DAEMON = "bea@fabrikam.example", "MAILER-DAEMON@mx.fabrikam.example"
EXCHANGE = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@northwind.example"
REPORT = "multipart/report; boundary=x; report-type="
K = MessageKind

BY_CLASS = {
    "IPM.Note": K.MAIL,
    "IPM.Note.Custom": K.MAIL,
    "IPM.Note.SMIME.MultipartSigned": K.MAIL,
    "REPORT.IPM.Note.Unheard": K.MAIL,
    "": K.MAIL,
    "REPORT.IPM.Note.NDR": K.BOUNCE,
    "report.ipm.note.ndr": K.BOUNCE,
    "REPORT.IPM.Schedule.Meeting.Request.NDR": K.BOUNCE,
    "REPORT.IPM.Note.Delayed": K.BOUNCE,
    "REPORT.IPM.Note.DR": K.AUTOMATIC_REPLY,
    "REPORT.IPM.Note.IPNRN": K.READ_RECEIPT,
    "REPORT.IPM.Note.IPNNRN": K.READ_RECEIPT,
    "IPM.Schedule.Meeting.Request": K.MEETING_REQUEST,
    "IPM.Schedule.Meeting.Canceled": K.MEETING_REQUEST,
    "IPM.Schedule.Meeting.Resp.Pos": K.MEETING_RESPONSE,
    "IPM.Schedule.Meeting.Resp.Tent": K.MEETING_RESPONSE,
    "IPM.Outlook.Recall": K.RECALL,
    "IPM.Recall.Report.Success": K.RECALL,
    "IPM.Note.Rules.OofTemplate.Microsoft": K.AUTOMATIC_REPLY,
    "IPM.Note.Rules.ReplyTemplate.Microsoft": K.AUTOMATIC_REPLY,
}
BY_HEADERS: dict[str, tuple[dict[str, str], str, MessageKind]] = {
    "a daemon's mail of which no path is known": ({}, DAEMON, K.BOUNCE),
    "a mark without a value": ({"Auto-Submitted": ""}, PERSON, K.MAIL),
    "nothing": ({}, PERSON, K.MAIL),
    "a delivery report": ({"Content-Type": REPORT + "delivery-status"}, PERSON, K.BOUNCE),
    "a quoted one": ({"content-type": 'Multipart/Report; Report-Type="Delivery-Status"'}, PERSON, K.BOUNCE),
    "a read receipt": ({"Content-Type": REPORT + "disposition-notification"}, PERSON, K.READ_RECEIPT),
    "a feedback report": ({"Content-Type": REPORT + "feedback-report"}, PERSON, K.MAIL),
    "Exim's bounce": ({"X-Failed-Recipients": PERSON}, DAEMON, K.BOUNCE),
    "Exchange's bounce": ({"X-MS-Exchange-Message-Is-Ndr": ""}, EXCHANGE, K.BOUNCE),
    "a daemon's mail without return path": ({"Return-Path": "<>"}, DAEMON, K.BOUNCE),
    "a daemon's letter": ({"Return-Path": f"<{DAEMON}>"}, DAEMON, K.MAIL),
    "an answer of a machine": ({"Auto-Submitted": "auto-replied"}, PERSON, K.AUTOMATIC_REPLY),
    "an answer by Exchange": ({"Auto-Submitted": "auto-generated"}, PERSON, K.AUTOMATIC_REPLY),
    "an answer without return path": ({"Return-Path": "<>"}, PERSON, K.AUTOMATIC_REPLY),
    "an older mark": ({"X-Autoreply": "yes"}, PERSON, K.AUTOMATIC_REPLY),
    "a person's own": ({"Auto-Submitted": "no"}, PERSON, K.MAIL),
    "a list": ({"List-Id": "<news.example>", "Precedence": "list", "Return-Path": "<>"}, PERSON, K.MAIL),
    "an invitation": ({"Content-Type": "text/calendar; method=REQUEST"}, PERSON, K.MEETING_REQUEST),
    "an acceptance": (
        {"Content-Type": "text/calendar; charset=utf-8; METHOD=reply"},
        PERSON,
        K.MEETING_RESPONSE,
    ),
    "a calendar": ({"Content-Type": "text/calendar"}, PERSON, K.MAIL),
}


def mail(
    sender: str = PERSON, answers: str | None = "<a@x>", headers: dict[str, str] | None = None, **more: str
) -> FetchedMessage:
    outline = Outline("AAMk", "<m@x>", "conv", is_draft=False, in_reply_to=answers)
    return FetchedMessage(
        outline, Address(sender), (), (), (), (), "Undeliverable: Automatic reply", None, None, None, None,
        has_attachments=False, headers=tuple((headers or {}).items()), **more,
    )  # fmt: skip


@pytest.mark.parametrize(("message_class", "kind"), BY_CLASS.items())
def test_exchanges_class_says_what_it_is(message_class: str, kind: MessageKind) -> None:
    """Exchange's message class decides, in any case of its letters; a class that nobody knows is mail."""
    assert kind_of(mail(message_class=message_class)) is kind


@pytest.mark.parametrize(
    ("odata_type", "kind"),
    [
        ("#microsoft.graph.eventMessageRequest", K.MEETING_REQUEST),
        ("#microsoft.graph.eventMessageResponse", K.MEETING_RESPONSE),
        ("#microsoft.graph.eventMessage", K.MEETING_REQUEST),
        ("#microsoft.graph.message", K.MAIL),
    ],
)
def test_graphs_type_tells_meetings(odata_type: str, kind: MessageKind) -> None:
    """Where the class is not told, Graph's own type tells meeting mail."""
    assert kind_of(mail(odata_type=odata_type)) is kind


@pytest.mark.parametrize(("headers", "sender", "kind"), BY_HEADERS.values(), ids=BY_HEADERS)
def test_what_sort_of_mail_it_is(headers: dict[str, str], sender: str, kind: MessageKind) -> None:
    """Without a telling class the headers of the standards decide; the subject never does."""
    assert kind_of(mail(sender, headers=headers)) is kind
    assert kind_of(mail(sender, headers=headers, message_class="IPM.Note")) is kind


def test_an_answer_is_known_by_its_headers_too() -> None:
    """Where Exchange leaves out its own tags, In-Reply-To among the headers makes an answer."""
    headers = {"Return-Path": "<>", "In-Reply-To": "<a@x>"}
    assert kind_of(mail(answers=None, headers=headers)) is K.AUTOMATIC_REPLY


def test_what_a_machine_begins_is_no_answer() -> None:
    """Generated mail that answers nothing, like a system's notice, is mail; the mark `automatic` stays."""
    notice = mail(answers=None, headers={"Auto-Submitted": "auto-generated"})
    assert kind_of(notice) is K.MAIL
    assert written_by_machine(K.MAIL, notice.headers)
    assert written_by_machine(K.BOUNCE, ())
    assert not written_by_machine(K.MEETING_REQUEST, ())


@pytest.mark.parametrize(
    ("sender", "system"), [(EXCHANGE, True), (DAEMON, True), (PERSON, False), ("", False)]
)
def test_a_mail_system_is_no_person(sender: str, *, system: bool) -> None:
    """Postmasters, daemons and Exchange's own reporter are known by their name."""
    assert is_mail_system(Address(sender)) is system
    assert not is_mail_system(None)


@given(st.lists(st.tuples(texts, texts), max_size=5), texts, texts)
def test_every_mail_has_a_kind(headers: list[tuple[str, str]], message_class: str, odata_type: str) -> None:
    """Whatever headers, class and type say, there is a kind."""
    assert (
        kind_of(mail(headers=dict(headers), message_class=message_class, odata_type=odata_type))
        in MessageKind
    )
