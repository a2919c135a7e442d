"""The simulator's pages: what they show, and that their buttons are calls of the control API."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.graphsim.conftest import ANN, BEN, CAT, HTTP, App, Lab
from tests.graphsim.test_notifications import CALM, watch


async def overview(lab: Lab) -> str:
    """The overview as HTML."""
    return (await lab.http.get(f"{HTTP}/overview")).text


async def press(lab: Lab, key: str) -> Any:
    """Make the call that a button of the overview makes."""
    found = re.search(rf'data-key="{re.escape(key)}" data-call="([^"]+)"', await overview(lab))
    assert found, key
    call = json.loads(html.unescape(found[1]))
    return await lab.control(call["method"], call["path"], call["body"])


async def test_losing_the_next_notification(lab: Lab, app: App) -> None:
    """The button loses one notification; the page says so before, and shows the loss afterwards."""
    await lab.knobs(**CALM)
    await watch(lab, app, "created")
    await press(lab, "lose:")
    assert "The next notification will be lost." in await overview(lab)
    await lab.arrives()
    shown = await overview(lab)
    assert lab.endpoint.items() == []
    assert "will be lost" not in shown
    assert '<td>not sent</td><td><span class="mark bad">lost</span></td>' in shown
    await lab.arrives()
    assert len(lab.endpoint.items()) == 1


async def test_a_quarter_of_an_hour(lab: Lab) -> None:
    """The button moves the clock by 15 minutes."""
    before = lab.clock.now()
    await press(lab, "forward:")
    assert (lab.clock.now() - before).total_seconds() == 900


async def test_revoking_and_pausing_one_person(lab: Lab, app: App) -> None:
    """The buttons beside a mailbox pause it, end the pause and revoke its consent, and nobody else's."""
    ben = await lab.app(BEN)
    await press(lab, f"pause:{ANN}")
    assert [(await who("GET", "me")).status_code for who in (app, ben)] == [429, 200]
    assert "paused until 09:10:00" in await overview(lab)
    await press(lab, f"resume:{ANN}")
    assert (await app("GET", "me")).status_code == 200
    await press(lab, f"revoke:{ANN}")
    assert [(await who("GET", "me")).status_code for who in (app, ben)] == [401, 200]


async def test_calls_and_what_was_sent_stand_side_by_side(lab: Lab, app: App) -> None:
    """The overview tells handshakes from notifications, and probes and planned faults from calls and errors."""
    await lab.knobs(**{**CALM, "notification_duplicates": "always"})
    await watch(lab, app)
    await lab.arrives()
    await app("GET", "me/mailFolders/inbox?$select=id")
    await app("GET", "me?$filter=x")
    await press(lab, f"pause:{ANN}")
    await app("GET", "me")
    shown = await overview(lab)
    for words in (
        "<td>Handshake</td>",
        "<td>Notification: 2 created</td>",
        '<span class="mark note">duplicate</span>',
        '<span class="mark note">probe: is it there?</span>',
        '<span class="mark bad">refused</span>',
        '<span class="mark note">planned: throttle</span>',
    ):
        assert words in shown, words


async def test_what_comes_from_outside_is_escaped(lab: Lab) -> None:
    """Paths and addresses that somebody else chose are shown as text."""
    await lab.control("POST", "users", {"address": "<b>@x.example"})
    await lab.http.get(f"{HTTP}/v1.0/me", headers={"X-Simulator-Probe": "<i>why"})
    shown = await overview(lab)
    assert "&lt;b&gt;@x.example" in shown
    assert "probe: &lt;i&gt;why" in shown
    assert "<b>@" not in shown


@pytest.mark.parametrize(
    ("name", "claimed", "served"),
    [
        ("plan ü.png", "image/png", "image/png"),
        ("page.html", "text/html", "text/html; charset=utf-8"),
        ("odd", "text/html\r\nx: y", "application/octet-stream"),
    ],
)
async def test_files_open_without_powers(lab: Lab, name: str, claimed: str, served: str) -> None:
    """A file of a mail, on both sides, is a download with its name and type that no page can run."""
    sent = {"name": name, "content_type": claimed, "content_base64": base64.b64encode(b"\x89PNG").decode()}
    mail = await lab.arrives(attachments=[sent])
    (theirs,) = (await lab.http.get(f"{HTTP}/outlook/content/outside/{CAT}")).json()["messages"]
    for kind, address, key in (("mailbox", ANN, mail["id"]), ("outside", CAT, theirs["id"])):
        files = f"{HTTP}/outlook/files/{kind}/{address}"
        answer = await lab.http.get(files, params={"id": key, "number": "0"})
        assert answer.content == b"\x89PNG"
        assert answer.headers["content-type"] == served
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(name)}"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for wrong in (
            {"id": key, "number": "1"},
            {"id": key, "number": "-1"},
            {"id": "inbox:none", "number": "0"},
        ):
            assert (await lab.http.get(files, params=wrong)).status_code == 404


async def test_what_ties_mails_together_is_there(lab: Lab) -> None:
    """The mail program is given Message-ID, In-Reply-To, References, conversation and folder of each mail."""
    mail = await lab.arrives()
    reply = {"action": "reply", "graph_message_id": mail["id"], "html": "<p>Yes</p>"}
    await lab.control("POST", f"mailboxes/{ANN}/compose", reply)
    await lab.pass_time()
    shown = (await lab.http.get(f"{HTTP}/outlook/content/mailbox/{ANN}")).json()["messages"]
    first, answer = (
        next(item for item in shown if item["folder"] == name) for name in ("inbox", "sentitems")
    )
    assert answer["in_reply_to"] == first["internet_message_id"]
    assert answer["references"] == [first["internet_message_id"]]
    assert answer["conversation_id"] == first["conversation_id"]
