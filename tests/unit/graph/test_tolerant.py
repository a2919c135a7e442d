"""Answers with members that the strict decoder refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from shared.domain.errors import UpstreamSurprise
from shared.domain.listing import Ask
from shared.domain.model import Address
from shared.graph import mapping, tolerant, wire
from shared.graph.client import decoded
from shared.graph.errors import read_error
from shared.graph.notifications import read_notifications
from shared.graph.provider import GraphMail
from tests.builders import NOW
from tests.unit.graph.conftest import Tokens, Wire

PERSON = {"emailAddress": {"address": "bea@customer.example", "name": "Bea"}}
WHOLE: dict[str, Any] = {
    "id": "AA=",
    "internetMessageId": "<1@x>",
    "conversationId": "c",
    "isDraft": False,
    "lastModifiedDateTime": "2026-03-01T10:00:00Z",
    "receivedDateTime": "2026-03-01T10:00:00Z",
    "sentDateTime": "2026-03-01T09:59:00Z",
    "from": PERSON,
    "toRecipients": [PERSON],
    "ccRecipients": [],
    "bccRecipients": [],
    "replyTo": [],
    "subject": "Offer",
    "body": {"contentType": "html", "content": "<p>Hello</p>"},
    "hasAttachments": False,
    "internetMessageHeaders": [{"name": "X-One", "value": "1"}],
    "singleValueExtendedProperties": [{"id": wire.IN_REPLY_TO, "value": "<0@x>"}],
}
ODD = st.sampled_from(
    [None, 5, 1.5, True, "text", "\ud83d", [], [None], [5], {}, {"a": 1}, [{"emailAddress": 5}]]
)


def raw(value: object) -> bytes:
    """As Graph writes it: half a character stays an escape."""
    return json.dumps(value).encode()


def message(**members: object) -> wire.Message:
    return decoded(raw(WHOLE | members), wire.Message)


@pytest.mark.parametrize("half", ["\ud83d", "b\udc4d", "a\ud83db", "\ud83d\ud83d"], ids=ascii)
def test_half_a_character_becomes_the_replacement_character(half: str) -> None:
    """Half a surrogate pair in a text costs that half only; whole pairs and everything else stay."""
    mended = "".join("\ufffd" if "\ud800" <= sign <= "\udfff" else sign for sign in half)
    read = mapping.graph_to_message(
        message(subject=f"Yes \U0001f44d {half}", body={"contentType": "text", "content": half})
    )
    assert read.subject == f"Yes \U0001f44d {mended}"
    assert read.text == mended
    assert read.sender == Address("bea@customer.example", "Bea")


def test_letters_that_look_like_an_escape_stay() -> None:
    """A backslash that the text itself holds begins no escape."""
    assert json.loads(tolerant.readable(rb'"C:\\ud83d \ud83d"')) == "C:\\ud83d \ufffd"


@given(st.text(max_size=20))
def test_whole_texts_are_left_alone(text: str) -> None:
    """JSON without half characters reads the same afterwards, however it is escaped."""
    for ensure in (True, False):
        written = json.dumps(text, ensure_ascii=ensure).encode()
        assert json.loads(tolerant.readable(written)) == text


@pytest.mark.parametrize(
    ("members", "lost"),
    [
        ({"from": None}, {"sender": None}),
        ({"from": {"emailAddress": None}}, {"sender": None}),
        ({"from": {"emailAddress": {"address": 5, "name": "Bea"}}}, {"sender": None}),
        ({"from": 5}, {"sender": None}),
        ({"toRecipients": [None, PERSON, {"emailAddress": None}, 5]}, {}),
        ({"toRecipients": None}, {"to": ()}),
        ({"ccRecipients": "bea@customer.example"}, {}),
        ({"subject": None}, {"subject": ""}),
        ({"subject": 5}, {"subject": ""}),
        ({"body": {"contentType": None, "content": "<html>"}}, {"html": "<html>"}),
        ({"body": {"contentType": None, "content": "a < b"}}, {"html": None, "text": "a < b"}),
        ({"body": {"contentType": "html", "content": None}}, {"html": None}),
        ({"body": None}, {"html": None}),
        ({"body": [5]}, {"html": None}),
        ({"internetMessageHeaders": [{"value": "x"}, {"name": None}, None, {"name": "X-One", "value": "1"}]}, {}),
        ({"internetMessageHeaders": [{"name": "X-One", "value": 1}]}, {"headers": (("X-One", ""),)}),
        ({"sentDateTime": "yesterday"}, {"sent_at": None}),
        ({"sentDateTime": "2026-03-01T10:00:00"}, {"sent_at": None}),
        ({"sentDateTime": {}}, {"sent_at": None}),
        ({"hasAttachments": "no"}, {}),
    ],
    ids=str,
)  # fmt: skip
def test_an_odd_member_costs_itself(members: dict[str, Any], lost: dict[str, Any]) -> None:
    """What Microsoft's description allows, or the decoder cannot read, costs that member and nothing beside it."""
    whole = mapping.graph_to_message(message())
    read = mapping.graph_to_message(message(**members))
    for name in ("outline", "sender", "to", "cc", "subject", "html", "text", "headers", "sent_at"):
        assert getattr(read, name) == lost.get(name, getattr(whole, name)), name


