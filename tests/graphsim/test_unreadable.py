"""Mail that Graph lists and does not give: one item, or by a knob all that arrives."""

from __future__ import annotations

import base64

import pytest

from tests.graphsim.conftest import ANN, App, Json, Lab, at, where

PDF = {
    "name": "a.pdf",
    "content_type": "application/pdf",
    "content_base64": base64.b64encode(b"%PDF-1").decode(),
}


async def files(app: App, mail: Json) -> list[tuple[str, str]]:
    """Kind and name of a mail's files, as they are listed."""
    listed = (await app.ok("GET", f"{at(mail['ordinary_id'])}/attachments?{where(select='id,name')}"))[
        "value"
    ]
    return [(file["@odata.type"].rpartition(".")[2], file["name"]) for file in listed]


async def content(app: App, mail: Json) -> bytes:
    listed = (await app.ok("GET", f"{at(mail['ordinary_id'])}/attachments?{where(select='id')}"))["value"]
    return (await app("GET", f"{at(mail['ordinary_id'])}/attachments/{listed[0]['id']}/$value")).content


async def test_a_body_that_is_never_given(lab: Lab, app: App) -> None:
    """A mail whose body is refused by plan still gives its outline, its people and its list of files."""
    mail = await lab.arrives(attachments=[PDF])
    await lab.control("POST", "unreadable", {"address": ANN, "id": mail["id"], "part": "body"})
    await lab.pass_time(86_400)
    path = at(mail["ordinary_id"])
    app = await lab.app()
    assert await app.refused("GET", path) == (500, "ErrorContentConversionFailed")
    assert await app.refused("GET", f"{path}?{where(select='id,body')}") == (
        500,
        "ErrorContentConversionFailed",
    )
    assert (await app("GET", f"{path}/$value")).status_code == 500
    assert (await app.ok("GET", f"{path}?{where(select='id,from,isDraft')}"))["from"]
    assert await files(app, mail) == [("fileAttachment", "a.pdf")]
    assert await content(app, mail) == b"%PDF-1"


async def test_an_unreadable_item_for_some_minutes(lab: Lab, app: App) -> None:
    """An item that is refused whole, with the status and code of the plan, is given when its minutes are over."""
    mail = await lab.arrives()
    plan = {"part": "item", "minutes": 5, "status": 400, "code": "ErrorItemCorrupt"}
    await lab.control("POST", "unreadable", {"address": ANN, "id": mail["id"], **plan})
    path = f"{at(mail['ordinary_id'])}?{where(select='id')}"
    assert await app.refused("GET", path) == (400, "ErrorItemCorrupt")
    await lab.pass_time(300)
    assert await app.ok("GET", path)


async def test_files_that_are_not_there(lab: Lab, app: App) -> None:
    """Files that are refused by plan are listed and have no bytes, until the plan ends."""
    mail = await lab.arrives(attachments=[PDF])
    plan = {"address": ANN, "id": mail["id"], "part": "files", "status": 404, "code": "ErrorItemNotFound"}
    await lab.control("POST", "unreadable", plan)
    listed = (await app.ok("GET", f"{at(mail['ordinary_id'])}/attachments?{where(select='id')}"))["value"]
    path = f"{at(mail['ordinary_id'])}/attachments/{listed[0]['id']}"
    assert await app.refused("GET", path) == (404, "ErrorItemNotFound")
    assert (await app("GET", f"{path}/$value")).status_code == 404
    assert (await app.ok("GET", at(mail["ordinary_id"])))["body"]
    await lab.control("DELETE", "unreadable", {"address": ANN, "id": mail["id"]})
    assert (await app("GET", f"{path}/$value")).content == b"%PDF-1"


async def test_a_mail_that_is_unreadable_from_its_arrival(lab: Lab, app: App) -> None:
    """An outsider's mail may be planned to be refused from the moment it arrives, for ever or for minutes."""
    mail = await lab.arrives(unreadable={"part": "body", "minutes": 5, "code": "ErrorItemCorrupt"})
    path = f"{at(mail['ordinary_id'])}?{where(select='id,body')}"
    assert await app.refused("GET", path) == (500, "ErrorItemCorrupt")
    await lab.pass_time(300)
    assert (await app.ok("GET", path))["body"]


@pytest.mark.parametrize("wrong", [{"part": "subject"}, {"part": "body", "id": "nobody"}])
async def test_a_plan_for_nothing_is_refused(lab: Lab, wrong: Json) -> None:
    """A part that is none and a message that is not there are refused."""
    mail = await lab.arrives()
    body = {"address": ANN, "id": mail["id"], **wrong}
    answer = await lab.http.post("http://localhost:7444/__control/unreadable", json=body)
    assert answer.status_code == 400


async def test_all_mail_is_unreadable_at_first(lab: Lab, app: App) -> None:
    """By the knob the body of every received mail is refused for so many minutes."""
    await lab.knobs(unreadable_minutes=2)
    mail = await lab.arrives()
    path = f"{at(mail['ordinary_id'])}?{where(select='id,body')}"
    assert await app.refused("GET", path) == (500, "ErrorContentConversionFailed")
    await lab.pass_time(120)
    assert (await app.ok("GET", path))["body"]


SCANS = {
    "placeholder": [("itemAttachment", "Safe Attachments Scan In Progress")],
    "stub": [("fileAttachment", "a.pdf")],
}


@pytest.mark.parametrize("scan", SCANS)
async def test_files_are_scanned_first(lab: Lab, app: App, scan: str) -> None:
    """While files are scanned there is an item in their place, or other bytes; afterwards the files, and a change."""
    await lab.knobs(attachment_scan=scan, attachment_scan_minutes=3)
    mail = await lab.arrives(attachments=[PDF])
    select = where(select="id,lastModifiedDateTime")
    before = await app.ok("GET", f"{at(mail['ordinary_id'])}?{select}")
    assert await files(app, mail) == SCANS[scan]
    if scan == "stub":
        assert not (await content(app, mail)).startswith(b"%PDF")
    await lab.pass_time(180)
    after = await app.ok("GET", f"{at(mail['ordinary_id'])}?{select}")
    assert after["lastModifiedDateTime"] > before["lastModifiedDateTime"]
    assert await files(app, mail) == [("fileAttachment", "a.pdf")]
    assert await content(app, mail) == b"%PDF-1"


async def test_files_are_scanned_of_a_mail_that_moves(lab: Lab, app: App) -> None:
    """A mail that a desktop moves during the scan, under a new immutable id, has its files afterwards as well."""
    await lab.knobs(attachment_scan="stub", attachment_scan_minutes=3, desktop_move_id="changed")
    mail = await lab.arrives(attachments=[PDF])
    await lab.control("POST", f"mailboxes/{ANN}/messages/{mail['id']}/move", {"folder": "archive"})
    await lab.pass_time(180)
    (moved,) = await lab.mailbox()
    assert moved["id"] != mail["id"]
    assert await content(app, moved) == b"%PDF-1"
