"""What a person writes in the CRM is what leaves, harmless but not ruined, and what comes in is shown so (R15, H-1)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.domain.model import OutgoingFile
from tests.functions.answers import problem
from tests.functions.app import App, send_body

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
BUTTON = '<a href="https://pay.example/1" style="background:#0a7;color:#fff;padding:12px 24px">Pay now</a>'
REPLY = (
    '<style>p{margin:0}</style><p class="x" id="y">Yes</p><a href="/settings">s</a>'
    '<div class="gmail_quote"><div>On Mon, Ann wrote:</div><blockquote>Our offer</blockquote></div>'
)


def files_of(app: App) -> list[OutgoingFile]:
    """The files of the newest mail that left."""
    return list(list(app.mail.sent.values())[-1].files)


async def test_a_button_leaves_as_it_was_written(ready: App) -> None:
    """Inline styles of a send leave with it, and nothing is warned of."""
    accepted = await ready.sent(body={"html": BUTTON})
    assert accepted["warnings"] == []
    html = list(ready.mail.sent.values())[-1].html
    assert 'style="background: #0a7; color: #fff; padding: 12px 24px"' in html


async def test_what_was_taken_out_is_told(ready: App) -> None:
    """A send says in its answer, and in the message's status, what of its HTML does not leave."""
    html = (
        '<form><p style="position:fixed;color:red" onclick="f()">a</p></form><a href="javascript:f()">b</a>'
    )
    accepted = await ready.sent(body={"html": html})
    said = ["<form>: 1", "scripts in attributes: 1", "addresses: 1", "styles that are not kept: 1"]
    assert sorted(accepted["warnings"]) == sorted(said)
    shown = (await ready.v1("GET", f"messages/{accepted['id']}")).json()
    assert sorted(shown["warnings"]) == sorted(said)
    again = await ready.v1("POST", "messages", json=send_body(body={"html": html}))
    assert sorted(again.json()["warnings"]) == sorted(said)


async def test_a_picture_in_the_text_becomes_a_file_that_the_text_shows(ready: App) -> None:
    """A `data:` picture leaves as an inline file; the same picture twice is one file."""
    await ready.sent(body={"html": f'<p>Logo <img src="{DATA}"> and <img alt="again" src="{DATA}"></p>'})
    (file,) = files_of(ready)
    assert (file.name, file.content, file.inline) == ("picture-1.png", PNG, True)
    assert list(ready.mail.sent.values())[-1].html.count(f'src="cid:{file.content_id}"') == 2


@pytest.mark.parametrize("address", ["data:image/gif;base64,R0lGODlh", "data:image/svg+xml,<svg/>"])
async def test_a_picture_of_an_unlisted_type_refuses_the_send(ready: App, address: str) -> None:
    """A `data:` picture of a type that does not sync refuses the send with its reason; nothing is staged."""
    staged = len(await ready.staged())
    answer = await ready.v1("POST", "messages", json=send_body(body={"html": f"<img src='{address}'>"}))
    document = problem(answer, 422, "attachment-refused")
    assert "attachment_type_not_supported" in document["errors"][0]["detail"]
    assert len(await ready.staged()) == staged


def given(**more: Any) -> dict[str, Any]:
    """A picture of a send, with its bytes inside."""
    return {"name": "logo.png", "content_base64": base64.b64encode(PNG).decode(), **more}


async def test_a_signature_by_content_id_arrives_as_a_picture(ready: App) -> None:
    """A file with a Content-ID that the text shows leaves inline under that id, brackets or not."""
    files = [given(inline=True, content_id="<logo@crm>")]
    await ready.sent(body={"html": '<img src="cid:logo@crm">'}, attachments=files)
    (file,) = files_of(ready)
    assert (file.inline, file.content_id) == (True, "logo@crm")