@given(st.dictionaries(st.sampled_from([*WHOLE][1:]), ODD))
def test_a_mail_with_an_id_is_read_whatever_the_rest_is(members: dict[str, Any]) -> None:
    """With an id there is a mail, and the members that were not touched are there."""
    read, whole = message(**members), message()
    mapping.graph_to_message(read)
    mapping.graph_to_people(read)
    for field, name in zip(type(read).__struct_fields__, type(read).__struct_encode_fields__, strict=True):
        if name not in members:
            assert getattr(read, field) == getattr(whole, field)


@pytest.mark.parametrize("odd", [None, 5, [], "A\ud83d"], ids=ascii)
def test_no_mail_without_an_id(odd: object) -> None:
    """Without a readable id an answer is a surprise, because nothing could be done with it."""
    with pytest.raises(UpstreamSurprise):
        message(id=odd)


@pytest.mark.parametrize("odd", [None, {"id": None}, 5, {}], ids=str)
async def test_a_page_with_a_mail_without_an_id_is_refused(
    wire: Wire, mail: GraphMail, ann: Tokens, odd: object
) -> None:
    """No mail of a list is passed over without a word: the page is a surprise, and smaller ones are asked for."""
    wire.then(200, raw({"value": [{"id": "AA=", "internetMessageId": 5}, odd]}))
    with pytest.raises(UpstreamSurprise):
        await mail.sweep(ann, Ask(NOW))


@pytest.mark.parametrize("link", [5, [], "https://graph.example/\ud83d"], ids=ascii)
async def test_a_page_whose_link_cannot_be_read_is_no_page(
    wire: Wire, mail: GraphMail, ann: Tokens, link: object
) -> None:
    """A next link is never passed over: the list would end early without a word."""
    wire.then(200, raw({"value": [], "@odata.nextLink": link}))
    with pytest.raises(UpstreamSurprise):
        await mail.sweep(ann, Ask(NOW))


def test_a_mail_whose_files_go_on_at_an_unreadable_link_is_a_surprise() -> None:
    """Files are not passed over either."""
    with pytest.raises(UpstreamSurprise):
        decoded(raw(WHOLE | {"attachments": [], "attachments@odata.nextLink": 5}), wire.Message)


async def test_files_with_odd_members_are_listed(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file whose name holds half a character, or whose type is null, is a file of the list."""
    odd = {"id": "f", "@odata.type": "#microsoft.graph.fileAttachment", "contentType": None, "isInline": None}
    wire.then(200, raw({"value": [odd | {"name": "offer\ud83d.pdf", "size": 5}]}))
    (file,) = await mail.files(ann, "AA=")
    assert (file.name, file.size_bytes, file.kind) == ("offer\ufffd.pdf", 5, "file")


def test_a_content_id_that_was_not_asked_for_stays_unset() -> None:
    """A mended answer tells a missing Content-ID from an empty one, as a whole answer does."""
    for members, expected in (({}, UNSET), ({"contentId": None}, None), ({"contentId": "a"}, "a")):
        found = decoded(raw({"id": "f", "size": None, **members}), wire.Attachment)
        assert (found.size, found.content_id) == (0, expected)


def test_the_code_of_an_error_is_read_beside_a_half_character() -> None:
    """A sentence that quotes half a character does not hide the code."""
    body = raw({"error": {"code": "ErrorItemNotFound", "message": "Offer \ud83d"}})
    assert read_error(body) == (("ErrorItemNotFound",), "Offer \ufffd")


def test_a_half_character_in_one_notification_does_not_cost_the_others() -> None:
    """Every item of a POST is judged by itself, whatever the others hold."""
    good = {
        "subscriptionId": "s",
        "clientState": "ours",
        "changeType": "created",
        "resourceData": {"id": "AA="},
    }
    found = read_notifications(
        raw({"value": [good | {"clientState": "\ud83d"}, good, good | {"changeType": 5}]}),
        lambda state: ("key", 1) if state == "ours" else None,
    )
    assert [hint.graph_message_id for hint in found.hints] == ["AA="]
    assert found.dropped == ("client_state", "shape")
