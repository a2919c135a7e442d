"""The controls: clock, people, seeds, knobs, log, and starting afresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.clock import VirtualClock
from sandbox.graphsim import knobs
from sandbox.graphsim.app import build_simulator
from sandbox.graphsim.config import SimulatorConfig
from tests.graphsim.conftest import ANN, BEN, CAT, HTTP, HTTPS, App, Lab, at, draft, file, where

SOURCES = Path(knobs.__file__).parent


async def test_the_clock(lab: Lab, app: App) -> None:
    """The simulated clock stands still, is moved by hand, and tells what is due next."""
    first = await lab.control("GET", "clock")
    assert first == await lab.control("GET", "clock")
    await app("POST", "me/sendMail", {"Message": draft()})
    due = (await lab.control("GET", "clock"))["next_due_at"]
    moved = await lab.control("POST", "clock", {"advance_seconds": 90})
    assert first["now"] < due < moved["now"]
    await lab.simulator.run_due()
    assert len(await lab.mailbox()) == 1


async def test_what_follows_from_what_is_due(lab: Lab, app: App) -> None:
    """One run does all that is due and what follows from it at once, and nothing of what lies ahead."""
    await app("POST", "me/sendMail", {"Message": draft()})
    assert await lab.simulator.run_due() == 0
    lab.clock.advance(3600)
    assert await lab.simulator.run_due() == 2
    assert lab.simulator.next_due_at() is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "users/nobody@x.example/revoke", None),
        ("POST", "mailboxes/nobody@x.example/compose", {"to": [CAT]}),
        ("POST", f"mailboxes/{ANN}/messages/nonsense/read", {}),
        ("POST", f"outside/{CAT}/reply", {"internet_message_id": "<never@seen.example>"}),
        ("POST", "subscriptions/none/lifecycle", {"event": "missed"}),
        ("POST", "notifications", {"action": "burn"}),
        ("POST", "authorize", {"url": f"{HTTP}/common/oauth2/v2.0/authorize?client_id=x", "address": ANN}),
        ("PUT", "knobs", {"no_such_knob": 1}),
        ("PUT", "knobs", {"retry_after": "sometimes"}),
        ("PUT", "knobs", {"mailbox_requests": -1}),
        ("PUT", "knobs", {"mailbox_requests": "many"}),
        ("POST", "users", {}),
    ],
)
async def test_wrong_controls(lab: Lab, method: str, path: str, body: Any) -> None:
    """A control that cannot be carried out is a 400 that says why."""
    answer = await lab.http.request(method, f"{HTTP}/__control/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_people(lab: Lab) -> None:
    """Accounts and contacts are made once and listed, and an alias receives mail too."""
    made = {"address": "eve@northwind.example", "display_name": "Eve", "aliases": ["E@northwind.example"]}
    first = await lab.control("POST", "users", made)
    assert await lab.control("POST", "users", made) == first
    listed = await lab.control("GET", "users")
    assert {user["address"] for user in listed["users"]} == {ANN, BEN, "eve@northwind.example"}
    assert [contact["name"] for contact in listed["outside"]] == ["Cat Clark"]
    mail = {"to": ["e@northwind.example"], "subject": "x", "text": "x"}
    await lab.control("POST", f"outside/{CAT}/compose", mail)
    await lab.pass_time()
    assert len(await lab.mailbox("eve@northwind.example")) == 1


async def test_a_person_outside_answers(lab: Lab, app: App) -> None:
    """A contact's reply goes back with a Re:, the quotation and both threading headers, to all unless told not to."""
    await app("POST", "me/sendMail", {"Message": draft(ccRecipients=[{"emailAddress": {"address": BEN}}])})
    await lab.pass_time()
    (seen,) = await lab.outside()
    body = {"internet_message_id": seen["internet_message_id"], "html": "<p>Fine</p>"}
    sent = await lab.control("POST", f"outside/{CAT}/reply", body)
    await lab.pass_time()
    (anns,) = [message for message in await lab.mailbox() if message["folder"] == "inbox"]
    assert anns["internet_message_id"] == sent["internet_message_id"]
    assert (anns["subject"], anns["in_reply_to"]) == ("AW: Offer", seen["internet_message_id"])
    assert "Fine" in anns["html"]
    assert "<blockquote>" in anns["html"]
    assert [message["cc"] for message in await lab.mailbox(BEN)][-1] == [BEN]
    only = {**body, "reply_all": False}
    await lab.control("POST", f"outside/{CAT}/reply", only)
    await lab.pass_time()
    assert len([message for message in await lab.mailbox(BEN) if message["folder"] == "inbox"]) == 2


