"""Files: inside a message, one by one, and by upload sessions."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import httpx
import pytest

from tests.graphsim.conftest import ANN, CAT, App, Json, Lab, at, draft, file

MB = 1024 * 1024
LARGE = 3 * MB + 100


async def new_draft(app: App, **changes: object) -> str:
    """The path of a fresh draft."""
    return at((await app.ok("POST", "me/messages", draft(**changes)))["id"])


async def test_files_inside_a_draft(app: App) -> None:
    """Files inside a draft come back with type, bytes and a size larger than the content."""
    path = await new_draft(app, attachments=[file("a.pdf", b"hello", contentType="application/pdf")])
    (attachment,) = (await app.ok("GET", f"{path}/attachments"))["value"]
    assert attachment["@odata.type"] == "#microsoft.graph.fileAttachment"
    assert (attachment["name"], attachment["contentType"], attachment["isInline"]) == (
        "a.pdf",
        "application/pdf",
        False,
    )
    assert base64.b64decode(attachment["contentBytes"]) == b"hello"
    assert attachment["size"] > 5
    raw = await app("GET", f"{path}/attachments/{attachment['id']}/$value")
    assert (raw.content, raw.headers["content-type"]) == (b"hello", "application/pdf")


async def test_outlines_of_files(app: App) -> None:
    """Files listed with $select come without content, and properties of some kinds only cannot be selected."""
    path = await new_draft(app, attachments=[file()])
    (attachment,) = (await app.ok("GET", f"{path}/attachments?$select=id,name,size,isInline"))["value"]
    assert {name for name in attachment if "@" not in name} == {"id", "name", "size", "isInline"}
    single = await app.ok("GET", f"{path}/attachments/{attachment['id']}?$select=name")
    assert "contentBytes" not in single
    for name in ("contentBytes", "contentId", "colour"):
        refused = await app.refused("GET", f"{path}/attachments?$select={name}")
        assert refused == (400, "RequestBroker--ParseUri")


CAST = "microsoft.graph.fileAttachment/contentId"


async def test_content_ids_by_a_cast(lab: Lab, app: App) -> None:
    """A cast selects the Content-ID in a list and in an expansion, on files alone; by the knob it is refused."""
    path = await new_draft(app, attachments=[file(isInline=True, contentId="logo")])
    expanded = f"{path}?{urlencode({'$select': 'id', '$expand': f'attachments($select=name,{CAST})'})}"
    (listed,) = (await app.ok("GET", f"{path}/attachments?$select=name,{CAST}"))["value"]
    (inside,) = (await app.ok("GET", expanded))["attachments"]
    for found in (listed, inside):
        assert {name for name in found if "@" not in name} == {"id", "name", "contentId"}
        assert found["contentId"] == "logo"
    await lab.control("PUT", "knobs", {"content_id_cast": "refused"})
    assert await app.refused("GET", f"{path}/attachments?$select={CAST}") == (400, "RequestBroker--ParseUri")
    assert await app.refused("GET", expanded) == (400, "RequestBroker--ParseUri")


async def test_a_select_inside_an_expansion_may_be_refused(lab: Lab, app: App) -> None:
    """By the knob a $select inside $expand=attachments is refused, and the expansion alone is not."""
    path = await new_draft(app, attachments=[file()])
    await lab.control("PUT", "knobs", {"expand_attachments": "refused"})
    refused = await app.refused("GET", f"{path}?{urlencode({'$expand': 'attachments($select=name)'})}")
    assert refused == (400, "RequestBroker--ParseUri")
    assert (await app.ok("GET", f"{path}?{urlencode({'$expand': 'attachments'})}"))["attachments"]


async def test_long_lists_of_files_come_in_pages(lab: Lab, app: App) -> None:
    """A long list of files goes on behind a next link, with the same $select, and so does an expanded one."""
    await lab.control("PUT", "knobs", {"expanded_attachments_page": 2})
    path = await new_draft(app, attachments=[file(f"{number}.txt") for number in range(5)])
    expanded = f"{path}?{urlencode({'$select': 'id', '$expand': 'attachments($select=name)'})}"
    whole = await app.ok("GET", expanded)
    listed = await app.ok("GET", f"{path}/attachments?$select=name")
    ways = (
        (whole["attachments"], whole["attachments@odata.nextLink"]),
        (listed["value"], listed["@odata.nextLink"]),
    )
    for first, link in ways:
        found, following = list(first), str(link)
        while following:
            page = await app.ok("GET", following.partition("/v1.0/")[2])
            found += page["value"]
            following = page.get("@odata.nextLink", "")
        assert [item["name"] for item in found] == [f"{number}.txt" for number in range(5)]
        assert not any("contentBytes" in item for item in found)
    await lab.control("PUT", "knobs", {"expanded_attachments_page": 0})
    assert "attachments@odata.nextLink" not in await app.ok("GET", expanded)


async def test_one_file_more(app: App) -> None:
    """A file is added to a draft and taken from it, under a new change key."""
    path = await new_draft(app)
    before = await app.ok("GET", path)
    added = await app("POST", f"{path}/attachments", file(isInline=True, contentId="logo"))
    assert added.status_code == 201
    assert (added.json()["isInline"], added.json()["contentId"]) == (True, "logo")
    with_inline = await app.ok("GET", path)
    assert with_inline["changeKey"] != before["changeKey"]
    assert with_inline["hasAttachments"] is False  # all of them are inline
    await app.ok("POST", f"{path}/attachments", file())
    assert (await app.ok("GET", path))["hasAttachments"] is True
    assert (await app("DELETE", f"{path}/attachments/{added.json()['id']}")).status_code == 204
    gone = await app.refused("GET", f"{path}/attachments/{added.json()['id']}")
    assert gone == (404, "ErrorItemNotFound")
    assert await app.refused("GET", f"{path}/attachments/nonsense") == (400, "ErrorInvalidIdMalformed")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "a", "contentBytes": "eA=="}, (400, "RequestBodyRead")),
        (file(colour="red"), (400, "RequestBodyRead")),
        (file(contentBytes="?"), (400, "RequestBodyRead")),
        (file(name=""), (400, "ErrorInvalidArgument")),
        (file(size=5), (400, "ErrorInvalidPropertySet")),
        (file(content=b"x" * (3 * MB + 1)), (413, "RequestEntityTooLarge")),
        ({"@odata.type": "#microsoft.graph.itemAttachment", "name": "a"}, (501, "SimulatorNotImplemented")),
    ],
    ids=["no type", "unknown", "no base64", "no name", "size", "too large", "item"],
)
async def test_wrong_files(app: App, body: dict[str, object], expected: tuple[int, str]) -> None:
    """A file without type or name, with unknown properties, or too large for a request is refused."""
    path = await new_draft(app)
    assert await app.refused("POST", f"{path}/attachments", body) == expected
    assert (await app.ok("GET", f"{path}/attachments"))["value"] == []


async def test_just_below_three_megabytes(app: App) -> None:
    """The largest file that fits a request is taken."""
    path = await new_draft(app)
    assert await app.ok("POST", f"{path}/attachments", file(content=b"x" * (3 * MB - 300)))


async def test_kinds_of_received_files(lab: Lab, app: App) -> None:
    """A nested item gives text, a cloud link has no content, and neither has contentBytes."""
    files = [{"name": name, "kind": name, "content_base64": "eA=="} for name in ("item", "reference")]
    mail = await lab.arrives(attachments=files)
    listed = (await app.ok("GET", f"{at(mail['id'])}/attachments"))["value"]
    assert [attachment["@odata.type"].rpartition(".")[2] for attachment in listed] == [
        "itemAttachment",
        "referenceAttachment",
    ]
    assert not any("contentBytes" in attachment for attachment in listed)
    item, link = (f"{at(mail['id'])}/attachments/{attachment['id']}/$value" for attachment in listed)
    assert (await app("GET", item)).headers["content-type"].startswith("text/plain")
    assert (await app.refused("GET", link))[0] == 405


async def test_files_that_a_person_attaches(lab: Lab, app: App) -> None:
    """A file that the mailbox's user sends from Outlook can be read from the sent copy by its id."""
    mail = {"to": [CAT], "subject": "x", "attachments": [{"name": "a.txt", "content_base64": "aGVsbG8="}]}
    await lab.control("POST", f"mailboxes/{ANN}/compose", mail)
    await lab.pass_time()
    (copy,) = await lab.mailbox()
    (attachment,) = (await app.ok("GET", f"{at(copy['id'])}/attachments"))["value"]
    assert (await app("GET", f"{at(copy['id'])}/attachments/{attachment['id']}/$value")).content == b"hello"


