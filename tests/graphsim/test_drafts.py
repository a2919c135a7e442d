"""Drafts: made, changed, filed, thrown away."""

from __future__ import annotations

import pytest

from tests.graphsim.conftest import ANN, CAT, HTTPS, IMMUTABLE, MARK, App, Lab, at, draft, to, where


async def test_a_new_draft(lab: Lab, app: App) -> None:
    """A new draft has all its ids, a whole document as body, and addresses in place of empty names."""
    answer = await app("POST", "me/messages", draft(ccRecipients=to("dan@fabrikam.example")))
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(made["id"].replace("=", "%3D"))
    assert (made["isDraft"], made["isRead"], made["subject"]) == (True, True, "Offer")
    assert made["internetMessageId"].startswith("<")
    assert made["conversationId"]
    assert made["receivedDateTime"] == made["sentDateTime"] == made["createdDateTime"]
    assert made["body"]["content"].startswith("<html><head>")
    assert made["toRecipients"] == [{"emailAddress": {"name": CAT, "address": CAT}}]
    assert made["parentFolderId"] == (await app.ok("GET", "me/mailFolders/drafts"))["id"]
    assert (await app.ok("GET", at(made["id"])))["changeKey"] == made["changeKey"]


async def test_the_sender_of_a_draft(lab: Lab, app: App) -> None:
    """A draft has no sender by default, and with the knob the mailbox's own user."""
    assert (await app.ok("POST", "me/messages", draft()))["from"] is None
    await lab.knobs(draft_sender="self")
    made = await app.ok("POST", "me/messages", draft())
    assert made["from"]["emailAddress"] == {"name": "Ann Archer", "address": ANN}


async def test_changing_a_draft(lab: Lab, app: App) -> None:
    """PATCH sets what it names and nothing else, under a new change key and time."""
    made = await app.ok("POST", "me/messages", draft(), **IMMUTABLE)
    lab.clock.advance(60)
    changes = {
        "subject": "Better offer", "body": {"contentType": "text", "content": "Hi"}, "importance": "High",
        "toRecipients": to("dan@fabrikam.example"), "internetMessageId": "<own@northwind.example>",
    }  # fmt: skip
    changed = await app.ok("PATCH", at(made["id"]), changes, **IMMUTABLE)
    assert changed["id"] == made["id"]
    assert (changed["subject"], changed["body"]["content"], changed["importance"]) == (
        "Better offer",
        "Hi",
        "high",
    )
    assert [recipient["emailAddress"]["address"] for recipient in changed["toRecipients"]] == [
        "dan@fabrikam.example"
    ]
    assert changed["internetMessageId"] == "<own@northwind.example>"
    assert changed["changeKey"] != made["changeKey"]
    assert changed["lastModifiedDateTime"] > made["lastModifiedDateTime"]
    assert changed["createdDateTime"] == made["createdDateTime"]


async def test_a_stale_change_key(app: App) -> None:
    """With If-Match a change of an overtaken version is refused."""
    made = await app.ok("POST", "me/messages", draft())
    changed = await app.ok("PATCH", at(made["id"]), {"subject": "1"}, If_Match=made["@odata.etag"])
    stale = await app.refused("PATCH", at(made["id"]), {"subject": "2"}, If_Match=made["@odata.etag"])
    assert stale == (412, "ErrorIrresolvableConflict")
    assert await app.ok("PATCH", at(made["id"]), {"subject": "3"}, If_Match=changed["@odata.etag"])


async def test_the_dates_of_a_flag(app: App) -> None:
    """A flag keeps its dates until it is set anew; a due date without a start date is refused."""
    path = at((await app.ok("POST", "me/messages", draft()))["id"])
    start, due = ({"dateTime": f"2026-03-0{day}T09:00:00", "timeZone": "UTC"} for day in (3, 5))
    flag = {"flagStatus": "flagged", "startDateTime": start, "dueDateTime": due}
    assert (await app.ok("PATCH", path, {"flag": flag}))["flag"] == flag
    refused = await app.refused("PATCH", path, {"flag": {"flagStatus": "flagged", "dueDateTime": due}})
    assert refused == (400, "ErrorInvalidArgument")
    assert (await app.ok("GET", path))["flag"] == flag
    done = {"flagStatus": "complete", "completedDateTime": due}
    assert (await app.ok("PATCH", path, {"flag": done}))["flag"] == done