async def test_an_answer_is_quoted_whole(lab: Lab, app: App) -> None:
    """What a contact wrote above a quotation is still there when the user answers."""
    await app("POST", "me/sendMail", {"Message": draft()})
    await lab.pass_time()
    (seen,) = await lab.outside()
    body = {"internet_message_id": seen["internet_message_id"], "html": "<p>Theirs</p>"}
    await lab.control("POST", f"outside/{CAT}/reply", body)
    await lab.pass_time()
    (inbox,) = [message for message in await lab.mailbox() if message["folder"] == "inbox"]
    reply = {"action": "reply", "graph_message_id": inbox["id"], "html": "<p>Mine</p>"}
    await lab.control("POST", f"mailboxes/{ANN}/compose", reply)
    await lab.pass_time()
    words = (await lab.outside())[-1]["html"]
    assert words.index("Mine") < words.index("Theirs") < words.index("<blockquote>")


async def test_the_user_works_in_outlook(lab: Lab, app: App) -> None:
    """What the user does in Outlook (write, reply, draft, move, read, delete) is what the app then sees."""
    mail = await lab.arrives()
    reply = {"action": "reply", "graph_message_id": mail["id"], "html": "<p>Mine</p>"}
    await lab.control("POST", f"mailboxes/{ANN}/compose", reply)
    kept = await lab.control(
        "POST", f"mailboxes/{ANN}/compose", {"to": [CAT], "html": "x", "draft_only": True}
    )
    await lab.pass_time()
    assert [message["subject"] for message in await lab.outside()] == ["AW: Quote"]
    await lab.control("POST", f"mailboxes/{ANN}/messages/{kept['id']}/send", {})
    await lab.pass_time()
    assert len(await lab.outside()) == 2
    path = f"mailboxes/{ANN}/messages/{mail['id']}"
    await lab.control("POST", f"{path}/read", {})
    moved = await lab.control("POST", f"{path}/move", {"folder": "archive"})
    path = f"mailboxes/{ANN}/messages/{moved['id']}"
    found = await app.ok("GET", at(moved["id"]))
    assert found["isRead"] is True
    assert found["parentFolderId"] == (await app.ok("GET", "me/mailFolders/archive"))["id"]
    await lab.control("POST", f"{path}/copy", {"folder": "inbox"})
    await lab.control("POST", f"{path}/delete", {})
    folders = sorted(message["folder"] for message in await lab.mailbox())
    assert folders == ["deleteditems", "inbox", "sentitems", "sentitems"]


async def test_one_seed_one_world() -> None:
    """The same seed gives the same ids and random numbers, and another seed others."""

    def ids(seed: int) -> list[Any]:
        made = build_simulator(SimulatorConfig(seed=seed), VirtualClock()).world
        return [made.ids.guid(), made.ids.change_key(), made.random.random(), made.ids.item("AAMk", "x")]

    assert ids(7) == ids(7)
    assert not set(ids(7)) & set(ids(8))


def test_knobs_at_the_start() -> None:
    """A simulator can be started with knobs turned to values that exist."""
    made = build_simulator(SimulatorConfig(knobs={"retry_after": "absent"}), VirtualClock()).world
    assert made.knobs.text("retry_after") == "absent"
    with pytest.raises(knobs.UnknownKnob):
        build_simulator(SimulatorConfig(knobs={"retry_after": "later"}), VirtualClock())


