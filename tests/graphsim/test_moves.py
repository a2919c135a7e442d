"""Moves by people: new ids, and hundreds at once of which nobody is told."""

from __future__ import annotations

import pytest

from tests.graphsim.conftest import ANN, IMMUTABLE, App, Json, Lab, at
from tests.graphsim.test_lifecycle import events
from tests.graphsim.test_notifications import CALM, kinds, watch


async def move(lab: Lab, mail: Json) -> Json:
    moved = await lab.control("POST", f"mailboxes/{ANN}/messages/{mail['id']}/move", {"folder": "archive"})
    return next(each for each in await lab.mailbox() if each["id"] == moved["id"])


@pytest.mark.parametrize("ids", ["changed", "kept"])
async def test_a_move_by_a_person_may_change_the_immutable_id(lab: Lab, app: App, ids: str) -> None:
    """A move in a desktop client gives a mail a new immutable id by default: the old one is a 404, all else stays."""
    await lab.knobs(**CALM, desktop_move_id=ids)
    await watch(lab, app, "created,deleted")
    mail = await lab.arrives(attachments=[{"name": "a.txt", "content_base64": "aGVsbG8="}])
    before = await app.ok("GET", at(mail["id"]), **IMMUTABLE)
    moved = await move(lab, mail)
    after = await app.ok("GET", at(moved["id"]), **IMMUTABLE)
    same = ("internetMessageId", "conversationId", "receivedDateTime", "subject")
    assert {name: before[name] for name in same} == {name: after[name] for name in same}
    assert (moved["id"] == mail["id"], moved["folder"]) == (ids == "kept", "archive")
    assert (await app("GET", at(mail["id"]))).status_code == (200 if ids == "kept" else 404)
    files = (await app.ok("GET", f"{at(moved['id'])}/attachments?$select=name"))["value"]
    assert [each["name"] for each in files] == ["a.txt"]
    await lab.pass_time()
    told = [(item["changeType"], item["resourceData"]["id"]) for item in lab.endpoint.items()]
    assert sorted(told[1:]) == [("created", moved["id"]), ("deleted", mail["id"])]


@pytest.mark.parametrize(
    ("knobs", "notified", "event"),
    [
        ({}, 2, []),
        ({"silent_move_items": 1}, 0, []),
        ({"silent_move_items": 1, "mass_move_event": "missed"}, 0, ["missed"]),
    ],
    ids=["few", "many", "many, and one event"],
)
async def test_a_mass_move_is_silent(
    lab: Lab, app: App, knobs: dict[str, str | float], notified: int, event: list[str]
) -> None:
    """A move of more than so many mails brings no notification, at best one `missed`; all are moved at one instant."""
    await lab.knobs(**CALM, **knobs)
    await lab.arrives()
    await lab.arrives()
    await lab.pass_time(120)
    await watch(lab, app, "created")
    answer = await lab.control("POST", f"mailboxes/{ANN}/move-all", {"from": "inbox", "folder": "archive"})
    await lab.pass_time()
    assert answer == {"moved": 2}
    assert {mail["folder"] for mail in await lab.mailbox()} == {"archive"}
    assert kinds(lab) == ["created"] * notified
    assert events(lab) == event


async def test_a_mass_move_needs_folders(lab: Lab) -> None:
    """A move between folders that are not there is refused."""
    answer = await lab.http.post(
        f"http://localhost:7444/__control/mailboxes/{ANN}/move-all",
        json={"from": "inbox", "folder": "nowhere"},
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "there is no such folder"})
