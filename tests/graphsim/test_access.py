"""Who may do what: tokens, scopes, other people's mailboxes, ids."""

from __future__ import annotations

import pytest

from sandbox.graphsim.calls import Operation
from sandbox.graphsim.operations import OPERATIONS
from tests.graphsim.conftest import ANN, BEN, HTTPS, App, Lab, draft

MAIL = [operation for operation in OPERATIONS if operation.scopes]
ABOUT_A_MESSAGE = [operation for operation in OPERATIONS if "{message}" in operation.template]
PLACES = {
    "{message}": "AAMk" + "x" * 30,
    "{folder}": "inbox",
    "{attachment}": "AAMk" + "y" * 30,
    "{subscription}": "z",
}
ALL_SCOPES = {"User.Read", "Mail.Read", "Mail.ReadWrite", "Mail.Send"}


def path_of(template: str, **places: str) -> str:
    for name, value in (PLACES | {f"{{{key}}}": value for key, value in places.items()}).items():
        template = template.replace(name, value)
    return template


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic YTpi"])
async def test_strangers(lab: Lab, header: str | None) -> None:
    """Without a good token every path is 401 with a challenge, unknown paths and other mailboxes included."""
    headers = {"Authorization": header} if header else {}
    for path in ("me", "me/messages", "subscriptions", "me/nonsense", f"users/{BEN}/messages"):
        answer = await lab.http.get(f"{HTTPS}/v1.0/{path}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken"), (
            path
        )
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("operation", MAIL, ids=lambda operation: operation.name)
async def test_scopes(lab: Lab, operation: Operation) -> None:
    """Each operation needs one of its scopes: all others together do not open it."""
    lacking = await lab.app(scope=" ".join(ALL_SCOPES - set(operation.scopes)))
    assert await lacking.refused(operation.method, path_of(operation.template)) == (403, "ErrorAccessDenied")
    for scope in set(operation.scopes) & ALL_SCOPES:
        having = await lab.app(scope=scope)
        answer = await having(operation.method, path_of(operation.template))
        assert answer.status_code != 403, scope


@pytest.mark.parametrize("operation", ABOUT_A_MESSAGE, ids=lambda operation: operation.name)
async def test_ids(lab: Lab, app: App, operation: Operation) -> None:
    """A text that is no id is 400, and an id of nothing or of another mailbox's message is 404."""
    foreign = await (await lab.app(BEN)).ok("POST", "me/messages", draft())
    body = {"DestinationId": "archive"} if operation.name in {"message.move", "message.copy"} else {}
    if operation.name == "attachment.create":
        body = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a", "contentBytes": "eA=="}
    if "createUploadSession" in operation.template:
        body = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 4_000_000}}
    given = (
        None if operation.method in {"GET", "DELETE"} or operation.name.endswith(("send", "Delete")) else body
    )
    for message, expected in {
        "nonsense": (400, "ErrorInvalidIdMalformed"),
        PLACES["{message}"]: (404, "ErrorItemNotFound"),
        foreign["id"]: (404, "ErrorItemNotFound"),
    }.items():
        path = path_of(operation.template, message=message)
        assert await app.refused(operation.method, path, given) == expected, message


async def test_the_own_mailbox_by_name(lab: Lab, app: App) -> None:
    """Users/{id} and users/{address} mean the caller's own mailbox when they name the caller."""
    mail = await lab.arrives()
    me = await app.ok("GET", "me")
    for name in (me["id"], ANN, ANN.upper()):
        listed = await app.ok("GET", f"users/{name}/messages")
        assert [message["internetMessageId"] for message in listed["value"]] == [mail["internet_message_id"]]


@pytest.mark.parametrize("path", ["messages", "mailFolders/inbox/messages", "mailFolders", "sendMail"])
async def test_other_mailboxes(app: App, path: str) -> None:
    """Another person's mailbox is 403 with one's own consent."""
    method = "POST" if path == "sendMail" else "GET"
    assert await app.refused(method, f"users/{BEN}/{path}") == (403, "ErrorAccessDenied")


async def test_the_word_bearer(lab: Lab, app: App) -> None:
    """The word Bearer of a token is read in any case."""
    headers = {"Authorization": f"bearer {app.token}"}
    assert (await lab.http.get(f"{HTTPS}/v1.0/me", headers=headers)).status_code == 200


async def test_tokens_know_their_mailbox(lab: Lab, app: App) -> None:
    """Two people who are signed in to the same app see their own mailbox each."""
    await lab.arrives(subject="For Ann")
    ben = await lab.app(BEN)
    assert len((await app.ok("GET", "me/messages"))["value"]) == 1
    assert (await ben.ok("GET", "me/messages"))["value"] == []
    assert (await ben.ok("GET", "me"))["mail"] == BEN


async def test_the_profile(lab: Lab, app: App) -> None:
    """GET me gives address and name, with $select only what was asked for, and refuses unknown properties."""
    whole = await app.ok("GET", "me")
    assert (whole["mail"], whole["userPrincipalName"], whole["displayName"]) == (ANN, ANN, "Ann Archer")
    some = await app.ok("GET", "me?$select=mail,userPrincipalName")
    assert {name for name in some if "@" not in name} == {"id", "mail", "userPrincipalName"}
    assert await app.refused("GET", "me?$select=shoeSize") == (400, "RequestBroker--ParseUri")


async def test_a_personal_account_may_have_no_mail(lab: Lab) -> None:
    """A personal account may have a null `mail`, with the principal name as its address."""
    await lab.control("POST", "users", {"address": "pat@outlook.example", "personal": True, "no_mail": True})
    pat = await lab.app("pat@outlook.example")
    found = await pat.ok("GET", "me")
    assert (found["mail"], found["userPrincipalName"]) == (None, "pat@outlook.example")


async def test_an_account_without_a_mailbox(lab: Lab) -> None:
    """An account without a mailbox says so for every mail operation, and its profile can be read."""
    await lab.control("POST", "users", {"address": "eve@northwind.example", "no_mailbox": True})
    eve = await lab.app("eve@northwind.example")
    assert await eve.ok("GET", "me")
    assert await eve.refused("GET", "me/messages") == (404, "MailboxNotEnabledForRESTAPI")
    assert await eve.refused("POST", "me/messages", draft()) == (404, "MailboxNotEnabledForRESTAPI")


async def test_ways_that_lead_nowhere(app: App) -> None:
    """An unknown path segment is 400, and a method that a resource does not have is 405."""
    assert await app.refused("GET", "me/nonsense") == (400, "BadRequest")
    assert await app.refused("DELETE", "me/messages") == (405, "BadRequest")
    assert (await app("GET", "ME/Messages")).status_code == 200
