"""The list of a mail's files, which comes with the mail where Graph lets it."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from shared.domain import errors
from shared.graph import client
from shared.graph.listing_files import MOST_CONTENT_IDS, MOST_FILES
from shared.graph.provider import GraphMail
from tests.unit.graph.conftest import BASE, Tokens, Wire

ID = "AAkALgAAA-_b=="
MAIL, LIST = f"GET /me/messages/{ID}", f"GET /me/messages/{ID}/attachments"
LINK = f"{BASE}/me/messages/{ID}/attachments?$skip=1"
REFUSED = {"error": {"code": "RequestBroker--ParseUri"}}
CAST = "microsoft.graph.fileAttachment/contentId"


def file(**members: object) -> dict[str, object]:
    kind = "#microsoft.graph.fileAttachment"
    return {"@odata.type": kind, "id": "f", "name": "a.png", "size": 9, "isInline": False, **members}


def message(*files: dict[str, object], html: str = "<p>Hi</p>", **members: object) -> dict[str, object]:
    return {"id": ID, "body": {"contentType": "html", "content": html}, "attachments": list(files), **members}


def plain() -> dict[str, object]:
    """A mail as it comes without the expansion."""
    return {"id": ID, "body": {"contentType": "html", "content": "<p>Hi</p>"}, "hasAttachments": False}


def expansions(wire: Wire) -> list[str]:
    """What was expanded beside the tags, by request."""
    asked = [parse_qs(request.url.query.decode()).get("$expand", [""])[0] for request in wire.requests]
    return [expand.partition(")")[2].removeprefix(",") for expand in asked]


async def test_files_come_with_the_mail(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A mail and its files, all of them inline ones too, are one call."""
    wire.then(200, message(file(isInline=True, contentId="logo"), file(contentId=None), hasAttachments=False))
    found = await mail.fetch(ann, ID)
    assert [(listed.inline, listed.content_id) for listed in found.files] == [(True, "logo"), (False, None)]
    assert not found.has_more_files
    assert wire.calls() == [MAIL]


async def test_the_pages_of_an_expansion_are_followed(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """The rest of an expanded list is fetched by its next link, whole."""
    wire.then(200, message(file(), **{"attachments@odata.nextLink": LINK}))
    wire.then(200, {"value": [], "@odata.nextLink": f"{LINK}0"}).then(200, {"value": [file(id="g")]})
    assert [listed.remote_id for listed in (await mail.fetch(ann, ID)).files] == ["f", "g"]
    assert [str(request.url) for request in wire.requests[1:]] == [LINK, f"{LINK}0"]


async def test_a_list_in_circles(
    wire: Wire, mail: GraphMail, ann: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that repeats a link is an UpstreamSurprise (E-26)."""
    wire.then(200, message(file(), **{"attachments@odata.nextLink": LINK}))
    wire.then(200, {"value": [], "@odata.nextLink": LINK})
    with pytest.raises(errors.UpstreamSurprise):
        await mail.fetch(ann, ID)
    assert len(wire.requests) == 2


async def test_a_list_of_thousands_is_not_read_to_its_end(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Of a mail with very many files a part is listed, and it is said that there are more."""
    wire.then(200, message(*[file()] * MOST_FILES, **{"attachments@odata.nextLink": LINK}))
    wire.then(200, {"value": [file()], "@odata.nextLink": f"{LINK}0"})
    found = await mail.fetch(ann, ID)
    assert (len(found.files), found.has_more_files) == (MOST_FILES, True)
    assert len(wire.requests) == 2


async def test_a_refused_cast_is_left_out_for_good(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where Graph refuses the cast, the files still come with the mail, and it is not tried again."""
    wire.then(400, REFUSED).then(200, message(file()))
    for _ in range(2):
        assert len((await mail.fetch(ann, ID)).files) == 1
    assert wire.calls() == [MAIL] * 3
    assert [CAST in expand for expand in expansions(wire)] == [True, False, False]


async def test_without_any_expansion_the_files_are_listed(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where Graph refuses the expansion, the list is a call of its own, whatever hasAttachments says."""
    wire.then(400, REFUSED).then(400, REFUSED).then(200, plain()).then(200, {"value": [file()]})
    assert len((await mail.fetch(ann, ID)).files) == 1
    wire.answers.clear()
    wire.then(200, plain()).then(200, {"value": []})
    assert (await mail.fetch(ann, ID)).files == ()
    assert wire.calls() == [MAIL, MAIL, MAIL, LIST, MAIL, LIST]


async def test_a_mail_that_is_refused_anyway_proves_nothing(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A 400 that stays without the expansion was not because of it: the next mail is asked for with its files."""
    wire.then(400, REFUSED).then(400, REFUSED).then(400, REFUSED).then(200, message(file()))
    with pytest.raises(errors.UpstreamSurprise):
        await mail.fetch(ann, ID)
    assert len((await mail.fetch(ann, ID)).files) == 1
    assert CAST in expansions(wire)[-1]


async def test_an_answer_with_all_bytes_in_it(
    wire: Wire, mail: GraphMail, ann: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answer is too large with its files, that one mail is read without them and they are listed."""
    monkeypatch.setattr(client, "MOST_BYTES", 2_000)
    monkeypatch.setattr(client.GraphClient.call, "__defaults__", (2_000,))
    wire.then(200, message(file(contentBytes="A" * 3_000)))
    wire.then(200, plain()).then(200, {"value": [file()]}).then(200, message(file()))
    for _ in range(2):
        assert len((await mail.fetch(ann, ID)).files) == 1
    assert wire.calls() == [MAIL, MAIL, LIST, MAIL]


PICTURES = '<p><img src="CID:logo"></p>'


async def test_a_content_id_that_is_missing_is_asked_for(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where no list tells Content-IDs, pictures of a text that shows some are looked at singly, inline or not."""
    wire.then(400, REFUSED)
    pdf = file(contentType="application/pdf")
    shown = [file(contentType="image/png"), file(isInline=True), pdf, file(contentType=None)]
    wire.then(200, message(*shown, html=PICTURES)).then(200, file(contentId="logo")).then(200, file())
    found = await mail.fetch(ann, ID)
    assert [listed.content_id for listed in found.files] == ["logo", None, None, None]
    assert wire.calls() == [MAIL, MAIL, *[f"{LIST}/f"] * 3]


async def test_a_content_id_that_is_not_needed_is_not(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file is not read for its Content-ID where the text shows nothing, or where Graph says that it has none."""
    wire.then(200, message(file(isInline=True))).then(
        200, message(file(isInline=True, contentId=None), html=PICTURES)
    )
    await mail.fetch(ann, ID)
    await mail.fetch(ann, ID)
    assert wire.calls() == [MAIL, MAIL]


async def test_hundreds_of_pictures_are_not_looked_at_singly(
    wire: Wire, mail: GraphMail, ann: Tokens
) -> None:
    """The single looks for Content-IDs have an end."""
    many = [file(isInline=True)] * (MOST_CONTENT_IDS + 50)
    wire.then(200, message(*many, html=PICTURES)).then(200, file(contentId="logo"))
    await mail.fetch(ann, ID)
    assert len(wire.requests) == 1 + MOST_CONTENT_IDS
