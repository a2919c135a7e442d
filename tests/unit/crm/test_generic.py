"""Deliveries to any CRM that takes Standard Webhooks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from shared.crm.generic import GenericCrm
from shared.domain.errors import CrmUnavailable, InvalidRequest
from shared.security.guard import Guard
from shared.security.webhooks import written_secret
from shared.transport import Transport
from tests.unit.security.outside import PUBLIC, Outside, Pieces

URL = "https://crm.example/hooks/outlook?tenant=7"
BODY = '{"type":"message.received","data":{"subject":"B\u00fccher"}}'.encode()
NEW, OLD = b"n" * 32, b"o" * 32


def crm(outside: Outside) -> GenericCrm:
    return GenericCrm(outside.transport(), outside.guard())


async def deliver(
    outside: Outside, url: str = URL, secrets: tuple[bytes, ...] = (NEW,)
) -> tuple[int, float | None]:
    answer = await crm(outside).deliver(url, "evt_1", BODY, secrets, datetime.now(UTC))
    return answer.status, answer.retry_after_seconds


async def test_an_event_is_posted_to_the_judged_address() -> None:
    """An event is posted byte for byte to the judged IP address under the endpoint's name (C-2, C-7)."""
    outside = Outside(httpx.Response(204))
    assert await deliver(outside) == (204, None)
    (request,) = outside.requests
    assert (request.method, request.url.host, request.url.raw_path) == (
        "POST",
        PUBLIC,
        b"/hooks/outlook?tenant=7",
    )
    assert request.content == BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == request.extensions["sni_hostname"] == "crm.example"
    assert not {"authorization", "cookie"} & set(request.headers)
    assert outside.calls == [("crm", "deliver")]


async def test_the_local_profile_may_deliver_to_this_machine() -> None:
    """With the local profile an event may be delivered to a configured port of this machine in plain http."""
    outside = Outside(httpx.Response(200))
    await deliver(outside, "http://127.0.0.1:5001/hooks")
    assert str(outside.requests[0].url) == "http://127.0.0.1:5001/hooks"
    assert outside.requests[0].headers["host"] == "127.0.0.1:5001"


async def test_the_receiver_can_check_what_came() -> None:
    """A delivered request passes the public library's check with either secret of a rotation."""
    outside = Outside(httpx.Response(200))
    await deliver(outside, secrets=(NEW, OLD))
    (request,) = outside.requests
    for secret in (NEW, OLD):
        Webhook(written_secret(secret)).verify(request.content.decode(), dict(request.headers))


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 400, 404, 410, 413, 422, 429, 500, 503])
async def test_every_answer_is_an_answer(status: int) -> None:
    """Any status is returned to the caller as it came, and a redirect is not followed."""
    outside = Outside(httpx.Response(status, headers={"location": "https://other.example/"}))
    assert await deliver(outside) == (status, None)
    assert len(outside.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("nan", 0.0),
        ("inf", float("inf")),
    ],
)
async def test_retry_after_is_read_in_seconds(header: str, seconds: float | None) -> None:
    """Retry-After is read in seconds; a date or nonsense counts as none and is no error."""
    assert await deliver(Outside(httpx.Response(503, headers={"retry-after": header}))) == (503, seconds)


async def test_an_answers_body_is_not_read() -> None:
    """The body of an endpoint's answer is not read, however long it is, and its stream is closed."""
    endless = Pieces(b"x" * 1000, 1_000_000)
    assert await deliver(Outside(httpx.Response(200, stream=endless))) == (200, None)
    assert endless.taken == 0
    assert endless.closed


@pytest.mark.parametrize(
    "error", [httpx.ConnectError(""), httpx.ReadTimeout(""), httpx.RemoteProtocolError("")]
)
async def test_no_answer_is_a_crm_that_is_away(error: Exception) -> None:
    """A delivery without an answer fails as CrmUnavailable, whether or not the event arrived."""
    with pytest.raises(CrmUnavailable):
        await deliver(Outside(error))


class Hanging(httpx.AsyncBaseTransport):
    """A connection on which the answer's head comes a byte a second, or a name that no server says anything of."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("what", ["head", "name"])
async def test_an_attempt_has_an_end_whatever_hangs(what: str) -> None:
    """The name's addresses and the head of the answer have one time together; then nobody was reached."""
    outside = Outside(httpx.Response(200))

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    guard = Guard(resolve=never) if what == "name" else outside.guard()
    endpoint = GenericCrm(Transport(inner=Hanging()), guard, timeout_seconds=0.02)
    with pytest.raises(CrmUnavailable):
        await endpoint.deliver(URL, "evt_1", BODY, (NEW,), datetime.now(UTC))


async def test_a_body_that_comes_a_byte_a_second_is_not_waited_for() -> None:
    """The head says it all; the connection is let go of while the body still comes."""
    slow = Pieces(b"x", 1, hangs=True)
    assert await asyncio.wait_for(deliver(Outside(httpx.Response(204, stream=slow))), 1) == (204, None)
    assert slow.closed


async def test_a_redirect_loop_is_one_request() -> None:
    """An endpoint that redirects to itself is called once."""
    outside = Outside(httpx.Response(308, headers={"location": URL}))
    assert await deliver(outside) == (308, None)
    assert len(outside.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://crm.example/", "https://10.0.0.1/", "https://postbraid.example/", ""]
)
async def test_a_forbidden_endpoint_gets_nothing(url: str) -> None:
    """An endpoint at a forbidden address gets no request."""
    outside = Outside(httpx.Response(200))
    with pytest.raises(InvalidRequest):
        await deliver(outside, url)
    assert outside.requests == []


async def test_an_endpoint_that_turned_inside_gets_nothing() -> None:
    """An endpoint whose name has come to lead to an internal address gets no request."""
    outside = Outside(httpx.Response(200), address="169.254.169.254")
    with pytest.raises(InvalidRequest):
        await deliver(outside)
    assert outside.requests == []