async def session(app: App, path: str, size: int = LARGE, **changes: object) -> str:
    item = {"attachmentType": "file", "name": "big.bin", "size": size, **changes}
    made = await app("POST", f"{path}/attachments/createUploadSession", {"AttachmentItem": item})
    assert (made.status_code, made.json()["nextExpectedRanges"]) == (201, ["0-"])
    return str(made.json()["uploadUrl"])


async def put(
    lab: Lab, url: str, start: int, content: bytes, size: int = LARGE, **headers: str
) -> httpx.Response:
    place = f"bytes {start}-{start + len(content) - 1}/{size}"
    return await lab.http.put(url, content=content, headers={"Content-Range": place, **headers})


async def test_an_upload(lab: Lab, app: App) -> None:
    """A file is uploaded in pieces, in order and without a token, and is there after the last one."""
    path = await new_draft(app)
    url = await session(app, path, contentType="image/png", isInline=True, contentId="logo")
    first = await put(lab, url, 0, b"a" * 2 * MB)
    assert (first.status_code, first.json()["NextExpectedRanges"]) == (200, [str(2 * MB)])
    assert (await lab.http.get(url)).json()["NextExpectedRanges"] == [str(2 * MB)]
    last = await put(lab, url, 2 * MB, b"b" * (LARGE - 2 * MB))
    assert (last.status_code, last.content) == (201, b"")
    assert "/Attachments('" in last.headers["location"]
    (attachment,) = (await app.ok("GET", f"{path}/attachments?$select=id,name,contentType,isInline"))["value"]
    assert (attachment["name"], attachment["contentType"], attachment["isInline"]) == (
        "big.bin",
        "image/png",
        True,
    )
    content = (await app("GET", f"{path}/attachments/{attachment['id']}/$value")).content
    assert content == b"a" * 2 * MB + b"b" * (LARGE - 2 * MB)
    assert (await put(lab, url, 0, b"x")).status_code == 404


