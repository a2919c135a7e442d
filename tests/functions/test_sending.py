"""POST /v1/messages: what is accepted, what is refused, and that a repeat changes nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown, StoreUnavailable
from shared.state import keys
from shared.storage.testing import Call
from tests.functions.answers import problem
from tests.functions.app import App, send_body


async def test_a_send_is_accepted_durably(ready: App) -> None:
    """A send is answered with 202 and its status address, and leaves a row, a task and a job message.

    Nothing has left yet (A-7).
    """
    answer = await ready.v1("POST", "messages", json=send_body())
    accepted = answer.json()
    assert answer.status == 202
    assert answer.headers["location"] == accepted["status_url"]
    assert await ready.queues.count(keys.OUTBOX) == 1
    assert ready.mail.calls == ["profile", "probe"]
    shown = (await ready.v1("GET", f"messages/{accepted['id']}")).json()
    assert (shown["status"], shown["direction"], shown["origin"]) == ("accepted", "outbound", "crm")


async def test_the_same_body_again_is_the_same_send(ready: App) -> None:
    """A repeated request is the same send, whatever its white space and order of members; one mail leaves (A-5)."""
    body = send_body()
    first = await ready.v1("POST", "messages", json=body)
    turned = json.dumps(dict(reversed(body.items())), indent=3).encode()
    for again in (
        await ready.v1("POST", "messages", json=body),
        await ready.v1("POST", "messages", body=turned),
    ):
        assert (again.status, again.json()) == (202, first.json())
    await ready.pump()
    assert ready.mail.calls.count("send") == 1
    after = await ready.v1("POST", "messages", json=body)
    assert (after.status, after.json()) == (202, first.json() | {"status": "sending"})
    await ready.pump()
    assert ready.mail.calls.count("send") == 1


@pytest.mark.parametrize(
    "changes", [{"subject": "Another"}, {"to": [{"address": "cal@contoso.example"}]}, {"crm_context": {}}]
)
async def test_another_body_under_the_same_id_is_refused(ready: App, changes: dict[str, Any]) -> None:
    """Another body under a used crm_message_id is answered with 409, before and after the first one left."""
    await ready.v1("POST", "messages", json=send_body())
    problem(await ready.v1("POST", "messages", json=send_body(**changes)), 409, "crm-message-id-reused")
    await ready.pump()
    problem(await ready.v1("POST", "messages", json=send_body(**changes)), 409, "crm-message-id-reused")


async def test_a_user_without_a_mailbox_cannot_send(app: App) -> None:
    """A send of a user without a mailbox is answered with 409, and accepted unchanged after connecting."""
    problem(await app.v1("POST", "messages", json=send_body()), 409, "no-active-connection")
    await app.connect()
    assert (await app.v1("POST", "messages", json=send_body())).status == 202


async def test_nobody_sends_through_a_colleagues_mailbox(ready: App) -> None:
    """A user without a mailbox cannot send although a colleague has one (A-9)."""
    problem(await ready.v1("POST", "messages", json=send_body(user_id="u_bob")), 409, "no-active-connection")


def _crowd(size: int, name: str = "a") -> list[dict[str, str]]:
    return [{"address": f"{name}{number}@fabrikam.example"} for number in range(size)]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"crm_message_id": ""}, "/crm_message_id"),
    ({"crm_message_id": "a b"}, "/crm_message_id"),
    ({"crm_message_id": "x" * 201}, "/crm_message_id"),
    ({"crm_message_id": 7}, "/crm_message_id"),
    ({"user_id": "u ann"}, "/user_id"),
    ({"to": []}, "/to"),
    ({"to": "bea@fabrikam.example"}, "/to"),
    ({"to": [{"address": "bea"}]}, "/to/0/address"),
    ({"to": [{"address": "bea@fabrikam.example"}, {"address": "a@b.example\r\nBcc: x@y.example"}]}, "/to/1/address"),
    ({"to": [{"address": "bea@fabrikam.example, eve@evil.example"}]}, "/to/0/address"),
    ({"cc": [{"address": "<bea@fabrikam.example>"}]}, "/cc/0/address"),
    ({"bcc": [{"address": "bea@fabrikam.example", "name": "Bea\r\nX-Evil: 1"}]}, "/bcc/0/name"),
    ({"to": _crowd(501)}, "/to"),
    ({"to": _crowd(300), "cc": _crowd(201, "c")}, "/to"),
    ({"subject": "Your\r\nBcc: offer"}, "/subject"),
    ({"subject": "x" * 999}, "/subject"),
    ({"body": {}}, "/body"),
    ({"body": {"html": None}}, "/body"),
    ({"body": {"html": "x" * (2**20 + 1)}}, "/body"),
    ({"body": {"text": "é" * (2**19 + 1)}}, "/body"),
    ({"body": "text"}, "/body"),
    ({"attachments": [{}]}, "/attachments/0"),
    ({"attachments": [{"file_id": "fil_1", "url": "https://x.example"}]}, "/attachments/0"),
    ({"attachments": [{"name": "a.txt"}]}, "/attachments/0"),
    ({"attachments": [{"content_base64": "YQ=="}]}, "/attachments/0"),
    ({"attachments": [{"name": "a.txt", "content_base64": "%"}]}, "/attachments/0/content_base64"),
    ({"attachments": [{"name": "a.txt", "content_base64": "YQ"}]}, "/attachments/0/content_base64"),
    ({"attachments": [{"file_id": "fil_unknown"}]}, "/attachments"),
    ({"attachments": [{"file_id": "../\\#?"}]}, "/attachments"),
    ({"attachments": [{"file_id": "f"}] * 21}, "/attachments"),
    ({"contact_ids": ["x"] * 101}, "/contact_ids"),
    ({"contact_ids": [""]}, "/contact_ids/0"),
    ({"crm_context": []}, "/crm_context"),
    ({"crm_context": {"x": "y" * 20_000}}, "/crm_context"),
    ({"mood": "good"}, ""),
    ({"from": {"address": "boss@northwind.example"}}, ""),
    ({"to": [{"address": "bea@fabrikam.example", "mood": 1}]}, "/to/0"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "pointer"), BAD, ids=lambda body: json.dumps(body)[:60])
async def test_what_cannot_be_sent_is_refused_with_the_field(
    ready: App, changes: dict[str, Any], pointer: str
) -> None:
    """An invalid send is answered with 422 and a JSON pointer.

    Nothing is enqueued, and its id is still free (A-7, X-4).
    """
    answer = await ready.v1("POST", "messages", json=send_body(**changes))
    document = problem(answer, 422, "invalid-request")
    assert pointer in [error["pointer"] for error in document["errors"]]
    assert await ready.queues.count(keys.OUTBOX) == 0
    assert (await ready.v1("POST", "messages", json=send_body())).status == 202


@pytest.mark.parametrize("member", ["crm_message_id", "user_id", "to", "subject", "body"])
async def test_required_members_are_required(ready: App, member: str) -> None:
    """A send without a required member is answered with 422, which names the member."""
    document = problem(
        await ready.v1("POST", "messages", json=send_body(**{member: None})), 422, "invalid-request"
    )
    assert member in document["errors"][0]["detail"]


async def test_every_bad_recipient_is_named_at_once(ready: App) -> None:
    """Every bad recipient of a send is named in one answer."""
    people = [{"address": address} for address in ("bea", "cal@contoso.example", "@bea")]
    document = problem(await ready.v1("POST", "messages", json=send_body(to=people)), 422, "invalid-request")
    assert [error["pointer"] for error in document["errors"]] == ["/to/0/address", "/to/2/address"]


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{'a': 1}",
    "cut": b'{"crm_message_id": "m-1"',
    "twice": b'{"crm_message_id": "m-1", "crm_message_id": "m-2"}',
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "another encoding": b'{"subject": "\xe9"}',
    "NaN": b'{"crm_context": {"n": NaN}}',
    "an endless number": b'{"crm_context": {"n": 1e999}}',
    "a long number": b'{"crm_context": {"n": ' + b"9" * 5000 + b"}}",
    "half a character": b'{"subject": "\\ud800"}',
    "very deep": b'{"crm_context": ' + b'{"a":' * 100 + b"1" + b"}" * 101,
    "deeper than any stack": b"[" * 200_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_json_as_we_read_it_is_a_400(ready: App, body: bytes) -> None:
    """A body that is not strict JSON is answered with 400 (X-3)."""
    problem(await ready.v1("POST", "messages", body=body), 400, "malformed-body")


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"m-1"'])
async def test_json_of_another_shape_is_a_422(ready: App, body: bytes) -> None:
    """JSON that is not an object is answered with 422."""
    problem(await ready.v1("POST", "messages", body=body), 422, "invalid-request")


REFUSED_FILES = {
    "type": ("tool.exe", b"MZ", "attachment_type_not_supported"),
    "content": ("offer.pdf", b"MZ\x90\x00" + b"\x00" * 60, "attachment_content_mismatch"),
    "empty": ("offer.pdf", b"", "attachment_empty"),
}


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED_FILES.values(), ids=REFUSED_FILES)
async def test_a_file_that_does_not_sync_stops_the_send(
    ready: App, name: str, content: bytes, reason: str
) -> None:
    """A send with a file that may not sync is answered with 422, with file and reason, and nothing is staged (R7)."""
    staged = len(await ready.staged())
    files = [{"name": name, "content_base64": base64.b64encode(content).decode()}]
    answer = await ready.v1("POST", "messages", json=send_body(attachments=files))
    document = problem(answer, 422, "attachment-refused")
    (error,) = document["errors"]
    assert error["pointer"] == "/attachments"
    assert error["detail"].startswith(f"{name}: {reason}")
    assert len(await ready.staged()) == staged


async def test_a_send_takes_files_of_all_three_kinds(ready: App) -> None:
    """A send carries files that were uploaded, given inline, and fetched by the worker from an address."""
    headers = {"Content-Disposition": "attachment; filename=one.txt"}
    uploaded = (await ready.v1("POST", "files", body=b"one", headers=headers)).json()
    ready.fetcher.served["https://files.example/3"] = b"three"
    files = [
        {"file_id": uploaded["id"]},
        {"name": "two.txt", "content_base64": base64.b64encode(b"two").decode()},
        {"name": "three.txt", "url": "https://files.example/3"},
    ]
    await ready.sent(attachments=files)
    (left,) = ready.mail.sent.values()
    assert [(file.name, file.content) for file in left.files] == [
        ("one.txt", b"one"),
        ("two.txt", b"two"),
        ("three.txt", b"three"),
    ]
    told = ready.crm.told[-1]["data"]["attachments"]
    assert [(file["name"], file["size_bytes"]) for file in told] == [
        ("one.txt", 3),
        ("two.txt", 3),
        ("three.txt", 5),
    ]


async def test_a_reply_goes_into_its_thread(ready: App) -> None:
    """A send that names a thread leaves as a reply in that thread."""
    first = await ready.sent()
    second = await ready.sent("m-2", thread_id=first["thread_id"])
    assert second["thread_id"] == first["thread_id"]
    assert "create_reply" in ready.mail.calls


@pytest.mark.parametrize("thread_id", ["thr_x", "nonsense", "{thread}x"])
async def test_a_reply_in_no_thread_of_ours_is_a_404(ready: App, thread_id: str) -> None:
    """A send into an unknown thread is answered with 404, even when only the end of the id is wrong."""
    first = await ready.sent()
    asked = thread_id.format(thread=first["thread_id"])
    problem(await ready.v1("POST", "messages", json=send_body("m-2", thread_id=asked)), 404, "not-found")


async def test_a_crash_after_the_claim_is_mended_by_the_repeat(ready: App) -> None:
    """When storage fails after a send was claimed, the CRM's repeat is accepted and one mail leaves."""

    def down(call: Call) -> None:
        if call.operation == "transact":
            raise StoreUnavailable

    ready.tables.before = down
    problem(await ready.v1("POST", "messages", json=send_body()), 503, "unavailable")
    ready.tables.before = lambda _: None
    assert (await ready.v1("POST", "messages", json=send_body())).status == 202
    await ready.pump()
    assert ready.mail.calls.count("send") == 1


async def test_a_lost_answer_of_the_store_is_concluded(ready: App) -> None:
    """When the store's answer to the send's transaction is lost, the send is accepted and leaves once (E-6)."""

    def lost(call: Call) -> None:
        if call.operation == "transact":
            ready.tables.after = lambda _: None
            raise OutcomeUnknown

    ready.tables.after = lost
    assert (await ready.v1("POST", "messages", json=send_body())).status == 202
    await ready.pump()
    assert ready.mail.calls.count("send") == 1


async def test_a_lost_job_message_is_enqueued_again(ready: App) -> None:
    """When the queue fails after a send was stored, the CRM hears 503.

    A repeat is the same send, and the timer enqueues it.
    """

    def down(_: Call) -> None:
        raise StoreUnavailable

    ready.queues.before = down
    problem(await ready.v1("POST", "messages", json=send_body()), 503, "unavailable")
    ready.queues.before = lambda _: None
    assert (await ready.v1("POST", "messages", json=send_body())).status == 202
    await ready.pump()
    assert ready.mail.calls.count("send") == 0
    ready.clock.forward(minutes=5)
    await ready.tick()
    await ready.pump()
    assert ready.mail.calls.count("send") == 1