async def test_an_uploaded_file_may_be_shown_by_the_text(ready: App) -> None:
    """A file that was uploaded before is shown by the text as one that is given inside."""
    headers = {"Content-Disposition": "attachment; filename=logo.png"}
    uploaded = (await ready.v1("POST", "files", body=PNG, headers=headers)).json()
    files = [{"file_id": uploaded["id"], "inline": True, "content_id": "logo@crm"}]
    await ready.sent(body={"html": '<img src="cid:logo@crm">'}, attachments=files)
    assert [(file.inline, file.content_id) for file in files_of(ready)] == [(True, "logo@crm")]


async def test_an_inline_file_that_nothing_shows_is_attached(ready: App) -> None:
    """A file called inline that the text does not show leaves as an ordinary file, where the reader finds it."""
    await ready.sent(body={"html": "<p>a</p>"}, attachments=[given(inline=True, content_id="logo@crm")])
    assert [file.inline for file in files_of(ready)] == [False]


@pytest.mark.parametrize(
    "more", [{"inline": True}, {"content_id": "a b"}, {"content_id": 'a"b'}, {"content_id": "a>b"}]
)
async def test_a_content_id_that_is_none_is_refused(ready: App, more: dict[str, Any]) -> None:
    """An inline file without a Content-ID, or with one that is none, is refused and points to it."""
    answer = await ready.v1("POST", "messages", json=send_body(attachments=[given(**more)]))
    document = problem(answer, 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/attachments/0/content_id"


async def test_a_received_mail_is_shown_with_its_formatting_and_its_quotation_marked(begun: App) -> None:
    """What the CRM shows keeps styles, has no classes, ids or relative links, and tells where the quotation begins."""
    body = (await begun.answered(html=REPLY, text=None))["body"]
    assert '<p style="margin: 0">Yes</p>' in body["html"]
    assert not {"class=", "id=", "/settings"} & set(body["html"].replace('"', " ").split())
    assert body["html"].count('<div data-quoted="true">') == 1
    assert body["text"][: body["quoted_from"]].split() == ["Yes", "s"]
    assert "Our offer" in body["text"][body["quoted_from"] :]


async def test_a_received_text_tells_where_its_quotation_begins(begun: App) -> None:
    """A mail of plain text tells it too; one that quotes nothing says null."""
    body = (await begun.answered(text="Yes\n\n-----Original Message-----\nFrom: Ann\nold"))["body"]
    assert body["text"][body["quoted_from"] :].startswith("-----Original")
    assert (await begun.answered(text="Yes, in March"))["body"]["quoted_from"] is None


async def test_the_quotation_of_a_text_is_folded_in_its_html_too(begun: App) -> None:
    """The HTML that stands for a mail of plain text has its quoted part in the wrapper, and the same words."""
    body = (await begun.answered(text="Yes & no\n\nOn Mon, Ann wrote:\n> old\n> <b>older</b>", html=None))[
        "body"
    ]
    assert body["html"] == (
        '<p>Yes &amp; no</p><div data-quoted="true">'
        "<p>On Mon, Ann wrote:<br>&gt; old<br>&gt; &lt;b&gt;older&lt;/b&gt;</p></div>"
    )
    assert body["text"][body["quoted_from"] :].startswith("On Mon")
    assert "data-quoted" not in (await begun.answered(text="Yes, in March", html=None))["body"]["html"]


@pytest.mark.parametrize("drops", [True, False])
async def test_a_tenant_chooses_whether_remote_pictures_are_shown(ready: App, drops: bool) -> None:
    """Where a tenant drops them, its events name no picture of another server; those of the mail stay, and sends do."""
    await ready.services.tenants.set_drops_remote_pictures(ready.tenant.tenant_id, drops=drops)
    html = '<p>a<img src="https://x.example/1.png"><img src="cid:logo@x"></p>'
    await ready.sent(body={"html": html})
    sent = ready.crm.last["body"]["html"]
    received = (await ready.answered(html=html))["body"]["html"]
    for shown in (sent, received):
        assert ("x.example" in shown) is not drops
        assert 'src="cid:logo@x"' in shown
    assert "x.example" in list(ready.mail.sent.values())[-1].html