async def test_what_received_mail_lets_be_changed(lab: Lab, app: App) -> None:
    """Of received mail flags and properties can be changed, but not content, people or ids."""
    mail = await lab.arrives()
    changes = {
        "isRead": True, "categories": ["Red"], "importance": "low", "flag": {"flagStatus": "flagged"},
        "inferenceClassification": "other", "singleValueExtendedProperties": [{"id": MARK, "value": "x"}],
    }  # fmt: skip
    changed = await app.ok("PATCH", at(mail["id"]), changes)
    assert (changed["isRead"], changed["categories"], changed["flag"]["flagStatus"]) == (
        True,
        ["Red"],
        "flagged",
    )
    for name, value in {
        "subject": "Forged",
        "body": {"contentType": "text", "content": "Forged"},
        "toRecipients": to(ANN),
        "internetMessageId": "<forged@northwind.example>",
        "from": to(ANN)[0],
    }.items():
        assert await app.refused("PATCH", at(mail["id"]), {name: value}) == (400, "ErrorInvalidPropertySet")
    assert (await app.ok("GET", at(mail["id"])))["subject"] == mail["subject"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"internetMessageHeaders": [{"name": "Subject", "value": "x"}]}, "InvalidInternetMessageHeader"),
        (
            {"internetMessageHeaders": [{"name": f"x-{n}", "value": "x"} for n in range(6)]},
            "InvalidInternetMessageHeaderCollection",
        ),
        ({"internetMessageId": "no brackets"}, "ErrorInvalidInternetMessageId"),
        ({"singleValueExtendedProperties": [{"id": "nonsense", "value": "x"}]}, "ErrorInvalidExtendedProperty"),
        ({"singleValueExtendedProperties": [{"id": "String 0x1042", "value": "x"}]}, "ErrorInvalidPropertySet"),
        ({"attachments": [{"@odata.type": "#microsoft.graph.fileAttachment"}]}, "ErrorInvalidArgument"),
    ],
)  # fmt: skip
async def test_wrong_drafts(app: App, changes: dict[str, object], code: str) -> None:
    """A draft with foreign or too many headers, an unusable id, or Exchange's own tags is refused."""
    assert await app.refused("POST", "me/messages", draft(**changes)) == (400, code)


@pytest.mark.parametrize("path", ["me/messages", "me/sendMail"])
async def test_mime_is_not_imitated(lab: Lab, app: App, path: str) -> None:
    """A message given as MIME text is answered as not implemented."""
    headers = {"Authorization": f"Bearer {app.token}", "Content-Type": "text/plain"}
    answer = await lab.http.post(f"{HTTPS}/v1.0/{path}", content=b"RnJvbQ==", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "SimulatorNotImplemented")


async def test_wrong_changes(app: App) -> None:
    """PATCH refuses wrong types, headers, files and read-only properties."""
    made = await app.ok("POST", "me/messages", draft())
    for body, code in (
        ({"colour": "red"}, "RequestBodyRead"),
        ({"isRead": "no"}, "RequestBodyRead"),
        ({"attachments": []}, "ErrorInvalidPropertySet"),
        ({"changeKey": "x"}, "ErrorInvalidPropertySet"),
        ({"receivedDateTime": "2026-03-02T00:00:00Z"}, "ErrorInvalidPropertySet"),
    ):
        assert await app.refused("PATCH", at(made["id"]), body) == (400, code)


async def test_a_foreign_sender(app: App) -> None:
    """A draft with another person as sender is refused."""
    refused = await app.refused("POST", "me/messages", draft(**{"from": to("boss@northwind.example")[0]}))
    assert refused == (403, "ErrorSendAsDenied")
    assert await app.ok("POST", "me/messages", draft(**{"from": to(ANN.upper())[0]}))


async def test_own_headers_only_at_creation(lab: Lab, app: App) -> None:
    """Headers that begin with x- go out with the mail and cannot be set after its creation."""
    headers = [{"name": f"X-Own-{number}", "value": "v"} for number in range(5)]
    made = await app.ok("POST", "me/messages", draft(internetMessageHeaders=headers))
    later = await app.refused("PATCH", at(made["id"]), {"internetMessageHeaders": headers})
    assert later == (400, "ErrorInvalidPropertySet")
    await lab.knobs(own_message_headers="x_only")
    shown = await app.ok("GET", f"{at(made['id'])}?{where(select='internetMessageHeaders')}")
    assert shown["internetMessageHeaders"] == headers
    await app("POST", f"{at(made['id'])}/send")
    await lab.pass_time()
    assert (await lab.outside())[0]["headers"]["X-Own-4"] == "v"


