"""Controls in what the CRM writes are refused with their place; in what a mailbox holds they become spaces (H-3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain.model import Address
from tests.functions.answers import problem
from tests.functions.app import BEA_ADDRESS, App, send_body

LETTERS = ["\x00", "\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066"]
FILE = {"content_base64": "YQ=="}


def sends(letter: str) -> dict[str, dict[str, Any]]:
    """A send with the letter at each place that holds one line, by the pointer to it."""
    word = f"a{letter}b"
    return {
        "/subject": {"subject": word},
        "/to/0/name": {"to": [{"address": BEA_ADDRESS, "name": word}]},
        "/attachments/0/name": {"attachments": [{"name": f"{word}.txt", **FILE}]},
        "/attachments/0/content_id": {"attachments": [{"name": "a.png", "content_id": word, **FILE}]},
        "/crm_thread_id": {"crm_thread_id": word},
        "/thread_id": {"thread_id": word},
        "/contact_ids/0": {"contact_ids": [word]},
    }


@pytest.mark.parametrize("letter", LETTERS, ids=ascii)
async def test_a_send_holds_no_control(ready: App, letter: str) -> None:
    """A control in a subject, a name or an id of a send is refused with the pointer to it; nothing is staged."""
    for pointer, changes in sends(letter).items():
        document = problem(
            await ready.v1("POST", "messages", json=send_body(**changes)), 422, "invalid-request"
        )
        assert [error["pointer"] for error in document["errors"]] == [pointer]
    assert await ready.staged() == []


@pytest.mark.parametrize("context", [{"a": ["x\x00"]}, {"a": {"\x00": 1}}])
async def test_a_context_holds_no_nul(ready: App, context: dict[str, Any]) -> None:
    """What comes back on every event as it was given holds no NUL; a backslash before u0000 is none."""
    answer = await ready.v1("POST", "messages", json=send_body(crm_context=context))
    assert [error["pointer"] for error in problem(answer, 422, "invalid-request")["errors"]] == [
        "/crm_context"
    ]
    await ready.sent(crm_context={"a": "\\u0000"})
    assert ready.crm.last["crm_context"] == {"a": "\\u0000"}


@pytest.mark.parametrize("letter", LETTERS, ids=ascii)
async def test_a_users_names_hold_no_control(app: App, letter: str) -> None:
    """A control in the name or an address of a session link's user is refused with the pointer to it."""
    user = {
        "id": "u_ann",
        "display_name": f"A{letter}",
        "addresses": ["ann@x.example", f"b{letter}@x.example"],
    }
    document = problem(await app.v1("POST", "session-links", json={"user": user}), 422, "invalid-request")
    pointers = [error["pointer"] for error in document["errors"]]
    assert pointers == ["/user/display_name", "/user/addresses/1"]


async def test_an_uploads_name_holds_no_control(app: App) -> None:
    """A control in the name of an uploaded file is refused."""
    header = {"Content-Disposition": "attachment; filename*=UTF-8''a%0Ab.txt"}
    answer = await app.v1("POST", "files", body=b"a", headers=header)
    document = problem(answer, 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/headers/content-disposition"


async def test_received_controls_become_spaces(begun: App) -> None:
    """Subject, people and words of a mail are told without controls, and no event holds NUL anywhere."""
    told = await begun.answered(
        subject="Yes\x00\u2028no\u202e",
        to=(Address("ann@northwind.example", "A\x00n\x85n"),),
        html="<p>a\x00b&#0;c</p>",
        text="a\x00b\nc",
        tags={"references": ("<a\x00b@x.example>",)},
    )
    assert (told["subject"], told["to"][0]["name"]) == ("Yes no", "A n n")
    assert told["body"]["text"] == "ab\nc"
    assert told["references"] == ["<a b@x.example>"]
    assert not any("\x00" in text for text in (told["body"]["html"], told["snippet"]))
    assert "\\u0000" not in json.dumps(begun.crm.told)
