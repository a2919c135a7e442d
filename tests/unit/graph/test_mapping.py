"""Wire to domain and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UpstreamSurprise
from shared.domain.model import Address, DraftContent, OutgoingFile, People, Profile
from shared.graph import mapping, wire
from tests.builders import KEY


def message(**members: object) -> wire.Message:
    return msgspec.json.decode(msgspec.json.encode({"id": "AA=", **members}), type=wire.Message)


def tags(**values: str) -> list[dict[str, str]]:
    names = {"in_reply_to": wire.IN_REPLY_TO, "references": wire.REFERENCES, "key": wire.CRM_KEY}
    return [{"id": names[name], "value": value} for name, value in values.items()]


def person(address: str | None, name: str | None = None) -> dict[str, object]:
    return {"emailAddress": {"address": address, "name": name}}


@pytest.mark.parametrize("named", ["<>", "", " ", "< >"])
def test_a_message_id_of_nothing_is_none(named: str) -> None:
    """A Message-ID that names nothing is none: else all mails that have it would be one."""
    assert mapping.graph_to_outline(message(internetMessageId=named)).internet_message_id is None


def test_an_outline_is_ids_and_tags() -> None:
    """An outline has the ids, tags and UTC times of a message."""
    found = mapping.graph_to_outline(
        message(
            internetMessageId="<m@x>", conversationId="c", isDraft=False, lastModifiedDateTime="2026-03-02T09:30:00Z",
            receivedDateTime="2026-03-02T15:00:00+05:30",
            singleValueExtendedProperties=tags(in_reply_to="<a@x> <b@x>", references="<r@x>\r\n\t<a@x>", key=KEY),
        )
    )  # fmt: skip
    assert found.graph_message_id == "AA="
    assert (found.in_reply_to, found.references, found.key) == ("<a@x>", ("<r@x>", "<a@x>"), KEY)
    assert found.received_at == found.last_modified_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_was_never_set_is_none(at: str) -> None:
    """The first and the last day of a calendar are no times of a mail, so nothing is reckoned from them."""
    found = mapping.graph_to_message(message(sentDateTime=at, receivedDateTime=at, lastModifiedDateTime=at))
    assert (found.sent_at, found.received_at) == (None, None)
    assert (found.outline.received_at, found.outline.last_modified_at) == (None, None)


@pytest.mark.parametrize("change", [str.upper, str.lower, str])
def test_tags_are_known_in_any_case(change: type[str]) -> None:
    """An extended property is known by its id in any case."""
    found = mapping.graph_to_outline(
        message(singleValueExtendedProperties=[{"id": change(wire.CRM_KEY), "value": KEY}])
    )
    assert found.key == KEY


def test_everything_may_be_missing() -> None:
    """A message of a bare id, or with nulls, maps to an outline without tags."""
    names = (
        "internetMessageId",
        "conversationId",
        "isDraft",
        "receivedDateTime",
        "singleValueExtendedProperties",
        "from",
    )
    for found in (message(), message(**dict.fromkeys(names))):
        outline = mapping.graph_to_outline(found)
        assert (outline.in_reply_to, outline.references, outline.key, outline.is_draft) == (
            None,
            (),
            None,
            False,
        )
        assert mapping.graph_to_people(found) == People(None)


def test_people_without_an_address_are_nobody() -> None:
    """People without an address are left out."""
    found = message(
        **{"from": person(None)}, toRecipients=[person(""), person("bea@x", "Bea"), {}], ccRecipients=None
    )
    assert mapping.graph_to_people(found) == People(None, (Address("bea@x", "Bea"),))


@pytest.mark.parametrize(
    ("kind", "html", "text"), [("html", "b", None), ("HTML", "b", None), ("text", None, "b")]
)
def test_bodies(kind: str, html: str | None, text: str | None) -> None:
    """A body is HTML or text by its type, in whatever case."""
    found = mapping.graph_to_message(message(body={"contentType": kind, "content": "b"}))
    assert (found.html, found.text) == (html, text)


def test_a_whole_message() -> None:
    """A whole message keeps repeated headers in order, its type, people and time, and may lack a subject."""
    found = mapping.graph_to_message(
        message(
            **{"@odata.type": "#microsoft.graph.eventMessageRequest", "from": person("cal@x")},
            subject=None, hasAttachments=True, bccRecipients=[person("b@x")], replyTo=[person("r@x")],
            sentDateTime="2026-03-02T09:29:00Z",
            internetMessageHeaders=[{"name": "Received", "value": "1"}, {"name": "received", "value": "2"},
                                    {"name": "X", "value": None}],
        )
    )  # fmt: skip
    assert found.headers == (("Received", "1"), ("received", "2"), ("X", ""))
    assert (found.subject, found.odata_type) == ("", "#microsoft.graph.eventMessageRequest")
    assert (found.sender, found.bcc, found.reply_to) == (
        Address("cal@x"),
        (Address("b@x"),),
        (Address("r@x"),),
    )
    assert found.sent_at == datetime(2026, 3, 2, 9, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("#microsoft.graph.fileAttachment", "file"), ("microsoft.graph.fileattachment", "file"),
        ("#Microsoft.Graph.ItemAttachment", "item"), ("#microsoft.graph.referenceAttachment", "reference"),
        ("#microsoft.graph.holoAttachment", "unknown"), ("", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_kinds_of_files(type_name: str | None, kind: str) -> None:
    """A file's kind is read with or without `#` in any case, and an unheard-of kind is unknown."""
    given = wire.Attachment(id="f", odata_type=type_name, name=None, size=3)
    found = mapping.graph_to_file(given)
    assert (found.kind, found.name, found.inline, found.size_bytes) == (kind, "", False, 3)