@pytest.mark.parametrize("name", [knob.name for knob in knobs.KNOBS])
def test_every_knob_turns_something(name: str) -> None:
    """The simulator's code asks for every knob."""
    code = "".join(
        path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py") if not path.stem.startswith("knob")
    )
    assert f'"{name}"' in code


async def test_the_small_knobs(lab: Lab, app: App) -> None:
    """Sizes, spellings and ids follow their knobs at once."""
    await lab.knobs(
        inner_error_name="innerError", attachment_overhead_bytes=0, upload_session_minimum_bytes=10
    )
    assert "innerError" in (await app("GET", "me/nonsense")).json()["error"]
    made = await app.ok("POST", "me/messages", draft(attachments=[file(content=b"12345")]))
    (attachment,) = (await app.ok("GET", f"{at(made['id'])}/attachments"))["value"]
    assert attachment["size"] == 5
    item = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 10}}
    assert await app.ok("POST", f"{at(made['id'])}/attachments/createUploadSession", item)
    await lab.knobs(ids_differ_by_case="no")
    ids = [(await lab.arrives())["id"].lower() for _ in range(6)]
    assert len(set(ids)) == 6


async def test_the_log(lab: Lab, app: App) -> None:
    """The log tells of each request whose it was, its message, whether a body was read, and how it ended."""
    mail = await lab.arrives()
    await lab.control("POST", "requests/clear")
    mark = (await lab.control("GET", "requests"))["next"]
    path = at(mail["id"])
    await app("GET", f"{path}?{where(select='id,conversationId')}")
    await app("GET", path)
    await app("GET", f"{path}?{where(select='bodyPreview')}")
    await app("GET", f"{path}/$value")
    await app("GET", f"{path}?{where(select='id', expand='attachments')}")
    await app("GET", f"{path}/attachments?{where(select='id,name')}")
    await app("GET", "me/nonsense")
    log = (await lab.control("GET", f"requests?since={mark}"))["requests"]
    assert [request["reads_body"] for request in log] == [False, True, True, True, False, False, False]
    assert [request["reads_attachments"] for request in log] == [
        False,
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert {request["address"] for request in log[:6]} == {ANN}
    assert all(request["internet_message_ids"] == [mail["internet_message_id"]] for request in log[:6])
    assert log[0]["fields"] == ["id", "conversationId"]
    assert [request["seq"] for request in log] == list(range(mark + 1, mark + 8))
    assert (log[-1]["status"], log[-1]["error"]) == (400, "BadRequest")
    assert (await lab.control("GET", f"requests?since={mark + 7}"))["requests"] == []


async def test_starting_afresh(lab: Lab, app: App) -> None:
    """A reset forgets people, mail, sign-ins, knobs, faults and what was under way. The app stays registered."""
    await app("POST", "me/sendMail", {"Message": draft()})
    await lab.knobs(retry_after="absent")
    await lab.control("POST", "faults", {"operation": "*", "kind": "status"})
    await lab.control("POST", "notifications", {"action": "pause"})
    await lab.control("POST", "reset")
    await lab.pass_time()
    assert (await lab.control("GET", "users")) == {"users": [], "outside": []}
    assert (await lab.control("GET", "knobs"))["knobs"]["retry_after"] == "decimal"
    assert (await lab.control("GET", "notifications")) == {
        "waiting": 0,
        "posted": 0,
        "dropped": 0,
        "paused": False,
        "to_drop": 0,
    }
    assert (await lab.control("GET", "clock"))["next_due_at"] is None
    assert await app.refused("GET", "me") == (401, "InvalidAuthenticationToken")
    await lab.control("POST", "users", {"address": ANN})
    assert await (await lab.app()).ok("GET", "me/messages") is not None


async def test_the_controls_stand_apart(lab: Lab) -> None:
    """The controls are not found below the address of the simulated Graph."""
    assert (await lab.http.get(f"{HTTP}/__control/health")).json()["status"] == "ok"
    assert (await lab.http.get(f"{HTTPS}/v1.0/__control/health")).status_code == 401
