"""The simulated Graph has the shapes of the real one, and the check of that in these tests bites."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from sandbox.graphsim import schema
from sandbox.graphsim.operations import OPERATIONS
from tests.graphsim import openapi
from tests.graphsim.conftest import CAT, HTTPS, App, Lab, at, draft, file, to

SAME = sorted(set(schema.TYPES) - {"resourceData", "itemAttachment", "changeNotification"})
SIMPLE = {"string", "bool", "int", "datetime", "binary"}
FORMATS = {"date-time": "datetime", "byte": "binary", "int32": "int", "int64": "int", "duration": "string"}


def exchange(method: str, path: str, status: int, answer: Any, body: Any = None) -> list[str]:
    """What the check says of a made-up exchange."""
    request = httpx.Request(method, f"{HTTPS}/v1.0/{path}", json=body)
    return openapi.violations(
        request, httpx.Response(status, json=answer) if answer else httpx.Response(status)
    )


def test_the_check_lets_pass_what_is_right() -> None:
    """The check against Microsoft's description finds no fault in a well-formed exchange."""
    assert exchange("POST", "me/messages", 201, {"id": "x", "importance": "low"}, {"importance": "Low"}) == []
    assert exchange("POST", "me/messages/x/send", 202, None) == []
    assert exchange("GET", "me", 401, {"error": {"code": "x", "message": "y", "innererror": {}}}) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "answer", "body"),
    [
        ("GET", "me/messages/x", 200, {"colour": "red"}, None),
        ("GET", "me/messages/x", 200, {"importance": "Low"}, None),
        ("GET", "me/messages/x", 200, {"isRead": "yes"}, None),
        ("GET", "me/messages/x", 200, {"receivedDateTime": "yesterday"}, None),
        ("GET", "me/messages/x", 200, {"from": {"address": CAT}}, None),
        ("GET", "me/messages", 200, {"values": []}, None),
        ("GET", "me/messages", 200, {"value": [{"colour": "red"}]}, None),
        ("GET", "me/messages/x/attachments", 200, {"value": [{"name": "without a type"}]}, None),
        ("GET", "me/messages?$levels=2", 200, {"value": []}, None),
        ("POST", "me/messages", 200, {"id": "x"}, {}),
        ("POST", "me/messages", 201, {"id": "x"}, {"colour": "red"}),
        ("POST", "me/messages/x/send", 202, {"id": "x"}, None),
        ("POST", "me/messages/x/send", 202, None, {"a": 1}),
        ("GET", "me/nonsense", 200, {"id": "x"}, None),
        ("GET", "me", 404, {"code": "ErrorItemNotFound"}, None),
    ],
)
def test_the_check_finds_what_is_wrong(method: str, path: str, status: int, answer: Any, body: Any) -> None:
    """The check finds any property, word, type, status, option or body that is not described."""
    assert exchange(method, path, status, answer, body) != []


@pytest.mark.parametrize("name", SAME)
def test_the_simulator_knows_the_types(name: str) -> None:
    """The simulator's table of properties agrees with the description in names and kinds."""
    described = openapi.properties_of(name)
    own = {key: kind for key, kind in schema.TYPES[name].items() if "@" not in key}
    missing = {"@odata.mediaContentType", "notificationContentType"}  # seen in answers, described nowhere
    assert set(own) - set(described) - missing == set()
    kinds = {
        key: (kind.removesuffix("?"), kind_of(described[key]))
        for key, kind in own.items()
        if key in described
    }
    assert {key: both for key, both in kinds.items() if both[0] != both[1]} == {}


def kind_of(described: dict[str, Any]) -> str:
    """The kind of a described property as the simulator's table writes it."""
    if "anyOf" in described:
        return kind_of(described["anyOf"][0])
    if "$ref" in described:
        return str(described["$ref"].rpartition(".")[2])
    if described.get("type") == "array":
        return kind_of(described["items"]) + "[]"
    plain = {"boolean": "bool", "integer": "int"}.get(described["type"], described["type"])
    return FORMATS.get(described.get("format", ""), plain)


@pytest.mark.parametrize("name", sorted(schema.ENUMS))
def test_the_simulator_knows_the_words(name: str) -> None:
    """Each of the simulator's enumerations has exactly the described words."""
    assert set(schema.ENUMS[name]) == set(openapi.schema_of(name)["enum"])


def described_operations() -> list[tuple[str, str]]:
    return [
        (method.upper(), path.strip("/"))
        for path, item in openapi.document()["paths"].items()
        for method in item
        if method != "parameters"
    ]