async def test_deleting(lab: Lab, app: App) -> None:
    """DELETE moves to Deleted Items, a second one deletes for good, and permanentDelete does so at once."""
    mail = await lab.arrives()
    assert (await app("DELETE", at(mail["id"]))).status_code == 204
    assert [message["folder"] for message in await lab.mailbox()] == ["deleteditems"]
    assert (await app("DELETE", at(mail["id"]))).status_code == 204
    assert await app.refused("GET", at(mail["id"])) == (404, "ErrorItemNotFound")
    other = await lab.arrives()
    assert (await app("POST", f"{at(other['id'])}/permanentDelete")).status_code == 204
    assert await lab.mailbox() == []


async def test_moving_and_copying(lab: Lab, app: App) -> None:
    """A move keeps the immutable id and a copy gets its own, both answered with 201."""
    mail = await lab.arrives()
    moved = await app("POST", f"{at(mail['id'])}/move", {"destinationId": "archive"}, **IMMUTABLE)
    assert (moved.status_code, moved.json()["id"]) == (201, mail["id"])
    copied = await app("POST", f"{at(mail['id'])}/copy", {"DestinationId": "inbox"}, **IMMUTABLE)
    assert copied.status_code == 201
    assert copied.json()["id"] != mail["id"]
    assert copied.json()["internetMessageId"] == mail["internet_message_id"]
    assert sorted(message["folder"] for message in await lab.mailbox()) == ["archive", "inbox"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "ErrorInvalidRequest")),
        ({"DestinationId": "AQMk" + "x" * 30}, (404, "ErrorItemNotFound")),
        ({"Folder": "archive"}, (400, "RequestBodyRead")),
        ({"DestinationId": 7}, (400, "RequestBodyRead")),
    ],
)
async def test_wrong_moves(lab: Lab, app: App, body: dict[str, object], expected: tuple[int, str]) -> None:
    """A move without one existing folder is refused."""
    mail = await lab.arrives()
    assert await app.refused("POST", f"{at(mail['id'])}/move", body) == expected
    assert [message["folder"] for message in await lab.mailbox()] == ["inbox"]


async def test_folders(lab: Lab, app: App) -> None:
    """Folders are found by well-known names in any case, counted, made below the root, and never twice by one name."""
    await lab.arrives()
    inbox = await app.ok("GET", "me/mailFolders/Inbox")
    assert (inbox["displayName"], inbox["totalItemCount"], inbox["unreadItemCount"]) == ("Inbox", 1, 1)
    made = await app.ok("POST", "me/mailFolders", {"displayName": "Projects"})
    assert (await app.ok("GET", f"me/mailFolders/{made['id']}"))["displayName"] == "Projects"
    assert await app.refused("POST", "me/mailFolders", {"displayName": "projects"}) == (
        409,
        "ErrorFolderExists",
    )
    assert await app.refused("POST", "me/mailFolders", {"colour": "red"}) == (400, "RequestBodyRead")
    assert await app.refused("POST", "me/mailFolders", {}) == (400, "ErrorInvalidRequest")
    listed = await app.ok("GET", "me/mailFolders?$top=5")
    rest = await app.ok("GET", listed["@odata.nextLink"].partition("/v1.0/")[2])
    names = {folder["displayName"] for folder in (*listed["value"], *rest["value"])}
    assert len(names) == 9
    assert "Projects" in names
    assert (await app.ok("GET", "me/mailFolders/msgfolderroot/childFolders"))["value"]
    unknown = await app.refused("GET", "me/mailFolders/AQMk" + "x" * 30)
    assert unknown == (404, "ErrorItemNotFound")
    for query in ("$top=0", "$top=x", "$skip=x", "$select=colour"):
        assert (await app.refused("GET", f"me/mailFolders?{query}"))[0] == 400


async def test_a_spent_quota_of_named_properties(lab: Lab, app: App) -> None:
    """With the quota of names spent, a draft or change with a property by name is refused, and a plain one passes."""
    named = [{"id": MARK, "value": "x"}]
    await lab.knobs(named_property_quota="spent")
    made = await app.ok("POST", "me/messages", draft())
    refused = (403, "ErrorQuotaExceeded")
    for member in ("singleValueExtendedProperties", "multiValueExtendedProperties"):
        body = {member: [{"id": MARK, "value": "x" if member.startswith("single") else ["x"]}]}
        assert await app.refused("POST", "me/messages", draft(**body)) == refused
    assert await app.refused("PATCH", at(made["id"]), {"singleValueExtendedProperties": named}) == refused
    reply = {"message": {"singleValueExtendedProperties": named}}
    assert await app.refused("POST", f"{at(made['id'])}/createReply", reply) == refused
    assert len(await lab.mailbox()) == 1
