"""What goes out for each call of the port, and what comes of the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs

import httpx
import pytest

from shared.domain import errors
from shared.domain.listing import Ask
from shared.domain.model import Address, DraftContent, OutgoingFile, RemoteFile, Whereabouts
from shared.graph.provider import GraphMail
from shared.graph.wire import CRM_KEY, IN_REPLY_TO, MESSAGE_CLASS, REFERENCES, SELECT_OUTLINE
from tests.builders import KEY, NOW
from tests.unit.graph.conftest import BASE, Tokens, Wire

ID = "AAkALgAAA-_b=="
CONTENT = DraftContent(KEY, (Address("bea@x"),), (), (), "Offer", "<p>Hi</p>")
TAGS = {
    f"singleValueExtendedProperties($filter=id eq '{IN_REPLY_TO}' or id eq '{REFERENCES}' or id eq '{CRM_KEY}')"
}
FORBIDDEN = {
    "body",
    "uniqueBody",
    "bodyPreview",
    "subject",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "internetMessageHeaders",
}
FILE = RemoteFile("f", "notes.txt", "Text/Plain; charset=utf-8", 9, inline=False, kind="file")
MESSAGE = {"id": ID, "isDraft": True, "parentFolderId": "drafts-id"}


def query(request: httpx.Request) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(request.url.query.decode(), strict_parsing=True).items()
    }


def select(request: httpx.Request) -> set[str]:
    return set(query(request)["$select"].split(","))


@pytest.mark.parametrize("content", [b"<html>", b"", b"null", b'{"id": null}'])
async def test_a_200_of_a_gateway_is_no_yes(wire: Wire, mail: GraphMail, ann: Tokens, content: bytes) -> None:
    """A mail has left, a draft is gone and a reply has its words only where Graph itself says so."""
    wire.then(200, content)
    for call in (
        mail.send(ann, ID),
        mail.delete_draft(ann, ID),
        mail.unsubscribe(ann, "sub"),
        mail.fill_reply(ann, ID, CONTENT, "<p>Hi</p>"),
        mail.create_draft(ann, CONTENT),
        mail.create_reply(ann, ID, CONTENT),
    ):
        with pytest.raises(errors.NotItsAnswer):
            await call


async def test_every_call_asks_for_immutable_ids(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Every call to Graph asks for immutable ids."""
    body = {**MESSAGE, "value": [], "expirationDateTime": "2026-03-09T09:00:00Z", "mail": "ann@x"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/send"):
            return httpx.Response(202)
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=body)

    wire.answers = [answer]
    await mail.profile(ann)
    await mail.outline(ann, ID)
    await mail.files(ann, ID)
    await mail.file_content(ann, ID, replace(FILE, name="", content_type=None), 10_000)
    await mail.sweep(ann, Ask(NOW))
    await mail.listed_id(ann, Ask(NOW))
    await mail.conversation(ann, "c")
    await mail.create_draft(ann, CONTENT)
    await mail.create_reply(ann, ID, CONTENT)
    await mail.fill_reply(ann, ID, CONTENT, "<p>Hi</p>")
    await mail.send(ann, ID)
    await mail.locate(ann, ID)
    await mail.find_by_key(ann, KEY)
    await mail.find_by_message_id(ann, "<a@x>")
    await mail.delete_draft(ann, ID)
    await subscribed(mail, ann)
    await mail.renew(ann, "sub", NOW)
    await mail.unsubscribe(ann, "sub")
    await mail.subscriptions(ann)
    assert {request.headers["prefer"] for request in wire.requests} == {'IdType="ImmutableId"'}
    assert {str(request.url).startswith(f"{BASE}/") for request in wire.requests} == {True}
    assert len(wire.requests) == 20


async def subscribed(mail: GraphMail, ann: Tokens, *, filtered: bool = True) -> object:
    return await mail.subscribe(
        ann, notification_url="https://app.example/n", lifecycle_url="https://app.example/l", client_state="v1.x",
        expires_at=NOW, filtered=filtered,
    )  # fmt: skip