async def test_every_described_operation_is_imitated_or_says_that_it_is_not(lab: Lab, app: App) -> None:
    """Every operation of the description is imitated or answered as not implemented."""
    mail = (await lab.arrives())["id"]
    ids = {"message-id": mail, "mailFolder-id": "inbox", "attachment-id": mail, "subscription-id": "x"}
    imitated = {
        (operation.method, operation.template.count("{"), operation.template.split("/")[-1].lower())
        for operation in OPERATIONS
    }
    honest = 0
    for method, path in described_operations():
        last = path.split("/")[-1].lower()
        key = (method, path.count("{"), "{" if last.startswith("{") else last)
        if key in {(a, b, "{" if c.startswith("{") else c) for a, b, c in imitated}:
            continue
        real = re.sub(r"\{([\w-]+)\}", lambda found: ids[found[1]], path)
        answer = await app.refused(method, real, {} if method != "GET" else None)
        assert answer == (501, "SimulatorNotImplemented"), (method, path)
        honest += 1
    assert honest >= 8


async def test_query_options(lab: Lab, app: App) -> None:
    """A query option that Graph takes is imitated or answered as not implemented, and any other is refused."""
    mail = await lab.arrives(attachments=[{"name": "a.txt", "content_base64": "eA=="}])
    files = await app.ok("GET", f"{at(mail['id'])}/attachments")
    ids = {"{message}": mail["id"], "{folder}": "inbox", "{attachment}": files["value"][0]["id"]}
    options = ["$count", "$expand", "$filter", "$orderby", "$search", "$select", "$skip", "$top"]
    for operation in (
        operation
        for operation in OPERATIONS
        if operation.method == "GET" and operation.name != "subscription.get"
    ):
        path = operation.template
        for name, value in ids.items():
            path = path.replace(name, value)
        described = openapi.operation("GET", path)
        assert described, path
        taken = {p.get("name") for p in described.get("parameters", [])} - {"Prefer"}
        if operation.name.startswith("subscription"):
            taken = set()  # "List subscriptions": this method does not support OData query parameters
        for option in options:
            if option in operation.query:
                assert option in taken, (operation.name, option)
                continue
            status, _ = await app.refused("GET", f"{path}?{option}=1")
            assert status == (501 if option in taken else 400), (operation.name, option)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"colour": "red"}, "RequestBodyRead"),
        ({"subject": 1}, "RequestBodyRead"),
        ({"isRead": "yes"}, "RequestBodyRead"),
        ({"importance": "urgent"}, "RequestBodyRead"),
        ({"toRecipients": {"emailAddress": {}}}, "RequestBodyRead"),
        ({"toRecipients": [{"address": CAT}]}, "RequestBodyRead"),
        ({"toRecipients": [{"emailAddress": {"address": CAT, "phone": "1"}}]}, "RequestBodyRead"),
        ({"toRecipients": None}, "RequestBodyRead"),
        ({"body": "text"}, "RequestBodyRead"),
        ({"body": {"contentType": "pdf", "content": ""}}, "RequestBodyRead"),
        ({"flag": {"flagStatus": "up"}}, "RequestBodyRead"),
        ({"attachments": [{"name": "a", "contentBytes": "aGk="}]}, "RequestBodyRead"),
        ({"attachments": [file(contentBytes="no base64!")]}, "RequestBodyRead"),
        ({"@odata.type": "#microsoft.graph.event"}, "RequestBodyRead"),
        ([], "RequestBodyRead"),
        ({"id": "mine"}, "ErrorInvalidPropertySet"),
        ({"isDraft": False}, "ErrorInvalidPropertySet"),
        ({"conversationId": "mine"}, "ErrorInvalidPropertySet"),
        ({"toRecipients": to("")}, "ErrorInvalidRecipients"),
    ],
)
async def test_wrong_bodies(app: App, body: Any, code: str) -> None:
    """A body of another shape, or one that sets what cannot be set, is refused."""
    assert await app.refused("POST", "me/messages", body) == (400, code)
    assert (await app.ok("GET", "me/messages"))["value"] == []


async def test_bodies_that_are_no_json(lab: Lab, app: App) -> None:
    """Broken JSON is 400, another media type 415, and more than 4 MB 413."""
    headers = {"Authorization": f"Bearer {app.token}", "Content-Type": "application/json"}
    url = f"{HTTPS}/v1.0/me/messages"
    assert (await lab.http.post(url, content=b"{", headers=headers)).status_code == 400
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    assert (await lab.http.post(url, content=b"a=1", headers=headers)).status_code == 415
    headers["Content-Type"] = "application/json"
    large = json.dumps(draft(body={"contentType": "text", "content": "x" * 4 * 1024 * 1024})).encode()
    answer = await lab.http.post(url, content=large, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestEntityTooLarge")


async def test_answers_can_be_traced(app: App) -> None:
    """Every answer has a request id and gives the client's own back."""
    answer = await app("GET", "me", client_request_id="mine-1")
    assert answer.headers["client-request-id"] == "mine-1"
    assert answer.headers["request-id"]
    refused = (await app("GET", "me?$colour=red", client_request_id="mine-2")).json()["error"]
    assert refused["innererror"]["client-request-id"] == "mine-2"
