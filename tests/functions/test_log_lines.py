"""The log tells whose work was done and how it ended, and leads from a caller's report to what happened."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from shared.graph.errors import graph_error
from shared.state import keys
from shared.telemetry import answer_of, only_allowed
from tests.functions.app import App, notifications_path

URN = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Every line as it is written, after the list of allowed fields."""
    found: list[dict[str, Any]] = []

    def keep(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        found.append({name: value for name, value in fields.items() if name != "level"})
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.add_log_level, only_allowed, keep])
    yield found
    structlog.reset_defaults()


def of(lines: list[dict[str, Any]], function: str) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("function") == function]


async def test_a_problem_is_found_in_the_log_by_its_instance(ready: App, lines: list[dict[str, Any]]) -> None:
    """Each problem answer has an `instance` of its own that its log line names, at Graph's address as well."""
    answers = [
        await ready.v1("GET", "messages/nobody"),
        await ready.v1("GET", "messages/nobody"),
        await ready.call("POST", notifications_path("wrong"), json={}),
    ]
    shown = [answer.json()["instance"] for answer in answers]
    assert [bool(URN.fullmatch(instance)) for instance in shown] == [True, True, True]
    assert [line["instance"] for line in lines] == shown
    assert len(set(shown)) == 3


async def test_an_unforeseen_error_is_found_by_its_instance_as_well(
    ready: App, lines: list[dict[str, Any]]
) -> None:
    """A 500 has an `instance`, which the line of the error and the line of the invocation both name."""
    ready.store_down(ValueError("secret"))
    answer = await ready.v1("GET", "events")
    assert answer.status == 500
    unexpected, finished = lines
    assert unexpected["event"] == "unexpected"
    assert unexpected["instance"] == finished["instance"] == answer.json()["instance"]


async def test_an_answer_without_a_problem_names_no_instance(ready: App, lines: list[dict[str, Any]]) -> None:
    """The log line of an answer that is no problem has no `instance`."""
    await ready.v1("GET", "events")
    assert [set(line) for line in lines] == [{"event", "function", "status"}]


async def test_a_worker_says_whose_mails_it_looked_at_and_what_it_decided(
    begun: App, lines: list[dict[str, Any]]
) -> None:
    """The log line of a worker that looks at mail names our mailbox id and counts its decisions."""
    mailbox = begun.crm.last["mailbox"]["id"]
    answer = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    foreign = [begun.mail.receive("stranger@elsewhere.example") for _ in range(2)]
    await begun.arrives(answer, *foreign)
    (line,) = of(lines, "work_changes")
    assert line["mailbox"] == mailbox
    assert line["decided"] == {"import": 1, "foreign_thread": 2}


async def test_a_worker_says_what_work_it_did_for_whom(ready: App, lines: list[dict[str, Any]]) -> None:
    """The log line of a worker names the kind of work and our mailbox id."""
    await ready.accepted()
    await ready.pump(keys.OUTBOX)
    (line, *_) = of(lines, "work_outbox")
    assert (line["work"], line["mailbox"]) == ("send", ready.crm.last["mailbox"]["id"])


async def test_what_graph_said_of_a_failure_is_in_its_line(begun: App, lines: list[dict[str, Any]]) -> None:
    """Lines of a mail that cannot be read and of failed work have Graph's status, code and request id, and no words."""
    headers = {"request-id": "0f3a-77", "date": "Mon, 02 Mar 2026 09:30:00 GMT"}
    answer = graph_error("fetch", 400, ("ErrorCorruptData",), "of bea@fabrikam.example: Offer", headers)
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = answer
    await begun.arrives(number)
    begun.mail.next["outline"] = [graph_error("outline", 500, (), "", {"request-id": "0f3a-78"})]
    await begun.arrives(begun.mail.receive("sven@stranger.example"))
    said = {line["event"]: line for line in lines if line["event"] in {"mail.unreadable", "work.failed"}}
    assert {
        event: (line["status"], line.get("code"), line["request_id"]) for event, line in said.items()
    } == {
        "mail.unreadable": (400, "ErrorCorruptData", "0f3a-77"),
        "work.failed": (500, None, "0f3a-78"),
    }
    assert "fabrikam" not in str(said)


@pytest.mark.parametrize("odd", ["ann@northwind.example", "Error in 'Offer'", "x" * 200, "", "é"])
def test_nothing_odd_of_an_answer_gets_into_a_line(odd: str) -> None:
    """A code or a request id that does not look like one is left out: it could hold an address or a subject."""
    answer = graph_error("fetch", 500, (odd,), "", {"request-id": odd})
    assert answer_of(answer) == (500, None, None)
