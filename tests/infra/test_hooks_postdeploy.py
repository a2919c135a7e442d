"""The hook after `azd deploy`: live, ready, faults in plain words, the first tenant."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.infra.hook_runner import PROVISIONED, Cloud, load

health = load("deployment.health")
postdeploy = load("postdeploy")

BASE = PROVISIONED["PUBLIC_BASE_URL"]
LIVE, READY = f"{BASE}/api/health/live", f"{BASE}/api/health/ready"
GOOD = (200, {"status": "live"})
REFERENCE = "API_KEY_PEPPER: the Key Vault reference is not resolved"


def misconfigured(*faults: str) -> tuple[int, dict[str, Any]]:
    title = "This installation is not set up completely"
    return 503, {
        "type": "https://postbraid.dev/problems/misconfigured",
        "title": title,
        "status": 503,
        "faults": faults,
    }


@pytest.fixture
def app(provisioned: Cloud) -> Callable[..., int]:
    """Runs the hook on an app that gives these answers, the last one for ever; the exit code."""

    def run(live: list[tuple[int, Any]], ready: list[tuple[int, Any]]) -> int:
        answers = {LIVE: list(live), READY: list(ready)}

        def get(url: str) -> Any:
            left = answers[url]
            status, body = left.pop(0) if len(left) > 1 else left[0]
            return health.parse(status, json.dumps(body).encode())

        return provisioned.run("postdeploy", work=partial(postdeploy.after_deploy, get=get))

    return run


def test_a_healthy_app_ends_with_the_first_tenant(
    app: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """When the app is live and ready, the hook says what to install and how to create the first tenant."""
    assert app([GOOD], [GOOD]) == 0
    said = capsys.readouterr().out
    assert "python -m shared.ops create-tenant" in said
    assert "-m pip install --require-hashes -r requirements.txt" in said


def test_a_slow_start_is_waited_for(app: Callable[..., int], provisioned: Cloud) -> None:
    """An app that answers 404 or nothing at first is asked again every ten seconds."""
    assert app([(0, None), (404, None), GOOD], [GOOD]) == 0
    assert provisioned.slept == [10, 10]


def test_an_app_that_never_answers_ends_the_hook(
    app: Callable[..., int], provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """After five minutes without an answer the hook stops with 1 and says where the reason is found."""
    assert app([(404, None)], [GOOD]) == 1
    assert sum(provisioned.slept) == postdeploy.STARTS.total_seconds
    assert "A 404 means that no function was found" in " ".join(capsys.readouterr().out.split())


def test_unresolved_references_are_refreshed_while_it_waits(
    app: Callable[..., int], provisioned: Cloud
) -> None:
    """While ready names an unresolved reference the references are refreshed once a minute, until it is ready."""
    with provisioned.writes() as written:
        assert app([GOOD], [misconfigured(REFERENCE)] * 6 + [GOOD]) == 0
    assert [write[0] for write in written] == ["refresh", "refresh"]
    assert len(provisioned.slept) == 6


def test_faults_that_stay_are_told_in_plain_words(
    app: Callable[..., int], provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong settings that no waiting mends end the hook within a minute or so, each named on its own line."""
    assert app([GOOD], [misconfigured("ENTRA_CLIENT_ID: missing", "PUBLIC_BASE_URL: https is needed")]) == 1
    said = capsys.readouterr().out
    assert "  - ENTRA_CLIENT_ID: missing\n" in said
    assert "  - PUBLIC_BASE_URL: https is needed\n" in said
    assert sum(provisioned.slept) <= 60


def test_references_that_never_resolve_end_the_hook(
    app: Callable[..., int], provisioned: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """After ten minutes the unresolved references are named with the role that is missing."""
    assert app([GOOD], [misconfigured(REFERENCE)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert REFERENCE in said
    assert "Key Vault Secrets User" in said
    assert sum(provisioned.slept) == postdeploy.BECOMES_READY.total_seconds


def test_stores_that_do_not_answer_are_waited_for(
    app: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A 503 without faults is the identity's role that has not spread: waited for, and explained at the end."""
    unavailable = (503, {"title": "A service this one needs does not answer"})
    assert app([GOOD], [unavailable, GOOD]) == 0
    assert app([GOOD], [unavailable]) == 1
    assert "role of its identity has not spread" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, b'{"status": "ready"}', (200, (), "")),
        (503, b'{"title": "T", "faults": ["A: missing"]}', (503, ("A: missing",), "T")),
        (503, b'{"title": "T", "faults": "A"}', (503, (), "T")),
        (502, b"<html>", (502, (), "an answer that is not the app's own")),
        (404, b"", (404, (), "")),
        (200, b"[]", (200, (), "an answer that is not the app's own")),
    ],
)
def test_any_answer_is_read(status: int, body: bytes, answer: tuple[int, tuple[str, ...], str]) -> None:
    """Problem documents are read with their faults; anything else is an answer without faults."""
    assert health.parse(status, body) == health.Answer(*answer)


@pytest.fixture
def server() -> Iterator[str]:
    """A server of this machine that answers 503 with a fault at /bad and 200 elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = misconfigured("A: missing") if self.path == "/bad" else GOOD
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def test_addresses_are_really_asked(server: str) -> None:
    """An error status is an answer with its faults, and a server that is not there is an answer too."""
    assert health.fetch(f"{server}/good").good
    assert health.fetch(f"{server}/bad").faults == ("A: missing",)
    assert health.fetch("http://127.0.0.1:9/").status == 0
    assert health.fetch("http://example.com/").detail == "not an https address"