async def test_an_outline_asks_for_ids_and_tags_alone(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """An outline asks for ids and tags alone and for no word of the mail (R4)."""
    wire.then(200, MESSAGE)
    await mail.outline(ann, ID)
    assert wire.last.url.raw_path.startswith(b"/v1.0/me/messages/AAkALgAAA-_b%3D%3D?")
    assert query(wire.last) == {"$select": ",".join(SELECT_OUTLINE), "$expand": next(iter(TAGS))}
    assert not select(wire.last) & FORBIDDEN


async def test_people_are_asked_for_alone(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """The look at who is on a mail asks for its class besides, and for no subject, body, headers or other tags."""
    wire.then(200, MESSAGE)
    await mail.people(ann, ID)
    assert select(wire.last) == {"id", "from", "toRecipients", "ccRecipients"}
    assert query(wire.last)["$expand"] == f"singleValueExtendedProperties($filter=id eq '{MESSAGE_CLASS}')"


async def test_a_mail_is_fetched_without_what_is_not_used(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Fetching a mail asks for body, people, headers, tags, class and a list of files, no second body and no bytes."""
    wire.then(200, {**MESSAGE, "attachments": []})
    await mail.fetch(ann, ID)
    assert select(wire.last) == {*SELECT_OUTLINE, *FORBIDDEN - {"uniqueBody", "bodyPreview", "sender"}, "bccRecipients",
                                 "replyTo", "sentDateTime", "hasAttachments", "parentFolderId"}  # fmt: skip
    files = "attachments($select=id,name,contentType,size,isInline,microsoft.graph.fileAttachment/contentId)"
    tags = f"{next(iter(TAGS))[:-1]} or id eq '{MESSAGE_CLASS}')"
    assert query(wire.last)["$expand"] == f"{tags},{files}"
    assert len(wire.requests) == 1


async def test_a_sweep_lists_outlines_by_modification(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A sweep lists outlines by modification time, page by page, without a word of any mail."""
    link = f"{BASE}/me/messages?$skiptoken=x"
    wire.then(200, {"value": [MESSAGE], "@odata.nextLink": link}).then(200, {"value": []})
    page = await mail.sweep(ann, Ask(NOW))
    assert wire.last.url.path == "/v1.0/me/messages"
    asked = query(wire.last)
    assert asked.pop("$expand") in TAGS
    assert asked == {
        "$filter": "lastModifiedDateTime ge 2026-03-02T09:30:00Z", "$orderby": "lastModifiedDateTime asc", "$top": "50",
        "$select": ",".join(SELECT_OUTLINE),
    }  # fmt: skip
    assert (page.outlines[0].graph_message_id, page.next_link) == (ID, link)
    assert (await mail.sweep(ann, Ask(NOW, link=link))).next_link is None
    assert str(wire.last.url) == link


async def test_an_empty_page_may_go_on(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """An empty page of a sweep with a next link is not its end."""
    wire.then(200, {"value": [], "@odata.nextLink": f"{BASE}/me/messages?$skip=50"})
    assert (await mail.sweep(ann, Ask(NOW))).next_link == f"{BASE}/me/messages?$skip=50"


async def test_a_send_says_that_it_has_no_body(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A send is a POST with Content-Length 0."""
    wire.then(202, b"")
    await mail.send(ann, ID)
    assert wire.calls() == [f"POST /me/messages/{ID}/send"]
    assert wire.last.headers["content-length"] == "0"
    assert wire.last.content == b""


async def test_a_draft_with_small_files_is_one_call(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A draft with small files is made by one request."""
    wire.then(201, MESSAGE)
    files = (
        OutgoingFile("a.pdf", "application/pdf", b"x" * 1_000_000),
        OutgoingFile("b.pdf", "application/pdf", b"y" * 1_000_000),
    )
    await mail.create_draft(ann, replace(CONTENT, files=files))
    assert wire.calls() == ["POST /me/messages"]
    assert [file["name"] for file in wire.sent()["attachments"]] == ["a.pdf", "b.pdf"]
    assert len(wire.last.content) < 4_000_000


async def test_a_draft_with_large_files_is_made_without_them(
    wire: Wire, mail: GraphMail, ann: Tokens
) -> None:
    """A draft whose files no request holds is made without them, and says that it lacks them."""
    wire.then(201, MESSAGE)
    files = (
        OutgoingFile("a.pdf", "application/pdf", b"x" * 2_000_000),
        OutgoingFile("b.pdf", "application/pdf", b"y" * 2_000_000),
    )
    assert (await mail.create_draft(ann, replace(CONTENT, files=files))).lacks_files
    assert wire.calls() == ["POST /me/messages"]
    assert "attachments" not in wire.sent(0)


@pytest.mark.parametrize("status", [200, 201])
async def test_a_reply_is_created_without_text(wire: Wire, mail: GraphMail, ann: Tokens, status: int) -> None:
    """CreateReply gets recipients and key inside `message`, and the quoted text comes back."""
    wire.then(status, {**MESSAGE, "body": {"contentType": "html", "content": "<html>quoted</html>"}})
    draft = await mail.create_reply(ann, "parent", CONTENT)
    assert wire.calls() == ["POST /me/messages/parent/createReply"]
    assert set(wire.sent()) == {"message"}
    assert set(wire.sent()["message"]) == {
        "toRecipients",
        "ccRecipients",
        "bccRecipients",
        "singleValueExtendedProperties",
    }
    assert draft.html == "<html>quoted</html>"


async def test_a_reply_is_filled_in_one_patch(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A reply is filled by one PATCH with its body and every kind of recipient."""
    wire.then(200, MESSAGE)
    await mail.fill_reply(ann, ID, CONTENT, "<p>Hi</p>quoted")
    assert wire.calls() == [f"PATCH /me/messages/{ID}"]
    assert wire.sent() == {
        "toRecipients": [{"emailAddress": {"address": "bea@x"}}], "ccRecipients": [], "bccRecipients": [],
        "body": {"contentType": "html", "content": "<p>Hi</p>quoted"},
    }  # fmt: skip


async def test_files_are_read_to_their_bound(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file's raw bytes are read up to the limit, and one byte more is TooLarge."""
    wire.then(200, b"12345")
    assert await mail.file_content(ann, ID, replace(FILE, remote_id="f="), 5) == b"12345"
    assert wire.calls() == [f"GET /me/messages/{ID}/attachments/f=/$value"]
    with pytest.raises(errors.TooLarge):
        await mail.file_content(ann, ID, FILE, 4)


@pytest.mark.parametrize(
    ("declared", "came", "is_file"),
    [
        ("text/plain", "text/html; charset=utf-8", False),
        ("text/plain", "application/json", False),
        ("text/plain", "TEXT/PLAIN", True),
        ("text/html; charset=x", "text/html", True),
        ("image/jpg", "image/jpeg", True),
        ("text/plain", "", True),
        (None, "text/html", False),
        ("", "application/json", False),
    ],
)
async def test_a_gateways_page_is_no_file(
    wire: Wire, mail: GraphMail, ann: Tokens, declared: str | None, came: str, *, is_file: bool
) -> None:
    """A page that comes with another type than the file's own is not told as what somebody has sent.

    Where no type is known of a file, its name says it.
    """
    wire.then(200, b"<html>", content_type=came)
    reading = mail.file_content(ann, ID, replace(FILE, content_type=declared), 100)
    if is_file:
        assert await reading == b"<html>"
        return
    with pytest.raises(errors.NotItsAnswer):
        await reading


async def test_an_endless_answer_is_a_surprise(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """JSON of more than 32 MB is an UpstreamSurprise."""
    wire.then(200, b'{"id":"' + b"x" * (33 * 1024 * 1024) + b'"}')
    with pytest.raises(errors.UpstreamSurprise):
        await mail.outline(ann, ID)


def listed(**members: object) -> dict[str, object]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "id": "f",
        "name": "a.png",
        "size": 9,
        "isInline": True,
        **members,
    }


async def test_content_ids_come_with_the_list(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where Graph takes the cast, one call lists the files with their Content-IDs."""
    wire.then(200, {"value": [listed(contentId="logo"), listed(isInline=False)]})
    found = await mail.files(ann, ID)
    assert [file.content_id for file in found] == ["logo", None]
    assert len(wire.requests) == 1
    assert select(wire.last) == {
        "id",
        "name",
        "contentType",
        "size",
        "isInline",
        "microsoft.graph.fileAttachment/contentId",
    }


async def test_a_refused_cast_is_not_tried_again(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where Graph refuses the cast, inline files are looked at singly, and the cast is not tried again."""
    wire.then(400, {"error": {"code": "RequestBroker--ParseUri"}})
    wire.then(200, {"value": [listed()]}).then(200, listed(contentId="logo", contentBytes="AAAA"))
    wire.then(200, {"value": []})
    assert [file.content_id for file in await mail.files(ann, ID)] == ["logo"]
    await mail.files(ann, ID)
    list_path = f"GET /me/messages/{ID}/attachments"
    assert wire.calls() == [list_path, list_path, f"{list_path}/f", list_path]
    assert select(wire.last) == {"id", "name", "contentType", "size", "isInline"}


async def test_large_pictures_are_not_read_for_a_name(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A huge inline file is listed without its Content-ID instead of being read for it."""
    wire.then(200, {"value": [listed(size=50_000_000)]})
    assert (await mail.files(ann, ID))[0].content_id is None
    assert len(wire.requests) == 1


async def test_lists_of_files_go_on(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Every page of a list of files is read, and a list that goes in circles is an UpstreamSurprise."""
    link = f"{BASE}/me/messages/{ID}/attachments?$skip=10"
    wire.then(200, {"value": [listed(isInline=False)], "@odata.nextLink": link}).then(
        200, {"value": [listed(isInline=False)]}
    )
    assert len(await mail.files(ann, ID)) == 2
    wire.answers.clear()
    wire.then(200, {"value": [], "@odata.nextLink": link})
    with pytest.raises(errors.UpstreamSurprise):
        await mail.files(ann, ID)


FOLDERS = {"drafts": "drafts-id", "deleteditems": "deleted-id", "outbox": "outbox-id"}


def mailbox(wire: Wire, *, is_draft: bool, folder: str | None) -> None:
    """Answers for one message in a folder and for the folders' ids."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "/mailFolders/" in request.url.path:
            return httpx.Response(200, json={"id": FOLDERS[request.url.path.rpartition("/")[2]]})
        return httpx.Response(200, json={"id": ID, "isDraft": is_draft, "parentFolderId": folder})

    wire.answers.append(answer)


@pytest.mark.parametrize(
    ("is_draft", "folder", "whereabouts"),
    [
        (True, "drafts-id", Whereabouts.DRAFT), (True, "archive-id", Whereabouts.DRAFT),
        (True, None, Whereabouts.DRAFT),
        (True, "deleted-id", Whereabouts.DELETED_DRAFT), (False, "outbox-id", Whereabouts.OUTBOX),
        (False, "sent-id", Whereabouts.SENT),
        (False, "deleted-id", Whereabouts.SENT), (False, None, Whereabouts.SENT),
    ],
)  # fmt: skip
async def test_whereabouts(
    wire: Wire, mail: GraphMail, ann: Tokens, *, is_draft: bool, folder: str | None, whereabouts: Whereabouts
) -> None:
    """Where a message stands is told by its draft flag and folder; sent mail that was deleted counts as sent."""
    mailbox(wire, is_draft=is_draft, folder=folder)
    assert (await mail.locate(ann, ID)).whereabouts is whereabouts


@pytest.mark.parametrize("draft", [{}, {"isDraft": None}, {"isDraft": "no"}])
async def test_what_may_be_a_draft_is_not_taken_for_sent(
    wire: Wire, mail: GraphMail, ann: Tokens, draft: dict[str, object]
) -> None:
    """A message of which Graph does not say whether it is a draft proves neither that it was sent nor that not."""
    wire.then(200, {"id": ID, **draft})
    with pytest.raises(errors.UpstreamSurprise):
        await mail.locate(ann, ID)


async def test_folders_are_asked_for_once(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A mailbox's folder id is asked for once and then remembered."""
    mailbox(wire, is_draft=True, folder="drafts-id")
    for _ in range(3):
        await mail.locate(ann, ID)
    await mail.locate(Tokens("mbx_bob"), ID)
    assert sum("/mailFolders/" in request.url.path for request in wire.requests) == 2


async def test_a_mailbox_without_an_outbox_has_nothing_in_it(
    wire: Wire, mail: GraphMail, ann: Tokens
) -> None:
    """A message is not taken to lie in a well-known folder that does not exist."""
    wire.then(200, {"id": ID, "isDraft": False}).then(404, {"error": {"code": "ErrorItemNotFound"}})
    assert (await mail.locate(ann, ID)).whereabouts is Whereabouts.SENT


async def test_a_draft_is_not_located_without_deleted_items(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A draft that may lie among the deleted items is not said to lie in Drafts, from where it would be sent."""
    wire.then(200, {"id": ID, "isDraft": True, "parentFolderId": "x"})
    wire.then(404, {"error": {"code": "ErrorItemNotFound"}})
    with pytest.raises(errors.UpstreamSurprise):
        await mail.locate(ann, ID)


async def test_the_key_finds_every_copy(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Messages with our key are found over all pages by the documented filter, and only those that really have it."""
    link = f"{BASE}/me/messages?$skip=10"
    key = {"singleValueExtendedProperties": [{"id": CRM_KEY, "value": KEY}]}
    other = {"singleValueExtendedProperties": [{"id": CRM_KEY, "value": f"{KEY}0"}]}
    sent = {"id": "sent", "isDraft": False, "parentFolderId": "x"}
    strangers = [sent | {"id": "foreign"}, sent | other | {"id": "another"}]
    wire.then(200, {"value": [sent | key, *strangers], "@odata.nextLink": link}).then(
        200, {"value": [sent | key | {"id": "copy"}]}
    ).then(200, {"id": "outbox-id"})
    found = await mail.find_by_key(ann, KEY)
    assert [copy.outline.graph_message_id for copy in found] == ["sent", "copy"]
    expected = f"singleValueExtendedProperties/Any(ep: ep/id eq '{CRM_KEY}' and ep/value eq '{KEY}')"
    assert query(wire.requests[0])["$filter"] == expected
    assert "$orderby" not in query(wire.requests[0])


async def test_a_message_id_finds_every_copy(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Messages with a Message-ID are found by a filter in which its quotes are doubled (X-4)."""
    copy = {"id": "copy", "isDraft": True, "parentFolderId": "x"}
    wire.then(200, {"value": [copy]}).then(200, {"id": "deleted-items-id"})
    found = await mail.find_by_message_id(ann, "<o'brien@x>")
    assert [(hit.outline.graph_message_id, hit.whereabouts) for hit in found] == [("copy", Whereabouts.DRAFT)]
    assert query(wire.requests[0])["$filter"] == "internetMessageId eq '<o''brien@x>'"
    assert "$orderby" not in query(wire.requests[0])


async def test_a_draft_is_deleted_once(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Deleting a draft is one DELETE, and a draft that is gone already is no error."""
    wire.then(204, {}).then(404, {"error": {"code": "ErrorItemNotFound"}})
    await mail.delete_draft(ann, ID)
    await mail.delete_draft(ann, ID)
    assert wire.calls() == [f"DELETE /me/messages/{ID}"] * 2


@pytest.mark.parametrize(
    ("filtered", "resource"), [(True, "me/messages?$filter=isDraft eq false"), (False, "me/messages")]
)
async def test_a_subscription_is_asked_for(
    wire: Wire, mail: GraphMail, ann: Tokens, *, filtered: bool, resource: str
) -> None:
    """A subscription is asked for with the documented body and a time of seven digits."""
    wire.then(201, {"id": "sub", "expirationDateTime": "2026-03-09T09:00:00.0000000Z"})
    await subscribed(mail, ann, filtered=filtered)
    assert wire.calls() == ["POST /subscriptions"]
    assert wire.sent() == {
        "changeType": "created", "notificationUrl": "https://app.example/n",
        "lifecycleNotificationUrl": "https://app.example/l",
        "resource": resource, "expirationDateTime": "2026-03-02T09:30:00.0000000Z", "clientState": "v1.x",
        "latestSupportedTlsVersion": "v1_2",
    }  # fmt: skip


async def test_granted_counts(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A renewal returns the expiry that Graph granted, not the one asked for."""
    wire.then(
        200,
        {"id": "sub", "expirationDateTime": "2026-03-05T10:00:00.0000000Z", "resource": "Users/u/messages"},
    )
    granted = await mail.renew(ann, "sub", NOW)
    assert wire.calls() == ["PATCH /subscriptions/sub"]
    assert granted.expires_at == datetime.fromisoformat("2026-03-05T10:00:00+00:00")
    assert granted.resource == "Users/u/messages"
