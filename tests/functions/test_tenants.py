"""One tenant never sees, moves or guesses anything of another (A-3, A-4)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from functions.boundary import POLICIES
from shared.state import keys
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body
from tests.functions.host import routes


@dataclass(slots=True)
class Two:
    """Northwind has a mailbox, a thread, messages and a file; Contoso knows their ids."""

    app: App
    message_id: str
    inbound_id: str
    thread_id: str
    file_id: str

    async def as_other(self, method: str, path: str, **more: Any) -> Answer:
        return await self.app.call(method, f"/v1/{path}", key=self.app.other.api_key, **more)


@pytest.fixture
async def two(app: App) -> Two:
    await app.connect()
    accepted = await app.sent()
    outline = app.mail.sent_outline(next(iter(app.mail.sent)))
    app.mail.receive("bea@fabrikam.example", in_reply_to=outline.internet_message_id)
    await app.notify(*app.mail.mails)
    await app.pump()
    uploaded = await app.v1(
        "POST", "files", body=b"hello", headers={"Content-Disposition": 'attachment; filename="a.txt"'}
    )
    received = app.crm.told[-1]["data"]
    assert received["direction"] == "inbound"
    return Two(app, accepted["id"], received["id"], accepted["thread_id"], uploaded.json()["id"])


def test_the_walk_below_meets_every_route_that_takes_an_id() -> None:
    """Every tenant-key route with an id in its path has a case in this file, or in test_replays.py."""
    takes_ids = {
        route.name
        for route in routes()
        if POLICIES.get(route.name, "").startswith("tenant_key") and "{" in route.template
    }
    assert takes_ids == {
        "disconnect_user",
        "replay_dead_letter",
        "replay_held_message",
        "resume_thread",
        "show_connection",
        "show_dead_letter",
        "show_message",
        "show_thread",
        "stop_thread",
    }


@pytest.mark.parametrize("which", ["message_id", "inbound_id"])
async def test_messages_of_another_tenant_are_not_there(two: Two, which: str) -> None:
    """Another tenant's message is answered like an id that nobody has, the `instance` apart (X-5)."""
    foreign = getattr(two, which)
    assert (await two.app.v1("GET", f"messages/{foreign}")).status == 200
    nobodys = foreign[:-4] + "aaaa"
    answers = [await two.as_other("GET", f"messages/{message_id}") for message_id in (foreign, nobodys)]
    theirs, nobodys_own = (problem(answer, 404, "not-found") for answer in answers)
    assert theirs.pop("instance") != nobodys_own.pop("instance")
    assert theirs == nobodys_own


async def test_threads_of_another_tenant_are_not_there(two: Two) -> None:
    """Another tenant's thread is neither shown nor stopped nor resumed: the answer is that for an id nobody has."""
    for method, path in (("GET", ""), ("POST", "/stop"), ("POST", "/resume")):
        ids = (two.thread_id, two.thread_id[:-4] + "aaaa")
        answers = [await two.as_other(method, f"threads/{thread_id}{path}") for thread_id in ids]
        theirs, nobodys = (problem(answer, 404, "not-found") for answer in answers)
        assert {**theirs, "instance": ""} == {**nobodys, "instance": ""}
    shown = await two.app.v1("GET", f"threads/{two.thread_id}")
    assert shown.json()["status"] == "syncing"


async def test_users_of_another_tenant_are_users_of_ones_own(two: Two) -> None:
    """A user id that another tenant uses as well names one's own user, who is not connected."""
    shown = await two.as_other("GET", "users/u_ann/connection")
    assert shown.json() == {
        "user_id": "u_ann",
        "status": "not_connected",
        "reason": None,
        "mailbox": None,
        "connected_at": None,
        "last_synced_at": None,
        "completeness": None,
        "sign_in": None,
    }


async def test_nobody_sends_through_another_tenants_mailbox(two: Two) -> None:
    """A tenant cannot send through another tenant's mailbox, neither in a new thread nor in that tenant's."""
    for changes in ({}, {"thread_id": two.thread_id}):
        answer = await two.as_other("POST", "messages", json=send_body("m-9", **changes))
        problem(answer, 409, "no-active-connection")
    assert await two.app.queues.count(keys.OUTBOX) == 0


