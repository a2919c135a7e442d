"""Logs: what may stand in them, and that nothing of anybody's mail does (L-1, L-2)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared.telemetry import (
    ALLOWED,
    QUIET,
    Counters,
    canonical_line,
    log,
    log_unexpected,
    only_allowed,
    set_up_logging,
)

# One of everything that must not be read in a log, whatever field it was put in.
CANARIES = {
    "address": "canary.ann@northwind.example",
    "to": ["canary.bea@fabrikam.example"],
    "subject": "canary: your offer",
    "body": "<p>canary</p>",
    "html": "canary",
    "snippet": "canary",
    "token": "canary.eyJ0eXAi",
    "access_token": "canary",
    "refresh_token": "canary",
    "code_verifier": "canary",
    "authorization": "Bearer psk_canary",
    "cookie": "__Host-oauth=canary",
    "signature": "v1,canary",
    "client_state": "v1.canary",
    "file": "canary.pdf",
    "name": "Ann Canary",
    "url": "https://x.example/?canary",
    "detail": "canary",
    "exception": "canary",
    "exc_info": "canary",
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is the process's, so each test leaves it as it was."""
    levels = {name: logging.getLogger(name).level for name in (*QUIET, "postbraid")}
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What a deployment writes, read back as JSON; each line is one."""
    set_up_logging(local=False)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("postbraid")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


Lines = Callable[[], list[dict[str, Any]]]


def test_a_line_is_an_event_with_fields(lines: Lines) -> None:
    """A log line is JSON with its event, level, fields and UTC time."""
    log.info("message.decided", decision="skip", reason="foreign_thread", hints=2)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message.decided",
        "level": "info",
        "decision": "skip",
        "reason": "foreign_thread",
        "hints": 2,
    }


def test_only_listed_fields_get_into_a_line(lines: Lines) -> None:
    """Fields that are not listed are dropped from every line, those bound earlier included."""
    structlog.contextvars.bind_contextvars(mailbox="mbx_1", bound_subject="canary")
    log.info("message.decided", decision="import", **CANARIES)
    log.error("message.decided", decision="import", **CANARIES)
    with canonical_line("work_changes") as line:
        line.update(CANARIES)
    written = lines()
    assert len(written) == 3
    assert "canary" not in json.dumps(written).lower()
    assert all(set(entry) <= ALLOWED for entry in written)
    assert all(entry["mailbox"] == "mbx_1" for entry in written)


def test_no_name_of_private_content_is_on_the_list() -> None:
    """No field on the list is named after private content."""
    assert not ALLOWED & set(CANARIES)
    private = (
        "address",
        "subject",
        "body",
        "token",
        "secret",
        "key",
        "cookie",
        "url",
        "name",
        "mail_",
        "text",
        "file",
    )
    assert [field for field in ALLOWED for word in private if word in field] == []


def test_a_line_cannot_be_forged(lines: Lines) -> None:
    """Line breaks and controls in a field are escaped, so that nobody can forge a line (L-2)."""
    log.info("message.decided", reason='x"}\n{"event": "forged"}\r\x1b[31m\x00')
    (line,) = lines()
    assert line["event"] == "message.decided"


def test_an_unforeseen_error_is_told_without_its_words(lines: Lines) -> None:
    """An error nobody foresaw is logged with kind and place, never with its text."""

    def deep() -> None:
        raise ValueError("canary.ann@northwind.example: your offer")

    try:
        deep()
    except ValueError as err:
        log_unexpected(err)
    (line,) = lines()
    assert (line["event"], line["level"], line["error"]) == ("unexpected", "error", "ValueError")
    assert line["where"].startswith("deep:")
    assert "test_an_unforeseen_error" in line["where"]
    assert "canary" not in json.dumps(line)


def test_a_long_way_down_is_told_shortly(lines: Lines) -> None:
    """The place of a deep error is its six innermost frames."""

    def down(levels: int) -> None:
        if levels:
            down(levels - 1)
        raise KeyError("canary")

    try:
        down(50)
    except KeyError as err:
        log_unexpected(err)
    log_unexpected(ValueError("canary"))
    deep, never_raised = lines()
    assert deep["where"].count("down:") == 6
    assert never_raised["where"] == ""
    assert "canary" not in json.dumps([deep, never_raised])


def test_every_invocation_writes_one_line(lines: Lines) -> None:
    """Each invocation writes one line with the fields it gathered."""
    with canonical_line("receive_notifications") as line:
        line["hints"], line["status"] = 3, 202
    (written,) = lines()
    assert (written["event"], written["function"]) == ("invocation.finished", "receive_notifications")
    assert (written["hints"], written["status"]) == (3, 202)
    assert "error" not in written


def test_a_failed_invocation_writes_its_line_as_well(lines: Lines) -> None:
    """A failed invocation writes its line with the kind of error, which is raised on."""

    def invocation() -> None:
        with canonical_line("work_changes") as line:
            line["hints"] = 2
            raise ValueError("canary")

    with pytest.raises(ValueError, match="canary"):
        invocation()
    (written,) = lines()
    assert (written["error"], written["hints"]) == ("ValueError", 2)
    assert "canary" not in json.dumps(written)


def test_chatty_libraries_are_quiet(lines: Lines) -> None:
    """Libraries whose informative lines hold addresses log from warnings up only."""
    for name in ("httpx", "azure.core.pipeline", "msal.application", "urllib3.connectionpool", "asyncio"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert logging.getLogger(name).isEnabledFor(logging.WARNING)


def test_a_person_at_a_terminal_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """At a terminal the same fields are logged on stderr without colours."""
    set_up_logging(local=True)
    log.info("message.decided", decision="skip", **CANARIES)
    shown = capsys.readouterr()
    assert "message.decided" in shown.err
    assert "decision=skip" in shown.err
    assert "canary" not in (shown.err + shown.out).lower()
    assert "\x1b" not in shown.err


def test_the_list_is_applied_last() -> None:
    """The step that applies the list keeps listed fields and nothing more."""
    assert only_allowed(None, "info", {"event": "x", "tenant": "t", "subject": "canary"}) == {
        "event": "x",
        "tenant": "t",
    }


def test_calls_are_counted_by_their_site() -> None:
    """Calls are counted by their site (T-1)."""
    counters = Counters()
    for _ in range(2):
        counters("graph", "send")
    counters("table", "read")
    assert dict(counters.calls) == {("graph", "send"): 2, ("table", "read"): 1}