def test_profiles() -> None:
    """A profile's address is `mail`, or the sign-in name, which is an alias where it differs."""
    assert mapping.graph_to_profile(wire.User("ann@x", "ann.archer@y", "Ann")) == Profile(
        "ann@x", "Ann", ("ann.archer@y",)
    )
    assert mapping.graph_to_profile(wire.User("ann@x", "ANN@x", None)) == Profile("ann@x", "")
    assert mapping.graph_to_profile(wire.User(None, "ann@x", None)) == Profile("ann@x", "")
    with pytest.raises(UpstreamSurprise):
        mapping.graph_to_profile(wire.User())


def test_a_profile_names_aliases_and_legacy_names() -> None:
    """`proxyAddresses` give mail addresses and X.500 names without their kind; the rest names nobody on a mail."""
    proxies = [
        "X500:/o=Org/cn=Ann",
        "smtp:a.archer@x",
        "SMTP:Ann@X",
        "SIP:ann@x",
        "SPO:SPO_1@SPO_2",
        None,
        "odd",
        "smtp:",
    ]
    user = wire.User("ann@x", "ann@x", "Ann", proxies)
    assert mapping.graph_to_profile(user).aliases == ("/o=Org/cn=Ann", "a.archer@x")


def test_a_subscription_is_as_granted() -> None:
    """A subscription's expiry is read with seven digits, and without one it is an UpstreamSurprise."""
    granted = {
        "id": "s",
        "resource": "me/messages",
        "expirationDateTime": "2026-03-09T09:00:00.0000000Z",
        "clientState": None,
    }
    found = mapping.graph_to_subscription(msgspec.convert(granted, wire.Subscription))
    assert found.expires_at == datetime(2026, 3, 9, 9, tzinfo=UTC)
    with pytest.raises(UpstreamSurprise):
        mapping.graph_to_subscription(wire.Subscription("s"))


CONTENT = DraftContent(KEY, (Address("bea@x", "Bea"),), (), (Address("b@x"),), "Offer", "<p>Hi</p>")
PICTURE = OutgoingFile("a.png", "image/png", b"\x89PNG", inline=True, content_id="logo")
PAPER = OutgoingFile("a.pdf", "application/pdf", b"%PDF-")


def test_a_draft_carries_everything() -> None:
    """A draft carries recipients, key, body, and files in base64 with their Content-ID."""
    body = mapping.draft_to_graph(replace(CONTENT, files=(PAPER, PICTURE)), with_files=True)
    assert body["toRecipients"] == [{"emailAddress": {"address": "bea@x", "name": "Bea"}}]
    assert body["ccRecipients"] == []
    assert body["bccRecipients"] == [{"emailAddress": {"address": "b@x"}}]
    assert body["singleValueExtendedProperties"] == [{"id": wire.CRM_KEY, "value": KEY}]
    assert body["body"] == {"contentType": "html", "content": "<p>Hi</p>"}
    paper, picture = body["attachments"]
    assert paper == {
        "@odata.type": "#microsoft.graph.fileAttachment", "name": "a.pdf", "contentType": "application/pdf",
        "contentBytes": "JVBERi0=",
    }  # fmt: skip
    assert (picture["isInline"], picture["contentId"]) == (True, "logo")
    assert "attachments" not in mapping.draft_to_graph(replace(CONTENT, files=(PAPER,)), with_files=False)


def test_a_reply_sets_no_body() -> None:
    """What createReply is given has recipients and key alone, without body, comment or subject."""
    given = mapping.recipients_and_key_to_graph(CONTENT)
    assert set(given) == {"toRecipients", "ccRecipients", "bccRecipients", "singleValueExtendedProperties"}


def test_upload_items() -> None:
    """An upload session is opened with name, type, real size and an inline file's Content-ID."""
    assert mapping.file_to_upload(PAPER) == {
        "attachmentType": "file",
        "name": "a.pdf",
        "size": 5,
        "contentType": "application/pdf",
    }
    assert mapping.file_to_upload(PICTURE).items() >= {"isInline": True, "contentId": "logo"}.items()


@given(st.datetimes().filter(lambda at: 1_970 <= at.year < 9_998), st.integers(-14 * 60, 14 * 60))
def test_filter_times_are_utc_seconds(at: datetime, minutes: int) -> None:
    """A time in a filter is the same instant in UTC, cut to seconds."""
    aware = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    back = datetime.strptime(mapping.graph_time(aware), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert timedelta(0) <= aware - back < timedelta(seconds=1)


def test_quotes_in_a_filter_are_doubled() -> None:
    """Quotes in a filter's value are doubled, so that it cannot break out."""
    assert mapping.key_filter("a' or 'b").endswith("ep/value eq 'a'' or ''b')")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_message_or_a_surprise(value: object) -> None:
    """Any JSON in a message is mapped or refused by the decoder."""
    try:
        found = msgspec.json.decode(
            msgspec.json.encode({"id": "x", "body": value, "from": value}), type=wire.Message
        )
    except msgspec.ValidationError:
        return
    assert mapping.graph_to_message(found).outline.graph_message_id == "x"