async def test_nobody_answers_in_another_tenants_thread(two: Two) -> None:
    """A tenant that has a mailbox of its own is told 404 for another tenant's thread."""
    await two.app.connect("u_cat", "cat", two.app.other.api_key)
    body = send_body("m-9", user_id="u_cat", thread_id=two.thread_id)
    problem(await two.as_other("POST", "messages", json=body), 404, "not-found")


async def test_nobody_attaches_another_tenants_file(two: Two) -> None:
    """A send that names another tenant's upload is refused as if the file had never been."""
    await two.app.connect("u_cat", "cat", two.app.other.api_key)
    body = send_body("m-9", user_id="u_cat", attachments=[{"file_id": two.file_id}])
    document = problem(await two.as_other("POST", "messages", json=body), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/attachments"


async def test_the_same_crm_message_id_is_free_for_every_tenant(two: Two) -> None:
    """Two tenants may use the same crm_message_id for two sends."""
    await two.app.connect("u_cat", "cat", two.app.other.api_key)
    accepted = await two.as_other("POST", "messages", json=send_body("m-1", user_id="u_cat"))
    assert accepted.status == 202
    assert accepted.json()["id"] != two.message_id


async def test_events_of_another_tenant_are_not_listed(two: Two) -> None:
    """Another tenant's events are not listed, not even with that tenant's cursor."""
    ours = (await two.app.v1("GET", "events")).json()
    assert {event["type"] for event in ours["events"]} == {
        "connection.connected",
        "message.sent",
        "message.received",
    }
    for params in ({}, {"after": ours["next"]}):
        theirs = (await two.as_other("GET", "events", params=params)).json()
        assert (theirs["events"], theirs["has_more"]) == ([], False)


async def test_a_page_shows_its_own_tenant_only(two: Two) -> None:
    """A settings link shows its own tenant's user, although another tenant has a user of the same id."""
    session = await two.app.page_session("u_ann", two.app.other.api_key)
    shown = (await two.app.call("GET", "/session/connection", key=session)).json()
    assert (shown["status"], shown["tenant"]) == (
        "not_connected",
        {"name": "Contoso", "product_name": None, "return_url": None},
    )


async def test_a_link_to_a_file_is_for_one_file(two: Two) -> None:
    """A file link that is changed in any part, or a week old, is answered with 404."""
    content = base64.b64encode(b"hello").decode()
    files = [{"name": "a.txt", "content_base64": content}]
    await two.app.sent("m-2", attachments=files)
    url = next(event for event in two.app.crm.told if event["data"].get("crm_message_id") == "m-2")["data"][
        "attachments"
    ][0]["url"]
    token = url.rsplit("/", 1)[1]
    assert (await two.app.call("GET", f"/files/{token}")).body == b"hello"
    for changed in (
        token.replace(two.app.tenant.tenant_id, two.app.other.tenant_id),
        token[:-1],
        f"{token}A",
        token.upper(),
    ):
        problem(await two.app.call("GET", f"/files/{changed}"), 404, "not-found")
    two.app.clock.forward(days=7)
    problem(await two.app.call("GET", f"/files/{token}"), 404, "not-found")


@pytest.mark.parametrize("path", ["messages/{}", "users/{}/connection"])
@pytest.mark.parametrize(
    "text",
    [
        "..",
        "msg_",
        "a|b",
        "%2F..%2F",
        "\x00",
        "'; drop",
        "é" * 50,
        "x" * 2000,
        "msg_" + "a" * 26 + "_" + "b" * 26,
    ],
)
async def test_any_text_for_an_id_is_at_worst_unknown(app: App, path: str, text: str) -> None:
    """Any text in place of an id is answered as unknown or invalid, and crashes nothing."""
    answer = await app.v1("GET", path.format(text))
    if path.startswith("messages"):
        problem(answer, 404, "not-found")
    elif answer.status == 200:
        assert answer.json()["status"] == "not_connected"
    else:
        assert problem(answer, 422, "invalid-request")["errors"][0]["pointer"] == "/user_id"