async def test_wrong_pieces(lab: Lab, app: App) -> None:
    """A piece out of order, of another size, too large, or with a token is refused, and the upload can go on."""
    url = await session(app, await new_draft(app), size=5 * MB)
    assert (await put(lab, url, 10, b"x", 5 * MB)).status_code == 416
    assert (await put(lab, url, 0, b"x", 6 * MB)).status_code == 400
    assert (await put(lab, url, 0, b"x" * 4 * MB, 5 * MB)).status_code == 413
    assert (await lab.http.put(url, content=b"x")).status_code == 400
    place = {"Content-Range": f"bytes 0-0/{5 * MB}"}
    assert (await lab.http.put(url, content=b"xy", headers=place)).status_code == 400
    assert (await put(lab, url, 0, b"x", 5 * MB, Authorization=f"Bearer {app.token}")).status_code == 401
    assert (await put(lab, url, 0, b"x" * (4 * MB - 1), 5 * MB)).status_code == 200


async def test_an_upload_given_up(lab: Lab, app: App) -> None:
    """An upload session that is deleted, or an hour old, ends and leaves nothing on the draft."""
    path = await new_draft(app)
    url = await session(app, path)
    assert (await lab.http.delete(url)).status_code == 204
    assert (await put(lab, url, 0, b"x")).status_code == 404
    url = await session(app, path)
    lab.clock.advance(3600)
    assert (await put(lab, url, 0, b"x")).status_code == 404
    assert (await app.ok("GET", f"{path}/attachments"))["value"] == []


async def test_an_upload_to_a_draft_that_is_gone(lab: Lab, app: App) -> None:
    """An upload session ends when its draft is sent."""
    path = await new_draft(app)
    url = await session(app, path)
    await app("POST", f"{path}/send")
    assert (await put(lab, url, 0, b"x" * MB)).status_code == 404


async def test_uploads_count(lab: Lab, app: App) -> None:
    """Uploaded pieces count towards what a mailbox may take in five minutes."""
    url = await session(app, await new_draft(app), size=10 * MB)
    uploads = lab.simulator.world.throttle.uploads
    uploads[next(iter(uploads))].append((lab.clock.now(), 149 * MB))
    answer = await put(lab, url, 0, b"x" * 2 * MB, 10 * MB)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "ApplicationThrottled")
    assert answer.headers["retry-after"]
    lab.clock.advance(301)
    assert (await put(lab, url, 0, b"x" * 2 * MB, 10 * MB)).status_code == 200


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"size": 3 * MB - 1}, (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")),
        ({"size": 151 * MB}, (413, "ErrorAttachmentSizeLimitExceeded")),
        ({"attachmentType": "item"}, (400, "ErrorInvalidRequest")),
        ({"name": None}, (400, "ErrorInvalidRequest")),
        ({"colour": "red"}, (400, "RequestBodyRead")),
    ],
)
async def test_wrong_sessions(app: App, item: dict[str, object], expected: tuple[int, str]) -> None:
    """An upload session is made only for named files of 3 to 150 MB."""
    body = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": LARGE, **item}}
    path = f"{await new_draft(app)}/attachments/createUploadSession"
    assert await app.refused("POST", path, body) == expected
    assert await app.refused("POST", path, {}) == (400, "ErrorInvalidRequest")


