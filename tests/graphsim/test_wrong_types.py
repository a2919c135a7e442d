"""Wrong JSON types in every member of every body: a typed refusal, and never a fall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from sandbox.graphsim import schema
from sandbox.graphsim.operations import OPERATIONS
from tests.graphsim.conftest import CAT, HTTPS, MARK, App, Lab, draft, file, to

ODD = (None, 5, True, "x", "\x00", [], {}, [None], [5], {"a": 1})
TIME = {"dateTime": "2026-03-03T09:00:00", "timeZone": "UTC"}
MESSAGE: dict[str, Any] = {
    "@odata.type": "#microsoft.graph.message",
    "subject": "Offer",
    "body": {"contentType": "html", "content": "<p>Hello</p>"},
    "toRecipients": to(CAT),
    "ccRecipients": [],
    "bccRecipients": [],
    "replyTo": [],
    "importance": "low",
    "isRead": True,
    "categories": ["Red"],
    "flag": {"flagStatus": "flagged", "startDateTime": TIME, "dueDateTime": TIME},
    "inferenceClassification": "other",
    "isReadReceiptRequested": False,
    "singleValueExtendedProperties": [{"id": MARK, "value": "x"}],
    "multiValueExtendedProperties": [{"id": MARK, "value": ["x"]}],
}
FRESH: dict[str, Any] = {
    "subject": "Offer",
    "toRecipients": to(CAT),
    "internetMessageId": "<1@northwind.example>",
    "internetMessageHeaders": [{"name": "x-one", "value": "1"}],
    "attachments": [file(contentType="text/plain", isInline=True, contentId="c")],
}
REPLY = {"message": {"toRecipients": to(CAT)}, "comment": "Hello"}
ITEM = {"attachmentType": "file", "name": "a.bin", "size": 4_000_000, "contentType": "x/y", "isInline": False}
BODIES: dict[str, Any] = {
    "me.sendMail": {"message": {"subject": "Offer", "toRecipients": to(CAT)}, "saveToSentItems": True},
    "message.create": FRESH,
    "message.update": MESSAGE,
    "message.createReply": REPLY,
    "message.createReplyAll": REPLY,
    "message.createForward": REPLY | {"toRecipients": to(CAT)},
    "message.send": {},
    "message.move": {"destinationId": "archive"},
    "message.copy": {"destinationId": "archive"},
    "message.permanentDelete": {},
    "attachment.create": file(contentType="text/plain", isInline=True, contentId="c"),
    "attachment.createUploadSession": {"AttachmentItem": ITEM},
    "folder.create": {"displayName": "Offers", "isHidden": False},
    "subscription.create": {
        "changeType": "created",
        "notificationUrl": "https://app.example/hook",
        "lifecycleNotificationUrl": "https://app.example/life",
        "resource": "me/messages",
        "expirationDateTime": "",
        "clientState": "s",
        "latestSupportedTlsVersion": "v1_2",
        "includeResourceData": False,
        "encryptionCertificate": None,
        "notificationQueryOptions": None,
    },
    "subscription.update": {"expirationDateTime": ""},
    "subscription.reauthorize": {},
}
WRITES = [operation for operation in OPERATIONS if operation.method in {"POST", "PATCH"}]


def places(value: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a body, itself included."""
    yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inside:
        yield from places(item, (*way, name))


def changed(body: Any, way: tuple[str | int, ...], odd: Any) -> Any:
    """The body with something else at one place."""
    if not way:
        return odd
    made = deepcopy(body)
    inside = made
    for step in way[:-1]:
        inside = inside[step]
    inside[way[-1]] = odd
    return made


@pytest.fixture
async def message(app: App) -> str:
    return str((await app.ok("POST", "me/messages", draft()))["id"])


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.name)
async def test_a_wrong_type_is_refused(lab: Lab, app: App, message: str, operation: Any) -> None:
    """Whatever stands in a member of a body, the answer is Graph's, with a code; it is never a 500."""
    body = deepcopy(BODIES[operation.name])
    if "expirationDateTime" in body:
        body["expirationDateTime"] = (lab.clock.now() + timedelta(hours=1)).isoformat()
    path = operation.template.format(message=message, subscription="s", folder="inbox", attachment="a")
    for way in places(body):
        for odd in ODD:
            content = json.dumps(changed(body, way, odd)).encode()
            answer = await lab.http.request(
                operation.method, f"{HTTPS}/v1.0/{path}", content=content,
                headers={"Authorization": f"Bearer {app.token}", "Content-Type": "application/json"},
            )  # fmt: skip
            assert answer.status_code < 500 or answer.status_code == 501, (way, odd)
            if not answer.is_success:
                assert answer.json()["error"]["code"], (way, odd)
            if answer.status_code == 404 and operation.name.startswith("message."):
                message = str((await app.ok("POST", "me/messages", draft()))["id"])
                path = operation.template.format(message=message)


@pytest.mark.parametrize(
    "name", ["clientState", "lifecycleNotificationUrl", "includeResourceData", "changeType"]
)
@pytest.mark.parametrize("odd", [5, [], {}], ids=str)
async def test_members_of_a_subscription_have_types(lab: Lab, app: App, name: str, odd: Any) -> None:
    """A number where a text belongs is refused with the words of a wrong body."""
    body = BODIES["subscription.create"] | {
        "expirationDateTime": (lab.clock.now() + timedelta(hours=1)).isoformat(),
        name: odd,
    }
    assert await app.refused("POST", "subscriptions", body) == (400, "RequestBodyRead")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"subject":"\\ud83d"}', b'{"a":' * 100_000, b'{"a":NaN}']
)
async def test_what_is_no_json(lab: Lab, app: App, content: bytes) -> None:
    """A body that cannot be read is refused, half a character in it too."""
    headers = {"Authorization": f"Bearer {app.token}", "Content-Type": "application/json"}
    answer = await lab.http.post(f"{HTTPS}/v1.0/me/messages", content=content, headers=headers)
    assert (answer.status_code, bool(answer.json()["error"]["code"])) == (400, True)


def test_every_write_has_a_body_here() -> None:
    """No operation that takes a body is left out."""
    assert {operation.name for operation in WRITES} == set(BODIES)
    assert schema.check("message", MESSAGE | FRESH, request=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://[",
        "https://app.example:99999999/",
        "https://app.example:x/",
        "https://\x00/",
        "https://",
        "//",
    ],
)
async def test_an_address_that_is_none(lab: Lab, app: App, url: str) -> None:
    """A notification address that cannot be called is refused."""
    body = BODIES["subscription.create"] | {
        "expirationDateTime": (lab.clock.now() + timedelta(hours=1)).isoformat(),
        "notificationUrl": url,
    }
    assert (await app.refused("POST", "subscriptions", body))[0] == 400
