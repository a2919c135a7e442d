"""What a function answered, held to the published contract."""

from __future__ import annotations

import json as json_module
import re
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from functions.boundary import SECURITY_HEADERS
from shared.problem import CONTENT_TYPE, TYPE_BASE
from tests.functions import contract

COOKIE = "__Host-oauth"
PUBLISHED = {operation["operationId"] for _, _, operation in contract.operations()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        """A page without the places where a line may break."""
        return self.text.replace("<wbr>", "")

    @property
    def outcome(self) -> str:
        """What the page says came of it."""
        found = re.search(r'<h1[^>]* data-outcome="([a-z_]+)"', self.text)
        assert found, self.text
        return found[1]

    @property
    def cookie(self) -> str:
        """The value of our cookie, as a browser would keep it."""
        found = re.match(rf"{COOKIE}=([^;]*);", self.headers["set-cookie"])
        assert found
        return found[1]


def judged(name: str, response: func.HttpResponse) -> Answer:
    """An answer, held to the contract where it is published, and to what every answer of ours has (X-6)."""
    headers = {header.lower(): value for header, value in response.headers.items()}
    headers.setdefault("content-type", response.mimetype)
    answer = Answer(response.status_code, headers, response.get_body())
    if name in PUBLISHED:
        contract.check_answer(name, answer.status, headers["content-type"], answer.body)
    missing = {header.lower() for header in SECURITY_HEADERS} - set(headers)
    assert not missing, f"{name} answered without {missing}"
    return answer


def problem(answer: Answer, status: int, kind: str) -> dict[str, Any]:
    """The one assertion for errors: RFC 9457 as this product writes it. Returns the document for further questions."""
    document = answer.json()
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert (answer.status, document["status"]) == (status, status), answer.text
    assert document["type"] == TYPE_BASE + kind
    assert document["title"]
    assert set(document) <= {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "errors",
        "waiting_for",
        "faults",
    }
    for error in document.get("errors", []):
        assert set(error) == {"pointer", "detail"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    contract.check(contract.DOCUMENT["components"]["schemas"]["Problem"], document)
    return dict(document)