async def test_only_drafts_take_uploads(lab: Lab, app: App) -> None:
    """A received message gets no upload session."""
    mail = await lab.arrives()
    body = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": LARGE}}
    refused = await app.refused("POST", f"{at(mail['id'])}/attachments/createUploadSession", body)
    assert refused == (400, "ErrorInvalidPropertySet")


async def test_uploads_can_fail(lab: Lab, app: App) -> None:
    """A planned fault strikes an upload's piece too: instead of the work, or cutting the answer after it."""
    url = await session(app, await new_draft(app))
    await lab.control("POST", "faults", {"operation": "upload.put", "kind": "status", "status": 503})
    assert (await put(lab, url, 0, b"x" * MB)).status_code == 503
    await lab.control("POST", "faults", {"operation": "upload.put", "kind": "drop_after"})
    with pytest.raises(httpx.RemoteProtocolError):
        await put(lab, url, 0, b"x" * MB)
    assert (await lab.http.get(url)).json()["NextExpectedRanges"] == [str(MB)]
    await lab.control("POST", "faults", {"operation": "upload.put", "kind": "drop_before"})
    with pytest.raises(httpx.RemoteProtocolError):
        await put(lab, url, MB, b"x" * MB)
    assert (await lab.http.get(url)).json()["NextExpectedRanges"] == [str(MB)]


PARTS = [
    {"name": "logo.gif", "content_type": "image/gif", "content_id": "<Logo@x>", "inline": True,
     "content_base64": "eA=="},
    {"name": "offer.pdf", "content_type": "application/pdf", "content_base64": "eA=="},
    {"content_type": "text/html", "content_base64": "eA=="},
    {"content_type": "text/calendar; method=REQUEST", "content_base64": "eA=="},
]  # fmt: skip
SHOWING = '<p>Yes</p><img src="cid:logo@x">'


async def test_inline_is_what_exchange_thinks(lab: Lab, app: App) -> None:
    """By the knob isInline says the contrary of what the text shows, or the truth; hasAttachments follows it."""
    mail = await lab.arrives(attachments=PARTS[:2], html=SHOWING)
    assert [file["isInline"] for file in await files_of(app, mail)] == [False, True]
    only_files = await lab.arrives(attachments=PARTS[1:2], html=SHOWING)
    assert (await app.ok("GET", at(only_files["id"])))["hasAttachments"] is False
    await lab.control("PUT", "knobs", {"inline_flag": "right"})
    mail = await lab.arrives(attachments=PARTS[:2], html=SHOWING)
    assert [file["isInline"] for file in await files_of(app, mail)] == [True, False]


async def test_names_are_what_exchange_makes_of_them(lab: Lab, app: App) -> None:
    """By the knob nameless parts are numbered and a shown picture loses its name, or names stay as they were."""
    mail = await lab.arrives(attachments=PARTS, html=SHOWING)
    names = [file["name"] for file in await files_of(app, mail)]
    assert names == [None, "offer.pdf", "ATT00001.htm", "ATT00002.ics"]
    await lab.control("PUT", "knobs", {"renamed_attachments": "kept"})
    mail = await lab.arrives(attachments=PARTS, html=SHOWING)
    assert [file["name"] for file in await files_of(app, mail)] == ["logo.gif", "offer.pdf", None, None]


async def files_of(app: App, mail: Json) -> list[Json]:
    """The files of a mail as Graph lists them."""
    listed: list[Json] = (await app.ok("GET", f"{at(mail['id'])}/attachments"))["value"]
    return listed


async def test_an_upload_host_that_fails(lab: Lab, app: App) -> None:
    """With the knob a session is made as ever, and no piece of a file is ever taken."""
    await lab.knobs(upload_host="failing")
    path = await new_draft(app)
    url = await session(app, path)
    seen = set()
    for _ in range(30):
        try:
            seen.add((await put(lab, url, 0, b"a" * MB)).status_code)
        except httpx.RemoteProtocolError:
            seen.add(0)
    assert seen == {401, 403, 500, 503, 0}
    assert (await app.ok("GET", f"{path}/attachments"))["value"] == []
